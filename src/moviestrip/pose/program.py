"""The embedded 2D pose detector as a program that speaks OpenPose's command line and writes its JSON.

Run as `python -m moviestrip.pose.program --image_dir FOLDER --write_json FOLDER --model_pose BODY_25`. It is
called in exactly the way OpenPose is, so that either can take the other's place. One JSON file is written for
each frame; frames are independent, so any subset in any order gives the same files.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from moviestrip import __version__
from moviestrip.errors import ConfigError, FatalError, MoviestripError
from moviestrip.pose.people import PeopleDetector

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
NO_LIMIT = -1
PEOPLE_WITHOUT_LIMIT = 30
LOWEST_SMALLEST_PERSON_PX = 20

# OpenPose's flags that change nothing here: accepted, so that a command line for one serves the other.
IGNORED_FLAGS = (
    "display", "render_pose", "model_folder", "net_resolution", "net_resolution_dynamic", "scale_number", "scale_gap",
    "num_gpu", "num_gpu_start", "logging_level", "disable_multi_thread", "disable_blending", "render_threshold",
    "profile_speed", "no_gui_verbose", "cli_verbose", "write_video", "write_images", "prototxt_path",
    "caffemodel_path",
)  # fmt: skip
# Flags of OpenPose that would change the output in a way this program cannot.
REFUSED_UNLESS = {"face": "false", "hand": "false", "3d": "false", "tracking": "-1", "keypoint_scale": "0"}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(values_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        run(options)
    except MoviestripError as error:
        print(f"moviestrip.pose.program: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(options: argparse.Namespace) -> None:
    """Detect the people of every frame asked for, and write one JSON file a frame."""
    _require_possible(options)
    cv2.setNumThreads(1)
    people = _people(options.number_people_max)
    detector = PeopleDetector(options.landmark_model, options.finder, people, options.smallest_person)
    options.write_json.mkdir(parents=True, exist_ok=True)
    frames = image_frames(options.image_dir) if options.image_dir else video_frames(options.video)
    for name, frame in frames:
        write_keypoints(options.write_json / f"{name}_keypoints.json", detector(frame))


def image_frames(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(name without suffix, RGB frame) of a folder's images, by name."""
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES):
        frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if frame is None:
            raise FatalError(f"{path}: not a readable image")
        yield path.stem, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def video_frames(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(OpenPose's name, RGB frame) of a video's frames."""
    try:
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))  # as OpenPose's OpenCV
                yield f"{path.stem}_{index:012d}", np.ascontiguousarray(upright)
    except av.FFmpegError as error:
        raise FatalError(f"{path}: cannot be decoded as a video ({error})") from error


def write_keypoints(path: Path, people: np.ndarray) -> None:
    """One frame's people, (people, 25, 3), in OpenPose's JSON."""
    value = {"version": 1.3, "people": [_person(keypoints) for keypoints in people]}
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


def _person(keypoints: np.ndarray) -> dict[str, list[float]]:
    empty: dict[str, list[float]] = {
        f"{part}_keypoints_{dimensions}": []
        for dimensions in ("2d", "3d")
        for part in ("face", "hand_left", "hand_right", "pose")
    }
    values = [round(float(value), 4) for value in keypoints.reshape(-1)]
    return {"person_id": [-1.0], **empty, "pose_keypoints_2d": values}


def values_joined(arguments: Sequence[str]) -> list[str]:
    """`--flag -1x368` as `--flag=-1x368`: OpenPose's values may start with a minus, which argparse takes for a flag."""
    joined: list[str] = []
    for argument in arguments:
        follows_flag = joined and joined[-1].startswith("--") and "=" not in joined[-1]
        if follows_flag and re.match(r"-\d", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _people(number_people_max: int) -> int:
    return PEOPLE_WITHOUT_LIMIT if number_people_max == NO_LIMIT else number_people_max


def _require_possible(options: argparse.Namespace) -> None:
    for flag, only in REFUSED_UNLESS.items():
        given = str(getattr(options, flag)).lower()
        if given != only:
            raise ConfigError(f"--{flag} {given}: not offered by the embedded detector; leave it out or use OpenPose")
    source = options.image_dir or options.video
    if not source.exists():
        raise ConfigError(f"{source}: there is no such file or folder")
    if options.image_dir and not options.image_dir.is_dir():
        raise ConfigError(f"--image_dir {options.image_dir}: not a folder")
    if options.number_people_max != NO_LIMIT and options.number_people_max < 1:
        raise ConfigError(f"--number_people_max {options.number_people_max}: expected -1 (no limit) or more than 0")
    _require_smallest_person_possible(options)


def _require_smallest_person_possible(options: argparse.Namespace) -> None:
    smallest_px = options.smallest_person
    if smallest_px is None:
        return
    if options.finder != "movenet" or options.number_people_max == 1:
        raise ConfigError(
            "--smallest_person: only MoveNet looking for several people searches by height; add --finder movenet and "
            "leave --number_people_max 1 out"
        )
    if not smallest_px >= LOWEST_SMALLEST_PERSON_PX:
        raise ConfigError(
            f"--smallest_person {smallest_px}: expected a height of {LOWEST_SMALLEST_PERSON_PX} px or more"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="moviestrip.pose.program", description="2D poses of people in images or a video, in OpenPose's format."
    )
    parser.add_argument("--version", action="version", version=f"moviestrip {__version__} (BlazePose)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image_dir", type=Path, help="folder of images, taken by name")
    source.add_argument("--video", type=Path, help="video file")
    parser.add_argument("--write_json", type=Path, required=True, help="folder for one JSON file a frame")
    parser.add_argument("--model_pose", choices=["BODY_25"], default="BODY_25")
    parser.add_argument("--number_people_max", type=int, default=NO_LIMIT, help="-1 for no limit")
    parser.add_argument("--landmark_model", choices=["lite", "full", "heavy"], default="full")
    parser.add_argument("--finder", choices=["blazepose", "movenet"], default="blazepose")
    parser.add_argument(
        "--smallest_person", type=float, metavar="PX",
        help="standing height down to which MoveNet searches for several people; default an eighth of a frame's, or 80",
    )  # fmt: skip
    for flag, only in REFUSED_UNLESS.items():
        parser.add_argument(f"--{flag}", nargs="?", const="true", default=only, help=argparse.SUPPRESS)
    for flag in IGNORED_FLAGS:
        parser.add_argument(f"--{flag}", nargs="?", const="true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
