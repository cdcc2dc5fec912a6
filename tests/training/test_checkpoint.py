"""Checkpoints are data: reading one runs nothing, whoever wrote it."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from moviestrip.errors import StorageError
from moviestrip.training.checkpoint import FORMAT, read_checkpoint, read_tensors


class Payload:
    """Makes a folder when it is unpickled carelessly."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.faults
@pytest.mark.parametrize("written_by", ["torch", "torch before 1.6", "pickle"])
@pytest.mark.parametrize("read", [read_checkpoint, read_tensors])
def test_fault_19_a_malicious_checkpoint_never_runs_its_payload(tmp_path: Path, written_by: str, read):
    mark, path = tmp_path / "owned", tmp_path / "model.pt"
    content = {"format": FORMAT, "weights": {"a": torch.zeros(2)}, "design": Payload(mark)}
    if written_by == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=written_by == "torch")
    with pytest.raises(StorageError, match=r"model\.pt: not a readable checkpoint") as caught:
        read(path)
    assert not mark.exists() and "\n" not in str(caught.value)
    torch.load(path, weights_only=False) if written_by != "pickle" else pickle.loads(path.read_bytes())
    assert mark.exists(), "the payload is a real one"
