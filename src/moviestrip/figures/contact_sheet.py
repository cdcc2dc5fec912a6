"""Contact sheets: many small frames on one page, because errors in images are found by eye.

`contact_sheet` lays out pictures; `run_sheet` picks frames of a run's dataset and draws its labels on them. A video
without pictures, whose features were imported, has frames of plain paper, and what is drawn on them says so.
"""

import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from moviestrip import skeleton, tables
from moviestrip.errors import FatalError
from moviestrip.figures.draw import Picture, draw_caption, draw_skeleton
from moviestrip.figures.overlay import CROP_PX
from moviestrip.layout import RunFolder
from moviestrip.storage import atomic_path
from moviestrip.video.fetch import frames_of

PAPER_WHITE = 250
NO_PICTURES = "no pictures"
MAXIMUM_PAPER_PX = 2048  # the largest frames of any release
FramesOf = Callable[[str], Iterator[Picture]]


def contact_sheet(
    images: Sequence[Picture], captions: Sequence[str] = (), columns: int = 6, cell_px: int = 160, gap_px: int = 4
) -> Picture:
    """Pictures row by row in square cells of `cell_px`, each scaled to fit, with its caption if there is one."""
    if captions and len(captions) != len(images):
        raise FatalError(f"a contact sheet needs one caption a picture: {len(captions)} for {len(images)}")
    rows, step = max(1, math.ceil(len(images) / columns)), cell_px + gap_px
    sheet = np.full((rows * step + gap_px, columns * step + gap_px, 3), PAPER_WHITE, np.uint8)
    for index, image in enumerate(images):
        cell = fit(image, cell_px)
        if captions:
            cell = draw_caption(cell, captions[index], size_px=max(9, cell_px // 15))
        top, left = (gap_px + step * position for position in divmod(index, columns))
        sheet[top : top + cell_px, left : left + cell_px] = cell
    return sheet


def fit(image: Picture, side_px: int) -> Picture:
    """The whole picture in a square of `side_px`, with bands where its shape differs."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    square = np.full((side_px, side_px, 3), 24, np.uint8)
    top, left = (side_px - size[1]) // 2, (side_px - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def write_picture(path: Path, image: Picture, quality: int = 84) -> None:
    """Write PNG, WebP or JPEG, by the name's ending, atomically."""
    kinds = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG"}
    if path.suffix not in kinds:
        raise FatalError(f"{path}: pictures are written as {', '.join(kinds)}")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kinds[path.suffix], quality=quality, method=4)
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getvalue())


def dataset_sheet(
    clips: pd.DataFrame, labels: pd.DataFrame, frames_of: FramesOf, videos: int = 12, columns: int = 6
) -> Picture:
    """Two labelled frames of each of up to `videos` clips, spread evenly over the dataset.

    `clips` and `labels` are rows of those tables; `frames_of(video_id)` yields the video's frames, RGB.
    """
    images: list[Picture] = []
    captions: list[str] = []
    by_clip = {str(clip_id): rows for clip_id, rows in labels.groupby("clip_id")}
    for clip in spread(clips[clips.clip_id.isin(list(by_clip))].sort_values("clip_id"), videos).itertuples():
        rows = by_clip[str(clip.clip_id)].sort_values("frame")
        rows = rows.iloc[[len(rows) // 4, (3 * len(rows)) // 4]].drop_duplicates("video_frame")
        frames = frames_at(frames_of(str(clip.video_id)), rows.video_frame.to_list())
        for frame, keypoints in zip(frames, tables.stack(rows.keypoints_2d, 25, 3), strict=True):
            images.append(draw_skeleton(frame, keypoints, skeleton.HMMR_25))
            known = (clip.split, clip.subject, clip.action, NO_PICTURES * is_paper(frame))
            captions.append(" · ".join(filter(None, map(str, known))))
    return contact_sheet(images, captions, columns)


def spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` rows, evenly spaced."""
    if len(rows) <= count:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def frames_at(frames: Iterable[Picture], positions: Sequence[int]) -> Iterator[Picture]:
    """The frames of an iterator at increasing positions; a video that ends before is an error."""
    wanted = list(positions)
    for index, frame in enumerate(frames):
        while wanted and wanted[0] == index:
            wanted.pop(0)
            yield frame
        if not wanted:
            return
    if wanted:
        raise FatalError(f"a video ends before its labelled frame {wanted[0]}; run the fetch and curate stages again")


def run_sheet(run: RunFolder, dataset: str) -> Picture:
    """The contact sheet of one dataset of a run."""
    clips, labels = of_shards(run, "clips", dataset, tables.CLIPS), of_shards(run, "labels", dataset, tables.LABELS)
    return dataset_sheet(clips, labels, frames_of_dataset(run, dataset))


def of_shards(run: RunFolder, kind: str, dataset: str, schema: tables.TableSchema) -> pd.DataFrame:
    """All rows of a dataset's `videos`, `clips`, `labels`... of a run."""
    return tables.read_tables([getattr(run, kind)(dataset, shard) for shard in run.shards(dataset)], schema)


def frames_of_dataset(run: RunFolder, dataset: str) -> FramesOf:
    """From a video's id to its decoded frames, or to paper where it has no pictures."""
    videos = of_shards(run, "videos", dataset, tables.VIDEOS)
    rows = {str(row["video_id"]): {str(key): value for key, value in row.items()} for row in videos.to_dict("records")}
    open_video = frames_of(run.root)
    side_px = cache(lambda: paper_side_px(run, dataset))

    def open_or_paper(video_id: str) -> Iterator[Picture]:
        row = rows[video_id]
        return open_video(row) if row["path"] else itertools.repeat(paper(side_px()), int(row["n_frames"]))

    return open_or_paper


def paper(side_px: int) -> Picture:
    return np.full((side_px, side_px, 3), PAPER_WHITE, np.uint8)


def is_paper(picture: Picture) -> bool:
    """Whether a frame stands for one that there is no picture of."""
    return bool((picture == PAPER_WHITE).all())


def paper_side_px(run: RunFolder, dataset: str) -> int:
    """Of a square that holds the labelled keypoints of a dataset, as far as they are plausible."""
    paths = [run.labels(dataset, shard) for shard in run.shards(dataset)]
    keypoints = tables.stack(tables.read_tables(paths, tables.LABELS, ["keypoints_2d"])["keypoints_2d"], 25, 3)
    seen = keypoints[keypoints[..., 2] > 0]
    return int(np.clip(np.ceil(seen[:, :2].max(initial=0)) + 1, CROP_PX, MAXIMUM_PAPER_PX))
