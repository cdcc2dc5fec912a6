"""Any program that speaks OpenPose's command line and JSON, run safely over the videos of one shard.

The frames of all the shard's videos go to one folder of images and one process reads them all, so that the
start-up of the program is paid once. The program is trusted with nothing: it may hang, crash, skip frames or
write nonsense. It runs in a process group of its own that is ended as a whole, its output is checked frame by
frame, and attempts are bounded.
"""

import contextlib
import ctypes
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from moviestrip.config import DetectorSettings
from moviestrip.errors import ConfigError, FatalError, MoviestripError, RetryableError
from moviestrip.parts import part_file
from moviestrip.progress import track
from moviestrip.skeleton import BODY_25
from moviestrip.tables import DETECTIONS, empty

FramesOf = Callable[[str], Iterator[UInt8[np.ndarray, "height width 3"]]]

# Six times faster than PNG to write and read, a third of its size, and closer to the frame than the video was.
IMAGE_OPTIONS = (
    *(cv2.IMWRITE_JPEG_QUALITY, 98),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
VALUES = 3 * len(BODY_25)
MAXIMUM_JSON_BYTES = 4 * 2**20
MAXIMUM_JSON_DEPTH = 8
MAXIMUM_PEOPLE = 1000
LARGEST_COORDINATE_PX = 1e6
STDERR_LINES = 8
SECONDS_BETWEEN_COUNTS = 0.5
NAMED_FRAMES = 5
PR_SET_PDEATHSIG = 1
POINTLESS_TO_REPEAT = (ConfigError.exit_code, FatalError.exit_code)  # of the embedded program
# One thread; and glibc keeps large buffers for the next frame, which saves a sixth of the time with MoveNet.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**28),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}

log = logging.getLogger(__name__)


def detect_shard(
    videos: pd.DataFrame, frames_of: FramesOf, settings: DetectorSettings, maximum_people: int = 1
) -> pd.DataFrame:
    """The DETECTIONS of a shard's usable videos; `frames_of` gives the RGB frames of a video by its id.

    A frame without people has no rows. A video that has rows in the table is complete: every one of its
    frames was answered by the program.
    """
    usable = sorted(videos.loc[videos["status"] == "ok", "video_id"])
    if not usable:
        return empty(DETECTIONS)
    with tempfile.TemporaryDirectory(prefix="moviestrip-detect-") as folder:
        images = Path(folder) / "images"
        images.mkdir()
        names = [name for video_id in usable for name in write_images(images, video_id, frames_of(video_id))]
        people = _detected(command_line(settings, maximum_people), images, names, settings)
    return detections_table(people)


def command_line(settings: DetectorSettings, maximum_people: int) -> list[str]:
    """The program and its options, up to the folders of one call."""
    common = ["--model_pose", "BODY_25", "--display", "0", "--render_pose", "0"]
    if settings.command != "embedded":
        return [*shlex.split(settings.command), *common]
    finder = ready_finder(settings, maximum_people)
    part_file("blazepose-finder")
    part_file(f"blazepose-{settings.landmark_model}")
    embedded = [sys.executable, "-m", "moviestrip.pose.program", "--landmark_model", settings.landmark_model]
    return [*embedded, "--finder", finder, "--number_people_max", str(maximum_people), *common]


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
        log.warning("detector.finder auto: BlazePose finds people, because MoveNet cannot be had (%s)", error)
        return "blazepose"
    return "movenet"


def write_images(folder: Path, video_id: str, frames: Iterator[np.ndarray]) -> list[str]:
    """Write a video's frames as numbered images; returns their names without suffix."""
    names = []
    for index, frame in enumerate(frames):
        name = f"{video_id}_{index:06d}"
        path = folder / f"{name}.jpg"
        if not cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), IMAGE_OPTIONS):
            raise FatalError(f"{path}: cannot be written; is the folder for temporary files full?")
        names.append(name)
    return names


def _detected(
    command: Sequence[str], images: Path, names: Sequence[str], settings: DetectorSettings
) -> dict[str, np.ndarray]:
    """Run the program until one attempt answers every frame: name -> (people, 25, 3)."""
    problem = ""
    for attempt in range(1, settings.attempts + 1):
        output = images.parent / f"json-{attempt}"
        output.mkdir()
        arguments = [*command, "--image_dir", str(images), "--write_json", str(output)]
        try:
            run_program(arguments, settings.timeout_s, images.parent / f"said-{attempt}", output, len(names))
            require_all_frames(output, names)
            return {name: read_keypoints(output / f"{name}_keypoints.json") for name in names}
        except RetryableError as error:
            problem = str(error)
            log.warning("detector, attempt %d of %d: %s", attempt, settings.attempts, problem)
    raise RetryableError(f"{problem} (after {settings.attempts} attempts)")


def run_program(arguments: Sequence[str], timeout_s: float, said: Path, output: Path, frames: int) -> None:
    """Run a program to its end, what it says kept in the file `said`; nothing it started outlives this call.

    Progress is told by the files that appear in `output`.
    """
    program = Path(arguments[0]).name
    environment = {**ENVIRONMENT, **os.environ}
    with said.open("wb") as file:
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment,
                start_new_session=True, preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip
        except OSError as error:
            raise FatalError(
                f"detector.command: {arguments[0]!r} cannot be run ({error.strerror}); give the path of an OpenPose "
                f"program, or `embedded`"
            ) from error
        try:
            for _ in track(answers(process, timeout_s, output, frames), "detect", frames):
                pass
        except subprocess.TimeoutExpired as error:
            raise RetryableError(
                f"{program}: still running after detector.timeout_s = {timeout_s:g} s, ended; {_tail(said)}"
            ) from error
        finally:
            _end_group(process)
    status = process.returncode
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
        failure = FatalError if status in POINTLESS_TO_REPEAT else RetryableError
        raise failure(f"{program}: {how}; {_tail(said)}")


def answers(process: subprocess.Popen[bytes], timeout_s: float, output: Path, frames: int) -> Iterator[int]:
    """Count the frames answered so far until the program ends; TimeoutExpired when it takes too long."""
    deadline = time.monotonic() + timeout_s
    answered = 0
    while process.returncode is None:
        left_s = deadline - time.monotonic()
        try:
            process.wait(max(0.0, min(left_s, SECONDS_BETWEEN_COUNTS)))
        except subprocess.TimeoutExpired:
            if left_s <= SECONDS_BETWEEN_COUNTS:
                raise
        found = min(frames, sum(1 for _ in output.iterdir()))
        yield from range(answered, found)
        answered = max(answered, found)


def _die_with_parent() -> None:
    """In the child: ask Linux to end it when this process dies, however that happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything it started; a group that is already gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(said: Path) -> str:
    lines = [line.strip() for line in said.read_text("utf-8", "replace").splitlines() if line.strip()]
    return "it said: " + " | ".join(lines[-STDERR_LINES:]) if lines else "it said nothing"


def require_all_frames(output: Path, names: Sequence[str]) -> None:
    """Every frame has its JSON and nothing else was written."""
    found = {path.name.removesuffix("_keypoints.json") for path in output.iterdir()}
    missing, extra = sorted(set(names) - found), sorted(found - set(names))
    if missing or extra:
        raise RetryableError(
            f"the detector answered {len(found) - len(extra)} of {len(names)} frames: "
            f"missing {_some(missing)}, unexpected {_some(extra)}"
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED_FRAMES])
    return (shown + (f" and {len(names) - NAMED_FRAMES} more" if len(names) > NAMED_FRAMES else "")) or "none"


def read_keypoints(path: Path) -> Float[np.ndarray, "people 25 3"]:
    """The people of one frame's JSON; anything but finite BODY_25 keypoints is refused, naming the file."""
    size = path.stat().st_size
    if size > MAXIMUM_JSON_BYTES:
        raise _malformed(path, f"{size:,} bytes, above the limit of {MAXIMUM_JSON_BYTES:,}")
    text = path.read_text("utf-8", "replace")
    if _depth(text) > MAXIMUM_JSON_DEPTH:
        raise _malformed(path, f"nested deeper than {MAXIMUM_JSON_DEPTH}")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _malformed(path, f"not JSON ({error})") from error
    people = value.get("people") if isinstance(value, dict) else None
    if not isinstance(people, list):
        raise _malformed(path, "no list 'people'")
    if len(people) > MAXIMUM_PEOPLE:
        raise _malformed(path, f"{len(people)} people, above the limit of {MAXIMUM_PEOPLE}")
    found = [_person_keypoints(path, index, person) for index, person in enumerate(people)]
    return np.array(found, np.float32).reshape(-1, len(BODY_25), 3)


def _depth(text: str) -> int:
    """How deep brackets nest; those inside strings count too, which only makes the check stricter."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _person_keypoints(path: Path, index: int, person: Any) -> list[float]:
    values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
    if not isinstance(values, list) or len(values) != VALUES:
        count = len(values) if isinstance(values, list) else "no"
        raise _malformed(path, f"person {index} has {count} values in pose_keypoints_2d, expected {VALUES}")
    for place, number in enumerate(values):
        usable = isinstance(number, int | float) and not isinstance(number, bool)
        if not usable or not abs(number) <= LARGEST_COORDINATE_PX:
            name = BODY_25[place // 3]
            raise _malformed(path, f"person {index}, {name}: {number!r} is not a finite coordinate or confidence")
    return values


def _malformed(path: Path, problem: str) -> FatalError:
    frame = path.name.removesuffix("_keypoints.json")
    return FatalError(f"{path.name}: frame '{frame}': {problem}; the detector must write OpenPose's BODY_25 JSON")


def detections_table(people: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows of DETECTIONS from `<video_id>_<frame>` -> (people, 25, 3)."""
    rows = []
    for name, found in people.items():
        video_id, _, frame = name.rpartition("_")
        rows += [(video_id, int(frame), person, keypoints.reshape(-1)) for person, keypoints in enumerate(found)]
    if not rows:
        return empty(DETECTIONS)
    return pd.DataFrame(rows, columns=[column.name for column in DETECTIONS.columns])
