"""Predictions of whole clips and forecasts from inside them, and their smoothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from moviestrip.errors import FatalError
from moviestrip.geometry import pose_to_matrices, project_crop_perspective
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.models.parameters import ThetaLayout
from moviestrip.skeleton import COMMON_14, HMMR_25, indices_of
from moviestrip.tables import FORECASTS, PREDICTIONS, read_table, stack, write_table
from moviestrip.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from moviestrip.training.predict import (
    Estimates,
    dynamics_clips,
    estimate,
    forecast_clips,
    pa_mpjpe_mm,
    predict_clips,
    predictions_table,
    smooth_predictions,
)
from moviestrip.training.readout import true_theta
from moviestrip.training.smoothing import Gaussian, SlerpAverage
from tests.training.stick_world import FEATURES, StickBody, stick_clips

RATES = {f"test-{index:02d}": 25.0 for index in range(3)}


@pytest.fixture(scope="module")
def clips():
    return stick_clips("test", 3, n_frames=16, share_3d=1.0)


@pytest.fixture(scope="module")
def long_clips():
    return stick_clips("long", 2, n_frames=48, share_3d=1.0)


def untrained(path, projection="weak-perspective", **design):
    """A checkpoint with random weights, large enough that frames differ."""
    torch.manual_seed(0)
    sizes = {"width": 64, "regressor_width": 16, "recurrent_width": 16, "rotation": "6d"}
    model = MotionModel(ModelDesign(FEATURES, **{"encoder": "none", **sizes, **design}))
    write_checkpoint(
        path,
        Checkpoint(
            variant="random",
            seed=0,
            step=0,
            backbone="stick",
            validation_pa_mpjpe_mm=float("nan"),
            projection=projection,
            design=model.design,
            weights=model.state_dict(),
        ),
    )
    return path


@pytest.fixture(scope="module")
def single_frame(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("single") / "checkpoint.pt")


@pytest.fixture(scope="module")
def hmmr(tmp_path_factory):
    design = {"encoder": "movie-strip", "delta_frames": (-5, 5), "hallucinator": True}
    return untrained(tmp_path_factory.mktemp("hmmr") / "checkpoint.pt", **design)


@pytest.fixture(scope="module")
def phd(tmp_path_factory):
    design = {"encoder": "movie-strip", "causal": True, "ends": "edge", "autoregressor": "strip"}
    return untrained(tmp_path_factory.mktemp("phd") / "checkpoint.pt", **design)


def true_predictions(clips):
    layout, body = ThetaLayout("6d"), StickBody()
    camera, pose, betas = layout.split(true_theta(clips, torch.arange(len(clips.phi)), layout, body))
    rotations = layout.rotations(pose)
    return predictions_table(Estimates(camera, rotations, betas, body(rotations, betas)), clips)


def test_predictions_are_a_valid_table_of_every_frame(tmp_path, single_frame, clips):
    predictions = predict_clips(single_frame, clips, StickBody())
    write_table(tmp_path / "p.parquet", predictions, PREDICTIONS)
    again = read_table(tmp_path / "p.parquet", PREDICTIONS)
    assert again["clip_id"].value_counts().to_dict() == {"test-00": 16, "test-01": 16, "test-02": 16}
    assert again["frame"].to_list() == list(range(16)) * 3


def test_pose_joints_and_keypoints_of_a_prediction_say_the_same(single_frame, clips):
    predictions = predict_clips(single_frame, clips, StickBody())
    rotations = pose_to_matrices(torch.from_numpy(stack(predictions["pose"], 72)))
    points = StickBody()(rotations, torch.from_numpy(stack(predictions["betas"], 10)))
    camera = stack(predictions["camera"], 3)
    crop = (camera[:, None, :1] * (points[..., :2].numpy() + camera[:, None, 1:]) + 1) * 112
    expected = (crop - 112) / clips.box_scale[:, None, None].numpy() + clips.box_center_px[:, None].numpy()
    np.testing.assert_allclose(stack(predictions["keypoints_2d"], 25, 2), expected, atol=2e-2)


def test_the_truth_as_a_prediction_lands_on_the_labels(clips):
    predictions = true_predictions(clips)
    np.testing.assert_allclose(stack(predictions["keypoints_2d"], 25, 2), clips.keypoints_px[..., :2], atol=2e-2)
    np.testing.assert_allclose(stack(predictions["joints_3d_m"], 14, 3), clips.joints_3d_m, atol=1e-5)


def test_one_clip_does_not_depend_on_the_others(single_frame, clips):
    alone = replace(clips, clips=clips.clips[:1])
    model = read_checkpoint(single_frame).model()
    together = estimate(model, clips, StickBody())
    torch.testing.assert_close(estimate(model, alone, StickBody()).rotations, together.rotations[:16])


def test_features_of_another_backbone_are_refused(single_frame, clips):
    with pytest.raises(FatalError, match="48 features of 'stick', these are 48 of 'other'"):
        predict_clips(single_frame, replace(clips, backbone="other"), StickBody())


def test_smoothing_a_constant_turn_keeps_it_and_halves_nothing(clips):
    """About a fixed axis at constant speed the Gaussian mean of rotations is the middle one."""
    layout, body = ThetaLayout("6d"), StickBody()
    turns = np.zeros((48, 24, 3))
    turns[:, 3, 0] = np.tile(np.linspace(-0.4, 0.4, 16), 3)
    rotations = torch.from_numpy(Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(48, 24, 3, 3)).float()
    camera, _, betas = layout.split(true_theta(clips, torch.arange(48), layout, body))
    betas = betas * 0
    camera = camera[:1].expand(48, 3)
    table = predictions_table(Estimates(camera, rotations, betas, body(rotations, betas)), clips)
    smooth = stack(smooth_predictions(table, clips, body, Gaussian(1.0), RATES)["pose"], 24, 3)
    np.testing.assert_allclose(
        smooth.reshape(3, 16, 24, 3)[:, 4:-4, 3, 0], turns.reshape(3, 16, 24, 3)[:, 4:-4, 3, 0], atol=1e-4
    )


def test_smoothing_removes_jitter_within_clips_and_never_across(clips):
    noisy = replace(clips, rotations=clips.rotations)
    predictions = true_predictions(noisy)
    jitter = np.random.default_rng(0).normal(0, 0.1, (48, 72)).astype(np.float32)
    predictions["pose"] = list(stack(predictions["pose"], 72) + jitter)
    smooth = smooth_predictions(predictions, clips, StickBody(), Gaussian(1.5), RATES)
    truth = stack(true_predictions(clips)["joints_3d_m"], 14, 3)

    def second_difference(joints):
        return np.linalg.norm(np.diff(joints.reshape(3, 16, 14, 3), n=2, axis=1), axis=-1).mean()

    joints = stack(smooth["joints_3d_m"], 14, 3)
    rough = smooth_predictions(predictions, clips, StickBody(), Gaussian(0.1), RATES)  # which changes nothing
    assert second_difference(joints) < 0.3 * second_difference(stack(rough["joints_3d_m"], 14, 3))
    assert np.linalg.norm(joints - truth, axis=-1).mean() < 0.06
    alone = replace(
        clips, clips=clips.clips[:1], box_center_px=clips.box_center_px[:16], box_scale=clips.box_scale[:16]
    )
    first = smooth_predictions(predictions.iloc[:16].reset_index(drop=True), alone, StickBody(), Gaussian(1.5), RATES)
    np.testing.assert_allclose(stack(first["joints_3d_m"], 14, 3), joints[:16], atol=1e-5)


def test_smoothing_predictions_of_other_clips_is_refused(clips):
    with pytest.raises(FatalError, match="not the same"):
        smooth_predictions(true_predictions(clips).iloc[::-1], clips, StickBody(), SlerpAverage(), RATES)


def test_slerp_smooths_poses_clip_by_clip_and_keeps_cameras_and_shapes(clips):
    predictions = true_predictions(clips)
    smooth = smooth_predictions(predictions, clips, StickBody(), SlerpAverage(), RATES)
    for name, size in (("camera", 3), ("betas", 10)):
        np.testing.assert_array_equal(stack(smooth[name], size), stack(predictions[name], size))
    pose, raw = (
        Rotation.from_rotvec(stack(table["pose"], 72).reshape(-1, 3)).as_matrix().reshape(3, 16, 24, 3, 3)
        for table in (smooth, predictions)
    )
    np.testing.assert_allclose(pose[:, 0], raw[:, 0], atol=1e-5)  # each clip begins anew
    assert np.abs(pose[:, 1:] - raw[:, 1:]).max() > 0.01


def test_a_perspective_model_is_projected_in_perspective(tmp_path, clips):
    checkpoint = untrained(tmp_path / "vibe.pt", "perspective")
    predictions = predict_clips(checkpoint, clips, StickBody())
    rotations = pose_to_matrices(torch.from_numpy(stack(predictions["pose"], 72)))
    points = StickBody()(rotations, torch.from_numpy(stack(predictions["betas"], 10)))
    camera = torch.from_numpy(stack(predictions["camera"], 3))
    crop_px = 112 * project_crop_perspective(points, camera)
    expected = crop_px / clips.box_scale[:, None, None] + clips.box_center_px[:, None]
    np.testing.assert_allclose(stack(predictions["keypoints_2d"], 25, 2), expected, atol=2e-2)
    again = smooth_predictions(predictions, clips, StickBody(), Gaussian(0.1), RATES, projection="perspective")
    np.testing.assert_allclose(stack(again["keypoints_2d"], 25, 2), expected, atol=2e-2)
    weak = smooth_predictions(predictions, clips, StickBody(), Gaussian(0.1), RATES)
    assert np.abs(stack(weak["keypoints_2d"], 25, 2) - expected.numpy()).max() > 0.1


def test_the_hallucination_is_read_where_it_was_asked_for(hmmr, clips):
    model = read_checkpoint(hmmr).model()
    with torch.inference_mode():
        said = torch.cat([model.hallucinate(phi[None]).theta[0] for phi in clips.phi.split(16)])
        rotations = model.layout.rotations(model.layout.split(said).pose)
    hallucinated = estimate(model, clips, StickBody(), reads="hallucination")
    torch.testing.assert_close(hallucinated.rotations, rotations, atol=1e-5, rtol=1e-5)
    assert (hallucinated.rotations - estimate(model, clips, StickBody()).rotations).abs().max() > 1e-3


def test_the_rule_and_the_stride_reach_the_model(tmp_path, long_clips):
    model = read_checkpoint(untrained(tmp_path / "gru.pt", encoder="gru")).model()
    whole = estimate(model, long_clips, StickBody())
    papers = estimate(model, long_clips, StickBody(), rule="papers")
    torch.testing.assert_close(papers.rotations[:16], whole.rotations[:16], atol=1e-5, rtol=1e-5)
    assert (papers.rotations[16:48] - whole.rotations[16:48]).abs().max() > 1e-5
    half_rate = replace(long_clips, clips=(replace(long_clips.clips[0], n_frames=24),), phi=long_clips.phi[:48:2])
    strided = estimate(model, long_clips, StickBody(), frame_stride=2)
    alone = estimate(model, half_rate, StickBody())
    torch.testing.assert_close(strided.rotations[:48:2], alone.rotations, atol=1e-5, rtol=1e-5)


def test_estimating_leaves_a_model_in_training_as_it_was(single_frame, clips):
    model = read_checkpoint(single_frame).model().train()
    estimate(model, clips, StickBody())
    assert model.training


def test_the_truth_has_no_error(clips):
    layout, body = ThetaLayout("6d"), StickBody()
    camera, pose, betas = layout.split(true_theta(clips, torch.arange(48), layout, body))
    rotations = layout.rotations(pose)
    truth = Estimates(camera, rotations, betas, body(rotations, betas))
    assert pa_mpjpe_mm(truth, clips) < 0.01
    turned = replace(truth, points_m=truth.points_m * 2 + 1)  # Procrustes takes scale and place out
    assert pa_mpjpe_mm(turned, clips) < 0.01
    noise = torch.randn(48, 25, 3, generator=torch.Generator().manual_seed(0))
    assert 5 < pa_mpjpe_mm(replace(truth, points_m=truth.points_m + 0.01 * noise), clips) < 20


def test_forecasts_are_a_valid_table_of_every_start_and_horizon(tmp_path, phd, long_clips):
    forecasts = forecast_clips(phd, long_clips, StickBody(), steps=5, every_frames=10)
    write_table(tmp_path / "forecasts.parquet", forecasts, FORECASTS)
    again = read_table(tmp_path / "forecasts.parquet", FORECASTS)
    assert set(again["kind"]) == {"forecast"}
    found = list(zip(again["clip_id"], again["start_frame"], again["horizon"], strict=True))
    expected = [
        (clip.clip_id, start, horizon) for clip in long_clips.clips for start in (14, 24, 34) for horizon in range(6)
    ]
    assert found == expected  # the last one ends with frame 39; from frame 44 on only three would follow


def test_a_forecast_is_what_the_model_says_after_its_condition_frames(phd, long_clips):
    model = read_checkpoint(phd).model()
    forecasts = forecast_clips(phd, long_clips, StickBody(), steps=30, every_frames=1)
    row = forecasts[(forecasts["clip_id"] == "long-01") & (forecasts["start_frame"] == 16)]
    assert row["horizon"].to_list() == list(range(31))
    seen = long_clips.phi[48 + 2 : 48 + 17][None]
    with torch.inference_mode():
        theta = torch.cat([model.present(seen).theta[0, -1:], model.forecast(seen, 30).theta[0]])
        _, pose, betas = model.layout.split(theta)
        points = StickBody()(model.layout.rotations(pose), betas)
    np.testing.assert_allclose(stack(row["points_3d_m"], 25, 3), points, atol=1e-5)
    same_joints = stack(row["points_3d_m"], 25, 3)[:, indices_of(COMMON_14, HMMR_25)]
    np.testing.assert_array_equal(stack(row["joints_3d_m"], 14, 3), same_joints)


def test_a_forecast_never_sees_what_follows(phd, long_clips):
    """Everything after the first start is replaced: the forecast from it stays."""
    other = replace(long_clips, phi=long_clips.phi.clone())
    other.phi[15:48] = torch.randn(33, FEATURES, generator=torch.Generator().manual_seed(0))
    first, same = (forecast_clips(phd, dataset, StickBody(), steps=8) for dataset in (long_clips, other))
    np.testing.assert_array_equal(stack(first["pose"].iloc[:9], 72), stack(same["pose"].iloc[:9], 72))
    assert not np.array_equal(stack(first["pose"].iloc[9:18], 72), stack(same["pose"].iloc[9:18], 72))


def test_dynamics_are_hallucinated_from_single_frames(tmp_path, hmmr, long_clips):
    dynamics = dynamics_clips(hmmr, long_clips, StickBody(), every_frames=2)
    write_table(tmp_path / "dynamics.parquet", dynamics, FORECASTS)
    assert set(dynamics["kind"]) == {"dynamics"}
    assert dynamics["start_frame"].unique().tolist() == list(range(5, 43, 2))
    assert dynamics["horizon"].to_list() == [-5, 0, 5] * (19 * 2)
    model = read_checkpoint(hmmr).model()
    with torch.inference_mode():
        branch = model.hallucinate(long_clips.phi[None, 7:8])
    for horizon, theta in {-5: branch.deltas[-5], 0: branch.theta, 5: branch.deltas[5]}.items():
        row = dynamics[(dynamics["start_frame"] == 7) & (dynamics["horizon"] == horizon)].iloc[:1]
        expected = model.layout.rotations(model.layout.split(theta[0]).pose)
        found = pose_to_matrices(torch.from_numpy(stack(row["pose"], 72)))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_models_that_cannot_forecast_say_so(tmp_path, single_frame, hmmr, phd, clips, long_clips):
    with pytest.raises(FatalError, match="autoregressor"):
        forecast_clips(hmmr, long_clips, StickBody())
    with pytest.raises(FatalError, match="'random' has no dynamics predictors"):
        dynamics_clips(single_frame, clips, StickBody())
    with pytest.raises(FatalError, match="hallucinator"):
        dynamics_clips(untrained(tmp_path / "contextual.pt", delta_frames=(-5, 5)), clips, StickBody())
    with pytest.raises(FatalError, match="clips of 45 frames and the longest of 3 has 16"):
        forecast_clips(phd, clips, StickBody())
