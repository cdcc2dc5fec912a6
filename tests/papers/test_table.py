"""Every printed cell is there, ours stands in its own place with its interval, and a gap gives its reason."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import Config, DatasetSettings, ScaleSettings, load_variant
from moviestrip.evaluation.statistics import interval
from moviestrip.papers.layout import counts_data
from moviestrip.papers.printed import printed, printed_tables, table_names
from moviestrip.papers.render import to_markdown
from moviestrip.papers.states import table_states
from moviestrip.papers.table import (
    COLUMNS,
    build_table,
    cells_of,
    dataset_statistics,
    plain_action,
    prints_input_frames,
    summary_of,
)
from moviestrip.papers.variants import input_frames
from moviestrip.papers.worlds import PAPER_DATASETS, Setting, stand_in, variant_of

VARIANTS = ("single-view", "single-view-gaussian", "single-view-one-euro", "contextual-no-dynamics", "contextual")
DATASETS = ("studio", "street", "gym", "court", "vlog-mini", "insta-mini")


@pytest.fixture
def setting() -> Setting:
    return Setting.of(config())


def config(variants=VARIANTS, datasets=DATASETS) -> Config:
    return Config(name="t", world="miniature", datasets=datasets, variants=variants, training_seeds=(0, 1), tables=())


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for variant in VARIANTS:
        for dataset in ("street", "gym", "court"):
            metrics = ("pck", "accel") if dataset != "street" else ("pck", "mpjpe", "pa_mpjpe", "accel_error", "accel")
            for metric in metrics:
                for seed in (0, 1):
                    for clip in range(6):
                        for condition in ("all", "burst"):
                            rows.append((variant, seed, "hmmr", dataset, f"{dataset}-{clip}", f"motion-{clip}", "walk",
                                         metric, condition, 0, rng.normal(80, 5), "mm", False, 60,
                                         1 if clip == 0 else 0))  # fmt: skip
    names = (
        "variant seed protocol dataset clip_id group action metric condition horizon value unit dtw frames "
        "degenerate_frames"
    )
    return pd.DataFrame(rows, columns=names.split())


@pytest.mark.parametrize("name", table_names())
def test_the_printed_side_is_complete_even_where_ours_is_empty(name, setting):
    paper, number = name.split("-")
    table = build_table(paper, number, None, None, setting)
    assert list(table.columns) == COLUMNS
    original = printed(paper, number)
    kept = table[~table["note"].str.startswith("not printed")]
    key = ["row", "row_id", "dataset", "metric", "horizon", "action", "dtw"]
    assert kept[key].values.tolist() == original[key].values.tolist()
    assert kept["printed"].tolist() == original["value"].tolist()
    assert table["ours"].isna().all() and table["note"].str.contains("pending|cited").all()


def test_hmmr_2_holds_our_means_and_intervals(setting, scores):
    table = build_table("hmmr", "2", scores, None, setting)
    assert table["ours"].notna().all() and len(table) == 40
    cell = table[(table["row_id"] == "contextual") & (table["dataset"] == "3dpw") & (table["metric"] == "mpjpe")].iloc[
        0
    ]
    chosen = scores[(scores["variant"] == "contextual") & (scores["dataset"] == "street")]
    chosen = chosen[(chosen["metric"] == "mpjpe") & (chosen["condition"] == "all")]
    values = chosen.pivot(index="seed", columns="clip_id", values="value").to_numpy()
    assert (cell["ours"], cell["low"], cell["high"]) == pytest.approx(tuple(interval(values)))
    assert (cell["clips"], cell["frames"], cell["seeds"]) == (6, 360, 2)
    assert cell["printed"] == "127.1" and "street plays 3DPW" in cell["note"]
    assert "2 degenerate frames left out" in cell["note"]


def test_smoothing_baselines_are_added_rows_below_single_view(setting, scores):
    table = build_table("hmmr", "2", scores, None, setting)
    order = table["row_id"].drop_duplicates().tolist()
    assert order == list(VARIANTS)
    added = table[table["row_id"].isin(["single-view-gaussian", "single-view-one-euro"])]
    assert (added["printed"] == "").all() and len(added) == 16
    assert added["row"].drop_duplicates().tolist() == [
        "Single-view + Gaussian smoothing (our baseline)", "Single-view + one-euro filter (our baseline)"
    ]  # fmt: skip


@pytest.mark.parametrize("name", table_names())
def test_smoothing_stands_beside_every_table_of_what_models_see(name):
    """And beside no forecast: these have the last pose held, and the nearest neighbour."""
    cells = cells_of(*name.split("-"))
    forecasts = (cells["horizon"] != "").any()
    rows = cells["row_id"].drop_duplicates().tolist()
    smoothed = [row for row in rows if row.endswith(("-gaussian", "-one-euro"))]
    static = "single-view" if cells["paper"].iat[0] in ("hmmr", "phd") else "spin-backbone"
    wanted = [] if forecasts or counts_data(*name.split("-")) else [f"{static}-gaussian", f"{static}-one-euro"]
    assert smoothed == wanted
    columns = cells.groupby("row_id").size()
    assert set(columns[smoothed]) <= {columns.max()}
    for cell in cells[cells["row_id"].isin(smoothed)].to_dict("records"):
        assert variant_of(cell["paper"], cell["row_id"], cell["kind"]) == cell["row_id"]


def test_acceleration_is_per_frame_squared_and_says_how_it_is_printed(setting, scores):
    table = build_table("hmmr", "2", scores, None, setting)
    accelerations = table[table["metric"].str.startswith("accel")]
    assert set(accelerations["unit"]) == {"mm/frame^2"}
    printed_ones = accelerations[accelerations["printed"] != ""]
    assert printed_ones["note"].str.contains("printed as mm/s^2", regex=False).all()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"variants": ("single-view",)}, "pending: variant contextual is not trained"),
        ({"datasets": ("street",)}, "pending: dataset gym is not in this run"),
    ],
)
def test_a_gap_gives_its_reason(changed, reason, scores):
    table = build_table("hmmr", "2", scores, None, Setting.of(config(**changed)))
    assert table["note"].str.endswith(reason).any()


def test_how_many_frames_a_model_is_shown_is_known_without_scores():
    folder = Path(__file__).parents[2] / "config"
    names = ("contextual-instavariety", "vibe-3dpw-train", "tcmr-3dpw-train")
    smoothed = ("spin-backbone-gaussian", "spin-backbone-one-euro")
    frames = {name: input_frames(load_variant(name, folder), ScaleSettings()) for name in (*names, *smoothed)}
    assert frames == dict(zip(names, (20, 16, 16), strict=True)) | dict.fromkeys(smoothed, 1)
    table = build_table("tcmr", "4", None, None, Setting.of(config(variants=names), frames))
    cells = table[table["metric"] == "input_frames"].set_index("row_id")
    ours = cells.drop(index=["meva", *smoothed])
    assert ours["ours"].astype(int).tolist() == ours["printed"].astype(int).tolist() == [20, 16, 16]
    assert cells[["low", "clips", "seeds"]].isna().all(axis=None) and "cited" in cells.loc["meva", "note"]
    assert "| 20 │ *20* " in to_markdown(table, Setting.of(config(variants=names), frames))
    assert prints_input_frames("tcmr", "4") and not prints_input_frames("tcmr", "5")
    whole = config(variants=(*names, *smoothed), datasets=(*DATASETS, "studio", "hall"))
    assert table_states(whole).set_index("table").loc["tcmr-4", "state"] == "complete"


def test_actions_are_matched_whatever_their_spelling():
    assert plain_action("Sitting Down") == plain_action("sitting_down") == "sittingdown"


def test_dataset_statistics_count_clips_and_follow_the_settings():
    rows = [("a", "gym", 50, 25.0), ("b", "gym", 100, 25.0), ("c", "studio", 64, 32.0)]
    clips = pd.DataFrame(rows, columns=["clip_id", "dataset", "n_frames", "fps"])
    source = {"kind": "folder", "path": "/x"}
    common = {"title": "t", "licence": "l", "tube": "truth", "source": source}
    datasets = {
        "gym": DatasetSettings(role="sports2d", supervision="truth_2d", **common),
        "studio": DatasetSettings(role="mocap3d", supervision="full_3d", **common),
    }
    found = dataset_statistics(clips, datasets).set_index("dataset")
    assert found.loc["gym", ["frames", "clips", "seconds"]].tolist() == [150, 2, 3.0]
    assert found.loc["gym", "minutes"] == pytest.approx(0.1)
    assert found[["gt_3d", "gt_2d", "in_the_wild"]].astype(int).values.tolist() == [[0, 1, 1], [1, 1, 0]]


def test_hmmr_1_is_in_the_printed_units(setting):
    statistics = pd.DataFrame(
        {"dataset": list(DATASETS), "frames": 5000, "minutes": 3.0, "seconds": 2.5, "clips": 9, "gt_3d": True,
         "gt_2d": True, "in_the_wild": False}
    )  # fmt: skip
    table = build_table("hmmr", "1", None, statistics, setting).set_index(["row_id", "metric"])
    assert table.loc[("human36m", "frames"), "ours"] == 5.0
    assert table.loc[("instavariety", "frames"), "ours"] == 0.005
    assert table.loc[("nba", "gt_3d"), "ours"] == 1 and table["ours"].notna().all()


def test_table_states_tell_what_is_missing(scores):
    states = table_states(config()).set_index("table")
    assert len(states) == 25 and list(states.columns) == ["title", "state", "ours", "missing"]
    assert states.loc["hmmr-1", "state"] == states.loc["hmmr-2", "state"] == "complete"
    assert states.loc["hmmr-2", "ours"] == "5/5" and states.loc["hmmr-2", "missing"] == ""
    assert states.loc["hmmr-6", "state"] == "partial" and "mesh_posed" not in states.loc["hmmr-6", "missing"]
    assert states.loc["phd-4", ["state", "ours"]].tolist() == ["pending", "0/16"]
    assert states.loc["tcmr-4", "missing"].startswith(
        "variants contextual-instavariety, vibe-3dpw-train, tcmr-3dpw-train, spin-backbone-gaussian, "
        "spin-backbone-one-euro are not trained"
    )


def test_with_scores_at_hand_the_state_is_what_there_is(scores):
    states = table_states(config(), scores).set_index("table")
    assert states.loc["hmmr-2", "state"] == "complete" and states.loc["hmmr-1", "state"] == "pending"
    fewer = table_states(config(), scores[scores["dataset"] != "gym"]).set_index("table")
    assert fewer.loc["hmmr-2", ["state", "missing"]].tolist() == [
        "partial", "; ".join(f"{variant} has no scores on gym yet" for variant in VARIANTS)
    ]  # fmt: skip


def test_only_the_first_table_counts_data():
    assert [name for name in table_names() if counts_data(*name.split("-"))] == ["hmmr-1"]


def test_every_row_has_a_variant_or_is_cited_and_every_dataset_a_stand_in():
    for cell in printed_tables().to_dict("records"):
        if cell["kind"] in ("ours", "ablation", "baseline"):
            assert variant_of(cell["paper"], cell["row_id"], cell["kind"])
    assert {stand_in(name, "miniature") for name in PAPER_DATASETS} >= set(DATASETS)
    assert stand_in("3dpw", "papers") == "3dpw" and stand_in("", "papers") == ""


def test_reasons_are_told_in_one_line():
    reasons = [
        "pending: variant a is not trained",
        "",
        "x has no scores on gym yet",
        "pending: variant b is not trained",
    ]
    assert summary_of([*reasons, "metric m is not scored", reasons[0]]) == (
        "variants a, b are not trained; metric m is not scored; x has no scores on gym yet"
    )
