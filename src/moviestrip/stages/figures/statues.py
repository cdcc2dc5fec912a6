"""PHD's Figures 5 and 7: what a person does at the frame after which their future becomes most predictable."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from moviestrip.errors import ConfigError
from moviestrip.evaluation.statues import FUTURE_FRAMES, LEAST_WINDOWS, Predictability, predictability
from moviestrip.figures.contact_sheet import frames_at, frames_of_dataset
from moviestrip.figures.draw import Picture, draw_skeleton
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.overlay import crop_frame, keypoints_in_panel
from moviestrip.figures.statues import StatuePanel, statue_figure
from moviestrip.papers.figures import PaperFigure
from moviestrip.papers.forecasts import forecast_protocols
from moviestrip.papers.worlds import Setting
from moviestrip.stages.job import Job, feature_files, keypoints_of, labels_of, selected_clips
from moviestrip.tables import stack
from moviestrip.training.data import read_clips
from moviestrip.training.predict import CONDITION_FRAMES, forecast_clips

# Fast motions that happen once, in Penn Action's names: the paper shows six such actions and names none.
FAST_ACYCLIC = (
    "baseball_pitch", "baseball_swing", "bowl", "clean_and_jerk", "golf_swing", "tennis_forehand", "tennis_serve",
)  # fmt: skip
CLIPS, PICTURE_PX = 6, 240
ZOOM = 1.2  # of the network's crop, which leaves much room around the person
LEAST_FRAMES = CONDITION_FRAMES + FUTURE_FRAMES + LEAST_WINDOWS - 1


def draw_statues(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    """The clips are forecast anew, 15 frames after every frame: the run's FORECASTS are of 30, after fewer frames."""
    row, dataset, seed = figure.rows_in(setting)[0], figure.datasets_in(setting)[0], setting.seeds[0]
    test = selected_clips(job, [dataset], ["test"])
    clips = choose_clips(test)
    if clips.empty:
        raise ConfigError(
            f"phd-statues: none of the {len(test)} test clips of {dataset} has {LEAST_FRAMES} frames; lengthen "
            f"rendering.clip_frames or drop the figure"
        )
    labels = labels_of(job, dataset)
    forecasts = _forecasts(job, setting, row, seed, dataset, list(clips["clip_id"]))
    protocol = forecast_protocols(row, dataset, setting.world, setting.protocol)[0]
    found = [(clip, predictability(forecasts, labels, clip, protocol)) for clip in _one_by_one(clips)]
    shown = [(clip, curve) for clip, curve in found if curve.window is not None]
    open_video = frames_of_dataset(job.run, dataset)
    panels = []
    for clip, curve in shown:
        rows = labels[labels["clip_id"] == clip["clip_id"].item()].set_index("frame")
        label = rows.loc[curve.statue_frame]
        (frame,) = frames_at(open_video(clip["video_id"].item()), [int(label["video_frame"])])
        panels.append(_panel(clip, curve, statue_picture(frame, label)))
    note = (
        f"{row} (training seed {seed}) on {len(panels)} of {len(test)} test clips of {dataset}, {setting.world} world, "
        f"protocol {protocol.name}. Rule: the first clip by id of each action, at least {LEAST_FRAMES} frames long; "
        f"fast actions that happen once come first, then the others by name; at most {CLIPS}. "
        f"{len(found) - len(shown)} of those chosen were left out because their accuracy never rises or too few "
        f"frames count. The line is the accuracy under a Gaussian of 2 frames; the moment is where it is steepest. "
        f"Single clips: no intervals."
    )
    return Drawn(statue_figure(panels), note, pd.concat([_numbers(*pair, seed) for pair in found], ignore_index=True))


def choose_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """The first long enough clip by id of each action; fast actions that happen once come first, then by name."""
    long_enough = clips[clips["n_frames"] >= LEAST_FRAMES].sort_values("clip_id")
    first = long_enough.drop_duplicates("action")
    first = first.assign(later=~first["action"].isin(FAST_ACYCLIC)).sort_values(["later", "action"])
    return first.drop(columns="later").head(CLIPS).reset_index(drop=True)


def statue_picture(frame: Picture, label: pd.Series) -> Picture:
    """The person's crop with their labelled 2D skeleton; `label` is a row of LABELS."""
    centre, scale = np.asarray(label["box_center_px"]), float(label["box_scale"]) * ZOOM
    keypoints = stack(pd.Series([label["keypoints_2d"]]), 25, 3)[0]
    crop = crop_frame(frame, centre, scale, PICTURE_PX)
    return draw_skeleton(crop, keypoints_in_panel(keypoints, centre, scale, PICTURE_PX))


def _forecasts(job: Job, setting: Setting, row: str, seed: int, dataset: str, clip_ids: list[str]) -> pd.DataFrame:
    """FORECASTS of 15 frames after every frame that has so many before and after it."""
    variant = job.settings.variants()[row]
    files = feature_files(job, [dataset], variant.backbone or setting.backbone)
    checkpoint = job.run.checkpoint(variant.weights_of or row, seed)
    clips = read_clips(files, clip_ids, copies=False)
    return forecast_clips(checkpoint, clips, keypoints_of(job.body()), steps=FUTURE_FRAMES, every_frames=1)


def _one_by_one(clips: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (clips.iloc[[position]] for position in range(len(clips)))


def _title(clip: pd.DataFrame) -> str:
    return str(clip["action"].item()).replace("_", " ") or str(clip["clip_id"].item())


def _panel(clip: pd.DataFrame, curve: Predictability, picture: Picture) -> StatuePanel:
    assert curve.window is not None
    return StatuePanel(
        _title(clip), picture, curve.last_seen, curve.accuracy_percent, curve.smoothed_percent, curve.window,
        float(curve.change_percent[curve.window]),
    )  # fmt: skip


def _numbers(clip: pd.DataFrame, curve: Predictability, seed: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": clip["clip_id"].item(),
            "action": clip["action"].item(),
            "seed": seed,
            "last_seen_frame": curve.last_seen,
            "pck_next_15_percent": curve.accuracy_percent,
            "smoothed_percent": curve.smoothed_percent,
            "change_percent_a_frame": curve.change_percent,
            "chosen": np.arange(len(curve.last_seen)) == (-1 if curve.window is None else curve.window),
        }
    )
