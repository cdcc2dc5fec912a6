"""Learned models against smoothed static ones, on scores whose differences are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import Config, VariantSettings, load_variant
from moviestrip.evaluation.statistics import interval, paired_difference
from moviestrip.papers.cells import cell_id, read_cells
from moviestrip.papers.printed import table_names
from moviestrip.papers.render import render_table
from moviestrip.papers.resamples import Resamples
from moviestrip.papers.smoothing import (
    COLUMNS,
    against_smoothing,
    smoothed_baselines,
    summary,
    tables_beside_smoothing,
    tally,
)
from moviestrip.papers.table import build_table
from moviestrip.papers.worlds import Setting

FOLDER = Path(__file__).parents[2] / "config"
CLIPS, MOTIONS, SEEDS = 60, 20, (0, 1, 2)
SMOOTHED = ("spin-backbone-gaussian", "spin-backbone-one-euro")
LEARNED = ("vibe", "g-only-spin", "g-mposer-spin", "g-only-hmr", "tcmr-3dpw-train", "tcmr-3dpw-train-15fps")
NAMES = ("spin-backbone", *SMOOTHED, *LEARNED)
ERRORS_MM = {"spin-backbone-gaussian": 70.0, "spin-backbone-one-euro": 71.0}
# By how much each differs from the Gaussian in every metric and clip, and how unevenly.
OFFSETS = {
    "spin-backbone": (4.0, 1.0),
    "spin-backbone-gaussian": (0.0, 0.0),
    "spin-backbone-one-euro": (-30.0, 0.0),  # the better on the test clips, which must not matter
    "vibe": (-2.0, 1.0),
    "g-only-spin": (0.0, 1.0),
    "g-mposer-spin": (2.0, 1.0),
    "g-only-hmr": (9.0, 1.0),
    "tcmr-3dpw-train": (-5.0, 1.0),
    "tcmr-3dpw-train-15fps": (-5.0, 1.0),
}


@pytest.fixture(scope="module")
def variants() -> dict[str, VariantSettings]:
    return {name: load_variant(name, FOLDER) for name in NAMES}


@pytest.fixture(scope="module")
def setting() -> Setting:
    config = Config(
        name="t", world="miniature", datasets=("street",), variants=NAMES, training_seeds=SEEDS,
        tables=("vibe-2", "tcmr-8"), evaluation={"bootstrap_samples": 2000},
    )  # fmt: skip
    return Setting.of(config)


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Clips are hard or easy for every model alike: by far more than models differ."""
    generator = np.random.default_rng(0)
    rows = []
    for metric in ("mpjpe", "pa_mpjpe", "pve", "accel_error"):
        hard = generator.normal(80, 25, CLIPS)
        for variant, (offset, spread) in OFFSETS.items():
            for seed in SEEDS:
                values = hard + offset + generator.normal(0, spread, CLIPS)
                for protocol in ("vibe", "tcmr"):
                    rows += [
                        (variant, seed, protocol, "street", f"clip-{clip:02d}", f"motion-{clip % MOTIONS}", "walk",
                         metric, "all", 0, False, values[clip], "mm", 40 + clip, 0)
                        for clip in range(CLIPS)
                    ]  # fmt: skip
    names = "variant seed protocol dataset clip_id group action metric condition horizon dtw value unit frames"
    return pd.DataFrame(rows, columns=[*names.split(), "degenerate_frames"])


@pytest.fixture(scope="module")
def tables(scores, setting, tmp_path_factory) -> list[pd.DataFrame]:
    """As a run writes and reads them."""
    found = []
    for name in ("vibe-2", "tcmr-8"):
        path = tmp_path_factory.mktemp("tables") / f"{name}.csv"
        path.write_text(render_table(build_table(*name.split("-"), scores, None, setting), setting)["csv"])
        found.append(read_cells(path))
    return found


@pytest.fixture(scope="module")
def compared(tables, variants, scores, setting) -> pd.DataFrame:
    return against_smoothing(tables, variants, "blazepose-full", ERRORS_MM, Resamples(scores, setting), 95)


def by_clip(scores: pd.DataFrame, variant: str, metric: str, protocol: str) -> np.ndarray:
    chosen = scores[(scores["variant"] == variant) & (scores["metric"] == metric) & (scores["protocol"] == protocol)]
    return chosen.pivot(index="seed", columns="clip_id", values="value").to_numpy()


def test_differences_are_paired_over_motions_and_seeds(compared, scores):
    assert list(compared.columns) == COLUMNS
    cell = compared[(compared["row"] == "vibe") & (compared["metric"] == "mpjpe")].iloc[0]
    groups = scores.drop_duplicates("clip_id").sort_values("clip_id")["group"].to_numpy()
    frames = scores.drop_duplicates("clip_id").sort_values("clip_id")["frames"].to_numpy()
    first, second = (by_clip(scores, name, "mpjpe", "vibe") for name in ("vibe", "spin-backbone-gaussian"))
    expected = paired_difference(first, second, frames, samples=4000, groups=groups)
    assert cell["difference"] == pytest.approx(expected.mean, abs=1e-3)
    assert cell[["low", "high"]].tolist() == pytest.approx([expected.low, expected.high], abs=0.1)
    unpaired = interval(first, frames, samples=500, groups=groups)
    assert cell["high"] - cell["low"] < 0.2 * (unpaired.high - unpaired.low)
    assert cell["learned"] - cell["smoothed"] == pytest.approx(cell["difference"])
    assert (cell["dataset"], cell["unit"], cell["clips"], cell["seeds"]) == ("3dpw", "mm", "60", "3")


def test_a_verdict_needs_an_interval_clear_of_zero(compared):
    of_rows = compared[compared["table"] == "vibe-2"].groupby("row")["verdict"].unique().map(set).to_dict()
    assert of_rows == {"vibe": {"better"}, "g-only-spin": {"undecided"}, "g-mposer-spin": {"worse"}}


def test_higher_is_better_where_the_table_says_so(tables, variants, scores, setting):
    turned = [table.assign(better="higher") for table in tables]
    found = against_smoothing(turned, variants, "blazepose-full", ERRORS_MM, Resamples(scores, setting), 95)
    assert set(found.loc[found["row"] == "vibe", "verdict"]) == {"worse"}
    assert set(found.loc[found["row"] == "g-mposer-spin", "verdict"]) == {"better"}


def test_the_rival_is_the_one_that_validates_better_and_not_the_one_that_tests_better(
    compared, tables, variants, scores, setting
):
    assert set(compared["baseline"]) == {"spin-backbone-gaussian"}
    other = dict(zip(ERRORS_MM, reversed(ERRORS_MM.values()), strict=True))
    found = against_smoothing(tables, variants, "blazepose-full", other, Resamples(scores, setting), 95)
    assert set(found["baseline"]) == {"spin-backbone-one-euro"}
    assert set(found["verdict"]) == {"worse"}


def test_what_says_nothing_about_time_is_left_out(compared):
    """Static models, models of other features, accelerations of another frame rate."""
    assert set(compared["row"]) == {"vibe", "g-only-spin", "g-mposer-spin", "tcmr-3dpw-train", "tcmr-3dpw-train-15fps"}
    by_row = compared[compared["table"] == "tcmr-8"].groupby("row")["metric"].apply(list)
    assert by_row["tcmr-3dpw-train"] == ["pa_mpjpe", "accel_error"]
    assert by_row["tcmr-3dpw-train-15fps"] == ["pa_mpjpe"]


def test_every_cell_has_the_address_that_it_has_in_its_table(compared, tables):
    addresses = {cell_id(cell) for table in tables for cell in table.to_dict("records")}
    assert set(compared["cell"]) <= addresses and compared["cell"].is_unique


def test_without_numbers_there_is_nothing_to_compare(setting, scores, variants, tmp_path):
    path = tmp_path / "vibe-2.csv"
    path.write_text(render_table(build_table("vibe", "2", None, None, setting), setting)["csv"])
    resamples = Resamples(scores, setting)
    found = against_smoothing([read_cells(path)], variants, "blazepose-full", ERRORS_MM, resamples, 95)
    assert found.empty and list(found.columns) == COLUMNS
    assert summary(found)[0].startswith("nothing to compare")


def test_the_summary_names_who_is_better_nowhere(compared):
    lines = summary(compared)
    assert lines[0].endswith("7 better than smoothing, 4 worse, 4 undecided")
    assert lines[-1] == "better nowhere: Baseline (only G), G + MPoser Prior"
    counts = tally(compared).set_index(["table", "row"])
    assert counts.loc[("vibe-2", "vibe"), ["better", "worse", "undecided"]].tolist() == [4, 0, 0]
    assert counts[["better", "worse", "undecided"]].to_numpy().sum() == len(compared)


def test_which_tables_and_which_baselines(variants):
    beside = tables_beside_smoothing(table_names())
    assert len(beside) == 16 and not {"hmmr-1", "hmmr-5", "phd-2"} & set(beside)
    assert smoothed_baselines(variants) == list(SMOOTHED)
    filtered = load_variant("vibe-3dpw-train-avg-filter", FOLDER)
    assert not filtered.is_smoothed_baseline  # it sees time before the filter does
