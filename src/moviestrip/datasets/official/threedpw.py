"""3D Poses in the Wild as its authors distribute it: folders of images and one pickle a sequence.

Where each field's layout is taken from, all of it public:

- folders, the three splits and what every field of a pickle is: the release's readme.txt and its page's protocols.
  It writes `gender` and `poses2D` where the files have `genders` and `poses2d`, as everyone who reads them spells it
- latin1, a list with an entry a person, the shapes, image_00000.jpg for frame 0: SPIN (datasets/preprocess/pw3d.py),
  VIBE (lib/data_utils/threedpw_utils.py), HMMR (src/datasets/3dpw_to_tfrecords_video.py)
- `cam_poses` (frames, 4, 4) take the world to the camera, x right, y down, z forward: SPIN and VIBE turn the root by
  them; InstantHMR (benchmark/benchlib/threedpw.py) projects `jointPositions` through them and `cam_intrinsics`
- `poses2d` (frames, 3, 18): x, y and confidence of OpenPose's COCO joints, zeros where fewer than 6 were found: the
  readme, and HMMR (src/datasets/threedpw/read_3dpw.py) for their order. Some lie far outside the picture: PoseAug,
  issue 23
- `betas` are 300 for 48 of the 87 people, and all beyond ten are 0; `jointPositions` are SMPL's own 24 joints, posed
  with betas, poses and trans, to 0.001 mm: InstantHMR (README of instanthmr_distill_train)

Not confirmed by anything public: whether `poses2d` count pixels from the centre or the corner of the first (nobody who
reads them takes anything off, and neither does this reader), and the types of the numbers, so both float32 and
float64 are taken, and any numbers for `campose_valid`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from moviestrip.config import Split
from moviestrip.datasets.official.base import Gender, People, Release, ReleasedVideo
from moviestrip.errors import StorageError
from moviestrip.skeleton import COCO_18, HMMR_25, SMPL_24, convert, indices_of
from moviestrip.unpickle import unpickle
from moviestrip.video.images import image_files

FPS = 30.0
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
GENDERS: dict[str, Gender] = {"m": "male", "f": "female"}
AGAIN = "unpack sequenceFiles.zip again"

_PELVIS = SMPL_24.index("pelvis")
# Joints that SMPL's skeleton and a detector place alike.
_LIMBS = tuple(f"{side}_{name}" for side in ("left", "right") for name in "shoulder elbow wrist knee ankle".split())
MAXIMUM_PELVIS_M = 1.0
MAXIMUM_DRIFT_M = 0.05
MAXIMUM_DISTANCE_M = 0.5  # a median; that of matching files is a few centimetres
MINIMUM_COMPARED = 10
ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Person:
    """What a sequence's file says of one person; bodies and joints in the world's frame."""

    gender: Gender
    betas: Float[np.ndarray, " 10"]
    pose: Float[np.ndarray, "frames 72"]
    translation_m: Float[np.ndarray, "frames 3"]
    joints_m: Float[np.ndarray, "frames 24 3"]
    detected_px: Float[np.ndarray, "frames 18 3"]
    trusted: Bool[np.ndarray, " frames"]


@dataclass(frozen=True)
class Sequence:
    """One sequence's file."""

    people: tuple[Person, ...]
    placed: Bool[np.ndarray, " frames"]  # whether the camera's place is known
    rotation: Float[np.ndarray, "frames 3 3"]  # from the world's frame to the camera's
    shift_m: Float[np.ndarray, "frames 3"]
    intrinsics_px: Float[np.ndarray, " 4"]

    @property
    def n_frames(self) -> int:
        return len(self.rotation)


class ThreeDPW(Release):
    """One or two people a sequence, filmed by a hand-held phone; their bodies were found from sensors they wore.

    A release of bodies without joints of the papers' regressor: `has_3d` is false, and each person's joints are those
    of a body of their gender. `trusted` is `campose_valid`, which says that the camera was aligned to the picture.
    The neck among the keypoints is OpenPose's, between the shoulders; heels, toes and the top of the head are absent.
    HMMR's list of test sequences has one more, downtown_cafe_01, which later downloads do not have.
    """

    name = "3dpw"
    title = "3D Poses in the Wild"
    homepage = "https://virtualhumans.mpi-inf.mpg.de/3DPW"
    licence = "non-commercial scientific research; no redistribution"
    # 60 sequences: its page. How they are split: HMMR's lists, and InstantHMR for the 24 of the test.
    expected: ClassVar[Mapping[str, int]] = {"train videos": 24, "validation videos": 12, "test videos": 24}
    tree = """
3dpw/
  imageFiles/
    courtyard_arguing_00/image_00000.jpg        30 images a second
  sequenceFiles/
    train/courtyard_arguing_00.pkl              bodies, cameras, detections
    validation/courtyard_basketball_01.pkl
    test/downtown_arguing_00.pkl
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for split in SPLITS:
            folder = self.require("sequenceFiles", split)
            paths = [path for path in sorted(folder.glob("*.pkl")) if not path.name.startswith(".")]
            if not paths:
                raise StorageError(f"{folder}: holds no sequence such as downtown_arguing_00.pkl; {AGAIN}")
            for path in paths:
                self.require("imageFiles", path.stem)
                action = re.sub(r"_\d+$", "", path.stem)
                yield ReleasedVideo(path.stem, split, f"imageFiles/{path.stem}", FPS, action=action)

    def people(self, video: ReleasedVideo) -> People:
        path = self.require("sequenceFiles", video.split, f"{video.name}.pkl")
        sequence = read_sequence(path)
        _require_images(self.require("imageFiles", video.name), sequence.n_frames, path)
        columns = [_columns(path, number, person, sequence) for number, person in enumerate(sequence.people)]
        count, frames = len(columns), sequence.n_frames
        return People.of(
            np.repeat(np.arange(count), frames),
            np.tile(np.arange(frames), count),
            **{name: np.concatenate([each[name] for each in columns]) for name in columns[0]},
            intrinsics_px=np.tile(sequence.intrinsics_px, (count * frames, 1)),
            gender={number: person.gender for number, person in enumerate(sequence.people)},
        )


def read_sequence(path: Path) -> Sequence:
    """A sequence's pickle, of which nothing runs; everything in it that is not read is left aside."""
    fields = unpickle(path)
    needed = (
        "sequence", "betas", "poses", "trans", "jointPositions", "poses2d", "genders", "cam_poses", "campose_valid",
        "cam_intrinsics",
    )  # fmt: skip
    missing = [name for name in needed if name not in fields]
    if missing:
        raise StorageError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(sorted(fields)) or 'nothing'}")
    if str(fields["sequence"]) != path.stem:
        raise StorageError(f"{path}: is of the sequence {str(fields['sequence'])[:80]!r}; {AGAIN}")
    poses = _numbers(path, "cam_poses", fields["cam_poses"], (None, 4, 4))
    if not len(poses):
        raise StorageError(f"{path}: cam_poses has no frames; {AGAIN}")
    matrix = _numbers(path, "cam_intrinsics", fields["cam_intrinsics"], (3, 3))
    if not (np.isfinite(matrix).all() and (matrix[[0, 1], [0, 1]] > 0).all() and np.allclose(matrix[2], [0, 0, 1])):
        raise StorageError(f"{path}: cam_intrinsics is no camera's matrix: {matrix.tolist()}")
    people, placed = _people(path, fields, len(poses)), _rigid(poses)
    lost = np.flatnonzero(~placed & np.any([person.trusted for person in people], axis=0))
    if len(lost):
        raise StorageError(
            f"{path}: cam_poses of {len(lost)} frames that campose_valid counts are no rotation and shift, such as "
            f"that of frame {lost[0]}: {poses[lost[0]].tolist()}; {AGAIN}"
        )
    return Sequence(
        people=people,
        placed=placed,
        rotation=poses[:, :3, :3],
        shift_m=poses[:, :3, 3],
        intrinsics_px=matrix[[0, 1, 0, 1], [0, 1, 2, 2]],
    )


def _people(path: Path, fields: Mapping[str, Any], n_frames: int) -> tuple[Person, ...]:
    shapes: dict[str, tuple[int, ...]] = {
        "poses": (n_frames, 72), "trans": (n_frames, 3), "jointPositions": (n_frames, 72), "poses2d": (n_frames, 3, 18),
    }  # fmt: skip
    each = {name: _by_person(path, name, fields[name]) for name in (*shapes, "betas", "genders", "campose_valid")}
    counts = {name: len(values) for name, values in each.items()}
    if len(set(counts.values())) > 1 or not counts["poses"]:
        told = ", ".join(f"{count} in {name}" for name, count in counts.items())
        raise StorageError(f"{path}: its fields are of different numbers of people: {told}")
    found = []
    for number in range(counts["poses"]):
        arrays = {
            name: _numbers(path, f"{name}[{number}]", each[name][number], shape) for name, shape in shapes.items()
        }
        found.append(Person(
            gender=_gender(path, number, each["genders"][number]),
            betas=_betas(path, number, each["betas"][number]),
            pose=arrays["poses"],
            translation_m=arrays["trans"],
            joints_m=arrays["jointPositions"].reshape(n_frames, len(SMPL_24), 3),
            detected_px=arrays["poses2d"].transpose(0, 2, 1),
            trusted=_flags(path, number, each["campose_valid"][number], n_frames),
        ))  # fmt: skip
    return tuple(found)


def _by_person(path: Path, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) and (not isinstance(value, np.ndarray) or value.ndim == 0):
        raise StorageError(f"{path}: {name} is a {type(value).__name__}, expected a list with an entry a person")
    return list(value)


def _numbers(path: Path, name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array as float64, of float32 or float64 and of this shape; None is any number."""
    if not isinstance(value, np.ndarray):
        raise StorageError(f"{path}: {name} is a {type(value).__name__}, expected an array of float64; {AGAIN}")
    fits = value.ndim == len(shape) and all(w in (None, h) for w, h in zip(shape, value.shape, strict=True))
    if value.dtype not in (np.float32, np.float64) or not fits:
        expected = ", ".join("frames" if size is None else str(size) for size in shape)
        raise StorageError(f"{path}: {name} is {value.dtype} {value.shape}, expected float64 ({expected}); {AGAIN}")
    return value.astype(np.float64)


def _gender(path: Path, number: int, value: Any) -> Gender:
    if not isinstance(value, str) or value not in GENDERS:
        told = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise StorageError(f"{path}: genders[{number}] is {told}, expected one of {', '.join(GENDERS)}")
    return GENDERS[value]


def _betas(path: Path, number: int, value: Any) -> Float[np.ndarray, " 10"]:
    """The first ten, as every paper takes them: there are 10 or 300, with nothing in the others."""
    betas = _numbers(path, f"betas[{number}]", np.ravel(value) if isinstance(value, np.ndarray) else value, (None,))
    if len(betas) < 10 or not np.isfinite(betas[:10]).all():
        raise StorageError(f"{path}: betas[{number}] has {len(betas)} numbers, expected at least 10 finite ones")
    return betas[:10]


def _flags(path: Path, number: int, value: Any, n_frames: int) -> Bool[np.ndarray, " frames"]:
    flags = value if isinstance(value, np.ndarray) else np.asarray(None)
    if flags.dtype.kind not in "biuf" or flags.shape != (n_frames,) or not np.isin(flags, (0, 1)).all():
        raise StorageError(
            f"{path}: campose_valid[{number}] is {flags.dtype} {flags.shape}, expected a 0 or 1 for each of "
            f"{n_frames} frames"
        )
    return flags.astype(bool)


def _rigid(poses: Float[np.ndarray, "frames 4 4"]) -> Bool[np.ndarray, " frames"]:
    """Which matrices are a rotation and a shift."""
    turns = poses[:, :3, :3]
    with np.errstate(invalid="ignore"):
        off = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
        last_row = np.abs(poses[:, 3] - [0, 0, 0, 1]).max(axis=1)
        close = (off < ROTATION_TOLERANCE) & (last_row < ROTATION_TOLERANCE) & (np.linalg.det(turns) > 0)
    return close & np.isfinite(poses).all(axis=(1, 2))


def _require_images(folder: Path, n_frames: int, sequence_file: Path) -> None:
    """That the nth image by name, which videos are read by, is the nth frame."""
    found = [path.name for path in image_files(folder)]
    expected = [f"image_{frame:05d}.jpg" for frame in range(n_frames)]
    wrong = next((frame for frame, name in enumerate(expected) if found[frame : frame + 1] != [name]), None)
    if wrong is not None:
        there = f"{found[wrong]} stands in its place" if wrong < len(found) else f"it holds {len(found)} images"
        raise StorageError(
            f"{folder}: lacks {expected[wrong]} ({there}), but {sequence_file} has {n_frames} frames; unpack "
            f"imageFiles.zip again"
        )


def _columns(path: Path, number: int, person: Person, sequence: Sequence) -> dict[str, np.ndarray]:
    """One person's columns of `People`, in the camera's frame."""
    pelvis_m = _resting_pelvis_m(path, number, person)
    _require_one_recording(path, number, person, sequence)
    pose, translation_m = person.pose.copy(), np.zeros((sequence.n_frames, 3))
    known = sequence.placed & np.isfinite(np.column_stack([pose, person.translation_m])).all(axis=1)
    if known.any():
        turns, shift_m = sequence.rotation[known], sequence.shift_m[known]
        pose[known, :3] = (Rotation.from_matrix(turns) * Rotation.from_rotvec(pose[known, :3])).as_rotvec()
        translation_m[known] = seen_translation_m(turns, shift_m, person.translation_m[known], pelvis_m)
    return {
        "keypoints_px": _keypoints(person.detected_px, sequence.intrinsics_px),
        "has_body": known,
        "pose": np.where(known[:, None], pose, 0),
        "betas": np.where(known[:, None], person.betas, 0),
        "translation_m": translation_m,
        "trusted": person.trusted,
    }


def seen_translation_m(
    rotation: Float[np.ndarray, "frames 3 3"],
    shift_m: Float[np.ndarray, "frames 3"],
    translation_m: Float[np.ndarray, "frames 3"],
    pelvis_m: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, "frames 3"]:
    """SMPL's translation in the frame of a camera that sees a point X of the world at R X + t.

    SMPL turns a body about its resting pelvis p, which does not lie at the origin, and then shifts it by its
    translation d: a vertex v of the unturned body comes to Q (v - p) + p + d. Seen, it lies at
    R Q (v - p) + R (p + d) + t, which is a body with the root R Q and the translation R (p + d) + t - p.
    """
    return np.einsum("nij,nj->ni", rotation, pelvis_m + translation_m) + shift_m - pelvis_m


def _resting_pelvis_m(path: Path, number: int, person: Person) -> Float[np.ndarray, " 3"]:
    """Where the pelvis of the unposed body is, which no body file need say: a pose leaves it there but for trans."""
    offsets = person.joints_m[:, _PELVIS] - person.translation_m
    offsets = offsets[np.isfinite(offsets).all(axis=1)]
    if not len(offsets):
        return np.zeros(3)
    pelvis_m = np.median(offsets, axis=0)
    drift_m = float(np.median(np.linalg.norm(offsets - pelvis_m, axis=1)))
    if np.linalg.norm(pelvis_m) > MAXIMUM_PELVIS_M or drift_m > MAXIMUM_DRIFT_M:
        raise StorageError(
            f"{path}: jointPositions[{number}] is not of the body that trans[{number}] moves: the pelvis is "
            f"{np.round(pelvis_m, 3).tolist()} m from it, give or take {drift_m:.3g} m; {AGAIN}"
        )
    return pelvis_m


def _require_one_recording(path: Path, number: int, person: Person, sequence: Sequence) -> None:
    """That the joints, seen by the camera, lie where the detections are."""
    joints_m = np.einsum("nij,nkj->nki", sequence.rotation, person.joints_m) + sequence.shift_m[:, None]
    joints_m = joints_m[:, indices_of(_LIMBS, SMPL_24)]
    detected = person.detected_px[:, indices_of(_LIMBS, COCO_18)]
    compared = (detected[..., 2] > 0) & np.isfinite(detected).all(axis=-1) & np.isfinite(joints_m).all(axis=-1)
    compared &= (person.trusted & sequence.placed)[:, None]
    if compared.sum() < MINIMUM_COMPARED:
        return
    joints_m, detected = joints_m[compared], detected[compared]
    fx, fy, cx, cy = sequence.intrinsics_px
    rays = (detected[:, :2] - [cx, cy]) / [fx, fy]
    away_m = float(np.median(np.linalg.norm(joints_m[:, :2] - rays * joints_m[:, 2:], axis=1)))
    if away_m > MAXIMUM_DISTANCE_M or np.median(joints_m[:, 2]) <= 0:
        raise StorageError(
            f"{path}: poses2d[{number}] lies {away_m:.2g} m from jointPositions[{number}] as cam_poses and "
            f"cam_intrinsics see them; the fields are not of one recording, {AGAIN}"
        )


def _keypoints(
    detected_px: Float[np.ndarray, "frames 18 3"], intrinsics_px: Float[np.ndarray, " 4"]
) -> Float[np.ndarray, "frames 25 3"]:
    """HMMR's 25 of the detections; some of those have places that no picture has, and are none."""
    size_px = 2 * intrinsics_px[2:]
    points, confidence = detected_px[..., :2], detected_px[..., 2]
    with np.errstate(invalid="ignore"):
        seen = (confidence > 0) & ((points > -size_px) & (points < 2 * size_px)).all(axis=-1)
    values = np.concatenate([points, np.minimum(confidence, 1)[..., None]], axis=-1)
    return convert(np.where(seen[..., None], values, 0), COCO_18, HMMR_25)
