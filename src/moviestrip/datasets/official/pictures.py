"""Folders of pictures beside labels: their order, their size, and whether the labels can be of them."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from moviestrip.errors import StorageError

MAXIMUM_OUTSIDE_SHARE = 0.5  # labels of another video lie anywhere; true ones lie within but for a few


def pictures_in(folder: Path) -> list[Path]:
    """The JPEG files of a video in the order of their names; there must be some."""
    found = sorted(path for path in folder.glob("*.jpg") if not path.name.startswith("."))
    if not found:
        raise StorageError(f"{folder}: holds no picture such as 000001.jpg; unpack the archive again")
    return found


def size_px(picture: Path) -> tuple[int, int]:
    """Width and height, from the file's header."""
    try:
        with Image.open(picture) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise StorageError(f"{picture}: is not a picture that can be read ({error})") from error


def require_within(labels: Path, keypoints: Float[np.ndarray, "rows joints 3"], picture: Path) -> None:
    """That most visible joints lie within a picture of the video; labels of another video are a StorageError."""
    width, height = size_px(picture)
    points = keypoints[keypoints[..., 2] > 0][:, :2]
    outside = ((points < -0.5) | (points > np.array([width, height]) - 0.5)).any(axis=-1)
    if len(points) and outside.mean() > MAXIMUM_OUTSIDE_SHARE:
        raise StorageError(
            f"{labels}: {outside.mean():.0%} of the visible joints lie outside the pictures of {picture.parent}, "
            f"{width} x {height}; the labels are of another video"
        )
