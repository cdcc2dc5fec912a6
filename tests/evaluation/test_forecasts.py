"""Forecasts from models and baselines, and their scores at every horizon with and without time warping."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist

from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation.baselines import (
    held_still,
    nearest_forecasts,
    nearest_poses,
    nearest_windows,
    normalised_joints,
    oracle_forecasts,
    read_truth,
    require_causal,
    still_forecasts,
)
from moviestrip.evaluation.forecasts import score_forecasts
from moviestrip.evaluation.metrics import pa_mpjpe
from moviestrip.evaluation.protocols import protocol_named
from moviestrip.geometry import matrices_to_pose
from moviestrip.models.model import ModelDesign
from moviestrip.papers.forecasts import FORECAST_TABLES, forecast_every_frames, forecast_protocols, forecasts_of
from moviestrip.papers.printed import table_names
from moviestrip.papers.table import cells_of
from moviestrip.papers.worlds import BASELINES, variant_of
from moviestrip.tables import FORECASTS, SCORES, read_table, stack, unstack, write_table
from moviestrip.training.losses import COMMON
from moviestrip.training.predict import Estimates, dynamics_clips, forecast_clips, forecasts_table, starts_in_clips
from tests.training.stick_world import FEATURES, StickBody, stick_clips
from tests.training.test_predict import untrained

PHD = protocol_named("phd")
BODY = StickBody()


@pytest.fixture(scope="module")
def clips():
    return stick_clips("test", 3, n_frames=48, share_3d=1.0)


@pytest.fixture(scope="module")
def bank():
    return stick_clips("bank", 4, n_frames=48, share_3d=1.0, seed=3)


def labels_of(dataset) -> pd.DataFrame:
    """LABELS that a dataset of the stick world could have been read from."""
    return pd.DataFrame(
        {
            "clip_id": [clip.clip_id for clip in dataset.clips for _ in range(clip.n_frames)],
            "frame": np.concatenate([np.arange(clip.n_frames) for clip in dataset.clips]),
            "box_scale": dataset.box_scale.numpy(),
            "keypoints_2d": unstack(dataset.keypoints_px.numpy()),
            "has_3d": dataset.has_3d.numpy(),
            "has_body": dataset.has_body.numpy(),
            "joints_3d_m": unstack(dataset.joints_3d_m.numpy()),
            "pose": unstack(matrices_to_pose(dataset.rotations).numpy()),
            "betas": unstack(dataset.betas.numpy()),
        }
    )


def clip_table(dataset) -> pd.DataFrame:
    names = [clip.clip_id for clip in dataset.clips]
    return pd.DataFrame(
        {"clip_id": names, "dataset": "studio", "action": "walking", "motion_id": "", "video_id": names}
    )


def true_estimates(dataset) -> Estimates:
    points = BODY(dataset.rotations, dataset.betas)
    return Estimates(torch.zeros(len(points), 3), dataset.rotations, dataset.betas, points)


def perfect_forecasts(dataset, every_frames=1) -> pd.DataFrame:
    starts = starts_in_clips(dataset.clips, 14, 30, every_frames)
    rows = (torch.tensor([row for _, _, row in starts])[:, None] + torch.arange(31)).flatten()
    found = Estimates(**{name: values[rows] for name, values in vars(true_estimates(dataset)).items()})
    return forecasts_table("forecast", starts, range(31), found)


def scored(forecasts, dataset) -> pd.DataFrame:
    return score_forecasts(forecasts, labels_of(dataset), clip_table(dataset), PHD, "some", 0)


def values_of(scores, metric, dtw=False) -> np.ndarray:
    """(clips, horizons) of one metric."""
    chosen = scores[(scores["metric"] == metric) & (scores["dtw"] == dtw)]
    return chosen.pivot(index="clip_id", columns="horizon", values="value").to_numpy()


def test_perfect_forecasts_have_no_error_at_any_horizon(tmp_path, clips):
    forecasts = perfect_forecasts(clips)
    scores = scored(forecasts, clips)
    write_table(tmp_path / "scores.parquet", scores, SCORES)
    assert len(read_table(tmp_path / "scores.parquet", SCORES)) == len(scores)
    for dtw, horizons in ((False, 31), (True, 30)):
        assert values_of(scores, "pa_mpjpe", dtw).shape == (3, horizons)
        np.testing.assert_allclose(values_of(scores, "pa_mpjpe", dtw), 0, atol=1e-2)
        np.testing.assert_allclose(values_of(scores, "pck", dtw), 100)
    assert set(scores["condition"]) == {"forecast"} and (scores["frames"] == 4).all()
    np.testing.assert_allclose(values_of(scores, "motion_predicted"), values_of(scores, "motion_true"), atol=1e-3)


def test_a_shifted_forecast_is_only_wrong_without_warping(clips):
    """Everything seen two frames late: each frame is there, at the wrong time."""
    forecasts = perfect_forecasts(clips, every_frames=25)
    late = (np.arange(31) - 2).clip(0)
    rows = (np.arange(len(forecasts) // 31)[:, None] * 31 + late).ravel()
    said = ["pose", "betas", "joints_3d_m", "points_3d_m"]
    shifted = forecasts.assign(**{name: forecasts[name].to_numpy()[rows] for name in said})
    scores = scored(shifted, clips)
    direct, warped = values_of(scores, "pa_mpjpe")[:, 1:], values_of(scores, "pa_mpjpe", dtw=True)
    assert (warped[:, 4:] < 0.6 * np.cumsum(direct, 1)[:, 4:] / np.arange(5, 31)).all()


def test_standing_still_gets_worse_while_the_person_moves(clips):
    scores = scored(still_forecasts(true_estimates(clips), clips, every_frames=1), clips)
    error, motion = values_of(scores, "pa_mpjpe").mean(0), values_of(scores, "motion_true").mean(0)
    assert error[0] < 0.01 < error[1] < error[3] < error[6]
    assert (values_of(scores, "motion_predicted") == 0).all() and motion[6] > motion[1] > 0
    share = values_of(scores, "pck").mean(0)
    assert share[0] == 100 and share[8] < share[2]
    assert values_of(scores, "pa_mpjpe", dtw=True).mean(0)[8] > 1


def test_a_clip_score_is_the_mean_over_its_starts(clips):
    forecasts = still_forecasts(true_estimates(clips), clips, every_frames=1)
    clip = clips.clips[1]
    scores = scored(forecasts, clips)
    found = scores[(scores["clip_id"] == clip.clip_id) & (scores["metric"] == "pa_mpjpe") & (scores["horizon"] == 7)]
    joints = clips.joints_3d_m[clips.rows_of(clip)]
    errors = pa_mpjpe(joints[14:18], joints[21:25]).mean() * 1000
    assert found.loc[~found["dtw"], "value"].item() == pytest.approx(errors.item(), rel=1e-4)


def test_frames_without_truth_are_not_counted_and_missing_labels_are_an_error(clips):
    unknown = replace(clips, has_3d=torch.zeros_like(clips.has_3d))
    forecasts = still_forecasts(true_estimates(clips), clips)
    assert set(scored(forecasts, unknown)["metric"]) == {"pck", "pck_up_to_horizon", "motion_predicted"}
    labels = labels_of(clips)
    with pytest.raises(FatalError, match=r"1 of 93 forecast frames have none, the first is frame 20 of clip test-01"):
        missing = labels[(labels["clip_id"] != "test-01") | (labels["frame"] != 20)]
        score_forecasts(forecasts, missing, clip_table(clips), PHD, "some", 0)
    with pytest.raises(FatalError, match="of 31 horizons, 30 are there from frame 14 of clip test-00"):
        scored(forecasts.drop(index=5), clips)


def test_forecasts_of_other_cameras_do_not_count_where_the_protocol_chooses(clips):
    forecasts, names = perfect_forecasts(clips, every_frames=25), clip_table(clips)
    for cameras, counted in ((("54138969", "60457274", "55011271"), 1), (("0", "1", "2"), 3)):
        filmed = names.assign(camera=cameras)
        for protocol, expected in ((protocol_named("hmmr"), counted), (PHD, 3)):
            scores = score_forecasts(forecasts, labels_of(clips), filmed, protocol, "some", 0)
            assert scores["clip_id"].nunique() == expected


def test_forecast_frames_that_the_dataset_does_not_trust_count_only_where_that_is_ignored(clips):
    forecasts = perfect_forecasts(clips, every_frames=1)  # four starts, the last at frame 17
    labels = labels_of(clips)
    doubted = labels.assign(trusted=labels["frame"] != 16)
    for protocol, frames in ((PHD, 4), (replace(PHD, trusted="positions and accelerations"), 3)):
        scores = score_forecasts(forecasts, doubted, clip_table(clips), protocol, "some", 0)
        direct = scores[~scores["dtw"] & (scores["horizon"] == 1) & scores["metric"].isin(["pck", "pa_mpjpe"])]
        assert set(direct["frames"]) == {frames}


def test_forecasts_are_compared_with_the_stored_truth_alone(clips):
    forecasts, men = perfect_forecasts(clips), labels_of(clips).assign(gender="male")
    assert len(score_forecasts(forecasts, men, clip_table(clips), PHD, "some", 0))
    with pytest.raises(ConfigError, match="'vibe' poses the truth with the neutral body, which is not done for fore"):
        score_forecasts(forecasts, men, clip_table(clips), protocol_named("vibe"), "some", 0)


def test_held_still_repeats_the_present_of_every_start(tmp_path, clips):
    design = {"encoder": "movie-strip", "delta_frames": (-5, 5), "hallucinator": True}
    dynamics = dynamics_clips(untrained(tmp_path / "c.pt", **design), clips, BODY)
    still = held_still(dynamics)
    write_table(tmp_path / "still.parquet", still, FORECASTS)
    assert still["horizon"].to_list() == dynamics["horizon"].to_list()
    joints, said = (stack(table["joints_3d_m"], 14, 3).reshape(-1, 3, 14, 3) for table in (still, dynamics))
    np.testing.assert_array_equal(joints, np.broadcast_to(said[:, 1:2], said.shape))
    with pytest.raises(FatalError, match="have a horizon 0"):
        held_still(dynamics[dynamics["horizon"] != 0])


def test_the_nearest_neighbour_finds_the_clip_itself(clips, bank):
    everyone = stick_clips("test", 3, n_frames=48, share_3d=1.0)
    forecasts = nearest_forecasts(true_estimates(clips), clips, true_estimates(everyone), everyone, BODY)
    np.testing.assert_allclose(values_of(scored(forecasts, clips), "pa_mpjpe"), 0, atol=1e-2)
    others = nearest_forecasts(true_estimates(clips), clips, true_estimates(bank), bank, BODY)
    assert (values_of(scored(others, clips), "pa_mpjpe") > 5).all()


def test_the_nearest_window_is_the_one_scipy_finds(clips, bank):
    asked, known = (normalised_joints(true_estimates(dataset), BODY) for dataset in (clips, bank))
    windows = torch.arange(170)[:, None] + torch.arange(15)
    queries = asked[torch.arange(0, 120, 7)[:, None] + torch.arange(15)].flatten(1)
    expected = cdist(queries, known[windows].flatten(1)).argmin(1)
    np.testing.assert_array_equal(nearest_windows(queries, known, windows), expected)


def test_normalised_joints_do_not_know_who_it_is(clips):
    estimates = true_estimates(clips)
    taller = replace(estimates, betas=estimates.betas + 1)
    torch.testing.assert_close(normalised_joints(taller, BODY), normalised_joints(estimates, BODY))
    torch.testing.assert_close(
        normalised_joints(estimates, BODY),
        BODY(estimates.rotations, torch.zeros_like(estimates.betas))[:, COMMON].flatten(1),
    )


def test_no_training_pose_is_closer_than_the_oracles(clips, bank):
    truth, training = (
        read_truth(labels_of(dataset), [c.clip_id for c in dataset.clips], BODY) for dataset in (clips, bank)
    )
    forecasts = oracle_forecasts(truth, training, every_frames=9)
    scores = scored(forecasts, clips)
    assert set(scores["condition"]) == {"dynamics"} and set(scores["horizon"]) == {-5, 0, 5}
    candidates = bank.joints_3d_m.reshape(4, 48, 14, 3)[:, 5:43].reshape(-1, 14, 3)
    for clip, best in zip(clips.clips, values_of(scores, "pa_mpjpe")[:, 1], strict=True):
        asked = clips.joints_3d_m[clips.rows_of(clip)[5:43:9]]
        errors = torch.stack([pa_mpjpe(candidates, pose.expand_as(candidates)) for pose in asked]) * 1000
        assert best == pytest.approx(errors.min(1).values.mean().item(), rel=1e-4)


def test_a_pose_that_cannot_be_aligned_is_never_the_closest(clips):
    poses = clips.joints_3d_m[:20].clone()
    poses[3] = 0.0
    assert nearest_poses(clips.joints_3d_m[3:4], poses).item() != 3
    labels = labels_of(replace(clips, has_3d=torch.zeros_like(clips.has_3d)))
    with pytest.raises(FatalError, match="clip test-00 is not known in 3D"):
        read_truth(labels, ["test-00"], BODY)


def test_an_encoder_that_sees_the_future_is_refused(tmp_path):
    require_causal(ModelDesign(FEATURES, causal=True, norm="group-norm-per-frame"), tmp_path)
    for seeing in ({"causal": False, "norm": "group-norm-per-frame"}, {"causal": True}):
        with pytest.raises(FatalError, match="its estimates see the future"):
            require_causal(ModelDesign(FEATURES, **seeing), tmp_path)


def test_a_model_that_learnt_nothing_is_scored_too(tmp_path, clips):
    design = {"encoder": "movie-strip", "causal": True, "ends": "edge", "autoregressor": "strip"}
    forecasts = forecast_clips(untrained(tmp_path / "c.pt", **design), clips, BODY, every_frames=1)
    scores = scored(forecasts, clips)
    assert scores["value"].notna().all() and (values_of(scores, "pa_mpjpe") > 10).all()
    assert len(scores) == 3 * (4 * 31 + 2 * 2 * 30)


def test_up_to_a_horizon_is_the_mean_of_each_starts_frames_that_count(clips):
    gaps = torch.ones_like(clips.has_3d)
    gaps[::3] = False
    seen = replace(clips, has_3d=gaps)
    scores = scored(still_forecasts(true_estimates(clips), clips, every_frames=25), seen)  # one start a clip
    plain = scores[(scores["metric"] == "pa_mpjpe") & ~scores["dtw"] & (scores["horizon"] > 0)]
    averaged = scores[scores["metric"] == "pa_mpjpe_up_to_horizon"].set_index(["clip_id", "horizon"])["value"]
    assert len(plain) == len(averaged) and 0 < len(plain) < 3 * 30
    for clip_id, rows in plain.sort_values("horizon").groupby("clip_id"):
        np.testing.assert_allclose(averaged[clip_id], rows["value"].expanding().mean(), rtol=1e-5)
    warped = values_of(scored(still_forecasts(true_estimates(clips), clips), clips), "pa_mpjpe", dtw=True)
    still = scored(still_forecasts(true_estimates(clips), clips), clips)
    np.testing.assert_allclose(warped, values_of(still, "pa_mpjpe_up_to_horizon"), rtol=1e-4)  # nothing to warp


@pytest.mark.parametrize("table", [name for name in table_names() if name in FORECAST_TABLES])
def test_forecast_tables_are_those_that_print_horizons(table):
    cells = cells_of(*table.split("-"))
    named = zip(cells["paper"], cells["row_id"], cells["kind"], strict=True)
    rows = {variant_of(paper, row, kind) for paper, row, kind in named} - {None}
    assert (set(cells["dataset"]), rows) == tuple(map(set, FORECAST_TABLES[table]))


def test_no_other_table_prints_horizons():
    with_horizon = {name for name in table_names() if (cells_of(*name.split("-"))["horizon"] != "").any()}
    assert with_horizon == set(FORECAST_TABLES)


def test_a_run_forecasts_what_its_tables_print_and_its_variants_can():
    datasets, seeds = ("studio", "gym"), (0, 1)
    everything = forecasts_of(FORECAST_TABLES, "miniature", datasets, ("ar-phi", "phd-causal", "hallucinator"), seeds)
    assert {row for row, _, _ in everything} == {"ar-phi", "hallucinator", *BASELINES}
    assert ("oracle-nn", 0, "studio") in everything and ("oracle-nn", 1, "studio") not in everything
    assert ("constant", 1, "gym") in everything and len(everything) == len(set(everything))
    assert forecasts_of(["phd-5"], "miniature", datasets, ("ar-phi",), (0,)) == [("ar-phi", 0, "gym")]
    assert forecasts_of(["phd-2", "hmmr-2"], "miniature", ("street",), ("ar-phi",), seeds) == []


def test_starts_and_protocols_follow_the_paper_that_prints_them():
    assert [forecast_every_frames("miniature", name) for name in ("studio", "gym", "street")] == [25, 1, 25]
    assert forecast_every_frames("papers", "penn-action") == 1
    names = [protocol.name for protocol in forecast_protocols("hallucinator", "studio", "miniature", "papers")]
    assert names == ["hmmr", "phd"]
    assert [found.name for found in forecast_protocols("ar-phi", "street", "miniature", "papers")] == ["phd"]
    assert [found.name for found in forecast_protocols("ar-phi", "studio", "miniature", "hmmr")] == ["hmmr"]
