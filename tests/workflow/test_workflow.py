"""Snakemake on a tiny world, for real."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.layout import RunFolder
from moviestrip.storage import digest_file, read_features
from tests.workflow.conftest import Run
from tests.workflow.tiny_run import command, workplace

pytestmark = pytest.mark.workflow


def digests(folder: Path) -> dict[str, str]:
    return {path.name: digest_file(path) for path in sorted((folder / "results/tiny/tables").glob("*.*"))}


def jobs(output: str) -> set[str]:
    """Rules that a dry run would execute."""
    return set(re.findall(r"^rule (\w+):", output, flags=re.MULTILINE)) - {"all"}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trackin={}", "trackin: unknown key; did you mean 'tracking'?"),
        ("variants=[contextual]", "'contextual' starts from 'single-view', which is not listed in `variants`"),
    ],
)
def test_fault_24_a_typo_stops_before_any_job(tmp_path, repository, snakemake: Run, argument: str, message: str):
    folder = workplace(tmp_path, repository)
    result = snakemake(folder, "--cores", "1", "--config", argument)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "results/tiny/videos").exists()


def test_one_command_makes_every_variant(tmp_path: Path, repository: Path, snakemake: Run):
    """What a run of config.yaml would do, without doing it."""
    from moviestrip.config import load_config, load_variant

    files = [repository / "config.yaml"]
    variants = {name: load_variant(name, repository / "config") for name in load_config(files).variants}
    scale = ["rendering={frames_scale: 0.01}", "name=tiny"]
    (workplace(tmp_path, repository) / "tiny.yaml").write_text("name: tiny\n")
    planned = snakemake(tmp_path, "--cores", "1", "-n", "--config", *scale)
    assert planned.returncode == 0, planned.stderr[-2000:] + planned.stdout[-2000:]
    inputs = inputs_by_job(planned.stdout)
    trained = {name for rule, name in inputs if rule == "train"}
    assert trained == {name for name, variant in variants.items() if variant.is_trained}
    assert {name for rule, name in inputs if rule == "predict"} == set(variants)
    models = "results/tiny/models"
    assert f"{models}/contextual/seed-0/checkpoint.pt" in inputs["predict", "hallucinator"]
    assert f"{models}/spin-backbone/seed-0/checkpoint.pt" in inputs["train", "vibe"]
    assert f"{models}/mposer/seed-0/checkpoint.pt" in inputs["train", "g-mposer-spin"]
    assert "results/tiny/world/motions.parquet" in inputs["train", "vibe"]
    assert "results/tiny/world/motions.parquet" not in inputs["train", "g-only-spin"]
    assert "features/blazepose-lite/" in inputs["train", "g-only-hmr"]
    assert ".occluded." in inputs["train", "tcmr-ablation"] and ".occluded." not in inputs["train", "vibe"]


def inputs_by_job(output: str) -> dict[tuple[str, str], str]:
    """Of a dry run: the input line of each job that is of one variant."""
    job = r"^rule (\w+):\n    input: (.+)\n(?:    .+\n)*?    wildcards: variant=([^,\n]+)"
    found = re.findall(job, output, flags=re.MULTILINE)
    return {(rule, variant): line for rule, line, variant in found}


def test_every_table_and_the_report_are_there(finished: Path):
    results = finished / "results/tiny"
    for table in ("hmmr-1", "hmmr-2"):
        for suffix in ("csv", "md", "tex", "html"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 0
    assert (results / "report/index.html").stat().st_size > 10_000


def test_our_side_of_the_table_counts_clips_frames_and_seeds(finished: Path):
    table = pd.read_csv(finished / "results/tiny/tables/hmmr-2.csv")
    ours = table[table["ours"].notna()]
    missing = table[table["ours"].isna()]
    assert len(table[table["printed"].notna()]) == 24
    assert (missing["note"].str.contains("pending")).all()
    assert (ours[["clips", "frames", "seeds"]] > 0).all().all()


def test_a_second_run_does_nothing(finished: Path, snakemake: Run):
    result = snakemake(finished, "--cores", "2")
    assert "Nothing to be done" in result.stderr + result.stdout


def test_a_deleted_file_reruns_only_what_depends_on_it(finished: Path, snakemake: Run):
    path = finished / "results/tiny/tracks/insta-mini/insta-mini-0000.parquet"
    held = path.rename(path.with_suffix(".held"))
    planned = jobs(snakemake(finished, "--cores", "1", "-n").stdout)
    held.rename(path)
    assert {"track", "curate", "label"} <= planned
    assert not planned & {"body", "motions", "render", "fetch", "detect", "train"}


def test_deleted_files_of_shards_are_made_again(finished: Path, snakemake: Run):
    """Three that nothing but the end of a run asks for: each stage runs again, of its shard alone."""
    run = finished / "results/tiny"
    files = ("labels/gym/gym-0000.parquet", "features/blazepose-full/court/court-0000.h5",
             "appearance/insta-mini/insta-mini-0000.parquet")  # fmt: skip
    held = {file: (run / file).rename(run / f"{file}.held") for file in files}
    output = snakemake(finished, "--cores", "1", "-n").stdout
    for file, kept in held.items():
        kept.rename(run / file)
    again = set(re.findall(r"^rule (\w+):\n(?:    .*\n)*?    wildcards: .*shard=([\w-]+)", output, flags=re.MULTILINE))
    assert {stage for stage, shard in again if shard == "gym-0000"} == {"label", "features"}
    assert {stage for stage, shard in again if shard == "court-0000"} == {"features"}
    assert {stage for stage, shard in again if shard == "insta-mini-0000"} == {"appearance", "label"}
    assert {"all_labels", "all_features", "train"} <= jobs(output)
    assert not jobs(output) & {"body", "motions", "render", "fetch", "detect"}


def test_a_changed_key_reruns_only_its_readers(finished: Path, snakemake: Run):
    dry = snakemake(finished, "--cores", "1", "-n", "--config", "evaluation={bootstrap_samples: 51}")
    assert jobs(dry.stdout) == {"statistics", "tables", "claims", "smoothing", "difficulty", "report"}


def test_the_chain_from_a_table_reaches_the_videos(finished: Path):
    from moviestrip.provenance import chain

    links = chain(finished / "results/tiny/tables/hmmr-2.csv")
    assert {"table", "scores", "predictions", "train", "features", "labels"} <= {link.stage for link in links}
    assert all(link.intact for link in links)


@pytest.mark.parametrize("stage", ["predict", "evaluate"])
def test_a_stage_run_by_hand_writes_what_the_workflow_wrote(finished: Path, repository: Path, stage: str):
    run = finished / "results/tiny"
    before = {path: digest_file(path) for path in run.rglob("*.parquet")}
    files = ["--config", str(repository / "config.yaml"), "--config", str(finished / "tiny.yaml")]
    by_hand = [sys.executable, "-m", "moviestrip.cli", stage, "contextual", "0", "--run", str(run), *files]
    times = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    subprocess.run(by_hand, check=True, capture_output=True)
    written = [path for path, time_ns in times.items() if path.stat().st_mtime_ns != time_ns]
    for path in written:  # so that the workflow still finds nothing to do
        os.utime(path, ns=(times[path], times[path]))
    assert len(written) == 3
    assert all(digest_file(path) == before[path] for path in written)


def feature_files(output: str) -> set[str]:
    """Feature files that a dry run would make, such as `blazepose-full/gym`, with a + for occluded copies."""
    found = re.findall(r"features/([a-z0-9-]+/[a-z-]+)/[a-z]+[a-z-]*-0000(\.occluded)?\.h5", output)
    return {place + "+" * bool(occluded) for place, occluded in found}


def test_only_features_that_a_listed_variant_reads_are_made(tmp_path, repository, snakemake: Run):
    folder = workplace(tmp_path, repository)
    lists = (
        "datasets=[studio,gym,court,hall,vlog-mini,insta-mini]",
        "variants=[spin-backbone,hmr-backbone,tcmr-no-3dpw]",
    )
    dry = snakemake(folder, "--cores", "1", "-n", "--config", *lists)
    learnt, scored = {"studio", "hall", "gym", "insta-mini"}, {"studio", "hall", "gym", "court"}
    places = {f"blazepose-{size}/{dataset}" for size in ("full", "lite") for dataset in learnt | scored}
    assert feature_files(dry.stdout) == places | {f"blazepose-full/{dataset}+" for dataset in learnt}, dry.stderr


def test_nothing_is_scored_where_only_real_videos_are_predicted(tmp_path, repository, snakemake: Run):
    folder = workplace(tmp_path, repository)
    lists = (
        "datasets=[insta-mini,pose2sim]",
        "variants=[spin-backbone]",
        "train_without=[h36m,3dpw,mpi-inf-3dhp,penn-action,nba]",
    )
    dry = snakemake(folder, "--cores", "1", "-n", "-p", "--config", *lists)
    (command,) = re.findall(r"moviestrip predict spin-backbone .*", dry.stdout)
    assert "--dataset pose2sim" in command and "--score" not in command


def test_features_of_two_backbones_and_occluded_copies_lie_side_by_side(finished: Path, repository: Path):
    run = finished / "results/tiny"
    default = RunFolder(run).features("blazepose-full", "gym", "gym-0000")
    before = {path: digest_file(path) for path in vars(default).values()}
    files = ["--config", str(repository / "config.yaml"), "--config", str(finished / "tiny.yaml")]
    by_hand = [sys.executable, "-m", "moviestrip.cli", "features", "gym", "gym-0000", "--run", str(run), *files]
    made = {}
    for options in ([], ["--occluded"]):
        subprocess.run([*by_hand, "--backbone", "blazepose-lite", *options], check=True, capture_output=True)
        other = RunFolder(run).features("blazepose-lite", "gym", "gym-0000", occluded=bool(options))
        made[bool(options)] = [*read_features(other.phi), pd.read_parquet(other.index)]
    assert {path: digest_file(path) for path in before} == before
    index, train = pd.read_parquet(default.index), pd.read_parquet(run / "clips/gym/gym-0000.parquet")
    phi, attributes, clean = made[False]
    assert clean.equals(index) and phi.shape == (len(read_features(default.phi)[0]), 768)
    assert attributes["backbone"] == "blazepose-lite"
    trained_on = train.loc[train["split"] == "train", "clip_id"]
    hidden, _, copies = made[True]
    assert set(copies["clip_id"]) == {f"{clip_id}~o1" for clip_id in trained_on if clip_id in set(index["clip_id"])}
    for clip_id, start, n_frames in copies.itertuples(index=False):
        first = clean.set_index("clip_id").loc[clip_id.split("~")[0], "start"]
        apart = np.abs(hidden[start : start + n_frames] - phi[first : first + n_frames]).max(1)
        assert (apart > 0).mean() > 0.9


@pytest.mark.slow
def test_two_runs_from_scratch_give_identical_tables(finished: Path, tmp_path: Path, repository, snakemake: Run):
    folder = workplace(tmp_path, repository)
    assert snakemake(folder, "--cores", "2").returncode == 0
    assert digests(folder) == digests(finished)


@pytest.mark.slow
@pytest.mark.faults
def test_fault_01_a_workflow_killed_again_and_again_ends_in_the_same_tables(
    finished: Path, tmp_path: Path, repository: Path, snakemake: Run
):
    folder = workplace(tmp_path, repository)
    for seconds in (6, 14, 10, 18, 12, 9):
        process = subprocess.Popen(
            command(repository, folder, "--cores", "2"), cwd=folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = snakemake(folder, "--cores", "2")
    assert result.returncode == 0, result.stderr[-4000:]
    assert digests(folder) == digests(finished)
