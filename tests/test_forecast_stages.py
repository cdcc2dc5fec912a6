"""The stages of forecasts, from features and checkpoints in a run's folder to scores, on clips of the stick world."""

import numpy as np
import pandas as pd
import pytest

from moviestrip import stages
from moviestrip.config import load_config, load_variant
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.settings import StageSettings
from moviestrip.storage import write_features, write_json
from moviestrip.tables import (
    ATTRIBUTES,
    CLIPS,
    CROPS,
    FEATURE_INDEX,
    FORECASTS,
    LABELS,
    SCORES,
    read_table,
    unstack,
    write_table,
)
from tests.evaluation.test_forecasts import labels_of
from tests.training.stick_world import StickBody, stick_clips
from tests.training.test_predict import untrained

CAUSAL = {"encoder": "movie-strip", "causal": True, "ends": "edge", "norm": "group-norm-per-frame"}


class MovableStickBody(StickBody):
    def to(self, device):
        return self


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """Training and test clips of `studio`, and models that learnt nothing."""
    run = RunFolder(tmp_path_factory.mktemp("run"))
    parts = {"train": stick_clips("train", 3, n_frames=48, share_3d=1.0)}
    parts["test"] = stick_clips("test", 2, n_frames=48, share_3d=1.0)
    for split, dataset in parts.items():
        write_shard(run, f"studio-{split}", split, dataset)
    write_json(run.body, {"name": "stick"})
    for variant, design in {
        "phd-causal": CAUSAL,
        "ar-phi": {**CAUSAL, "autoregressor": "strip"},
        "contextual": {"encoder": "movie-strip", "delta_frames": (-5, 5), "hallucinator": True},
    }.items():
        run.checkpoint(variant, 0).parent.mkdir(parents=True)
        untrained(run.checkpoint(variant, 0), **design)
    return run


def write_shard(run: RunFolder, shard: str, split: str, dataset) -> None:
    labels, count = labels_of(dataset), len(dataset.phi)
    center, zeros = unstack(dataset.box_center_px.numpy()), np.zeros((count, 4), np.float32)
    labels = labels.assign(
        video_frame=labels["frame"], box_center_px=center, translation_m=unstack(zeros[:, :3]), burst="none",
        intrinsics_px=unstack(zeros),
    )  # fmt: skip
    clips = pd.DataFrame(
        {
            "clip_id": [clip.clip_id for clip in dataset.clips], "dataset": "studio", "video_id": "v", "track": 0,
            "split": split, "subject": "S", "action": "walking", "motion_id": "", "supervision": "full_3d",
            "first_frame": 0, "n_frames": 48, "fps": 25.0,
        }
    )  # fmt: skip
    attributes = clips[["clip_id"]].assign(filter="length", value=48.0, threshold=32.0, passed=True)
    crops = labels[["clip_id", "frame", "box_center_px", "box_scale"]].assign(mirrored=False)
    index = clips[["clip_id", "n_frames"]].assign(start=[clip.first_row for clip in dataset.clips])
    files = run.features("blazepose-full", "studio", shard)
    write_json(run.plan("studio", shard), {"videos": []})
    for path, table, schema in (
        (run.clips("studio", shard), clips, CLIPS),
        (run.attributes("studio", shard), attributes, ATTRIBUTES),
        (run.labels("studio", shard), labels, LABELS),
        (files.index, index, FEATURE_INDEX),
        (files.crops, crops, CROPS),
    ):
        kept = [column.name for column in schema.columns if column.name in table]
        write_table(path, table[kept], schema)
    write_features(files.phi, dataset.phi.numpy(), {"backbone": "stick"})


def job_of(run: RunFolder, repository, variant: str | None) -> stages.Job:
    files = [repository / "config.yaml"]
    settings = StageSettings.from_config(load_config(files), repository / "config", variant=variant)
    assert variant is None or load_variant(variant, repository / "config")
    return stages.Job(run, settings)


@pytest.fixture
def stick_body(monkeypatch) -> None:
    monkeypatch.setattr(stages.Job, "body", lambda job: None)
    monkeypatch.setattr(stages.forecasting, "keypoints_of", lambda body: MovableStickBody())


@pytest.mark.usefixtures("stick_body")
def test_every_row_is_forecast_and_scored(run, repository):
    behind = {"ar-phi": "ar-phi", "constant": "phd-causal", "nearest-neighbour": "phd-causal", "oracle-nn": None}
    behind |= {"hallucinator": "hallucinator", "constant-hallucinated": "hallucinator"}
    for row, variant in behind.items():
        job = job_of(run, repository, variant)
        stages.forecast(job, row, 0, ["studio"])
        stages.evaluate_forecasts(job, row, 0, ["studio"])
    found = {row: read_table(run.forecasts(row, 0, "studio"), FORECASTS) for row in behind}
    scores = {row: read_table(run.forecast_scores(row, 0, "studio"), SCORES) for row in behind}
    for row in ("ar-phi", "constant", "nearest-neighbour"):
        assert sorted(set(found[row]["horizon"])) == list(range(31)) and set(found[row]["start_frame"]) == {14}
        assert set(scores[row]["protocol"]) == {"phd"} and scores[row]["dtw"].any()
    for row in ("hallucinator", "constant-hallucinated", "oracle-nn"):
        assert sorted(set(found[row]["horizon"])) == [-5, 0, 5] and len(found[row]) == 2 * 38 * 3
        assert not scores[row]["dtw"].any()
    assert set(scores["hallucinator"]["protocol"]) == {"hmmr", "phd"}
    assert all(set(table["clip_id"]) == {"test-00", "test-01"} for table in scores.values())
    present = [
        table[(table["horizon"] == 0) & (table["metric"] == "pa_mpjpe") & (table["protocol"] == "hmmr")][
            "value"
        ].tolist()
        for table in (scores["hallucinator"], scores["constant-hallucinated"])
    ]
    assert present[0] == present[1]


@pytest.mark.usefixtures("stick_body")
def test_a_variant_without_a_future_is_refused(run, repository):
    with pytest.raises(ConfigError, match="variant 'phd-causal' does not forecast"):
        stages.forecast(job_of(run, repository, "phd-causal"), "phd-causal", 0, ["studio"])
    with pytest.raises(ConfigError, match="no table prints forecasts of 'phd-causal'"):
        stages.forecast(job_of(run, repository, "phd-causal"), "phd-causal", 0)
