"""Small pictures of a run for a README: frames of its datasets, a clip with its estimates, and what a browser draws.

Only of the miniature world: frames of real videos may not be ours to publish.
"""

import io
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageChops

from moviestrip import skeleton, tables
from moviestrip.errors import FatalError
from moviestrip.figures.contact_sheet import contact_sheet, frames_at, frames_of_dataset, of_shards, spread
from moviestrip.figures.draw import Picture, draw_skeleton
from moviestrip.layout import RunFolder
from moviestrip.storage import atomic_path

MAXIMUM_BYTES = 150_000  # of one picture
QUALITIES = (84, 76, 68, 60, 50, 40)
SMALLEST_SCALE = 0.4
STRIP_FRAMES, STRIP_CELL_PX = 6, 150
OVERLAY_FRAMES, OVERLAY_PACE = 16, 3  # every third frame of a clip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_S = 180
MARGIN_PX = 12


def dataset_strip(run: RunFolder, dataset: str) -> Picture:
    """One labelled frame, the middle one, of a few clips that show as many actions as there are."""
    clips, labels = of_shards(run, "clips", dataset, tables.CLIPS), of_shards(run, "labels", dataset, tables.LABELS)
    clips = clips[clips.clip_id.isin(labels.clip_id)].sort_values("clip_id").drop_duplicates("video_id")
    others = clips.drop_duplicates("action")
    chosen = spread(others if len(others) >= STRIP_FRAMES else clips, STRIP_FRAMES)
    frames_of = frames_of_dataset(run, dataset)
    pictures, captions = [], []
    for clip in chosen.itertuples():
        rows = labels[labels.clip_id == clip.clip_id].sort_values("frame")
        row = rows.iloc[len(rows) // 2]
        frame = next(frames_at(frames_of(str(clip.video_id)), [int(row.video_frame)]))
        keypoints = tables.stack(rows.keypoints_2d, 25, 3)[len(rows) // 2]
        pictures.append(draw_skeleton(frame, keypoints, skeleton.HMMR_25))
        captions.append(str(clip.action).replace("_", " "))
    return contact_sheet(pictures, captions if any(captions) else (), len(pictures), STRIP_CELL_PX)


def overlay_strip(video: Path, frames: int = OVERLAY_FRAMES, pace: int = OVERLAY_PACE) -> list[Picture]:
    """Every `pace`-th of a clip's first frames."""
    capture = cv2.VideoCapture(str(video))
    try:
        read = iter(capture.read, (False, None))
        pictures = [frame for _, frame in itertools.islice(read, 0, frames * pace, pace)]
    finally:
        capture.release()
    if not pictures:
        raise FatalError(f"{video}: no frame of it can be read; make the overlays again")
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in pictures]


def write_small(path: Path, pictures: Sequence[Picture], frame_ms: int = 120, maximum: int = MAXIMUM_BYTES) -> None:
    """WebP of one picture, or an animation of several, as good and then as large as `maximum` bytes allow."""
    scale = 1.0
    while scale >= SMALLEST_SCALE:
        for quality in QUALITIES:
            content = _webp([_scaled(picture, scale) for picture in pictures], quality, frame_ms)
            if len(content) <= maximum:
                with atomic_path(path) as partial:
                    partial.write_bytes(content)
                return
        scale *= 0.8
    raise FatalError(f"{path}: cannot be made smaller than {maximum:,} bytes; show fewer frames")


def _webp(pictures: Sequence[Image.Image], quality: int, frame_ms: int) -> bytes:
    buffer = io.BytesIO()
    animation = {"save_all": True, "append_images": pictures[1:], "duration": frame_ms, "loop": 0}
    pictures[0].save(buffer, "WEBP", quality=quality, method=6, **(animation if len(pictures) > 1 else {}))
    return buffer.getvalue()


def _scaled(picture: Picture, scale: float) -> Image.Image:
    image = Image.fromarray(picture)
    if scale == 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def browser() -> str | None:
    """A browser that can draw pages without a screen, if there is one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def photograph(page: Path, width_px: int, height_px: int, program: str, trimmed: bool = False) -> Picture:
    """What a browser shows of a page; `trimmed` cuts the empty paper around it."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox does not start for root
        command = [
            program, "--headless", "--disable-gpu", "--hide-scrollbars", *as_root, f"--user-data-dir={folder}/profile",
            f"--window-size={width_px},{height_px}", "--virtual-time-budget=4000", f"--screenshot={picture}",
            page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S)
        except subprocess.TimeoutExpired as error:
            raise FatalError(f"{page}: {program} did not show it in {BROWSER_S} s") from error
        if not picture.is_file():
            raise FatalError(f"{page}: {program} made no picture: {done.stderr.strip().splitlines()[-1:]}")
        image = Image.open(picture).convert("RGB")
    return np.asarray(_trimmed(image) if trimmed else image)


def _trimmed(image: Image.Image) -> Image.Image:
    """Without what has the colour of the last corner around it, but for a small margin."""
    paper = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    box = ImageChops.difference(image, paper).getbbox()
    if box is None:
        raise FatalError("a page to show is empty; make it again")
    left, top, right, bottom = box
    return image.crop((
        max(0, left - MARGIN_PX), max(0, top - MARGIN_PX),
        min(image.width, right + MARGIN_PX), min(image.height, bottom + MARGIN_PX),
    ))  # fmt: skip
