"""PHD's Figures 4, 11 and 12: the same video continued on movie strips and on poses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.figures.draw import Picture
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.strips import (
    PAPER,
    PREDICTED,
    PREDICTED_ON_POSES,
    SEEN,
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
from moviestrip.papers.figures import PaperFigure, seeds_of
from moviestrip.papers.worlds import Setting
from moviestrip.stages.figures.filmed import Filmed, bodies_of, described, forecast_at
from moviestrip.stages.job import Job

LATENT, POSES = "ar-phi", "ar-theta"
SPACES = ((LATENT, "latent space", PREDICTED), (POSES, "pose space", PREDICTED_ON_POSES))
PAST, FUTURE = (-14, -7, 0), (1, 5, 10, 15, 20, 25, 30)

# Actions that repeat, and actions that go once and fast; Penn Action writes some in one word.
KINDS: dict[str, frozenset[str]] = {
    "periodic": frozenset(
        "bench_press jump_rope jumping_jacks pull_ups pullup push_ups pushup sit_ups situp squats squat strum_guitar "
        "walking walking_dog walking_together".split()
    ),
    "ballistic": frozenset(
        "baseball_pitch baseball_swing bowl clean_and_jerk golf_swing tennis_forehand tennis_serve".split()
    ),
}


@dataclass(frozen=True)
class Continued:
    """A dataset's clips, and by row what was estimated of their frames and forecast of them."""

    film: Filmed
    seen: Mapping[str, pd.DataFrame]
    forecast: Mapping[str, pd.DataFrame]


def draw_spaces(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    seed, body = seeds_of(LATENT, setting)[0], job.body()
    datasets = figure.datasets_in(setting)
    differences = pd.concat([_differences(job, seed, dataset) for dataset in datasets], ignore_index=True)
    chosen = median_of_each_kind(differences)
    strips, shown = [], []
    for clip in chosen.to_dict("records"):
        dataset, clip_id = str(clip["dataset"]), str(clip["clip_id"])
        continued = _continued(job, seed, dataset)
        start = int(continued.forecast[LATENT].query("clip_id == @clip_id")["start_frame"].min())
        strips.append(_picture(continued, clip_id, start, body))
        shown.append((f"{dataset} ({clip['kind']}, {clip['difference']:+.1f} points)", clip_id, start))
    return Drawn(
        below(strips),
        f"{setting.world.capitalize()} world, {LATENT} and {POSES}, seed {seed}. {_rule(chosen, differences)} Each is "
        f"continued from its first start; yellow bodies are estimated from the frames that were seen. All bodies of a "
        f"clip have one scale. Shown: {described(shown)}.",
        differences.rename(columns={"difference": "pck_difference_points"}).sort_values("clip_id"),
    )


def _rule(chosen: pd.DataFrame, differences: pd.DataFrame) -> str:
    absent = [kind for kind in KINDS if kind not in set(chosen["kind"])]
    of_each = "Of each kind of action," if len(absent) < len(KINDS) else "Of all clips, none being"
    left_out = f" No test clip is {' or '.join(absent)}." if absent else ""
    return (
        f"{of_each} periodic or ballistic, the clip with the median difference of PCK between the two spaces (the "
        f"lower of two), latent minus pose, mean over the horizons and starts without time warping, of "
        f"{len(differences)} test clips.{left_out}"
    )


def _differences(job: Job, seed: int, dataset: str) -> pd.DataFrame:
    """dataset, clip_id, action, and by how many points latent space is better."""
    files = (job.run.forecast_scores(row, seed, dataset) for row in (LATENT, POSES))
    return difference_by_clip(*(tables.read_table(path, tables.SCORES) for path in files))


def difference_by_clip(latent: pd.DataFrame, poses: pd.DataFrame) -> pd.DataFrame:
    """Mean PCK over the horizons after 0, without warping, latent minus pose; clips that both were scored on."""
    key = ["dataset", "clip_id", "action"]
    values = [
        table[(table["metric"] == "pck") & (table["condition"] == "forecast") & ~table["dtw"] & (table["horizon"] > 0)]
        .dropna(subset="value")
        .groupby(key)["value"]
        .mean()
        for table in (latent, poses)
    ]
    return (values[0] - values[1]).dropna().rename("difference").reset_index()


def median_of_each_kind(differences: pd.DataFrame) -> pd.DataFrame:
    """One clip of each kind of action, or of all where none is of a kind: the lower median, by id among equals."""
    if differences.empty:
        raise FatalError("forecast scores: no clip has a PCK in both spaces; forecast and evaluate both again")
    kind = differences["action"].map({action: kind for kind, actions in KINDS.items() for action in actions})
    named = differences.assign(kind=kind.fillna("other")).sort_values(["difference", "clip_id"])
    found = [named[named["kind"] == kind] for kind in KINDS if (named["kind"] == kind).any()] or [named]
    return pd.concat([rows.iloc[[(len(rows) - 1) // 2]] for rows in found], ignore_index=True)


def _continued(job: Job, seed: int, dataset: str) -> Continued:
    rows = [row for row, _, _ in SPACES]
    return Continued(
        Filmed.of(job, dataset, ["test"]),
        {row: tables.read_table(job.run.predictions(row, seed, dataset), tables.PREDICTIONS) for row in rows},
        {row: tables.read_table(job.run.forecasts(row, seed, dataset), tables.FORECASTS) for row in rows},
    )


def _picture(continued: Continued, clip_id: str, start: int, body: Body) -> Picture:
    film, horizons = continued.film, (*PAST, *FUTURE)
    cell_px = cell_size_px(len(horizons), has_seam=True)
    filmed = film.cells(clip_id, [start + horizon for horizon in horizons], cell_px)
    cells = tuple(dimmed(cell) if horizon > 0 else cell for cell, horizon in zip(filmed, horizons, strict=True))
    bodies = {row: _bodies(continued, row, clip_id, start, body) for row, _, _ in SPACES}
    scale = shared_scale([vertices for part in bodies.values() for vertices in part], cell_px)
    rows = [Row((("video", PAPER),), cells)]
    for row, name, colour in SPACES:
        colours = [SEEN if horizon <= 0 else colour for horizon in horizons]
        rows.append(body_row(((name, colour),), bodies[row], colours, body.faces, scale, cell_px))
    title = f"{film.action_of(clip_id)} · {film.dataset}"
    strip = Strip(title, frame_numbers(horizons), tuple(rows), last_seen=len(PAST) - 1)
    return strip_picture(strip, cell_px)


def _bodies(continued: Continued, row: str, clip_id: str, start: int, body: Body) -> Sequence:
    seen = continued.seen[row].query("clip_id == @clip_id").set_index("frame").loc[[start + past for past in PAST]]
    return [*bodies_of(seen, body), *bodies_of(forecast_at(continued.forecast[row], clip_id, start, FUTURE), body)]
