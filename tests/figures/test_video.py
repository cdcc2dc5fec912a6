import av
import numpy as np
import pytest

from moviestrip.errors import FatalError
from moviestrip.figures.video import write_video


@pytest.fixture
def frames() -> np.ndarray:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return np.stack([np.repeat(np.tile(np.roll(ramp, 3 * shift), (48, 1))[..., None], 3, -1) for shift in range(10)])


def test_a_video_plays_back_close_to_its_frames(tmp_path, frames):
    assert write_video(tmp_path / "a.mp4", frames, fps=25, quality=18) == 10
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate)) == ("h264", "yuv420p", 25.0)
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 6


def test_a_browser_can_start_before_the_end(tmp_path, frames):
    write_video(tmp_path / "a.mp4", frames)
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path, frames):
    frames = np.tile(frames, (1, 4, 12, 1))  # as large as an overlay clip: 768 by 192
    write_video(tmp_path / "a.mp4", frames)
    write_video(tmp_path / "b.mp4", iter(frames))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(("shape", "words"), [((0, 4, 4, 3), "at least one frame"), ((1, 5, 4, 3), "even.*4x5")])
def test_what_cannot_be_encoded_is_named_and_leaves_nothing(tmp_path, shape, words):
    with pytest.raises(FatalError, match=rf"a\.mp4: .*{words}"):
        write_video(tmp_path / "a.mp4", np.zeros(shape, np.uint8))
    assert list(tmp_path.iterdir()) == []
