"""The smoothing baselines are chosen on validation clips, among what is printed in the documentation."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip import tables
from moviestrip.config import EvaluationSettings
from moviestrip.errors import FatalError
from moviestrip.evaluation.baselines import (
    BETAS,
    MINIMUM_CUTOFFS_HZ,
    SIGMAS_FRAMES,
    choose_filter,
    smoothing_candidates,
    validation_error,
)
from moviestrip.training.smoothing import Gaussian, OneEuro, SlerpAverage

FREE = EvaluationSettings()


def test_the_filter_with_the_lowest_validation_error_is_chosen():
    candidates = [Gaussian(0.5), Gaussian(1.0), OneEuro(2.0, 0.5)]
    errors = {candidates[0]: 3.0, candidates[1]: 2.0, candidates[2]: 2.5}
    chosen, scores = choose_filter(candidates, errors.__getitem__)
    assert chosen == Gaussian(1.0) and scores == errors
    assert choose_filter(candidates, lambda _: 7.0)[0] == Gaussian(0.5)
    assert choose_filter(candidates[:2], lambda one: np.nan if one == Gaussian(0.5) else 9.0)[0] == Gaussian(1.0)
    with pytest.raises(FatalError, match="none of the 3 filters has a validation score"):
        choose_filter(candidates, lambda _: np.nan)


def test_parameters_that_are_set_are_not_searched():
    assert smoothing_candidates("gaussian", FREE) == [Gaussian(sigma) for sigma in SIGMAS_FRAMES]
    assert smoothing_candidates("gaussian", EvaluationSettings(gaussian_sigma_frames=1.7)) == [Gaussian(1.7)]
    grid = smoothing_candidates("one-euro", FREE)
    assert len(set(grid)) == len(MINIMUM_CUTOFFS_HZ) * len(BETAS)
    half = smoothing_candidates("one-euro", EvaluationSettings(one_euro_beta=0))
    assert half == [OneEuro(cutoff_hz, 0) for cutoff_hz in MINIMUM_CUTOFFS_HZ]
    fixed = EvaluationSettings(one_euro_minimum_cutoff_hz=3, one_euro_beta=0.7)
    assert smoothing_candidates("one-euro", fixed) == [OneEuro(3, 0.7)]
    assert smoothing_candidates("slerp", FREE) == [SlerpAverage()]
    assert smoothing_candidates("none", FREE) == []


def clip_of(name: str, dataset: str, target_m: np.ndarray, predicted_m: np.ndarray) -> tuple[list[dict], list[dict]]:
    """Labels and predictions of one clip, (frames, 14, 3) each."""
    labels, predictions = [], []
    for frame, (truth, said) in enumerate(zip(target_m, predicted_m, strict=True)):
        shared = {"clip_id": name, "frame": frame, "pose": np.zeros(72), "betas": np.zeros(10)}
        labels.append(shared | {
            "video_frame": frame, "box_center_px": np.zeros(2), "box_scale": 1.0, "keypoints_2d": np.ones(75),
            "has_3d": True, "joints_3d_m": truth.ravel(), "translation_m": np.zeros(3), "intrinsics_px": np.zeros(4),
            "has_body": False, "burst": "none",
        })  # fmt: skip
        joints = {"joints_3d_m": said.ravel(), "camera": np.zeros(3), "keypoints_2d": np.ones(50)}
        predictions.append(shared | joints)
    return labels, predictions


@pytest.mark.parametrize("metric", ["pa_mpjpe", "accel_error"])
def test_the_validation_error_is_the_mean_over_the_clips_of_all_datasets(metric):
    generator = np.random.default_rng(0)
    places = {"a": ("studio", 9), "b": ("studio", 30), "c": ("hall", 12)}
    predictions, labels, clips, errors = {}, {}, {}, []
    for name, (dataset, frames) in places.items():
        truth = generator.normal(0, 0.4, (1, 14, 3)) + generator.normal(0, 0.02, (frames, 14, 3))
        # A similarity of each pose, so that only the noise on top is an error after alignment.
        said = truth + generator.normal(0, 0.03 * (1 + len(errors)), truth.shape)
        of_labels, of_predictions = clip_of(name, dataset, truth, said)
        labels.setdefault(dataset, []).extend(of_labels)
        predictions.setdefault(dataset, []).extend(of_predictions)
        clips.setdefault(dataset, []).append(
            {"clip_id": name, "dataset": dataset, "action": "", "motion_id": "", "video_id": name}
        )
        errors.append(accel_error_mm(said, truth) if metric == "accel_error" else pa_mpjpe_mm(said, truth))
    found = validation_error(
        {name: pd.DataFrame(rows) for name, rows in predictions.items()},
        {name: tables.with_defaults(pd.DataFrame(rows), tables.LABELS) for name, rows in labels.items()},
        {name: pd.DataFrame(rows) for name, rows in clips.items()},
        metric,
    )
    assert found == pytest.approx(np.mean(errors), rel=1e-4)
    assert np.isnan(validation_error({}, {}, {}, metric))


def accel_error_mm(said: np.ndarray, truth: np.ndarray) -> float:
    """From the middle of the hips, joints 2 and 3."""
    error = (said - said[:, 2:4].mean(1, keepdims=True)) - (truth - truth[:, 2:4].mean(1, keepdims=True))
    return 1000 * np.linalg.norm(np.diff(error, n=2, axis=0), axis=-1).mean()


def pa_mpjpe_mm(said: np.ndarray, truth: np.ndarray) -> float:
    """By scipy's rotation between two sets of vectors and the least-squares scale."""
    from scipy.spatial.transform import Rotation

    errors = []
    for predicted, target in zip(said, truth, strict=True):
        moved, aimed = predicted - predicted.mean(0), target - target.mean(0)
        turned = Rotation.align_vectors(aimed, moved)[0].apply(moved)
        turned *= (turned * aimed).sum() / (turned**2).sum()
        errors.append(np.linalg.norm(turned - aimed, axis=-1).mean())
    return 1000 * float(np.mean(errors))


def test_the_documentation_prints_what_is_searched():
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    for values in (SIGMAS_FRAMES, MINIMUM_CUTOFFS_HZ, BETAS):
        ascending = r",\s+".join(f"{value:g}" for value in sorted(values))
        assert re.search(rf"(?<![\d.]){ascending}(?![\d.])", page), values
