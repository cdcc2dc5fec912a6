"""Which motions can be foreseen? Of the true motions, before any picture, and of what a trained model forecasts.

Forecasting is only a task where some futures follow from the past and others do not. Periodic actions repeat what has
just been seen; ballistic ones, a throw or a swing, do something new. The kinds are named here, once, by action; nothing
measured decides them. What stands still, or neither repeats nor strikes, is of neither kind.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation.findings import (
    Band,
    Finding,
    Sampling,
    Sums,
    difference,
    finding,
    quotient,
    ratio,
    side_by_side,
)
from moviestrip.evaluation.score import MM
from moviestrip.skeleton import SMPL_24, indices_of
from moviestrip.tables import stack
from moviestrip.world.kinematics import RestSkeleton, forward_kinematics

PERIODIC = frozenset({
    "walking", "walking_backwards", "walking_dog", "walking_together", "marching", "running", "side_steps", "sneaking",
    "jump_rope", "jumping_jacks", "squats", "push_ups", "pull_ups", "sit_ups", "bench_press", "strum_guitar", "lunge",
})  # fmt: skip
BALLISTIC = frozenset({
    "baseball_pitch", "baseball_swing", "bowl", "golf_swing", "tennis_forehand", "tennis_serve", "throw", "kick",
    "clean_and_jerk", "backflip", "cartwheel", "spin", "jump", "punch", "roll",
})  # fmt: skip
KINDS = {"periodic": PERIODIC, "ballistic": BALLISTIC}
HORIZONS = (5, 10, 20, 30)
CONDITION_FRAMES = 15  # as the models of PHD see
EVERY_FRAMES = 5
QUERIES_AT_ONCE = 1024
POSITIVE = Band("above 0", above=0)
NEIGHBOURS = 5
HIPS = indices_of(("left_hip", "right_hip"), SMPL_24)


def kind_of_action(action: str) -> str:
    """'periodic', 'ballistic', or empty."""
    return next((kind for kind, actions in KINDS.items() if action in actions), "")


def true_forecasts(motions: pd.DataFrame, rest: RestSkeleton, horizons: Sequence[int] = HORIZONS) -> pd.DataFrame:
    """Errors of two forecasts of the test MOTIONS: standing still, and changing as the five most similar windows of
    the training motions did, on average.

    Both see true poses: the joints of 15 frames from the pelvis, turned so that the last of these faces ahead. No
    other forecast that was tried (one neighbour, poses in place of changes, a ridge regression) errs less over all
    motions 5 to 20 frames ahead; none was chosen by what it says of a kind.

    Returns:
        One row a motion and horizon: motion_id, action, kind, horizon, windows, constant_mm, forecast_mm.
    """
    _, known = _windows(motions[motions["split"] == "train"], rest, max(horizons))
    about, asked = _windows(motions[motions["split"] == "test"], rest, max(horizons))
    similar = _most_similar(asked, known)
    rows = []
    for horizon in horizons:
        change = _change(asked, horizon)
        errors = {
            "constant_mm": _error_mm(change),
            "forecast_mm": _error_mm(change - _change(known, horizon)[similar].mean(1)),
        }
        for motion in about.to_dict("records"):
            here = slice(motion["first"], motion["first"] + motion["windows"])
            means = {name: float(values[here].mean()) for name, values in errors.items()}
            told = {name: motion[name] for name in ("motion_id", "action", "windows")}
            rows.append({**told, "kind": kind_of_action(motion["action"]), "horizon": horizon, **means})
    return pd.DataFrame(rows)


def _windows(motions: pd.DataFrame, rest: RestSkeleton, longest: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Which motion each window is of, and its joints (windows, frames, 72): 15 frames seen and what follows."""
    found, parts, first = [], [], 0
    for motion_id, rows in motions.groupby("motion_id", sort=True):
        rows = rows.sort_values("frame")
        joints, _ = forward_kinematics(stack(rows["pose"], 72), stack(rows["translation_m"], 3), rest)
        starts = np.arange(0, len(joints) - CONDITION_FRAMES - longest + 1, EVERY_FRAMES)
        if len(starts) == 0:
            continue
        parts.append(_facing_ahead(joints[starts[:, None] + np.arange(CONDITION_FRAMES + longest)]))
        action = rows["action"].iloc[0]
        found.append({"motion_id": motion_id, "action": action, "windows": len(starts), "first": first})
        first += len(starts)
    if not parts:
        raise FatalError(
            f"predictability: no motion of a split has {CONDITION_FRAMES + longest} frames; make longer ones"
        )
    return pd.DataFrame(found), np.concatenate(parts)


def _facing_ahead(joints_m: Float[np.ndarray, "windows frames 24 3"]) -> Float[np.ndarray, "windows frames 72"]:
    """Joints from the pelvis, turned about the vertical so that the hips of the last frame seen lie along x."""
    local = joints_m - joints_m[:, :, :1]
    across = local[:, CONDITION_FRAMES - 1, HIPS[0]] - local[:, CONDITION_FRAMES - 1, HIPS[1]]
    angle = np.arctan2(across[:, 2], across[:, 0])
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    x, z = local[..., 0], local[..., 2]
    turned = np.stack([cosine * x + sine * z, local[..., 1], cosine * z - sine * x], -1)
    return turned.reshape(*turned.shape[:2], -1)


def _change(joints: Float[np.ndarray, "windows frames 72"], horizon: int) -> Float[np.ndarray, "windows 72"]:
    """By how much the joints have changed since the last frame seen."""
    return joints[:, CONDITION_FRAMES - 1 + horizon] - joints[:, CONDITION_FRAMES - 1]


def _most_similar(asked: np.ndarray, known: np.ndarray) -> Int[np.ndarray, "windows neighbours"]:
    """The known windows whose 15 frames are closest to those of each asked one."""
    queries, candidates = (joints[:, :CONDITION_FRAMES].reshape(len(joints), -1) for joints in (asked, known))
    squares = (candidates**2).sum(1)
    parts = np.array_split(queries, max(1, len(queries) // QUERIES_AT_ONCE))
    distances = (squares - 2 * part @ candidates.T for part in parts)
    return np.concatenate([np.argsort(part, 1, kind="stable")[:, :NEIGHBOURS] for part in distances])


def _error_mm(change: Float[np.ndarray, "windows 72"]) -> Float[np.ndarray, " windows"]:
    return np.linalg.norm(change.reshape(len(change), 24, 3), axis=-1).mean(-1) * MM


def true_predictability(errors: pd.DataFrame, sampling: Sampling) -> Iterator[Finding]:
    """Is a periodic future known better than a ballistic one: in millimetres, and as a part of what changes?"""
    for horizon, rows in errors.groupby("horizon"):
        sums = {kind: _forecast_sums(rows[rows["kind"] == kind]) for kind in KINDS}
        if any(len(found.groups) == 0 for found in sums.values()):
            continue
        both = side_by_side(sums["ballistic"], sums["periodic"])
        means = {
            kind: [float(ratio(found.values[0].sum(0)[at : at + 2])) for at in (0, 2)] for kind, found in sums.items()
        }
        told = "; ".join(
            f"{kind}: {error:.0f} mm, standing still {still:.0f}" for kind, (error, still) in means.items()
        )
        note = f"from 15 true frames, by similar training windows: {told}; motions, not clips"
        question = f"How much larger is the error of a forecast of true ballistic motions {horizon} frames ahead?"
        arguments = (both, _of_forecast, "mm", POSITIVE, sampling, note)
        yield finding(f"future-true-{horizon}", question, *arguments)
        question = f"The same {horizon} frames ahead, in percent of what standing still errs?"
        yield finding(f"future-share-{horizon}", question, both, _left_over, "points", POSITIVE, sampling, note)


def _forecast_sums(rows: pd.DataFrame) -> Sums:
    """Columns: errors of the forecast and their number, errors of standing still and their number."""
    count = rows["windows"].to_numpy(np.float64)
    errors = [rows[f"{name}_mm"].to_numpy() * count for name in ("forecast", "constant")]
    return Sums.of(np.stack([errors[0], count, errors[1], count], -1), rows["motion_id"])


def _of_forecast(totals: Float[np.ndarray, "*batch 8"]) -> Float[np.ndarray, "*batch"]:
    return ratio(totals[..., :2]) - ratio(totals[..., 4:6])


def _left_over(totals: Float[np.ndarray, "*batch 8"]) -> Float[np.ndarray, "*batch"]:
    return 100 * (quotient(totals[..., :4]) - quotient(totals[..., 4:]))


def trained_predictability(
    scores: pd.DataFrame, row: str, metric: str, dataset: str, horizons: Sequence[int], sampling: Sampling
) -> Iterator[Finding]:
    """The same of a trained forecaster: what it loses from the first horizon on, by kind (SCORES of forecasts)."""
    chosen = scores[
        (scores["variant"] == row) & (scores["metric"] == metric) & ~scores["dtw"] & (scores["condition"] == "forecast")
    ].assign(kind=lambda frame: frame["action"].map(kind_of_action))
    sign, unit = (-1.0, "points") if metric == "pck" else (1.0, "mm")
    for horizon in horizons:
        found = {kind: _lost_sums(chosen[chosen["kind"] == kind], horizon, sign) for kind in KINDS}
        sums = {kind: lost for kind, lost in found.items() if lost is not None}
        if len(sums) < len(KINDS):
            continue
        both = side_by_side(sums["ballistic"], sums["periodic"])
        means = {kind: float(ratio(lost.values.mean(0).sum(0))) for kind, lost in sums.items()}
        yield finding(
            f"future-trained-{horizon}-{dataset}",
            f"How much more does {row} lose by frame {horizon} on ballistic than on periodic actions of {dataset}?",
            both,
            difference,
            unit,
            POSITIVE,
            sampling,
            f"{metric} since frame 1: ballistic {means['ballistic']:.1f}, periodic {means['periodic']:.1f}",
        )


def _lost_sums(scores: pd.DataFrame, horizon: int, sign: float) -> Sums | None:
    """What each clip loses between the first frame ahead and a later one; None where no clip has both."""
    table = scores.pivot_table(index="clip_id", columns=["seed", "horizon"], values="value")
    seeds = [seed for seed in scores["seed"].unique() if {(seed, 1), (seed, horizon)} <= set(table.columns)]
    if not seeds:
        return None
    lost = np.stack([sign * (table[seed, horizon] - table[seed, 1]).to_numpy() for seed in sorted(seeds)])
    groups = scores.groupby("clip_id")["group"].first().loc[table.index]
    known: Int[np.ndarray, "seeds clips"] = np.isfinite(lost).astype(np.int64)
    return Sums.of(np.stack([np.where(known, lost, 0), known], -1), groups)
