"""Shards of an import: planned by video, cut by frames, and read again as they were planned."""

from pathlib import Path
from typing import Any

import pytest

from moviestrip.config import CurationSettings, DatasetSettings, WorldSettings
from moviestrip.datasets import plan
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.datasets.prepared.planned import import_planned
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder
from tests.datasets.prepared.write_hmmr_records import write_hmmr_records
from tests.datasets.prepared.write_vibe_db import write_vibe_db

FILES = ("3dpw_train_db.pt", "3dpw_test_db.pt", "3dpw_val_db.pt")


@pytest.fixture(scope="module")
def vibe_db(tmp_path_factory: pytest.TempPathFactory, free_body: Path) -> Path:
    return write_vibe_db(tmp_path_factory.mktemp("vibe_db"), only=FILES).folder


def dataset_of(supervision: str = "full_3d", **source: Any) -> DatasetSettings:
    return DatasetSettings.model_validate({
        "role": "wild3d", "title": "T", "licence": "none", "supervision": supervision, "tube": "truth",
        "source": {"kind": "prepared", **source},
    })  # fmt: skip


def threedpw(folder: Path) -> DatasetSettings:
    files = {"train": folder / "3dpw_train_db.pt", "test": folder / "3dpw_test_db.pt"}
    return dataset_of(format="vibe_db", backbone="resnet50-spin", files=files)


def planned(run: RunFolder, dataset: DatasetSettings) -> dict[str, list[dict[str, Any]]]:
    shards = plan_shards(run, "d", dataset, WorldSettings(), 0)
    return {shard: read_shard(run, "d", shard)["videos"] for shard in shards}


def test_all_people_and_pieces_of_a_video_are_one_entry(vibe_db: Path, tmp_path: Path):
    (videos,) = planned(RunFolder(tmp_path), threedpw(vibe_db)).values()
    assert [video["source"] for video in videos] == [
        f"d/{split}/{name}" for split in ("train", "test") for name in ("downtown_arguing_00", "outdoors_slalom_01")
    ]
    assert [len(video["sequences"]) for video in videos] == [2, 1, 2, 1]
    assert [video["frames"] for video in videos[:2]] == [96, 94]
    tables = import_planned("d", threedpw(vibe_db), "d-0000", videos, CurationSettings())
    assert set(tables.videos["video_id"]) == {video["video_id"] for video in videos}
    assert tables.attributes_of_phi["backbone"] == "resnet50-spin" and len(tables.phi) == 2 * (96 + 94)


def test_a_shard_is_full_after_so_many_frames(vibe_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "FRAMES_A_SHARD", 150)
    shards = planned(RunFolder(tmp_path), threedpw(vibe_db))
    assert [len(videos) for videos in shards.values()] == [2, 2]
    dataset = threedpw(vibe_db)
    both = [import_planned("d", dataset, shard, videos, CurationSettings()) for shard, videos in shards.items()]
    assert {split for tables in both for split in tables.clips["split"]} == {"train", "test"}


def test_another_file_in_its_place_is_planned_anew(vibe_db: Path, tmp_path: Path):
    run, file = RunFolder(tmp_path / "run"), tmp_path / "3dpw_test_db.pt"
    file.write_bytes((vibe_db / "3dpw_test_db.pt").read_bytes())
    dataset = dataset_of(format="vibe_db", backbone="resnet50-spin", files={"test": file})
    first = planned(run, dataset)
    written = run.plan("d", "d-0000").stat().st_mtime_ns
    assert planned(run, dataset) == first and run.plan("d", "d-0000").stat().st_mtime_ns == written
    file.write_bytes((vibe_db / "3dpw_val_db.pt").read_bytes() + b" ")
    assert planned(run, dataset) != first
    file.unlink()
    with pytest.raises(ConfigError, match=r"data_folders\.d: there is no file .*3dpw_test_db\.pt.*source\.files\.test"):
        planned(run, dataset)


def test_records_are_planned_by_the_file(tmp_path: Path):
    written = write_hmmr_records(tmp_path / "insta_variety")
    dataset = dataset_of("pseudo_2d", format="hmmr_records", backbone="resnet50-hmr", path=written.folder)
    (entries,) = planned(RunFolder(tmp_path), dataset).values()
    assert [Path(entry["file"]).parent.name for entry in entries] == ["train", "train"]
    tables = import_planned("d", dataset, "d-0000", entries, CurationSettings(minimum_person_height_px=1))
    assert tables.attributes_of_phi["backbone"] == "resnet50-hmr"
    assert len(tables.clips) == 3 and set(tables.clips["supervision"]) == {"pseudo_2d"}
    with pytest.raises(ConfigError, match=r"data_folders\.d: is required"):
        planned(RunFolder(tmp_path), dataset_of(format="hmmr_records", backbone="resnet50-hmr"))
    with pytest.raises(StorageError, match="holds no"):
        planned(RunFolder(tmp_path), dataset_of(format="hmmr_records", backbone="resnet50-hmr", path=tmp_path / "x"))
