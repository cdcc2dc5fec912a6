"""What a detector is given of some videos: a folder of their frames as images, or a video's own file."""

import math
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jaxtyping import UInt8

from moviestrip.errors import FatalError, RetryableError, StorageError
from moviestrip.storage import digest_of

FramesOf = Callable[[str], Iterator[UInt8[np.ndarray, "height width 3"]]]
# Lays out some videos in a folder: what to tell the program, and the names of each video's frames.
Given = Callable[[Sequence[str], Path], tuple[list[str], dict[str, list[str]]]]

# Six times faster than PNG to write and read, a third of its size, and closer to the frame than the video was.
IMAGE_OPTIONS = (
    *(cv2.IMWRITE_JPEG_QUALITY, 98),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def give_images(
    frames_of: FramesOf, store: Path, unwanted: threading.Event, video_ids: Sequence[str], folder: Path
) -> tuple[list[str], dict[str, list[str]]]:
    """A folder of the videos' frames; they are kept in `store`, in case a video is given again."""
    images = folder / "images"
    images.mkdir()
    names = {}
    for video_id in video_ids:
        if not (store / video_id).exists():
            (store / video_id).mkdir(parents=True)
            write_images(store / video_id, video_id, frames_of(video_id), unwanted)
        files = sorted((store / video_id).iterdir())
        for file in files:
            _link(file, images / file.name)
        if not files:
            raise FatalError(f"{video_id}: none of its frames could be shown; is its row in the videos table right?")
        names[video_id] = [file.stem for file in files]
    return ["--image_dir", str(images)], names


def write_images(folder: Path, video_id: str, frames: Iterator[np.ndarray], unwanted: threading.Event) -> None:
    """Write a video's frames as numbered images."""
    for index, frame in enumerate(frames):
        if unwanted.is_set():
            raise RetryableError(f"{video_id}: its frames are no longer wanted")
        path = folder / f"{video_id}_{index:06d}.jpg"
        if not cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), IMAGE_OPTIONS):
            raise FatalError(f"{path}: cannot be written; is the folder for temporary files full?")


def _link(file: Path, name: Path) -> None:
    """The same image under another name, so that a program that spoils its folder spoils no second attempt."""
    try:
        os.link(file, name)
    except OSError as error:
        raise FatalError(f"{name}: {error.strerror}; set TMPDIR to a folder that allows hard links") from error


def video_files(videos: pd.DataFrame, root: Path | None) -> dict[str, Path]:
    """The files to be read in place of frames, where their frames are the pipeline's, by video."""
    if root is None:
        raise FatalError("detector.reads: there are no video files here; use `reads: images`")
    return {str(row["video_id"]): _own_file(row, root / row["path"]) for row in videos.to_dict("records")}


def _own_file(row: Mapping[Hashable, Any], path: Path) -> Path:
    other = {
        "is a folder of images": path.is_dir(),
        f"is filmed at {row['filmed_fps']:g} fps and read at {row['fps']:g}": not math.isclose(
            row["filmed_fps"], row["fps"], rel_tol=1e-5
        ),
        "is a part of its file": row["start_s"] > 0 or row["end_s"] > 0,
    }
    problem = next((text for text, found in other.items() if found), None)
    if problem is not None:
        raise FatalError(
            f"detector.reads: video: {row['video_id']} {problem}, so that its frames are not the file's; "
            f"use `reads: images`"
        )
    if not path.exists() or digest_of(path) != row["sha256"]:
        raise StorageError(
            f"{path}: missing, or changed since it was fetched (its SHA-256 differs from the videos table); "
            f"delete the table and fetch the shard again"
        )
    return path.absolute()


def give_video(
    files: Mapping[str, Path], frames: Mapping[str, int], video_ids: Sequence[str], _: Path
) -> tuple[list[str], dict[str, list[str]]]:
    """One video's own file, whose frames OpenPose numbers with twelve digits."""
    (video_id,) = video_ids
    file = files[video_id]
    return ["--video", str(file)], {video_id: [f"{file.stem}_{index:012d}" for index in range(frames[video_id])]}
