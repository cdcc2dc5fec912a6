"""Noise of pseudo-labels, on labels that are the truth but for faults put in on purpose."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError
from moviestrip.evaluation.detector_noise import (
    LIMBS,
    Detected,
    detector_noise,
    error_shares,
    join_detected,
    labels_are_detections,
)
from moviestrip.evaluation.findings import Finding, Sampling
from moviestrip.skeleton import HMMR_25, indices_of, mirror_permutation
from moviestrip.tables import LABELS, with_defaults

SAMPLING = Sampling(100)
VIDEOS, FRAMES = 8, 24
ORDER = indices_of(LIMBS, HMMR_25)


@pytest.fixture
def truth() -> pd.DataFrame:
    """Two people a video, 300 px apart and about 200 px tall, who drift smoothly."""
    rng = np.random.default_rng(0)
    rows = []
    for video in range(VIDEOS):
        for person in range(2):
            pose = rng.uniform(0, 200, (25, 2)) + 300 * person
            for frame in range(FRAMES):
                keypoints = np.concatenate([pose + 0.02 * frame**2, np.ones((25, 1))], 1)
                rows.append({
                    "video_id": f"v{video}", "frame": frame, "person": person, "motion_id": f"m{video}-{person}",
                    "keypoints_2d": keypoints.ravel(), "burst": "blur" if 6 <= frame < 10 else "none",
                })  # fmt: skip
    return pd.DataFrame(rows)


def clips_and_labels(truth: pd.DataFrame, change=lambda keypoints: keypoints) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One clip a video, of the second person and from its third frame on, whose keypoints are `change`d."""
    clips, labels = [], []
    for video_id, rows in truth[truth["person"] == 1].groupby("video_id"):
        keypoints = change(np.stack(rows["keypoints_2d"].to_list()).reshape(-1, 25, 3)[2:].copy())
        clip = f"clip-{video_id}"
        clips.append({"clip_id": clip, "video_id": video_id, "dataset": "insta", "motion_id": "", "track": 7})
        labels.append(pd.DataFrame({"clip_id": clip, "frame": np.arange(len(keypoints)), "burst": "none",
                                    "video_frame": np.arange(len(keypoints)) + 2,
                                    "keypoints_2d": list(keypoints.reshape(len(keypoints), -1))}))  # fmt: skip
    return pd.DataFrame(clips), pd.concat(labels, ignore_index=True)


def measured(truth: pd.DataFrame, change) -> dict[str, Finding]:
    clips, labels = clips_and_labels(truth, change)
    return {found.check: found for found in detector_noise(join_detected(labels, clips, truth), "insta", SAMPLING)}


def joined(truth: pd.DataFrame) -> Detected:
    clips, labels = clips_and_labels(truth)
    return join_detected(labels, clips, truth)


def test_a_track_finds_its_own_person_frame_by_frame(truth: pd.DataFrame):
    found = joined(truth)
    assert found.clips["motion_id"].tolist() == [f"m{video}-1" for video in range(VIDEOS)]
    assert np.nanmax(found.error) < 1e-6
    assert len(found.clip) == VIDEOS * (FRAMES - 2)
    assert (found.burst == "blur").sum() == VIDEOS * 4
    width = np.stack(truth["keypoints_2d"].to_list()).reshape(-1, 25, 3)[..., :2]
    assert found.person_px.max() <= np.ptp(width, axis=1).max() + 1e-3


def test_a_track_of_nobody_is_left_out(truth: pd.DataFrame):
    clips, labels = clips_and_labels(truth, lambda keypoints: keypoints + np.array([5000, 0, 0]))
    with pytest.raises(FatalError, match="none of 8 tracked clips"):
        join_detected(labels, clips, truth)


def test_perfect_labels_are_not_noise(truth: pd.DataFrame):
    found = measured(truth, lambda keypoints: keypoints)
    assert found["detector-pck"].measured == 100
    for check in ("missed", "error", "jitter", "swaps", "bursts"):
        assert found[f"detector-{check}"].measured == pytest.approx(0, abs=1e-3)
        assert found[f"detector-{check}"].verdict == "absent"
    assert found["detector-pck"].verdict == "absent"


def test_missed_joints_are_counted_and_count_as_misplaced(truth: pd.DataFrame):
    def lose(keypoints: np.ndarray) -> np.ndarray:
        keypoints[:, ORDER[:3]] = 0
        return keypoints

    found = measured(truth, lose)
    assert found["detector-missed"].measured == pytest.approx(25)
    assert found["detector-pck"].measured == pytest.approx(75)
    assert found["detector-pck"].verdict == "present"


def test_swapped_sides_are_told_apart_from_noise(truth: pd.DataFrame):
    mirrored = mirror_permutation(HMMR_25)

    def swap(keypoints: np.ndarray) -> np.ndarray:
        keypoints[::2] = keypoints[::2, mirrored]
        return keypoints

    def tremble(keypoints: np.ndarray) -> np.ndarray:
        keypoints[..., :2] += np.random.default_rng(1).normal(0, 3, keypoints[..., :2].shape)
        return keypoints

    assert measured(truth, swap)["detector-swaps"].measured == pytest.approx(50)
    assert measured(truth, swap)["detector-swaps"].verdict == "present"
    trembling = measured(truth, tremble)
    assert trembling["detector-swaps"].measured == 0
    assert trembling["detector-jitter"].verdict == "present"
    assert trembling["detector-error"].verdict == "present"


def test_noise_under_bursts_is_set_against_the_same_clips(truth: pd.DataFrame):
    def displace(keypoints: np.ndarray) -> np.ndarray:
        keypoints[4:8, ORDER[:6], 0] += 150  # video frames 6 to 9
        return keypoints

    found = measured(truth, displace)["detector-bursts"]
    assert found.measured == pytest.approx(50)
    assert found.verdict == "present"


def test_shares_within_a_distance_count_the_missed(truth: pd.DataFrame):
    found = joined(truth)
    half = dataclasses.replace(found, seen=found.seen & (np.arange(12) < 6))
    shares = error_shares(half, np.array([0.01, 0.2])).set_index(["row", "within"])["joints"]
    assert shares.to_dict() == {(kind, at): 50.0 for kind in ("clean", "under a burst") for at in (1.0, 20.0)}


def test_labels_that_hold_more_than_detections_are_found(truth: pd.DataFrame):
    clips, labels = clips_and_labels(truth)
    expected = np.stack(labels["keypoints_2d"].to_list()).reshape(-1, 25, 3).astype(np.float32)
    blank = {"joints_3d_m": 42, "pose": 72, "betas": 10, "translation_m": 3}
    labels = labels.assign(**{name: [np.zeros(size)] * len(labels) for name, size in blank.items()})
    labels = with_defaults(labels.assign(has_3d=False, has_body=False), LABELS)
    assert labels_are_detections(labels, expected, len(clips), "insta").verdict == "present"
    expected[3, 4, 0] += 1e-3 * expected[3, 4, 0]
    known = labels.copy()
    known.at[5, "pose"] = np.full(72, 0.1)
    found = labels_are_detections(known, expected, len(clips), "insta")
    assert (found.measured, found.verdict) == (2, "absent")
