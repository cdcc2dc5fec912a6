"""Predictions of whole clips, and their smoothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from moviestrip.errors import FatalError
from moviestrip.geometry import pose_to_matrices
from moviestrip.models.parameters import ThetaLayout
from moviestrip.tables import PREDICTIONS, read_table, stack, write_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.predict import Estimates, estimate, predict_clips, predictions_table, smooth_predictions
from moviestrip.training.readout import true_theta
from tests.training.stick_world import StickBody, stick_clips


@pytest.fixture
def clips():
    return stick_clips("test", 3, n_frames=16, share_3d=1.0)


def true_predictions(clips):
    layout, body = ThetaLayout("6d"), StickBody()
    camera, pose, betas = layout.split(true_theta(clips, torch.arange(len(clips.phi)), layout, body))
    rotations = layout.rotations(pose)
    return predictions_table(Estimates(camera, rotations, betas, body(rotations, betas)), clips)


def test_predictions_are_a_valid_table_of_every_frame(tmp_path, static_run, clips):
    predictions = predict_clips(static_run / "checkpoint.pt", clips, StickBody())
    write_table(tmp_path / "p.parquet", predictions, PREDICTIONS)
    again = read_table(tmp_path / "p.parquet", PREDICTIONS)
    assert again["clip_id"].value_counts().to_dict() == {"test-00": 16, "test-01": 16, "test-02": 16}
    assert again["frame"].to_list() == list(range(16)) * 3


def test_pose_joints_and_keypoints_of_a_prediction_say_the_same(static_run, clips):
    predictions = predict_clips(static_run / "checkpoint.pt", clips, StickBody())
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


def test_one_clip_does_not_depend_on_the_others(static_run, clips):
    alone = replace(clips, clips=clips.clips[:1])
    model = read_checkpoint(static_run / "checkpoint.pt").model()
    together = estimate(model, clips, StickBody())
    torch.testing.assert_close(estimate(model, alone, StickBody()).rotations, together.rotations[:16])


def test_features_of_another_backbone_are_refused(static_run, clips):
    with pytest.raises(FatalError, match="48 features of 'stick', these are 48 of 'other'"):
        predict_clips(static_run / "checkpoint.pt", replace(clips, backbone="other"), StickBody())


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
    smooth = stack(smooth_predictions(table, 1.0, clips, body)["pose"], 24, 3)
    np.testing.assert_allclose(
        smooth.reshape(3, 16, 24, 3)[:, 4:-4, 3, 0], turns.reshape(3, 16, 24, 3)[:, 4:-4, 3, 0], atol=1e-4
    )


def test_smoothing_removes_jitter_within_clips_and_never_across(clips):
    noisy = replace(clips, rotations=clips.rotations)
    predictions = true_predictions(noisy)
    jitter = np.random.default_rng(0).normal(0, 0.1, (48, 72)).astype(np.float32)
    predictions["pose"] = list(stack(predictions["pose"], 72) + jitter)
    smooth = smooth_predictions(predictions, 1.5, clips, StickBody())
    truth = stack(true_predictions(clips)["joints_3d_m"], 14, 3)

    def second_difference(joints):
        return np.linalg.norm(np.diff(joints.reshape(3, 16, 14, 3), n=2, axis=1), axis=-1).mean()

    joints = stack(smooth["joints_3d_m"], 14, 3)
    rough = smooth_predictions(predictions, 1e-3, clips, StickBody())
    assert second_difference(joints) < 0.3 * second_difference(stack(rough["joints_3d_m"], 14, 3))
    assert np.linalg.norm(joints - truth, axis=-1).mean() < 0.06
    alone = replace(
        clips, clips=clips.clips[:1], box_center_px=clips.box_center_px[:16], box_scale=clips.box_scale[:16]
    )
    first = smooth_predictions(predictions.iloc[:16].reset_index(drop=True), 1.5, alone, StickBody())
    np.testing.assert_allclose(stack(first["joints_3d_m"], 14, 3), joints[:16], atol=1e-5)


def test_smoothing_predictions_of_other_clips_is_refused(clips):
    with pytest.raises(FatalError, match="not the same"):
        smooth_predictions(true_predictions(clips).iloc[::-1], 1.0, clips, StickBody())
