"""docs/add-a-dataset.md and docs/rights.md: every file on them is valid and short, and the tutorial works."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
import yaml

from moviestrip.config import DatasetSettings, merge, read_yaml, validate_config
from moviestrip.datasets.funnel import funnel_of, used_clips
from moviestrip.layout import RunFolder
from moviestrip.tables import VIDEOS, read_tables

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("add-a-dataset.md", "rights.md")
TUTORIAL = "## Tutorial: a folder of videos"
LONGEST_LINES = 15


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def pages() -> list[tuple[str, str]]:
    return [(page, block) for page in PAGES for block in blocks((REPOSITORY / "docs" / page).read_text(), "yaml")]


def named(block: str) -> str:
    """The file that a block is, by its first line."""
    return block.splitlines()[0].removeprefix("# ")


@pytest.mark.parametrize(("page", "block"), pages(), ids=lambda each: named(each) if "\n" in each else each)
def test_every_file_on_the_pages_is_valid_and_short(page: str, block: str):
    values = yaml.safe_load(block)
    if not named(block).endswith(".yaml"):
        assert set(values) == {"data_folders"}
        return
    if named(block).startswith("config/datasets/"):
        DatasetSettings.model_validate(values)
        assert len(block.strip().splitlines()) - 1 <= LONGEST_LINES, "the first line names the file"
    else:
        validate_config(merge(read_yaml(REPOSITORY / "config.yaml"), values), named(block))


def test_the_usual_cases_are_all_there():
    found = [yaml.safe_load(block) for page, block in pages() if "config/datasets/" in named(block)]
    sources = [values["source"] for values in found]
    lists = {each["kind"] for source in sources for each in source.get("lists", ())}
    assert {source["kind"] for source in sources} >= {"folder", "links", "official"}
    assert lists == {"table", "ids", "instavariety", "kinetics", "listing"}
    assert any("keypoints" in values for values in found)


def tutorial() -> str:
    text = (REPOSITORY / "docs" / "add-a-dataset.md").read_text()
    return text[text.index(TUTORIAL) :].split("\n## ")[0]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which somebody has followed the tutorial with three videos: two real ones and a damaged one."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("config", "workflow", "envs"):
        shutil.copytree(REPOSITORY / name, folder / name)
    _film(folder / "my-videos")
    for block in blocks(tutorial(), "yaml"):
        (folder / named(block)).write_text(block)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for line in "".join(blocks(tutorial(), "sh")).splitlines():
        done = subprocess.run(shlex.split(line), cwd=folder, env=environment, capture_output=True, text=True)
        (folder / "said.txt").open("a").write(f"$ {line}\n{done.stdout}")
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return folder


def _film(folder: Path) -> None:
    """Two seconds of the Sports2D package's clip, two of one of Pose2Sim's cameras, and half a file."""
    from moviestrip.figures.video import write_video
    from moviestrip.parts import extract_member, fetch_package
    from moviestrip.video.decode import frames

    folder.mkdir()
    for dataset, number in (("sports2d-demo", 0), ("pose2sim", 1)):
        source = read_yaml(REPOSITORY / "config" / "datasets" / f"{dataset}.yaml")["source"]
        file = source["files"][number]
        video = extract_member(fetch_package(source["requirement"], source["sha256"]), file["path"], file["sha256"])
        write_video(folder / f"{dataset}.mp4", islice(frames(video, 25), 25, 75))
    whole = (folder / "pose2sim.mp4").read_bytes()
    (folder / "damaged.mp4").write_bytes(whole[: len(whole) // 2])


@pytest.mark.slow
@pytest.mark.workflow
def test_the_tutorial_gives_clips_of_people(followed: Path):
    run = RunFolder(followed / "results" / "my-run")
    funnel = funnel_of(run, "my-videos").set_index(["stage", "reason"])
    assert funnel.loc[("listed", ""), "videos"] == 3 and funnel.loc[("fetched", "bad video"), "videos"] == 1
    assert funnel.loc[("used", ""), "clips"] >= 2 and funnel.loc[("used", ""), "frames"] >= 80
    videos = read_tables([run.videos("my-videos", shard) for shard in run.shards("my-videos")], VIDEOS)
    assert dict(zip(videos["source"], videos["status"], strict=True)) == {
        "my-videos/damaged.mp4": "bad_video", "my-videos/pose2sim.mp4": "ok", "my-videos/sports2d-demo.mp4": "ok",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.workflow
def test_the_tutorial_says_what_it_promises(followed: Path):
    said = (followed / "said.txt").read_text()
    assert re.search(r"3 videos\n\s*2 usable videos", said)
    assert "each as recorded" in said and "my-videos-0000.parquet" in said
    for kind in ("people", "datasets"):
        assert (followed / f"results/my-run/figures/{kind}/my-videos.png").stat().st_size > 50_000
    assert all(path.is_file() and not path.is_symlink() for path in (followed / "my-videos").iterdir())


@pytest.mark.slow
@pytest.mark.workflow
def test_a_video_of_it_can_be_forgotten_and_the_next_run_honours_that(followed: Path):
    """A real run, a take-down, and the same command again: the other video is back, and this one is not."""
    from moviestrip.config import load_config
    from moviestrip.stages.forgetting import forget

    run = RunFolder(followed / "results" / "my-run")
    before = used_clips(run, "my-videos")
    first = shlex.split("".join(blocks(tutorial(), "sh")).splitlines()[1])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    here = Path.cwd()
    os.chdir(followed)
    try:
        config = load_config([Path("config.yaml"), Path("my-run.yaml")])
        relative = RunFolder(Path("results/my-run"))
        found = forget(relative, config, Path("config"), ["my-videos/pose2sim.mp4"], "asked to", "2026-03-01")
    finally:
        os.chdir(here)
    gone = found.video_ids[0]
    done = subprocess.run(first, cwd=followed, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    after = funnel_of(run, "my-videos").set_index(["stage", "reason"])
    assert after.loc[("listed", ""), "videos"] == 2 and after.loc[("fetched", ""), "videos"] == 1
    kept = before.loc[before["video_id"] != gone, "clip_id"].tolist()
    assert used_clips(run, "my-videos")["clip_id"].tolist() == kept != []
    contents = [path.read_bytes() for path in run.root.rglob("*") if path.is_file()]
    assert not any(gone.encode() in content for content in contents)
    assert pd.read_csv(followed / "config" / "forgotten.csv")["video_id"].tolist() == [gone]
    assert (followed / "my-videos" / "pose2sim.mp4").is_file()
