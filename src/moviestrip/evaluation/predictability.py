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
    "clean_and_jerk", "backflip", "cartwheel", "spin", "spinkick", "jump", "punch", "roll",
})  # fmt: skip
KINDS = {"periodic": PERIODIC, "ballistic": BALLISTIC}
HORIZONS = (5, 10, 20, 30)
CONDITION_FRAMES = 15  # as the models of PHD see
EVERY_FRAMES = 5
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # times the number of windows
HIPS = indices_of(("left_hip", "right_hip"), SMPL_24)


def kind_of_action(action: str) -> str:
    """'periodic', 'ballistic', or empty."""
    return next((kind for kind, actions in KINDS.items() if action in actions), "")


def true_forecasts(motions: pd.DataFrame, rest: RestSkeleton, horizons: Sequence[int] = HORIZONS) -> pd.DataFrame:
    """Errors of two forecasts of the test MOTIONS: standing still, and a linear map learned on the training motions.

    Both see true poses: the joints of 15 frames from the pelvis, turned so that the last of these faces ahead. The
    linear map's penalty is chosen on the validation motions.

    Returns:
        One row a motion and horizon: motion_id, action, kind, horizon, windows, constant_mm, linear_mm.
    """
    windows = {split: _windows(motions[motions["split"] == split], rest, max(horizons)) for split in _splits(motions)}
    rows = []
    for horizon in horizons:
        pairs = {split: _pair(joints, horizon) for split, (_, joints) in windows.items()}
        weights = _chosen_ridge(*pairs["train"], *pairs["validation"])
        seen, change = pairs["test"]
        constant = _error_mm(change)
        linear = _error_mm(change - seen @ weights)
        for motion in windows["test"][0].to_dict("records"):
            here = slice(motion["first"], motion["first"] + motion["windows"])
            errors = {"constant_mm": float(constant[here].mean()), "linear_mm": float(linear[here].mean())}
            known = {name: motion[name] for name in ("motion_id", "action", "windows")}
            rows.append({**known, "kind": kind_of_action(motion["action"]), "horizon": horizon, **errors})
    return pd.DataFrame(rows)


def _splits(motions: pd.DataFrame) -> tuple[str, ...]:
    missing = {"train", "validation", "test"} - set(motions["split"])
    if missing:
        raise FatalError(f"predictability: no motion is in {sorted(missing)}; make the motions again")
    return "train", "validation", "test"


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
        raise FatalError(f"predictability: no motion has {CONDITION_FRAMES + longest} frames; make longer ones")
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


def _pair(joints: Float[np.ndarray, "windows frames 72"], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """What is seen, with a constant, and by how much the joints have changed at the horizon."""
    last = joints[:, CONDITION_FRAMES - 1]
    seen = joints[:, :CONDITION_FRAMES].reshape(len(joints), -1)
    return np.concatenate([seen, np.ones((len(seen), 1))], 1), joints[:, CONDITION_FRAMES - 1 + horizon] - last


def _chosen_ridge(seen: np.ndarray, change: np.ndarray, held: np.ndarray, held_change: np.ndarray) -> np.ndarray:
    """Ridge regression with the penalty that serves other motions best."""
    values, vectors = np.linalg.eigh(seen.T @ seen)
    projected = vectors.T @ (seen.T @ change)
    found = [vectors @ (projected / (values + penalty * len(seen))[:, None]) for penalty in PENALTIES]
    return min(found, key=lambda weights: float(_error_mm(held_change - held @ weights).mean()))


def _error_mm(change: Float[np.ndarray, "windows 72"]) -> Float[np.ndarray, " windows"]:
    return np.linalg.norm(change.reshape(len(change), 24, 3), axis=-1).mean(-1) * MM


def true_predictability(errors: pd.DataFrame, sampling: Sampling) -> Iterator[Finding]:
    """Of periodic motions a larger part is foreseen from the past than of ballistic ones."""
    for horizon, rows in errors.groupby("horizon"):
        sums = {kind: _forecast_sums(rows[rows["kind"] == kind]) for kind in KINDS}
        if any(len(found.groups) == 0 for found in sums.values()):
            continue
        both = side_by_side(sums["ballistic"], sums["periodic"])
        means = {
            kind: [float(ratio(found.values[0].sum(0)[at : at + 2])) for at in (0, 2)] for kind, found in sums.items()
        }
        note = "; ".join(f"{kind}: {line:.0f} of {still:.0f} mm" for kind, (line, still) in means.items())
        yield finding(
            f"future-true-{horizon}",
            f"How much more of a ballistic than of a periodic motion is left unforeseen {horizon} frames ahead?",
            both,
            _left_over,
            "points of %",
            Band("above 0", above=0),
            sampling,
            f"a linear forecast from 15 true frames against standing still: {note}; motions, not clips",
        )


def _forecast_sums(rows: pd.DataFrame) -> Sums:
    """Columns: errors of the linear forecast and their number, errors of standing still and their number."""
    count = rows["windows"].to_numpy(np.float64)
    errors = [rows[f"{name}_mm"].to_numpy() * count for name in ("linear", "constant")]
    return Sums.of(np.stack([errors[0], count, errors[1], count], -1), rows["motion_id"])


def _left_over(totals: Float[np.ndarray, "*batch 8"]) -> Float[np.ndarray, "*batch"]:
    return 100 * (quotient(totals[..., :4]) - quotient(totals[..., 4:]))


def trained_predictability(
    scores: pd.DataFrame, row: str, metric: str, dataset: str, horizons: Sequence[int], sampling: Sampling
) -> Iterator[Finding]:
    """The same of a trained forecaster: what it loses from the first horizon on, by kind (SCORES of forecasts)."""
    chosen = scores[
        (scores["variant"] == row) & (scores["metric"] == metric) & ~scores["dtw"] & (scores["condition"] == "forecast")
    ].assign(kind=lambda frame: frame["action"].map(kind_of_action))
    sign, unit = (-1.0, "points of %") if metric == "pck" else (1.0, "mm")
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
            Band("above 0", above=0),
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
