"""Checks of how hard a world is, on estimates whose faults are put in on purpose."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from moviestrip.errors import FatalError
from moviestrip.evaluation import difficulty as checks
from moviestrip.evaluation.difficulty import Sequences, join_sequences, mean_pose
from moviestrip.evaluation.findings import Finding, Sampling

SAMPLING = Sampling(200)
CLIPS, FRAMES = 12, 30


def sequences(noise_mm: tuple[float, float, float], seed: int = 0, seeds: int = 1) -> Sequences:
    """People who move smoothly, estimated with noise of this deviation along x, y, z; frames 10 to 14 are covered."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2, FRAMES)[:, None, None]
    people = rng.normal(0, 0.3, (CLIPS, 1, 14, 3)) + 0.1 * np.sin(time + rng.uniform(0, 6, (CLIPS, 1, 14, 3)))
    target_m = checks.metrics.center_on_hips(people.reshape(-1, 14, 3))
    predicted_m = target_m + rng.normal(size=(seeds, *target_m.shape)) * np.array(noise_mm) / 1000
    burst = np.tile(np.where(np.isin(np.arange(FRAMES), range(10, 15)), "occlusion", "none"), CLIPS)
    clips = pd.DataFrame({"clip_id": [f"c{i}" for i in range(CLIPS)], "action": ["walk", "run"] * (CLIPS // 2)})
    clips["group"] = clips["clip_id"]
    return Sequences(clips, np.repeat(np.arange(CLIPS), FRAMES), burst.astype(object), target_m, predicted_m)


def named(findings) -> dict[str, Finding]:
    return {found.check: found for found in findings}


def test_acceleration_error_of_white_noise_is_what_theory_says():
    """Second differences of independent noise have six times its variance; a length in 3D, Maxwell's mean."""
    found = named(checks.jitter({"street": sequences((10, 10, 10), seeds=2)}, "street", {}, SAMPLING))
    maxwell = 2 * np.sqrt(2 / np.pi) * np.sqrt(6) * 10
    assert found["jitter-street"].measured == pytest.approx(maxwell, rel=0.02)
    assert found["jitter-street"].verdict == "present"
    assert found["jitter-street"].seeds == 2
    assert found["jitter-above-motion-street"].verdict == "present"


def test_what_removes_noise_is_seen_and_what_does_not_is_not():
    rough, smooth = sequences((10, 10, 10)), sequences((5, 5, 5), seed=0)
    others = {"smoothing": ("half of it", {"street": smooth}), "time": ("nothing", {"street": rough})}
    found = named(checks.jitter({"street": rough}, "street", others, SAMPLING))
    assert found["jitter-smoothing-street"].measured == pytest.approx(50, abs=0.1)
    assert found["jitter-smoothing-street"].verdict == "present"
    assert found["jitter-time-street"].measured == pytest.approx(0)
    assert found["jitter-time-street"].verdict == "absent"


def test_depth_error_is_measured_along_the_cameras_axis():
    found = checks.depth(sequences((10, 10, 30)), "street", SAMPLING)
    assert found.measured == pytest.approx(3, rel=0.03)
    assert found.verdict == "present"
    assert checks.depth(sequences((30, 30, 10)), "street", SAMPLING).verdict == "absent"


def test_bursts_are_compared_within_clips():
    clean = sequences((10, 10, 10))
    covered = (clean.burst == "occlusion")[:, None, None]
    worse = Sequences(
        clean.clips, clean.clip, clean.burst, clean.target_m,
        np.where(covered, clean.target_m + 4 * (clean.predicted_m - clean.target_m), clean.predicted_m),
    )  # fmt: skip
    found = named(checks.bursts(worse, "street", "single-view", "it", SAMPLING))
    assert set(found) == {"burst-occlusion-single-view-street"}  # no frame is blurred
    assert found["burst-occlusion-single-view-street"].verdict == "present"
    assert named(checks.bursts(clean, "street", "m", "it", SAMPLING))["burst-occlusion-m-street"].measured < 1
    shares = named(checks.burst_shares(clean, "street", SAMPLING))
    assert shares["burst-share-occlusion-street"].measured == pytest.approx(100 * 5 / FRAMES)


def test_the_harder_dataset_is_told_by_its_clips_and_by_the_actions_both_show():
    easy, hard = sequences((5, 5, 5)), sequences((20, 20, 20), seed=1)
    hard.clips["action"] = ["walk", "jump"] * (CLIPS // 2)
    found = named(checks.harder({"street": hard, "studio": easy}, "street", "studio", "m", "it", SAMPLING))
    assert {found[f"harder-{metric}-m"].verdict for metric in ("pa-mpjpe", "mpjpe")} == {"present"}
    same = found["harder-pa-mpjpe-m-same-actions"]
    assert (same.clips, same.verdict) == (CLIPS, "present")
    assert "walk" in same.question
    assert "jump" not in same.question
    assert not list(checks.harder({"studio": easy}, "street", "studio", "m", "it", SAMPLING))


def test_the_mean_of_one_pose_seen_from_everywhere_is_that_pose():
    rng = np.random.default_rng(4)
    base = rng.normal(size=(14, 3))
    turned = Rotation.random(50, random_state=5).as_matrix() @ base.T
    poses = turned.swapaxes(1, 2) * rng.uniform(0.5, 2, (50, 1, 1)) + rng.normal(size=(50, 1, 3))
    assert checks.metrics.pa_mpjpe(mean_pose(poses), base) < 1e-9
    with pytest.raises(FatalError, match="no training frame"):
        mean_pose(np.zeros((3, 14, 3)))


def test_the_range_used_is_nothing_for_the_mean_pose_itself():
    true = sequences((10, 10, 10))
    known = mean_pose(true.target_m)
    blind = Sequences(
        true.clips, true.clip, true.burst, true.target_m, np.broadcast_to(known, true.predicted_m.shape).copy()
    )
    assert checks.range_used(blind, known, "street", "m", "it", SAMPLING).measured == pytest.approx(0, abs=1e-9)
    seeing = checks.range_used(true, known, "street", "m", "it", SAMPLING)
    assert seeing.verdict == "present"
    assert 80 < seeing.measured < 100


def test_white_noise_is_as_rough_as_can_be_and_joints_are_not():
    true = sequences((0, 0, 0))
    noise = np.random.default_rng(6).normal(size=(CLIPS * FRAMES, 40)).astype(np.float32)
    found = checks.feature_noise(noise, true, "street", SAMPLING)
    assert found.verdict == "present"
    assert float(found.note.split("100 %: ")[1].split(" %")[0]) == pytest.approx(100, rel=0.1)
    smooth = checks.feature_noise(true.target_m.reshape(len(noise), -1), true, "street", SAMPLING)
    assert smooth.measured == pytest.approx(1)


def test_hidden_keypoints_are_counted_against_clean_frames():
    true = sequences((0, 0, 0))
    confidence = np.ones((CLIPS * FRAMES, 25))
    confidence[:, :5] = 0
    confidence[true.burst == "occlusion", :15] = 0
    keypoints = np.concatenate([np.zeros((*confidence.shape, 2)), confidence[..., None]], -1)
    labels = pd.DataFrame(
        {"clip_id": true.clips["clip_id"].to_numpy()[true.clip], "burst": true.burst,
         "keypoints_2d": list(keypoints.reshape(len(confidence), -1))}
    )  # fmt: skip
    clips = true.clips.assign(motion_id="", video_id=true.clips["clip_id"])
    found = named(checks.hidden_joints(labels, clips, "street", SAMPLING))
    assert found["burst-hidden-street"].measured == pytest.approx(40)


def test_frames_are_joined_on_clip_and_frame_whatever_their_order():
    rng = np.random.default_rng(7)
    true, said = rng.normal(size=(2, 5, 14, 3))
    keys = pd.DataFrame({"clip_id": list("aabbb"), "frame": [0, 1, 0, 1, 2]})
    labels = keys.assign(joints_3d_m=list(true.reshape(5, -1)), has_3d=True, burst="none")
    predictions = keys.assign(joints_3d_m=list(said.reshape(5, -1)))
    clips = pd.DataFrame({"clip_id": ["b", "a"], "action": "", "motion_id": ["m", ""], "video_id": ["v", "w"]})
    shuffled = [predictions.sample(frac=1, random_state=state) for state in (0, 1)]
    found = join_sequences(shuffled, labels.sample(frac=1, random_state=2), clips)
    assert found.clip.tolist() == [0, 0, 1, 1, 1]
    assert found.groups.tolist() == ["w", "m"]
    centred = checks.metrics.center_on_hips(said)
    np.testing.assert_allclose(found.predicted_m, np.stack([centred, centred]), atol=1e-6)
    with pytest.raises(FatalError, match="frame 2 of clip b"):
        join_sequences([predictions[:-1]], labels, clips)
