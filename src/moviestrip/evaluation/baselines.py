"""Predictions that need no model of their own: what a learned one has to beat.

Smoothing over time is the baseline that catches temporal models out, so its parameters are chosen as carefully as
theirs: on validation clips, never on the test.

Forecasts are held against standing still and against what followed the most similar moment of the training clips.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moviestrip.config import EvaluationSettings, SmoothingMetric
from moviestrip.errors import FatalError
from moviestrip.evaluation.metrics import pa_mpjpe
from moviestrip.evaluation.protocols import HMMR
from moviestrip.evaluation.score import score_predictions
from moviestrip.geometry import pose_to_matrices
from moviestrip.models.model import CONDITION_FRAMES, ModelDesign
from moviestrip.tables import SCORES, empty, stack
from moviestrip.training.data import Clip, ClipDataset
from moviestrip.training.losses import COMMON, BodyPoints
from moviestrip.training.predict import (
    FORECAST_EVERY_FRAMES,
    FORECAST_STEPS,
    Estimates,
    forecasts_table,
    posed,
    starts_in_clips,
)
from moviestrip.training.smoothing import Filter, Gaussian, OneEuro, SlerpAverage, SmoothingName

# What smoothing baselines are chosen among, from little change to much.
SIGMAS_FRAMES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
MINIMUM_CUTOFFS_HZ = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
BETAS = (1.0, 0.5, 0.25, 0.1, 0.0)

ALIGNMENTS_AT_ONCE = 200_000  # pairs of poses in memory
WINDOWS_AT_ONCE = 4096
HMMR_HORIZONS = (-5, 0, 5)  # its Table 5


def smoothing_candidates(smoothing: SmoothingName, settings: EvaluationSettings) -> list[Filter]:
    """The filters of a kind to choose among, those that change least first; a parameter that is set stays as it is."""
    if smoothing == "gaussian":
        fixed = settings.gaussian_sigma_frames
        return [Gaussian(sigma_frames) for sigma_frames in (SIGMAS_FRAMES if fixed is None else (fixed,))]
    if smoothing == "one-euro":
        cutoff_hz, slope = settings.one_euro_minimum_cutoff_hz, settings.one_euro_beta
        cutoffs_hz = MINIMUM_CUTOFFS_HZ if cutoff_hz is None else (cutoff_hz,)
        betas = BETAS if slope is None else (slope,)
        return [OneEuro(lowest_hz, beta) for lowest_hz in cutoffs_hz for beta in betas]
    return [SlerpAverage()] if smoothing == "slerp" else []


def choose_filter(candidates: Sequence[Filter], score: Callable[[Filter], float]) -> tuple[Filter, dict[Filter, float]]:
    """The filter whose validation score (an error) is lowest, and the score of each.

    Of equal scores the first wins; a candidate scored NaN is never chosen.
    """
    scores = {candidate: float(score(candidate)) for candidate in candidates}
    usable = {candidate: value for candidate, value in scores.items() if math.isfinite(value)}
    if not usable:
        raise FatalError(
            f"smoothing: none of the {len(scores)} filters has a validation score; give the datasets validation clips "
            f"known in 3D, or set the filter's parameters in `evaluation`"
        )
    return min(usable, key=usable.__getitem__), scores


def validation_error(
    predictions: Mapping[str, pd.DataFrame],
    labels: Mapping[str, pd.DataFrame],
    clips: Mapping[str, pd.DataFrame],
    metric: SmoothingMetric,
) -> float:
    """The mean error over the clips of several datasets, each clip counting alike, by HMMR's protocol; NaN of none."""
    measured = ("accel", "accel_error") if metric == "accel_error" else (metric,)
    scores = [
        score_predictions(predictions[name], labels[name], chosen, replace(HMMR, metrics=measured), "validation", 0)
        for name, chosen in clips.items()
    ]
    found = pd.concat(scores) if scores else empty(SCORES)
    return float(found.loc[(found["metric"] == metric) & (found["condition"] == "all"), "value"].mean())


def still_forecasts(
    estimates: Estimates,
    dataset: ClipDataset,
    steps: int = FORECAST_STEPS,
    condition_frames: int = CONDITION_FRAMES,
    every_frames: int = FORECAST_EVERY_FRAMES,
) -> pd.DataFrame:
    """PHD's Constant as FORECASTS: the estimate of the last frame seen, again and again.

    Args:
        estimates: of every row of `dataset`, by a model that looks back only; see `require_causal`.
    """
    starts = starts_in_clips(dataset.clips, condition_frames - 1, steps, every_frames)
    last_seen = torch.tensor([row for _, _, row in starts])[:, None].expand(-1, steps + 1)
    return forecasts_table("forecast", starts, range(steps + 1), chosen_rows(estimates, last_seen.flatten()))


def held_still(forecasts: pd.DataFrame) -> pd.DataFrame:
    """HMMR's constant baseline: what FORECASTS say of the current frame, at every horizon."""
    said = [name for name in forecasts.columns if name not in ("clip_id", "kind", "start_frame", "horizon")]
    current = forecasts.loc[forecasts["horizon"] == 0, ["clip_id", "kind", "start_frame", *said]]
    if len(current) * forecasts["horizon"].nunique() != len(forecasts):
        raise FatalError(f"forecasts: {len(current)} moments have a horizon 0, needed for each; forecast again")
    return forecasts.drop(columns=said).merge(current, on=["clip_id", "kind", "start_frame"])[list(forecasts.columns)]


def nearest_forecasts(
    estimates: Estimates,
    dataset: ClipDataset,
    known: Estimates,
    training: ClipDataset,
    body_points: BodyPoints,
    steps: int = FORECAST_STEPS,
    condition_frames: int = CONDITION_FRAMES,
    every_frames: int = FORECAST_EVERY_FRAMES,
) -> pd.DataFrame:
    """PHD's nearest neighbour as FORECASTS: what follows the training window that is most like the one seen.

    Windows of `condition_frames` are compared by the Euclidean distance of their joints under the mean shape, which
    keep the direction that the person faces: both sides are estimated by the same model, as printed.

    Args:
        estimates: of every row of `dataset`, by a model that looks back only.
        known: of every row of `training`, by the same model.
        body_points: on the CPU.
    """
    first = condition_frames - 1
    starts = starts_in_clips(dataset.clips, first, steps, every_frames)
    candidates = torch.tensor([row for _, _, row in starts_in_clips(training.clips, first, steps, 1)])
    window = torch.arange(-first, 1)
    asked = torch.tensor([row for _, _, row in starts])[:, None] + window
    nearest = nearest_windows(
        normalised_joints(estimates, body_points)[asked].flatten(1),
        normalised_joints(known, body_points),
        candidates[:, None] + window,
    )
    following = candidates[nearest][:, None] + torch.arange(steps + 1)
    return forecasts_table("forecast", starts, range(steps + 1), chosen_rows(known, following.flatten()))


def normalised_joints(estimates: Estimates, body_points: BodyPoints) -> Float[Tensor, "rows 42"]:
    """The 14 joints of estimated poses under the mean shape."""
    mean_shape = torch.zeros_like(estimates.betas)
    return posed(estimates.camera, estimates.rotations, mean_shape, body_points).points_m[:, COMMON].flatten(1)


def nearest_windows(
    queries: Float[Tensor, "queries values"],
    frames: Float[Tensor, "rows size"],
    windows: Int[Tensor, "windows length"],
) -> Int[Tensor, " queries"]:
    """For each query the closest window of some frames, each window given by its rows; the first of equals.

    Distances are matrix products, and only a part of the pairs is ever laid out: hundreds of thousands of windows
    fit, on either side.
    """
    found = [_nearest_of_few(part, frames, windows) for part in queries.split(WINDOWS_AT_ONCE)]
    return torch.cat(found)


def _nearest_of_few(queries: Tensor, frames: Tensor, windows: Tensor) -> Tensor:
    best = queries.new_full((len(queries),), math.inf)
    place = torch.zeros(len(queries), dtype=torch.long)
    for start in range(0, len(windows), WINDOWS_AT_ONCE):
        distance = torch.cdist(queries, frames[windows[start : start + WINDOWS_AT_ONCE]].flatten(1))
        found, index = distance.min(1)
        closer = found < best
        best, place = torch.where(closer, found, best), torch.where(closer, index + start, place)
    return place


@dataclass(frozen=True)
class KnownClips:
    """Clips whose bodies are known from their labels, row by row as `bodies` lists them."""

    clips: tuple[Clip, ...]
    bodies: Estimates


def read_truth(labels: pd.DataFrame, clip_ids: Sequence[str], body_points: BodyPoints) -> KnownClips:
    """The bodies that LABELS give for some clips; `body_points` computes on the CPU."""
    labels = labels[labels["clip_id"].isin(clip_ids)].sort_values(["clip_id", "frame"])
    unknown = labels.loc[~labels["has_3d"].astype(bool), "clip_id"]
    if len(labels) == 0 or len(unknown):
        what = f"clip {unknown.iloc[0]} is not known in 3D" if len(unknown) else "there are no labelled clips"
        raise FatalError(f"oracle nearest neighbour: {what}; take a dataset with full_3d supervision")
    counts = labels.groupby("clip_id", sort=True).size()
    first = counts.cumsum() - counts
    clips = tuple(Clip(str(name), int(first[name]), int(counts[name]), has_3d=True) for name in counts.index)
    rotations = pose_to_matrices(torch.from_numpy(stack(labels["pose"], 72)))
    betas = torch.from_numpy(stack(labels["betas"], 10))
    return KnownClips(clips, posed(torch.zeros(len(labels), 3), rotations, betas, body_points))


def oracle_forecasts(
    truth: KnownClips, training: KnownClips, horizons: Sequence[int] = HMMR_HORIZONS, every_frames: int = 1
) -> pd.DataFrame:
    """HMMR's oracle as FORECASTS: past and future of the training pose closest to the true current one.

    Closest is the lowest PA-MPJPE. Only training poses count that have their frames at all `horizons`.
    """
    before, after = max(0, -min(horizons)), max(0, *horizons)
    starts = starts_in_clips(truth.clips, before, after, every_frames)
    candidates = torch.tensor([row for _, _, row in starts_in_clips(training.clips, before, after, 1)])
    asked = truth.bodies.points_m[[row for _, _, row in starts]][:, COMMON]
    nearest = nearest_poses(asked, training.bodies.points_m[candidates][:, COMMON])
    around = candidates[nearest][:, None] + torch.tensor(list(horizons))
    return forecasts_table("dynamics", starts, horizons, chosen_rows(training.bodies, around.flatten()))


def nearest_poses(
    queries: Float[Tensor, "queries joints 3"], poses: Float[Tensor, "poses joints 3"]
) -> Int[Tensor, " queries"]:
    """For each query the pose with the lowest PA-MPJPE; an undefined one is never the closest."""
    step = max(1, ALIGNMENTS_AT_ONCE // max(1, len(poses)))
    found = []
    for part in queries.split(step):
        pairs = torch.broadcast_tensors(poses[None], part[:, None])
        found.append(pa_mpjpe(*pairs).nan_to_num(nan=math.inf).argmin(1))
    return torch.cat(found)


def require_causal(design: ModelDesign, origin: Path) -> None:
    """Refuse a model whose estimate of a frame knows what comes after it."""
    if not design.causal or design.norm != "group-norm-per-frame":
        raise FatalError(
            f"{origin}: its estimates see the future; a baseline of forecasts takes a variant with `causal: true` and "
            f"`norm: group-norm-per-frame`"
        )


def chosen_rows(estimates: Estimates, rows: Int[Tensor, " chosen"]) -> Estimates:
    return Estimates(**{name: values[rows] for name, values in vars(estimates).items()})
