"""Scenes for tests of shots and key frames: coloured textures that a camera moves over, joined by hard cuts."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH_PX, HEIGHT_PX = 320, 180


def texture(seed: int, width_px: int = 2 * WIDTH_PX, height_px: int = 2 * HEIGHT_PX) -> np.ndarray:
    """A colour with patches of all sizes on it, as different between seeds as places are."""
    random = np.random.default_rng(seed)
    picture = np.tile(random.uniform(40, 215, 3), (height_px, width_px, 1))
    for cells in (4, 16, 64):
        patches = random.normal(0, 60 / np.sqrt(cells / 4), (cells, cells, 3))
        picture += cv2.resize(patches, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def scene(seed: int, n_frames: int, speed_px: float = 1.5) -> Iterator[np.ndarray]:
    """A camera that moves steadily over a texture."""
    return pan(seed, (speed_px * np.arange(n_frames)).astype(int).tolist())


def pan(seed: int, places_px: Sequence[int]) -> Iterator[np.ndarray]:
    """A camera at these places over a texture, with a sensor's noise."""
    random = np.random.default_rng(seed)
    picture = texture(seed, WIDTH_PX + max(places_px) + 1)
    for left in places_px:
        image = picture[60 : 60 + HEIGHT_PX, left : left + WIDTH_PX] + random.normal(0, 3, (HEIGHT_PX, WIDTH_PX, 1))
        yield np.clip(image, 0, 255).astype(np.uint8)


def write_frames(
    path: Path, images: Iterable[np.ndarray], fps: int = 25, options: dict[str, str] | None = None
) -> Path:
    with av.open(str(path), "w") as container:
        stream = None
        for index, image in enumerate(images):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast"})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode())
    return path
