"""Small H.264 files that play in every browser, the same bytes each time."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from moviestrip.errors import FatalError
from moviestrip.figures.draw import Picture
from moviestrip.storage import atomic_path
from moviestrip.world.render import REPEATABLE


def write_video(path: Path, frames: Iterable[Picture], fps: float = 25.0, quality: int = 24) -> int:
    """Encode RGB frames of even width and height as MP4, atomically; returns how many there were.

    `quality` is x264's constant rate factor: 18 looks lossless, 30 is rough.
    """
    count = 0
    with open_video(path, fps, quality) as add_frame:
        for frame in frames:
            add_frame(frame)
            count += 1
    return count


@contextlib.contextmanager
def open_video(path: Path, fps: float = 25.0, quality: int = 24) -> Iterator[Callable[[Picture], None]]:
    """A function that adds a frame to a video, for frames that go to several files at once; see `write_video`."""
    empty, to_yuv = True, VideoReformatter()
    with (
        atomic_path(path) as partial,
        av.open(str(partial), "w", "mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as file,
    ):
        stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # slices of a threaded encoder depend on the machine
        stream.options = {
            "crf": str(quality), "preset": "veryfast", "threads": "1", "flags": "+bitexact", **REPEATABLE
        }  # fmt: skip

        def add_frame(frame: Picture) -> None:
            nonlocal empty
            if empty:
                stream.height, stream.width = _even_size(path, frame)
                empty = False
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            file.mux(stream.encode(to_yuv.reformat(picture, format="yuv420p", threads=1)))

        yield add_frame
        if empty:
            raise FatalError(f"{path}: a video needs at least one frame")
        file.mux(stream.encode())


def _even_size(path: Path, frame: Picture) -> tuple[int, int]:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        raise FatalError(f"{path}: H.264 needs an even width and height, got {width}x{height}; pad the frames")
    return height, width
