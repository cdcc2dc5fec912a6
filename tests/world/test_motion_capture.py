"""The library of motions from what a user brings: which sources, which splits, and as a table written bit by bit."""

from pathlib import Path

import numpy as np
import pytest

from moviestrip import stages, tables
from moviestrip.config import MotionPriorSettings, MotionSettings, ScaleSettings, load_config
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.provenance import read_record
from moviestrip.settings import StageSettings
from moviestrip.storage import digest_file
from moviestrip.tables import MOTIONS, read_table, write_table, write_table_in_parts
from moviestrip.training.motions import read_motions
from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.motions import (
    MotionLibrary,
    chosen_sources,
    motion_library,
    motion_to_rows,
    motions_to_table,
    source_motions,
    split_of,
)
from tests.world.write_amass import write_amass
from tests.world.write_cmu import write_cmu


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, rest: RestSkeleton) -> Path:
    folder = tmp_path_factory.mktemp("brought")
    write_amass(folder / "amass", rest)
    write_cmu(folder)
    return folder


def test_nothing_given_is_the_miniature_worlds_library():
    assert chosen_sources(MotionSettings()) == ("recorded", "procedural")


def test_folders_that_are_given_are_read_besides(folders: Path):
    assert chosen_sources(MotionSettings(cmu_folder=folders / "asf")) == ("recorded", "procedural", "cmu")
    assert chosen_sources(MotionSettings(bvh_folder=folders / "bvh")) == ("recorded", "procedural", "bvh")
    both = MotionSettings(amass_folder=folders / "amass", bvh_folder=folders / "bvh", sources=("amass", "recorded"))
    assert chosen_sources(both) == ("recorded", "amass")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"sources": ("amass",)}, "motions.sources: 'amass' needs `motions.amass_folder`"),
        ({"bvh_folder": "nowhere"}, "motions.bvh_folder: there is no folder .*nowhere"),
        (
            {"amass_folder": "amass", "cmu_folder": "asf"},
            r"AMASS's subset CMU and \['cmu'\] may hold the same recordings",
        ),
        ({"amass_folder": "amass", "bvh_folder": "bvh"}, r"AMASS's subset CMU and \['bvh'\]"),
    ],
)
def test_sources_that_cannot_be_are_named(folders: Path, settings: dict, named: str):
    placed = {key: folders / value if key.endswith("folder") else value for key, value in settings.items()}
    with pytest.raises(ConfigError, match=named):
        chosen_sources(MotionSettings(**placed))


def test_a_recording_in_two_formats_is_refused(folders: Path, rest: RestSkeleton):
    settings = MotionSettings(sources=("cmu", "bvh"), cmu_folder=folders / "asf", bvh_folder=folders / "bvh")
    with pytest.raises(ConfigError, match=r"'cmu-07-02' \(CMU Graphics Lab by cgspeed, 07_02\.bvh\) is there twice"):
        motion_library(rest, 0, settings)


def test_amass_alone_is_split_by_its_subsets(folders: Path, rest: RestSkeleton):
    lines: list[str] = []
    settings = MotionSettings(sources=("amass",), amass_folder=folders / "amass")
    motions = list(source_motions(rest, 0, settings, lines.append))
    assert lines == ["AMASS: 8 motions, of which 1 were dropped: they have fewer than 60 frames at 25 fps"]
    splits = [split_of(motion.motion_id) for motion in motions]
    assert sorted(splits) == ["test"] * 2 + ["train"] * 3 + ["validation"] * 2
    assert split_of("amass-HumanEva/S1/Walking_1") == "validation"
    assert split_of("amass-CMU/01/01_01") == "train"


def test_the_table_is_that_of_the_whole_library(tmp_path: Path, library: MotionLibrary):
    part = MotionLibrary(library.motions[:6], library.splits[:6], library.rest)
    write_table(tmp_path / "whole.parquet", motions_to_table(part), MOTIONS)
    rows = (motion_to_rows(motion, split) for motion, split in zip(part, part.splits, strict=True))
    write_table_in_parts(tmp_path / "parts.parquet", rows, MOTIONS)
    assert digest_file(tmp_path / "whole.parquet") == digest_file(tmp_path / "parts.parquet")


@pytest.mark.parametrize("rows_a_group", [1, 100, 300])
def test_row_groups_change_nothing(
    tmp_path: Path, library: MotionLibrary, monkeypatch: pytest.MonkeyPatch, rows_a_group: int
):
    motions = [*library.of_split("train")[5:12], *library.of_split("test")[:2]]
    rows = [motion_to_rows(motion, split_of(motion.motion_id)) for motion in motions]
    halves = [half for part in rows for half in (part[:50], part[50:]) if len(half)]
    write_table_in_parts(tmp_path / "one.parquet", rows, MOTIONS)
    monkeypatch.setattr(tables, "ROWS_A_GROUP", rows_a_group)
    write_table_in_parts(tmp_path / "many.parquet", halves, MOTIONS)
    one, many = (read_table(tmp_path / f"{name}.parquet", MOTIONS) for name in ("one", "many"))
    assert one["motion_id"].equals(many["motion_id"])
    np.testing.assert_array_equal(np.stack(one["pose"].to_list()), np.stack(many["pose"].to_list()))
    first, second = (read_motions(tmp_path / f"{name}.parquet", "train") for name in ("one", "many"))
    assert first.ids == second.ids and first.dropped == second.dropped
    assert np.array_equal(first.starts, second.starts) and np.array_equal(first.pose, second.pose)


def test_a_key_in_two_row_groups_and_a_motion_in_two_places_are_refused(
    tmp_path: Path, library: MotionLibrary, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tables, "ROWS_A_GROUP", 10)
    first, second = (motion_to_rows(motion, "train") for motion in library.of_split("train")[-2:])
    with pytest.raises(StorageError, match="rows of 'motions' repeat a key"):
        write_table_in_parts(tmp_path / "motions.parquet", [first, second, first[:1]], MOTIONS)
    assert not list(tmp_path.iterdir())
    write_table_in_parts(tmp_path / "motions.parquet", [first[:50], second, first[50:]], MOTIONS)
    with pytest.raises(StorageError, match=f"the rows of motion '{first['motion_id'][0]}' are apart"):
        read_motions(tmp_path / "motions.parquet", "train")


def test_the_stage_makes_the_library_and_a_prior_trains_on_it(
    tmp_path: Path, folders: Path, repository: Path, capsys: pytest.CaptureFixture[str]
):
    config = load_config([repository / "config.yaml"]).model_copy(
        update={
            "motions": MotionSettings(sources=("amass",), amass_folder=folders / "amass"),
            "motion_prior": MotionPriorSettings(steps=2, hidden=64, validate_every_steps=1),
            "scale": ScaleSettings(width=64),
        }
    )
    digests = []
    for name in ("once", "again"):
        job = stages.Job(RunFolder(tmp_path / name), StageSettings.from_config(config, repository / "config"))
        stages.body(job)
        stages.motions(job)
        digests.append(digest_file(job.run.motions))
    assert digests[0] == digests[1]
    assert "AMASS: 8 motions, of which 1 were dropped" in capsys.readouterr().err
    record = read_record(job.run.motions)
    assert record is not None and record["settings"]["motions"]["sources"] == ["amass"]
    stages.motion_prior(job, "mposer", 0)
    assert job.run.checkpoint("mposer", 0).exists()
