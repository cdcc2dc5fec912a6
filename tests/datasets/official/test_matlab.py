"""MATLAB files of both kinds say the same, and damaged or foreign ones are refused by name."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from moviestrip.datasets.official import matlab
from moviestrip.datasets.official.matlab import read_mat
from moviestrip.errors import StorageError
from tests.datasets.official.write_mat73 import write_mat73


def cells(*values: Any) -> np.ndarray:
    """A row cell, as savemat takes it."""
    result = np.empty((1, len(values)), object)
    result[0, :] = values
    return result


NUMBERS = np.arange(24.0).reshape(2, 3, 4)
UNEVEN = [np.ones((2, 3)), np.full((4, 1), 7.0)]


def version_5(path: Path) -> Path:
    scipy.io.savemat(path, {
        "numbers": NUMBERS,
        "single": np.float32([[1.5, 2.5]]),
        "flags": np.array([[True, False]]),
        "uneven": cells(*UNEVEN),
        "nested": cells(cells("a", "bc"), np.float64([[1.0]])),
        "person": {"name": "Ann", "joints": NUMBERS[0], "inner": {"age": 3.0}, "tags": cells("x", "y")},
        "people": np.array([[(1.0, "Ann"), (2.0, "Bo")]], dtype=[("id", object), ("name", object)]),
        "text": "walking",
        "rows": np.array(["ab", "cd"]),
        "nothing": np.zeros((0, 3)),
        "no_flags": np.zeros((0, 1), bool),
        "no_text": "",
        "no_cells": np.empty((0, 0), object),
    }, do_compression=True)  # fmt: skip
    return path


def version_73(path: Path) -> Path:
    write_mat73(path, {
        "numbers": NUMBERS,
        "single": np.float32([[1.5, 2.5]]),
        "flags": np.array([[True, False]]),
        "uneven": UNEVEN,
        "nested": [["a", "bc"], np.float64([[1.0]])],
        "person": {"name": "Ann", "joints": NUMBERS[0], "inner": {"age": np.float64([[3.0]])}, "tags": ["x", "y"]},
        "people": [{"id": np.float64([[1.0]]), "name": "Ann"}, {"id": np.float64([[2.0]]), "name": "Bo"}],
        "text": "walking",
        "nothing": np.zeros((0, 3)),
        "no_flags": np.zeros((0, 1), bool),
        "no_text": "",
        "no_cells": [],
    })  # fmt: skip
    with h5py.File(path, "r+") as file:
        rows = file.create_dataset("rows", data=np.array([list(b"ab"), list(b"cd")], np.uint16).T)
        rows.attrs["MATLAB_class"] = np.bytes_("char")
    return path


WRITERS = pytest.mark.parametrize("write", [version_5, version_73])


@WRITERS
def test_both_kinds_say_the_same(write, tmp_path: Path):
    found = read_mat(write(tmp_path / "annot.mat"))
    assert found["numbers"].shape == (2, 3, 4) and np.array_equal(found["numbers"], NUMBERS)
    assert found["single"].dtype == np.float32 and found["single"].tolist() == [[1.5, 2.5]]
    assert found["flags"].dtype == np.uint8 and found["flags"].tolist() == [[1, 0]]
    assert [np.array_equal(*pair) for pair in zip(found["uneven"], UNEVEN, strict=True)] == [True, True]
    assert found["nested"][0] == ["a", "bc"] and found["nested"][1].tolist() == [[1.0]]
    assert found["person"]["name"] == "Ann" and np.array_equal(found["person"]["joints"], NUMBERS[0])
    assert found["person"]["inner"]["age"].item() == 3.0 and found["person"]["tags"] == ["x", "y"]
    assert [(one["id"].item(), one["name"]) for one in found["people"]] == [(1.0, "Ann"), (2.0, "Bo")]
    assert found["text"] == "walking" and found["rows"] == ["ab", "cd"]
    assert found["nothing"].shape == (0, 3) and found["no_text"] == "" and found["no_cells"] == []
    assert found["no_flags"].dtype == np.uint8 and found["no_flags"].size == 0


@WRITERS
def test_only_what_is_named_is_read(write, tmp_path: Path):
    path = write(tmp_path / "annot.mat")
    assert read_mat(path, "text", "numbers").keys() == {"text", "numbers"}
    with pytest.raises(
        StorageError, match=r"annot\.mat: has no variable joints, shoes; it holds flags, nested, .*uneven"
    ):
        read_mat(path, "joints", "text", "shoes")


@WRITERS
def test_a_column_of_cells_and_a_lone_cell(write, tmp_path: Path):
    path = tmp_path / "annot.mat"
    if write is version_5:
        scipy.io.savemat(path, {"column": cells(*UNEVEN).T, "lone": cells(NUMBERS)})
    else:
        write_mat73(path, {"column": UNEVEN, "lone": [NUMBERS]})
    found = read_mat(path)
    assert [value.shape for value in found["column"]] == [(2, 3), (4, 1)]
    assert len(found["lone"]) == 1 and np.array_equal(found["lone"][0], NUMBERS)


def refuses(path: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        read_mat(path, "numbers")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    for words in said:
        assert words in str(caught.value)


@WRITERS
@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5])
def test_truncated_files(write, kept: float, tmp_path: Path):
    path = write(tmp_path / "annot.mat")
    if write is version_5:
        scipy.io.savemat(path, {"numbers": np.random.default_rng(0).normal(size=(100, 84))}, do_compression=True)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refuses(path, "damaged, or not a MATLAB file")


def test_damaged_data(tmp_path: Path):
    path = tmp_path / "annot.mat"
    scipy.io.savemat(path, {"numbers": np.random.default_rng(0).normal(size=(100, 84))}, do_compression=True)
    content = bytearray(path.read_bytes())
    content[1000:3000] = bytes(2000)
    path.write_bytes(content)
    refuses(path, "damaged, or not a MATLAB file")


@pytest.mark.parametrize("content", [b"", b"<html>Please log in</html>" * 90, b"MATLAB 5.0 MAT-file" + bytes(50)])
def test_files_of_another_kind(content: bytes, tmp_path: Path):
    path = tmp_path / "annot.mat"
    path.write_bytes(content)
    refuses(path, "damaged, or not a MATLAB file")


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch):
    refuses(tmp_path / "annot.mat", "there is no such file")
    path = version_5(tmp_path / "annot.mat")
    monkeypatch.setattr(matlab, "MAXIMUM_MAT_BYTES", 100)
    refuses(path, "bytes, refused above 100")


def test_variables_that_lie_elsewhere(tmp_path: Path):
    path, other = tmp_path / "annot.mat", version_73(tmp_path / "other.mat")
    with h5py.File(path, "w") as file:
        file["numbers"] = h5py.ExternalLink(str(other), "numbers")
    refuses(path, "numbers is a link, not a variable")
    with h5py.File(path, "w") as file:
        file.create_dataset("numbers", (10,), "f8", external=[(str(other), 0, 80)])
    refuses(path, "/numbers promises 80 bytes that are not in the file")


def test_a_promise_of_more_than_fits(tmp_path: Path):
    path = tmp_path / "annot.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("numbers", (10**6, 10**4), "f8", chunks=(1000, 1000))
    refuses(path, "/numbers promises 80,000,000,000 bytes")


def test_cells_that_refer_to_nothing(tmp_path: Path):
    path = tmp_path / "annot.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("numbers", (2, 1), h5py.ref_dtype)
    refuses(path, "damaged, or not a MATLAB file")
