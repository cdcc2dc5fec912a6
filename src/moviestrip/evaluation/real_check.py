"""Models of the miniature world on videos of real people: what is measured, how sure it is, and what it says.

Two videos are too little to rank models by. What can be asked is whether what a model learnt here reaches beyond the
world it was made in: whether its bodies stand where a detector sees people, from the camera they were estimated from
and from others; whether they resemble a pose that several cameras agree on; and whether the miniature world puts
models in the same order. Frames of one moment are not independent, whichever camera filmed them, so moments are drawn
for intervals, not frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import stats

from moviestrip.datasets.pose2sim import Camera, Views, reference_joints
from moviestrip.evaluation import metrics
from moviestrip.evaluation.protocols import HMMR
from moviestrip.evaluation.reference import (
    PLACED_12,
    STATED_UNCERTAINTY_MM,
    confirmed_joints,
    distances_in_views_px,
    limb_lengths_m,
    pa_mpjpe_of_known,
    place_bodies,
    seen_12,
    sides_exchanged,
    without_each_view,
)
from moviestrip.evaluation.score import MM, join_frames, score_predictions
from moviestrip.evaluation.statistics import Interval, expanded_ends, interval, paired_difference
from moviestrip.geometry import procrustes_align
from moviestrip.skeleton import COMMON_14, indices_of
from moviestrip.tables import CLIPS, LABELS

BLOCK_FRAMES = 10  # a third of a second at 30 frames a second: poses further apart count as different moments
BASELINE = "single-view"
ALL_VIEWS = "all"
REFERENCE = "reference"
RANKS = "rank_correlation:"
DIFFERENCE = "_minus_single_view"
BY_VIEW = ("pa_mpjpe",)
COMPARED = ("pa_mpjpe", "pa_mpjpe_confirmed", "accel_error", "reprojection", "keypoint_distance")
METRICS = ("pa_mpjpe", "pa_mpjpe_confirmed", "reprojection", "accel_error", "keypoint_distance", "pck")
SCORED = ("pa_mpjpe", "accel", "accel_error", "pck")
COLUMNS = (
    "dataset", "variant", "title", "view", "metric", "unit", "value", "low", "high", "uncertainty_mm", "clips",
    "people", "seeds", "note",
)  # fmt: skip
VALUES = ("dataset", "variant", "seed", "view", "unit_id", "moment", "metric", "unit", "value", "frames")


@dataclass(frozen=True)
class RealVideo:
    """The clips of a real dataset, cut into blocks of frames.

    Attributes:
        clips: CLIPS, one row a block; `motion_id` names the moment, the same in all views of it.
        labels: LABELS, of the blocks.
        views: by block the camera that filmed it, or `all` where there is one.
        blocks: clip_id and frame of the whole clip beside the block's clip_id.
        people: how many different ones are filmed.
        cut_from: how many clips.
    """

    dataset: str
    clips: pd.DataFrame
    labels: pd.DataFrame
    views: Mapping[str, str]
    blocks: pd.DataFrame
    people: int
    cut_from: int


@dataclass(frozen=True)
class Calibrated:
    """What calibrated cameras saw of one person, and what they make of it; arrays are by the video's frame.

    Attributes:
        crop_scale: source pixels times this are pixels of the 224 crop, by camera.
    """

    cameras: tuple[Camera, ...]
    views: Views
    fps: float
    crop_scale: Float[np.ndarray, " cameras"]
    joints_m: Float[np.ndarray, "frames 14 3"]
    without_m: Float[np.ndarray, "cameras frames 14 3"]

    @property
    def confirmed(self) -> Bool[np.ndarray, "frames 14"]:
        return confirmed_joints(self.joints_m, self.without_m)

    @property
    def names(self) -> list[str]:
        return [camera.name for camera in self.cameras]


def calibrated(
    cameras: Sequence[Camera], views: Views, fps: float, crop_scale: Float[np.ndarray, " cameras"]
) -> Calibrated:
    used = list(cameras)
    joints_m = reference_joints(used, views, fps)
    return Calibrated(tuple(cameras), views, fps, crop_scale, joints_m, without_each_view(used, views, fps))


def in_blocks(
    dataset: str, clips: pd.DataFrame, labels: pd.DataFrame, view_of: Mapping[str, str], people: int
) -> RealVideo:
    """Cut CLIPS and LABELS of a dataset into blocks by the video's frame, so that all views are cut alike.

    Args:
        view_of: the camera by clip_id; clips that are not in it are of one person each and seen once.
    """
    labels = labels[labels["clip_id"].isin(clips["clip_id"])].sort_values(["clip_id", "frame"], ignore_index=True)
    number = (labels["video_frame"] // BLOCK_FRAMES).astype(str)
    cut = labels.assign(whole=labels["clip_id"], clip_id=labels["clip_id"] + "@" + number)
    first = cut.drop_duplicates("clip_id")
    whole = clips.set_index("clip_id").loc[first["whole"]].reset_index(names="whole")
    filmed = [view_of.get(clip_id) for clip_id in whole["whole"]]
    person = ["person" if view else clip_id for view, clip_id in zip(filmed, whole["whole"], strict=True)]
    moments = [f"{who}@{block}" for who, block in zip(person, number[first.index], strict=True)]
    sizes = cut.groupby("clip_id").size()
    blocks = whole.assign(
        clip_id=first["clip_id"].to_numpy(), motion_id=moments, n_frames=sizes.loc[first["clip_id"]].to_numpy()
    )
    return RealVideo(
        dataset=dataset,
        clips=blocks[[column.name for column in CLIPS.columns]],
        labels=cut[[column.name for column in LABELS.columns]],
        views={block: view or ALL_VIEWS for block, view in zip(blocks["clip_id"], filmed, strict=True)},
        blocks=cut[["whole", "frame", "clip_id"]],
        people=people,
        cut_from=clips["clip_id"].nunique(),
    )


def measure(
    video: RealVideo,
    predictions: pd.DataFrame,
    variant: str,
    seed: int,
    truth: Calibrated | None = None,
    frame_stride: int = 1,
) -> pd.DataFrame:
    """What one model's PREDICTIONS of a real dataset measure: rows of `VALUES`, one a block and metric."""
    joined = predictions.rename(columns={"clip_id": "whole"}).merge(video.blocks, on=["whole", "frame"])
    joined = joined.drop(columns="whole")
    scores = score_predictions(joined, video.labels, video.clips, HMMR, variant, seed, frame_stride=frame_stride)
    wanted = [name for name in SCORED if truth is None or name != "accel"]  # without a reference it is all there is
    scores = scores[scores["metric"].isin(wanted) & (scores["condition"] == "all")]
    ordered = video.clips.sort_values("clip_id", ignore_index=True)
    frames = join_frames(joined, video.labels, ordered)
    visible = frames.confidence >= 0.1
    apart_px = np.linalg.norm(frames.predicted_px - frames.target_px, axis=-1)
    found = [
        scores.rename(columns={"clip_id": "unit_id"})[["unit_id", "metric", "unit", "value", "frames"]],
        _by_block(ordered, frames.clip, "keypoint_distance", "crop px", _mean_of(apart_px, visible)),
    ]
    if truth is not None:
        at = video.labels.set_index(["clip_id", "frame"])["video_frame"]
        keys = pd.MultiIndex.from_arrays([ordered["clip_id"].to_numpy()[frames.clip], frames.number])
        moment = at.loc[keys].to_numpy()
        camera = np.array([truth.names.index(video.views[clip]) for clip in ordered["clip_id"]])[frames.clip]
        agreed = pa_mpjpe_of_known(frames.predicted_m, truth.joints_m[moment], truth.confirmed[moment]) * MM
        found.append(_by_block(ordered, frames.clip, "pa_mpjpe_confirmed", "mm", agreed))
        fallen = _reprojected_px(truth, frames.predicted_m, moment, camera)
        found.append(_by_block(ordered, frames.clip, "reprojection", "crop px", fallen))
    return _identified(pd.concat(found, ignore_index=True), video, variant, seed)


def _reprojected_px(
    truth: Calibrated, predicted_m: np.ndarray, moment: np.ndarray, camera: np.ndarray
) -> Float[np.ndarray, " frames"]:
    """How far a body estimated from one camera falls from the keypoints of the others, in pixels of their crops."""
    seen = seen_12(truth.views)
    result = np.full(len(moment), np.nan)
    for index, own in enumerate(truth.cameras):
        rows = np.flatnonzero(camera == index)
        others = [other for other in range(len(truth.cameras)) if other != index]
        directions = world_directions(own, predicted_m[rows])
        placed = place_bodies(truth.cameras, seen[:, moment[rows]], directions)
        chosen = [truth.cameras[other] for other in others]
        apart = distances_in_views_px(chosen, seen[others][:, moment[rows]], placed)
        apart = apart * truth.crop_scale[others][:, None, None]
        result[rows] = _mean_of(np.moveaxis(apart, 0, 1).reshape(len(rows), -1))
    return result


def world_directions(camera: Camera, joints_m: Float[np.ndarray, "frames 14 3"]) -> Float[np.ndarray, "frames 12 3"]:
    """The twelve joints that detectors see, as a camera's model predicts them, turned into the world's axes."""
    return joints_m[:, indices_of(PLACED_12, COMMON_14)].astype(np.float64) @ camera.rotation


def _mean_of(values: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Mean over the last axis of the finite and chosen values; NaN where there are none."""
    usable = np.isfinite(values) if chosen is None else np.isfinite(values) & chosen
    count = usable.sum(-1)
    total = np.where(usable, values, 0).sum(-1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _by_block(clips: pd.DataFrame, block: np.ndarray, metric: str, unit: str, values: np.ndarray) -> pd.DataFrame:
    """Means of frames by block, in the order of `clips`; blocks without a value are left out."""
    known = np.isfinite(values)
    count = np.bincount(block[known], minlength=len(clips))
    total = np.bincount(block[known], values[known], minlength=len(clips))
    table = pd.DataFrame({"unit_id": clips["clip_id"], "metric": metric, "unit": unit, "frames": count})
    return table.assign(value=total / np.maximum(count, 1))[count > 0]


def _identified(values: pd.DataFrame, video: RealVideo, variant: str, seed: int) -> pd.DataFrame:
    moment = video.clips.set_index("clip_id")["motion_id"]
    views = values["unit_id"].map(video.views)
    known = values.assign(
        dataset=video.dataset, variant=variant, seed=seed, view=views, moment=values["unit_id"].map(moment)
    )
    return known[list(VALUES)]


def reference_values(video: RealVideo, truth: Calibrated) -> pd.DataFrame:
    """How sure the reference is, and how well a pose that never moves fits it: rows of `VALUES`."""
    moved_mm = MM * np.linalg.norm(truth.without_m - truth.joints_m, axis=-1)
    turned = procrustes_align(truth.without_m, np.broadcast_to(truth.joints_m, truth.without_m.shape).copy())
    pose_mm = MM * np.linalg.norm(turned - truth.joints_m, axis=-1)
    seen = seen_12(truth.views)
    points_m = truth.joints_m[:, indices_of(PLACED_12, COMMON_14)]
    apart_px = distances_in_views_px(truth.cameras, seen, points_m) * truth.crop_scale[:, None, None]
    bent_mm = MM * np.abs(limb_lengths_m(truth.joints_m) - np.nanmean(limb_lengths_m(truth.joints_m), axis=0))
    statue = statue_of(truth.joints_m)
    statue_mm = MM * metrics.pa_mpjpe(np.broadcast_to(statue, truth.joints_m.shape).copy(), truth.joints_m)
    confirmed = truth.confirmed
    per_view = {
        ("left_out", "mm"): _mean_of(moved_mm.reshape(-1, 14)).reshape(moved_mm.shape[:2]),
        ("left_out_median", "mm"): np.nanmedian(moved_mm, axis=2),
        ("left_out_aligned", "mm"): _mean_of(pose_mm.reshape(-1, 14)).reshape(moved_mm.shape[:2]),
        ("left_out_confirmed", "mm"): _mean_of(
            moved_mm.reshape(-1, 14), np.tile(confirmed, (len(moved_mm), 1))
        ).reshape(moved_mm.shape[:2]),
        ("sides_exchanged", "%"): 100.0 * sides_exchanged(truth.cameras, seen, points_m),
        ("reprojection", "crop px"): _mean_of(apart_px.reshape(-1, apart_px.shape[-1])).reshape(moved_mm.shape[:2]),
    }
    whole = {
        (REFERENCE, "confirmed_joints", "%"): 100.0 * confirmed.mean(-1),
        (REFERENCE, "limb_length_variation", "mm"): _mean_of(bent_mm),
        (REFERENCE, "statue_pa_mpjpe", "mm"): statue_mm,
        (REFERENCE, "statue_pa_mpjpe_confirmed", "mm"): MM
        * pa_mpjpe_of_known(np.broadcast_to(statue, truth.joints_m.shape), truth.joints_m, confirmed),
    }
    parts = [
        _of_moments(video, REFERENCE, metric, unit, truth.names[camera], values[camera])
        for (metric, unit), values in per_view.items()
        for camera in range(len(truth.cameras))
    ]
    parts += [
        _of_moments(video, variant, metric, unit, ALL_VIEWS, values)
        for (variant, metric, unit), values in whole.items()
    ]
    parts.append(_acceleration_noise(video, truth))
    return pd.concat(parts, ignore_index=True)


def statue_of(joints_m: Float[np.ndarray, "frames 14 3"]) -> Float[np.ndarray, "14 3"]:
    """The one pose that is nearest to all of them: their mean once each is aligned with the middle one."""
    known = joints_m[np.isfinite(joints_m).all((1, 2))]
    middle = np.broadcast_to(known[len(known) // 2], known.shape).copy()
    return procrustes_align(known, middle).mean(0)


def _acceleration_noise(video: RealVideo, truth: Calibrated) -> pd.DataFrame:
    """How much the reference's own acceleration changes when a camera is left out."""
    whole = metrics.center_on_hips(truth.joints_m)
    errors = [MM * metrics.acceleration_error(metrics.center_on_hips(without), whole) for without in truth.without_m]
    padded = [np.concatenate([[np.nan], each, [np.nan]]) for each in errors]
    return pd.concat(
        [
            _of_moments(video, REFERENCE, "accel_error", "mm/frame^2", name, values)
            for name, values in zip(truth.names, padded, strict=True)
        ]
    )


def _of_moments(
    video: RealVideo, variant: str, metric: str, unit: str, view: str, values: Float[np.ndarray, " frames"]
) -> pd.DataFrame:
    """Rows of what is known by the video's frame: a block of each view is its own unit, seed -1 is no model's."""
    block = np.arange(len(values)) // BLOCK_FRAMES
    known = np.isfinite(values)
    table = (
        pd.DataFrame({"block": block[known], "value": values[known]}).groupby("block")["value"].agg(["mean", "size"])
    )
    names = table.index.astype(str)
    rows = pd.DataFrame({"unit_id": view + "@" + names, "moment": "person@" + names})
    rows = rows.assign(value=table["mean"].to_numpy(), frames=table["size"].to_numpy(), metric=metric, unit=unit)
    return rows.assign(dataset=video.dataset, variant=variant, seed=-1, view=view)[list(VALUES)]


def miniature_values(scores: pd.DataFrame, metrics_wanted: Sequence[str] = ("pa_mpjpe", "accel_error")) -> pd.DataFrame:
    """SCORES of the miniature world's clips as rows of `VALUES`, every clip of equal weight, as in HMMR."""
    chosen = scores[
        scores["metric"].isin(metrics_wanted)
        & (scores["condition"] == "all")
        & (scores["horizon"] == 0)
        & ~scores["dtw"]
    ]
    named = "hmmr" if (chosen["protocol"] == "hmmr").any() else min(chosen["protocol"], default="")
    chosen = chosen[chosen["protocol"] == named].rename(columns={"clip_id": "unit_id", "group": "moment"})
    return chosen.assign(view=ALL_VIEWS, frames=1)[list(VALUES)].reset_index(drop=True)


@dataclass(frozen=True)
class Known:
    """What a line says of its dataset besides numbers: how many clips and people, and what to keep in mind."""

    clips: int
    people: int
    note: str


def summary(
    values: pd.DataFrame,
    titles: Mapping[str, str],
    known: Mapping[str, Known],
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
) -> pd.DataFrame:
    """Means and intervals of `VALUES` in `COLUMNS`: of each view and of all, and differences from the baseline."""
    uncertain = reference_uncertainty_mm(values)
    rows = []
    for (dataset, variant, metric, unit), part in values.groupby(["dataset", "variant", "metric", "unit"], sort=True):
        names = sorted(part["view"].unique())
        every = metric in BY_VIEW or variant == REFERENCE
        for view in [ALL_VIEWS, *(names if every and len(names) > 1 else [])]:
            chosen = part if view == ALL_VIEWS else part[part["view"] == view]
            found = interval(*_arrays(chosen), samples, percent, seed, _moments(chosen))
            rows.append((dataset, variant, view, metric, unit, *found, _seeds(chosen)))
        if metric in COMPARED and variant not in (BASELINE, REFERENCE):
            base = values[
                (values["dataset"] == dataset) & (values["variant"] == BASELINE) & (values["metric"] == metric)
            ]
            if len(base):
                found = _difference(part, base, samples, percent, seed)
                rows.append((dataset, variant, ALL_VIEWS, metric + DIFFERENCE, unit, *found, _seeds(part)))
    names = ["dataset", "variant", "view", "metric", "unit", "value", "low", "high", "seeds"]
    table = pd.DataFrame(rows, columns=names)
    table["title"] = [titles.get(name, name) for name in table["variant"]]
    facts = [known[name] for name in table["dataset"]]
    table["clips"], table["people"] = [fact.clips for fact in facts], [fact.people for fact in facts]
    table["note"] = [fact.note for fact in facts]
    measured = [
        (dataset, metric.removesuffix(DIFFERENCE))
        for dataset, metric in zip(table["dataset"], table["metric"], strict=True)
    ]
    table["uncertainty_mm"] = [round(uncertain[key], 1) if key in uncertain else np.nan for key in measured]
    return _in_order(table[list(COLUMNS)], list(known))


def _in_order(table: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Datasets as they are known, the metrics that matter most first, all views before each."""
    metric = {name: place for place, name in enumerate(METRICS)}
    keys = pd.DataFrame(
        {
            "dataset": [datasets.index(name) for name in table["dataset"]],
            "metric": [metric.get(name, len(metric)) for name in table["metric"]],
            "name": table["metric"],
            "variant": table["variant"],
            "part": table["view"] != ALL_VIEWS,
            "view": table["view"],
        }
    )
    return table.loc[keys.sort_values(list(keys.columns)).index].reset_index(drop=True)


def reference_uncertainty_mm(values: pd.DataFrame) -> dict[tuple[str, str], float]:
    """By dataset and metric, how much the joints that errors are measured from move when one camera is left out."""
    own = values[values["variant"] == REFERENCE]
    sources = {"pa_mpjpe": "left_out_aligned", "pa_mpjpe_confirmed": "left_out_confirmed"}
    return {
        (str(dataset), metric): float(np.average(part["value"], weights=part["frames"]))
        for metric, source in sources.items()
        for dataset, part in own[own["metric"] == source].groupby("dataset")
    }


def _arrays(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, units) of values and (units,) of weights."""
    table = part.pivot(index="seed", columns="unit_id", values="value")
    return table.to_numpy(), part.groupby("unit_id")["frames"].max().loc[table.columns].to_numpy(np.float64)


def _moments(part: pd.DataFrame) -> np.ndarray:
    units = part.drop_duplicates("unit_id").set_index("unit_id").sort_index()
    return units["moment"].to_numpy()


def _seeds(part: pd.DataFrame) -> int:
    return int((part["seed"].drop_duplicates() >= 0).sum())


def _difference(part: pd.DataFrame, base: pd.DataFrame, samples: int, percent: float, seed: int) -> Interval:
    both = part.merge(base[["seed", "unit_id", "value"]], on=["seed", "unit_id"], suffixes=("", "_base"))
    weights = both.groupby("unit_id")["frames"].max().sort_index().to_numpy(np.float64)
    ours, base_values = (
        both.pivot(index="seed", columns="unit_id", values=name).to_numpy() for name in ("value", "value_base")
    )
    return paired_difference(ours, base_values, weights, samples, percent, seed, _moments(both))


def rank_correlation(
    first: pd.DataFrame, second: pd.DataFrame, samples: int = 1000, percent: float = 95, seed: int = 0
) -> tuple[Interval, int]:
    """Spearman's correlation of two rankings of the same models, with its interval, and how many models.

    Both are `VALUES` of one metric. Moments are drawn in each by itself; training seeds in both at once, because it is
    the same model that both look at. The side of fewer moments says how far the interval is expanded, at most to 1.
    """
    shared = sorted(set(first["variant"]) & set(second["variant"]))
    sides = [_Side.of(table, shared) for table in (first, second)]
    if len(shared) < 3:
        return Interval(np.nan, np.nan, np.nan), len(shared)
    random = np.random.default_rng(seed)
    seeds = len(sides[0].values[0])
    drawn = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=samples)
    means = [side.means(np.ones((1, seeds)), np.ones((1, side.moments))) for side in sides]
    resampled = [
        side.means(drawn, random.multinomial(side.moments, np.full(side.moments, 1 / side.moments), size=samples))
        for side in sides
    ]
    found = _spearman(*resampled)
    known = float(_spearman(*means)[0])
    ends = expanded_ends(known, found, min(side.moments for side in sides), percent, drawn)
    low, high = np.clip(ends, -1, 1)
    return Interval(known, float(low), float(high)), len(shared)


@dataclass(frozen=True)
class _Side:
    """Values (models, seeds, units) of one ranking, the units' weights and which of the moments each shows."""

    values: np.ndarray
    weights: np.ndarray
    moment: np.ndarray

    @property
    def moments(self) -> int:
        return int(self.moment.max()) + 1

    @classmethod
    def of(cls, table: pd.DataFrame, models: Sequence[str]) -> "_Side":
        wide = table[table["variant"].isin(models)].pivot(index=["variant", "seed"], columns="unit_id", values="value")
        units = table.groupby("unit_id").agg(frames=("frames", "max"), moment=("moment", "first")).loc[wide.columns]
        values = wide.to_numpy().reshape(len(models), -1, wide.shape[1]) if len(models) else np.zeros((0, 0, 0))
        return cls(values, units["frames"].to_numpy(np.float64), pd.factorize(units["moment"])[0])

    def means(self, seed_counts: np.ndarray, moment_counts: np.ndarray) -> np.ndarray:
        """(samples, models) of resampled seeds and moments."""
        weights = moment_counts[:, self.moment] * self.weights
        known = np.isfinite(self.values)
        total = np.einsum("bs,msu,bu->bm", seed_counts, np.where(known, self.values, 0), weights, optimize=True)
        share = np.einsum("bs,msu,bu->bm", seed_counts, known.astype(np.float64), weights, optimize=True)
        return np.divide(total, share, out=np.full(total.shape, np.nan), where=share > 0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row of (samples, models) twice; NaN where one side ranks nothing."""
    ranks = [stats.rankdata(side, axis=1) for side in (first, second)]
    centred = [side - side.mean(1, keepdims=True) for side in ranks]
    size = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    return np.divide((centred[0] * centred[1]).sum(1), size, out=np.full(len(size), np.nan), where=size > 0)


# What the miniature world's ranking is held against: its metric, and the real one.
TRANSFERS = (
    ("pa_mpjpe", "pa_mpjpe"),
    ("pa_mpjpe", "pa_mpjpe_confirmed"),
    ("pa_mpjpe", "reprojection"),
    ("accel_error", "accel_error"),
)


def transfers(
    miniature: pd.DataFrame,
    real: pd.DataFrame,
    known: Mapping[str, Known],
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether real videos rank the models as each dataset of the miniature world does, in `COLUMNS`."""
    models = real[real["variant"] != REFERENCE]
    rows = []
    for world, (ours, theirs) in [(name, pair) for name in sorted(set(miniature["dataset"])) for pair in TRANSFERS]:
        first = miniature[(miniature["dataset"] == world) & (miniature["metric"] == ours)]
        for dataset, second in models[models["metric"] == theirs].groupby("dataset"):
            found, count = rank_correlation(first, second, samples, percent, seed)
            if count >= 3:
                rows.append(
                    {
                        "dataset": dataset, "variant": ALL_VIEWS, "title": f"{count} models", "view": ALL_VIEWS,
                        "metric": f"{RANKS}{world}:{ours}:{theirs}", "unit": "Spearman", "value": found.mean,
                        "low": found.low, "high": found.high, "uncertainty_mm": np.nan,
                        "clips": known[str(dataset)].clips, "people": known[str(dataset)].people,
                        "seeds": _seeds(second),
                        "note": f"ranking of {count} models by {ours} on {world} against {theirs} on {dataset}",
                    }
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def paragraphs(table: pd.DataFrame) -> list[str]:
    """What the real check says, in plain sentences made of its numbers."""
    found = []
    own = table[(table["variant"] == REFERENCE) & (table["view"] == ALL_VIEWS)]
    for dataset in own["dataset"].unique():
        said = {row.metric: row for row in own[own["dataset"] == dataset].itertuples()}
        models = table[(table["dataset"] == dataset) & (table["view"] == ALL_VIEWS) & (table["variant"] != REFERENCE)]
        found += [_of_reference(dataset, said), _of_errors(dataset, models, float(said["statue_pa_mpjpe"].value))]
    gains = [_of_gains(table, metric) for metric in ("pa_mpjpe", "accel_error")]
    ranks = [_of_rank(row) for row in table.itertuples() if str(row.metric).startswith(RANKS)]
    return [text for text in (*found, *gains, *ranks) if text]


def _of_reference(dataset: str, said: Mapping[str, Any]) -> str:
    low, high = STATED_UNCERTAINTY_MM
    return (
        f"{dataset}: {said['left_out'].note}. Its 3D reference is triangulated from detections, which is said to be "
        f"sure to {low:g}-{high:g} mm. Leaving out one camera moves a joint by {said['left_out'].value:.0f} mm in "
        f"the mean and {said['left_out_median'].value:.0f} mm in the median: some joints hang on one camera, and in "
        f"{said['sides_exchanged'].value:.0f} % of the pictures the detector takes left for right. "
        f"{said['confirmed_joints'].value:.0f} % of the joints are confirmed by every camera, and these move by "
        f"{said['left_out_confirmed'].value:.0f} mm."
    )


def _of_errors(dataset: str, models: pd.DataFrame, statue_mm: float) -> str:
    errors = models[models["metric"] == "pa_mpjpe"].sort_values("value")
    if errors.empty:
        return ""
    best, closer = errors.iloc[0], int((errors["high"] < statue_mm).sum())
    return (
        f"On {dataset}, PA-MPJPE of {len(errors)} models lies between {best['value']:.0f} mm ({best['title']}) and "
        f"{errors['value'].iloc[-1]:.0f} mm. A statue in the clip's mean pose, which sees the reference, has "
        f"{statue_mm:.0f} mm; {closer} of the models are closer than it with intervals clear of that."
    )


def _of_gains(table: pd.DataFrame, metric: str) -> str:
    """Of what is gained on the baseline in the miniature world, how much is gained on real video."""
    rows = table[(table["metric"] == metric + DIFFERENCE) & (table["view"] == ALL_VIEWS)]
    real = {str(row.dataset) for row in table.itertuples() if row.variant == REFERENCE}
    ours, theirs = rows[~rows["dataset"].isin(real)], rows[rows["dataset"].isin(real)]
    if ours.empty or theirs.empty:
        return ""
    world = ours["dataset"].iloc[0]
    gained = set(ours.loc[(ours["dataset"] == world) & (ours["high"] < 0), "variant"])
    kept = theirs[theirs["variant"].isin(gained)]
    better, worse = int((kept["high"] < 0).sum()), int((kept["low"] > 0).sum())
    return (
        f"{metric}: {len(gained)} models are better than {BASELINE} on {world}, with intervals clear of zero. On "
        f"{theirs['dataset'].iloc[0]}, {better} of these are better too, {worse} worse, {len(kept) - better - worse} "
        f"undecided."
    )


def _of_rank(row: Any) -> str:
    verdict = "carries over" if row.low > 0 else "is reversed" if row.high < 0 else "may or may not carry over"
    return f"The {row.note}: Spearman {row.value:.2f} [{row.low:.2f}, {row.high:.2f}], so the order {verdict}."
