"""Objects pasted over crops: decided by seed, copy and frame, over a part of the crop, never far from the release's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from moviestrip.config import FeatureSettings
from moviestrip.errors import ConfigError
from moviestrip.features import occlusion


@pytest.fixture(scope="module")
def painted() -> list[occlusion.Occluder]:
    return occlusion.occluders_of(FeatureSettings(), seed=0)


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)


def covered(painted: list[occlusion.Occluder], side_px: int, frames: int) -> np.ndarray:
    """(frames, side, side): how much of each pixel is hidden."""
    white = [np.dstack([np.full_like(one[..., :3], 255), one[..., 3]]) for one in painted]
    black = np.zeros((side_px, side_px, 3), np.uint8)
    return np.stack([occlusion.occlude_frame(black, white, "a~o1", frame, 0)[..., 0] for frame in range(frames)]) / 255


def test_the_objects_of_a_frame_derive_from_seed_copy_and_frame_alone(painted, crop):
    before = crop.copy()
    first = occlusion.occlude_frame(crop, painted, "a~o1", 3, seed=0)
    assert (crop == before).all()
    again = occlusion.occluders_of(FeatureSettings(), seed=0)
    assert occlusion.occlude_frame(crop, again, "a~o1", 3, seed=0).tobytes() == first.tobytes()
    for other in (("a~o2", 3, 0), ("a~o1", 4, 0), ("a~o1", 3, 1)):
        assert occlusion.occlude_frame(crop, painted, *other).tobytes() != first.tobytes()


def test_objects_hide_parts_of_the_crop_and_hardly_ever_the_person_whole(painted):
    hidden = covered(painted, 64, 400)
    share = hidden.mean((1, 2))
    assert 0.08 < share.mean() < 0.20
    assert (share > 0).mean() > 0.98 and share.max() < 0.8
    person = hidden[:, 13:51, 20:44].mean((1, 2))  # upright, 150 of the 224 px
    assert (person > 0.05).mean() > 0.5 and (person > 0.95).mean() < 0.01


def test_objects_lie_anywhere_in_the_crop(painted):
    where = covered(painted, 32, 400).mean(0)
    assert where.min() > 0.01 and where.max() < 0.35


def test_crops_of_two_sizes_are_hidden_at_the_same_places(painted):
    small, large = covered(painted, 64, 20), covered(painted, 128, 20)
    shrunk = large.reshape(20, 64, 2, 64, 2).mean((2, 4))
    assert np.abs(small - shrunk).mean() < 0.02


@pytest.mark.parametrize("center", [(8.0, 8.0), (0.0, 15.0), (-30.0, 8.0), (15.4, -1.6)])
def test_pasting_blends_by_opacity_and_cuts_off_at_the_edges(center):
    random = np.random.default_rng(1)
    crop = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    occluder = random.integers(0, 255, (7, 5, 4), dtype=np.uint8)
    expected = crop.astype(float)
    for row in range(7):
        for column in range(5):
            y, x = round(center[1]) - 3 + row, round(center[0]) - 2 + column
            if 0 <= y < 16 and 0 <= x < 16:
                opacity = occluder[row, column, 3] / 255
                expected[y, x] = opacity * occluder[row, column, :3] + (1 - opacity) * expected[y, x]
    occlusion.paste(crop, occluder, np.array(center))
    np.testing.assert_allclose(crop, expected, atol=0.51)


def test_between_one_and_seven_objects_are_pasted_at_a_fifth_to_all_of_their_size(crop, monkeypatch):
    sizes: list[list[int]] = [[] for _ in range(300)]
    pasted = iter(sizes)
    object_px = 100
    for frame in range(300):
        found = next(pasted)
        monkeypatch.setattr(occlusion, "paste", lambda _crop, one, _center, found=found: found.append(len(one)))
        occlusion.occlude_frame(crop, [np.zeros((object_px, object_px, 4), np.uint8)], "a~o1", frame, 0)
    counts = {len(found) for found in sizes}
    lengths = np.concatenate(sizes) * 256 / len(crop) / object_px
    assert counts == set(range(1, 8))
    assert lengths.min() == pytest.approx(0.2, abs=0.03) and lengths.max() == pytest.approx(1.0, abs=0.03)


def test_painted_objects_are_opaque_cut_tightly_and_of_many_sizes_and_colours(painted):
    lengths = [max(one.shape[:2]) for one in painted]
    assert min(lengths) < 60 and max(lengths) > 180 and max(lengths) <= 250 * occlusion.REACH
    for one in painted:
        opacity = one[..., 3]
        edges = (opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1])
        assert all(edge.any() for edge in edges)
        assert ((opacity > 0) & (opacity < 255)).mean() < 0.25 and (opacity == 255).mean() > 0.2
    means = np.array([one[..., :3][one[..., 3] == 255].mean(0) for one in painted])
    assert (means.std(0) > 30).all()


def test_cut_outs_of_a_folder_take_the_painted_objects_place(tmp_path: Path):
    red = np.zeros((4, 6, 4), np.uint8)
    red[..., 2], red[..., 3] = 200, 255  # OpenCV writes blue first
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "b.png"), red)
    cv2.imwrite(str(tmp_path / "a.png"), red[:2])
    found = occlusion.occluders_of(FeatureSettings(occluder_folder=tmp_path), seed=0)
    assert [one.shape for one in found] == [(2, 6, 4), (4, 6, 4)]
    assert found[1][0, 0].tolist() == [200, 0, 0, 255]


def test_folders_that_cannot_be_used_are_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"features\.occluder_folder: there is no folder .*nowhere"):
        occlusion.read_occluders(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"features\.occluder_folder: .* holds no \.png"):
        occlusion.read_occluders(tmp_path)
    cv2.imwrite(str(tmp_path / "opaque.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"opaque\.png has shape \(4, 4, 3\) .* a cut-out needs"):
        occlusion.read_occluders(tmp_path)
    (tmp_path / "opaque.png").write_text("no picture")
    with pytest.raises(ConfigError, match=r"opaque\.png is not a picture"):
        occlusion.read_occluders(tmp_path)
