"""Penn Action as its authors distribute it: folders of pictures, and a MATLAB file of labels for each.

Where each field's layout is taken from, all of it public:

- Penn_Action/{frames/0001/000001.jpg, labels/0001.mat}, 2326 of each: HMMR (src/datasets/upenn_to_tfrecords_video.py),
  VIBE (lib/data_utils/penn_action_utils.py), the README of ZhongxiaYan/video_prediction
- `x`, `y`, `visibility` (frames, 13), `nframes` (1, 1), `action`: HMMR's read_upenn.py, VIBE, ROMP's PennAction
  reader; that x and y of some copies are whole numbers (uint16): a public conversion script to HDF5
- `train` is 1 for training, and what is not above 0 is for testing: HMMR's read_labels
- the names of the 15 actions: that conversion script, which also quotes the joints' names from the README
- joints: the README lists head, left_shoulder, right_shoulder, left_elbow, ... In the files the person's own right
  comes first. HMMR, deephar (deephar/utils/pose.py, pa16j) and ROMP (PennAction_13) read the right one first; VIBE
  follows the README, and its users who drew the labels found them inverted (its issues 154 and 256)
- the head: HMMR and VIBE take it for the top of the head

Not confirmed by anything public: that x and y count pixels from 1. They are written by MATLAB, whose pictures begin at
(1, 1), so 1 is taken off here; HMMR, VIBE and ROMP take nothing off. How many frames a second the videos had is stated
nowhere: HMMR's Table 1 (77k frames, 51 minutes) counts 25, and all four papers take every frame. `bbox`, `dimensions`
and `pose` (which names the view) are not read; one reader found a bbox row missing.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.matlab import read_mat
from moviestrip.datasets.official.pictures import pictures_in, require_within
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25, PENN_13, convert, indices_of

FPS = 25.0
ACTIONS = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing", "jump_rope",
    "jumping_jacks", "pullup", "pushup", "situp", "squat", "strum_guitar", "tennis_forehand", "tennis_serve",
)  # fmt: skip

# The columns of x, y and visibility, left and right being the person's own.
COLUMNS = (
    "head_top", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_wrist", "left_wrist",
    "right_hip", "left_hip", "right_knee", "left_knee", "right_ankle", "left_ankle",
)  # fmt: skip

HELD_OUT_EVERY = 10
MATLAB_ORIGIN_PX = 1


class PennAction(Release):
    """One person in each of 2326 videos of 15 sports.

    With the rule 'hmmr' every tenth of the test videos by name, from the first one, is for validation: so does HMMR's
    code, and its paper sets aside 10 % of the test set. 'official' is the release's own split. With 'vibe' all videos
    are for training, as VIBE's and TCMR's preparation reads them without regard to the split.

    Frames without a visible joint have no row. Joints that are not visible have no confidence, wherever they lie.
    """

    name = "penn-action"
    title = "Penn Action"
    homepage = "https://dreamdragon.github.io/PennAction/"
    licence = "quoted by no public source; who builds on it says: not for redistribution"
    rules = ("hmmr", "official", "vibe")
    # The set's page counts 2326 videos; HMMR section 5.1 prints 1068 for testing (and, one short, 1257 for training).
    # With the rule 'hmmr' 107 of the 1068 are held out.
    expected: ClassVar[Mapping[str, int]] = {"train videos": 1258, "validation videos": 107, "test videos": 961}
    tree = """
Penn_Action/
  frames/0001/000001.jpg     and 000002.jpg, ...; folders 0001 to 2326
  labels/0001.mat
""".strip("\n")

    @cached_property
    def root(self) -> Path:
        """Of frames/ and labels/: the archive unpacks into Penn_Action/."""
        inner = self.folder / "Penn_Action"
        return inner if inner.is_dir() else self.folder

    def videos(self) -> Iterator[ReleasedVideo]:
        names = self._names()
        n_test = 0
        for name in names:
            action, is_train = read_facts(self.root / "labels" / f"{name}.mat")
            split: Split = "train" if is_train or self.rule == "vibe" else "test"
            if split == "test":
                split = "validation" if self.rule == "hmmr" and n_test % HELD_OUT_EVERY == 0 else "test"
                n_test += 1
            file = (self.root / "frames" / name).relative_to(self.folder).as_posix()
            yield ReleasedVideo(name=name, split=split, file=file, fps=FPS, action=action)

    def _names(self) -> list[str]:
        """Of videos that have both pictures and labels, which all must have."""
        parts = [self.root.relative_to(self.folder) / part for part in ("frames", "labels")]
        frames, labels = (self.require(str(part)) for part in parts)
        pictured = {path.name for path in frames.iterdir() if path.is_dir() and not path.name.startswith(".")}
        labelled = {path.stem for path in labels.glob("*.mat") if not path.name.startswith(".")}
        if not labelled:
            raise StorageError(f"{labels}: holds no labels such as 0001.mat; unpack the archive again")
        for name in sorted(pictured ^ labelled):
            lacking, there = (labels / f"{name}.mat", frames) if name in pictured else (frames / name, labels)
            raise StorageError(f"{lacking}: missing, though {there} has {name}; unpack the archive again")
        return sorted(labelled)

    def people(self, video: ReleasedVideo) -> People:
        path = self.root / "labels" / f"{video.name}.mat"
        keypoints = read_keypoints(path)
        _require_pictures(self.folder / video.file, path, keypoints)
        frames = np.flatnonzero(keypoints[..., 2].any(axis=1))
        return People.of(
            np.zeros(len(frames), np.int64), frames, keypoints_px=convert(keypoints[frames], PENN_13, HMMR_25)
        )


def read_facts(path: Path) -> tuple[str, bool]:
    """The action, and whether the video is for training."""
    found = read_mat(path, "action", "train")
    action = found["action"][0] if isinstance(found["action"], list) and found["action"] else found["action"]
    if action not in ACTIONS:
        raise StorageError(f"{path}: action is {action!r}, expected one of {', '.join(ACTIONS)}")
    train = _whole_number(path, "train", found["train"])
    if train not in (-1, 0, 1):
        raise StorageError(f"{path}: train is {train}, expected 1 for training or -1 for testing")
    return action, train > 0


def read_keypoints(path: Path) -> Float[np.ndarray, "frames 13 3"]:
    """x, y and visibility 0 or 1 of PENN_13, the centre of the first pixel at (0, 0)."""
    found = read_mat(path, "x", "y", "visibility", "nframes")
    n_frames = _whole_number(path, "nframes", found["nframes"])
    columns = [_column(path, name, found[name], n_frames) for name in ("x", "y", "visibility")]
    if not np.isin(columns[2], (0, 1)).all():
        raise StorageError(f"{path}: visibility has values other than 0 and 1")
    points = np.stack(columns[:2], axis=-1) - MATLAB_ORIGIN_PX
    seen = (columns[2] > 0) & np.isfinite(points).all(axis=-1)
    keypoints = np.concatenate([np.where(seen[..., None], points, 0), seen[..., None]], axis=-1)
    return keypoints[:, indices_of(PENN_13, COLUMNS)]


def _whole_number(path: Path, name: str, value: Any) -> int:
    if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "iufb" or value.item() % 1:
        raise StorageError(f"{path}: {name} is {_what(value)}, expected one whole number")
    return int(value.item())


def _column(path: Path, name: str, value: Any, n_frames: int) -> Float[np.ndarray, "frames 13"]:
    expected = (n_frames, len(COLUMNS))
    sound = isinstance(value, np.ndarray) and value.dtype.kind in "iufb" and value.dtype != np.float16
    if not sound or value.shape != expected:
        raise StorageError(f"{path}: {name} is {_what(value)}, expected numbers {expected}: nframes by 13 joints")
    return value.astype(np.float64)


def _what(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)[:80]


def _require_pictures(folder: Path, path: Path, keypoints: Float[np.ndarray, "frames 13 3"]) -> None:
    """That the labels are of these pictures, of which there is one for each row."""
    pictures = pictures_in(folder)
    if len(pictures) < len(keypoints):
        raise StorageError(
            f"{folder}: {len(pictures)} pictures, but {path} labels {len(keypoints)} frames; unpack the archive again"
        )
    require_within(path, keypoints, pictures[0])
