"""People in files of predictions or truth: their frames, and the points that scores are made of.

What a file has decides where the points come from: pose and shape, posed by the run's body; or its vertices, through
the body's regressors; or joints as they are. `by` chooses one of these.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from jaxtyping import Float, Int

from moviestrip.body.build import one_thread
from moviestrip.body.load import Body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.errors import ConfigError, StorageError
from moviestrip.geometry import matrices_to_pose, pose_to_matrices, rotation_6d_to_matrix
from moviestrip.scoring.pickles import read_pickle
from moviestrip.skeleton import COMMON_14, H36M_17, HMMR_25, indices_of
from moviestrip.tables import PREDICTIONS, read_table, stack

By = Literal["pose", "vertices", "joints"]
BLOCK_FRAMES = 2048
BLOCK_FRAMES_OF_MESH = 256
COMMON_IN_49 = np.arange(25, 39)  # of SPIN's, VIBE's and TCMR's 49 joints
COMMON_IN: Mapping[int, np.ndarray] = {
    14: np.arange(14),
    17: indices_of(COMMON_14, H36M_17),
    25: indices_of(COMMON_14, HMMR_25),
    49: COMMON_IN_49,
}
# What the arrays are called in each file, by our names.
NAMES = {
    "pose": ("pose", "poses"),
    "betas": ("betas", "shapes", "shape"),
    "vertices": ("vertices", "verts"),
    "joints": ("joints3d", "joints_3d", "joints_3d_m", "joints"),
    "boxes": ("bboxes",),
    "frames": ("frame_ids", "frame", "frames"),
    "keypoints": ("keypoints_2d",),
    "valid": ("valid",),
    "starts": ("start_frame", "start_frames"),
    "horizons": ("horizons",),
    "points": ("keypoints_2d", "points_3d_m"),
}
SUFFIXES = (".pkl", ".npz", ".h5", ".hdf5", ".parquet")
Part = tuple[str, str, Mapping[str, Any]]  # name, video and arrays of a person
OUTPUTS = ("vibe_output.pkl", "tcmr_output.pkl", "hmmr_output.pkl")


@dataclass(frozen=True, eq=False)
class Person:
    """One person of a file. Points are metres, wherever their origin is."""

    name: str
    video: str  # the video that the file speaks of, empty when it does not say
    frames: Int[np.ndarray, " frames"]
    joints_m: Float[np.ndarray, "frames 14 3"]
    points_m: Float[np.ndarray, "frames 25 3"] | None  # HMMR's 25, where the body is known
    pose: Float[np.ndarray, "frames 72"] | None
    betas: Float[np.ndarray, "frames 10"] | None
    boxes_px: Float[np.ndarray, "frames 4"] | None  # centre and size
    keypoints_px: Float[np.ndarray, "frames 25 3"] | None
    source: str


def read_people(path: Path, body: Body, by: By | None = None) -> list[Person]:
    """Everyone in a file, or in the output files of a folder of videos (FOLDER/VIDEO/vibe_output.pkl)."""
    if path.is_dir():
        files = sorted(file for name in OUTPUTS for file in path.rglob(name))
        if not files:
            raise ConfigError(f"{path}: no {', '.join(OUTPUTS)} in this folder; give a file, or their folder")
        return [person for file in files for person in read_people(file, body, by)]
    require_file(path)
    return [_person(path, name, video, arrays, body, by) for name, video, arrays in _parts(path)]


def require_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file; give predictions as {', '.join(SUFFIXES)}")
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: its name ends with none of {', '.join(SUFFIXES)}")


def _parts(path: Path) -> Iterator[Part]:
    """Everyone of a file of predictions."""
    if path.suffix == ".parquet":
        table = read_table(path, PREDICTIONS, ["clip_id", "frame", "pose", "betas", "joints_3d_m"])
        columns = {"clip_id": table["clip_id"].to_numpy(str), "frame": table["frame"].to_numpy()}
        shapes = {"pose": (72,), "betas": (10,), "joints_3d_m": (14, 3)}
        yield from split(path, columns | {name: stack(table[name], *shape) for name, shape in shapes.items()})
    elif path.suffix == ".pkl":
        yield from pickled(path)
    else:
        yield from split(path, read_arrays(path))


def pickled(path: Path) -> Iterator[Part]:
    """VIBE's and TCMR's {person: arrays}, or HMMR's arrays of one person."""
    found = read_pickle(path)
    if not isinstance(found, dict) or not found:
        raise StorageError(f"{path}: holds a {type(found).__name__}; a dictionary of people or of arrays is needed")
    video = path.parent.name if path.name in OUTPUTS else path.stem
    if all(isinstance(values, dict) for values in found.values()):
        for name, arrays in found.items():
            yield str(name), video, {str(key): values for key, values in arrays.items() if values is not None}
    else:
        yield "0", video, {str(key): values for key, values in found.items() if values is not None}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Of a .npz, or of HDF5."""
    return _read_npz(path) if path.suffix == ".npz" else _read_hdf5(path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise StorageError(f"{path}: not a .npz of plain arrays ({error}); write it by numpy.savez") from error


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        with h5py.File(path) as file:
            found = {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset)}
    except OSError as error:
        raise StorageError(f"{path}: not a readable HDF5 file ({error}); write it anew") from error
    return {name: values.astype(str) if values.dtype.hasobject else values for name, values in found.items()}


def split(path: Path, arrays: Mapping[str, np.ndarray], row: str = "frame") -> Iterator[Part]:
    """Cut arrays of all rows by clip_id, or by video and person; without either they are of one person."""
    keys = [name for name in ("clip_id", "video", "person") if name in arrays]
    if not keys:
        yield "0", "", arrays
        return
    rows = len(arrays[keys[0]])
    for name, values in arrays.items():
        if np.ndim(values) == 0 or len(values) != rows:
            raise StorageError(
                f"{path}: '{name}' has shape {np.shape(values)}, '{keys[0]}' has {rows} rows; one row a {row} is needed"
            )
    labels = np.stack([np.asarray(arrays[name]).astype(str) for name in keys], axis=1)
    named, owner = np.unique(labels, axis=0, return_inverse=True)
    order, counts = np.argsort(owner.ravel(), kind="stable"), np.bincount(owner.ravel(), minlength=len(named))
    for label, mine in zip(named, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        of = dict(zip(keys, label.tolist(), strict=True))
        part = {name: values[mine] for name, values in arrays.items() if name not in keys}
        yield of.get("clip_id") or "/".join(of.values()), of.get("video", ""), part


def _person(path: Path, name: str, video: str, arrays: Mapping[str, Any], body: Body, by: By | None) -> Person:
    found = Arrays(path, name, arrays)
    if found.has("starts"):
        raise ConfigError(f"{path}: has '{found.key('starts')}', so these are forecasts; score them with --forecast")
    source = by or found.best_source(body)
    points, joints, pose, betas = None, None, None, None
    if source == "pose":
        pose, betas = found.pose(), found.betas()
        found.require_frames(pose, "betas", betas)
        points = posed_points(body, pose, betas)
    elif source == "vertices":
        points = points_of_mesh(found.vertices(body), keypoint_regressor(body))
    else:
        joints = found.joints()
    joints_m = joints if points is None else points[:, indices_of(COMMON_14, HMMR_25)]
    assert joints_m is not None
    count = len(joints_m)
    frames = found.of("frames", (count,)).astype(np.int64) if found.has("frames") else np.arange(count)
    if len(np.unique(frames)) != count:
        raise StorageError(
            f"{path}: person {name} has a frame twice in '{found.key('frames')}'; one row a frame is needed"
        )
    boxes = found.of("boxes", (count, 4)) if found.has("boxes") else None
    keypoints = found.of("keypoints", (count, 25, 3)) if found.has("keypoints") else None
    person = Person(name, video, frames, joints_m, points, pose, betas, boxes, keypoints, found.told(source))
    return person if not found.has("valid") else _rows(person, found.of("valid", (count,)).astype(bool))


def _rows(person: Person, chosen: np.ndarray) -> Person:
    arrays = {name: values[chosen] for name, values in vars(person).items() if isinstance(values, np.ndarray)}
    return Person(**{**vars(person), **arrays})


class Arrays:
    """One person's arrays by our names, whatever the file calls them; what is wrong names file, key and shapes.

    Args:
        leading: what the first axes of poses and joints count: frames, or forecasts and their horizons.
    """

    def __init__(self, path: Path, name: str, arrays: Mapping[str, Any], leading: tuple[str, ...] = ("frames",)):
        self.path, self.name, self.arrays, self.leading = path, name, arrays, leading

    def has(self, ours: str) -> bool:
        return any(theirs in self.arrays for theirs in NAMES[ours])

    def key(self, ours: str) -> str:
        found = next((theirs for theirs in NAMES[ours] if theirs in self.arrays), None)
        if found is None:
            raise ConfigError(
                f"{self.path}: person {self.name} has no '{NAMES[ours][0]}', only {', '.join(sorted(self.arrays))}"
            )
        return found

    def raw(self, ours: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The array as it lies in the file, of this shape; None stands for any length."""
        key = self.key(ours)
        values = np.asanyarray(self.arrays[key])
        right = values.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, values.shape))  # noqa: B905
        if not right or values.dtype.kind not in "fiub":
            lengths = iter(self.leading)
            wanted = ", ".join(next(lengths, "any") if size is None else str(size) for size in shape)
            raise ConfigError(
                f"{self.path}: '{key}' of person {self.name} has shape {values.shape} of {values.dtype}, "
                f"expected numbers of shape ({wanted})"
            )
        return values

    def of(self, ours: str, shape: tuple[int | None, ...]) -> np.ndarray:
        values = self.raw(ours, shape)
        return values if values.dtype.kind in "iub" else np.array(values, np.float32)

    def rows(self, ours: str, *tail: int) -> np.ndarray:
        """The array with its leading axes as one: (rows, *tail)."""
        return self.of(ours, (*(None for _ in self.leading), *tail)).reshape(-1, *tail)

    def tail(self, ours: str) -> tuple[int, ...]:
        """The axes after the leading ones."""
        return np.shape(self.arrays[self.key(ours)])[len(self.leading) :]

    def best_source(self, body: Body) -> By:
        """Pose and shape, unless the file's mesh says that they are of another body; then vertices; then joints."""
        if self.has("vertices"):
            self.vertices(body)
        if self.has("pose") and self.has("betas"):
            return "pose"
        return "vertices" if self.has("vertices") else "joints"

    def pose(self) -> np.ndarray:
        """Axis-angle of any of the forms that a pose comes in: (rows, 72)."""
        tail = self.tail("pose")
        if tail in ((24, 6), (144,)):
            sixd = torch.from_numpy(self.rows("pose", *tail)).reshape(-1, 24, 6)
            return matrices_to_pose(rotation_6d_to_matrix(sixd)).numpy()
        if len(tail) == 3:
            return matrices_to_pose(torch.from_numpy(self.rows("pose", 24, 3, 3))).numpy()
        return self.rows("pose", 72)

    def betas(self) -> np.ndarray:
        """Of every row, be they one for all horizons or not: (rows, 10)."""
        counts = np.shape(self.arrays[self.key("pose")])[: len(self.leading)]
        if np.ndim(self.arrays[self.key("betas")]) == 2 < len(counts) + 1:
            return np.repeat(self.of("betas", (None, 10)), counts[1], axis=0)
        return self.rows("betas", 10)

    def vertices(self, body: Body) -> np.ndarray:
        key = self.key("vertices")
        shape = np.shape(self.arrays[key])
        count = len(self.leading)
        if len(shape) == count + 2 and shape[count] != body.n_vertices:
            raise ConfigError(
                f"{self.path}: '{key}' of person {self.name} has shape {shape}, the body '{body.name}' of this run has "
                f"({body.n_vertices}, 3); set `body` in the configuration to theirs, or score with --by joints"
            )
        values = self.raw("vertices", (*(None for _ in self.leading), body.n_vertices, 3))
        return values.reshape(-1, body.n_vertices, 3)

    def joints(self) -> np.ndarray:
        key = self.key("joints")
        tail = self.tail("joints")
        count = tail[0] if len(tail) == 2 else 0
        if count not in COMMON_IN:
            raise ConfigError(
                f"{self.path}: '{key}' of person {self.name} has shape {np.shape(self.arrays[key])}, expected "
                f"({', '.join(self.leading)}, {' or '.join(map(str, COMMON_IN))}, 3); see docs/score-my-predictions.md"
            )
        return self.rows("joints", count, 3)[:, COMMON_IN[count]]

    def require_frames(self, pose: np.ndarray, ours: str, other: np.ndarray) -> None:
        if len(pose) != len(other):
            raise ConfigError(
                f"{self.path}: '{self.key('pose')}' of person {self.name} has {len(pose)} frames, "
                f"'{self.key(ours)}' has shape {other.shape}"
            )

    def told(self, source: By) -> str:
        keys = {"pose": ("pose", "betas"), "vertices": ("vertices",), "joints": ("joints",)}[source]
        return " and ".join(f"'{self.key(key)}'" for key in keys)


@functools.lru_cache(maxsize=1)
def _keypoints_of(body: Body) -> PosedPoints:
    return PosedPoints(body, keypoint_regressor(body))


def posed_points(body: Body, pose: np.ndarray, betas: np.ndarray) -> np.ndarray:
    points = _keypoints_of(body)

    def of(block: slice) -> np.ndarray:
        with torch.no_grad(), one_thread():  # threads would mostly wait for each other: there is little work in each
            return points(pose_to_matrices(torch.from_numpy(pose[block])), torch.from_numpy(betas[block])).numpy()

    return _in_blocks(len(pose), BLOCK_FRAMES, of)


def points_of_mesh(vertices: np.ndarray, regressor: np.ndarray) -> np.ndarray:
    """Weighted sums of the few vertices that have a weight, block by block: the file may be larger than memory."""
    used = np.flatnonzero(regressor.any(0))
    rows = regressor[:, used].astype(np.float32)
    return _in_blocks(
        len(vertices),
        BLOCK_FRAMES_OF_MESH,
        lambda block: rows @ _frames_of(vertices, block)[:, used].astype(np.float32),
    )


def _frames_of(values: np.ndarray, block: slice) -> np.ndarray:
    """Some frames of an array; one on disk is mapped anew, so that no more of it than these is ever in memory."""
    if not isinstance(values, np.memmap) or not values.flags.c_contiguous:
        return values[block]
    first, last, _ = block.indices(len(values))
    frame_bytes = values.nbytes // len(values)
    shape = (last - first, *values.shape[1:])
    return np.memmap(str(values.filename), values.dtype, "r", values.offset + first * frame_bytes, shape)


def _in_blocks(count: int, size: int, of: Callable[[slice], np.ndarray]) -> np.ndarray:
    blocks = [of(slice(start, start + size)) for start in range(0, count, size)]
    return np.concatenate([*blocks, np.zeros((0, len(HMMR_25), 3), np.float32)])
