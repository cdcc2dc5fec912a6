"""PHD's Figures 9 and 10: a test sequence, the most similar training window, and what followed it there.

A forecast of this baseline does not say from which training clip it comes, but repeats the estimates of it: the
window is found again as the one whose estimates are the forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.figures.draw import Picture
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.strips import (
    FOLLOWED,
    NOW,
    PAPER,
    TRUTH,
    Row,
    Strip,
    below,
    body_row,
    cell_size_px,
    dimmed,
    frame_numbers,
    shared_scale,
    strip_picture,
)
from moviestrip.models.model import CONDITION_FRAMES
from moviestrip.papers.figures import PaperFigure, seeds_of
from moviestrip.papers.worlds import BASELINES, Setting
from moviestrip.stages.figures.filmed import Filmed, bodies_of, described, forecast_at
from moviestrip.stages.job import Job, keypoints_of, shard_files
from moviestrip.training.data import ClipDataset, read_clips
from moviestrip.training.predict import Estimates, checkpoint_for, estimate, starts_in_clips

PAST, FUTURE = (1 - CONDITION_FRAMES, -7, 0), (1, 5, 10, 15, 20, 25, 30)
HORIZONS = (*PAST, *FUTURE)
SAME_M = 1e-3  # estimates of one frame on two devices differ by less


@dataclass(frozen=True)
class Moment:
    """A frame of a clip."""

    clip_id: str
    frame: int

    def around(self, horizons: Sequence[int]) -> list[int]:
        return [self.frame + horizon for horizon in horizons]


@dataclass(frozen=True)
class Estimated:
    """Clips with the bodies that a model estimates in them."""

    clips: ClipDataset
    bodies: Estimates

    def meshes(self, clip_id: str, frames: Sequence[int], body: Body) -> list[np.ndarray]:
        first_row = next(clip.first_row for clip in self.clips.clips if clip.clip_id == clip_id)
        rows = torch.tensor(frames) + first_row
        vertices, _ = body.forward(self.bodies.rotations[rows], self.bodies.betas[rows])
        return list(vertices.detach().numpy())


@dataclass(frozen=True)
class Match:
    """A test sequence and the training window that the baseline found for it, with the bodies at `HORIZONS`."""

    asked: Moment
    found: Moment
    is_estimated: bool  # whether the test sequence's bodies are, because its labels know none
    sequence: list[np.ndarray]
    window: list[np.ndarray]  # only up to the present
    followed: list[np.ndarray]


def draw_neighbours(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    (row,) = figure.rows_in(setting)
    seed, body = seeds_of(row, setting)[0], job.body()
    pictures, shown = [], []
    for dataset in figure.datasets_in(setting):
        film = Filmed.of(job, dataset, ["train", "test"])
        match = _match(job, row, seed, film, body)
        pictures.append(_picture(film, match, body))
        red = "estimated" if match.is_estimated else "true"
        shown.append((f"{dataset} ({red})", match.asked.clip_id, match.asked.frame))
        shown.append(("found in training clip", match.found.clip_id, match.found.frame))
    return Drawn(
        below(pictures),
        f"{setting.world.capitalize()} world, {row}, seed {seed}. Of each dataset the first test clip by id, at its "
        f"first start. Red bodies are true where the labels know them and estimated elsewhere; blue and green ones are "
        f"what {BASELINES[row]} estimates in the training clip. All bodies of a clip have one scale. Shown: "
        f"{described(shown)}.",
    )


def _match(job: Job, row: str, seed: int, film: Filmed, body: Body) -> Match:
    """What the baseline found for the first start of a dataset's first test clip."""
    forecasts = tables.read_table(job.run.forecasts(row, seed, film.dataset), tables.FORECASTS)
    (clip_id,) = film.first_test_clips(forecasts, 1)
    forecasts = forecasts[forecasts["clip_id"] == clip_id]
    asked = Moment(clip_id, int(forecasts["start_frame"].min()))
    training, test = _estimated(job, row, seed, film, clip_id, body)
    found = found_again(forecasts[forecasts["start_frame"] == asked.frame], training)
    labels = film.labels_at(clip_id, asked.around(HORIZONS))
    known = bool(labels["has_3d"].all())
    return Match(
        asked,
        found,
        is_estimated=not known,
        sequence=bodies_of(labels, body) if known else test.meshes(clip_id, asked.around(HORIZONS), body),
        window=training.meshes(found.clip_id, found.around(PAST), body),
        followed=bodies_of(forecast_at(forecasts, clip_id, asked.frame, FUTURE), body),
    )


def _estimated(job: Job, row: str, seed: int, film: Filmed, clip_id: str, body: Body) -> tuple[Estimated, Estimated]:
    """The training clips and one test clip, as the model estimates them that the baseline searches with."""
    behind = BASELINES[row] or row
    variant, points = job.settings.variants()[behind], keypoints_of(body)
    files, training_ids = shard_files(job, [film.dataset], variant), film.clips.query("split == 'train'")["clip_id"]
    training, test = (read_clips(files, list(chosen), copies=False) for chosen in (training_ids, [clip_id]))
    model = checkpoint_for(job.run.checkpoint(variant.weights_of or behind, seed), training).model()
    return Estimated(training, estimate(model, training, points)), Estimated(test, estimate(model, test, points))


def found_again(forecast: pd.DataFrame, training: Estimated) -> Moment:
    """The last frame of the training window whose estimates, from there on, are one start's FORECASTS."""
    forecast = forecast.sort_values("horizon")
    starts = starts_in_clips(training.clips.clips, CONDITION_FRAMES - 1, int(forecast["horizon"].iloc[-1]), 1)
    rows = torch.tensor([row for _, _, row in starts])
    said_m = torch.from_numpy(tables.stack(forecast["points_3d_m"], 25, 3))
    off_m = largest_difference(said_m, training.bodies.points_m, rows)
    best = int(off_m.argmin())
    if not off_m[best] < SAME_M:
        raise FatalError(
            f"forecasts of nearest-neighbour: no training window has these estimates, the closest is "
            f"{1000 * float(off_m[best]):.1f} mm off; forecast again with this checkpoint"
        )
    clip_id, frame, _ = starts[best]
    return Moment(clip_id, frame)


def largest_difference(
    sequence: Float[Tensor, "steps points 3"], frames: Float[Tensor, "rows points 3"], starts: Int[Tensor, " starts"]
) -> Float[Tensor, " starts"]:
    """By how much a sequence differs from the one that begins at each start, at most, in any coordinate."""
    largest = torch.zeros(len(starts))
    for step, points in enumerate(sequence):
        largest = torch.maximum(largest, (frames[starts + step] - points).abs().amax((1, 2)))
    return largest


def _picture(film: Filmed, match: Match, body: Body) -> Picture:
    cell_px = cell_size_px(len(HORIZONS), has_seam=True)
    scale = shared_scale([*match.sequence, *match.window, *match.followed], cell_px)
    videos = [film.cells(moment.clip_id, moment.around(HORIZONS), cell_px) for moment in (match.asked, match.found)]
    paled = (dimmed(cell) if horizon > 0 else cell for cell, horizon in zip(videos[0], HORIZONS, strict=True))
    sequence_names = (("test sequence", TRUTH), ("estimated" if match.is_estimated else "true", PAPER))
    window_names = (("most similar", NOW), ("what followed", FOLLOWED))
    colours = [NOW if horizon <= 0 else FOLLOWED for horizon in HORIZONS]
    rows = (
        Row((("test video", PAPER),), tuple(paled)),
        body_row(sequence_names, match.sequence, [TRUTH] * len(HORIZONS), body.faces, scale, cell_px),
        body_row(window_names, [*match.window, *match.followed], colours, body.faces, scale, cell_px),
        Row((("training video", PAPER),), tuple(videos[1])),
    )
    asked, found = (film.action_of(moment.clip_id) for moment in (match.asked, match.found))
    title = f"{asked} · {film.dataset}, found in training: {found}"
    return strip_picture(Strip(title, frame_numbers(HORIZONS), rows, last_seen=len(PAST) - 1), cell_px)
