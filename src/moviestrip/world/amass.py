"""AMASS: motion capture of many laboratories as poses of one body model, from the .npz files a user brings.

Layout, where each fact is public:

- `SUBSET/SUBJECT/MOTION_poses.npz` (SMPL+H, as `nghorbani/amass`, src/amass/data/prepare_data.py, globs for and VIBE's
  lib/data_utils/amass_utils.py walks) or `SUBSET/SUBJECT/MOTION_stageii.npz` (the later SMPL-X downloads). A subject's
  `shape.npz` and `*_stagei.npz` hold no motion; some subsets carry videos: neither is looked at.
- `poses` (frames, 156), float64: root, 21 joints of the body, 15 of the left and 15 of the right hand, as axis-angle;
  `trans` (frames, 3), metres; `mocap_framerate`: the notebooks of `nghorbani/amass` and VIBE's script. Also there, and
  not needed for a motion of the mean body: `betas` (16), `gender`, `dmpls` (frames, 8).
- SMPL-X files say the same by parts, `root_orient` (frames, 3), `pose_body` (frames, 63) and `pose_hand` (frames, 90),
  and call the rate `mocap_frame_rate`: as public readers of these files list their keys. Their body's rotations are
  taken for SMPL's: the trees are the same, the rest poses nearly.

SMPL's two hand joints take the rotation of the first joint of the index finger, as VIBE's script does (its joints 22
and 37). The world is z up; it is turned about x. A subject's shape is not applied: poses are AMASS's own, bit for bit
where no turn or interpolation changes them; the pelvis moves as the subject's did, so that on a body with other legs
the feet may slide, and are not locked. The floor is put under the feet, as for other recordings.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from moviestrip.config import AmassSampling, Split
from moviestrip.errors import StorageError
from moviestrip.world.footlock import detect_contacts
from moviestrip.world.kinematics import Motion, RestSkeleton, foot_height_m, forward_kinematics

SUFFIXES = ("_poses.npz", "_stageii.npz")
EXPECTED = "AMASS lies as SUBSET/SUBJECT/MOTION_poses.npz"
MINIMUM_FRAMES = 60  # VIBE drops shorter sequences, counted after sampling
MAXIMUM_ARRAY_BYTES = 2**29  # an hour at 120 fps

# The splits that AMASS recommends: nghorbani/amass, src/amass/data/prepare_data.py and notebooks/02-AMASS_DNN.ipynb,
# under the subsets' first names and those of later downloads (both are listed by users of BABEL). The rest trains.
# VIBE's script shows its discriminator all fifteen subsets of 2019, these six too.
SPLIT_OF_SUBSET: dict[str, Split] = {
    "HumanEva": "validation", "MPI_HDM05": "validation", "HDM05": "validation", "SFU": "validation",
    "MPI_mosh": "validation", "MoSh": "validation",
    "Transitions_mocap": "test", "Transitions": "test", "SSM_synced": "test", "SSM": "test",
}  # fmt: skip

BODY_NUMBERS = 66
LEFT_INDEX, RIGHT_INDEX = slice(0, 3), slice(45, 48)  # of a hand pose: 15 joints left, then 15 right
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from z up


@dataclass(frozen=True)
class AmassFile:
    """One recording in the folder."""

    path: Path
    name: str  # SUBSET/SUBJECT/MOTION

    @property
    def subset(self) -> str:
        return self.name.split("/")[0]


@dataclass
class AmassMotions:
    """Every recording under a folder, one after the other in the order of its name; iterate once.

    Attributes:
        dropped: names of those too short, known once the iteration has passed them.
    """

    folder: Path
    rest: RestSkeleton
    fps: float = 25.0
    sampling: AmassSampling = "interpolate"
    files: list[AmassFile] = field(init=False)
    dropped: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.files = list_amass(self.folder)

    def __iter__(self) -> Iterator[Motion]:
        for file in self.files:
            motion = read_motion(file, self.rest, self.fps, self.sampling)
            if len(motion) < MINIMUM_FRAMES:
                self.dropped.append(file.name)
            else:
                yield motion


def list_amass(folder: Path) -> list[AmassFile]:
    """The recordings under a folder, sorted by name; what is misplaced or there twice is an error."""
    paths = sorted(path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}"))
    if not paths:
        raise StorageError(f"{folder}: no *_poses.npz or *_stageii.npz; {EXPECTED}: unpack its archives there")
    files: dict[str, AmassFile] = {}
    for path in paths:
        place = path.relative_to(folder)
        if len(place.parts) < 3:
            raise StorageError(f"{path}: lies {len(place.parts) - 1} folders below {folder}, not two; {EXPECTED}")
        suffix = next(suffix for suffix in SUFFIXES if path.name.endswith(suffix))
        name = place.as_posix().removesuffix(suffix)
        if name in files:
            raise StorageError(f"{path}: the same motion as {files[name].path}; keep one download, SMPL+H or SMPL-X")
        files[name] = AmassFile(path, name)
    return [files[name] for name in sorted(files)]


def split_of_subset(subset: str) -> Split:
    return SPLIT_OF_SUBSET.get(subset, "train")


def read_motion(file: AmassFile, rest: RestSkeleton, fps: float, sampling: AmassSampling) -> Motion:
    """One recording at `fps`, in a world with y up."""
    pose, place_m, recorded_fps = read_arrays(file.path)
    pose, place_m = sample(pose, place_m, recorded_fps, fps, sampling)
    pose[:, :3] = (Rotation.from_matrix(Y_UP) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    translation = (place_m + rest.joints[0]) @ Y_UP.T - rest.joints[0]
    joints, _ = forward_kinematics(pose, translation, rest)
    floor = np.percentile(foot_height_m(joints).min(axis=1), 10)
    translation[:, 1] -= floor
    joints[..., 1] -= floor
    return Motion(
        motion_id=f"amass-{file.name}", family=f"amass-{file.subset}", action=f"amass-{file.subset}",
        source=f"AMASS, {file.name}", cyclic=False, fps=fps, pose=pose.astype(np.float32),
        translation_m=translation.astype(np.float32), contacts=detect_contacts(joints, fps),
    )  # fmt: skip


def sample(
    pose: Float[np.ndarray, "recorded 72"],
    place_m: Float[np.ndarray, "recorded 3"],
    recorded_fps: float,
    fps: float,
    sampling: AmassSampling,
) -> tuple[Float[np.ndarray, "frames 72"], Float[np.ndarray, "frames 3"]]:
    """The recording at another rate.

    `interpolate`, the default: truly at `fps`, as the videos that motions are compared with; along the shortest turn
    between frames, and where a recorded frame falls on the time, that frame itself. `vibe`: every (rate // fps)th
    frame, as VIBE's script, which makes 30 fps of 120 and calls it 25: motions a fifth slower than people's.
    """
    if sampling == "vibe":
        stride = max(1, int(int(recorded_fps) // fps))
        return pose[::stride].copy(), place_m[::stride].copy()
    last = len(pose) - 1
    at = np.arange(int(last * fps / recorded_fps + 1e-6) + 1) * (recorded_fps / fps)
    at = np.where(np.abs(at - np.round(at)) < 1e-6, np.round(at), at).clip(max=last)
    before = at.astype(int)
    share = at - before
    sampled, places = pose[before], place_m[before]
    between = share > 0
    if between.any():
        first, second = (Rotation.from_rotvec(pose[frame[between]].reshape(-1, 3)) for frame in (before, before + 1))
        part = np.repeat(share[between], 24)[:, None] * (first.inv() * second).as_rotvec()
        sampled[between] = (first * Rotation.from_rotvec(part)).as_rotvec().reshape(-1, 72)
        step_m = place_m[before[between] + 1] - place_m[before[between]]
        places[between] += share[between, None] * step_m
    return sampled, places


def read_arrays(path: Path) -> tuple[Float[np.ndarray, "frames 72"], Float[np.ndarray, "frames 3"], float]:
    """SMPL's pose, the translation and the rate of one file, as they were recorded."""
    try:
        with zipfile.ZipFile(path) as archive:
            keys = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            rate = _read_rate(path, archive, keys)
            place = _read_array(path, archive, keys, "trans", 3)
            if "pose_body" in keys:
                body = [_read_array(path, archive, keys, *part) for part in (("root_orient", 3), ("pose_body", 63))]
                hands = _read_array(path, archive, keys, "pose_hand", 90)
            else:
                poses = _read_array(path, archive, keys, "poses", 156)
                body, hands = [poses[:, :BODY_NUMBERS]], poses[:, BODY_NUMBERS:]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise StorageError(f"{path}: damaged or no .npz ({error}); unpack the download again") from error
    parts = [*body, hands[:, LEFT_INDEX], hands[:, RIGHT_INDEX]]
    lengths = {len(part) for part in (*parts, place)}
    if len(lengths) > 1 or min(lengths) < 2:
        raise StorageError(f"{path}: its poses and `trans` have {sorted(lengths)} frames; expected as many each, and 2")
    return np.concatenate(parts, axis=1), place, rate


def _read_array(
    path: Path, archive: zipfile.ZipFile, keys: dict[str, zipfile.ZipInfo], key: str, columns: int
) -> Float[np.ndarray, "frames columns"]:
    values = _read_member(path, archive, keys, key, "f")
    if values.ndim != 2 or values.shape[1] != columns:
        raise StorageError(f"{path}: `{key}` has shape {values.shape}, AMASS's is (frames, {columns})")
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise StorageError(f"{path}: `{key}` is not finite in frame {frame}; unpack it again, or remove it")
    return values


def _read_rate(path: Path, archive: zipfile.ZipFile, keys: dict[str, zipfile.ZipInfo]) -> float:
    key = "mocap_frame_rate" if "mocap_frame_rate" in keys else "mocap_framerate"
    values = _read_member(path, archive, keys, key, "fiu")
    if values.size != 1 or not 1 <= float(values.reshape(())) <= 10_000:
        raise StorageError(f"{path}: `{key}` is {values.tolist()!s:.80}, expected one number of frames a second")
    return float(values.reshape(()))


def _read_member(
    path: Path, archive: zipfile.ZipFile, keys: dict[str, zipfile.ZipInfo], key: str, kinds: str
) -> Float[np.ndarray, "..."]:
    """One array as float64, refused from its header alone where it is too large or of another kind."""
    if key not in keys:
        raise StorageError(f"{path}: lacks `{key}`, it has {sorted(keys)}; not a motion of AMASS")
    with archive.open(keys[key]) as file:
        shape, in_columns, kind = _read_header(path, file, key)
        size_bytes = int(np.prod(shape, dtype=object)) * kind.itemsize
        if size_bytes > MAXIMUM_ARRAY_BYTES:
            raise StorageError(f"{path}: `{key}` declares {shape} {kind}, above the limit of 512 MiB; refused")
        if kind.kind not in kinds or (kind.kind == "f" and kind.itemsize < 4):
            raise StorageError(f"{path}: `{key}` is {kind}, expected float64 or float32; it was not saved by AMASS")
        data = file.read(size_bytes)
        file.read()  # what is left is nothing, and reading to the end checks the archive's checksum
    if len(data) != size_bytes:
        raise StorageError(f"{path}: `{key}` ends after {len(data):,} of {size_bytes:,} bytes; unpack it again")
    values = np.frombuffer(data, kind).reshape(shape, order="F" if in_columns else "C")
    return values.astype(np.float64)


def _read_header(path: Path, file: IO[bytes], key: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return reader(file)
    except ValueError as error:
        raise StorageError(f"{path}: `{key}` is no array ({error}); unpack the download again") from error
