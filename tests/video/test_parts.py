"""Parts of a file: the frames that the whole file shows then, wherever decoding begins."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from moviestrip.errors import QuarantineError
from moviestrip.tables import VIDEOS
from moviestrip.video import decode
from moviestrip.video.decode import frames, probe
from tests.video.video_files import number_of, rotate_flag, write_video

# Encoders as they are found in the wild: closed and open groups of pictures, intra refresh, pictures never shown.
ENCODINGS = {
    "closed.mp4": ("libx264", {"g": "12", "bf": "3"}),
    "closed.mkv": ("libx264", {"g": "12", "bf": "3"}),
    "transport.ts": ("libx264", {"g": "12", "bf": "3"}),
    "open.mp4": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "refresh.mp4": ("libx264", {"g": "12", "x264-params": "intra-refresh=1"}),
    "vp8.webm": ("libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "8"}),
    "vp9.webm": ("libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "8", "cpu-used": "8"}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=12:open-gop=1:log-level=none:pools=none:frame-threads=1"}),
    "mpeg4.avi": ("mpeg4", {"g": "12", "bf": "2"}),
}
BEGIN_LATER = {"closed.mp4", "closed.mkv", "transport.ts", "vp8.webm", "vp9.webm"}


def write_moving(path: Path, codec: str, options: dict[str, str], n_frames: int = 60, side_px: int = 96) -> Path:
    """Noise that drifts, so that every frame refers to those before it."""
    picture = np.random.default_rng(0).integers(0, 256, (side_px // 8, side_px // 8 + n_frames, 3), np.uint8)
    picture = picture.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = side_px
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for index in range(n_frames):
            image = np.ascontiguousarray(picture[:, 3 * index : 3 * index + side_px])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_part_is_the_same_bits_as_a_decode_of_the_whole_file(tmp_path: Path, name: str):
    path = write_moving(tmp_path / name, *ENCODINGS[name])
    whole = list(frames(path))
    assert len(whole) == 60
    for first, end in [(1, 5), (11, 14), (12, 20), (13, 37), (24, 25), (35, 60), (59, 60)]:
        assert same(list(frames(path, None, first / 25, end / 25)), whole[first:end]), (first, end)
        assert probe(path, 25, first / 25, end / 25).n_frames == end - first


@pytest.mark.parametrize("name", ENCODINGS)
def test_decoding_begins_at_the_last_key_frame_that_needs_nothing_before_it(tmp_path: Path, name: str):
    path = write_moving(tmp_path / name, *ENCODINGS[name])
    entries = [decode._entry(path, Fraction(first, 25)).packet for first in (5, 12, 30, 50)]
    assert entries == sorted(entries)
    assert (entries[-1] > 0) == (name in BEGIN_LATER)


def test_damage_before_a_part_goes_unseen_and_in_it_does_not(tmp_path: Path):
    path = write_moving(tmp_path / "v.mp4", *ENCODINGS["closed.mp4"])
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data[places[8] + 4 : places[9]] = bytes(places[9] - places[8] - 4)
    path.write_bytes(data)
    assert probe(path, None, 1, 2).n_frames == 25
    with pytest.raises(QuarantineError, match="bad_video"):
        probe(path, None, 0.2, 2)


@pytest.mark.parametrize("fps", [25, 12.5, 30, 10, 24])
@pytest.mark.parametrize(("start_s", "end_s"), [(0, 0.4), (0.4, 0), (0.2, 1), (0.8, 5)])
def test_a_part_lies_on_the_grid_of_the_whole_video(tmp_path: Path, fps: float, start_s: float, end_s: float):
    path = write_video(tmp_path / "v.mp4", 40, fps=25)
    whole = [number_of(image) for image in frames(path, fps)]
    instants = [Fraction(index) / Fraction(fps) for index in range(len(whole))]
    found = [number_of(image) for image in frames(path, fps, start_s, end_s)]
    if (Fraction(start_s).limit_denominator(1000) * Fraction(fps)).denominator == 1:
        start, end = (Fraction(value).limit_denominator(1000) for value in (start_s, end_s))
        assert found == [
            number for number, at in zip(whole, instants, strict=True) if at >= start and (at < end or not end)
        ]
    for index, number in enumerate(found):
        exact = (Fraction(start_s).limit_denominator(1000) + index / Fraction(fps)) * 25
        assert abs(number - exact) <= Fraction(1, 2) or number == 39


@pytest.mark.faults
def test_fault_07_a_part_of_a_video_of_variable_rate_follows_the_timestamps(tmp_path: Path):
    times = [0, 0.04, 0.08, 0.40, 0.44, 0.60]
    path = write_video(tmp_path / "v.mp4", 6, times=times)
    assert [number_of(image) for image in frames(path, None, 0.08, 0.44)] == [2, 3]
    expected = [int(np.abs(np.array(times) - 0.2 - index / 25 - 1e-9).argmin()) for index in range(5)]
    assert [number_of(image) for image in frames(path, 25, 0.2, 0.4)] == expected


@pytest.mark.faults
def test_fault_07_a_part_of_a_stream_without_timestamps(tmp_path: Path):
    path = write_video(tmp_path / "raw.h264", fps=25)
    assert [number_of(image) for image in frames(path, None, 0.4, 0.6)] == list(range(10, 15))


def test_a_part_starts_counting_where_the_file_does(tmp_path: Path):
    path = write_video(tmp_path / "late.mkv", 30, times=[7 + index / 25 for index in range(30)])
    assert [number_of(image) for image in frames(path, 25, 0.4, 0.6)] == list(range(10, 15))


@pytest.mark.parametrize(("start_s", "end_s"), [(1.3, 0), (1.3, 2), (500, 0)])
def test_a_part_behind_the_end_is_no_video(tmp_path: Path, start_s: float, end_s: float):
    path = write_video(tmp_path / "v.mp4", 30)
    for fps in (None, 25):
        with pytest.raises(QuarantineError, match=r"bad_video: v\.mp4: it ends before its part begins"):
            probe(path, fps, start_s, end_s)


@pytest.mark.parametrize(("start_s", "end_s"), [(2, 1), (1, 1), (-1, 0)])
def test_a_part_that_ends_before_it_begins_is_no_video(tmp_path: Path, start_s: float, end_s: float):
    path = write_video(tmp_path / "v.mp4", 30)
    with pytest.raises(QuarantineError, match="bad_video"):
        probe(path, 25, start_s, end_s)


def test_a_part_read_back_from_a_table_is_the_part_that_was_probed(tmp_path: Path):
    """Tables keep single precision: 0.36 comes back as 0.36000001."""
    path = write_video(tmp_path / "v.mp4", 45)
    kinds = {column.name: column.type.to_pandas_dtype() for column in VIDEOS.columns if column.name.endswith("_s")}
    for first, end in itertools.combinations(range(1, 45, 6), 2):
        start_s, end_s = first / 25, end / 25
        again = frames(path, 25, float(kinds["start_s"](start_s)), float(kinds["end_s"](end_s)))
        assert [number_of(image) for image in again] == list(range(first, end))


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.h264"])
@pytest.mark.parametrize("part", [(0, 0), (0.4, 0), (0.4, 1.8)])
def test_a_longer_part_than_allowed_is_refused(tmp_path: Path, name: str, part: tuple[float, float]):
    path = write_video(tmp_path / name, 50)
    with pytest.raises(QuarantineError, match=r"refused: v\.\w+: lasts .* above the limit of 1 s"):
        probe(path, 25, *part, maximum_s=1)
    assert probe(path, 25, *part, maximum_s=2).n_frames == round(((part[1] or 2) - part[0]) * 25)
    assert probe(path, 25, 0.4, 1.2, maximum_s=1).n_frames == 20


@pytest.mark.faults
def test_fault_06_a_part_to_the_end_of_a_file_cut_short_is_refused(tmp_path: Path):
    path = write_moving(tmp_path / "v.mp4", *ENCODINGS["closed.mp4"])
    fast = {"movflags": "faststart"}
    with av.open(str(path)) as container, av.open(str(tmp_path / "fast.mp4"), "w", options=fast) as to:
        stream = to.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                to.mux(packet)
    whole = (tmp_path / "fast.mp4").read_bytes()
    path.write_bytes(whole[: len(whole) - 1000])
    assert decode._entry(path, Fraction(1)).packet > 0
    assert probe(path, 25, 1, 1.4).n_frames == 10
    with pytest.raises(QuarantineError, match="bad_video"):
        probe(path, 25, 1)


@pytest.mark.faults
def test_fault_07_a_part_of_a_turned_video_stands_upright(tmp_path: Path):
    path = write_moving(tmp_path / "v.mp4", *ENCODINGS["closed.mp4"])
    turned = rotate_flag(path, tmp_path / "turned.mp4", 90)
    expected = [np.rot90(image, -1) for image in frames(path, None, 1, 1.2)]
    assert same(list(frames(turned, None, 1, 1.2)), expected)
