"""Means of scores with their intervals, as the tables have them, for plots."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from moviestrip.evaluation.protocols import protocol_named
from moviestrip.evaluation.statistics import interval
from moviestrip.papers.worlds import Setting

COLUMNS = ("mean", "low", "high", "clips", "frames", "seeds")


def means_of(scores: pd.DataFrame, by: Sequence[str], setting: Setting) -> pd.DataFrame:
    """One row for each group of SCORES of one protocol: `by` and `COLUMNS`, in sorted order.

    Clips weigh as the protocol has it; intervals are bootstrapped over clips and seeds.
    """
    coded = scores.assign(
        clip_id=pd.factorize(scores["clip_id"], sort=True)[0],  # numbers are joined much sooner than words
        group=pd.factorize(scores["group"])[0],
    )
    rows = [{**dict(zip(by, key, strict=True)), **_mean(part, setting)} for key, part in coded.groupby(list(by))]
    return pd.DataFrame(rows, columns=[*by, *COLUMNS])


def _mean(scores: pd.DataFrame, setting: Setting) -> dict[str, float]:
    by_seed = scores.pivot(index="seed", columns="clip_id", values="value").sort_index()
    by_clip = scores.groupby("clip_id").agg(frames=("frames", "max"), group=("group", "first")).loc[by_seed.columns]
    pooled = protocol_named(str(scores["protocol"].iloc[0])).video_weights == "frames"
    found = interval(
        by_seed.to_numpy(np.float64),
        weights=by_clip["frames"].to_numpy(np.float64) if pooled else None,
        groups=by_clip["group"].to_numpy(),
        samples=setting.bootstrap_samples,
        percent=setting.interval_percent,
        seed=setting.seed,
    ).of_scores(str(scores["unit"].iloc[0]))
    counts = {"clips": int(by_seed.notna().any().sum()), "seeds": len(by_seed)}
    return {**found._asdict(), **counts, "frames": int(scores.groupby("seed")["frames"].sum().max())}
