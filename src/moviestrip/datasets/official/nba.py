"""HMMR's NBA dataset, for those who have it: its frames, and its labels as HMMR's evaluation reads them.

It was never released: its authors could not license it (akanazawa/human_dynamics, issue 15), no converter of it is
public, and neither is the form of its original annotation. What is public is the form into which HMMR's code brings
every dataset, and its evaluation reads NBA from just there (src/evaluation/eval.py): nba/val/*.tfrecord and
nba/test/*.tfrecord. Where each field's layout is taken from:

- one file a sequence, one `tf.train.Example` a person; one player a sequence: doc/eval.md, the paper's section 5.1
- `meta/N`, `image/filenames`, `image/heightwidths`, `image/xys` (frames, 2, 14), `image/visibilities` (frames, 14),
  `image/face_pts` (frames, 3, 5), `image/toe_pts` (frames, 3, 6), the names of the 25 joints: doc/datasets.md (which
  writes toes_pts) and src/datasets/common.py, convert_to_example_temporal and read_from_example
- pixels are those of a crop of 224 x 224, and how it was cut: src/datasets/make_test_tfrecords.py, process_image. The
  frame was scaled by `image/scale_factors` (one a frame) to whole pixels, 224 were added on each side, and the crop
  begins at `image/crop_pts`. resize_img (src/util/common.py) gives the factor of the height first, and x is multiplied
  by it: this is undone as it was done. (The scale is kept in float32; where it brings a side to a whole pixel almost
  exactly, the side may be one pixel out, and labels with it by a part in some hundreds.)
- 562 videos for training, 64 for validation, 151 for testing, of 16 games: section 5.1. 43k frames in 28 minutes are 25
  a second: Table 1

Not confirmed by anything public: that records of NBA are named by the folders of their frames (those of Penn Action
are), where the frames lie (here: in frames/), and which of the 25 joints are annotated. Records made for training
(shards, two factors a frame, frames jittered after the factors were noted) cannot be put back into their frames and are
refused here; those that hold features can be imported as they are (datasets/prepared/hmmr_records.py). HMMR's scripts
make records for evaluation of any split.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.pictures import pictures_in, require_within, size_px
from moviestrip.datasets.prepared.tfrecord import Example, read_examples
from moviestrip.errors import StorageError

FPS = 25.0
SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
CROP_PX = 224
PICTURES = "image/encoded"  # crops, which are not read


class Nba(Release):
    """Three-point shots in 16 basketball games, one player annotated in each.

    Rows are of frames in which a joint is visible. A file with several records has several people, numbered in turn.
    """

    name = "nba"
    title = "the NBA dataset of HMMR"
    homepage = "https://akanazawa.github.io/human_dynamics/"
    licence = "never released: its authors do not have the right to license it"
    expected: ClassVar[Mapping[str, int]] = {"train videos": 562, "validation videos": 64, "test videos": 151}
    tree = """
nba/
  frames/SEQUENCE/000001.jpg     as the records name them
  train/SEQUENCE.tfrecord        all three as HMMR's scripts make them for evaluation
  val/SEQUENCE.tfrecord
  test/SEQUENCE.tfrecord
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for part, split in SPLITS.items():
            folder = self.require(part)
            files = sorted(path for path in folder.glob("*.tfrecord") if not path.name.startswith("."))
            if not files:
                raise StorageError(f"{folder}: holds no record such as SEQUENCE.tfrecord")
            for path in files:
                self.require("frames", path.stem)
                yield ReleasedVideo(name=f"{part}/{path.stem}", split=split, file=f"frames/{path.stem}", fps=FPS)

    def people(self, video: ReleasedVideo) -> People:
        path = self.folder / f"{video.name}.tfrecord"
        pictures = pictures_in(self.folder / video.file)
        people, frames, keypoints = [], [], []
        for person, example in enumerate(read_examples(path, placed=(PICTURES,))):
            placed = _in_frame(read_keypoints(path, example), path, example, pictures[0])
            seen = placed[..., 2].any(axis=1)
            people.append(np.full(int(seen.sum()), person))
            frames.append(_frames(path, example, pictures)[seen])
            keypoints.append(placed[seen])
        if not people:
            raise StorageError(f"{path}: holds no record; copy it again")
        stacked = np.concatenate(keypoints)
        require_within(path, stacked, pictures[0])
        return People.of(np.concatenate(people), np.concatenate(frames), keypoints_px=stacked)


def read_keypoints(path: Path, example: Example) -> Float[np.ndarray, "frames 25 3"]:
    """x, y in the crops and confidence 0 or 1 of HMMR_25."""
    n_frames = int(_numbers(path, example, "meta/N", (1,))[0])
    if n_frames < 1:
        raise StorageError(f"{path}: meta/N is {n_frames}, expected a number of frames")
    body = _numbers(path, example, "image/xys", (n_frames, 2, 14))
    visible = _numbers(path, example, "image/visibilities", (n_frames, 1, 14))
    parts = [np.concatenate([body, visible], axis=1)]
    for name, joints in (("image/face_pts", 5), ("image/toe_pts", 6)):
        if example.get(name) is None or not len(example[name]):
            parts.append(np.zeros((n_frames, 3, joints)))
        else:
            parts.append(_numbers(path, example, name, (n_frames, 3, joints)))
    keypoints = np.concatenate(parts, axis=-1).transpose(0, 2, 1)
    seen = (keypoints[..., 2:] > 0) & np.isfinite(keypoints).all(axis=-1, keepdims=True)
    return np.concatenate([np.where(seen, keypoints[..., :2], 0), seen], axis=-1)


def _numbers(path: Path, example: Example, name: str, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    value = example.get(name)
    if not isinstance(value, np.ndarray):
        raise StorageError(f"{path}: has no numbers {name}; it holds {', '.join(sorted(example)) or 'nothing'}")
    if value.size != np.prod(shape):
        raise StorageError(f"{path}: {name} has {value.size} numbers, expected {shape}")
    return value.astype(np.float64).reshape(shape)


def _in_frame(
    keypoints: Float[np.ndarray, "frames 25 3"], path: Path, example: Example, picture: Path
) -> Float[np.ndarray, "frames 25 3"]:
    """The keypoints in pixels of the frames that the crops were cut from."""
    n_frames = len(keypoints)
    sizes = _numbers(path, example, "image/heightwidths", (n_frames, 2))
    factors = example.get("image/scale_factors", np.zeros(0))
    if len(factors) == 2 * n_frames or not (sizes == CROP_PX).all():
        raise StorageError(
            f"{path}: is a record made for training ({len(factors)} scale_factors for {n_frames} frames, crops of "
            f"{int(sizes.max())} px), whose frames are jittered; make it by HMMR's script for "
            f"evaluation, or import its features instead"
        )
    scales = _numbers(path, example, "image/scale_factors", (n_frames, 1))
    corners = _numbers(path, example, "image/crop_pts", (n_frames, 1, 2))
    width, height = size_px(picture)
    size = np.array([height, width])
    used = (np.floor(size * scales) / size)[:, None]  # x by the height's, y by the width's
    if not (np.isfinite(used).all() and (used > 0).all()):
        raise StorageError(f"{path}: image/scale_factors are not scales of pictures of {width} x {height}")
    points = (keypoints[..., :2] + corners - CROP_PX) / used
    return np.concatenate([np.where(keypoints[..., 2:] > 0, points, 0), keypoints[..., 2:]], axis=-1)


def _frames(path: Path, example: Example, pictures: list[Path]) -> Int[np.ndarray, " frames"]:
    """Where each of a record's pictures stands among the video's."""
    names = example.get("image/filenames")
    n_frames = int(_numbers(path, example, "meta/N", (1,))[0])
    if not isinstance(names, list) or len(names) != n_frames:
        raise StorageError(f"{path}: image/filenames are not the names of {n_frames} files")
    files = [PurePosixPath(name.decode(errors="replace")) for name in names]
    place_of = {picture.name: place for place, picture in enumerate(pictures)}
    for file in files:
        if file.parent.name != path.stem:
            raise StorageError(
                f"{path}: is of {file}, not of a picture in a folder {path.stem}; the record is another's"
            )
        if file.name not in place_of:
            raise StorageError(f"{pictures[0].with_name(file.name)}: missing, though {path} names it")
    places = np.array([place_of[file.name] for file in files], np.int64)
    if (np.diff(places) <= 0).any():
        raise StorageError(f"{path}: image/filenames are not in the order of the pictures")
    return places
