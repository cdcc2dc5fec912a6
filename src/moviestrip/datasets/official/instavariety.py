"""InstaVariety as HMMR releases it: videos that each user fetches from Instagram, and the tracks OpenPose gave of them.

Where each field's layout is taken from, all of it public:

- insta_variety_train.txt and insta_variety_test.txt, a `tag/video id` a line; InstaVariety.json, a list of posts whose
  `download_tag` and first of `urls` name the file: doc/insta_variety.md of HMMR's repository (akanazawa/human_dynamics)
- videos/tag/id.mp4: its datasets/instavariety/download_insta_variety.py, called with `--savedir videos`; youtube-dl
  puts another ending there where it fetched another container
- InstaVariety_tracks/tag/video id/track id/ with a JSON file a frame: doc/insta_variety.md; read like that by HMMR
  (src/datasets/video_in_the_wild_to_tfrecords.py) and by MotionBERT (tools/convert_insta.py, which skips tracks without
  a file: there are some)
- `frame` counts from 0, the picture that `imloc` names from 1: doc/insta_variety.md
- the keypoints' names, `x`, `y` in pixels of the frame, `logits` as OpenPose's confidence (visible from 0.1 on): both
  scripts. They are BODY_25's; HMMR's 'Head', the top of the head, is in none of the files. `bbox`, `track_id` (not
  unique in a video) and `probability` (null) are not read: a track is its folder
- 2,000 and 545 videos: the two lists. 28,272 videos of 92 tags: doc/insta_variety.md (the paper says 84 hashtags)

Not confirmed by anything public: how the files within a track are named (the order is by `frame`), whether `logits` can
be outside 0..1 (clipped), and at which rate frames were taken from the videos (the repository's own extract_tracks.py
takes all of them; so `frame` counts the video's own frames here).
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from jaxtyping import Float

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.errors import StorageError
from moviestrip.skeleton import BODY_25, HMMR_25, convert

AS_THE_FILE_SAYS_FPS = 0.0  # every video has its own rate; a listing opens none of them
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", "")
MAXIMUM_LIST_BYTES = 64 * 2**20
MAXIMUM_POSTS_BYTES = 2 * 2**30
MAXIMUM_FRAME_BYTES = 2**20
MAXIMUM_FRAMES = 10**7

_LISTS: dict[Split, str] = {"train": "insta_variety_train.txt", "test": "insta_variety_test.txt"}
_POSTS, _TRACKS = "InstaVariety.json", "InstaVariety_tracks"
NAME = re.compile(r"[^/\\\s]+/[^/\\\s]+")
EXAMPLE = "deadlift/44782930_274333323423402_7225259367065452544_n"
_PICTURE_NUMBER = re.compile(r"(\d+)(\.\w+)?$")


def _released_name(name: str) -> str:
    """HMMR's name of a keypoint of BODY_25: 'R Big Toe' for right_big_toe."""
    if name == "mid_hip":
        return "Hip"
    side, _, rest = name.partition("_")
    words = [side[0], *rest.split("_")] if side in ("left", "right") else name.split("_")
    return " ".join(word.capitalize() for word in words)


KEYPOINTS = tuple(_released_name(name) for name in BODY_25)
_OPTIONAL = ("Hip",)  # HMMR_25 has no hip in the middle, and HMMR never reads it


@dataclass(frozen=True)
class Listed:
    """A video that the release lists: where its file is, or why it is left out."""

    name: str
    split: Split
    file: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Post:
    """What InstaVariety.json says of a video: `tag/video id`, and the page it was posted on."""

    name: str
    link: str


class InstaVariety(Release):
    name = "instavariety"
    title = "InstaVariety"
    homepage = "https://github.com/akanazawa/human_dynamics/blob/master/doc/insta_variety.md"
    licence = "None stated for lists and tracks; each video is its Instagram poster's."
    rules = ("hmmr", "all", "listed")
    # Lines of the released lists; those whose videos are gone count as missing.
    expected: ClassVar[Mapping[str, int]] = {"train videos": 2000, "test videos": 545}
    tree = """
instavariety/
  insta_variety_train.txt                       from datasets/instavariety of HMMR's repository
  insta_variety_test.txt
  InstaVariety.json                             only for the rule 'all'
  videos/deadlift/44782930_274333323423402_7225259367065452544_n.mp4    tag, video id
  InstaVariety_tracks/deadlift/44782930_274333323423402_7225259367065452544_n/
    0/                                          a person; one JSON file a frame
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for listed in self._listed():
            if not listed.reason:
                tag, video_id = listed.name.split("/")
                yield ReleasedVideo(
                    name=listed.name, split=listed.split, file=listed.file, fps=AS_THE_FILE_SAYS_FPS, subject=video_id,
                    action=tag,
                )  # fmt: skip

    def missing(self) -> Iterator[tuple[str, str]]:
        """Name of each listed video that `videos` leaves out, and why."""
        return ((listed.name, listed.reason) for listed in self._listed() if listed.reason)

    def people(self, video: ReleasedVideo) -> People:
        """The tracks; of a video of the rule 'all' that HMMR did not track, no rows."""
        return read_tracks(self.folder / _TRACKS / video.name)

    def _listed(self) -> Iterator[Listed]:
        by_tag: dict[str, dict[str, int]] = {}
        tracked = self._tracked() if self.rule == "hmmr" else None
        for name, split in self.splits.items():
            tag, video_id = name.split("/")
            if tag not in by_tag:
                by_tag[tag] = file_sizes(self.folder / "videos" / tag)
            file, reason = file_of(video_id, f"videos/{tag}", by_tag[tag])
            if not reason and tracked is not None and name not in tracked:
                reason = f"{_TRACKS}/{name}: not there"
            yield Listed(name, split, file, reason)

    def _tracked(self) -> set[str]:
        """Videos that have a folder of tracks."""
        with os.scandir(self.require(_TRACKS)) as tags:
            folders = [Path(entry) for entry in tags if entry.is_dir()]
        return {f"{folder.name}/{video.name}" for folder in folders for video in folder.iterdir()}

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """The split of every video of the release by its name, in the order of the lists."""
        found: dict[str, Split] = {}
        lists = _LISTS if self.rule != "listed" else self._own_lists()
        for split, file in lists.items():
            path = self.require(file)
            for name in read_ids(path, NAME, EXAMPLE):
                if found.setdefault(name, split) != split:
                    raise StorageError(f"{path}: {name} is in {lists[found[name]]} too; fetch both lists again")
        if self.rule == "all":
            for post in read_posts(self.require(_POSTS)):
                found.setdefault(post.name, "train")
        return found

    def _own_lists(self) -> dict[Split, str]:
        """The lists that are there, as `moviestrip dataset export` writes one for each split that it has."""
        files: dict[Split, str] = {split: list_of(split) for split in get_args(Split)}
        found = {split: file for split, file in files.items() if (self.folder / file).is_file()}
        if not found:
            raise StorageError(f"{self.folder}: has none of {', '.join(files.values())}")
        return found


def list_of(split: str) -> str:
    """The file that lists the videos of a split."""
    return f"insta_variety_{split}.txt"


def read_ids(path: Path, pattern: re.Pattern[str], example: str) -> list[str]:
    """The lines of a released list, each of which must look like the example."""
    if path.stat().st_size > MAXIMUM_LIST_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_LIST_BYTES:,}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    strange = next((name for name in names if not pattern.fullmatch(name) or ".." in name), None)
    if strange is not None or not names:
        found = "is empty" if strange is None else f"'{strange[:80]}' is no video's name"
        raise StorageError(f"{path}: {found}; a line is like '{example}'; fetch the list again")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise StorageError(f"{path}: {twice} is listed twice; fetch the list again")
    return names


def read_posts(path: Path) -> Iterator[Post]:
    """Every post in InstaVariety.json; a post under several tags is several videos, as its files."""
    posts = _read_json(path, MAXIMUM_POSTS_BYTES)
    if not isinstance(posts, list):
        raise StorageError(f"{path}: is a {type(posts).__name__}, expected a list of posts; fetch it again")
    for number, post in enumerate(posts):
        try:
            name = f"{post['download_tag']}/{_without_suffix(post['urls'][0])}"
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise StorageError(f"{path}: post {number} lacks download_tag or urls; fetch it again") from error
        if not NAME.fullmatch(name) or ".." in name:
            raise StorageError(f"{path}: post {number} names the file '{name[:80]}', expected a tag and a file's name")
        yield Post(name, str(post.get("video_link") or ""))


def file_sizes(folder: Path) -> dict[str, int]:
    """The files of a folder with their bytes; none where there is no such folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


def file_of(stem: str, folder: str, sizes: Mapping[str, int]) -> tuple[str, str]:
    """The file of a video among those of its folder, or else why it has none."""
    empty = ""
    for suffix in VIDEO_SUFFIXES:
        if stem + suffix in sizes:
            if sizes[stem + suffix]:
                return f"{folder}/{stem}{suffix}", ""
            empty = empty or f"{folder}/{stem}{suffix}: empty, its download failed"
    return "", empty or f"{folder}/{stem}.mp4: not there"


def _without_suffix(name: str) -> str:
    suffix = next(suffix for suffix in VIDEO_SUFFIXES if name.endswith(suffix))  # the last is empty
    return name.removesuffix(suffix)


def read_tracks(folder: Path) -> People:
    """Everyone in the tracks of one video, numbered in the order of the tracks' folders; no rows without a folder."""
    tracks = sorted((path for path in folder.glob("*") if path.is_dir()), key=_natural) if folder.is_dir() else []
    read = [track for track in map(read_track, tracks) if track is not None]
    if not read:
        return People.of(np.zeros(0, np.int64), np.zeros(0, np.int64))
    person = np.repeat(np.arange(len(read)), [len(frames) for frames, _ in read])
    frame = np.concatenate([frames for frames, _ in read])
    return People.of(person, frame, keypoints_px=np.concatenate([keypoints for _, keypoints in read]))


def _natural(path: Path) -> tuple[Any, ...]:
    """So that track 10 follows track 9."""
    return tuple((part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", path.name))


def read_track(folder: Path) -> tuple[np.ndarray, Float[np.ndarray, "frames 25 3"]] | None:
    """Frames and keypoints (hmmr_25) of one track, in the order of frames; None of a track without a file."""
    files: dict[int, Path] = {}
    rows: dict[int, list[list[float]]] = {}
    for path in folder.glob("[!.]*.json"):  # a hidden ._*.json is what macOS leaves behind
        frame, points = read_frame(path)
        if frame in files:
            raise StorageError(f"{path}: is of frame {frame}, and so is {files[frame].name}; unpack the tracks again")
        files[frame], rows[frame] = path, points
    if not rows:
        return None
    frames = np.array(sorted(rows), np.int64)
    values = np.array([rows[frame] for frame in frames.tolist()], np.float64)
    seen = np.isfinite(values).all(axis=-1) & (values[..., 2] > 0)
    values = np.where(seen[..., None], values, 0)
    values[..., 2] = np.minimum(values[..., 2], 1)
    return frames, convert(values, BODY_25, HMMR_25).astype(np.float32)


def read_frame(path: Path) -> tuple[int, list[list[float]]]:
    """The frame that a file is of, from 0, and x, y, confidence of each joint of BODY_25."""
    fields = _read_json(path, MAXIMUM_FRAME_BYTES)
    if not isinstance(fields, dict):
        raise StorageError(f"{path}: is a {type(fields).__name__}, expected the fields of a frame")
    lacking = [name for name in ("frame", *KEYPOINTS) if name not in fields and name not in _OPTIONAL]
    if lacking:
        raise StorageError(f"{path}: lacks {', '.join(lacking)}; it holds {', '.join(sorted(fields)) or 'nothing'}")
    points: list[list[float]] = []
    for name in KEYPOINTS:
        point = fields.get(name, {"x": 0, "y": 0, "logits": 0})
        values: list[Any] = [point.get(key) for key in ("x", "y", "logits")] if isinstance(point, dict) else [None]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise StorageError(f"{path}: '{name}' is {str(point)[:80]}, expected numbers as x, y and logits")
        points.append(values)
    return _frame_number(path, fields), points


def _frame_number(path: Path, fields: Mapping[str, Any]) -> int:
    frame = fields["frame"]
    if isinstance(frame, float) and math.isfinite(frame) and frame == int(frame):
        frame = int(frame)
    if not isinstance(frame, int) or isinstance(frame, bool) or not 0 <= frame < MAXIMUM_FRAMES:
        raise StorageError(f"{path}: frame is {str(frame)[:40]}, expected a number from 0")
    picture = _PICTURE_NUMBER.search(str(fields.get("imloc", "")))
    if picture and int(picture[1]) != frame + 1:
        raise StorageError(
            f"{path}: frame is {frame}, imloc '{fields['imloc']}'; frames count from 0 and pictures from 1, so that "
            f"one of them is of another frame"
        )
    return frame


def _read_json(path: Path, maximum_bytes: int) -> Any:
    try:
        if path.stat().st_size > maximum_bytes:
            raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {maximum_bytes:,}")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: damaged, or not JSON ({error}); fetch or unpack it again") from error
