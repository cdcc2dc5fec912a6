"""Arrays are found in joblib's files of any age without running them; bombs and payloads are refused."""

import gzip
import os
import pickle
import resource
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
from joblib.numpy_pickle import NumpyArrayWrapper

from moviestrip.datasets.prepared.stored import open_arrays
from moviestrip.errors import StorageError

ARRAYS = {
    "floats": np.arange(24, dtype=np.float32).reshape(6, 4),
    "columns_first": np.asfortranarray(np.arange(18.0).reshape(6, 3)),
    "deep": np.arange(36, dtype=np.float64).reshape(6, 2, 3),
    "big_endian": np.arange(6, dtype=">i4"),
    "names": np.array(["a", "b", "c", "d", "é", "f"]),
    "bytes": np.array([b"a", b"bc"] * 3),
    "flags": np.array([True, False] * 3),
    "none": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_rows_come_back_without_loading_the_rest(tmp_path: Path, protocol: int):
    path = tmp_path / "a.pt"
    joblib.dump(ARRAYS, path, protocol=protocol)
    assert_same(open_arrays(path))


def test_files_of_joblib_before_1_2_have_no_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.pt"
    made = NumpyArrayWrapper.__init__

    def older(self, *given, **named):
        made(self, *given, **named)
        del self.numpy_array_alignment_bytes

    monkeypatch.setattr(NumpyArrayWrapper, "__init__", older)
    monkeypatch.setattr(NumpyArrayWrapper, "safe_get_numpy_array_alignment_bytes", lambda self: None)
    joblib.dump(ARRAYS, path, protocol=3)
    assert b"alignment" not in path.read_bytes()
    assert_same(open_arrays(path))


def assert_same(found) -> None:
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert found[name].shape == expected.shape and found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name].rows(0, len(expected)), expected)
        if len(expected):
            np.testing.assert_array_equal(found[name].rows(2, 5), expected[2:5])


def test_hdf5_is_read_by_rows(tmp_path: Path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["floats"] = ARRAYS["floats"]
        file["bytes"] = ARRAYS["bytes"]
    found = open_arrays(path)
    np.testing.assert_array_equal(found["floats"].rows(2, 5), ARRAYS["floats"][2:5])
    np.testing.assert_array_equal(found["bytes"].rows(0, 6), ARRAYS["bytes"])


def test_a_file_that_was_cut_short_is_named(tmp_path: Path):
    path = tmp_path / "a.pt"
    joblib.dump({"phi": np.zeros((1000, 8), np.float32)}, path)
    data = path.read_bytes()
    for length in (1, 20, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(StorageError, match=rf"^{path}: "):
            open_arrays(path)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04", gzip.compress(b"x")])
def test_what_is_neither_joblib_nor_hdf5_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.pt: neither a file of joblib nor HDF5.*without `compress`"):
        open_arrays(path)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([1, 2], "holds a list"),
        ({"phi": [1.0]}, "'phi' is no array"),
        ({"phi": np.array(5.0)}, r"shape \(\)"),
        ({"phi": np.array([1 + 2j])}, "'c16'"),
        ({"phi": np.zeros(3, "f4,i4")}, "'V8'"),
        ({"phi": np.array(["2020-01-01"], "M8[D]")}, "'M8'"),
    ],
)
def test_what_is_no_plain_array_is_refused(tmp_path: Path, value: object, found: str):
    path = tmp_path / "a.pt"
    joblib.dump(value, path)
    with pytest.raises(StorageError, match=rf"a\.pt: .*{found}"):
        open_arrays(path)


class Payload:
    """Runs a call of its choice when it is unpickled carelessly."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], tuple(self.call[1:])


@pytest.mark.faults
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("wrapped", [False, True], ids=["beside arrays", "in an array of objects"])
def test_fault_19_a_malicious_database_never_runs_its_payload(tmp_path: Path, protocol: int, wrapped: bool):
    mark, path = tmp_path / "owned", tmp_path / "3dpw_train_db.pt"
    payload = Payload(os.mkdir, str(mark))
    fields = {"vid_name": ARRAYS["names"], "pose": np.array([payload], object) if wrapped else payload}
    joblib.dump(fields, path, protocol=protocol)
    with pytest.raises(StorageError, match=r"3dpw_train_db\.pt: (asks for .*mkdir, .*it was not run|.*type 'O8')"):
        open_arrays(path)
    assert not mark.exists()
    joblib.load(path)
    assert mark.exists(), "the payload is a real one"


@pytest.mark.faults
@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cjoblib.numpy_pickle\nload\n.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",  # a dotted name, as protocol 4 allows
        b"\x80\x02Psecret\n.",
        b"\x80\x02\x82\x01.",  # a name of the registry of extensions
        b"\x80\x02}}b.",  # changes what it is not about
        b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}b.",
    ],
)
def test_fault_19_names_beside_the_allowed_ones_are_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    with pytest.raises(StorageError, match=rf"^{path}: "):
        open_arrays(path)


def note(shape: tuple, **changed: object) -> bytes:
    """joblib's note of an array, followed by none of its bytes."""
    wrapper = NumpyArrayWrapper(np.ndarray, shape, "C", np.dtype(np.float32), numpy_array_alignment_bytes=None)
    vars(wrapper).update(changed)
    return pickle.dumps({"features": wrapper}, protocol=3)


@pytest.mark.faults
@pytest.mark.parametrize(
    "data",
    [
        note((10**9, 2048)),
        note((2**40, 2**40)),
        note((-5, 2048)),
        note((2.5, 2048)),
        note((3, True)),
        note((1,), dtype=np.dtype("U500000000")),
        b"\x80\x04" + pickle.FRAME + (2**40).to_bytes(8, "little") + b"}.",
        b"\x80\x04" + pickle.BINBYTES8 + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x05" + pickle.BYTEARRAY8 + (2**40).to_bytes(8, "little") + b".",
        b"\x80\x02" + b"]" * 2**19,
    ],
    ids=["rows", "overflow", "negative", "half", "flag", "text", "frame", "bytes", "bytearray", "program"],
)
def test_fault_18_a_small_database_that_promises_much_is_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "3dpw_train_db.pt"
    path.write_bytes(data)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StorageError, match=rf"^{path}: "):
        open_arrays(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 512 * 1024


@pytest.mark.faults
def test_fault_18_an_hdf5_bomb_is_refused(tmp_path: Path):
    path = tmp_path / "insta_train_db.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (10**9, 2048), np.float32, chunks=(1000, 2048), compression="gzip")
    with pytest.raises(StorageError, match=r"features: .*bytes on disk promise \(1000000000, 2048\)"):
        open_arrays(path)


@pytest.mark.faults
def test_fault_19_hdf5_that_points_elsewhere_is_refused(tmp_path: Path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["features"] = np.zeros((3, 2048), np.float32)
    path = tmp_path / "insta_train_db.h5"
    with h5py.File(path, "w") as file:
        file["features"] = h5py.ExternalLink("other.h5", "features")
    with pytest.raises(StorageError, match="features: not an array in this very file"):
        open_arrays(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (4,), np.float32, external=[(str(tmp_path / "other.h5"), 0, 16)])
    with pytest.raises(StorageError, match="features: not an array in this very file"):
        open_arrays(path)
