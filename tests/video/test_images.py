"""Folders of images read as videos are: the same frames at the same instants, or a reason why not."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.config import DatasetSettings
from moviestrip.errors import QuarantineError
from moviestrip.video.decode import TimedFrame, _at_rate, frames, probe
from moviestrip.video.fetch import PlannedVideo, fetch_shard, frames_of
from moviestrip.video.images import folder_frames, image_files, probe_folder, shown_at
from tests.video.video_files import number_of, numbered, write_video

RATES = [6, 10, 12.5, 15, 23.976, 24, 25, 30000 / 1001, 29.97, 30, 48, 50, 59.94, 60, 100, 120]


def write_folder(folder: Path, n_frames: int = 12, width_px: int = 64, height_px: int = 48, name: str = "{:06d}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n_frames):
        cv2.imwrite(str(folder / name.format(index + 1)), numbered(index, width_px, height_px))
    return folder


def numbers(folder: Path, filmed_fps: float = 25, fps: float = 25) -> list[int]:
    return [number_of(image) for image in folder_frames(folder, filmed_fps, fps)]


def decoded(n_frames: int, filmed_fps: float, fps: float) -> list[int]:
    """Which frames the decoder of video files gives of a video of constant rate."""
    rate, wanted = (Fraction(value).limit_denominator(100_000) for value in (filmed_fps, fps))
    timed = (TimedFrame(Fraction(index) / rate, index) for index in range(n_frames))  # type: ignore[arg-type]
    return [each.frame for each in _at_rate(timed, wanted)]  # type: ignore[misc]


@given(st.integers(1, 300), st.sampled_from(RATES), st.sampled_from(RATES))
@settings(deadline=None, max_examples=150)
def test_frames_are_shown_when_the_decoder_of_files_shows_them(n_frames: int, filmed_fps: float, fps: float):
    assert shown_at(n_frames, filmed_fps, fps).tolist() == decoded(n_frames, filmed_fps, fps)


@given(st.integers(1, 300), st.floats(1, 240), st.floats(1, 240))
@settings(deadline=None, max_examples=150)
def test_frames_never_run_backwards_nor_far_from_their_instant(n_frames: int, filmed_fps: float, fps: float):
    shown = shown_at(n_frames, filmed_fps, fps)
    assert shown[0] == 0 and (np.diff(shown) >= 0).all() and shown[-1] < n_frames
    instants = np.arange(len(shown)) / fps
    late = (n_frames - 1) / filmed_fps
    assert (np.abs(shown / filmed_fps - np.minimum(instants, late)) <= 0.5 / filmed_fps + 1e-4).all()
    assert shown_at(n_frames, filmed_fps, filmed_fps).tolist() == list(range(n_frames))


@pytest.mark.parametrize(("filmed", "wanted"), [(50, 25), (60, 25), (30, 25), (24, 25), (10, 25), (25, 25)])
def test_a_folder_is_resampled_as_a_file_of_the_same_frames(tmp_path: Path, filmed: int, wanted: int):
    folder, file = write_folder(tmp_path / "images", 30), write_video(tmp_path / "v.mp4", 30, fps=filmed)
    assert numbers(folder, filmed, wanted) == [number_of(image) for image in frames(file, wanted)]
    found, expected = probe_folder(folder, filmed, wanted), probe(file, wanted)
    assert found == expected and found.filmed_fps == filmed


def test_images_come_in_the_order_of_their_names_in_red_green_and_blue(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in (("b.JPG", (0, 0, 250)), ("a.png", (250, 0, 0)), ("c.jpeg", (0, 250, 0)), ("d.txt", None)):
        if colour is None:
            (folder / name).write_text("no image")
        else:
            cv2.imwrite(str(folder / name), np.full((48, 64, 3), colour, np.uint8)[..., ::-1])
    brightest = [int(image.mean(axis=(0, 1)).argmax()) for image in folder_frames(folder, 25, 25)]
    assert [path.name for path in image_files(folder)] == ["a.png", "b.JPG", "c.jpeg"]
    assert brightest == [0, 2, 1]


def test_what_macos_leaves_beside_images_is_none_of_them(tmp_path: Path):
    folder = write_folder(tmp_path / "images", name="{:06d}.jpg")
    for path in image_files(folder):
        (folder / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(60))
    (folder / ".DS_Store").write_bytes(bytes(8))
    assert numbers(folder) == list(range(12))
    assert probe_folder(folder, 25, 25).n_frames == 12


@pytest.mark.parametrize("size", [(63, 47), (65, 48), (64, 31)])
def test_an_odd_size(tmp_path: Path, size: tuple[int, int]):
    folder = write_folder(tmp_path / "images", 4, *size)
    facts = probe_folder(folder, 30, 30)
    assert (facts.width_px, facts.height_px, facts.n_frames) == (*size, 4)
    assert next(folder_frames(folder, 30, 30)).shape == (size[1], size[0], 3)


def test_a_turned_photograph_lies_as_its_labels_do(tmp_path: Path):
    """Releases label the pixels as stored, whatever the camera noted of its orientation."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(numbered(3, 64, 48)).save(folder / "000001.jpg", exif=exif)
    assert next(folder_frames(folder, 25, 25)).shape == (48, 64, 3)


def broken(folder: Path, how: str) -> Path:
    """A folder that is no video for one reason."""
    write_folder(folder)
    if how == "unreadable":
        (folder / "000005.png").write_bytes(b"not an image")
    elif how == "cut short":
        whole = cv2.imencode(".jpg", numbered(4, 64, 48))[1].tobytes()
        (folder / "000005.png").write_bytes(whole[: len(whole) - 60])  # decoders go by the content
    elif how == "of no bytes":
        (folder / "000005.png").write_bytes(b"")
    elif how == "of another size":
        cv2.imwrite(str(folder / "000005.png"), numbered(4, 32, 48))
    else:
        for path in folder.iterdir():
            path.unlink()
        (folder / "._000001.png").write_bytes(bytes(8))
    return folder


REASONS = {
    "unreadable": "000005.png is not a readable image",
    "cut short": r"000005.png is not a readable image .image file is truncated",
    "of no bytes": "000005.png is not a readable image",
    "of another size": "frame 4 has 32 x 48 px, the first 64 x 48",
    "empty": "the folder holds no images",
}


@pytest.mark.faults
@pytest.mark.parametrize("how", REASONS)
def test_a_folder_that_is_no_video_is_quarantined(tmp_path: Path, how: str):
    folder = broken(tmp_path / "images", how)
    with pytest.raises(QuarantineError, match=REASONS[how]) as caught:
        probe_folder(folder, 25, 25)
    assert caught.value.reason == "bad_video" and "images: " in str(caught.value)


def test_no_folder_is_no_video(tmp_path: Path):
    with pytest.raises(QuarantineError, match="there is no such folder"):
        list(folder_frames(tmp_path / "nowhere", 25, 25))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Three videos: one of images, one of images of which one is broken, one that is gone."""
    write_folder(tmp_path / "release" / "good", 12)
    broken(tmp_path / "release" / "bad", "unreadable")
    return tmp_path / "release"


def test_a_folder_is_fetched_by_a_link_and_read_at_the_dataset_s_rate(release: Path, tmp_path: Path):
    dataset = DatasetSettings.model_validate({
        "role": "sports2d", "title": "T", "licence": "none", "supervision": "truth_2d", "tube": "truth", "fps": 25,
        "source": {"kind": "official", "release": "penn-action", "splits": ["train"]},
    })  # fmt: skip
    planned = [
        PlannedVideo(f"{index:016x}", "train", name, str(release / name), filmed_fps=50)
        for index, name in enumerate(("good", "bad", "gone"))
    ]
    videos = fetch_shard("d", dataset, "d-0000", planned, tmp_path / "r").to_dict("records")
    assert [video["status"] for video in videos] == ["ok", "bad_video", "bad_video"]
    good = videos[0]
    assert (good["n_frames"], good["fps"], good["filmed_fps"], good["width_px"]) == (6, 25, 50, 64)
    assert (tmp_path / "r" / good["path"]).is_symlink()
    assert [number_of(image) for image in frames_of(tmp_path / "r")(good)] == [0, 2, 4, 6, 8, 10]
