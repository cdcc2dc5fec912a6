"""Table cells, measured again on resampled clips and training seeds.

What a claim compares must share its luck: in one resample every cell of a dataset is measured on the same drawn
groups of clips, and every cell of the run on the same drawn seeds. Their differences are then paired.

These numbers are plain resamples: of few groups they lie too close together. Whoever takes percentiles first moves
them away from the estimate by `Resamples.expansion`, and numbers that are compared by one factor, or they would no
longer share their luck.
"""

import math
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation.protocols import protocol_named
from moviestrip.evaluation.statistics import Expansion, expansion
from moviestrip.papers.table import KINDS, metric_in_scores, plain_action, protocol_in
from moviestrip.papers.worlds import Setting, stand_in, variant_of

KEY = ["variant", "dataset", "protocol", "metric", "horizon", "dtw"]
AGREEMENT = 1e-4  # relative; tables and scores keep float32 values


@dataclass(frozen=True)
class _Draws:
    """A dataset's clips, the group of each, and how often each is drawn in every resample."""

    clips: pd.Index
    group: Int[np.ndarray, " clips"]
    counts: Float[np.ndarray, "samples clips"]


class Drawn(NamedTuple):
    """A cell in every resample, and of how many groups of clips; NaN throughout where fewer than two were scored."""

    values: Float[np.ndarray, " samples"]
    groups: int


class Resamples:
    """The scores of a run, resampled; the same scores and setting give the same numbers, bit for bit."""

    def __init__(self, scores: pd.DataFrame, setting: Setting, samples: int | None = None):
        """
        Args:
            samples: the setting's `bootstrap_samples` when not given.
        """
        self.setting = setting
        self.samples = setting.bootstrap_samples if samples is None else samples
        forecasts = scores["condition"].isin(KINDS)
        frames, moments = scores[scores["condition"] == "all"], scores[forecasts]
        self._scores = {False: dict(list(frames.groupby(KEY))), True: dict(list(moments.groupby(KEY)))}
        self._seeds = np.sort(scores["seed"].unique())
        self._seed_counts = self._draw("seeds", len(self._seeds))
        self._draws = {str(name): self._draws_of(str(name), part) for name, part in scores.groupby("dataset")}

    def of(self, cell: Mapping[Hashable, object], number: float) -> Drawn:
        """A cell of a table in every resample."""
        unknown = np.full(self.samples, np.nan)
        if not cell["kind"]:
            return Drawn(unknown, 0)  # a row of dataset statistics is counted, not sampled
        chosen = self._chosen(pd.Series(dict(cell)))
        draws = self._draws[chosen["dataset"].iloc[0]]
        values, weights = np.full((len(self._seeds), len(draws.clips)), np.nan), np.zeros(len(draws.clips))
        at = draws.clips.get_indexer(pd.Index(chosen["clip_id"]))
        values[np.searchsorted(self._seeds, chosen["seed"]), at] = chosen["value"]
        pooled = protocol_named(chosen["protocol"].iloc[0]).video_weights == "frames"
        np.maximum.at(weights, at, chosen["frames"] if pooled else 1)
        found = _means(values, weights, np.ones((1, len(values))), np.ones((1, len(weights))))[0]
        if not np.isclose(found, number, rtol=AGREEMENT, atol=AGREEMENT):
            raise FatalError(
                f"claims: {cell['paper']}-{cell['table']} has {number:.6g} for {cell['metric']} of {cell['row_id']} on "
                f"{cell['dataset']}, its scores give {found:.6g}; make the tables again"
            )
        groups = len(np.unique(draws.group[np.isfinite(values).any(0) & (weights > 0)]))
        return Drawn(unknown if groups < 2 else _means(values, weights, self._seed_counts, draws.counts), groups)

    def expansion(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion:
        """How far to move what was made of cells, the fewest groups behind any of which are given."""
        return expansion(again, groups, self.setting.interval_percent, self._seed_counts)

    def expansion_of_verdicts(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion:
        """As `expansion`, for what is said of methods: one training stands for all that might have been."""
        found = expansion(again, groups, self.setting.verdict_percent, self._seed_counts)
        is_single = len(self._seeds) == 1
        return found.widened(math.hypot(1, self.setting.training_noise)) if is_single else found

    def _chosen(self, cell: pd.Series) -> pd.DataFrame:
        """The scores behind a cell, as its table chose them."""
        variant = variant_of(cell["paper"], cell["row_id"], cell["kind"])
        key = (
            variant,
            stand_in(cell["dataset"], self.setting.world),
            protocol_in(cell, self.setting),
            metric_in_scores(cell, self.setting.forecast_reading),
            int(cell["horizon"] or 0),
            cell["dtw"] == "true",
        )
        chosen = self._scores[bool(cell["horizon"])].get(key)
        if chosen is not None and cell["action"] not in ("", "All"):
            chosen = chosen[chosen["action"].map(plain_action) == plain_action(cell["action"])]
        if chosen is None or chosen.empty:
            raise FatalError(
                f"claims: {cell['paper']}-{cell['table']} has a number for {cell['row_id']} on {cell['dataset']}, but "
                f"there are no scores of {variant}; make the tables again"
            )
        return chosen

    def _draws_of(self, dataset: str, scores: pd.DataFrame) -> _Draws:
        groups = scores.drop_duplicates("clip_id").set_index("clip_id")["group"].sort_index()
        codes, names = pd.factorize(groups, sort=True)
        return _Draws(groups.index, codes, self._draw(dataset, len(names))[:, codes])

    def _draw(self, what: str, items: int) -> Float[np.ndarray, "samples items"]:
        """How often each item is drawn in each resample."""
        random = np.random.default_rng([self.setting.seed, zlib.crc32(what.encode())])
        return random.multinomial(items, np.full(items, 1 / max(1, items)), size=self.samples).astype(np.float64)


def _means(
    values: Float[np.ndarray, "seeds clips"],
    weights: Float[np.ndarray, " clips"],
    seed_counts: Float[np.ndarray, "samples seeds"],
    clip_counts: Float[np.ndarray, "samples clips"],
) -> Float[np.ndarray, " samples"]:
    """Weighted means over what was drawn; NaN where nothing of the cell was."""
    known = np.isfinite(values)
    drawn = clip_counts * weights
    total = np.einsum("bc,bc->b", seed_counts @ np.where(known, values, 0), drawn)
    share = np.einsum("bc,bc->b", seed_counts @ known.astype(np.float64), drawn)
    return np.divide(total, share, out=np.full(len(total), np.nan), where=share > 0)
