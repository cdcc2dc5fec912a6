"""Whom of a file a clip shows.

1. A person that is named like a clip is that clip's, and frames count from the clip's first.
2. Else the file's video decides: the folder it lies in, its own name or its `video` array is the video's id; frames
   count from the video's first. Of several people the one whose boxes overlap most with the clip's is taken.
   With a single video in the truth the file need not say which, and with a single person and clip no boxes are needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import ConfigError
from moviestrip.geometry import CROP_PX
from moviestrip.tables import stack

MINIMUM_OVERLAP = 0.3  # mean intersection over union of the boxes in the frames that both have
AT_MOST_NAMED = 5


class Somebody(Protocol):
    """What is known of whom a file speaks of, row by row."""

    @property
    def name(self) -> str: ...

    @property
    def video(self) -> str: ...

    @property
    def frames(self) -> Int[np.ndarray, " rows"]: ...

    @property
    def boxes_px(self) -> Float[np.ndarray, "rows 4"] | None: ...


Person = TypeVar("Person", bound=Somebody)


class Match(NamedTuple, Generic[Person]):
    """A person's rows, and the clip's frames that they speak of."""

    clip_id: str
    person: Person
    rows: np.ndarray
    frames: np.ndarray


@dataclass(frozen=True)
class Matching(Generic[Person]):
    """Who was found for which clip, and the clips for which nobody was."""

    found: tuple[Match[Person], ...]
    by: str
    nobody: tuple[str, ...]


def match_people(people: Sequence[Person], labels: pd.DataFrame, clips: pd.DataFrame) -> Matching[Person]:
    """Find the person of each clip; see the module."""
    frames_of = dict(list(labels.groupby("clip_id")))
    named = {person.name: person for person in people}
    if not named.keys().isdisjoint(clips["clip_id"]):
        pairs = [(clip, named.get(clip), "frame") for clip in clips["clip_id"]]
        by = "clip_id"
    else:
        videos = dict(zip(clips["clip_id"], clips["video_id"], strict=True))
        pairs = [
            (clip, _closest(_people_of(people, video, clips), frames_of[clip], clips, video), "video_frame")
            for clip, video in videos.items()
        ]
        by = "video and overlap of boxes"
    found = [_match(clip, person, frames_of[clip], counted) for clip, person, counted in pairs if person is not None]
    usable = tuple(match for match in found if len(match.rows))
    if not usable:
        raise ConfigError(_nobody_found(people, clips))
    matched = {match.clip_id for match in usable}
    return Matching(usable, by, tuple(clip for clip in clips["clip_id"] if clip not in matched))


def _people_of(people: Sequence[Person], video: str, clips: pd.DataFrame) -> list[Person]:
    only_one = clips["video_id"].nunique() == 1 and len({person.video for person in people}) == 1
    return [person for person in people if only_one or person.video == video]


def _closest(people: list[Person], labels: pd.DataFrame, clips: pd.DataFrame, video: str) -> Person | None:
    if len(people) == 1 and people[0].boxes_px is None and (clips["video_id"] == video).sum() == 1:
        return people[0]
    overlaps = [_mean_overlap(person, labels) for person in people]
    best = int(np.argmax(overlaps)) if overlaps else -1
    return people[best] if overlaps and overlaps[best] >= MINIMUM_OVERLAP else None


def _mean_overlap(person: Somebody, labels: pd.DataFrame) -> float:
    """Of the square boxes of both, over common frames; 0 without boxes or common frames."""
    _, mine, theirs = np.intersect1d(person.frames, labels["video_frame"], return_indices=True)
    if person.boxes_px is None or len(mine) == 0:
        return 0.0
    side = CROP_PX / labels["box_scale"].to_numpy(np.float32)[theirs, None]
    boxes = np.concatenate([stack(labels["box_center_px"], 2)[theirs], side, side], axis=1)
    return float(_overlap(person.boxes_px[mine], boxes).mean())


def _overlap(
    first: Float[np.ndarray, "frames 4"], second: Float[np.ndarray, "frames 4"]
) -> Float[np.ndarray, " frames"]:
    low = np.maximum(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = np.minimum(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    shared = np.maximum(high - low, 0).prod(1)
    return shared / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - shared)


def _match(clip: str, person: Person, labels: pd.DataFrame, counted: str) -> Match[Person]:
    _, rows, theirs = np.intersect1d(person.frames, labels[counted], return_indices=True)
    return Match(clip, person, rows, labels["frame"].to_numpy()[theirs])


def _nobody_found(people: Sequence[Somebody], clips: pd.DataFrame) -> str:
    return (
        f"nobody of the predictions was found in the truth: they have people {few(person.name for person in people)} "
        f"of videos {few(person.video or '(not said)' for person in people)}; the truth has clips "
        f"{few(clips['clip_id'])} of videos {few(clips['video_id'])}; name people by clip_id, or files by their "
        f"video's id"
    )


def few(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - AT_MOST_NAMED} more" if len(unique) > AT_MOST_NAMED else ""
    return ", ".join(unique[:AT_MOST_NAMED]) + more
