"""The TFRecords that HMMR released of InstaVariety and VLOG-people, and those its scripts make of other datasets.

An example is one person over consecutive frames. Where each field's layout is taken from, all of it public:

- insta_variety/train/*.tfrecord, and one file a video in test/: doc/datasets.md, doc/insta_variety.md and doc/eval.md
  of HMMR's repository (akanazawa/human_dynamics)
- names, kinds and shapes: convert_to_example_temporal and read_from_example of its src/datasets/common.py, which
  src/util/data_utils.py (parse_example_proto_temporal), VIBE (lib/data_utils/insta_utils.py) and mmhuman3d
  (data_converters/vlog.py) read the same way. doc/datasets.md says (N*14*2) and 'image/toes_pts', 'image/phi'; the code
  writes frames x (x, y) x 14, 'image/toe_pts' and 'image/phis'
- the order of the 25 keypoints: `image/xys` with `image/visibilities`, `image/face_pts`, `image/toe_pts` one after
  another are HMMR_25; faces and toes may be left out
- with features (training) the keypoints are of the 224 x 224 crop that the features saw, jittered and perhaps mirrored,
  from -1 to 1: src/util/tube_augmentation.py; without, they are pixels of the stored picture: make_test_tfrecords.py
- `mosh/poses`, `mosh/shape` are -1 and `mosh/gt3ds` (metres, in the camera's frame) 0 unless `meta/has_3d` and
  `meta/has_3d_joints`: common.py. In the released files all of them are unknown: doc/datasets.md
- 25 frames a second: as HMMR's Table 1 counts; no field says it

The jitter is not stored, so the crop of a training record cannot be laid back into its frame: the crop is the frame
here. Nor do its `image/filenames` match the frames: those cut off at either end are still among them. Not read are
`image/cams`, `image/heightwidths` and what the crop was made by (centers, scale_factors, crop_pts).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from moviestrip.config import Split
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.datasets.prepared.tfrecord import Example, read_examples
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25

FPS = 25.0
CROP_PX, FEATURES = 224, 2048
MAXIMUM_FRAMES = 100_000
FOLDERS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
BODY, FACE, TOES = 14, 5, 6
MAXIMUM_NORMALISED = 10.0  # of a keypoint beyond the crop; in pixels they are tens and hundreds
_JPEG = b"\xff\xd8"
PICTURES = "image/encoded"


@dataclass(frozen=True)
class RecordSequence:
    """One person over consecutive frames, as one example has it.

    Attributes:
        name: the file and, in the files of many tracks, which of its records.
        keypoints_px: in pixels of the stored pictures; what is not visible is 0.
        time_frames: of test records, where it begins and ends among the frames of its track.
        filenames: of the pictures it was made of; of training records possibly more than frames.
    """

    path: Path
    name: str
    split: Split
    person: int
    filenames: tuple[str, ...]
    phi: Float[np.ndarray, "frames 2048"] | None
    keypoints_px: Float[np.ndarray, "frames 25 3"]
    joints_m: Float[np.ndarray, "frames 14 3"] | None
    pose: Float[np.ndarray, "frames 72"] | None
    betas: Float[np.ndarray, " 10"] | None
    time_frames: tuple[int, int] | None
    pictures: Int[np.ndarray, "frames 2"]  # where their JPEG files lie in `path`: offset, size; or none

    @property
    def n_frames(self) -> int:
        return len(self.keypoints_px)

    def picture(self, frame: int) -> bytes:
        """The JPEG file of a frame, read now."""
        if not len(self.pictures):
            raise StorageError(f"{self.path}: {self.name} was made without pictures")
        offset, size = self.pictures[frame].tolist()
        with self.path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if not content.startswith(_JPEG) or len(content) < size:
            raise StorageError(f"{self.path}: {self.name}: image/encoded of frame {frame} is no JPEG file")
        return content

    def prepared(self) -> PreparedSequence:
        """As an import of features; the crop is the frame."""
        if self.phi is None:
            raise StorageError(
                f"{self.path}: {self.name} has no image/phis: records for evaluation hold pictures alone; import the "
                f"training records, or run the pipeline on the videos"
            )
        return PreparedSequence.of(
            self.name, self.split, FPS, self.phi, self.keypoints_px,
            **self._labels(),
            box_center_px=np.full((self.n_frames, 2), CROP_PX / 2, np.float32),
            box_scale=np.ones(self.n_frames, np.float32),
            subject=_folder_of(self.filenames), person=self.person, source=str(self.path),
        )  # fmt: skip

    def _labels(self) -> dict[str, Any]:
        known = np.ones(self.n_frames, bool)
        labels: dict[str, Any] = {}
        if self.joints_m is not None:
            labels |= {"has_3d": known, "joints_m": self.joints_m}
        if self.pose is not None and self.betas is not None:
            labels |= {"has_body": known, "pose": self.pose, "betas": np.tile(self.betas, (self.n_frames, 1))}
        return labels


def read_folder(folder: Path, split: Split = "train") -> Iterator[PreparedSequence]:
    """Every sequence with features below a folder such as insta_variety/, one at a time."""
    for path in record_files(folder, split):
        for sequence in read_sequences(path, split):
            yield sequence.prepared()


def record_files(folder: Path, split: Split) -> list[Path]:
    below = folder / next(name for name, each in FOLDERS.items() if each == split)
    found = sorted(below.glob("*.tfrecord"))
    if not found:
        raise StorageError(f"{below}: holds no *.tfrecord; put the released records there, as HMMR's doc/eval.md shows")
    return found


def read_sequences(path: Path, split: Split) -> Iterator[RecordSequence]:
    """The sequences of a file; a file for training has many videos, any other one video's people."""
    for number, features in enumerate(read_examples(path, placed=(PICTURES,))):
        many = split == "train"
        name, person = (f"{path.stem}/{number:04d}", 0) if many else (path.stem, number)
        yield _Record(path, number, features).sequence(name, split, person)


def _folder_of(filenames: tuple[str, ...]) -> str:
    """The folder of a video's pictures, which is its id."""
    return re.split(r"[/\\]", filenames[0])[-2] if filenames and re.search(r"[/\\]", filenames[0]) else ""


@dataclass(frozen=True)
class _Record:
    """A record's features, whose failures name it."""

    path: Path
    number: int
    features: Example

    def sequence(self, name: str, split: Split, person: int) -> RecordSequence:
        frames = self._count()
        phi = self._floats("image/phis", (frames, FEATURES)) if self._has("image/phis") else None
        times = self._integers("meta/time_pts", (2,)) if self._has("meta/time_pts") else None
        pictures = self._array(PICTURES, np.int64) if self._has(PICTURES) else np.zeros((0, 2), np.int64)
        if pictures.ndim != 2 or len(pictures) not in (0, frames):
            raise self._failure(PICTURES, f"{len(pictures)} values, expected {frames} of bytes")
        has_body = self._flag("meta/has_3d")
        return RecordSequence(
            path=self.path, name=name, split=split, person=person,
            filenames=self._filenames(), phi=phi, keypoints_px=self._keypoints(frames, phi is not None),
            joints_m=self._joints(frames) if self._flag("meta/has_3d_joints") else None,
            pose=self._floats("mosh/poses", (frames, 72)) if has_body else None,
            betas=self._floats("mosh/shape", (10,)) if has_body else None,
            time_frames=None if times is None else (int(times[0]), int(times[1])), pictures=pictures,
        )  # fmt: skip

    def _count(self) -> int:
        count = int(self._integers("meta/N", (1,))[0])
        if not 0 < count <= MAXIMUM_FRAMES:
            raise self._failure("meta/N", f"{count}, expected a number of frames up to {MAXIMUM_FRAMES:,}")
        return count

    def _keypoints(self, frames: int, normalised: bool) -> Float[np.ndarray, "frames 25 3"]:
        places = self._floats("image/xys", (frames, 2, BODY))
        visible = self._integers("image/visibilities", (frames, 1, BODY)).astype(np.float32)
        parts = [np.concatenate([places, visible], axis=1)]
        for name, joints in (("image/face_pts", FACE), ("image/toe_pts", TOES)):
            given = self._has(name)
            parts.append(self._floats(name, (frames, 3, joints)) if given else np.zeros((frames, 3, joints)))
        keypoints = np.concatenate(parts, axis=2).transpose(0, 2, 1)
        seen = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] > 0)
        keypoints = np.where(seen[..., None], keypoints, 0)
        if normalised:
            farthest = float(np.abs(keypoints[..., :2]).max())
            if farthest > MAXIMUM_NORMALISED:
                raise self._failure("image/xys", f"up to {farthest:.4g}; beside features, the crop is from -1 to 1")
            keypoints[..., :2] = np.where(seen[..., None], (keypoints[..., :2] + 1) / 2 * CROP_PX, 0)
        keypoints[..., 2] = np.minimum(keypoints[..., 2], 1)
        assert keypoints.shape[1] == len(HMMR_25)
        return np.ascontiguousarray(keypoints, np.float32)

    def _joints(self, frames: int) -> Float[np.ndarray, "frames 14 3"]:
        """The 14; some of HMMR's scripts write face and toes behind them."""
        values = self._array("mosh/gt3ds", np.float32)
        if values.size % (frames * 3) or values.size < frames * BODY * 3:
            raise self._failure("mosh/gt3ds", f"{values.size} values, expected {frames} x {BODY} x 3")
        return np.ascontiguousarray(values.reshape(frames, -1, 3)[:, :BODY])

    def _filenames(self) -> tuple[str, ...]:
        names = self.features.get("image/filenames", [])
        if isinstance(names, np.ndarray):
            raise self._failure("image/filenames", f"a list of {names.dtype}, expected bytes")
        return tuple(name.decode(errors="replace") for name in names)

    def _has(self, name: str) -> bool:
        return len(self.features.get(name, ())) > 0

    def _flag(self, name: str) -> bool:
        return self._has(name) and bool(self._integers(name, (1,))[0])

    def _floats(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        return self._shaped(name, np.float32, shape)

    def _integers(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        return self._shaped(name, np.int64, shape)

    def _shaped(self, name: str, kind: type, shape: tuple[int, ...]) -> np.ndarray:
        values = self._array(name, kind)
        if values.size != np.prod(shape):
            raise self._failure(name, f"{values.size} values, expected {' x '.join(map(str, shape))}")
        return values.reshape(shape)

    def _array(self, name: str, kind: type) -> np.ndarray:
        values = self.features.get(name)
        if values is None:
            held = ", ".join(sorted(self.features)) or "nothing"
            raise self._failure(name, f"absent; the record holds {held}")
        if not isinstance(values, np.ndarray) or values.dtype != kind:
            found = values.dtype if isinstance(values, np.ndarray) else "bytes"
            raise self._failure(name, f"a list of {found}, expected {np.dtype(kind)}")
        return values

    def _failure(self, field: str, found: str) -> StorageError:
        return StorageError(f"{self.path}: record {self.number}: {field}: {found}")
