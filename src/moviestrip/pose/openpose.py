"""Any program that speaks OpenPose's command line and JSON, run safely over the videos of one shard.

The frames of several videos go to one folder of images and one process reads them all, so that the start-up of
the program is paid once; or the program is given the video files themselves. Several processes share a shard. The
program is trusted with nothing: it may hang, crash, skip frames or write nonsense. A video that it answered wrongly
is given again, in the end alone, and if that helps no more it is put aside with the reason.
"""

import contextlib
import heapq
import logging
import math
import os
import shlex
import shutil
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import pandas as pd

from moviestrip.config import DetectorSettings
from moviestrip.errors import ConfigError, FatalError, MoviestripError, QuarantineError, RetryableError
from moviestrip.parts import part_file
from moviestrip.pose.given import FramesOf, Given, give_images, give_video, video_files
from moviestrip.pose.keypoint_json import SUFFIX, Answer, Detected, detected, read_frames, require_all_frames
from moviestrip.pose.processes import NOT_FOUND_STATUS, run_program, several_at_once, termination_as_exception
from moviestrip.progress import track

FRAMES_A_CALL = 1000  # of several videos together: what bounds the files on disk (1 GB of 1080p) and a call's time
# So many videos failing alone, and none answered, is no longer about the videos.
FAILURES_OF_A_MACHINE = 4
POINTLESS = (*NOT_FOUND_STATUS, 2)  # to repeat: 2 says that the command line is wrong, here as elsewhere
LOG_COLUMNS = 80

log = logging.getLogger(__name__)


def detect_shard(
    videos: pd.DataFrame,
    frames_of: FramesOf,
    settings: DetectorSettings,
    maximum_people: int = 1,
    root: Path | None = None,
    smallest_person_px: float | None = None,
) -> Detected:
    """What the detector says of a shard's usable videos, and what became of each.

    Args:
        frames_of: gives the RGB frames of a video by its id; asked once for each.
        smallest_person_px: down to which the embedded program looks for several people; by default it decides.
        root: the folder that the `path` of a video starts from; needed where the program reads video files.
    """
    usable = videos[videos["status"] == "ok"]
    if usable.empty:
        return detected([])
    command = command_line(settings, maximum_people, smallest_person_px)
    frames = {str(row["video_id"]): int(row["n_frames"]) for row in usable.to_dict("records")}
    unwanted = threading.Event()
    with termination_as_exception(), tempfile.TemporaryDirectory(prefix="moviestrip-detect-") as folder:
        if settings.reads == "video":
            give = partial(give_video, video_files(usable, root), frames)
        else:
            give = partial(give_images, frames_of, Path(folder) / "frames", unwanted)
        shard = _Shard(command, give, frames, settings, Path(folder), unwanted)
        shard.ask()
        return detected(shard.verdict())


def command_line(settings: DetectorSettings, maximum_people: int, smallest_person_px: float | None = None) -> list[str]:
    """The program and its options, up to the folders of one call."""
    common = ["--model_pose", settings.model_pose, "--display", "0", "--render_pose", "0"]
    if settings.command != "embedded":
        return [*shlex.split(settings.command), *common]
    if settings.model_pose != "BODY_25":
        raise ConfigError(
            f"detector.model_pose: the embedded program offers BODY_25, not {settings.model_pose}; change it, or give "
            f"detector.command a program that does"
        )
    finder = ready_finder(settings, maximum_people)
    part_file("blazepose-finder")
    part_file(f"blazepose-{settings.landmark_model}")
    embedded = [sys.executable, "-m", "moviestrip.pose.program", "--landmark_model", settings.landmark_model]
    is_asked = smallest_person_px is not None and finder == "movenet" and maximum_people > 1
    smallest = ["--smallest_person", f"{smallest_person_px:g}"] if is_asked else []
    return [*embedded, "--finder", finder, "--number_people_max", str(maximum_people), *smallest, *common]


def ready_finder(settings: DetectorSettings, maximum_people: int) -> str:
    """The finder to use, its weights fetched; `auto` is MoveNet for several people, where it can be had."""
    if settings.finder == "blazepose" or (settings.finder == "auto" and maximum_people == 1):
        return "blazepose"
    try:
        part_file("movenet-graph")
        part_file("movenet-weights")
    except MoviestripError as error:
        if settings.finder == "movenet":
            raise
        _warn_once(f"detector.finder auto: BlazePose finds people, because MoveNet cannot be had ({error})")
        return "blazepose"
    return "movenet"


@cache
def _warn_once(message: str) -> None:
    _warn(message)


def _warn(message: str) -> None:
    log.warning(textwrap.fill(message, LOG_COLUMNS, subsequent_indent="  ", break_long_words=False))


def shares(frames: Mapping[str, int], processes: int, most_frames: int = FRAMES_A_CALL) -> list[tuple[str, ...]]:
    """The videos dealt to calls of nearly equal length, the longest first; as many calls as there are processes.

    There are more where these would be longer than `most_frames`; a longer video has one for itself.
    """
    count = min(len(frames), max(processes, math.ceil(sum(frames.values()) / most_frames)))
    calls: list[list[str]] = [[] for _ in range(count)]
    lightest = [(0, 0, index) for index in range(count)]
    for video_id in sorted(frames, key=lambda each: (-frames[each], each)):
        length, videos, index = heapq.heappop(lightest)
        calls[index].append(video_id)
        heapq.heappush(lightest, (length + frames[video_id], videos + 1, index))
    return [tuple(sorted(call)) for call in calls]


@dataclass(frozen=True)
class _Failure:
    """Why a video is not answered yet; `crashed` when the program failed as a whole."""

    problem: str
    n_frames: int
    crashed: bool
    alone: bool


@dataclass(frozen=True)
class _Heard:
    """What came out of one call."""

    answers: dict[str, Answer]
    failures: dict[str, _Failure]


@dataclass
class _Shard:
    """Videos given to a program until each is answered, or has failed alone."""

    command: Sequence[str]
    give: Given
    frames: Mapping[str, int]
    settings: DetectorSettings
    folder: Path
    unwanted: threading.Event
    answers: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, _Failure] = field(default_factory=dict)

    def ask(self) -> None:
        """Give the videos in shares; those that failed again, and in the last attempt each alone."""
        for attempt in range(1, self.settings.attempts + 1):
            pending = {video_id: frames for video_id, frames in self.frames.items() if video_id not in self.answers}
            if not pending:
                return
            last = attempt == self.settings.attempts > 1
            alone = last or self.settings.reads == "video"
            calls = [(each,) for each in sorted(pending)] if alone else shares(pending, self.settings.processes)
            self._round(attempt, calls, sum(pending.values()))

    def _round(self, attempt: int, calls: Sequence[tuple[str, ...]], total: int) -> None:
        folders = [self.folder / f"call-{attempt}-{index}" for index in range(len(calls))]
        tasks = [partial(self._call, *call) for call in zip(calls, folders, strict=True)]
        with contextlib.closing(self._ticks(attempt, tasks, folders, total)) as ticks:
            for _ in track(ticks, "detect" if attempt == 1 else f"detect, attempt {attempt}", total):
                pass

    def _ticks(
        self, attempt: int, tasks: Sequence[Callable[[], _Heard]], folders: Sequence[Path], total: int
    ) -> Generator[None, None, None]:
        """Once for each frame answered, as the program's files appear."""
        told = finished = 0
        with contextlib.closing(several_at_once(tasks, self.settings.processes, self.unwanted)) as results:
            for heard in results:
                if heard is not None:
                    self._settle(attempt, heard)
                    finished += sum(answer.n_frames for answer in heard.answers.values())
                found = min(total, finished + sum(map(_files_in, folders)))
                yield from (None for _ in range(told, found))
                told = max(told, found)

    def _call(self, video_ids: tuple[str, ...], folder: Path) -> _Heard:
        """Run the program over some videos, and take from what it wrote the videos that are complete."""
        output = folder / "json"
        output.mkdir(parents=True)
        source, names = self.give(video_ids, folder)
        arguments = [*self.command, *source, "--write_json", str(output)]
        own = (FatalError.exit_code,) if self.settings.command == "embedded" else ()
        crash = ""
        try:
            run_program(arguments, self.settings.timeout_s, folder / "said", self.unwanted, (*POINTLESS, *own))
        except RetryableError as error:
            crash = str(error)
        heard = self._heard(output, names, crash)
        shutil.rmtree(folder)
        return heard

    def _heard(self, output: Path, names: Mapping[str, list[str]], crash: str) -> _Heard:
        owners = {frames[0].rpartition("_")[0]: video_id for video_id, frames in names.items()}
        written: dict[str | None, set[str]] = {}
        for path in output.iterdir():
            name = path.name.removesuffix(SUFFIX)
            written.setdefault(owners.get(name.rpartition("_")[0]), set()).add(name)
        heard = _Heard({}, {})
        for video_id, frames in names.items():
            try:
                require_all_frames(written.get(video_id, set()) | written.get(None, set()), frames)
                people = read_frames([output / f"{name}{SUFFIX}" for name in frames], self.settings.model_pose)
                heard.answers[video_id] = Answer(video_id, len(frames), people)
            except QuarantineError as error:
                failure = _Failure(crash or error.detail, len(frames), bool(crash), len(names) == 1)
                heard.failures[video_id] = failure
        return heard

    def _settle(self, attempt: int, heard: _Heard) -> None:
        self.answers.update(heard.answers)
        self.failures.update(heard.failures)
        for video_id in heard.answers:
            shutil.rmtree(self.folder / "frames" / video_id, ignore_errors=True)
        for problem in dict.fromkeys(failure.problem for failure in heard.failures.values()):
            _warn(f"detector, attempt {attempt} of {self.settings.attempts}: {problem}")
        alone = [failure for failure in self.failures.values() if failure.crashed and failure.alone]
        if not self.answers and len(alone) >= FAILURES_OF_A_MACHINE:
            raise RetryableError(f"{alone[-1].problem} (so with {len(alone)} videos alone, and none was answered)")

    def verdict(self) -> list[Answer]:
        """The answers, and the videos to put aside; RetryableError where the machine is more likely the cause."""
        failed = {video_id: self.failures[video_id] for video_id in self.frames if video_id not in self.answers}
        crashed = [failure for failure in failed.values() if failure.crashed]
        if crashed and (len(crashed) == len(self.frames) or not all(failure.alone for failure in crashed)):
            count = self.settings.attempts
            raise RetryableError(f"{crashed[-1].problem} (after {count} attempt{'s' if count > 1 else ''})")
        if failed:
            _warn(f"detector: {len(failed)} of {len(self.frames)} videos are put aside (bad_answer)")
        aside = [Answer(video_id, each.n_frames, problem=_reason(each)) for video_id, each in failed.items()]
        return [*self.answers.values(), *aside]


def _reason(failure: _Failure) -> str:
    return f"the detector crashed on it alone: {failure.problem}" if failure.crashed else failure.problem


def _files_in(folder: Path) -> int:
    """Of a call that is running; its folder goes when it is done."""
    try:
        with os.scandir(folder / "json") as entries:
            return sum(1 for _ in entries)
    except FileNotFoundError:
        return 0
