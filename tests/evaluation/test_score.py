"""Scoring against a plain frame-by-frame reference, and what it refuses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.protocols import HMMR
from moviestrip.evaluation.score import score_predictions

FRAMES = {"a": 9, "b": 12, "c": 2}


@pytest.fixture
def world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions, labels and clips of three clips; 'b' has a burst, 'c' has 2D truth alone."""
    rng = np.random.default_rng(0)
    labels, predictions = [], []
    for clip, count in FRAMES.items():
        for frame in range(count):
            keypoints = np.concatenate([rng.uniform(0, 500, (25, 2)), rng.random((25, 1)) < 0.7], 1)
            joints = rng.standard_normal((14, 3))
            labels.append({
                "clip_id": clip, "frame": frame, "video_frame": frame, "box_center_px": np.full(2, 100.0),
                "box_scale": 0.5, "keypoints_2d": keypoints.ravel(), "has_3d": clip != "c",
                "joints_3d_m": joints.ravel() + 3, "pose": np.zeros(72), "betas": np.zeros(10),
                "translation_m": np.zeros(3), "intrinsics_px": np.zeros(4),
                "burst": "blur" if clip == "b" and frame in (2, 3) else "none",
            })  # fmt: skip
            predictions.append({
                "clip_id": clip, "frame": frame, "camera": np.zeros(3), "pose": np.zeros(72), "betas": np.zeros(10),
                "joints_3d_m": (joints + rng.normal(0, 0.1, (14, 3))).ravel(),
                "keypoints_2d": (keypoints[:, :2] + rng.normal(0, 15, (25, 2))).ravel(),
            })  # fmt: skip
    clips = pd.DataFrame({"clip_id": list(FRAMES), "dataset": "street", "action": ["walk", "run", ""]})
    return pd.DataFrame(predictions).sample(frac=1, random_state=0), pd.DataFrame(labels), clips


def test_scores_equal_a_loop_over_frames(world):
    predictions, labels, clips = world
    scores = score_predictions(predictions, labels, clips, HMMR, "contextual", 3)
    paired = labels.merge(predictions, on=["clip_id", "frame"], suffixes=("", "_p"))
    for clip, rows in paired.groupby("clip_id"):
        expected = reference(rows)
        found = scores[(scores["clip_id"] == clip) & (scores["condition"] == "all")].set_index("metric")["value"]
        assert set(found.index) == set(expected)
        for metric, value in expected.items():
            assert found[metric] == pytest.approx(value, rel=1e-4), (clip, metric)


def reference(rows: pd.DataFrame) -> dict[str, float]:
    shares, errors, aligned, predicted_all, target_all, in_3d = [], [], [], [], [], []
    for row in rows.sort_values("frame").itertuples():
        keypoints = np.reshape(row.keypoints_2d, (25, 3))
        seen = keypoints[:, 2] > 0
        if seen.sum() >= 6:
            guess = np.reshape(row.keypoints_2d_p, (25, 2)) * 0.5
            shares.append(metrics.pck_after_optimal_camera(guess, keypoints[:, :2] * 0.5, seen, 11.2) * 100)
        predicted = metrics.center_on_hips(np.reshape(row.joints_3d_m_p, (14, 3)))
        target = metrics.center_on_hips(np.reshape(row.joints_3d_m, (14, 3)))
        predicted_all.append(predicted)
        target_all.append(target)
        in_3d.append(row.has_3d and seen[:14].sum() > 6)
        if in_3d[-1]:
            errors.append(metrics.mpjpe(predicted, target) * 1000)
            aligned.append(metrics.pa_mpjpe(predicted, target) * 1000)
    triplets = [index for index in range(len(rows) - 2) if all(in_3d[index : index + 3])]
    accel = metrics.acceleration(np.array(predicted_all)) * 1000
    accel_error = metrics.acceleration_error(np.array(predicted_all), np.array(target_all))[triplets] * 1000
    every = {"pck": shares, "mpjpe": errors, "pa_mpjpe": aligned, "accel": accel, "accel_error": accel_error}
    return {name: float(np.mean(values)) for name, values in every.items() if len(values)}


def test_burst_and_clean_frames_make_up_all_frames(world):
    scores = score_predictions(*world, HMMR, "contextual", 0)
    for metric in ("pck", "mpjpe", "accel"):
        by_condition = scores[(scores["clip_id"] == "b") & (scores["metric"] == metric)].set_index("condition")
        frames, value = by_condition["frames"], by_condition["value"]
        assert frames["burst"] + frames["clean"] == frames["all"]
        whole = (value["burst"] * frames["burst"] + value["clean"] * frames["clean"]) / frames["all"]
        assert whole == pytest.approx(value["all"])
    accelerations = scores[(scores["clip_id"] == "b") & (scores["metric"] == "accel")].set_index("condition")["frames"]
    assert accelerations["burst"] == 4  # every triplet that touches frame 2 or 3


def test_scores_are_a_valid_table_and_state_their_units(world, tmp_path):
    scores = score_predictions(*world, HMMR, "contextual", 3)
    tables.write_table(tmp_path / "scores.parquet", scores, tables.SCORES)
    again = tables.read_table(tmp_path / "scores.parquet", tables.SCORES)
    assert set(zip(again["metric"], again["unit"], strict=True)) == {
        ("pck", "%"), ("mpjpe", "mm"), ("pa_mpjpe", "mm"), ("accel", "mm/frame^2"), ("accel_error", "mm/frame^2")
    }  # fmt: skip
    assert set(again["seed"]) == {3} and set(again["horizon"]) == {0} and not again["dtw"].any()


def test_fault_20_degenerate_predictions_are_counted_not_averaged(world):
    predictions, labels, clips = world
    before = score_predictions(predictions, labels, clips, HMMR, "v", 0)
    broken = predictions.copy()
    spoiled = (broken["clip_id"] == "a") & (broken["frame"] == 4)
    broken["joints_3d_m"] = [
        np.full(42, np.nan) if bad else joints for bad, joints in zip(spoiled, broken["joints_3d_m"], strict=True)
    ]
    after = score_predictions(broken, labels, clips, HMMR, "v", 0)
    row = after[(after["clip_id"] == "a") & (after["metric"] == "pa_mpjpe") & (after["condition"] == "all")].iloc[0]
    old = before[(before["clip_id"] == "a") & (before["metric"] == "pa_mpjpe") & (before["condition"] == "all")].iloc[0]
    assert row["degenerate_frames"] == 1 and row["frames"] == old["frames"] - 1 and np.isfinite(row["value"])


def test_a_translation_of_the_truth_matters_only_where_the_protocol_takes_joints_as_given(world):
    predictions, labels, clips = world
    moved = labels.assign(
        joints_3d_m=[
            joints + np.tile([0.01 * frame**2, 0, 5.0], 14)
            for joints, frame in zip(labels["joints_3d_m"], labels["frame"], strict=True)
        ]
    )
    as_given = replace(HMMR, acceleration_root="as_given")
    for protocol, equal in ((HMMR, True), (as_given, False)):
        found = [score_predictions(predictions, table, clips, protocol, "v", 0) for table in (labels, moved)]
        errors = [scores.loc[scores["metric"] == "accel_error", "value"].to_numpy() for scores in found]
        assert np.allclose(*errors, rtol=1e-3) == equal
        assert np.allclose(*(scores.loc[scores["metric"] == "mpjpe", "value"] for scores in found), rtol=1e-3)


def test_a_missing_prediction_is_named(world):
    predictions, labels, clips = world
    some = predictions[~((predictions["clip_id"] == "b") & (predictions["frame"] == 3))]
    with pytest.raises(FatalError, match=r"1 of 23 labelled frames.*frame 3 of clip b"):
        score_predictions(some, labels, clips, HMMR, "v", 0)
    with pytest.raises(FatalError, match="1 of 3 clips have none, the first is c"):
        score_predictions(predictions, labels[labels["clip_id"] != "c"], clips, HMMR, "v", 0)


def test_clips_not_asked_for_are_not_scored(world):
    predictions, labels, clips = world
    only = score_predictions(predictions, labels, clips[clips["clip_id"] == "a"], HMMR, "v", 0)
    assert set(only["clip_id"]) == {"a"} and set(only["condition"]) == {"all"}
    assert len(score_predictions(predictions, labels, clips.iloc[:0], HMMR, "v", 0)) == 0
