"""PyTorch's checkpoints: the parts that are taken, the parts that are not, and the payloads that never run."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from moviestrip.errors import StorageError
from moviestrip.models.checkpoints.torch_file import read_torch_file


def vibe_like(**changes) -> dict:
    """A file with VIBE's top-level keys."""
    generator = OrderedDict({"encoder.linear.weight": torch.arange(6.0).reshape(2, 3), "counted": torch.tensor(7)})
    return {
        "epoch": 12,
        "gen_state_dict": generator,
        "performance": np.float64(56.25),
        "gen_optimizer": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]},
        "disc_motion_state_dict": OrderedDict({"fc.bias": torch.ones(1)}),
        "disc_motion_optimizer": {"state": {}, "param_groups": []},
        **changes,
    }


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request, tmp_path: Path):
    def write(values) -> Path:
        path = tmp_path / "model.pth.tar"
        torch.save(values, path, _use_new_zipfile_serialization=request.param)
        return path

    return write


def test_only_the_networks_and_two_numbers_are_taken(save):
    file = read_torch_file(save(vibe_like(batch_generator=torch.ones(3))))
    assert {name: list(tensors) for name, tensors in file.sections.items()} == {
        "gen_state_dict": ["encoder.linear.weight", "counted"],
        "disc_motion_state_dict": ["fc.bias"],
    }
    assert file.facts == {"epoch": 12, "performance": 56.25}
    weight = file.sections["gen_state_dict"]["encoder.linear.weight"]
    np.testing.assert_array_equal(weight, np.arange(6, dtype=np.float32).reshape(2, 3), strict=True)


def test_numbers_of_an_older_numpy_are_read(tmp_path: Path):
    """The releases were written when NumPy's maker of scalars lived elsewhere."""
    path = tmp_path / "old.pth.tar"
    torch.save(vibe_like(performance=np.float32(0.5)), path, _use_new_zipfile_serialization=False)
    old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != path.read_bytes()
    path.write_bytes(old)
    assert read_torch_file(path).facts["performance"] == 0.5


@pytest.mark.parametrize("number", [np.int64(3), np.complex128(1), np.str_("word")])
def test_other_numbers_of_numpy_are_refused(save, number):
    with pytest.raises(StorageError, match="a NumPy number that is not a little-endian float"):
        read_torch_file(save(vibe_like(performance=number)))


class Payload:
    """Runs a function when it is unpickled by an ordinary unpickler."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.faults
@pytest.mark.parametrize("function", [open, os.mkdir, eval, np.save, torch.save])
def test_fault_19_a_malicious_pth_tar_never_runs_its_payload(save, tmp_path: Path, function):
    ran = tmp_path / "ran"
    arguments = {
        open: (str(ran), "w"),
        os.mkdir: (str(ran),),
        eval: (f"open({str(ran)!r}, 'w')",),
        np.save: (f"{ran}.npy", [1]),
        torch.save: ([1], str(ran)),
    }[function]
    path = save(vibe_like(evil=Payload(function, *arguments)))
    with pytest.raises(StorageError, match=r"model\.pth\.tar: .*it asks for \S+, which no checkpoint needs") as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("ran*"))
    pickle.loads(pickle.dumps(Payload(function, *arguments)))
    assert list(tmp_path.glob("ran*")), "the payload does nothing, so the test shows nothing"


@pytest.mark.faults
def test_fault_19_a_plain_pickle_with_a_payload_never_runs_it(tmp_path: Path):
    path = tmp_path / "model.pth.tar"
    path.write_bytes(pickle.dumps({"gen_state_dict": Payload(os.mkdir, str(tmp_path / "ran"))}, protocol=2))
    with pytest.raises(StorageError, match="not a checkpoint that is safe to load"):
        read_torch_file(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.faults
def test_fault_18_a_compressed_archive_that_unpacks_to_more_is_refused(tmp_path: Path):
    path = tmp_path / "bomb.pth.tar"
    torch.save(vibe_like(model={"weight": torch.zeros(1_000_000)}), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert path.stat().st_size < 50_000
    with pytest.raises(StorageError, match=r"bomb\.pth\.tar: unpacks to 40\d{5} bytes, more than it has"):
        read_torch_file(path)


@pytest.mark.faults
def test_fault_18_tensors_that_repeat_a_few_bytes_are_refused(save):
    path = save({"model": {"weight": torch.zeros(1).expand(1_000_000, 1000)}})
    with pytest.raises(StorageError, match=r"model\['weight'\] claims to be \(1000000, 1000\), more than the file has"):
        read_torch_file(path)
    once = torch.zeros(20_000)
    with pytest.raises(StorageError, match="its tensors claim 800000 bytes, more than the file has"):
        read_torch_file(save({"model": {f"weight{i}": once for i in range(10)}}))


def test_what_does_not_fit_is_named(save, tmp_path: Path):
    for values, said in (
        ([1, 2], "holds a list, a checkpoint holds named parts"),
        ({"state_dict": {}, "epoch": 1}, "holds state_dict, epoch, none of gen_state_dict"),
        ({"model": [1]}, "its model is a list, not named tensors"),
        ({"model": {"a": "text"}}, r"model\['a'\] is str, not a tensor"),
        ({"model": {"a": torch.eye(3).to_sparse()}}, r"model\['a'\] is torch.float32, not a tensor of plain numbers"),
        ({"model": {"a": torch.ones(2, dtype=torch.bfloat16)}}, r"model\['a'\] is torch.bfloat16"),
    ):
        with pytest.raises(StorageError, match=said):
            read_torch_file(save(values))
    with pytest.raises(StorageError, match="there is no such checkpoint"):
        read_torch_file(tmp_path / "none.pth.tar")


@pytest.mark.faults
def test_a_truncated_file_is_refused(save):
    path = save(vibe_like())
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError, match="not a checkpoint that is safe to load") as caught:
            read_torch_file(path)
        assert "\n" not in str(caught.value)
