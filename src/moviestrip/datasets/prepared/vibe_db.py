"""VIBE's preprocessed databases, `<dataset>_<split>[_<variant>]_db.pt` and `insta_train_db.h5`, and TCMR's variants.

A file is a dictionary of arrays with a row a frame, in which the frames of a sequence lie together; joblib wrote it
uncompressed (InstaVariety's is HDF5). Nothing is loaded but the rows of the sequences asked for.

Where each field's layout is taken from, all of it public (VIBE: github.com/mkocabas/VIBE; TCMR:
github.com/hongsukchoi/TCMR_RELEASE; both under lib/):

- `vid_name`, `frame_id`, `img_name`, `features` (n, 2048), `bbox` (n, 4: centre x, y, width, height, the last two
  equal), `valid`: VIBE's and TCMR's data_utils/threedpw_utils.py, which fill and dump the dictionary
- how a box becomes a crop: gen_trans_from_patch_cv of VIBE's data_utils/img_utils.py, 224 px for the box's width times
  a factor. The factor is not in the file: 1.2 for 3DPW in VIBE's threedpw_utils.py (1.3 in TCMR's), 1.3 by default in
  both feature_extractor.py (MPI-INF-3DHP, Penn Action, PoseTrack), 1.2 in TCMR's `scale12` and 1.0 in its `scale1`
  files (mpii3d_utils.py), 1.2 in its Human3.6M files and 1.0 in the `tight` ones (h36m_utils.py)
- `joints2D` in pixels of the frame: 14 common joints for 3DPW (threedpw_utils.py; dataset/dataset_3d.py reads them as
  'common') and Penn Action (penn_action_utils.py), SPIN's 49 for the others, HMMR's 25 in pixels of the 224 crop for
  InstaVariety (insta_utils.py, dataset/insta.py); the orders are in data_utils/kp_utils.py
- the sides of Penn Action are exchanged: penn_action_utils.py takes the first of each pair for the left one, the files
  have the right one first (VIBE's issues 154 and 256; VIBE then reads the 14 joints as Penn's 13, issue 94)
- `joints3D`: SPIN's 49 in metres relative to the pelvis for Human3.6M and MPI-INF-3DHP (h36m_utils.py,
  mpii3d_utils.py; TCMR's evaluate.py also takes the 14 alone of Human3.6M); for 3DPW SPIN's 49 (train) or the 14 of
  the H36M-style regressor (validation, test) of the neutral body with the release's parameters (threedpw_utils.py). Of
  3DPW the root's rotation is in the camera's frame and the translation is the world's, so only places relative to each
  other mean anything
- `pose` (n, 72) and `shape` (n, 10): 3DPW, and Human3.6M where a row is not all zeros (h36m_utils.py writes zeros
  where it has none)
- `valid_i` of MPI-INF-3DHP's `val` files, which are its test set: mpii3d_utils.py; `theta` of AMASS,
  without features: amass_utils.py

Not confirmed by anything public: the contents of VIBE's own Human3.6M file, which was never released; frames a second
(3DPW 30, Human3.6M 50 and MPI-INF-3DHP as their authors say, and 25 for the others), which no file states.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from moviestrip.config import Split
from moviestrip.datasets.official.base import TRUNK_3
from moviestrip.datasets.official.mpi_inf_3dhp import SEQUENCES as MPI_INF_3DHP_SEQUENCES
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.datasets.prepared.stored import Stored, open_arrays
from moviestrip.errors import ConfigError, StorageError
from moviestrip.skeleton import COMMON_14, HMMR_25, PENN_13, SPIN_49, convert, indices_of, mirror_permutation

FEATURES = 2048
CROP_PX = 224
SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
FILE_NAME = re.compile(r"(?P<dataset>[a-z0-9]+?)_(?:(?P<split>train|val|test)_)?(?:(?P<variant>\w+)_)?db\.(?:pt|h5)")
NUMBER = re.compile(r"(\d{1,18})(?:\.\w+)?$")  # that ends a picture's name
ROWS_AT_ONCE = 100_000
SAME_SIDE = 1e-3  # how much the two sides of a square box may differ
JOINTS_2D = {13: PENN_13, 14: COMMON_14, 25: HMMR_25, 49: SPIN_49}
VARIANT_FACTORS = {"scale12": 1.2, "scale1": 1.0, "tight": 1.0}


@dataclass(frozen=True)
class Layout:
    """What the file of one dataset holds.

    Attributes:
        named: how its sequences are called, after any folders; `video` is the part that all people and pieces share.
        crop_factor: features were computed from this many widths of the box; None: keypoints are those of the crop.
        fps: of the source, where `frame_id` or the picture's name counts every frame.
        counted_from: the number of the first frame.
        splits: what the splits in the names of files are.
    """

    named: str
    joints_2d: tuple[int, ...]
    crop_factor: float | None
    fps: float
    counted_from: int = 0
    joints_3d: tuple[int, ...] = ()
    has_body: bool = False
    has_trunk: bool = False
    exchanged_sides: bool = False
    splits: Mapping[str, Split] = field(default_factory=lambda: SPLITS)


_H36M = r"(?P<video>s_(?P<subject>\d+)_act_(?P<action>\d+)_subact_\d+_ca_(?P<camera>\d+))_\d+|(?P<other>.+)"
_MPII3D = r"(?P<video>subj(?P<subject>\d+)(_seq(?P<sequence>\d+)_vid(?P<camera>\d+))?)_seg\d+"
LAYOUTS = {
    "3dpw": Layout(r"(?P<video>.+_\d\d)_(?P<person>\d+)", (14, 49), 1.2, 30, joints_3d=(14, 49), has_body=True),
    "h36m": Layout(_H36M, (49,), 1.2, 50, joints_3d=(14, 49), has_body=True, has_trunk=True),
    "mpii3d": Layout(
        _MPII3D, (49,), 1.3, 25, 1, joints_3d=(49,), has_trunk=True, splits={"train": "train", "val": "test"}
    ),
    "pennaction": Layout(r"(?P<video>\d{4})(\.mat)?", (13, 14), 1.3, 25, 1, exchanged_sides=True),
    "posetrack": Layout(r"(?P<video>.+)\.json_(?P<person>\d+)", (49,), 1.3, 25),
    "insta": Layout(r"(?P<video>.+)", (25,), None, 25),
}


@dataclass(frozen=True)
class VibeDbOptions:
    """What no file says, or says by its name alone.

    Attributes:
        dataset, split: where the file is not called as VIBE's and TCMR's scripts call it.
        crop_factor: that of the script which made it, where that is another (3DPW by TCMR: 1.3); 1.2 puts keypoints
            where VIBE and TCMR train on them, whatever the features saw.
        fps: of the rows as they follow each other in the file.
        across_gaps: whether a sequence goes on where frames are missing, as VIBE and TCMR take it to.
    """

    dataset: str | None = None
    split: Split | None = None
    crop_factor: float | None = None
    fps: float | None = None
    across_gaps: bool = False


@dataclass(frozen=True)
class ListedSequence:
    """Rows of a file that lie together under one `vid_name`."""

    vid_name: str
    first_row: int
    n_rows: int


def list_sequences(path: Path) -> list[ListedSequence]:
    """Every sequence of a file in its order, from `vid_name` alone; a name in two places is an error."""
    names = _column(path, open_arrays(path), "vid_name")
    starts = _first_rows(path, names)
    stops = [*list(starts.values())[1:], names.shape[0]]
    places = zip(starts.items(), stops, strict=True)
    return [ListedSequence(name, start, stop - start) for (name, start), stop in places]


def list_videos(path: Path, options: VibeDbOptions = VibeDbOptions()) -> dict[str, list[ListedSequence]]:
    """The same sequences by the name of their video: people and pieces of one belong together."""
    database = _open(path, options)
    videos: dict[str, list[ListedSequence]] = {}
    for listed in list_sequences(path):
        videos.setdefault(database.video_of(listed), []).append(listed)
    return videos


def read_sequences(
    path: Path, listed: Sequence[ListedSequence], options: VibeDbOptions = VibeDbOptions()
) -> Iterator[PreparedSequence]:
    """Some of a file's sequences one by one, each in as many pieces as it has stretches without a missing frame."""
    database = _open(path, options)
    for each in listed:
        yield from database.pieces(each)


def _open(path: Path, options: VibeDbOptions) -> "_Database":
    parts = FILE_NAME.fullmatch(path.name)
    known = {} if parts is None else parts.groupdict()
    dataset = options.dataset or known.get("dataset")
    if dataset == "amass":
        raise StorageError(f"{path}: AMASS's motions, without features or pictures; bring AMASS itself")
    if dataset not in LAYOUTS:
        raise ConfigError(f"{path}: of which dataset? name it: {', '.join(LAYOUTS)}")
    split = options.split or LAYOUTS[dataset].splits.get(known.get("split") or "")
    if split is None:
        raise ConfigError(f"{path}: of which split? name it: {', '.join(SPLITS.values())}")
    layout, arrays = LAYOUTS[dataset], open_arrays(path)
    _require_layout(path, dataset, layout, arrays)
    factor = options.crop_factor or _factor(known.get("variant") or "", layout)
    return _Database(path, dataset, layout, split, arrays, factor, options)


def _factor(variant: str, layout: Layout) -> float | None:
    named = [factor for part, factor in VARIANT_FACTORS.items() if part in variant.split("_")]
    return named[0] if named and layout.crop_factor else layout.crop_factor


def _require_layout(path: Path, dataset: str, layout: Layout, arrays: Mapping[str, Stored]) -> None:
    """Shapes and types of every field that is read, so that a wrong file fails before anything is made of it."""
    frames = _column(path, arrays, "features").shape[0]
    expected: dict[str, tuple[tuple[int, ...], ...]] = {
        "features": ((FEATURES,),),
        "joints2D": tuple((count, 3) for count in layout.joints_2d),
    }
    if layout.crop_factor is not None:
        expected["bbox"] = ((4,),)
    if layout.joints_3d:
        expected["joints3D"] = tuple((count, 3) for count in layout.joints_3d)
    if layout.has_body and (dataset == "3dpw" or "pose" in arrays):  # TCMR has files of Human3.6M without bodies
        expected |= {"pose": ((72,),), "shape": ((10,),)}
    for name, shapes in expected.items():
        _require_floats(path, dataset, name, _column(path, arrays, name), frames, shapes)
    for name in ("vid_name", "frame_id", "img_name", "valid", "valid_i"):
        if name in arrays and arrays[name].shape[0] != frames:
            raise StorageError(f"{path}: {name}: {arrays[name].shape[0]} rows, features have {frames}; it is damaged")
    _column(path, arrays, "vid_name")


def _require_floats(
    path: Path, dataset: str, name: str, found: Stored, frames: int, shapes: Sequence[tuple[int, ...]]
) -> None:
    if found.dtype == np.float16:
        raise StorageError(
            f"{path}: {name}: float16, which has steps of 3.9 mm at 5 m and of 0.5 px at 1,000 px; make the file anew "
            f"in float32"
        )
    if found.dtype not in (np.float32, np.float64):
        raise StorageError(f"{path}: {name}: {found.dtype}, expected float32 or float64")
    if found.shape[0] != frames or found.shape[1:] not in shapes:
        wanted = " or ".join(str((frames, *shape)) for shape in shapes)
        raise StorageError(f"{path}: {name}: shape {found.shape}, expected {wanted}; is it a file of {dataset}?")


def _column(path: Path, arrays: Mapping[str, Stored], name: str) -> Stored:
    if name not in arrays:
        raise StorageError(f"{path}: has no '{name}', only {', '.join(sorted(arrays))}; is it VIBE's or TCMR's file?")
    return arrays[name]


def _first_rows(path: Path, names: Stored) -> dict[str, int]:
    """Each name and the row where it begins."""
    starts: dict[str, int] = {}
    last = None
    for first in range(0, names.shape[0], ROWS_AT_ONCE):
        part = names.rows(first, min(first + ROWS_AT_ONCE, names.shape[0]))
        changed = np.flatnonzero(part[1:] != part[:-1]) + 1
        if last is None or part[0] != last:
            changed = np.concatenate([[0], changed])
        for row in changed.tolist():
            name = _text(path, part[row])
            if name in starts:
                raise StorageError(f"{path}: vid_name: '{name}' comes in two places, rows {starts[name]} and "
                                   f"{first + row}; the frames of a sequence must lie together")  # fmt: skip
            starts[name] = first + row
        last = part[-1]
    if not starts:
        raise StorageError(f"{path}: vid_name: none; the file holds no frame")
    return starts


def _text(path: Path, value: object) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: a name is not text ({error})") from error


@dataclass(frozen=True)
class _Database:
    path: Path
    dataset: str
    layout: Layout
    split: Split
    arrays: Mapping[str, Stored]
    crop_factor: float | None
    options: VibeDbOptions

    def pieces(self, listed: ListedSequence) -> Iterator[PreparedSequence]:
        self._require_place(listed)
        name = self._name(listed.vid_name)
        numbers = self._frame_numbers(listed)
        step = _step(numbers)
        starts = [0] if self.options.across_gaps else [0, *(np.flatnonzero(np.diff(numbers) != step) + 1).tolist()]
        if not self.options.across_gaps and (np.diff(numbers) <= 0).any():
            raise StorageError(f"{self.path}: {listed.vid_name}: the numbers of its frames do not rise; "
                               f"`across_gaps` takes them to be one after another, as VIBE does")  # fmt: skip
        for start, stop in zip(starts, [*starts[1:], listed.n_rows], strict=True):
            rows = listed.first_row + start, listed.first_row + stop
            number = max(int(numbers[start]) - self.layout.counted_from, 0)
            yield self._piece(name, rows, number // step, self.options.fps or self._fps(name) / step)

    def _piece(self, name: Mapping[str, str], rows: tuple[int, int], first_frame: int, fps: float) -> PreparedSequence:
        keypoints = self._keypoints(rows)
        crop, measured = self._crop(name["video"], rows)
        return PreparedSequence.of(
            name["video"],
            self.split,
            fps,
            self._floats("features", rows),
            keypoints,
            crop_center_px=crop[:, :2],
            crop_scale=crop[:, 2],
            **self._joints(rows),
            **self._body(rows),
            trusted=self._valid(rows) & measured,
            subject=name["subject"],
            action=name["action"],
            camera=name["camera"],
            person=int(name["person"]),
            first_frame=first_frame,
            source=str(self.path),
        )

    def video_of(self, listed: ListedSequence) -> str:
        return self._name(listed.vid_name)["video"]

    def _require_place(self, listed: ListedSequence) -> None:
        names = self.arrays["vid_name"]
        last = listed.first_row + listed.n_rows - 1
        found = [names.rows(row, row + 1) for row in (listed.first_row, last) if 0 <= row < names.shape[0]]
        if [_text(self.path, each[0]) for each in found] != [listed.vid_name] * 2:
            raise StorageError(f"{self.path}: {listed.vid_name} is no longer in rows {listed.first_row} to {last}; "
                               f"the file is another than when it was planned: plan anew")  # fmt: skip

    def _name(self, vid_name: str) -> dict[str, str]:
        """What the name says; paths of whoever made the file are left out, so that ids do not depend on them."""
        base = vid_name.replace("\\", "/").rsplit("/", 1)[-1]
        match = re.fullmatch(self.layout.named, base)
        if match is None:
            raise StorageError(f"{self.path}: vid_name: '{base}' is not how a sequence of {self.dataset} is called")
        said = {"subject": "", "action": "", "camera": "", "person": "0", "sequence": ""}
        said |= {key: value for key, value in match.groupdict().items() if value is not None}
        said["video"] = said.get("video") or said["other"]
        if said["subject"]:
            test = self.dataset == "mpii3d" and not said["sequence"]
            said["subject"] = f"{'TS' if test else 'S'}{int(said['subject'])}"
        return said

    def _fps(self, name: Mapping[str, str]) -> float:
        """MPI-INF-3DHP was filmed at two rates."""
        if self.dataset == "mpii3d" and name["sequence"]:
            return float(MPI_INF_3DHP_SEQUENCES[f"{name['subject']}/Seq{name['sequence']}"][0])
        return self.layout.fps

    def _frame_numbers(self, listed: ListedSequence) -> Int[np.ndarray, " rows"]:
        """From `frame_id`, or the number that ends a picture's name; without either no frame is missing."""
        rows = listed.first_row, listed.first_row + listed.n_rows
        for name in ("frame_id", "img_name"):
            if name in self.arrays:
                values = self.arrays[name].rows(*rows).reshape(listed.n_rows, -1)[:, 0]
                if values.dtype.kind in "iuf":
                    return values.astype(np.int64)
                return np.array([self._number(name, _text(self.path, value)) for value in values], np.int64)
        return np.arange(listed.n_rows)

    def _number(self, name: str, text: str) -> int:
        found = NUMBER.search(text)
        if found is None:
            raise StorageError(f"{self.path}: {name}: '{text}' ends in no number")
        return int(found.group(1))

    def _floats(self, name: str, rows: tuple[int, int]) -> np.ndarray:
        return self.arrays[name].rows(*rows).astype(np.float32, copy=False)

    def _keypoints(self, rows: tuple[int, int]) -> Float[np.ndarray, "frames 25 3"]:
        """What has no place, or no confidence, is absent."""
        found = self._floats("joints2D", rows)
        names = JOINTS_2D[found.shape[1]]
        if self.layout.exchanged_sides:
            found = found[:, mirror_permutation(names)]
        found = convert(found, names, HMMR_25)
        seen = np.isfinite(found).all(axis=-1) & (found[..., 2] > 0)
        found = np.where(seen[..., None], found, 0).astype(np.float32)
        found[..., 2] = np.minimum(found[..., 2], 1)
        return found

    def _crop(
        self, video: str, rows: tuple[int, int]
    ) -> tuple[Float[np.ndarray, "frames 3"], Bool[np.ndarray, " frames"]]:
        """Centre and scale of what the features saw, and where it had a size: where not, it is filled in."""
        frames = rows[1] - rows[0]
        if self.crop_factor is None:
            return np.tile(np.array([CROP_PX / 2, CROP_PX / 2, 1], np.float32), (frames, 1)), np.ones(frames, bool)
        boxes = self.arrays["bbox"].rows(*rows).astype(np.float64)
        measured = np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
        if not measured.any():
            raise StorageError(f"{self.path}: bbox: {video} has no box in rows {rows[0]} to {rows[1] - 1}")
        width, height = boxes[measured, 2:].T
        if (np.abs(width - height) > SAME_SIDE * width).any():
            raise StorageError(f"{self.path}: bbox: width and height of {video} differ, and a crop would be distorted")
        crops = np.stack([*boxes[measured, :2].T, CROP_PX / (width * self.crop_factor)], axis=1)
        everywhere, known = np.arange(frames), np.flatnonzero(measured)
        filled = [np.interp(everywhere, known, values) for values in crops.T]
        return np.stack(filled, axis=1).astype(np.float32), measured

    def _joints(self, rows: tuple[int, int]) -> dict[str, np.ndarray]:
        if not self.layout.joints_3d:
            return {}
        found = self._floats("joints3D", rows)
        names = JOINTS_2D[found.shape[1]]
        joints_m = found[:, indices_of(COMMON_14, names)]
        has_3d = np.isfinite(joints_m).all(axis=(1, 2))
        known = {"has_3d": has_3d, "joints_m": np.where(has_3d[:, None, None], joints_m, 0)}
        if self.layout.has_trunk and names is SPIN_49:
            known["trunk_m"] = found[:, indices_of(TRUNK_3, names)]
        return known

    def _body(self, rows: tuple[int, int]) -> dict[str, np.ndarray]:
        """A body whose pose is all zeros is one that was not known."""
        if not self.layout.has_body or "pose" not in self.arrays:
            return {}
        pose, betas = self._floats("pose", rows), self._floats("shape", rows)
        has_body = np.isfinite(pose).all(axis=1) & np.isfinite(betas).all(axis=1) & pose.any(axis=1)
        return {"has_body": has_body} | {
            name: np.where(has_body[:, None], values, 0) for name, values in (("pose", pose), ("betas", betas))
        }

    def _valid(self, rows: tuple[int, int]) -> Bool[np.ndarray, " frames"]:
        for name in ("valid", "valid_i"):
            if name in self.arrays:
                return np.asarray(self.arrays[name].rows(*rows).reshape(rows[1] - rows[0], -1)[:, 0] != 0)
        return np.ones(rows[1] - rows[0], bool)


def _step(numbers: Int[np.ndarray, " rows"]) -> int:
    """By how much the numbers of consecutive frames usually differ: 2 where every second frame was left out."""
    rising = np.diff(numbers)
    rising = rising[rising > 0]
    values, counts = np.unique(rising, return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 1
