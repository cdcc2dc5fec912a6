"""Frames of a video file, or a reason why it cannot be trusted.

Decoders are built to hide damage: they repeat, grey out or drop what they cannot read. Here every file
is decoded with err_detect=explode, so damage becomes a `QuarantineError` with the reason 'bad_video'.
Time comes from the presentation timestamps, never from counting, so that a video of variable frame rate
becomes one of constant rate by taking, for each output instant, the frame shown nearest to it. One thread
decodes, which keeps the frames the same bits everywhere.

A part of a file, from `start_s` to just before `end_s` (0 is the file's end), has the frames that the whole
file shows then. Decoding begins at the last key frame before it that needs nothing from before (see
`_entry`), so damage outside the part may go unseen; the file's digest still tells a changed file.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
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
FRESH_KEY_FRAMES = ("h264", "vp8", "vp9", "av1")  # key frames (of h264: IDR) from which decoders start afresh
IDR = 5  # type of H.264's network units that make a decoder forget all pictures


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


@dataclass(frozen=True)
class Part:
    """Which instants of a file are wanted, in seconds from its first frame; without `end_s` all to its end."""

    start_s: Fraction
    end_s: Fraction | None

    @classmethod
    def of(cls, start_s: float, end_s: float) -> "Part":
        """To the millisecond: tables keep seconds as single-precision numbers."""
        start, end = (Fraction(round(value * 1000), 1000) for value in (start_s, end_s))
        if start < 0 or (end_s and end <= start):
            raise QuarantineError("bad_video", f"its part from {start_s:g} to {end_s:g} s is none")
        return cls(start, end if end_s else None)

    def is_over(self, time_s: Fraction) -> bool:
        return self.end_s is not None and time_s >= self.end_s


WHOLE = Part(Fraction(0), None)


def probe(
    path: Path, fps: float | None = None, start_s: float = 0, end_s: float = 0, maximum_s: float = math.inf
) -> VideoFacts:
    """Decode the whole part and measure it; with `fps`, count the frames that `frames` gives.

    A part longer than `maximum_s` is refused: before a frame is decoded if the file says so, else at that frame.
    """
    part = Part.of(start_s, end_s)
    with _open(path) as (container, stream):
        native_fps = _stream_fps(stream)
        _require_short(path, _promised_s(container, stream, part), maximum_s)
        n_frames, first = 0, None
        for timed in _frames_at_rate(path, container, stream, fps, part):
            first = first or timed.frame
            n_frames += 1
            _require_short(path, timed.time_s - part.start_s, maximum_s)
    assert first is not None  # _frames_at_rate refuses an empty part
    turned = first.rotation % 180 != 0
    width_px, height_px = (first.height, first.width) if turned else (first.width, first.height)
    return VideoFacts(width_px, height_px, float(fps if fps is not None else native_fps), n_frames, float(native_fps))


def frames(path: Path, fps: float | None = None, start_s: float = 0, end_s: float = 0) -> Iterator[Image]:
    """The upright RGB frames of a video or of a part of it, all of them, or resampled to a constant `fps`."""
    part, converter = Part.of(start_s, end_s), VideoReformatter()
    with _open(path) as (container, stream):
        for timed in _frames_at_rate(path, container, stream, fps, part):
            yield _upright(timed.frame, converter)


def _frames_at_rate(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, fps: float | None, part: Part
) -> Iterator[TimedFrame]:
    source = _timed_frames(path, container, stream, _entry(path, part.start_s))
    found = _at_rate(source, _rate(fps), part)
    first = next(found, None)
    if first is None:
        raise _bad(path, f"it ends before its part begins, at {float(part.start_s):g} s")
    yield first
    yield from found


def _promised_s(container: av.container.InputContainer, stream: av.VideoStream, part: Part) -> Fraction:
    """How long the part is if the file tells the truth; 0 where it says nothing."""
    whole = stream.duration * stream.time_base if stream.duration and stream.time_base else Fraction(0)
    if "matroska" in container.format.name:  # elsewhere the container's is a guess where the stream has none
        whole = whole or Fraction(container.duration or 0, av.time_base)
    end_s = whole if part.end_s is None else min(part.end_s, whole or part.end_s)
    return max(end_s - part.start_s, Fraction(0))


def _require_short(path: Path, length_s: Fraction, maximum_s: float) -> None:
    if length_s > maximum_s:
        raise QuarantineError(
            "refused", f"{path.name}: lasts {float(length_s):g} s or more, above the limit of {maximum_s:g} s"
        )


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


@dataclass(frozen=True)
class Entry:
    """Where decoding begins: the number of a packet of the stream, and the instant of the file's first frame."""

    packet: int = 0
    origin_s: Fraction | None = None


def _entry(path: Path, start_s: Fraction) -> Entry:
    """The last packet from which the frames from `start_s` on are the bits that a decode of the whole file gives.

    A key frame after which nothing refers to what came before, itself shown after all of that and by `start_s`.
    Packets are read, not decoded, and no index of the file is trusted. Where a packet has no time, decoding
    begins at the beginning.
    """
    if start_s == 0:
        return Entry()
    with _open(path) as (container, stream):
        if stream.codec.name not in FRESH_KEY_FRAMES:
            return Entry()
        entry, origin_s, latest_s = Entry(), None, Fraction(-1)
        for number, packet in enumerate(container.demux(stream)):
            if packet.pts is None:
                return entry if packet.size == 0 else Entry()  # an empty one marks the end
            shown_s = packet.pts * packet.time_base
            if origin_s is None:
                origin_s = next((_shown(frame) for frame in packet.decode()), None)
            elif packet.dts is not None and packet.dts * packet.time_base - origin_s > start_s:
                return entry
            elif latest_s < shown_s <= origin_s + start_s and _is_fresh(stream, packet):
                entry = Entry(number, origin_s)
            latest_s = max(latest_s, shown_s)
    return entry


def _is_fresh(stream: av.VideoStream, packet: av.Packet) -> bool:
    return packet.is_keyframe and (stream.codec.name != "h264" or IDR in _unit_types(stream, bytes(packet)))


def _unit_types(stream: av.VideoStream, data: bytes) -> Iterator[int]:
    """Types of the network units in an H.264 packet: after start codes, or after lengths as MP4 keeps them."""
    header = stream.codec_context.extradata or b""
    if len(header) < 5 or header[0] != 1:
        yield from (unit[0] & 31 for unit in data.split(b"\0\0\1")[1:] if unit)
        return
    width, place = (header[4] & 3) + 1, 0
    while place + width < len(data):
        yield data[place + width] & 31
        place += width + int.from_bytes(data[place : place + width], "big")


def _shown(frame: av.VideoFrame) -> Fraction | None:
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def _decoded(container: av.container.InputContainer, stream: av.VideoStream, first: int) -> Iterator[av.VideoFrame]:
    for number, packet in enumerate(container.demux(stream)):
        if number >= first:
            yield from packet.decode()


def _timed_frames(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, entry: Entry
) -> Iterator[TimedFrame]:
    """Decode in order of presentation; a frame without a timestamp follows the one before it by one period."""
    period = 1 / _stream_fps(stream)
    origin_s = entry.origin_s
    time_s, n_frames = -period, entry.packet
    for frame in _decoded(container, stream, entry.packet):
        if frame.is_corrupt:
            raise _bad(path, f"frame {n_frames} is damaged")
        shown_s = _shown(frame)
        if shown_s is None:
            time_s += period
        else:
            origin_s = shown_s if origin_s is None else origin_s
            time_s = max(shown_s - origin_s, time_s)
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


def _at_rate(source: Iterator[TimedFrame], fps: Fraction | None, part: Part = WHOLE) -> Iterator[TimedFrame]:
    """For each instant of the part the frame shown nearest to it; a tie goes to the later frame.

    Instants are k / fps after the part's start, up to half a period after the last frame.
    """
    if fps is None:
        shown = itertools.takewhile(lambda timed: not part.is_over(timed.time_s), source)
        yield from (timed for timed in shown if timed.time_s >= part.start_s)
        return
    index = 0
    previous: TimedFrame | None = None
    for current in source:
        while previous is not None and _nearer(previous, current, part.start_s + index / fps):
            yield previous
            index += 1
            if part.is_over(part.start_s + index / fps):
                return
        previous = current
    if previous is None:
        return
    last = math.ceil((previous.time_s - part.start_s) * fps - Fraction(1, 2))  # under half a period after the frame
    for later in range(index, last + 1):
        if part.is_over(part.start_s + later / fps):
            return
        yield previous


def _nearer(previous: TimedFrame, current: TimedFrame, instant_s: Fraction) -> bool:
    return abs(previous.time_s - instant_s) < abs(current.time_s - instant_s)


def _upright(frame: av.VideoFrame, converter: VideoReformatter) -> Image:
    """A decoded frame as RGB; one converter a video, on one thread: making its tables and threads anew takes longer."""
    image = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as NumPy turns
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
