"""A contact sheet straight from a release: its labels over its own frames, before anything is converted."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from moviestrip import skeleton
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.report import list_videos, sampled
from moviestrip.errors import QuarantineError, StorageError
from moviestrip.figures.contact_sheet import contact_sheet
from moviestrip.figures.draw import Picture, draw_skeleton
from moviestrip.video.decode import frames
from moviestrip.video.images import image_files

VIDEOS_A_SPLIT = 4
COLUMNS, CELL_PX = 4, 240
DECODED_FRAMES = 200  # of a video file, which is read from its beginning


def release_sheet(release: Release) -> tuple[Picture | None, list[str]]:
    """Two frames of a few videos of each split with everyone annotated in them, and what could not be shown.

    No picture where nothing could be shown.
    """
    images: list[Picture] = []
    captions: list[str] = []
    problems: list[str] = []
    for video in sampled(list_videos(release)[0], VIDEOS_A_SPLIT):
        try:
            drawn = labelled_frames(release, video)
        except (StorageError, QuarantineError) as error:
            problems.append(str(error))
            continue
        images += drawn
        captions += [" · ".join(filter(None, (video.split, video.name)))] * len(drawn)
    return (contact_sheet(images, captions, COLUMNS, CELL_PX) if images else None), problems


def labelled_frames(release: Release, video: ReleasedVideo) -> list[Picture]:
    """Two frames of a video with everyone who is annotated in them; bare where nobody is in any."""
    people, path = release.people(video), release.folder / video.file
    is_folder = path.is_dir()
    known = np.unique(people.frame)
    early = known if is_folder else known[known < DECODED_FRAMES]
    known = early if len(early) else known[:1]
    shown = np.unique(known[[len(known) // 4, (3 * len(known)) // 4]]) if len(known) else np.zeros(1, np.int64)
    pictures = _image_frames(path, shown.tolist()) if is_folder else _video_frames(path, shown.tolist())
    return [_with_people(picture, people, frame) for picture, frame in zip(pictures, shown.tolist(), strict=True)]


def _with_people(picture: Picture, people: People, frame: int) -> Picture:
    for keypoints in people.keypoints_px[people.frame == frame]:
        picture = draw_skeleton(picture, keypoints, skeleton.HMMR_25)
    return picture


def _image_frames(folder: Path, positions: Sequence[int]) -> list[Picture]:
    files = image_files(folder)
    if positions[-1] >= len(files):
        raise StorageError(f"{folder}: has {len(files)} pictures, but frame {positions[-1]} is annotated")
    return [_read(files[position]) for position in positions]


def _read(path: Path) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise StorageError(f"{path}: is not a picture that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _video_frames(path: Path, positions: Sequence[int]) -> list[Picture]:
    found: list[Picture] = []
    for number, image in enumerate(frames(path)):
        if number in positions:
            found.append(image)
        if len(found) == len(positions):
            return found
    raise StorageError(f"{path}: ends before frame {positions[-1]}, which is annotated")
