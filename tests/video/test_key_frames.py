"""Key frames: sharpness as scikit-image measures it, hashes that survive re-encoding, and one pass over a video."""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pdqhash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moviestrip.config import CurationSettings
from moviestrip.errors import FatalError
from moviestrip.tables import KEY_FRAMES, read_table, write_table
from moviestrip.video.decode import frames
from moviestrip.video.key_frames import blur, key_frames_of, picture_hash, sharpness, spread, within_bars
from tests.video.scenes import HEIGHT_PX, WIDTH_PX, scene, texture, write_frames
from tests.video.video_files import number_of, numbered

# skimage.measure.blur_effect of scikit-image 0.26 on `noise(seed, height, width, times)`.
GOLDEN_BLUR = {
    (0, 90, 120, 0): 0.12151268980655569,
    (1, 90, 120, 1): 0.15987313277053003,
    (2, 64, 150, 3): 0.2180562695663892,
    (3, 150, 64, 10): 0.3280697155720409,
    (4, 40, 40, 30): 0.5829523276603295,
}
BOX = np.array([100.0, 20, 200, 150])


def noise(seed: int, height_px: int, width_px: int, times: int) -> np.ndarray:
    """Noise, smoothed so many times with its neighbours."""
    picture = np.random.default_rng(seed).integers(0, 256, (height_px, width_px)).astype(float)
    for _ in range(times):
        picture = (
            picture
            + np.roll(picture, 1, 0)
            + np.roll(picture, 1, 1)
            + np.roll(picture, -1, 0)
            + np.roll(picture, -1, 1)
        ) / 5
    return picture.astype(np.uint8)


@pytest.mark.parametrize("key", GOLDEN_BLUR, ids=str)
def test_blur_is_scikit_images(key: tuple[int, int, int, int]):
    assert blur(noise(*key)) == pytest.approx(GOLDEN_BLUR[key], abs=1e-12)


def detailed(seed: int = 0) -> np.ndarray:
    return next(scene(seed, 1))


def blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma_px) if sigma_px else image


@pytest.mark.parametrize("seed", range(3))
def test_sharpness_falls_with_blur_out_of_focus_and_in_motion(seed: int):
    image = detailed(seed)
    focus = [sharpness(blurred(image, sigma), BOX) for sigma in (0, 0.7, 1.5, 3, 6)]
    moved = [sharpness(cv2.blur(image, (width, 1)), BOX) for width in (1, 3, 7, 15)]
    for values in (focus, moved):
        assert all(0 <= value <= 1 for value in values)
        assert (np.diff(values) < -0.01).all(), values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("contrast", "brightness"), [(0.6, 0), (0.6, 60), (1, 60), (0.8, 20)])
def test_sharpness_does_not_depend_on_brightness_and_contrast(contrast: float, brightness: float, seed: int):
    image = blurred(detailed(seed), 1.0).astype(float) * 0.7  # nothing is clipped
    changed = np.clip(image * contrast + brightness, 0, 255)
    first, second = (sharpness(each.round().astype(np.uint8), BOX) for each in (image, changed))
    assert abs(first - second) < 0.03


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_larger_video_of_the_same_person_is_as_sharp(factor: int):
    """Of a picture that holds all the detail that models see: in a 150 px crop both are the same."""
    large = blurred(texture(0, 1600, 900), 2)
    small = cv2.resize(large, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    box = np.array([400.0, 150, 850, 750])
    assert abs(sharpness(large, box) - sharpness(small, box / factor)) < 0.03


def test_only_the_person_is_judged():
    image = detailed()
    clear = image.copy()
    image[:] = blurred(image, 4)
    image[5:165, 85:215] = clear[5:165, 85:215]
    assert sharpness(image, BOX) == pytest.approx(sharpness(clear, BOX), abs=0.01)
    assert sharpness(image, np.array([250.0, 20, 310, 120])) < sharpness(clear, BOX) - 0.1


NOBODY = [
    [np.nan] * 4,
    [np.inf, np.inf, -np.inf, -np.inf],
    [50, 50, 50, 50],
    [80, 80, 20, 20],
    [-300, 0, -100, 100],
    [WIDTH_PX + 40, 0, WIDTH_PX + 300, 100],
]


@pytest.mark.parametrize("box", NOBODY, ids=str)
def test_nobody_in_sight_has_no_sharpness(box: list[float]):
    assert math.isnan(sharpness(detailed(), np.array(box, float)))


@pytest.mark.parametrize("box", [[50, 10, 50, 170], [10, 90, 300, 90], [-50, -50, 80, 80], [0, 0, 500, 400]], ids=str)
def test_thin_and_cut_off_boxes_are_judged(box: list[float]):
    assert 0 < sharpness(detailed(), np.array(box, float)) < 1


def test_a_plain_picture_is_not_sharp():
    assert sharpness(np.full((200, 300, 3), 90, np.uint8), BOX) == 0


def bits(known: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(known), np.uint8))


def apart(first: np.ndarray, second: np.ndarray) -> int:
    return int((bits(picture_hash(first)[0]) != bits(picture_hash(second)[0])).sum())


def test_a_hash_is_pdqs():
    for image in (detailed(), texture(3, 500, 400), texture(4, 90, 200)):
        expected, quality = pdqhash.compute(image)
        known, found = picture_hash(image)
        assert len(known) == 64 and set(known) <= set("0123456789abcdef")
        np.testing.assert_array_equal(bits(known), expected)
        assert found == quality
    large = texture(3, 1920, 1080)
    expected, _ = pdqhash.compute(large)
    assert (bits(picture_hash(large)[0]) != expected).sum() <= 12


def test_a_hash_survives_encoding_resizing_and_light_but_not_another_scene(tmp_path: Path):
    image = detailed(5)
    path = write_frames(tmp_path / "low.mp4", [image] * 3)
    small = cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA)
    darker = (image * 0.7).astype(np.uint8)
    for other in (next(frames(path)), small, darker, blurred(image, 2)):
        assert apart(image, other) <= 31
    assert all(apart(image, detailed(seed)) > 70 for seed in range(6, 12))


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize(("top_px", "left_px"), [(8, 0), (30, 0), (0, 40), (24, 24)])
def test_a_hash_survives_bars(tmp_path: Path, colour: int, top_px: int, left_px: int):
    image = detailed(5)
    sides = (top_px, top_px, left_px, left_px)
    framed = cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(colour,) * 3)
    path = write_frames(tmp_path / "framed.mp4", [framed] * 3)
    assert apart(image, next(frames(path))) <= 31
    np.testing.assert_array_equal(within_bars(framed), image)
    np.testing.assert_array_equal(within_bars(image), image)


def test_sky_and_plain_pictures_are_no_bars():
    image = detailed(6)
    image[:60] = 200
    np.testing.assert_array_equal(within_bars(image), image)
    plain = np.full((90, 160, 3), 30, np.uint8)
    np.testing.assert_array_equal(within_bars(plain), plain)


def test_a_plain_frame_says_so():
    assert picture_hash(np.full((180, 320, 3), 80, np.uint8))[1] < 50 <= picture_hash(detailed())[1]


@given(st.integers(0, 200), st.integers(1, 600), st.integers(1, 40))
def test_key_frames_are_spread_evenly(first_frame: int, n_frames: int, count: int):
    found = spread(first_frame, n_frames, count)
    assert min(count, n_frames) <= len(found) <= min(2 * count, n_frames)
    assert found[0] >= 0 and found[-1] < n_frames
    gaps = np.diff(found)
    assert (gaps == gaps[:1]).all()
    assert len(found) < 2 or max(found[0], n_frames - 1 - found[-1]) < gaps[0]


@given(st.integers(0, 200), st.integers(40, 500), st.integers(0, 5), st.integers(0, 5))
def test_clips_that_begin_and_end_somewhat_apart_share_key_frames(first: int, n_frames: int, late: int, early: int):
    whole, part = spread(first, n_frames, 5), spread(first + late, n_frames - late - early, 5)
    shared = set((first + whole).tolist()) & set((first + late + part).tolist())
    assert len(shared) >= min(len(whole), len(part)) - 2


def clips(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["clip_id", "video_id", "first_frame", "n_frames"])


def test_a_video_is_decoded_once_and_no_further_than_needed(tmp_path: Path):
    opened, decoded = [], []

    def frames_of(video_id: str) -> Iterator[np.ndarray]:
        opened.append(video_id)
        for index in range(50):
            decoded.append((video_id, index))
            yield numbered(index, WIDTH_PX, HEIGHT_PX)

    boxes = {"a": BOX, "b": np.full(4, np.nan), "c": BOX}
    table = key_frames_of(
        clips(("c", "v", 9, 12), ("a", "w", 0, 40), ("b", "v", 0, 3)),
        lambda clip: np.tile(boxes[clip["clip_id"]], (clip["n_frames"], 1)), frames_of, CurationSettings(key_frames=4),
    )  # fmt: skip
    write_table(tmp_path / "key_frames.parquet", table, KEY_FRAMES)
    read = read_table(tmp_path / "key_frames.parquet", KEY_FRAMES)
    assert opened == ["v", "w"]
    assert decoded == [("v", index) for index in range(21)] + [("w", index) for index in range(33)]
    assert read.groupby("clip_id")["frame"].agg(list).to_dict() == {
        "a": [0, 8, 16, 24, 32],
        "b": [0, 1, 2],
        "c": [1, 3, 5, 7, 9, 11],  # every other one of the video's, which it enters at the ninth
    }
    assert read.groupby("clip_id")["video_id"].first().to_dict() == {"a": "w", "b": "v", "c": "v"}
    assert read["sharpness"].isna().tolist() == (read["clip_id"] == "b").tolist()
    for row in read.to_dict("records"):
        index = row["frame"] + (9 if row["clip_id"] == "c" else 0)
        assert (row["hash"], row["quality"]) == picture_hash(numbered(index, WIDTH_PX, HEIGHT_PX))


def test_the_box_is_that_of_the_very_frame():
    images = [np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8) for _ in range(4)]
    rng = np.random.default_rng(0)
    boxes = np.array([[20.0 + 60 * index, 30, 70 + 60 * index, 150] for index in range(4)])
    for image, (left, top, right, bottom) in zip(images, boxes.astype(int), strict=True):
        image[top:bottom, left:right] = rng.integers(0, 256, (bottom - top, right - left, 3))
    table = key_frames_of(
        clips(("a", "v", 0, 4)), lambda clip: boxes, lambda video_id: iter(images), CurationSettings(key_frames=4)
    )
    assert (table["sharpness"] > 0.3).all()


def test_no_clips_have_no_key_frames():
    found = key_frames_of(clips(), lambda clip: np.zeros((0, 4)), lambda video_id: iter(()), CurationSettings())
    assert found.empty and list(found.columns) == [column.name for column in KEY_FRAMES.columns]


def test_a_video_that_ends_too_early_is_an_error():
    images = [numbered(index, 64, 48) for index in range(5)]
    assert number_of(images[3]) == 3
    with pytest.raises(FatalError, match="video v: ends before frame 16"):
        key_frames_of(
            clips(("a", "v", 0, 20)), lambda clip: np.zeros((20, 4)), lambda name: iter(images), CurationSettings()
        )
