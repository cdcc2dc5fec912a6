"""Mean parameters of SMPL, from which the papers' regressors start their feedback.

Both files are public, and their fields are known from the code that reads them:

- `neutral_smpl_mean_params.h5` of HMR, HMMR and PHD: `pose` (72,), axis-angle, and `shape` (10,). HMR's trainer
  (src/trainer.py, load_mean_param) discards the root's rotation for half a turn about x, upright where y points down,
  and starts the camera at (0.9, 0, 0), which the file does not have.
- `smpl_mean_params.npz` of SPIN, VIBE and TCMR: `pose` (144,), the first two columns of 24 rotations row by row,
  `shape` (10,) and `cam` (3,), all as SPIN's models/hmr.py takes them.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float

from moviestrip.errors import StorageError
from moviestrip.geometry import matrices_to_pose, rotation_6d_to_matrix

HMR_CAMERA = (0.9, 0.0, 0.0)
MAXIMUM_BYTES = 2**24  # either has a few thousand
WHAT_IT_IS = "mean parameters are neutral_smpl_mean_params.h5 of HMR or smpl_mean_params.npz of SPIN"
SHAPES = {
    ".h5": {"pose": (72,), "shape": (10,)},
    ".npz": {"pose": (144,), "shape": (10,), "cam": (3,)},
}


@dataclass(frozen=True)
class MeanParameters:
    """Where a regressor starts: an upright camera's view of a mean person."""

    camera: Float[np.ndarray, " 3"]  # scale, tx, ty
    pose: Float[np.ndarray, " 72"]  # axis-angle; the root in the camera's frame
    betas: Float[np.ndarray, " 10"]

    @property
    def theta(self) -> Float[np.ndarray, " 85"]:
        return np.concatenate([self.camera, self.pose, self.betas])


def read_mean_parameters(path: Path) -> MeanParameters:
    """The mean parameters in a file of either release; nothing in it can run."""
    if path.suffix not in SHAPES:
        raise StorageError(f"{path}: neither .h5 nor .npz; {WHAT_IT_IS}")
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file; {WHAT_IT_IS}")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_BYTES:,}; {WHAT_IT_IS}")
    expected = SHAPES[path.suffix]
    try:
        stored = _read_hdf5(path, tuple(expected)) if path.suffix == ".h5" else _read_npz(path, tuple(expected))
    except Exception as error:  # a damaged file may raise anything
        reason = " ".join(str(error).split())
        raise StorageError(f"{path}: not a readable file of plain arrays ({reason}); {WHAT_IT_IS}") from error
    fields = {name: _checked(path, name, stored.get(name), shape) for name, shape in expected.items()}
    return _of_hmr(fields) if path.suffix == ".h5" else _of_spin(fields)


def _of_hmr(fields: dict[str, np.ndarray]) -> MeanParameters:
    pose = fields["pose"].copy()
    pose[:3] = (math.pi, 0, 0)
    return MeanParameters(np.array(HMR_CAMERA, np.float32), pose, fields["shape"])


def _of_spin(fields: dict[str, np.ndarray]) -> MeanParameters:
    rotations = rotation_6d_to_matrix(torch.from_numpy(fields["pose"]).reshape(24, 6))
    return MeanParameters(fields["cam"], matrices_to_pose(rotations).numpy(), fields["shape"])


def _read_hdf5(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        own = {name for name in names if isinstance(file.get(name, getlink=True), h5py.HardLink)}
        return {name: file[name][()] for name in own if _is_small(file[name])}


def _is_small(node: h5py.Dataset | h5py.Group) -> bool:
    return isinstance(node, h5py.Dataset) and node.size is not None and node.size <= 144


def _read_npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        promised = sum(member.file_size for member in archive.infolist())
    if promised > MAXIMUM_BYTES:
        raise ValueError(f"it would unpack to {promised:,} bytes")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in names if name in archive.files}


def _checked(path: Path, name: str, value: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if value is None:
        raise StorageError(f"{path}: has no array {name} of {shape[0]} numbers; {WHAT_IT_IS}")
    if value.dtype not in (np.float32, np.float64) or value.size != shape[0] or not np.isfinite(value).all():
        raise StorageError(
            f"{path}: {name} is {value.dtype} {value.shape}, expected {shape[0]} finite numbers; {WHAT_IT_IS}"
        )
    return value.reshape(shape).astype(np.float32)
