"""The plots among the papers' figures, drawn from the files of a run that is faked in a folder."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moviestrip import stages
from moviestrip.config import load_config
from moviestrip.errors import FatalError
from moviestrip.evaluation.metrics import acceleration_error, center_on_hips
from moviestrip.layout import RunFolder
from moviestrip.papers.figures import figure_named
from moviestrip.papers.worlds import Setting
from moviestrip.settings import StageSettings
from moviestrip.stages.figures import acceleration, drawer_of
from moviestrip.stages.job import Job
from moviestrip.storage import write_features, write_json
from moviestrip.tables import (
    ATTRIBUTES,
    CLIPS,
    CROPS,
    FEATURE_INDEX,
    LABELS,
    PREDICTIONS,
    SCORES,
    TableSchema,
    stack,
    unstack,
    write_table,
)
from tests.evaluation.test_forecasts import labels_of
from tests.figures.test_plots import words_of
from tests.training.stick_world import stick_clips
from tests.training.test_predict import untrained

LEFT_OUT = ("mpi-inf-3dhp", "instavariety", "nba")  # of what the variants train on
VARIANTS = ("spin-backbone", "single-view", "single-view-gaussian", "tcmr-ablation", "phd-causal", "ar-phi")
FRAMES = 20


def save(path, table: pd.DataFrame, schema: TableSchema) -> None:
    write_table(path, table[[column.name for column in schema.columns if column.name in table]], schema)


@pytest.fixture(scope="module")
def truth():
    return stick_clips("test", 3, n_frames=FRAMES, share_3d=1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, truth) -> RunFolder:
    """Three test clips of `street` with features, and a TCMR that has learnt nothing."""
    run = RunFolder(tmp_path_factory.mktemp("run"))
    names = [clip.clip_id for clip in truth.clips]
    zeros = unstack(np.zeros((len(truth.phi), 4), np.float32))
    labels = labels_of(truth).assign(
        video_frame=lambda table: table["frame"], box_center_px=unstack(truth.box_center_px.numpy()),
        translation_m=[row[:3] for row in zeros], intrinsics_px=zeros, burst="none",
    )  # fmt: skip
    labels.loc[labels["frame"].between(4, 6), "burst"] = "blur"
    clips = pd.DataFrame(
        {
            "clip_id": names, "dataset": "street", "video_id": "v", "track": 0, "split": "test", "subject": "S",
            "action": "walking", "motion_id": names, "supervision": "full_3d", "first_frame": 0, "n_frames": FRAMES,
            "fps": 25.0,
        }
    )  # fmt: skip
    attributes = clips[["clip_id"]].assign(filter="length", value=20.0, threshold=16.0, passed=True)
    crops = labels[["clip_id", "frame", "box_center_px", "box_scale"]].assign(mirrored=False)
    index = clips[["clip_id", "n_frames"]].assign(start=[clip.first_row for clip in truth.clips])
    features = run.features("blazepose-full", "street", "street-0")
    write_json(run.plan("street", "street-0"), {"videos": []})
    save(run.clips("street", "street-0"), clips, CLIPS)
    save(run.attributes("street", "street-0"), attributes, ATTRIBUTES)
    save(run.labels("street", "street-0"), labels, LABELS)
    save(features.index, index, FEATURE_INDEX)
    save(features.crops, crops, CROPS)
    write_features(features.phi, truth.phi.numpy(), {"backbone": "stick"})
    run.checkpoint("tcmr-ablation", 0).parent.mkdir(parents=True)
    design = {"encoder": "pose-forecast", "pose_forecast": "without-current", "residual": False}
    untrained(run.checkpoint("tcmr-ablation", 0), **design, integration_width=16)
    return run


@pytest.fixture(scope="module")
def job(run, repository) -> Job:
    config = load_config([repository / "config.yaml"])
    config = config.model_copy(
        update={"variants": VARIANTS, "datasets": ("street", "studio", "gym"), "train_without": LEFT_OUT}
    )
    return Job(run, StageSettings.from_config(config, repository / "config"))


def draw(job: Job, name: str):
    setting = replace(Setting.of(job.settings.config()), bootstrap_samples=100)
    return drawer_of(name)(job, figure_named(name), setting)


def scores_of(cells, dataset: str, protocol: str, **columns) -> pd.DataFrame:
    """SCORES of two clips, ten apart, around each (variant, metric, horizon, dtw, value)."""
    rows = [
        {"variant": variant, "metric": metric, "horizon": horizon, "dtw": dtw, "value": value + away, "clip_id": clip}
        for variant, metric, horizon, dtw, value in cells
        for clip, away in (("a", -5.0), ("b", 5.0))
    ]
    table = pd.DataFrame(rows).assign(
        seed=0, protocol=protocol, dataset=dataset, action="walking", condition="all", unit="mm", frames=FRAMES,
        degenerate_frames=0,
    )  # fmt: skip
    return table.assign(group=table["clip_id"], **columns)


def test_every_variant_is_a_point_with_both_errors(run, job):
    errors = {name: (40.0 + 10 * place, 60.0 - place) for place, name in enumerate(VARIANTS)}
    errors["single-view-gaussian"] = (9.0, 61.0)
    for name, (accel, position) in errors.items():
        cells = [(name, "accel_error", 0, False, accel), (name, "pa_mpjpe", 0, False, position)]
        table = pd.concat([scores_of(cells, "street", protocol) for protocol in ("hmmr", "tcmr")])
        table.loc[table["protocol"] == "hmmr", "value"] += 1000  # of another protocol: not to be drawn
        burst = table.assign(condition="burst", value=2000.0)
        save(run.scores(name, 0, "street"), pd.concat([table, burst]), SCORES)
    drawn = draw(job, "trade-off")
    assert set(VARIANTS) | {"HMMR", "VIBE", "PHD", "TCMR"} <= set(words_of(drawn.picture))
    means = drawn.data.pivot(index="variant", columns="metric", values="mean")
    expected = pd.DataFrame(errors, index=["accel_error", "pa_mpjpe"]).T
    np.testing.assert_allclose(means.loc[expected.index, expected.columns], expected, rtol=1e-6)
    assert "Miniature world: street plays 3DPW; 2 test clips" in drawn.note
    assert "of 5 others 0 are smoother than single-view-gaussian, 5 more accurate, 0 both" in drawn.note


def test_forecasts_are_drawn_with_and_without_warping(run, job):
    for row, dataset in itertools.product(("ar-phi", "constant", "nearest-neighbour"), ("studio", "gym")):
        metric = "pa_mpjpe" if dataset == "studio" else "pck"
        cells = [(row, metric, step, dtw, 50.0 + step - 5 * dtw) for step in (1, 10, 30) for dtw in (False, True)]
        table = scores_of(cells, dataset, "phd", condition="forecast")
        save(
            run.forecast_scores(row, 0, dataset),
            pd.concat([table, table.assign(condition="dynamics", value=0)]),
            SCORES,
        )
    drawn = draw(job, "phd-horizons")
    assert {"ar-phi", "constant", "nearest-neighbour", "studio, with time warping"} <= set(words_of(drawn.picture))
    assert len(drawn.data) == 2 * 3 * 3 * 2
    last = drawn.data[(drawn.data["horizon"] == 30) & drawn.data["dtw"]]
    np.testing.assert_allclose(last["mean"], 75.0)
    assert "at horizon 30 on gym by -5.0 to -5.0" in drawn.note
    assert "not trained in this run: ar-phi-no-movie-strip, ar-theta" in drawn.note


def test_attention_is_of_every_frame_and_sums_to_one(job, truth):
    drawn = draw(job, "tcmr-attention")
    frames = drawn.data[drawn.data["frame"].notna()]
    assert len(frames) == 3 * FRAMES
    np.testing.assert_allclose(frames[["past", "current", "future"]].sum(axis=1), 1, atol=1e-6)
    whole = drawn.data[drawn.data["frame"].isna()].set_index("part")
    for part in ("past", "current", "future"):
        expected = np.corrcoef(frames[part].astype(float), frames["speed_m_per_s"].astype(float))[0, 1]
        assert whole.loc[part, "correlation"] == pytest.approx(expected, abs=1e-4)
        assert whole.loc[part, "mean_attention"] == pytest.approx(frames[part].mean(), rel=1e-5)
    assert words_of(drawn.picture).count("blur") == 2 and "± 20 %" in drawn.note


@pytest.fixture
def grey_video(monkeypatch) -> None:
    def frames_of_dataset(run, dataset):
        return lambda video_id: iter(np.full((FRAMES, 64, 64, 3), 128, np.uint8))

    monkeypatch.setattr(acceleration, "frames_of_dataset", frames_of_dataset)


def predictions_of(truth, random: np.random.Generator) -> pd.DataFrame:
    labels = labels_of(truth)
    joints = stack(labels["joints_3d_m"], 42) + random.normal(0, 0.02, (len(labels), 42))
    zeros = np.zeros((len(labels), 50), np.float32)
    return labels.assign(joints_3d_m=unstack(joints), camera=unstack(zeros[:, :3]), keypoints_2d=unstack(zeros))


@pytest.mark.usefixtures("grey_video")
def test_acceleration_is_of_the_clip_that_moves_most(run, job, truth):
    random = np.random.default_rng(0)
    predictions = {row: predictions_of(truth, random) for row in ("tcmr-ablation", "single-view")}
    for row, table in predictions.items():
        save(run.predictions(row, 0, "street"), table, PREDICTIONS)
    drawn = draw(job, "tcmr-5")
    frames = drawn.data[drawn.data["frame"].notna()]
    (shown,) = frames["clip_id"].unique()
    speed = {}
    for clip in truth.clips:
        joints = center_on_hips(truth.joints_3d_m[truth.rows_of(clip)].numpy())
        speed[clip.clip_id] = np.linalg.norm(np.gradient(joints, axis=0), axis=-1).mean()
    assert shown == max(speed, key=speed.get)
    for row, table in predictions.items():
        here = table["clip_id"] == shown
        sides = (stack(side.loc[here, "joints_3d_m"], 14, 3) for side in (table, labels_of(truth)))
        expected = acceleration_error(*map(center_on_hips, sides)) * 1000
        drawn_row = frames[frames["variant"] == row]
        np.testing.assert_allclose(drawn_row["value"], expected, rtol=1e-5)
        assert drawn_row["frame"].tolist() == list(range(1, FRAMES - 1))
    assert drawn.picture.count("<image ") == 9 and "blur" in words_of(drawn.picture)


@pytest.mark.usefixtures("grey_video")
def test_predictions_that_lack_frames_are_refused(run, job, truth):
    table = predictions_of(truth, np.random.default_rng(1))
    for row in ("tcmr-ablation", "single-view"):
        save(run.predictions(row, 0, "street"), table[table["frame"] < 10], PREDICTIONS)
    with pytest.raises(FatalError, match="lacks 10 of 20 frames"):
        draw(job, "tcmr-5")


def test_a_drawn_plot_is_written_with_its_numbers(run, job, tmp_path):
    drawn = draw(job, "tcmr-attention")
    drawn.write(tmp_path, {"title": "t"})
    assert json.loads((tmp_path / "caption.json").read_text())["picture"] == "picture.svg"
    assert len(pd.read_csv(tmp_path / "data.csv")) == len(drawn.data)


def test_a_figure_says_what_its_models_were_trained_without(run, job):
    stages.figure(job, "tcmr-attention")
    caption = json.loads((run.figure("tcmr-attention") / "caption.json").read_text())
    assert caption["note"].endswith("Trained without MPI-INF-3DHP, InstaVariety, NBA.")
