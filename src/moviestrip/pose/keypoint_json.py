"""OpenPose's JSON, one file a frame, read without trusting whoever wrote it.

What a video's files say is taken whole or not at all: a frame that is missing, one that nobody asked for, or
a file with anything but finite keypoints makes a `QuarantineError` with the reason 'bad_answer' that names
the file and the frame.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError, QuarantineError
from moviestrip.pose.body25 import OPENPOSE_POINTS, ModelPose, body_25_from_openpose
from moviestrip.tables import ANSWERS, DETECTIONS, empty

SUFFIX = "_keypoints.json"
MAXIMUM_JSON_BYTES = 4 * 2**20
MAXIMUM_PEOPLE = 1000
LARGEST_COORDINATE_PX = 1e6
NAMED_FRAMES = 5
NUMBERED = re.compile(r"(?P<stem>.*?)_?(?P<number>\d{1,12})" + re.escape(SUFFIX))

People = Float[np.ndarray, "people 25 3"]
ShownAt = Callable[[int, float, float], Int[np.ndarray, " instants"]]


@dataclass(frozen=True)
class Answer:
    """What was said of one video: the people of every frame, or why nothing of it is used."""

    video_id: str
    n_frames: int
    people: Sequence[People] = ()
    problem: str = ""


@dataclass(frozen=True)
class Detected:
    """DETECTIONS of the videos that were answered rightly, and ANSWERS of all.

    A frame without people has no rows. A video that has rows is complete: each of its frames was answered.
    """

    detections: pd.DataFrame
    answers: pd.DataFrame


def detected(answers: Sequence[Answer]) -> Detected:
    """Both tables, by video, frame and person."""
    ordered = sorted(answers, key=lambda answer: answer.video_id)
    rows = [
        (answer.video_id, frame, person, keypoints.reshape(-1))
        for answer in ordered
        for frame, people in enumerate(answer.people)
        for person, keypoints in enumerate(people)
    ]
    summaries = [_summary(answer) for answer in ordered]
    return Detected(
        pd.DataFrame(rows, columns=empty(DETECTIONS).columns) if rows else empty(DETECTIONS),
        pd.DataFrame(summaries, columns=empty(ANSWERS).columns) if summaries else empty(ANSWERS),
    )


def _summary(answer: Answer) -> tuple[str, str, str, int, int, int]:
    counts = [len(people) for people in answer.people]
    status = "bad_answer" if answer.problem else "ok"
    return (answer.video_id, status, answer.problem, answer.n_frames, sum(map(bool, counts)), sum(counts))


def import_keypoints(
    videos: pd.DataFrame, folder: Path, model_pose: ModelPose = "BODY_25", shown_at: ShownAt | None = None
) -> Detected:
    """Keypoints that a detector wrote earlier, without running anything.

    A video's files lie in `folder`/NAME, where NAME is its id, or the name of its source with or without suffix.
    They are numbered by frame, as OpenPose numbers a video's from 0 or the images of a folder from 1.

    Args:
        shown_at: the frames shown at another rate, (frames, their rate, wanted rate) -> indices. With it the files
            are of a video's own frames where its `filmed_fps` is not its `fps`; without it, of those at `fps`.
    """
    if not folder.is_dir():
        raise FatalError(f"keypoints: {folder} is not a folder; give one that holds a folder of JSON for each video")
    usable = videos[videos["status"] == "ok"]
    folders = {path.name: path for path in folder.iterdir() if path.is_dir()}
    named = Counter(name for row in usable.to_dict("records") for name in set(_source_names(row)))
    answers = []
    for row in usable.to_dict("records"):
        video_id, n_frames = str(row["video_id"]), int(row["n_frames"])
        try:
            files = numbered_files(_folder_of(row, folders, named))
            people = read_frames([files[frame] for frame in _frames_shown(row, len(files), shown_at)], model_pose)
            answers.append(Answer(video_id, n_frames, people))
        except QuarantineError as error:
            answers.append(Answer(video_id, n_frames, problem=error.detail))
    return detected(answers)


def _source_names(row: Mapping[Hashable, Any]) -> list[str]:
    path = PurePosixPath(str(row["source"]))
    return [name for name in (path.name, path.stem) if name]


def _folder_of(row: Mapping[Hashable, Any], folders: Mapping[str, Path], named: Mapping[str, int]) -> Path:
    """A name is looked up among the folders that are there: text from outside never becomes a path."""
    candidates = [str(row["video_id"]), *_source_names(row)]
    found = next((name for name in candidates if name in folders), None)
    if found is None:
        raise bad_answer(f"no folder of keypoints named {' or '.join(dict.fromkeys(candidates))}")
    if named.get(found, 0) > 1:
        raise bad_answer(f"the folder of keypoints {found} may be of {named[found]} videos; name it {candidates[0]}")
    return folders[found]


def numbered_files(folder: Path) -> list[Path]:
    """The JSON files of one video in the order of its frames, numbered without a gap from 0 or from 1."""
    found: dict[int, Path] = {}
    stems = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        match = NUMBERED.fullmatch(path.name)
        if match is None:
            raise bad_answer(f"{folder.name}/{path.name}: no number of a frame before {SUFFIX}")
        number = int(match["number"])
        if number in found:
            raise bad_answer(f"{folder.name}: {found[number].name} and {path.name} are of one frame")
        found[number] = path
        stems.add(match["stem"])
    if len(stems) > 1:
        raise bad_answer(f"{folder.name}: files of several videos: {_some(sorted(stems))}")
    if not found:
        raise bad_answer(f"{folder.name}: the folder holds no *{SUFFIX}")
    first = min(found, default=0)
    missing = sorted(set(range(first, max(found) + 1)) - set(found))
    if first > 1 or missing:
        raise bad_answer(f"{folder.name}: frames are missing: {_some([str(each) for each in missing or range(first)])}")
    return [found[number] for number in sorted(found)]


def _frames_shown(row: Mapping[Hashable, Any], count: int, shown_at: ShownAt | None) -> list[int]:
    """The files' indices at the video's frames."""
    filmed, fps, n_frames = float(row["filmed_fps"]), float(row["fps"]), int(row["n_frames"])
    frames, rate = list(range(count)), ""
    if shown_at is not None and filmed and filmed != fps:
        frames = [int(frame) for frame in shown_at(count, filmed, fps)]
        rate = f" at {filmed:g} fps, {len(frames)} at {fps:g}"
    if len(frames) != n_frames:
        raise bad_answer(f"keypoints of {count} frames{rate}; the video has {n_frames}")
    return frames


def require_all_frames(found: set[str], expected: Sequence[str]) -> None:
    """Every frame has its file and nothing else was written; both by name, without suffix."""
    missing, extra = sorted(set(expected) - found), sorted(found - set(expected))
    if missing or extra:
        raise bad_answer(
            f"the detector answered {len(found) - len(extra)} of {len(expected)} frames: "
            f"missing {_some(missing)}, unexpected {_some(extra)}"
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED_FRAMES])
    return (shown + (f" and {len(names) - NAMED_FRAMES} more" if len(names) > NAMED_FRAMES else "")) or "none"


def read_frames(paths: Sequence[Path], model_pose: ModelPose) -> list[People]:
    return [read_keypoints(path, model_pose) for path in paths]


def read_keypoints(path: Path, model_pose: ModelPose = "BODY_25") -> People:
    """The people of one frame's JSON in BODY_25; anything but finite keypoints is refused, naming the file."""
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as error:  # the parser stops at a thousand brackets
        raise _malformed(path, f"not JSON ({error})") from error
    people = value.get("people") if isinstance(value, dict) else None
    if not isinstance(people, list):
        raise _malformed(path, "no list 'people'")
    if len(people) > MAXIMUM_PEOPLE:
        raise _malformed(path, f"{len(people)} people, above the limit of {MAXIMUM_PEOPLE}")
    found = [_person_keypoints(path, index, person, model_pose) for index, person in enumerate(people)]
    points = np.array(found, np.float32).reshape(-1, len(OPENPOSE_POINTS[model_pose]), 3)
    return body_25_from_openpose(points, model_pose)


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise _malformed(path, "not a file")
        size = path.stat().st_size
        if size > MAXIMUM_JSON_BYTES:
            raise _malformed(path, f"{size:,} bytes, above the limit of {MAXIMUM_JSON_BYTES:,}")
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise _malformed(path, f"cannot be read ({error.strerror})") from error


def _person_keypoints(path: Path, index: int, person: Any, model_pose: ModelPose) -> np.ndarray:
    expected = 3 * len(OPENPOSE_POINTS[model_pose])
    values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
    if not isinstance(values, list) or len(values) != expected:
        count = len(values) if isinstance(values, list) else "no"
        raise _malformed(path, f"person {index} has {count} values in pose_keypoints_2d, {model_pose} has {expected}")
    for place, number in enumerate(values):
        if type(number) not in (int, float) or not abs(number) <= LARGEST_COORDINATE_PX:
            name = OPENPOSE_POINTS[model_pose][place // 3]
            shown = repr(number)[:20] if isinstance(number, int | float | str) else type(number).__name__
            raise _malformed(path, f"person {index}, {name}: {shown} is not a finite coordinate or confidence")
    return np.array(values, np.float64)


def _malformed(path: Path, problem: str) -> QuarantineError:
    return bad_answer(f"{path.name}: frame '{path.name.removesuffix(SUFFIX)}': {problem}")


def bad_answer(detail: str) -> QuarantineError:
    return QuarantineError("bad_answer", detail)
