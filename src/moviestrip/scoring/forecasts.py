"""From a file of forecasts to a table of scores at horizons, with and without time warping, by the runs' own functions.

Forecasts are scored a few thousand at a time, so that memory holds them, the truth and little else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from moviestrip.body.load import Body
from moviestrip.errors import ConfigError
from moviestrip.evaluation.dtw import DEFAULT, DtwOptions
from moviestrip.evaluation.forecasts import (
    MEASURED,
    HorizonMeasure,
    Moments,
    averaged_up_to_horizon,
    direct_measures,
    motion_measures,
    scores_of,
    warped_measures,
)
from moviestrip.evaluation.protocols import PHD, UP_TO_HORIZON, Protocol
from moviestrip.evaluation.statistics import interval
from moviestrip.scoring.forecast_files import Forecasts, read_forecasts
from moviestrip.scoring.match import Match, Matching, few, match_people
from moviestrip.scoring.people import By
from moviestrip.scoring.score import Report, Truth
from moviestrip.tables import stack

FORECASTS_A_BLOCK = 2048
COLUMNS = ("metric", "dtw", "horizon", "value", "low", "high", "unit", "clips", "forecasts", "frames")
NEVER = 2**31  # more frames than any clip has


@dataclass(frozen=True)
class LabelledFrames:
    """What the truth says of every frame, in the order of clips and frames."""

    key: np.ndarray  # (L,) position of the clip, then frame
    has_3d: np.ndarray  # (L,)
    joints_m: np.ndarray  # (L, 14, 3)
    keypoints: np.ndarray  # (L, 25, 3) x, y in the crop's scale, confidence


@dataclass(frozen=True)
class Windows:
    """All forecasts that are scored, and the rows of the truth that they speak of."""

    clip: np.ndarray  # (N,)
    rows: np.ndarray  # (N, H)
    horizons: np.ndarray  # (H,)
    joints_m: np.ndarray | None  # (N, H, 14, 3)
    points: np.ndarray | None  # (N, H, 25, 2)


def score_forecast_file(
    path: Path,
    truth: Truth,
    protocol: Protocol,
    body: Body,
    by: By | None = None,
    horizons: Sequence[int] | Literal["all"] | None = None,
    options: DtwOptions = DEFAULT,
    samples: int = 1000,
    percent: float = 95,
) -> Report:
    """Score a file of forecasts; a row a metric and horizon without warping, then with it.

    Args:
        horizons: to print; those of PHD's tables that the file has, when not given.
    """
    people = read_forecasts(path, body, by)
    printed = _printed_horizons(path, people[0].horizons, horizons)
    known = people[0].horizons
    # The path of a prefix knows no later frame, so what comes after the last that is asked for is not needed.
    used = known <= max(printed) if options.reading == "prefix" else np.ones(len(known), bool)
    people = [_up_to(person, used) for person in people]
    clips = truth.clips.sort_values("clip_id", ignore_index=True)
    labelled = _labelled(truth, clips)
    _require_starts(path, people, labelled, clips)
    matching = match_people(people, truth.labels, clips)
    windows = _windows(path, matching, labelled, clips)
    measured = _measured(path, protocol, truth, people)
    warped = _can_be_warped(windows.horizons)
    measures = _measures(windows, labelled, protocol, options if warped else None, measured)
    table = _table(measures, windows, clips, protocol, options, printed, samples, percent)
    lines = _lines(truth, body, people, matching, windows, known)
    warping = f"cost {options.cost}, alignment {options.alignment}, reading {options.reading}"
    told = (
        (f"warping: {warping} (docs/evaluation-dtw.md)", "mean: of horizons 1 to the row's, as a warped value is one")
        if warped
        else (_not_warped(windows.horizons),)
    )
    left_out = [metric for metric in MEASURED if metric not in measured]
    unmeasured = (f"not measured: {', '.join(left_out)}",) if left_out else ()
    lost = table["degenerate_forecasts"].max() if len(table) else 0
    degenerate = (f"degenerate: up to {lost:,} forecasts a horizon have no value and are left out",) if lost else ()
    return Report(table, (*lines, *told, *unmeasured, *degenerate))


def _printed_horizons(path: Path, known: np.ndarray, asked: Sequence[int] | Literal["all"] | None) -> list[int]:
    if asked == "all":
        return [int(horizon) for horizon in known]
    if asked is None:
        return [horizon for horizon in PHD.horizons_frames if horizon in known] or [int(horizon) for horizon in known]
    missing = [horizon for horizon in asked if horizon not in known]
    if missing or not asked:
        raise ConfigError(
            f"{path}: horizon {', '.join(map(str, missing)) or '(none)'} was asked for and not forecast; it has "
            f"{len(known)} from {known[0]} to {known[-1]}: choose --horizons among them, or 'all'"
        )
    return sorted(asked)


def _up_to(person: Forecasts, used: np.ndarray) -> Forecasts:
    if used.all():
        return person
    joints, points = (None if part is None else part[:, used] for part in (person.joints_m, person.points))
    return replace(person, horizons=person.horizons[used], joints_m=joints, points=points)


def _labelled(truth: Truth, clips: pd.DataFrame) -> LabelledFrames:
    position = pd.Series(np.arange(len(clips)), index=clips["clip_id"])
    key = truth.labels["clip_id"].map(position).to_numpy(np.int64) * NEVER + truth.labels["frame"].to_numpy(np.int64)
    order = np.argsort(key, kind="stable")
    labels = truth.labels.iloc[order]
    keypoints = stack(labels["keypoints_2d"], 25, 3)
    keypoints[..., :2] *= labels["box_scale"].to_numpy(np.float32)[:, None, None]
    return LabelledFrames(
        key=key[order],
        has_3d=labels["has_3d"].to_numpy(bool),
        joints_m=stack(labels["joints_3d_m"], 14, 3),
        keypoints=keypoints,
    )


def _rows_of(labelled: LabelledFrames, position: int, frames: np.ndarray) -> np.ndarray:
    """Where the truth has these frames of a clip; -1 where it has not."""
    wanted = position * NEVER + frames
    rows = np.searchsorted(labelled.key, wanted).clip(max=len(labelled.key) - 1)
    return np.where((labelled.key[rows] == wanted) & (frames >= 0), rows, -1)


def _require_starts(path: Path, people: Sequence[Forecasts], labelled: LabelledFrames, clips: pd.DataFrame) -> None:
    """Who is named like a clip counts frames as it does."""
    position = {clip: index for index, clip in enumerate(clips["clip_id"])}
    for person in people:
        if person.name not in position:
            continue
        at = position[person.name]
        outside = person.frames[_rows_of(labelled, at, person.frames) < 0]
        if len(outside):
            first, last = _ends(labelled, at)
            raise ConfigError(
                f"{path}: 'start_frame' of clip {person.name}, shape {person.frames.shape}: {len(outside):,} are no "
                f"labelled frames of it, the first is {outside[0]}; its truth has frames {first} to {last}: count "
                f"frames from the clip's first, or leave these forecasts out"
            )


def _ends(labelled: LabelledFrames, position: int) -> tuple[int, int]:
    first, last = np.searchsorted(labelled.key, (position * NEVER, (position + 1) * NEVER))
    return int(labelled.key[first] % NEVER), int(labelled.key[last - 1] % NEVER)


def _windows(path: Path, matching: Matching[Forecasts], labelled: LabelledFrames, clips: pd.DataFrame) -> Windows:
    """Forecasts that the truth covers whole. Who names clips knows where they end, so there nothing may go beyond."""
    position = {clip: index for index, clip in enumerate(clips["clip_id"])}
    horizons = matching.found[0].person.horizons
    clip, rows, chosen = [], [], []
    for match in matching.found:
        found = _rows_of(labelled, position[match.clip_id], match.frames[:, None] + horizons)
        whole = np.all(found >= 0, axis=1)
        if matching.by == "clip_id" and not whole.all():
            raise ConfigError(_too_long(path, match, whole, labelled, position[match.clip_id]))
        clip.append(np.full(whole.sum(), position[match.clip_id]))
        rows.append(found[whole])
        chosen.append(match.rows[whole])
    if not sum(map(len, rows)):
        raise ConfigError(
            f"{path}: the truth covers none of its forecasts up to horizon {horizons[-1]}; score with smaller "
            f"--horizons, or forecast within the clips"
        )
    pairs = list(zip(matching.found, chosen, strict=True))
    joints = [match.person.joints_m[mine] for match, mine in pairs if match.person.joints_m is not None]
    points = [match.person.points[mine] for match, mine in pairs if match.person.points is not None]
    return Windows(
        np.concatenate(clip),
        np.concatenate(rows),
        horizons,
        np.concatenate(joints) if len(joints) == len(pairs) else None,
        np.concatenate(points) if len(points) == len(pairs) else None,
    )


def _too_long(path: Path, match: Match[Forecasts], whole: np.ndarray, labelled: LabelledFrames, position: int) -> str:
    horizons, start = match.person.horizons, match.frames[~whole][0]
    first, last = _ends(labelled, position)
    fits = [horizon for horizon in horizons[horizons > 0] if (match.frames + horizon <= last).all()]
    shorter = f", or score with --horizons up to {fits[-1]}" if fits else ""
    return (
        f"{path}: {(~whole).sum():,} of {len(whole):,} forecasts of clip {match.clip_id}, shape "
        f"({len(whole)}, {len(horizons)}), speak of frames without truth: the one from frame {start} of "
        f"{start + horizons[0]} to {start + horizons[-1]}, the truth has frames {first} to {last}; "
        f"leave these forecasts out{shorter}"
    )


def _measured(path: Path, protocol: Protocol, truth: Truth, people: Sequence[Forecasts]) -> tuple[str, ...]:
    """The metrics that protocol, file and truth allow."""
    if protocol.joints != PHD.joints:
        raise ConfigError(
            f"{path}: --forecast measures the 14 common joints, --protocol {protocol.name} {protocol.joints}; choose "
            f"phd or hmmr"
        )
    flat = truth.has_keypoints and all(person.points is not None for person in people)
    deep = bool(truth.labels["has_3d"].any()) and all(person.joints_m is not None for person in people)
    allowed = {"pck": flat, "pa_mpjpe": deep}
    measured = tuple(metric for metric in MEASURED if metric in protocol.metrics and allowed[metric])
    if not measured:
        raise ConfigError(
            f"{path}: {people[0].source} against {truth.name} allows none of {', '.join(MEASURED)}; PCK needs "
            f"keypoints of both sides, PA-MPJPE joints of both"
        )
    return measured


def _can_be_warped(horizons: np.ndarray) -> bool:
    future = horizons[horizons > 0]
    return len(future) > 0 and np.array_equal(future, np.arange(1, len(future) + 1))


def _measures(
    windows: Windows, labelled: LabelledFrames, protocol: Protocol, options: DtwOptions | None, measured: Sequence[str]
) -> list[HorizonMeasure]:
    """Of all forecasts; with warping where there are options of it."""
    blocks = [
        list(_of_block(windows, slice(start, start + FORECASTS_A_BLOCK), labelled, protocol, options, measured))
        for start in range(0, len(windows.rows), FORECASTS_A_BLOCK)
    ]
    return [
        replace(
            parts[0],
            counted=np.concatenate([part.counted for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )
        for parts in zip(*blocks, strict=True)
    ]


def _of_block(
    windows: Windows,
    block: slice,
    labelled: LabelledFrames,
    protocol: Protocol,
    options: DtwOptions | None,
    measured: Sequence[str],
) -> Iterator[HorizonMeasure]:
    rows = windows.rows[block]
    nothing_m, nothing = (np.full((*rows.shape, *shape), np.nan, np.float32) for shape in ((14, 3), (25, 2)))
    moments = Moments(
        clip=windows.clip[block],
        horizons=windows.horizons,
        has_3d=labelled.has_3d[rows],
        confidence=labelled.keypoints[rows, :, 2],
        predicted_m=nothing_m if windows.joints_m is None else windows.joints_m[block],
        target_m=labelled.joints_m[rows],
        points_m=nothing if windows.points is None else windows.points[block],
        target_px=labelled.keypoints[rows][..., :2],
    )
    direct = list(direct_measures(moments, protocol, measured))
    yield from direct
    if "pa_mpjpe" in measured:
        yield from motion_measures(moments, protocol)
    if options is not None:
        yield from map(averaged_up_to_horizon, direct)
        yield from warped_measures(moments, protocol, options, measured)


def _table(
    measures: Sequence[HorizonMeasure],
    windows: Windows,
    clips: pd.DataFrame,
    protocol: Protocol,
    options: DtwOptions,
    printed: Sequence[int],
    samples: int,
    percent: float,
) -> pd.DataFrame:
    rows = []
    for measure in measures:
        scores = scores_of(measure, windows.clip, clips)
        averaged = measure.metric.endswith(UP_TO_HORIZON)
        frames = _frames(measure, cumulative=averaged or (measure.dtw and options.reading != "full_at"))
        for horizon in [horizon for horizon in printed if horizon in measure.horizons]:
            chosen = scores[scores["horizon"] == horizon]
            if chosen.empty:
                continue
            weights = chosen["frames"].to_numpy(np.float64) if protocol.video_weights == "frames" else None
            values, groups = chosen["value"].to_numpy(np.float64)[None], chosen["group"].to_numpy()
            ends = interval(values, weights, samples, percent, groups=groups).of_scores(measure.unit)
            counts = (len(chosen), int(chosen["frames"].sum()), int(frames[np.searchsorted(measure.horizons, horizon)]))
            lost = int(chosen["degenerate_frames"].sum())
            dtw = "yes" if measure.dtw else "no"
            rows.append((measure.metric, dtw, horizon, *ends, measure.unit, *counts, lost, protocol.name))
    return pd.DataFrame(rows, columns=[*COLUMNS, "degenerate_forecasts", "protocol"])


def _frames(measure: HorizonMeasure, cumulative: bool) -> np.ndarray:
    """Frames of the truth that the value of each horizon rests on; of a mean up to it, all of these."""
    used = measure.counted & np.isfinite(measure.values)
    return (used * np.cumsum(measure.counted, 1)).sum(0) if cumulative else used.sum(0)


def _lines(
    truth: Truth,
    body: Body,
    people: Sequence[Forecasts],
    matching: Matching[Forecasts],
    windows: Windows,
    known: np.ndarray,
) -> tuple[str, ...]:
    sources = ", ".join(dict.fromkeys(person.source for person in people))
    posed = f", posed by the {body.name} body" if "'pose" in sources else ""
    given, scored = sum(len(person.frames) for person in people), len(windows.rows)
    gaps = np.unique(np.concatenate([np.diff(np.sort(person.frames)) for person in people]))
    apart = f", their starts {' to '.join(dict.fromkeys(map(str, gaps[[0, -1]])))} frames apart" if len(gaps) else ""
    strangers = {person.name for person in people} - {match.person.name for match in matching.found}
    absent = [horizon for horizon in PHD.horizons_frames if horizon not in known]
    return (
        f"joints: from {sources}{posed}",
        f"matched: {len(matching.found)} of {len(truth.clips)} clips of {truth.name}, by {matching.by}",
        f"forecasts: {scored:,} of {given:,} in the file ({scored / given:.1%}){apart}",
        *((f"of no clip: {few(sorted(strangers))}",) if strangers else ()),
        *((f"not forecast: horizon {', '.join(map(str, absent))}",) if absent else ()),
    )


def _not_warped(horizons: np.ndarray) -> str:
    future = set(range(1, int(horizons[-1]) + 1)) - set(horizons.tolist())
    why = f"frames {few(map(str, sorted(future)))} are not forecast" if future else "no later frame is forecast"
    return f"not warped: {why}; a path needs every frame up to the last horizon"
