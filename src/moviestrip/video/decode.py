"""Frames of a video file, or a reason why it cannot be trusted.

Decoders are built to hide damage: they repeat, grey out or drop what they cannot read. Here every file
is decoded with err_detect=explode, so damage becomes a `QuarantineError` with the reason 'bad_video'.
Time comes from the presentation timestamps, never from counting, so that a video of variable frame rate
becomes one of constant rate by taking, for each output instant, the frame shown nearest to it. One thread
decodes, which keeps the frames the same bits everywhere.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from moviestrip.errors import QuarantineError

Image = UInt8[np.ndarray, "height width 3"]

# Containers only: a text playlist named .mp4 could make the demuxer open other files or addresses.
CONTAINER_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,flv,ogg,asf,mjpeg,ivf,gif,nut"
)
OPEN_OPTIONS = {"err_detect": "explode", "protocol_whitelist": "file", "format_whitelist": CONTAINER_FORMATS}
DEFAULT_FPS = Fraction(25)  # of a raw stream that states no rate at all
MAXIMUM_SIDE_PX = 8192
MAXIMUM_FRAMES = 2_000_000


@dataclass(frozen=True)
class VideoFacts:
    """What a full decode found: the size after rotation, the rate, how many frames at that rate, the file's rate."""

    width_px: int
    height_px: int
    fps: float
    n_frames: int
    filmed_fps: float


@dataclass(frozen=True)
class TimedFrame:
    """One decoded frame and the instant it is shown, in seconds from the first."""

    time_s: Fraction
    frame: av.VideoFrame


def probe(path: Path, fps: float | None = None) -> VideoFacts:
    """Decode the whole file and measure it; with `fps`, count the frames that `frames(path, fps)` gives."""
    with _open(path) as (container, stream):
        native_fps = _stream_fps(stream)
        n_frames, first = 0, None
        for timed in _at_rate(_timed_frames(path, container, stream), _rate(fps)):
            first = first or timed.frame
            n_frames += 1
    assert first is not None  # _timed_frames refuses an empty stream
    turned = first.rotation % 180 != 0
    width_px, height_px = (first.height, first.width) if turned else (first.width, first.height)
    return VideoFacts(width_px, height_px, float(fps if fps is not None else native_fps), n_frames, float(native_fps))


def frames(path: Path, fps: float | None = None) -> Iterator[Image]:
    """The upright RGB frames of a video, all of them, or resampled to a constant `fps`."""
    with _open(path) as (container, stream):
        for timed in _at_rate(_timed_frames(path, container, stream), _rate(fps)):
            yield _upright(timed.frame)


def _rate(fps: float | None) -> Fraction | None:
    return None if fps is None else Fraction(fps).limit_denominator(100_000)


def _bad(path: Path, detail: str) -> QuarantineError:
    return QuarantineError("bad_video", f"{path.name}: {detail}")


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open the first video stream for a strict, single-threaded decode; any failure inside is a bad video."""
    if not path.is_file():
        raise _bad(path, "there is no such file")
    if path.stat().st_size == 0:
        raise _bad(path, "the file is empty")
    try:
        with av.open(str(path.resolve()), options=OPEN_OPTIONS) as container:
            if not container.streams.video:
                raise _bad(path, "it holds no video stream")
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            if max(stream.width, stream.height) > MAXIMUM_SIDE_PX:
                raise _bad(path, f"{stream.width} x {stream.height} px is above the limit of {MAXIMUM_SIDE_PX} px")
            yield container, stream
    except av.FFmpegError as error:
        raise _bad(path, f"cannot be decoded ({error.strerror or error})") from error


def _stream_fps(stream: av.VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or DEFAULT_FPS


def _timed_frames(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[TimedFrame]:
    """Decode in order of presentation; a frame without a timestamp follows the one before it by one period."""
    period = 1 / _stream_fps(stream)
    origin: Fraction | None = None
    time_s, n_frames = -period, 0
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise _bad(path, f"frame {n_frames} is damaged")
        if frame.pts is None or frame.time_base is None:
            time_s += period
        else:
            shown = frame.pts * frame.time_base
            origin = shown if origin is None else origin
            time_s = max(shown - origin, time_s)
        n_frames += 1
        if n_frames > MAXIMUM_FRAMES:
            raise _bad(path, f"it has more than {MAXIMUM_FRAMES:,} frames")
        yield TimedFrame(max(time_s, Fraction(0)), frame)
    _require_complete(path, stream, n_frames, time_s + period)


def _require_complete(path: Path, stream: av.VideoStream, n_frames: int, span_s: Fraction) -> None:
    """A file cut short ends quietly: compare what came with what the container promised.

    Both the count and the duration must fall short, because an edit list lowers the one and a long last
    frame the other.
    """
    if n_frames == 0:
        raise _bad(path, "no frame could be decoded")
    if not stream.frames or not stream.duration or stream.time_base is None:
        return
    promised_s = stream.duration * stream.time_base
    if n_frames < stream.frames and span_s < promised_s - 1 / _stream_fps(stream):
        raise _bad(path, f"it promises {stream.frames} frames, only {n_frames} decode; the file is cut short")


def _at_rate(source: Iterator[TimedFrame], fps: Fraction | None) -> Iterator[TimedFrame]:
    """For each instant k / fps the frame shown nearest to it; a tie goes to the later frame."""
    if fps is None:
        yield from source
        return
    index = 0
    previous: TimedFrame | None = None
    for current in source:
        while previous is not None and _nearer(previous, current, index / fps):
            yield previous
            index += 1
        previous = current
    assert previous is not None
    last = math.ceil(previous.time_s * fps - Fraction(1, 2))  # instants less than half a period after the last frame
    for _ in range(index, last + 1):
        yield previous


def _nearer(previous: TimedFrame, current: TimedFrame, instant_s: Fraction) -> bool:
    return abs(previous.time_s - instant_s) < abs(current.time_s - instant_s)


def _upright(frame: av.VideoFrame) -> Image:
    image = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as NumPy turns
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
