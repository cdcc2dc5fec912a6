"""A folder of images as a video: in the order of their names, all of one size, at a rate that its dataset states."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image as PillowImage

from moviestrip.errors import QuarantineError
from moviestrip.video.decode import Image, VideoFacts

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def image_files(folder: Path) -> list[Path]:
    """The images in the order of their names; hidden files, such as macOS' ._000001.jpg, are none."""
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)


def shown_at(n_frames: int, filmed_fps: float, fps: float) -> Int[np.ndarray, " instants"]:
    """For each instant k / fps the frame shown nearest to it, as videos are resampled; a tie goes to the later one.

    Returns indices of frames, not falling, as many as there are instants up to half a period after the last frame.
    """
    filmed, wanted = (Fraction(rate).limit_denominator(100_000) for rate in (filmed_fps, fps))
    last = math.ceil((n_frames - 1) / filmed * wanted - Fraction(1, 2))
    nearest = (math.floor(instant / wanted * filmed + Fraction(1, 2)) for instant in range(last + 1))
    return np.array([min(frame, n_frames - 1) for frame in nearest], dtype=np.int64)


def probe_folder(folder: Path, filmed_fps: float, fps: float) -> VideoFacts:
    """Read every image that `folder_frames` gives, and measure them."""
    size, count = None, 0
    for image in folder_frames(folder, filmed_fps, fps):
        size = size or image.shape[:2]
        if image.shape[:2] != size:
            raise _bad(
                folder, f"frame {count} has {image.shape[1]} x {image.shape[0]} px, the first {size[1]} x {size[0]}"
            )
        count += 1
    assert size is not None  # folder_frames refuses an empty folder
    return VideoFacts(size[1], size[0], fps, count, filmed_fps)


def folder_frames(folder: Path, filmed_fps: float, fps: float) -> Iterator[Image]:
    """The images as RGB frames, resampled to `fps`."""
    if not folder.is_dir():
        raise _bad(folder, "there is no such folder")
    files = image_files(folder)
    if not files:
        raise _bad(folder, f"the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    for index in shown_at(len(files), filmed_fps, fps):
        yield _read(folder, files[index])


def _read(folder: Path, file: Path) -> Image:
    """An image as stored, whatever the camera noted of its orientation: labels are of these pixels.

    OpenCV would fill the rest of a JPEG that is cut short with grey.
    """
    try:
        with PillowImage.open(file) as image:
            return np.array(image.convert("RGB"))  # not a view: figures draw on frames
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise _bad(folder, f"{file.name} is not a readable image ({error})") from error


def _bad(folder: Path, detail: str) -> QuarantineError:
    return QuarantineError("bad_video", f"{folder.name}: {detail}")
