"""From one cell of a table of a small faked run back to its clips, and only what is behind that cell."""

import json

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import load_config
from moviestrip.errors import FatalError
from moviestrip.layout import RunFolder
from moviestrip.papers.history import cell_history
from moviestrip.papers.render import to_csv
from moviestrip.papers.table import build_table
from moviestrip.papers.worlds import Setting
from moviestrip.provenance import provenance_path, write_provenance
from moviestrip.storage import write_text
from moviestrip.tables import CLIPS, SCORES, VIDEOS, read_table, write_table

SHARDS = {"studio-0000": ("clip-a", "clip-b"), "studio-0001": ("clip-c",), "studio-0002": ()}
VARIANTS = ("phd-causal", "ar-phi")
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def settings(repository) -> dict:
    config = load_config([repository / "config.yaml"])
    lists = {"datasets": ("studio", "gym"), "variants": VARIANTS, "training_seeds": SEEDS, "tables": ("phd-2",)}
    return config.model_copy(update=lists).model_dump(mode="json")


@pytest.fixture
def run(tmp_path, settings) -> RunFolder:
    run = RunFolder(tmp_path / "results" / "tiny")
    for shard, clips in SHARDS.items():
        write_shard(run, shard, clips)
    make(run.checkpoint("phd-causal", 0), "train", {}, {"seed": 0})
    for seed in SEEDS:
        behind = {f"features:{shard}": run.features("net", "studio", shard).phi for shard in SHARDS}
        behind |= {"start": run.checkpoint("phd-causal", 0)}
        make(run.checkpoint("ar-phi", seed), "train", behind, {"seed": seed, "scale": {"steps": 10}})
        write_forecasts(run, "ar-phi", seed, offset=seed)
        write_forecasts(run, "constant", seed, offset=100)
    write_phd_2(run, settings)
    return run


def make(path, stage: str, inputs: dict, settings: dict) -> None:
    if not path.exists():
        write_text(path, path.name)
    write_provenance(path, stage, inputs, settings)


def write_shard(run: RunFolder, shard: str, clips: tuple[str, ...]) -> None:
    video = {"dataset": "studio", "shard": shard, "split": "test", "subject": "", "action": "", "source": "",
             "path": f"world/studio/{shard}/video.mp4", "sha256": "", "status": "ok", "reason": "", "width_px": 96,
             "height_px": 96, "fps": 25.0, "n_frames": 48}  # fmt: skip
    write_table(run.videos("studio", shard), pd.DataFrame([{"video_id": f"video-{shard}"} | video]), VIDEOS)
    make(run.videos("studio", shard), "videos", {}, {"dataset": {"fps": 25}})
    row = {"dataset": "studio", "video_id": f"video-{shard}", "track": 0, "split": "test", "subject": "",
           "motion_id": "", "action": "walking", "supervision": "full_3d", "first_frame": 0, "n_frames": 48,
           "fps": 25.0}  # fmt: skip
    names = [column.name for column in CLIPS.columns]
    write_table(run.clips("studio", shard), pd.DataFrame([{"clip_id": c} | row for c in clips], columns=names), CLIPS)
    make(run.clips("studio", shard), "clips", {"videos": run.videos("studio", shard)}, {"curation": {"least": 1}})
    clips_input = {"clips": run.clips("studio", shard)}
    make(run.features("net", "studio", shard).phi, "features", clips_input, {"features": {"backbone": "net"}})
    write_text(run.plan("studio", shard), "{}")


def write_forecasts(run: RunFolder, row: str, seed: int, offset: float) -> None:
    model = "ar-phi" if row == "ar-phi" else "phd-causal"
    checkpoint = run.checkpoint(model, seed if row == "ar-phi" else 0)
    features = {f"features:{shard}": run.features("net", "studio", shard).phi for shard in SHARDS}
    make(run.forecasts(row, seed, "studio"), "forecasts", {"checkpoint": checkpoint} | features, {"world": "miniature"})
    clips = [clip for found in SHARDS.values() for clip in found]
    rows = [
        {"variant": row, "seed": seed, "protocol": "phd", "dataset": "studio", "clip_id": clip, "group": clip,
         "action": "walking", "metric": "pa_mpjpe", "condition": "forecast", "horizon": horizon, "dtw": dtw,
         "value": 60.0 + offset + horizon + index + 500 * (not dtw), "unit": "mm", "frames": 2, "degenerate_frames": 0}
        for index, clip in enumerate(clips) for horizon in (1, 5, 10, 20, 30) for dtw in (False, True)
    ]  # fmt: skip
    write_table(run.forecast_scores(row, seed, "studio"), pd.DataFrame(rows), SCORES)
    make(run.forecast_scores(row, seed, "studio"), "scores", {"forecasts": run.forecasts(row, seed, "studio")}, {})


def write_phd_2(run: RunFolder, settings: dict) -> None:
    from moviestrip.settings import StageSettings

    inputs = {
        f"forecast scores:{row}/{seed}/studio": run.forecast_scores(row, seed, "studio")
        for row in ("ar-phi", "constant")
        for seed in SEEDS
    }
    scores = pd.concat([read_table(path, SCORES) for path in inputs.values()])
    setting = Setting.of(StageSettings(settings).config())
    write_text(run.table("phd-2"), to_csv(build_table("phd", "2", scores, None, setting)))
    write_provenance(run.table("phd-2"), "table", inputs, settings)


def test_the_cell_and_the_scores_it_is_a_mean_of(run):
    history = cell_history(run.table("phd-2"), "ar-phi", "studio@10")
    expected = [70 + index + seed for index in range(3) for seed in SEEDS]
    assert [clip.value for clip in history.clips] == pytest.approx(expected)
    assert float(history.cell["ours"]) == pytest.approx(np.mean(expected)) == history.again
    assert {(clip.clip_id, clip.video) for clip in history.clips} == {
        ("clip-a", "world/studio/studio-0000/video.mp4"),
        ("clip-b", "world/studio/studio-0000/video.mp4"),
        ("clip-c", "world/studio/studio-0001/video.mp4"),
    }
    assert history.selection == {
        "variant": "ar-phi", "dataset": "studio", "protocol": "phd", "metric": "pa_mpjpe", "horizon": "10",
        "dtw": "true",
    }  # fmt: skip
    assert history.score_files == tuple(f"forecast_scores/ar-phi/seed-{seed}/studio.parquet" for seed in SEEDS)


def test_the_chain_holds_what_is_behind_the_cell_and_nothing_else(run):
    history = cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
    paths = {link.path.relative_to(run.root).as_posix() for link in history.links}
    assert not any("constant" in path for path in paths)
    for seed in SEEDS:
        assert {f"forecasts/ar-phi/seed-{seed}/studio.parquet", f"models/ar-phi/seed-{seed}/checkpoint.pt"} <= paths
    assert {"models/phd-causal/seed-0/checkpoint.pt", "clips/studio/studio-0001.parquet"} <= paths
    assert "features/net/studio/studio-0002.h5" not in paths  # none of its clips is behind the cell
    assert all(link.intact for link in history.links)


def test_every_file_stands_before_what_it_was_made_from(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = cell_history(run.table("phd-2"), "ar-phi", "h36m@10").lines()
    order = ["tables/phd-2.csv", "forecast_scores/ar-phi/seed-0", "  forecasts/ar-phi/seed-0", "models/ar-phi/seed-0",
             "features/net/studio/studio-0000.h5", "clips/studio/studio-0000", "videos/studio/studio-0000",
             "What its models learned from", "models/phd-causal"]  # fmt: skip
    files = lines[next(index for index, line in enumerate(lines) if line.startswith("Files behind")) :]
    places = [next(index for index, line in enumerate(files) if name in line) for name in order]
    assert places == sorted(places)
    assert max(map(len, lines)) <= 80
    assert any("as in the table" in line for line in lines) and "each as recorded" in lines[-1]


def test_settings_are_printed_on_request_and_given_to_machines(run):
    history = cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
    assert any("scale.steps=10" in line for line in history.lines(with_settings=True))
    record = json.loads(json.dumps(history.as_json()))
    checkpoint = next(file for file in record["files"] if file["path"].endswith("ar-phi/seed-1/checkpoint.pt"))
    assert checkpoint["settings"] == {"seed": 1, "scale": {"steps": 10}} and checkpoint["code_version"]
    assert record["cell"]["printed"] == "61.1" and len(record["scores"]) == 6 and record["as_recorded"] is True


def test_scores_made_again_after_the_table_are_told(run):
    write_forecasts(run, "ar-phi", 1, offset=31)
    history = cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
    odd = {link.path.parent.parent.name: link.state for link in history.links if not link.intact}
    assert odd == {"ar-phi": "remade since it was read"}
    text = "\n".join(history.lines())
    assert "these scores give 86.5000: NOT as in the table" in text and "1 remade since it was read" in text


def test_a_file_that_changed_or_went_is_told(run):
    run.videos("studio", "studio-0000").write_bytes(b"altered")
    run.checkpoint("phd-causal", 0).unlink()
    run.forecast_scores("ar-phi", 1, "studio").write_bytes(b"altered")
    history = cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
    states = {link.path.relative_to(run.root).as_posix(): link.state for link in history.links if not link.intact}
    assert states == {
        "videos/studio/studio-0000.parquet": "changed since",
        "models/phd-causal/seed-0/checkpoint.pt": "gone",
        "forecast_scores/ar-phi/seed-1/studio.parquet": "changed since",
    }
    assert [(clip.seed, clip.video) for clip in history.clips][:2] == [(0, ""), (0, "")]
    assert "these scores give 71.0000: NOT as in the table" in "\n".join(history.lines())


def test_a_cell_without_a_number_says_why(run):
    history = cell_history(run.table("phd-2"), "ar-theta", "h36m@10")
    assert "pending: variant ar-theta is not trained" in history.cell["note"]
    assert history.clips == () and [link.path.name for link in history.links] == ["phd-2.csv"]
    assert any(line.split() == ["ours", "none"] for line in history.lines())


def test_a_table_of_which_nothing_is_known_is_one_line(run, settings):
    write_provenance(run.table("phd-2"), "table", {}, {**settings, "an_old_key": 1, "world": "mars"})
    with pytest.raises(FatalError, match=r"phd-2\.csv: version .* made it with settings that are no longer known"):
        cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
    provenance_path(run.table("phd-2")).unlink()
    with pytest.raises(FatalError, match=r"phd-2\.csv: nothing is recorded beside it"):
        cell_history(run.table("phd-2"), "ar-phi", "h36m@10")
