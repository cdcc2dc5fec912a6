"""HMMR's Figure 4: what came before and after a frame, and the bodies a model hallucinates from that frame alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.figures.draw import Picture
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.people_video import turned_quarter
from moviestrip.figures.strips import (
    AFTER,
    BEFORE,
    NOW,
    PAPER,
    Row,
    Strip,
    below,
    beside,
    body_row,
    boxed,
    cell_size_px,
    frame_numbers,
    shared_scale,
    strip_picture,
)
from moviestrip.papers.figures import PaperFigure, seeds_of
from moviestrip.papers.worlds import Setting
from moviestrip.stages.figures.filmed import Filmed, bodies_of, described, forecast_at
from moviestrip.stages.job import Job

CLIPS_BESIDE = 3
VISIBLE_ABOVE = 0.1  # confidence of a keypoint


def draw_hallucination(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    (row,) = figure.rows_in(setting)
    seed, body = seeds_of(row, setting)[0], job.body()
    bands, shown, horizons = [], [], ()
    for dataset in figure.datasets_in(setting):
        table = tables.read_table(job.run.forecasts(row, seed, dataset), tables.FORECASTS)
        dynamics, film = table[table["kind"] == "dynamics"], Filmed.of(job, dataset, ["test"])
        horizons = tuple(sorted(dynamics["horizon"].unique().tolist()))
        clips = film.first_test_clips(dynamics, CLIPS_BESIDE)
        chosen = [(clip_id, _start_of(dynamics, film, clip_id)) for clip_id in clips]
        bands.append(_band(film, dynamics, chosen, horizons, body))
        shown += [(dataset, *moment) for moment in chosen]
    return Drawn(
        below(bands),
        f"{setting.world.capitalize()} world, {row}, seed {seed}, horizons {', '.join(frame_numbers(horizons))} "
        f"frames. Of each dataset the first {CLIPS_BESIDE} test clips by id, each of another action as long as there "
        f"is one; of each clip the frame around which the person truly moves most from the first horizon to the last "
        f"(2D keypoints relative to their mean, in the crop's scale), whatever the model says there. All bodies of a "
        f"clip have one scale. Shown: {described(shown)}.",
    )


def _start_of(dynamics: pd.DataFrame, film: Filmed, clip_id: str) -> int:
    said = dynamics[dynamics["clip_id"] == clip_id]
    starts = np.unique(said["start_frame"].to_numpy(np.int64))
    first, last = ((starts + said["horizon"].agg(end)).tolist() for end in ("min", "max"))
    before, after = (_crop_keypoints(film.labels_at(clip_id, frames)) for frames in (first, last))
    return int(starts[moment_of_most_motion(before, after)])


def _crop_keypoints(labels: pd.DataFrame) -> np.ndarray:
    keypoints = tables.stack(labels["keypoints_2d"], 25, 3)
    keypoints[..., :2] *= labels["box_scale"].to_numpy(np.float32)[:, None, None]
    return keypoints


def moment_of_most_motion(
    before: Float[np.ndarray, "moments joints 3"], after: Float[np.ndarray, "moments joints 3"]
) -> int:
    """The moment at which keypoints (x, y, confidence) differ most, apart from their common shift; first of equals."""
    seen = (before[..., 2] > VISIBLE_ABOVE) & (after[..., 2] > VISIBLE_ABOVE)
    count = np.maximum(seen.sum(1), 1)
    shift = np.where(seen[..., None], after[..., :2] - before[..., :2], 0)
    apart = np.linalg.norm(shift - shift.sum(1, keepdims=True) / count[:, None, None], axis=-1)
    return int(((apart * seen).sum(1) / count).argmax())


def _band(
    film: Filmed, dynamics: pd.DataFrame, chosen: Sequence[tuple[str, int]], horizons: Sequence[int], body: Body
) -> Picture:
    """The clips of one dataset side by side."""
    cell_px = cell_size_px(len(horizons), CLIPS_BESIDE)
    strips = [_strip(film, dynamics, clip_id, start, horizons, body, cell_px) for clip_id, start in chosen]
    return beside([strip_picture(strip, cell_px, named=index == 0) for index, strip in enumerate(strips)])


def _strip(
    film: Filmed,
    dynamics: pd.DataFrame,
    clip_id: str,
    start: int,
    horizons: Sequence[int],
    body: Body,
    cell_px: tuple[int, int],
) -> Strip:
    filmed = film.cells(clip_id, [start + horizon for horizon in horizons], cell_px)
    cells = tuple(cell if horizon else boxed(cell) for cell, horizon in zip(filmed, horizons, strict=True))
    front = bodies_of(forecast_at(dynamics, clip_id, start, horizons), body)
    side = [turned_quarter(vertices) for vertices in front]
    scale = shared_scale([*front, *side], cell_px)
    colours = [NOW if horizon == 0 else BEFORE if horizon < 0 else AFTER for horizon in horizons]
    rows = [Row((("video", PAPER),), cells)]
    for name, bodies in (("as filmed", front), ("from the side", side)):
        rows.append(body_row(((name, PAPER),), bodies, colours, body.faces, scale, cell_px))
    return Strip(f"{film.action_of(clip_id)} · {film.dataset}", frame_numbers(horizons), tuple(rows))
