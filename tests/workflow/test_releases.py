"""Every official release through the whole pipeline, for real: what is written is what is learnt from and scored."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from moviestrip import tables
from moviestrip.layout import RunFolder
from moviestrip.papers.worlds import variant_of
from moviestrip.provenance import read_record
from moviestrip.tables import read_tables, stack
from moviestrip.video.fetch import video_id_of
from tests.workflow.releases import CASES, WRITERS, Case, TrueVideo, configuration, true_videos

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@dataclass(frozen=True)
class Workplace:
    """A user's folder: the code with its configuration, the releases, and the results."""

    folder: Path
    case: Case
    written: dict[str, Any]  # by release

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder / "results" / "tiny")

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        settings = ("--snakefile", self.folder / "Snakefile", "--configfile", self.folder / "tiny.yaml")
        return self._call("snakemake", *map(str, settings), "--cores", "2", *arguments)

    def moviestrip(self, *arguments: str) -> subprocess.CompletedProcess:
        return self._call("moviestrip.cli", *arguments)

    def _call(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)


def prepare(folder: Path, repository: Path, case: Case) -> Workplace:
    """Write the releases, and the code's configuration with what a user adds to it."""
    for name in ("workflow", "envs", "config"):
        shutil.copytree(repository / name, folder / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(repository / name, folder)
    written = {name: WRITERS[name](folder / "data" / name) for name in case.datasets}
    folders = {name: each.folder for name, each in written.items()}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(configuration(case, folders)))
    own = {"extends": "single-view", "title": "Ours", "datasets": case.datasets}
    (folder / "config/variants/own.yaml").write_text(yaml.safe_dump(own))
    return Workplace(folder, case, written)


@pytest.mark.parametrize("release", CASES)
def test_a_release_flows_through_the_whole_pipeline(release: str, tmp_path: Path, repository: Path, free_body: Path):
    place = prepare(tmp_path, repository, CASES[release])
    finished = place.snakemake()
    assert finished.returncode == 0, finished.stderr[-4000:]
    for name in place.case.datasets:
        require_true_labels(place, name)
    require_learnt(place)
    require_scored(place)
    require_sound(place)
    again = place.snakemake()
    assert "Nothing to be done" in again.stderr + again.stdout


def require_true_labels(place: Workplace, name: str) -> None:
    """That the labels of every used clip are what was written, and that all that was written is used."""
    shards = place.run.shards(name)
    videos, clips, labels = (
        read_tables([path(name, shard) for shard in shards], schema)
        for path, schema in (
            (place.run.videos, tables.VIDEOS),
            (place.run.clips, tables.CLIPS),
            (place.run.labels, tables.LABELS),
        )
    )
    assert len(labels) and set(clips["split"]) == set(videos["split"])
    truth = true_videos(name, place.written[name])
    planned = {video["released"]["name"]: video["video_id"] for video in planned_videos(place, name)}
    assert all(video_id == video_id_of(f"{name}/{video}") for video, video_id in planned.items())
    named = {video_id: video for video, video_id in planned.items()}
    chosen = clips[clips["clip_id"].isin(labels["clip_id"])]
    for clip in chosen.to_dict("records") if truth else []:
        own = labels[labels["clip_id"] == clip["clip_id"]].sort_values("frame")
        require_truth(own, truth[named[clip["video_id"]]], int(clip["track"]), clip["fps"])
    if truth:
        annotated = {video for video, true in truth.items() if len(true.frame)} & planned.keys()
        assert {named[video_id] for video_id in chosen["video_id"]} == annotated


def planned_videos(place: Workplace, name: str) -> list[dict[str, Any]]:
    paths = [place.run.plan(name, shard) for shard in place.run.shards(name)]
    return [video for path in paths for video in json.loads(path.read_text())["videos"]]


def require_truth(labels: pd.DataFrame, truth: TrueVideo, person: int, fps: float) -> None:
    rows = [truth.row(person, truth.shown_at(frame, fps)) for frame in labels["video_frame"].tolist()]
    assert None not in rows
    assert np.abs(stack(labels["keypoints_2d"], 25, 3) - truth.keypoints_px[rows]).max() < 1e-3
    if truth.joints_m is None:
        assert not labels["has_3d"].any() and not stack(labels["joints_3d_m"]).any()
    else:
        assert labels["has_3d"].all()
        assert np.abs(stack(labels["joints_3d_m"], 14, 3) - truth.joints_m[rows]).max() < 1e-4
        assert np.abs(stack(labels["trunk_3d_m"], 3, 3) - truth.trunk_m[rows]).max() < 1e-4
    known = np.zeros(len(labels), bool) if truth.has_body is None else truth.has_body[rows]
    assert np.array_equal(labels["has_body"].to_numpy(bool), known)
    for column in ("pose", "betas"):
        values, expected = stack(labels[column]), getattr(truth, column)
        assert not values[~known].any()
        assert expected is None or np.array_equal(values[known], expected[rows][known])
    trusted = np.ones(len(labels), bool) if truth.trusted is None else truth.trusted[rows]
    assert np.array_equal(labels["trusted"].to_numpy(bool), trusted)
    assert set(labels["gender"]) == {(truth.gender or {}).get(person, "unknown")}


def require_learnt(place: Workplace) -> None:
    """That some model was trained on each release of the run, and that no loss broke."""
    seen = set()
    for variant in [*place.case.variants, *(["own"] if place.case.own_variant else [])]:
        log = pd.read_parquet(place.run.training_log(variant, 0))
        assert {"keypoints", "joints_3d"} <= set(log["loss"]) and np.isfinite(log["value"]).all()
        record = read_record(place.run.checkpoint(variant, 0))
        assert record is not None
        seen |= {name.split(":")[1].rsplit("-", 1)[0] for name in record["inputs"] if name.startswith("labels:")}
    assert set(place.case.datasets) <= seen


def require_scored(place: Workplace) -> None:
    """That the tables hold our finite numbers, of counted clips, wherever a model is scored on the release."""
    counted = pd.read_csv(place.run.table("hmmr-1", "csv"))
    assert (counted.loc[counted["ours"].notna(), "clips"] > 0).all() and counted["ours"].notna().any()
    if not place.case.paper_dataset:
        return
    table, paper = pd.read_csv(place.run.table(place.case.tables[1], "csv")), place.case.tables[1].split("-")[0]
    made = table["row_id"].map(lambda row: variant_of(paper, row, "") in place.case.variants)
    ours = table[made & (table["dataset"] == place.case.paper_dataset)]
    assert len(ours) and np.isfinite(ours["ours"]).all()
    assert (ours[["clips", "frames", "seeds"]] > 0).all(axis=None)


def require_sound(place: Workplace) -> None:
    """That `moviestrip dataset check` finds nothing wrong."""
    files = ("--config", "config.yaml", "--config", "tiny.yaml")
    for name in place.case.datasets:
        found = place.moviestrip("dataset", "check", name, "--run", "results/tiny", *files)
        assert found.returncode == 0, found.stderr


@pytest.mark.faults
def test_a_label_file_cut_short_in_the_middle_of_a_run_stops_what_needs_it_alone(
    tmp_path: Path, repository: Path, free_body: Path
):
    place = prepare(tmp_path, repository, CASES["nba"])
    assert place.snakemake("--until", "fetch").returncode == 0
    file = tmp_path / "data/nba/test/game05_shot011.tfrecord"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    failed = place.snakemake("--keep-going")
    assert failed.returncode == 1
    shard = place.run.shards("nba")[0]
    log = (place.run.root / "logs/annotate/nba" / f"{shard}.log").read_text()
    told = [line for line in log.splitlines() if line.startswith("moviestrip: ")]
    assert len(told) == 1 and str(file) in told[0] and "Traceback" not in log + failed.stderr
    assert not place.run.annotations("nba", shard).exists()
    assert place.run.labels("h36m", place.run.shards("h36m")[0]).exists()
    file.write_bytes(whole)
    repaired = place.snakemake()
    assert repaired.returncode == 0, repaired.stderr[-4000:]
    require_true_labels(place, "nba")
    require_scored(place)
