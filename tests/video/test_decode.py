"""Decoding of real files: awkward ones read right, damaged ones refused with a reason."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from moviestrip.errors import QuarantineError
from moviestrip.video.decode import VideoFacts, frames, probe
from tests.video.video_files import number_of, rotate_flag, write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "plain.mp4")


def numbers(path, fps=None):
    return [number_of(image) for image in frames(path, fps)]


def test_every_frame_in_order(video):
    assert probe(video) == VideoFacts(64, 48, 25.0, 30, 25.0)
    assert numbers(video) == list(range(30))
    assert next(frames(video)).dtype == np.uint8


def test_its_own_rate_changes_nothing(video):
    assert numbers(video, 25) == list(range(30))
    assert probe(video, 25).n_frames == 30


@pytest.mark.parametrize(("native", "wanted"), [(50, 25), (60, 25), (30, 25), (24, 25), (10, 25), (25, 12.5)])
def test_resampled_frames_are_the_nearest_ones(tmp_path, native, wanted):
    path = write_video(tmp_path / "v.mp4", 30, fps=native)
    found = numbers(path, wanted)
    for index, number in enumerate(found):
        exact = Fraction(index) / Fraction(wanted) * native
        assert abs(number - exact) <= Fraction(1, 2) or number == 29
    expected = math.ceil(Fraction(29, native) * Fraction(wanted) - Fraction(1, 2)) + 1
    assert len(found) == probe(path, wanted).n_frames == expected


@pytest.mark.faults
def test_fault_07_a_variable_frame_rate_follows_the_timestamps(tmp_path):
    times = [0, 0.04, 0.08, 0.40, 0.44, 0.60]  # held for 0.32 s, then for 0.16 s
    path = write_video(tmp_path / "v.mp4", 6, times=times)
    expected = [int(np.abs(np.array(times) - index / 25 - 1e-9).argmin()) for index in range(16)]
    assert numbers(path, 25) == expected
    assert probe(path, 25).n_frames == 16


@pytest.mark.faults
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_fault_07_a_rotation_flag_is_applied(tmp_path, video, degrees):
    turned = rotate_flag(video, tmp_path / "turned.mp4", degrees)
    expected = np.rot90(next(frames(video)), -degrees // 90)  # the flag turns clockwise
    np.testing.assert_array_equal(next(frames(turned)), expected)
    facts = probe(turned)
    assert (facts.height_px, facts.width_px) == expected.shape[:2]


@pytest.mark.faults
def test_fault_07_an_odd_size(tmp_path):
    path = write_video(tmp_path / "odd.mkv", width_px=65, height_px=47, pixel_format="yuv444p")
    assert probe(path) == VideoFacts(65, 47, 25.0, 30, 25.0)
    assert next(frames(path)).shape == (47, 65, 3)
    assert numbers(path) == list(range(30))


@pytest.mark.faults
def test_fault_07_missing_timestamps(tmp_path):
    path = write_video(tmp_path / "raw.h264", fps=25)  # an elementary stream carries none
    with av.open(str(path)) as container:
        assert all(packet.pts is None for packet in container.demux(video=0))
    assert numbers(path) == list(range(30))
    assert numbers(path, 25) == list(range(30))


@pytest.mark.faults
def test_fault_05_random_corruption_is_found(tmp_path, video):
    rng = np.random.default_rng(0)
    path = write_video(tmp_path / "busy.mp4", 40, 256, 256)
    whole = path.read_bytes()
    media = whole.index(b"mdat") + 8
    found = 0
    for trial in range(10):
        data = bytearray(whole)
        start = int(rng.integers(media + 800, len(whole) - 2500))
        data[start : start + 300] = rng.integers(0, 256, 300, np.uint8).tobytes()
        damaged = tmp_path / f"{trial}.mp4"
        damaged.write_bytes(data)
        try:
            probe(damaged)
        except QuarantineError as error:
            assert error.reason == "bad_video"
            found += 1
    assert found >= 8


BAD_FILES = {
    "truncated.mp4": lambda whole: whole[: len(whole) * 2 // 3],
    "empty.mp4": lambda whole: b"",
    "page.mp4": lambda whole: b"<!DOCTYPE html><html><body>404 not found</body></html>" * 40,
    "playlist.mp4": lambda whole: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n#EXT-X-ENDLIST\n",
    "concat.mp4": lambda whole: b"ffconcat version 1.0\nfile plain.mp4\n",
}


@pytest.mark.faults
@pytest.mark.parametrize("name", BAD_FILES)
def test_fault_06_what_is_no_whole_video_is_refused_with_the_reason(tmp_path, video, name):
    path = tmp_path / name
    path.write_bytes(BAD_FILES[name](video.read_bytes()))
    with pytest.raises(QuarantineError, match=f"bad_video: {name}: "):
        probe(path)
    with pytest.raises(QuarantineError):
        list(frames(path))


@pytest.mark.faults
def test_fault_06_a_file_cut_short_behind_its_index_is_refused(tmp_path):
    path = write_video(tmp_path / "fast.mp4", 60, 128, 128, options={"movflags": "faststart"})
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: len(whole) - 1000])
    with pytest.raises(QuarantineError, match="bad_video"):
        probe(path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(QuarantineError, match="no video stream"):
        probe(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(QuarantineError, match="no such file"):
        probe(tmp_path / "nowhere.mp4")


def test_two_decodes_give_the_same_bits(video):
    first, second = (np.stack(list(frames(video))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
