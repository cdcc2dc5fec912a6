"""The mean parameters of HMR and of SPIN are read from their own files, and nothing else is taken for them."""

import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from moviestrip.body.mean_parameters import read_mean_parameters
from moviestrip.errors import StorageError
from moviestrip.geometry import matrix_to_rotation_6d, pose_to_matrices
from moviestrip.models.parameters import ThetaLayout
from moviestrip.models.regressor import mean_theta

DRAW = np.random.default_rng(0)
POSE, BETAS, CAMERA = DRAW.normal(0, 0.3, 72), DRAW.normal(size=10), np.array([0.9, 0.01, -0.02])


def write_hmr(path: Path, **fields: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in {"pose": POSE, "shape": BETAS, **fields}.items():
            file.create_dataset(name, data=values)
    return path


def write_spin(path: Path, **fields: np.ndarray) -> Path:
    rotations = pose_to_matrices(torch.from_numpy(POSE))
    sixd = matrix_to_rotation_6d(rotations).flatten().numpy().astype(np.float32)
    np.savez(path, **{"pose": sixd, "shape": BETAS, "cam": CAMERA.astype(np.float32), **fields})
    return path


def test_hmr_starts_upright_with_its_own_camera(tmp_path: Path):
    found = read_mean_parameters(write_hmr(tmp_path / "neutral_smpl_mean_params.h5"))
    assert np.array_equal(found.pose[3:], POSE[3:].astype(np.float32))
    assert np.allclose(found.pose[:3], [math.pi, 0, 0])
    assert np.array_equal(found.betas, BETAS.astype(np.float32))
    assert np.array_equal(found.camera, np.float32([0.9, 0, 0]))
    assert found.theta.shape == (85,) and found.theta.dtype == np.float32
    ours = mean_theta(ThetaLayout("axis-angle")).numpy()
    assert np.array_equal(found.theta[:6], ours[:6]), "the models' own start is a mean person at rest"


def test_spin_has_a_camera_and_rotations_by_their_columns(tmp_path: Path):
    found = read_mean_parameters(write_spin(tmp_path / "smpl_mean_params.npz"))
    assert np.allclose(found.pose, POSE, atol=1e-6)
    assert np.array_equal(found.betas, BETAS.astype(np.float32))
    assert np.array_equal(found.camera, CAMERA.astype(np.float32))


def test_spins_upright_root(tmp_path: Path):
    sixd = np.tile(np.float32([1, 0, 0, 1, 0, 0]), (24, 1))
    sixd[0] = [1, 0, 0, -1, 0, 0]  # columns (1, 0, 0) and (0, -1, 0): half a turn about x
    found = read_mean_parameters(write_spin(tmp_path / "smpl_mean_params.npz", pose=sixd.ravel()))
    assert np.allclose(np.abs(found.pose[:3]), [math.pi, 0, 0], atol=1e-5) and np.allclose(found.pose[3:], 0, atol=1e-6)


def refuses(path: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        read_mean_parameters(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and all(words in message for words in said) and "\n" not in message


def test_files_that_are_none(tmp_path: Path):
    refuses(tmp_path / "mean.h5", "there is no such file", "neutral_smpl_mean_params.h5 of HMR")
    refuses(tmp_path / "mean.pkl", "neither .h5 nor .npz")
    for name in ("mean.h5", "mean.npz"):
        (tmp_path / name).write_bytes(b"<html>moved</html>")
        refuses(tmp_path / name, "not a readable file of plain arrays")
    for path in (write_hmr(tmp_path / "cut.h5"), write_spin(tmp_path / "cut.npz")):
        path.write_bytes(path.read_bytes()[:700])
        refuses(path, "not a readable file of plain arrays")


def test_fields_that_are_others(tmp_path: Path):
    refuses(write_spin(tmp_path / "a.npz", pose=np.zeros(72)), "pose is float64 (72,), expected 144 finite numbers")
    refuses(write_spin(tmp_path / "b.npz", cam=np.zeros(3, np.float16)), "cam is float16 (3,)")
    refuses(write_hmr(tmp_path / "c.h5", shape=np.full(10, np.nan)), "shape is float64 (10,), expected 10 finite")
    refuses(write_hmr(tmp_path / "d.h5", pose=np.zeros(1000)), "has no array pose of 72 numbers")
    np.savez(tmp_path / "e.npz", pose=np.zeros(144))
    refuses(tmp_path / "e.npz", "has no array shape of 10 numbers")


class Payload:
    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.faults
def test_fault_19_malicious_mean_parameters_never_run_their_payload(tmp_path: Path):
    mark = tmp_path / "owned"
    path = write_spin(tmp_path / "smpl_mean_params.npz", cam=np.array([Payload(mark)], dtype=object))
    refuses(path, "not a readable file of plain arrays")
    assert not mark.exists()
    np.load(path, allow_pickle=True)["cam"]
    assert mark.exists(), "the payload is a real one"


@pytest.mark.faults
def test_fault_19_mean_parameters_do_not_reach_into_other_files(tmp_path: Path):
    write_hmr(tmp_path / "other.h5")
    path = tmp_path / "neutral_smpl_mean_params.h5"
    with h5py.File(path, "w") as file:
        file["pose"] = h5py.ExternalLink("other.h5", "/pose")
        file["shape"] = BETAS
    refuses(path, "has no array pose")
