"""Take-downs, of real videos in a folder that real stages have brought in."""

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from moviestrip import stages, tables
from moviestrip.config import Config, validate_config
from moviestrip.datasets.forgotten import read_forgotten
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.download.journal import Download, download_id_of, record_path, write_download
from moviestrip.errors import FatalError
from moviestrip.layout import FeatureFiles, RunFolder
from moviestrip.provenance import provenance_path, write_provenance
from moviestrip.settings import StageSettings
from moviestrip.stages.forgetting import forget, replan, to_forget
from moviestrip.stages.job import Job
from moviestrip.storage import write_json, write_text
from moviestrip.video.fetch import video_id_of
from tests.datasets.write_run import clip_id, source_of, write_found
from tests.datasets.write_run import video_id as id_of
from tests.video.video_files import write_video

TODAY = "2026-03-01"


class Place:
    """A configuration of one dataset, a folder of five videos in shards of two, planned and fetched."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.videos = [folder / "mine" / f"{name}.mp4" for name in "abcde"]
        (folder / "mine").mkdir()
        for number, path in enumerate(self.videos):
            write_video(path, n_frames=6 + number)
        (folder / "config" / "datasets").mkdir(parents=True)
        settings = {
            "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks",
            "split": "train", "source": {"kind": "folder", "path": str(folder / "mine")},
        }  # fmt: skip
        (folder / "config" / "datasets" / "mine.yaml").write_text(yaml.safe_dump(settings))
        self.run = RunFolder(folder / "results" / "tiny")
        self.make()

    @property
    def config(self) -> Config:
        values = {
            "name": "tiny", "world": "miniature", "datasets": ["mine"], "variants": [], "tables": [],
            "results": str(self.folder / "results"), "forgotten": str(self.folder / "forgotten.csv"),
            "rendering": {"shard_videos": 2},
        }  # fmt: skip
        return validate_config(values, "test")

    def make(self) -> None:
        """What a run would do: plan what is wanted, and fetch what is planned and not there."""
        replan(self.run, self.config, self.folder / "config", {"mine"})
        for shard in self.run.shards("mine"):
            if not self.run.videos("mine", shard).is_file():
                settings = StageSettings.from_config(self.config, self.folder / "config", "mine")
                stages.fetch(Job(self.run, settings), "mine", shard)

    def forget(self, *ids: str, models: bool = False):
        return forget(self.run, self.config, self.folder / "config", ids, "asked to", TODAY, models)

    def fetched(self) -> set[str]:
        paths = [self.run.videos("mine", shard) for shard in self.run.shards("mine")]
        rows = tables.read_tables(paths, tables.VIDEOS)
        assert (rows["status"] == "ok").all()
        return set(rows["source"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def files_of_shard(run: RunFolder, dataset: str, shard: str) -> list[Path]:
    """Whatever the layout keeps of a shard, of every backbone and of occluded copies."""
    found: list[Path] = []
    for name, method in inspect.getmembers(RunFolder, inspect.isfunction):
        if list(inspect.signature(method).parameters) == ["self", "dataset", "shard"]:
            files = getattr(run, name)(dataset, shard)
            found += files if isinstance(files, list) else [files]
    for backbone in ("blazepose-full", "resnet50-spin"):
        for occluded in (False, True):
            files: FeatureFiles = run.features(backbone, dataset, shard, occluded)
            found += [files.phi, files.index, files.crops]
    return found


def fill(run: RunFolder, dataset: str, shard: str) -> list[Path]:
    """A file of every kind that is not there yet, with its record and its log."""
    paths = [*files_of_shard(run, dataset, shard), run.root / "logs" / "fetch" / dataset / f"{shard}.log"]
    for path in paths:
        if not path.exists() and path.suffix:
            write_text(path, "made up")
        if path.is_file() and path.suffix != ".json":  # a plan has no record
            write_provenance(path, path.parent.parent.name, {"plan": run.plan(dataset, shard)}, {})
    written = [path for path in paths if path.exists()]
    return written + [record for record in map(provenance_path, written) if record.exists()]


def test_nothing_of_the_shard_is_left_and_its_other_video_comes_back(place: Place):
    run = place.run
    assert place.fetched() == {str(path) for path in place.videos}
    gone, kept = fill(run, "mine", "mine-0000"), fill(run, "mine", "mine-0001")
    kinds = {path.relative_to(run.root).parts[0] for path in gone}
    assert {"plan", "videos", "detections", "tracks", "clips", "attributes", "labels", "features", "key_frames",
            "originals", "appearance", "answers", "shots", "logs", "world"} <= kinds  # fmt: skip
    found = place.forget(video_id_of(str(place.videos[0])))
    assert not [path for path in gone if path.exists()]
    chained = {path for path in kept if path.parent.parent.name in ("appearance", "originals")}
    assert {path for path in kept if not path.exists()} == chained
    assert found.own_files == (str(place.videos[0]),) and place.videos[0].is_file()
    assert read_forgotten(place.config.forgotten) == {video_id_of(str(place.videos[0]))}
    place.make()
    assert place.fetched() == {str(path) for path in place.videos[1:]}
    everything = [path.read_bytes() for path in run.root.rglob("*") if path.is_file()]
    assert not any(video_id_of(str(place.videos[0])).encode() in content for content in everything)


def test_no_picture_of_the_dataset_is_left(place: Place):
    pictures = [
        place.run.sheet("mine"),
        place.run.sheet("mine", people=True),
        place.run.figure("hmmr-4") / "picture.png",
    ]
    others = [place.run.sheet("other"), place.run.sheet("other", people=True)]
    for path in (*pictures, *others):
        write_text(path, "pixels")
    place.forget(str(place.videos[0]))
    assert not any(path.exists() for path in pictures)
    assert all(path.exists() for path in others)


def test_a_rebuild_from_nothing_honours_it(place: Place):
    place.forget(str(place.videos[3]))
    shutil.rmtree(place.run.root)
    place.make()
    assert place.fetched() == {str(path) for path in place.videos if path != place.videos[3]}


def test_looking_changes_nothing(place: Place):
    before = sorted(place.folder.rglob("*"))
    found = to_forget(place.run, place.config, [str(place.videos[0])])
    assert sorted(place.folder.rglob("*")) == before
    assert run_lines(found)[0] == f"1 videos are never used again: {video_id_of(str(place.videos[0]))}"
    assert place.run.videos("mine", "mine-0000") in found.removed


def run_lines(found) -> list[str]:
    return list(found.lines())


def test_what_was_learnt_is_named_and_removed_when_asked_for(place: Place):
    run = place.run
    fill(run, "mine", "mine-0000")
    fill(run, "mine", "mine-0002")
    phi = {shard: run.features("blazepose-full", "mine", shard).phi for shard in ("mine-0000", "mine-0002")}
    made = {
        run.checkpoint("contextual", 0): {"features": phi["mine-0000"]},
        run.predictions("contextual", 0, "gym"): {"model": run.checkpoint("contextual", 0)},
        run.table("hmmr-2"): {"predictions": run.predictions("contextual", 0, "gym")},
        run.checkpoint("other", 0): {"features": phi["mine-0002"]},
        run.report: {"table": run.table("hmmr-2")},
    }
    for path, inputs in made.items():
        write_text(path, "learnt")
        write_provenance(path, "stage", inputs, {})
    expected = {run.model("contextual", 0), run.predictions("contextual", 0, "gym"), run.table("hmmr-2")}
    assert set(to_forget(run, place.config, [str(place.videos[0])]).learnt) == expected
    found = place.forget(str(place.videos[0]))
    assert all(path.exists() for path in expected) and not run.report.exists()
    assert any("removed now with --models" in line for line in found.lines())


def test_models_can_go_at_once(place: Place):
    run = place.run
    write_text(run.checkpoint("contextual", 0), "learnt")
    write_provenance(run.checkpoint("contextual", 0), "train", {"videos": run.videos("mine", "mine-0000")}, {})
    write_text(run.training_log("contextual", 0), "a log")
    found = place.forget(str(place.videos[0]), models=True)
    assert not run.model("contextual", 0).exists() and found.learnt == ()


def test_an_unknown_id_is_an_error_with_the_nearest(place: Place):
    known = video_id_of(str(place.videos[0]))
    with pytest.raises(FatalError, match=f"no run in .* has such a video.*did you mean '{known}'"):
        place.forget(known[:-1])
    assert read_forgotten(place.config.forgotten) == frozenset()


def test_a_second_time_is_no_error(place: Place):
    first = place.forget(str(place.videos[0])).video_ids
    again = place.forget(*first)
    assert again.video_ids == first and again.removed == ()


def test_killed_after_the_list_was_written_it_goes_on(place: Place):
    """Planning has dissolved the shard meanwhile; its tables still lie there, and name the video."""
    gone = fill(place.run, "mine", "mine-0000")
    write_text(
        place.config.forgotten, f"video_id,forgotten,reason\n{video_id_of(str(place.videos[0]))},{TODAY},asked\n"
    )
    replan(place.run, place.config, place.folder / "config", {"mine"})
    assert place.run.videos("mine", "mine-0000").exists()
    place.forget(str(place.videos[0]))
    assert not [path for path in gone if path.exists()]


def test_a_link_inside_the_run_is_removed_and_what_it_leads_to_is_not(place: Place):
    links = [path for path in place.run.root.rglob("*.mp4") if path.is_symlink()]
    assert len(links) == 5
    place.forget(*(str(path) for path in place.videos))
    assert not any(path.is_symlink() for path in links) and all(path.is_file() for path in place.videos)
    assert place.run.shards("mine") == []


@pytest.fixture
def linked(tmp_path: Path) -> tuple[RunFolder, Config]:
    """A run of found videos whose downloads lie beside it, and another run of the same videos."""
    run = RunFolder(tmp_path / "results" / "tiny")
    write_found(run)
    shutil.copytree(run.root, tmp_path / "results" / "twin")
    for number in range(3):
        download_id = download_id_of(source_of(number))
        write_text(tmp_path / "results/downloads" / download_id[:2] / f"{download_id}.mp4", "a video")
        write_download(
            tmp_path / "results/downloads",
            Download(download_id, source_of(number), "ok", "", f"{download_id[:2]}/{download_id}.mp4"),
        )
    values = {"name": "tiny", "world": "miniature", "datasets": [], "variants": [], "tables": [],
              "forgotten": str(tmp_path / "forgotten.csv")}  # fmt: skip
    return run, validate_config(values, "test")


def test_a_clip_or_an_address_names_its_video_in_every_run(linked):
    run, config = linked
    downloads = run.root.parent / "downloads"
    assert to_forget(run, config, [clip_id(1, 0)]).video_ids == (id_of(1),)
    found = forget(run, config, run.root, [source_of(1)], "asked", TODAY)
    assert found.video_ids == (id_of(1),) and found.urls == (source_of(1),)
    assert not record_path(downloads, download_id_of(source_of(1))).exists()
    assert record_path(downloads, download_id_of(source_of(2))).exists()
    for each in (run, RunFolder(run.root.parent / "twin")):
        assert not each.clips("found", "found-0000").exists() and each.clips("found", "found-0001").exists()


def test_parts_of_one_download_keep_it_until_all_are_forgotten(linked):
    run, config = linked
    for each in (run, RunFolder(run.root.parent / "twin")):
        plan = json.loads(each.plan("found", "found-0000").read_text())
        plan["videos"][1] |= {"url": source_of(0), "source": f"{source_of(0)}#t=1,2"}
        write_json(each.plan("found", "found-0000"), plan)
    kept = to_forget(run, config, [id_of(1)])
    assert kept.urls == () and kept.shared == (source_of(0),)
    whole = to_forget(run, config, [source_of(0)])
    assert whole.video_ids == (id_of(0), id_of(1)) and whole.urls == (source_of(0),)


def test_an_address_that_no_run_knows_is_listed_before_any_does(linked):
    run, config = linked
    found = forget(run, config, run.root, ["https://example.org/new.mp4"], "asked", TODAY)
    assert found.removed == () and read_forgotten(config.forgotten) == {video_id_of("https://example.org/new.mp4")}


def test_other_posts_of_the_same_video_are_named(linked):
    """Else the next run would take the one that was left out as its duplicate."""
    run, config = linked
    draw = np.random.default_rng(0)
    hashes = [draw.bytes(32) for _ in range(3)]
    again = bytes([hashes[0][0] ^ 0b111, *hashes[0][1:]])
    rows = [
        (clip_id(n, 0), id_of(n), 0, 0.5, value.hex(), 90)
        for n, value in zip((0, 1, 2, 8), [*hashes, again], strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["clip_id", "video_id", "frame", "sharpness", "hash", "quality"])
    for shard, chosen in (("found-0000", frame[:3]), ("found-0001", frame[3:])):
        tables.write_table(run.key_frames("found", shard), chosen, tables.KEY_FRAMES)
    found = to_forget(run, config, [id_of(0)])
    assert found.alike == {id_of(8): source_of(8)}
    assert any(line.startswith(f"looks like it, forget it too? {id_of(8)}") for line in found.lines())
    assert to_forget(run, config, [id_of(1)]).alike == {}


def test_a_table_of_an_older_version_is_named(linked):
    run, config = linked
    write_text(run.root.parent / "twin" / "videos" / "found" / "found-0001.parquet", "not Parquet")
    found = to_forget(run, config, [id_of(0)])
    assert [path.name for path in found.unread] == ["found-0001.parquet"]
    assert any("could not be searched" in line for line in found.lines())


def test_the_rest_of_a_planned_shard_stays_planned(place: Place):
    place.forget(str(place.videos[4]))
    forgotten = read_forgotten(place.config.forgotten)
    dataset = StageSettings.from_config(place.config, place.folder / "config").datasets()["mine"]
    shards = plan_shards(place.run, "mine", dataset, place.config.rendering, 0, place.config.fetch, forgotten)
    sources = [entry["source"] for shard in shards for entry in read_shard(place.run, "mine", shard)["videos"]]
    assert sorted(sources) == [str(path) for path in place.videos[:4]]
