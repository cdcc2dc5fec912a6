"""Real video files for the tests, made with PyAV: each frame carries its own number in its brightness."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STEP = 4  # of grey level between frames: survives compression


def numbered(index: int, width_px: int, height_px: int) -> np.ndarray:
    """A grey frame of level STEP * index, its top left quarter inverted, so that turning it shows."""
    level = 20 + STEP * (index % 50)
    image = np.full((height_px, width_px, 3), level, np.uint8)
    image[: height_px // 2, : width_px // 2] = 255 if level < 128 else 0
    return image


def number_of(image: np.ndarray) -> int:
    """Which frame an (upright) image is."""
    height_px, width_px = image.shape[:2]
    return round((float(image[height_px // 2 + 4 :, width_px // 2 + 4 :].mean()) - 20) / STEP)


def write_video(
    path: Path,
    n_frames: int = 30,
    width_px: int = 64,
    height_px: int = 48,
    fps: int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video; `times` in seconds, one a frame, makes its rate vary."""
    ticks = 1000 * fps
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, pixel_format
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, ticks)
        for index in range(n_frames):
            frame = av.VideoFrame.from_ndarray(numbered(index, width_px, height_px), format="rgb24")
            seconds = index / fps if times is None else times[index]
            frame.pts, frame.time_base = round(seconds * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotate_flag(source: Path, target: Path, degrees: int) -> Path:
    """Copy an MP4 with the display matrix of its track header set to a rotation, pixels untouched."""
    data = bytearray(source.read_bytes())
    header = data.index(b"tkhd") + 4
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = np.array([cosine, sine, 0, -sine, cosine, 0, 0, 0, 0], ">i4") * 65536
    matrix[8] = 0x40000000
    data[header + 40 : header + 76] = matrix.astype(">i4").tobytes()  # after version, times, id, duration and layer
    target.write_bytes(data)
    return target
