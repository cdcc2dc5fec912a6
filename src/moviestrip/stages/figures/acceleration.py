"""Errors of acceleration along the test clip in which the person moves most."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip import tables
from moviestrip.evaluation.metrics import acceleration_error, center_on_hips
from moviestrip.evaluation.score import MM
from moviestrip.evaluation.statistics import Interval, interval
from moviestrip.features.extraction import crop_person
from moviestrip.figures.contact_sheet import frames_at, frames_of_dataset
from moviestrip.figures.draw import SERIES
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.time_series import Moment, Series, acceleration_plot
from moviestrip.papers.figures import PaperFigure
from moviestrip.papers.worlds import Setting, can_be_made
from moviestrip.stages.figures.moving import MovingClip, evenly, moving_clips, row_of_frames
from moviestrip.stages.figures.notes import certainty, where
from moviestrip.stages.job import Job
from moviestrip.tables import read_table, stack

PICTURES = 9
PICTURE_PX = 112
SHOWN_SHARE = 0.8  # of the crop: the person is 150 of its 224 pixels tall


def draw_acceleration(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    (dataset,), rows, seed = figure.datasets_in(setting), figure.rows_in(setting), setting.seeds[0]
    clips = moving_clips(job, dataset)
    shown = clips[-1]
    errors = {row: _errors(job, row, seed, dataset, clips) for row in rows}
    means = {row: _mean(found, clips, setting) for row, found in errors.items()}
    lines = [Series(row, SERIES[figure.rows.index(row)], _padded(errors[row][shown.clip_id])) for row in rows]
    svg = acceleration_plot(lines, shown.frames, _moments(job, dataset, shown), shown.spans, _title(shown, dataset))
    listed = ", ".join(f"{row} {mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}]" for row, mean in means.items())
    frames = sum(len(clip.frames) - 2 for clip in clips)
    absent = [row for row in figure.rows if not can_be_made(row, setting.variants)]
    texts = [
        where(setting, dataset),
        f"the test clip whose true joints move fastest, hips held in place: {shown.title}, clip "
        f"{shown.clip_id}, {len(shown.frames)} frames at {shown.fps:g} a second, training seed {seed}",
        "grey: transient occlusion or blur" if shown.spans else "",
        f"means over all {len(clips)} test clips known in 3D, {frames} triplets of frames, in mm/frame²: {listed} "
        f"({certainty(setting, 'clips')})",
        f"not trained in this run: {', '.join(absent)}" if absent else "",
    ]
    return Drawn(svg, "; ".join(text for text in texts if text) + ".", _data(lines, shown, seed, means))


def _title(clip: MovingClip, dataset: str) -> str:
    return f"{dataset}: {clip.title}"


def _errors(
    job: Job, row: str, seed: int, dataset: str, clips: list[MovingClip]
) -> dict[str, Float[np.ndarray, " triplets"]]:
    """Errors of acceleration by clip, in mm/frame^2."""
    path = job.run.predictions(row, seed, dataset)
    predictions = read_table(path, tables.PREDICTIONS, ["clip_id", "frame", "joints_3d_m"])
    found = {}
    for clip in clips:
        predicted_m = stack(row_of_frames(predictions, clip, str(path))["joints_3d_m"], 14, 3)
        found[clip.clip_id] = acceleration_error(center_on_hips(predicted_m), center_on_hips(clip.joints_m)) * MM
    return found


def _mean(errors: Mapping[str, np.ndarray], clips: list[MovingClip], setting: Setting) -> Interval:
    """Over the frames of all clips, as TCMR has it."""
    found = [errors[clip.clip_id] for clip in clips]
    return interval(
        np.array([[values.mean() for values in found]]),
        weights=np.array([len(values) for values in found], np.float64),
        groups=np.array([clip.group for clip in clips]),
        samples=setting.bootstrap_samples,
        percent=setting.interval_percent,
        seed=setting.seed,
    ).of_scores("mm/frame^2")


def _padded(errors: Float[np.ndarray, " triplets"]) -> Float[np.ndarray, " frames"]:
    """One value a frame, that of the triplet around it."""
    return np.concatenate([[np.nan], errors, [np.nan]])


def _moments(job: Job, dataset: str, clip: MovingClip) -> list[Moment]:
    labels = clip.labels.iloc[list(evenly(PICTURES, len(clip.labels)))]
    pictures = frames_at(frames_of_dataset(job.run, dataset)(clip.video_id), labels["video_frame"].to_list())
    boxes = zip(labels["frame"], stack(labels["box_center_px"], 2), labels["box_scale"], strict=True)
    return [
        Moment(int(frame), crop_person(picture, center_px, float(scale), PICTURE_PX, SHOWN_SHARE))
        for picture, (frame, center_px, scale) in zip(pictures, boxes, strict=True)
    ]


def _data(lines: list[Series], clip: MovingClip, seed: int, means: Mapping[str, Interval]) -> pd.DataFrame:
    """One row a frame and line; and one a line, without a frame, for the mean over all test clips."""
    unit = "mm/frame^2"
    frames = [
        pd.DataFrame(
            {
                "variant": line.name, "seed": seed, "clip_id": clip.clip_id, "frame": clip.frames,
                "burst": clip.labels["burst"], "value": line.values, "unit": unit,
            }
        ).dropna(subset="value")
        for line in lines
    ]  # fmt: skip
    whole = [
        {"variant": row, "seed": seed, "clip_id": "all", "value": mean.mean, "unit": unit, "low": mean.low,
         "high": mean.high}
        for row, mean in means.items()
    ]  # fmt: skip
    table = pd.concat([*frames, pd.DataFrame(whole)], ignore_index=True)
    return table.assign(frame=table["frame"].astype("Int64"))
