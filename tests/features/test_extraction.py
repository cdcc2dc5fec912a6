import zlib

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import FeatureSettings
from moviestrip.errors import FatalError
from moviestrip.features import extraction
from moviestrip.tables import CLIPS, CROPS, FEATURE_INDEX, LABELS, read_table, stack, unstack, write_table

SETTINGS = FeatureSettings(augmented_copies=2)


class MeanColour:
    """A backbone whose features can be told by eye: the mean colour of the crop's middle, and its frame's number."""

    name, dimension, digest, input_px, crop_share = "mean-colour", 3, "none", 64, 1.0

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        assert crops.shape[1:] == (64, 64, 3) and crops.dtype == np.uint8
        return crops[:, 28:36, 28:36].mean((1, 2)).astype(np.float32)


def table(schema, rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=[column.name for column in schema.columns])


def clip(clip_id: str, video_id: str, first_frame: int, n_frames: int, split: str = "test") -> dict:
    return {"clip_id": clip_id, "video_id": video_id, "first_frame": first_frame, "n_frames": n_frames, "split": split}


def boxes(clip: dict, centre=(20.0, 30.0), scale=2.0) -> list[dict]:
    return [
        {
            "clip_id": clip["clip_id"],
            "frame": frame,
            "video_frame": clip["first_frame"] + frame,
            "box_center_px": np.array(centre, np.float32),
            "box_scale": scale,
        }
        for frame in range(clip["n_frames"])
    ]


def frames_of(video_id: str):
    """Ten frames: red is the frame's number, green the video's."""
    for number in range(10):
        yield np.full((60, 80, 3), (10 * number, 100 * int(video_id[1:]), 7), np.uint8)


def shard(*clips: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    labels = [row for one in clips for row in boxes(one)]
    return table(CLIPS, list(clips)), table(LABELS, labels).sample(frac=1, random_state=0)


def test_rows_are_each_clips_frames_in_order_whatever_the_order_of_the_tables():
    clips, labels = shard(clip("c", "v1", 4, 3), clip("a", "v2", 0, 2), clip("b", "v1", 5, 5))
    phi, index, crops = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=0)
    assert index.values.tolist() == [["a", 0, 2], ["b", 2, 5], ["c", 7, 3]]
    assert phi[:, 0].tolist() == [0, 10, 50, 60, 70, 80, 90, 40, 50, 60]
    assert phi[:, 1].tolist() == [200] * 2 + [100] * 8
    assert crops["clip_id"].tolist() == ["a"] * 2 + ["b"] * 5 + ["c"] * 3
    assert stack(crops["box_center_px"]).tolist() == [[20, 30]] * 10


def test_only_training_clips_have_jittered_copies_and_their_boxes_are_told():
    clips, labels = shard(clip("a", "v1", 0, 10, "train"), clip("b", "v1", 0, 4, "validation"))
    phi, index, crops = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=3)
    assert index["clip_id"].tolist() == ["a", "a~1", "a~2", "b"]
    assert len(phi) == len(crops) == 34
    copy = crops[crops["clip_id"] == "a~1"]
    moved_px = (stack(copy["box_center_px"]) - [20, 30]) * 2.0
    octaves = np.log2(copy["box_scale"].to_numpy() / 2.0)
    assert np.abs(moved_px).max() <= 20 + 1e-4 and np.abs(moved_px).max() > 10
    assert np.abs(octaves).max() <= 0.3 + 1e-4 and octaves.std() > 0.05
    assert not np.allclose(stack(copy["box_center_px"]), stack(crops[crops["clip_id"] == "a~2"]["box_center_px"]))


def test_jitter_derives_from_the_seed_and_the_clip_alone():
    clips, labels = shard(clip("a", "v1", 0, 10, "train"), clip("b", "v1", 0, 4, "train"))
    alone = extraction.extract_shard(frames_of, *shard(clip("b", "v1", 0, 4, "train")), MeanColour(), SETTINGS, seed=3)
    together = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=3)
    other_seed = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=4)
    rows = together[2]["clip_id"].str.startswith("b").to_numpy()
    assert alone[0].tobytes() == together[0][rows].tobytes()
    pd.testing.assert_series_equal(alone[2]["box_scale"], together[2]["box_scale"][rows].reset_index(drop=True))
    assert not other_seed[2]["box_scale"].equals(together[2]["box_scale"])
    assert zlib.crc32(b"b~1") != zlib.crc32(b"b~2")


def test_occluded_copies_are_of_training_clips_alone_and_only_their_features_differ():
    clips, labels = shard(clip("a", "v1", 0, 10, "train"), clip("b", "v1", 0, 4, "validation"))
    settings = FeatureSettings(augmented_copies=0, occluded_copies=2)
    white = [np.full((150, 150, 4), 255, np.uint8)]
    inputs = (frames_of, clips, labels, MeanColour(), settings)
    before, _, clean_crops = extraction.extract_shard(*inputs, seed=3)
    phi, index, crops = extraction.extract_occluded(*inputs, white, seed=3)
    after = extraction.extract_shard(*inputs, seed=3)[0]
    assert index["clip_id"].tolist() == ["a~o1", "a~o2"] and len(phi) == len(crops) == 20
    assert before.tobytes() == after.tobytes()
    clean_crops = clean_crops[clean_crops["clip_id"] == "a"]
    for column in ("box_center_px", "box_scale", "mirrored"):
        assert [str(value) for value in crops[column]] == [str(value) for value in clean_crops[column]] * 2
    brighter = (phi.reshape(2, 10, 3) - before[:10]).mean(-1)
    assert brighter.min() >= 0 and 0.2 < (brighter > 0).mean() < 1
    assert not np.array_equal(brighter[0], brighter[1])


def test_occlusion_derives_from_the_seed_and_the_clip_alone():
    settings, white = FeatureSettings(), [np.full((150, 150, 4), 255, np.uint8)]

    def of(seed: int, *clips: dict) -> np.ndarray:
        return extraction.extract_occluded(frames_of, *shard(*clips), MeanColour(), settings, white, seed)[0]

    one, other = clip("a", "v1", 0, 10, "train"), clip("b", "v1", 0, 4, "train")
    assert of(3, one, other)[:10].tobytes() == of(3, one).tobytes() != of(4, one).tobytes()
    assert of(3, clip("a", "v1", 0, 4, "test")).shape == (0, 3)


def test_the_tables_are_of_their_schemas(tmp_path):
    clips, labels = shard(clip("a", "v1", 0, 3, "train"))
    _, index, crops = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=0)
    for name, frame, schema in (("index", index, FEATURE_INDEX), ("crops", crops, CROPS)):
        write_table(tmp_path / name, frame, schema)
        assert len(read_table(tmp_path / name, schema)) == len(frame)


def test_an_empty_shard_has_empty_tables(tmp_path):
    clips, labels = table(CLIPS, [clip("a", "v1", 0, 3)]).iloc[:0], table(LABELS, boxes(clip("a", "v1", 0, 3))).iloc[:0]
    phi, index, crops = extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=0)
    assert phi.shape == (0, 3)
    write_table(tmp_path / "index", index, FEATURE_INDEX)
    write_table(tmp_path / "crops", crops, CROPS)


def test_labels_that_do_not_fit_are_named():
    clips, labels = shard(clip("a", "v1", 0, 3))
    with pytest.raises(FatalError, match="clip a: 2 frames are labelled, its n_frames is 3"):
        extraction.extract_shard(frames_of, clips, labels.iloc[:2], MeanColour(), SETTINGS, seed=0)
    labels["box_scale"] = 0.0
    with pytest.raises(FatalError, match="clip a: its labels hold a box"):
        extraction.extract_shard(frames_of, clips, labels, MeanColour(), SETTINGS, seed=0)
    with pytest.raises(FatalError, match="video v1: has 10 frames, but its clips reach frame 11"):
        extraction.extract_shard(frames_of, *shard(clip("a", "v1", 8, 4)), MeanColour(), SETTINGS, seed=0)


def crop_px_of(source_px: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    """The project's crop: crop pixel = (source - centre) * scale + 112."""
    return (source_px - centre) * scale + 112


@pytest.mark.parametrize("scale", [0.13, 0.4, 0.9, 1.0, 2.5])
@pytest.mark.parametrize("share", [1.0, 0.8])
def test_a_spot_lands_where_the_crops_geometry_puts_it(scale, share):
    centre, spot = np.array([900.0, 700.0]), np.array([900.0 + 40 / scale, 700.0 - 25 / scale])
    rows, columns = np.mgrid[:1400, :1800]
    radius = 6 / scale
    frame = np.where(np.hypot(columns - spot[0], rows - spot[1]) < radius, 255, 0).astype(np.uint8)
    crop = extraction.crop_person(np.repeat(frame[..., None], 3, 2), centre, scale, 256, share)[..., 0].astype(float)
    found = np.array([(crop.sum(0) @ np.arange(256)), (crop.sum(1) @ np.arange(256))]) / crop.sum()
    expected = (crop_px_of(spot, centre, scale) - 112) * 256 / 224 / share + 128
    np.testing.assert_allclose(found, expected, atol=0.6)


def test_shrinking_averages_instead_of_dropping_pixels():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    crop = extraction.crop_person(stripes, np.array([512.0, 512.0]), 0.25, 224)
    assert np.abs(crop[20:-20, 20:-20].astype(int) - 100).max() <= 2


def test_outside_the_frame_is_black():
    crop = extraction.crop_person(np.full((50, 50, 3), 255, np.uint8), np.array([0.0, 25.0]), 1.0, 224)
    assert not crop[:, :110].any() and crop[112, 130].tolist() == [255] * 3


def test_arrays_survive_the_table():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(stack(pd.Series(unstack(values)), 2), values)
