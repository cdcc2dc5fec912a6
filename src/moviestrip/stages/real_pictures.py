"""What models look like on videos of real people: pictures and clips, with captions that say how they were chosen.

Moments are evenly spaced and the temporal model is the one that the miniature world ranks first: nothing is chosen by
how it looks here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import VariantSettings
from moviestrip.stages.job import Job, labels_of
from moviestrip.storage import atomic_directory, write_json
from moviestrip.tables import read_table, stack

if TYPE_CHECKING:
    from moviestrip.body.load import Body
    from moviestrip.evaluation.real_videos import Calibrated, RealVideo
    from moviestrip.figures.real_check import Shot

MOMENTS = 3
MOMENTS_OVER_TIME = 6
CAPTIONS = "captions.json"
NOT_RANKED_BY = "the frames are evenly spaced, not chosen by how they look"


@dataclass(frozen=True)
class Shown:
    """A dataset's labels and clips, and what the models that are shown predict on it."""

    name: str
    labels: pd.DataFrame
    clips: pd.DataFrame
    predictions: Mapping[str, pd.DataFrame]

    def rows(self, clip_id: str, variant: str, frames: Sequence[int]) -> pd.DataFrame:
        labels = self.labels[(self.labels["clip_id"] == clip_id) & self.labels["frame"].isin(frames)]
        said = self.predictions[variant]
        joined = labels.merge(said, on=["clip_id", "frame"], suffixes=("", "_predicted"), validate="one_to_one")
        return joined.sort_values("frame", ignore_index=True)


def draw_real_check(
    job: Job,
    filmed: "Mapping[str, tuple[RealVideo, Calibrated | None]]",
    table: pd.DataFrame,
    variants: Mapping[str, VariantSettings],
) -> None:
    """Write `figures/real`: moments, clips and captions of the static and of one temporal model."""
    names, body, seed = shown_variants(table, variants), job.body(), job.settings.value("training_seeds")[0]
    with atomic_directory(job.run.real_pictures) as folder:
        captions: dict[str, str] = {}
        for dataset, (video, truth) in filmed.items():
            shown = _shown(job, dataset, video, names, seed)
            titles = {name: variants[name].title for name in names}
            if truth is not None:
                captions |= _moments(job, folder, shown, truth, body, titles)
            else:
                captions |= _over_time(job, folder, shown, body, titles)
            captions |= _clip(job, folder, shown, body, titles)
        write_json(folder / CAPTIONS, captions)


def shown_variants(table: pd.DataFrame, variants: Mapping[str, VariantSettings]) -> list[str]:
    """The static model, and of the temporal ones the one that is best in the miniature world."""
    from moviestrip.evaluation.real_check import BASELINE

    worlds = table[(table["metric"] == "pa_mpjpe") & table["uncertainty_mm"].isna()]
    temporal = [name for name, variant in variants.items() if variant.is_trained and variant.encoder != "none"]
    ranked = worlds[worlds["variant"].isin(temporal)].groupby("variant")["value"].mean().sort_values()
    static = [BASELINE] if BASELINE in variants else list(variants)[:1]
    return [*static, *(ranked.index[:1] if len(ranked) else temporal[:1])]


def _shown(job: Job, dataset: str, video: "RealVideo", names: Sequence[str], seed: int) -> Shown:
    labels = labels_of(job, dataset)
    labels = labels[labels["clip_id"].isin(video.blocks["whole"])]
    clips = tables.read_tables([job.run.clips(dataset, shard) for shard in job.run.shards(dataset)], tables.CLIPS)
    said = {name: read_table(job.run.predictions(name, seed, dataset), tables.PREDICTIONS) for name in names}
    chosen = clips[clips["clip_id"].isin(labels["clip_id"])].sort_values("clip_id", ignore_index=True)
    return Shown(dataset, labels, chosen, said)


def _moments(
    job: Job, folder: Path, shown: Shown, truth: "Calibrated", body: "Body", titles: Mapping[str, str]
) -> dict[str, str]:
    """Every camera at a few moments; and at the first of them one camera's bodies in all views."""
    from moviestrip.figures.contact_sheet import write_picture
    from moviestrip.figures.real_check import CELL_PX, detected_row, mesh_row
    from moviestrip.figures.strips import Strip, strip_picture

    by_view = _clips_by_view(job, shown, truth)
    total = min(int(clip["n_frames"]) for clip in by_view.values())
    moments, middle = _evenly(MOMENTS, total), total // 2
    shots_at, captions = _shots(job, shown, by_view, {*moments, middle}), {}
    for number, moment in enumerate(moments):
        shots, keypoints = shots_at[moment]
        rows = [detected_row(shots, keypoints)]
        for variant in shown.predictions:
            meshes = [_meshes(shown.rows(clip["clip_id"], variant, [moment]), body)[0] for clip in by_view.values()]
            rows.append(mesh_row(_lines(titles[variant]), shots, meshes, body.faces))
        strip = Strip(f"{shown.name}, frame {moment}", tuple(by_view), tuple(rows), columns_are="camera")
        name = f"{shown.name}-moment-{number + 1}.png"
        write_picture(folder / name, strip_picture(strip, (CELL_PX, CELL_PX)))
        captions[name] = (
            f"{shown.name}, frame {moment} of {total}, from its {len(by_view)} cameras: the detector's keypoints, and "
            f"the body that {' and '.join(titles.values())} predict from each camera by itself, laid where they "
            f"predict it; {NOT_RANKED_BY}. Neither was trained on this video."
        )
    turned = folder / f"{shown.name}-turned.png"
    captions[turned.name] = _draw_turned(turned, shown, truth, by_view, titles, middle, shots_at[middle][0])
    return captions


def _draw_turned(
    path: Path,
    shown: Shown,
    truth: "Calibrated",
    by_view: Mapping[str, dict],
    titles: Mapping[str, str],
    moment: int,
    shots: "Sequence[Shot]",
) -> str:
    """One camera's bodies in all views: what is wrong in depth shows in the others."""
    from moviestrip.evaluation.real_videos import world_directions
    from moviestrip.evaluation.reference import PLACED_12, place_bodies, seen_12
    from moviestrip.figures.contact_sheet import write_picture
    from moviestrip.figures.real_check import AGREED, CELL_PX, skeleton_row
    from moviestrip.figures.strips import PREDICTED, Strip, strip_picture
    from moviestrip.skeleton import COMMON_14, indices_of

    source, seen = 0, seen_12(truth.views)[:, moment : moment + 1]
    own = truth.cameras[source]
    agreed_m = truth.joints_m[moment][indices_of(PLACED_12, COMMON_14)]
    rows = [
        skeleton_row(
            ("all cameras", "together"),
            AGREED,
            shots,
            [camera.project(agreed_m) for camera in truth.cameras],
            PLACED_12,
        )
    ]
    clip_id = by_view[own.name]["clip_id"]
    for variant in shown.predictions:
        joints_m = stack(shown.rows(clip_id, variant, [moment])["joints_3d_m_predicted"], 14, 3)
        placed = place_bodies(truth.cameras, seen, world_directions(own, joints_m))[0]
        points = [camera.project(placed) for camera in truth.cameras]
        rows.append(skeleton_row(_lines(titles[variant]), PREDICTED, shots, points, PLACED_12, source))
    strip = Strip(
        f"{shown.name}, frame {moment}: estimated from {own.name}", tuple(by_view), tuple(rows), columns_are="camera"
    )
    write_picture(path, strip_picture(strip, (CELL_PX, CELL_PX)))
    return (
        f"{shown.name}, frame {moment}: the pose that {' and '.join(titles.values())} estimate from {own.name} alone "
        f"(framed), put at the size and place that fit all cameras best and neither turned nor bent. What one camera "
        f"gets wrong in depth shows in the others. First row: the reference, triangulated from all cameras."
    )


def _over_time(job: Job, folder: Path, shown: Shown, body: "Body", titles: Mapping[str, str]) -> dict[str, str]:
    """A few moments of the longest clip."""
    from moviestrip.figures.contact_sheet import frames_at, frames_of_dataset, write_picture
    from moviestrip.figures.real_check import CELL_PX, Shot, detected_row, mesh_row
    from moviestrip.figures.strips import Strip, strip_picture

    clip = _longest(shown)
    moments = _evenly(MOMENTS_OVER_TIME, int(clip["n_frames"]))
    rows_of = {variant: shown.rows(clip["clip_id"], variant, moments) for variant in shown.predictions}
    labels = next(iter(rows_of.values()))
    frames = frames_at(frames_of_dataset(job.run, shown.name)(clip["video_id"]), labels["video_frame"].to_list())
    boxes = zip(frames, stack(labels["box_center_px"]), labels["box_scale"], strict=True)
    shots = [Shot(frame, center, float(scale)) for frame, center, scale in boxes]
    rows = [detected_row(shots, list(stack(labels["keypoints_2d"], 25, 3)))]
    rows += [
        mesh_row(_lines(titles[variant]), shots, _meshes(found, body), body.faces) for variant, found in rows_of.items()
    ]
    strip = Strip(
        f"{shown.name}, the longest of {shown.clips['clip_id'].nunique()} clips", _numbers(moments), tuple(rows)
    )
    name = f"{shown.name}-over-time.png"
    write_picture(folder / name, strip_picture(strip, (CELL_PX, CELL_PX)))
    return {
        name: f"{shown.name}: frames {', '.join(map(str, moments))} of its longest clip with the detector's keypoints "
        f"and the bodies that {' and '.join(titles.values())} predict; {NOT_RANKED_BY}. There is no 3D reference."
    }


def _clip(job: Job, folder: Path, shown: Shown, body: "Body", titles: Mapping[str, str]) -> dict[str, str]:
    """The longest clip as a short video, by the last of the models."""
    from moviestrip.figures.contact_sheet import frames_of_dataset
    from moviestrip.figures.overlay_clips import QUALITY, overlays_of_clip
    from moviestrip.figures.video import write_video

    clip, captions = _longest(shown), {}
    labels = shown.labels[shown.labels["clip_id"] == clip["clip_id"]]
    predicted = [rows[rows["clip_id"] == clip["clip_id"]] for rows in shown.predictions.values()]
    frames = frames_of_dataset(job.run, shown.name)(clip["video_id"])
    overlays = overlays_of_clip(labels, predicted, frames, body)
    for variant, pictures in zip(shown.predictions, overlays, strict=True):
        name = f"{shown.name}-{variant}.mp4"
        count = write_video(folder / name, pictures, float(clip["fps"]), quality=QUALITY)
        captions[name] = (
            f"{shown.name}, {titles[variant]}: the first {count} frames of its longest clip. From the left: the crop, "
            f"the detector's keypoints, the predicted body, and the body from the side, where errors of depth show."
        )
    return captions


def _clips_by_view(job: Job, shown: Shown, truth: "Calibrated") -> dict[str, dict]:
    """The clip of each camera, in the order of the cameras."""
    from moviestrip.datasets.registry import dataset_named

    cameras = dataset_named(shown.name, job.settings.datasets()[shown.name]).cameras()  # type: ignore[attr-defined]
    found = {cameras[clip["video_id"]].name: clip for clip in shown.clips.to_dict("records")}
    return {name: found[name] for name in truth.names if name in found}


def _shots(
    job: Job, shown: Shown, by_view: Mapping[str, dict], moments: Collection[int]
) -> "dict[int, tuple[list[Shot], list[np.ndarray]]]":
    """At each moment what every camera saw, and the detector's keypoints there; each video is read once."""
    from moviestrip.figures.contact_sheet import frames_at, frames_of_dataset
    from moviestrip.figures.real_check import Shot

    frames_of = frames_of_dataset(job.run, shown.name)
    found: dict[int, tuple[list[Shot], list[np.ndarray]]] = {moment: ([], []) for moment in sorted(moments)}
    for clip in by_view.values():
        own = shown.labels[(shown.labels["clip_id"] == clip["clip_id"]) & shown.labels["frame"].isin(moments)]
        own = own.sort_values("frame")
        frames = frames_at(frames_of(clip["video_id"]), own["video_frame"].to_list())
        for (shots, keypoints), frame, label in zip(found.values(), frames, own.to_dict("records"), strict=True):
            shots.append(Shot(frame, np.asarray(label["box_center_px"]), float(label["box_scale"])))
            keypoints.append(np.asarray(label["keypoints_2d"]).reshape(25, 3))
    return found


def _meshes(rows: pd.DataFrame, body: "Body") -> list[np.ndarray]:
    from moviestrip.figures.overlay import camera_translation

    pose, betas = stack(rows["pose_predicted"]), stack(rows["betas_predicted"])
    vertices, _ = body.forward(pose, betas, camera_translation(stack(rows["camera"])).astype(np.float32))
    return list(vertices)


def _longest(shown: Shown) -> dict:
    return shown.clips.sort_values(["n_frames", "clip_id"], ascending=[False, True]).to_dict("records")[0]


def _evenly(count: int, total: int) -> list[int]:
    """Frames in the middle of `count` equal parts."""
    return sorted({int((2 * part + 1) * total / (2 * count)) for part in range(count)})


def _numbers(moments: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(moment) for moment in moments)


def _lines(title: str) -> list[str]:
    """A title in lines short enough for a row's name."""
    import textwrap

    return textwrap.wrap(title, 14)[:4]
