"""Features that come with labels: from the configuration to the tables that the other stages read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from moviestrip import stages
from moviestrip.config import Config, DatasetSettings, check_variants, load_config, load_dataset, load_variants
from moviestrip.datasets.plan import plan_shards
from moviestrip.errors import ConfigError
from moviestrip.figures.contact_sheet import frames_of_dataset, is_paper
from moviestrip.layout import RunFolder
from moviestrip.settings import StageSettings
from moviestrip.stages.figures.filmed import Filmed
from moviestrip.storage import read_features
from moviestrip.tables import FEATURE_INDEX, LABELS, VIDEOS, read_table
from tests.datasets.prepared.write_vibe_db import write_vibe_db

FILES = ("3dpw_train_db.pt", "3dpw_val_db.pt", "3dpw_test_db.pt")
BASE = {
    "name": "imported", "world": "papers", "tables": ["hmmr-4"], "datasets": ["3dpw", "h36m-vibe-db"],
    "dataset_files": {"3dpw": "3dpw-vibe-db"}, "variants": ["single-view", "contextual-no-dynamics"],
    "train_without": ["penn-action", "nba"], "features": {"backbone": "resnet50-spin"},
    "curation": {"minimum_person_height_px": 20},
}  # fmt: skip


def configured(**changed: Any) -> Config:
    return Config.model_validate(BASE | changed)


def datasets_of(config: Config, folder: Path) -> dict[str, DatasetSettings]:
    places = config.data_folders, config.dataset_files
    return {name: load_dataset(name, folder, *places) for name in config.datasets}


def checked(config: Config, folder: Path) -> None:
    datasets = datasets_of(config, folder)
    check_variants(load_variants(config, folder, datasets), config.features.backbone, datasets)


def test_a_dataset_is_described_by_another_file_and_lies_in_a_folder(repository: Path):
    folder = repository / "config"
    found = datasets_of(configured(data_folders={"3dpw": "/data/vibe_db"}), folder)["3dpw"]
    assert found.source.files["test"] == Path("/data/vibe_db/3dpw_test_db.pt") and found.is_scored
    assert found.splits == {"train", "validation", "test"}
    records = load_dataset("instavariety-hmmr-records", folder, {"instavariety-hmmr-records": Path("/data/insta")})
    assert records.source.path == Path("/data/insta") and records.splits == {"train"} and not records.is_scored
    checked(configured(), folder)


def test_a_file_for_a_dataset_that_is_not_used_is_refused(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**BASE, "dataset_files": {"3dwp": "3dpw-vibe-db"}}))
    with pytest.raises(ConfigError, match="dataset_files: '3dwp' is not listed in `datasets`"):
        load_config([tmp_path / "config.yaml"])


def test_a_variant_of_another_backbone_is_refused(repository: Path):
    folder = repository / "config"
    with pytest.raises(
        ConfigError, match="'single-view' reads blazepose-full, but 3dpw brings resnet50-spin and no pic"
    ):
        checked(configured(features={"backbone": "blazepose-full"}), folder)
    without = ["mpi-inf-3dhp", "penn-action", "instavariety"]
    hmr = configured(variants=["hmr-backbone"], train_without=without)
    with pytest.raises(ConfigError, match=r"'hmr-backbone' reads blazepose-lite.*features\.stand_ins"):
        checked(hmr, folder)
    stand_ins = {"backbone": "resnet50-spin", "stand_ins": {"blazepose-lite": "resnet50-spin"}}
    checked(hmr.model_copy(update={"features": configured(features=stand_ins).features}), folder)


def test_occluded_copies_of_what_has_no_pictures_are_refused(repository: Path):
    without = ["mpi-inf-3dhp", "penn-action", "instavariety"]
    config = configured(variants=["spin-backbone", "tcmr-3dpw-train"], train_without=without)
    with pytest.raises(ConfigError, match="'tcmr-3dpw-train' learns from occluded copies, and 3dpw has no pictures"):
        checked(config, repository / "config")


SOURCE = {"kind": "prepared", "format": "vibe_db", "backbone": "resnet50-spin", "files": {"test": "3dpw_test_db.pt"}}


@pytest.mark.parametrize(
    ("changed", "tube", "message"),
    [
        ({}, "tracks", "3dpw.yaml: tube: the boxes come with the features"),
        ({"files": {}}, "truth", "3dpw.yaml: source.files: is required"),
        ({"path": "x"}, "truth", "3dpw.yaml: source.path: only of format hmmr_records"),
        ({"format": "hmmr_records", "fps": 30}, "truth", "3dpw.yaml: source.files, fps: only of format vibe_db"),
        ({"crop_facto": 1.3}, "truth", "crop_facto: unknown key; did you mean 'crop_factor'?"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, changed: dict, tube: str, message: str):
    (tmp_path / "datasets").mkdir()
    values = {"role": "wild3d", "title": "T", "licence": "x", "supervision": "full_3d", "tube": tube}
    (tmp_path / "datasets/3dpw.yaml").write_text(yaml.safe_dump({**values, "source": SOURCE | changed}))
    with pytest.raises(ConfigError) as caught:
        load_dataset("3dpw", tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, free_body: Path, repository: Path) -> stages.Job:
    """A run with 3DPW's shard imported."""
    folder = tmp_path_factory.mktemp("imported")
    config = configured(data_folders={"3dpw": write_vibe_db(folder / "vibe_db", only=FILES).folder})
    run = RunFolder(folder / "run")
    settings = StageSettings.from_config(config, repository / "config", "3dpw")
    dataset = datasets_of(config, repository / "config")["3dpw"]
    (shard,) = plan_shards(run, "3dpw", dataset, config.rendering, 0)
    job = stages.Job(run, settings)
    stages.import_features(job, "3dpw", shard)
    return job


def test_one_stage_writes_what_the_others_read(imported: stages.Job):
    run = imported.run
    files = run.features("resnet50-spin", "3dpw", "3dpw-0000")
    phi, attributes = read_features(files.phi)
    labels, index = read_table(run.labels("3dpw", "3dpw-0000"), LABELS), read_table(files.index, FEATURE_INDEX)
    assert attributes["backbone"] == "resnet50-spin" and phi.shape == (len(labels), 2048)
    clips = stages.selected_clips(imported, ["3dpw"])
    assert set(clips["clip_id"]) == set(index["clip_id"]) and set(clips["split"]) == {"train", "validation", "test"}
    assert (read_table(run.videos("3dpw", "3dpw-0000"), VIDEOS)["path"] == "").all()


def test_what_is_drawn_is_drawn_on_paper_and_says_so(imported: stages.Job):
    found = stages.check(imported, "3dpw")
    assert found.problems == [] and found.counts["videos without pictures"] == found.counts["videos"] == 6
    sheet = np.asarray(Image.open(imported.run.figures / "datasets/3dpw.png"))
    assert (sheet == 250).all(-1).mean() > 0.5 and (sheet != 250).any()
    filmed = Filmed.of(imported, "3dpw", ["test"])
    video = str(filmed.clips["video_id"].iloc[0])
    pictures = list(frames_of_dataset(imported.run, "3dpw")(video))
    assert len(pictures) >= 48 and all(is_paper(picture) for picture in pictures[:2])
    (cell,) = filmed.cells(str(filmed.clips["clip_id"].iloc[0]), [3], (80, 100))
    assert cell.shape == (100, 80, 3) and (cell[:70] == 250).all() and not is_paper(cell)
