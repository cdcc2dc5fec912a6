"""What one model, and the reference, measure on a video of real people: values a block of frames.

Frames of one moment are not independent, whichever camera filmed them: every value names its moment, by which
intervals are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from moviestrip.datasets.pose2sim import Camera, Views, reference_joints
from moviestrip.evaluation import metrics
from moviestrip.evaluation.protocols import HMMR
from moviestrip.evaluation.reference import (
    PLACED_12,
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
from moviestrip.geometry import procrustes_align
from moviestrip.skeleton import COMMON_14, indices_of
from moviestrip.tables import CLIPS, LABELS

BLOCK_FRAMES = 10  # a third of a second at 30 frames a second: poses further apart count as different moments
ALL_VIEWS = "all"
REFERENCE = "reference"
SCORED = ("pa_mpjpe", "accel", "accel_error", "pck")
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
