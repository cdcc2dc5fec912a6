"""A video file or a folder of images, measured once and read as often as needed, a frame at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moviestrip.errors import ConfigError, FatalError, QuarantineError
from moviestrip.pose.program import IMAGE_SUFFIXES, image_frames
from moviestrip.video.decode import Image, frames, probe

FOLDER_FPS = 25.0  # of images, which have no rate


@dataclass(frozen=True)
class Footage:
    """What is looked at. `frames()` starts again from the first frame each time."""

    name: str
    width_px: int
    height_px: int
    fps: float
    n_frames: int
    frames: Callable[[], Iterator[Image]]

    @property
    def size_px(self) -> tuple[int, int]:
        return self.width_px, self.height_px


def open_footage(path: Path, fps: float | None = None) -> Footage:
    """Check every frame of a video, or of a folder's images taken by name.

    Args:
        fps: a video is resampled to this rate; images are taken to have it (otherwise 25).
    """
    if path.is_dir():
        return _folder_of_images(path, fps or FOLDER_FPS)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such video or folder of images")
    try:
        facts = probe(path, fps)
    except QuarantineError as error:
        raise FatalError(f"{error.detail}; give a video that ffmpeg can read, or a folder of images") from error
    return Footage(path.stem, facts.width_px, facts.height_px, facts.fps, facts.n_frames, lambda: frames(path, fps))


def _folder_of_images(folder: Path, fps: float) -> Footage:
    size_px, count = None, 0
    for name, image in image_frames(folder):
        height_px, width_px = image.shape[:2]
        size_px = size_px or (width_px, height_px)
        if (width_px, height_px) != size_px:
            raise FatalError(
                f"{folder}: '{name}' is {width_px} x {height_px} px, the first image {size_px[0]} x {size_px[1]}; "
                f"the frames of one video have one size"
            )
        count += 1
    if size_px is None:
        raise ConfigError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}); give a video or a folder of them")
    name = folder.resolve().name
    return Footage(name, *size_px, fps, count, lambda: (image for _, image in image_frames(folder)))
