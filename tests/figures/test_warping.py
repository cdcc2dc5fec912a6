"""Forecasts and what time warping matches: which are shown, their path, and the whole figure of a small run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moviestrip import stages
from moviestrip.config import load_config
from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.dtw import DEFAULT, DtwOptions, mean_up_to_horizon
from moviestrip.evaluation.protocols import protocol_named
from moviestrip.figures.alignment import alignment_picture, alignment_sheet
from moviestrip.layout import RunFolder
from moviestrip.papers.figures import figure_named
from moviestrip.papers.worlds import Setting
from moviestrip.settings import StageSettings
from moviestrip.stages.figures.warping import at_quantile, draw_warping, matched, shown, warping_gains, whole_path
from moviestrip.tables import FORECASTS, stack, unstack, write_table
from tests.evaluation.test_forecasts import clip_table, labels_of, perfect_forecasts
from tests.test_forecast_stages import write_shard
from tests.training.stick_world import stick_clips

PHD = protocol_named("phd")
SHIFTED, CONTEMPORARY = (213, 94, 0), (150, 150, 158)


@pytest.fixture(scope="module")
def clips():
    return stick_clips("test", 3, n_frames=48, share_3d=1.0)


def early(dataset, speed: float) -> pd.DataFrame:
    """Forecasts from one frame of each clip that run ahead of the truth, and then wait."""
    forecasts = perfect_forecasts(dataset, every_frames=25)
    ahead = (np.arange(31) * speed).astype(int).clip(0, 30)
    rows = (np.arange(len(forecasts) // 31)[:, None] * 31 + ahead).ravel()
    said = ["pose", "betas", "joints_3d_m", "points_3d_m"]
    return forecasts.assign(**{name: forecasts[name].to_numpy()[rows] for name in said})


def gains_of(dataset, forecasts, labels=None, options=DEFAULT):
    labels = labels_of(dataset) if labels is None else labels
    return warping_gains(forecasts, labels, clip_table(dataset), PHD, whole_path(options))


def test_errors_are_means_over_all_frames_before_and_over_the_path_after(clips):
    gains = gains_of(clips, early(clips, 1.5))
    assert gains.metric == "pa_mpjpe" and len(gains.table) == 3
    moments = gains.moments
    errors = mean_up_to_horizon(metrics.pa_mpjpe(moments.predicted_m, moments.target_m))[:, -1] * 1000
    np.testing.assert_allclose(gains.table["before"], errors, rtol=1e-5)
    assert (gains.table["gain"] > 0.5 * gains.table["before"]).all()
    for position, after in zip(gains.table["position"], gains.table["after"], strict=True):
        pair = matched(moments, position, "pa_mpjpe", PHD, DEFAULT)
        on_path = metrics.pa_mpjpe(pair.predicted[pair.matches[:, 1]], pair.target[pair.matches[:, 0]])
        assert on_path.mean() * 1000 == pytest.approx(after, rel=1e-4)
        assert (pair.matches[:, 1] <= pair.matches[:, 0]).all()  # each moment is forecast too soon


@pytest.mark.parametrize("reading", ["full_at", "full_up_to"])
def test_the_reading_of_a_horizon_does_not_matter(clips, reading):
    forecasts = early(clips, 1.5)
    assert gains_of(clips, forecasts, options=DtwOptions(reading=reading)).table.equals(
        gains_of(clips, forecasts).table
    )


def test_without_3d_truth_it_is_pck_of_what_is_seen(clips):
    labels = labels_of(clips).assign(has_3d=False)
    gains = gains_of(clips, early(clips, 1.5), labels)
    assert gains.metric == "pck" and set(gains.table["unit"]) == {"%"}
    assert (gains.table["gain"] == (gains.table["after"] - gains.table["before"]).round(3)).all()
    assert gains.table["gain"].max() > 1
    seen = gains.moments.confidence[0] > 0
    assert (
        not seen.all()
        and np.isnan(matched(gains.moments, 0, "pck", PHD, DEFAULT).target[..., 0]).sum() == (~seen).sum()
    )


def test_perfect_forecasts_gain_nothing(clips):
    table = gains_of(clips, perfect_forecasts(clips)).table
    assert len(table) == 12 and (table["gain"] == 0).all() and (table["after"] < 0.01).all()


def test_a_forecast_of_a_frame_that_does_not_count_is_left_out(clips):
    labels = labels_of(clips).assign(has_3d=lambda rows: ~((rows["clip_id"] == "test-01") & (rows["frame"] == 20)))
    assert gains_of(clips, early(clips, 1.5), labels).table["clip_id"].tolist() == ["test-00", "test-02"]
    hidden = stack(labels["keypoints_2d"], 25, 3).copy()
    hidden[..., 2] = 0
    with pytest.raises(ConfigError, match="of 3 forecasts none has 30 frames that all count"):
        gains_of(clips, early(clips, 1.5), labels.assign(has_3d=False, keypoints_2d=unstack(hidden)))


def test_quantiles_are_by_rank_and_equal_gains_by_clip_and_start():
    table = pd.DataFrame(
        {
            "clip_id": list("bbbaac") + [f"x{i}" for i in range(8)],
            "start_frame": [14, 15, 16, 14, 15, 14] + [14] * 8,
            "gain": [5.0, 1.0, 3.0, 2.0, 2.0, 9.0] + [20.0 + i for i in range(8)],
        }
    )
    assert at_quantile(table.iloc[:3], 0.5) == 2 and at_quantile(table.iloc[3:5], 0.5) == 3
    found = shown(table)
    assert {table.loc[index, "clip_id"]: name for index, name in found.items()} == {
        "x2": "median",
        "x6": "90th percentile",
    }
    assert list(shown(table.iloc[:3]).values()) == ["median and 90th percentile"]


def lines_of(picture, colour) -> int:
    return int((np.abs(picture.astype(int) - colour).sum(-1) < 20).sum())


def test_one_of_several_poses_is_drawn_and_every_line():
    poses = np.random.default_rng(3).normal(size=(12, 14, 3))
    straight = np.stack([np.arange(12)] * 2, 1)
    picture = alignment_picture(poses, poses, straight, cell_px=(60, 90), every_frames=3, text_px=12)
    between = picture[picture.shape[0] // 2]
    grey = np.abs(between.astype(int) - CONTEMPORARY).sum(-1) < 20
    starts = np.flatnonzero(np.diff(grey.astype(int)) == 1)
    assert len(starts) == 12 and np.ptp(np.diff(starts)) <= 1 and np.diff(starts).mean() == pytest.approx(20, abs=0.1)
    assert picture.shape[1] - round(6.4 * 12) == 4 * 60
    late = alignment_picture(poses, poses, np.array([[0, 0], [1, 0], [2, 1], [11, 11]]), cell_px=(60, 90))
    assert lines_of(picture, SHIFTED) == 0 < lines_of(late, SHIFTED)


def test_a_sheet_holds_all_pictures_under_their_lines():
    wide, narrow = np.full((40, 300, 3), 10, np.uint8), np.full((30, 200, 3), 20, np.uint8)
    sheet = alignment_sheet([(("one line",), wide), (("two", "lines"), narrow)])
    assert sheet.shape[1] == 300 and (sheet == 10).all(-1).sum() >= 40 * 300 and (sheet == 20).all(-1).sum() >= 6000
    first = int(np.flatnonzero((sheet == 10).all((1, 2)))[0])
    assert (sheet[:first].min(-1) < 120).any(), "no text above the first picture"
    with pytest.raises(FatalError, match="no picture"):
        alignment_sheet([])


def test_the_figure_of_a_run_says_what_it_shows(tmp_path, repository, clips):
    run = RunFolder(tmp_path)
    write_shard(run, "studio-test", "test", clips)
    path = run.forecasts("ar-phi", 0, "studio")
    write_table(path, early(clips, 1.5), FORECASTS)
    config = load_config([repository / "config.yaml"])
    job = stages.Job(run, StageSettings.from_config(config, repository / "config"))
    figure = replace(figure_named("phd-8"), paper_datasets=("h36m",))
    drawn = draw_warping(job, figure, Setting.of(config))
    assert drawn.data["shown"].tolist().count("") == 1 and len(drawn.data) == 3
    assert drawn.picture.tobytes() == draw_warping(job, figure, Setting.of(config)).picture.tobytes()
    gain = f"mean gain {drawn.data['gain'].mean():.1f} mm"
    assert "3 forecasts of 3 test clips, " + gain in drawn.note and "miniature world" in drawn.note
    assert lines_of(drawn.picture, SHIFTED) > 1000
