"""PHD's tables of forecasts and HMMR's fifth take their cells from forecast scores, and say why one is empty."""

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import Config, EvaluationSettings
from moviestrip.evaluation.protocols import UP_TO_HORIZON
from moviestrip.papers.forecasts import FORECAST_TABLES, forecasts_of
from moviestrip.papers.render import caption_of
from moviestrip.papers.resamples import Resamples
from moviestrip.papers.states import table_states
from moviestrip.papers.table import build_table, plain_action
from moviestrip.papers.worlds import Setting, can_be_made

VARIANTS = ("ar-phi", "ar-phi-no-movie-strip", "ar-theta", "phd-causal", "hallucinator", "hallucinator-no-lhal")
ACTIONS = {"studio": ("walking", "sitting_down", "photo"), "gym": ("golf_swing", "push_ups")}


def config(variants=VARIANTS) -> Config:
    return Config(
        name="t", world="miniature", datasets=("studio", "gym"), variants=variants, training_seeds=(0, 1), tables=()
    )


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Of every row: 2 clips an action; a value tells its horizon, and whether it was warped."""
    rows = []
    for variant, seed, dataset in forecasts_of(FORECAST_TABLES, "miniature", ("studio", "gym"), VARIANTS, (0, 1)):
        dynamics = variant.startswith(("hall", "oracle", "constant-"))
        for protocol in ("phd", "hmmr") if dynamics else ("phd",):
            for metric in ("pa_mpjpe", "pck"):
                for action in ACTIONS[dataset]:
                    for horizon in (-5, 0, 5) if dynamics else (1, 5, 10, 20, 30):
                        for dtw in (False,) if dynamics else (False, True):
                            value = horizon + 1000 * dtw + (100 if metric == "pck" else 0)
                            for clip in (0, 1):
                                rows.append((variant, seed, protocol, dataset, f"{action}-{clip}", f"{action}-{clip}",
                                             action, metric, "dynamics" if dynamics else "forecast", horizon, dtw,
                                             value + clip, "mm", 4, 0))  # fmt: skip
    names = "variant seed protocol dataset clip_id group action metric condition horizon dtw value unit frames"
    found = pd.DataFrame(rows, columns=[*names.split(), "degenerate_frames"])
    decoy = found.assign(condition="all", horizon=0, dtw=False, value=-1.0).drop_duplicates(
        ["variant", "seed", "protocol", "dataset", "clip_id", "metric"]
    )
    return pd.concat([found, decoy], ignore_index=True)  # `evaluate` scores the same variants frame by frame


@pytest.mark.parametrize("name", ["phd-2", "phd-8", "phd-3"])
def test_every_row_fills_its_horizons_with_and_without_warping(name, scores):
    table = build_table(*name.split("-"), scores, None, Setting.of(config()))
    ours = table[~table["note"].str.contains("cited by the paper")]
    assert set(table.loc[table["ours"].isna(), "row_id"]) == ({"chao"} if name == "phd-3" else set())
    expected = ours["horizon"].astype(int) + 1000.0 * (ours["dtw"] == "true") + 100 * (ours["metric"] == "pck") + 0.5
    np.testing.assert_allclose(ours["ours"], expected)


def test_ours_may_be_read_as_the_mean_up_to_a_horizon_where_warping_is_the_other_side(scores):
    averaged = scores[~scores["dtw"] & (scores["condition"] == "forecast")]
    averaged = averaged.assign(metric=averaged["metric"] + UP_TO_HORIZON, value=averaged["value"] - 0.25)
    both = pd.concat([scores, averaged], ignore_index=True)
    chosen = config().model_copy(update={"evaluation": EvaluationSettings(forecast_reading="mean_up_to_horizon")})
    for name, lower in (("phd-2", 0), ("phd-3", 0), ("phd-8", 0.25)):
        plain, read = (build_table(*name.split("-"), both, None, Setting.of(made)) for made in (config(), chosen))
        known = plain["ours"].notna()
        np.testing.assert_allclose(read.loc[known, "ours"], plain.loc[known, "ours"] - lower)
        said = "Ours at +n is the mean over frames 1 to n" in caption_of(read, Setting.of(chosen))
        assert said == bool(lower) and "mean over frames" not in caption_of(plain, Setting.of(config()))
    drawn = Resamples(both, Setting.of(chosen))
    cell = build_table("phd", "8", both, None, Setting.of(chosen)).assign(kind="ours").iloc[0].to_dict()
    assert np.isfinite(drawn.of(cell, cell["ours"]).values).all()


def test_hmmr_5_takes_past_and_present_from_the_dynamics(scores):
    table = build_table("hmmr", "5", scores, None, Setting.of(config()))
    np.testing.assert_allclose(table["ours"], table["horizon"].astype(int) + 0.5)
    assert table.groupby("row_id")["seeds"].max().to_dict() == {
        "oracle-nn": 1, "constant": 2, "hallucinator": 2, "hallucinator-no-lhal": 2
    }  # fmt: skip


def test_an_action_that_no_test_clip_shows_is_said(scores):
    cells = build_table("phd", "4", scores, None, Setting.of(config())).set_index(["action", "horizon"])
    assert cells.loc[("Taking Photo", "30"), "ours"] == 1030.5 and cells.loc[("All", "30"), "clips"] == 6
    assert cells.loc[("Sitting Down", "1"), "clips"] == 2
    assert cells.loc[("Smoking", "1"), "note"].endswith("no test clip of studio shows Smoking long enough")
    gym = build_table("phd", "7", scores, None, Setting.of(config())).set_index(["action", "horizon"])
    assert gym.loc[("Pushup", "5"), "ours"] == 105.5 and np.isnan(gym.loc[("Bowl", "5"), "ours"])


def test_a_baseline_waits_for_the_variant_behind_it():
    assert can_be_made("oracle-nn", ()) and not can_be_made("constant", ("ar-phi",))
    states = table_states(config(("ar-phi",))).set_index("table")
    assert states.loc["phd-2", "state"] == "partial" and states.loc["phd-2", "ours"] == "1/5"
    assert states.loc["phd-2", "missing"] == "variants ar-phi-no-movie-strip, ar-theta, phd-causal are not trained"
    assert states.loc[["phd-4", "phd-5", "phd-6", "phd-7"], "state"].eq("complete").all()
    assert states.loc["hmmr-5", "ours"] == "1/4"
    everything = table_states(config()).set_index("table").loc[list(FORECAST_TABLES)]
    assert everything["state"].eq("complete").all()


@pytest.mark.parametrize(
    ("ours", "printed"),
    [("walking_together", "Walk Together"), ("photo", "Taking Photo"), ("sit_ups", "Situp"), ("squats", "Squat"),
     ("clean_and_jerk", "Clean And Jerk"), ("WalkDog", "Walking Dog")],
)  # fmt: skip
def test_the_worlds_actions_are_phds(ours, printed):
    assert plain_action(ours) == plain_action(printed)
