"""Models on real video: measured on cameras and bodies known exactly, so that every number has a known answer."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from moviestrip.datasets.pose2sim import common_joints
from moviestrip.evaluation.rank_correlation import rank_correlation
from moviestrip.evaluation.real_check import COLUMNS, Known, summary, transfers
from moviestrip.evaluation.real_findings import paragraphs
from moviestrip.evaluation.real_videos import ALL_VIEWS, VALUES, calibrated, in_blocks, measure, reference_values
from moviestrip.skeleton import HMMR_25
from moviestrip.tables import CLIPS, LABELS, unstack, with_defaults
from tests.evaluation.test_reference import FPS, FRAMES, body, four_cameras, seen_by

SCALE = np.full(4, 0.2)


def clip_id(camera):
    return f"clip-{camera.name}"


@cache
def truth():
    return calibrated(four_cameras(), seen_by(four_cameras(), body()), FPS, SCALE)


@cache
def video(keypoints_px=50.0):
    """Clips and labels of the four cameras, all keypoints at one place."""
    clips, labels = [], []
    for camera in four_cameras():
        clips.append(
            [clip_id(camera), "filmed", f"v-{camera.name}", 0, "test", "", "", "", "pseudo_2d", 0, FRAMES, FPS]
        )
        points = camera.from_world(truth().joints_m)
        keypoints = np.tile([keypoints_px, keypoints_px, 0.9], (FRAMES, len(HMMR_25), 1))
        labels.append(
            pd.DataFrame(
                {
                    "clip_id": clip_id(camera), "frame": range(FRAMES), "video_frame": range(FRAMES),
                    "box_center_px": unstack(np.full((FRAMES, 2), 100.0)), "box_scale": 0.2,
                    "keypoints_2d": unstack(keypoints), "has_3d": True, "joints_3d_m": unstack(points),
                    "pose": unstack(np.zeros((FRAMES, 72))), "betas": unstack(np.zeros((FRAMES, 10))),
                    "translation_m": unstack(np.zeros((FRAMES, 3))), "intrinsics_px": unstack(np.zeros((FRAMES, 4))),
                    "burst": "none", "has_body": False,
                }
            )
        )  # fmt: skip
    table = pd.DataFrame(clips, columns=[c.name for c in CLIPS.columns if c.name != "camera"])
    views = {clip_id(camera): camera.name for camera in four_cameras()}
    return in_blocks("filmed", with_defaults(table, CLIPS), with_defaults(pd.concat(labels), LABELS), views, 1)


def predictions(turn=None, keypoints_px=50.0):
    """What a model would say that knows the truth from each camera, but for a turn of its bodies."""
    turn = np.eye(3) if turn is None else turn
    tables = []
    for camera in four_cameras():
        joints = camera.from_world(common_joints(body())) @ turn.T
        tables.append(
            pd.DataFrame(
                {
                    "clip_id": clip_id(camera), "frame": range(FRAMES), "camera": unstack(np.ones((FRAMES, 3))),
                    "pose": unstack(np.zeros((FRAMES, 72))), "betas": unstack(np.zeros((FRAMES, 10))),
                    "joints_3d_m": unstack(joints),
                    "keypoints_2d": unstack(np.full((FRAMES, 25, 2), keypoints_px)),
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def means(values):
    return values.groupby("metric")["value"].mean()


def test_blocks_of_one_moment_are_drawn_together():
    found = video()
    assert len(found.clips) == 4 * 3
    assert found.clips.groupby("motion_id").size().to_list() == [4, 4, 4]
    assert set(found.views.values()) == {camera.name for camera in four_cameras()}
    assert found.cut_from == 4
    assert found.labels["clip_id"].value_counts().unique().tolist() == [10]


def test_who_knows_the_truth_is_right_from_every_camera():
    found = means(measure(video(), predictions(keypoints_px=60.0), "m", 0, truth()))
    assert found["pa_mpjpe"] < 6  # the low-pass of the reference
    assert found["pa_mpjpe_confirmed"] < 6
    assert found["reprojection"] < 0.1
    assert found["keypoint_distance"] == pytest.approx(np.hypot(10, 10) * 0.2, rel=1e-5)


def test_a_body_turned_away_is_found_out_by_the_other_cameras_alone():
    quarter = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    found = means(measure(video(), predictions(quarter), "m", 0, truth()))
    assert found["pa_mpjpe"] < 6  # Procrustes turns it back
    assert found["reprojection"] > 10


def test_an_exact_reference_is_sure_and_a_statue_is_not():
    found = means(reference_values(video(), truth()))
    assert found["left_out"] < 0.1
    assert found["confirmed_joints"] == 100
    assert found["sides_exchanged"] == 0
    assert found["limb_length_variation"] < 0.5


def made_values(dataset, means_of, units=40, seeds=2, spread=1.0, metric="pa_mpjpe"):
    random = np.random.default_rng(len(dataset))
    rows = [
        (dataset, variant, seed, ALL_VIEWS, f"u{unit:02d}", f"m{unit // 2}", metric, "mm", value, 10)
        for variant, mean in means_of.items()
        for seed in range(seeds)
        for unit, value in enumerate(random.normal(mean, spread, units))
    ]
    return pd.DataFrame(rows, columns=list(VALUES))


ORDERED = {"single-view": 100.0, "a": 90.0, "b": 80.0, "c": 70.0, "d": 60.0}


def test_rankings_that_agree_and_that_are_reversed_are_told_apart():
    first, same = made_values("street", ORDERED), made_values("filmed", ORDERED)
    reversed_ = made_values("filmed", dict(zip(ORDERED, reversed(ORDERED.values()), strict=True)))
    found, count = rank_correlation(first, same)
    assert (found, count) == ((1.0, 1.0, 1.0), 5)
    assert rank_correlation(first, reversed_)[0] == (-1.0, -1.0, -1.0)
    blurred = made_values("filmed", ORDERED, spread=60.0)
    found, _ = rank_correlation(first, blurred)
    by_model = [table.groupby("variant")["value"].mean() for table in (first, blurred)]
    assert found.mean == pytest.approx(spearmanr(*by_model).statistic)
    assert found.low < found.mean <= found.high
    assert rank_correlation(first, blurred) == rank_correlation(first, blurred)


def test_two_models_have_no_ranking():
    two = made_values("street", {"single-view": 1.0, "a": 2.0})
    found, count = rank_correlation(two, two)
    assert np.isnan(found.mean)
    assert count == 2


def test_the_table_has_differences_from_the_baseline_and_says_how_sure_the_reference_is():
    said = {"single-view": 60.0, "a": 55.0}
    models = [measure(video(), predictions(keypoints_px=px), name, 0, truth()) for name, px in said.items()]
    real = pd.concat([reference_values(video(), truth()), *models])
    known = {"filmed": Known(4, 1, "1 person")}
    table = summary(real, {"a": "Model A"}, known, samples=50)
    assert list(table.columns) == list(COLUMNS)
    assert table["dataset"].iloc[0] == "filmed"
    assert (table.iloc[0]["metric"], table.iloc[0]["view"]) == ("pa_mpjpe", ALL_VIEWS)
    gain = table[(table["variant"] == "a") & (table["metric"] == "keypoint_distance_minus_single_view")].iloc[0]
    assert gain["value"] == pytest.approx((np.hypot(5, 5) - np.hypot(10, 10)) * 0.2, rel=1e-4)
    assert gain["title"] == "Model A"
    scored = table[(table["metric"] == "pa_mpjpe") & (table["variant"] == "a")]
    assert set(scored["view"]) == {ALL_VIEWS, *(camera.name for camera in four_cameras())}
    assert scored["uncertainty_mm"].lt(0.2).all()
    assert table.loc[table["metric"] == "keypoint_distance", "uncertainty_mm"].isna().all()


def test_the_sentences_say_what_carries_over():
    miniature, real = made_values("street", ORDERED), made_values("filmed", ORDERED)
    known = {"filmed": Known(4, 1, "1 person, 1.7 s"), "street": Known(40, 8, "street")}
    whole = pd.concat([miniature, real, reference_values(video(), truth())])
    carried = transfers(miniature, real, known, samples=50)
    text = "\n".join(paragraphs(pd.concat([summary(whole, {}, known, samples=50), carried], ignore_index=True)))
    assert "PA-MPJPE of 5 models lies between 60 mm (d) and 100 mm" in text
    assert "4 models are better than single-view on street" in text
    assert "4 of these are better too, 0 worse, 0 undecided" in text
    assert "Spearman 1.00 [1.00, 1.00], so the order carries over" in text
    assert "100 % of the joints are confirmed" in text
