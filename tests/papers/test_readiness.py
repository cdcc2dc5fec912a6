"""What is missing is told once, with what would be unlocked; what is there stays silent."""

from pathlib import Path

import pytest

from moviestrip.config import Config, load_config, load_dataset, load_variants, validate_config
from moviestrip.errors import ConfigError
from moviestrip.papers.printed import table_names
from moviestrip.papers.readiness import Missing, missing_parts, require_ready, table_needs, what_would_run

BODIES = ("SMPL_NEUTRAL.pkl", "SMPL_MALE.pkl", "SMPL_FEMALE.pkl", "J_regressor_h36m.npy")


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "config"


@pytest.fixture
def papers(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The papers' configuration, in a folder where nothing lies."""
    monkeypatch.chdir(tmp_path)
    return load_config([repository / "config.yaml", repository / "config" / "papers.yaml"])


def put_all(config: Config, *but: str) -> None:
    """Empty files and folders in the places that a configuration names, except some."""
    places = [*config.data_folders.values(), config.motions.amass_folder]
    files = [getattr(config.body, key) for key in ("path", "joint_regressor", "male_path", "female_path")]
    files += [*config.features.checkpoints.values(), Path(config.detector.command.split()[0])]
    for place in places:
        if str(place) not in but:
            place.mkdir(parents=True)
    for file in files:
        if str(file) not in but:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o755)


def found_in(config: Config, folder: Path) -> list[Missing]:
    datasets = {name: load_dataset(name, folder, config.data_folders) for name in config.datasets}
    return missing_parts(config, datasets, load_variants(config, folder, datasets), folder)


def told(config: Config, folder: Path) -> str:
    datasets = {name: load_dataset(name, folder, config.data_folders) for name in config.datasets}
    with pytest.raises(ConfigError) as caught:
        require_ready(config, datasets, load_variants(config, folder, datasets), folder)
    return str(caught.value)


def test_with_nothing_there_every_part_is_named_once(papers, folder):
    found = found_in(papers, folder)
    assert [each.name for each in found if each.kind == "dataset"] == list(papers.datasets)
    others = {(each.kind, each.name) for each in found if each.kind != "dataset"}
    assert others == {
        ("motions", "amass"), ("program", "detector"), ("checkpoint", "resnet50-spin"), ("checkpoint", "resnet50-hmr"),
        *(("body", key) for key in ("path", "joint_regressor", "male_path", "female_path")),
    }  # fmt: skip
    assert all(each.uses.tables and each.source and each.key for each in found)


def test_the_message_fits_a_terminal_and_says_where_and_what_for(papers, folder):
    message = told(papers, folder)
    assert max(map(len, message.splitlines())) < 80
    for text in (
        "7 datasets, 1 set of motions, 4 body files, 2 checkpoints, 1 program", "put it at       data/h36m",
        "data_folders.3dpw (there is no such folder)", "http://vision.imar.ro/human3.6m", "body.male_path",
        "detector.command", "hmmr-1,2,4", "all 25 tables", "snakemake --cores 2",
    ):  # fmt: skip
        assert text in message


def test_with_everything_there_nothing_is_said(papers, folder):
    put_all(papers)
    assert found_in(papers, folder) == []


def test_the_miniature_world_needs_nothing(repository, folder):
    assert found_in(load_config([repository / "config.yaml"]), folder) == []


@pytest.mark.parametrize(
    ("dataset", "printed", "not_printed"),
    [
        ("h36m", {"hmmr-1", "hmmr-3", "vibe-1", "phd-4", "tcmr-6"}, {"phd-5", "phd-7", "tcmr-1", "vibe-2"}),
        ("3dpw", {"hmmr-2", "vibe-1", "tcmr-8"}, {"hmmr-1", "phd-1"}),
        ("mpi-inf-3dhp", {"vibe-1", "tcmr-4", "tcmr-6"}, {"hmmr-2", "tcmr-5"}),
        ("penn-action", {"hmmr-2", "phd-5", "phd-7"}, {"phd-4", "vibe-1"}),
        ("nba", {"hmmr-1", "hmmr-2", "hmmr-4"}, {"phd-1", "hmmr-6"}),
        ("vlog-people", {"hmmr-1"}, {"hmmr-4"}),
    ],
)
def test_where_a_dataset_is_printed_is_what_the_papers_print(papers, folder, dataset, printed, not_printed):
    needs = table_needs(papers, folder)
    tables = {table for table, need in needs.items() if dataset in need.printed_on}
    assert printed <= tables
    assert not not_printed & tables


def test_what_models_learn_from_counts_with_what_they_start_from(papers, folder):
    needs = table_needs(papers, folder)
    assert list(needs) == table_names()
    assert not needs["hmmr-1"].has_models
    assert needs["hmmr-1"].trained_on == set()
    assert "vlog-people" in needs["hmmr-4"].trained_on
    assert "instavariety" in needs["phd-2"].trained_on  # ar-phi starts from phd-causal
    assert "h36m" in needs["tcmr-1"].trained_on  # by spin-backbone, where they start
    assert "motions" in needs["vibe-3"].trained_on
    assert "motions" not in needs["phd-1"].trained_on
    assert "resnet50-hmr" in needs["vibe-2"].backbones  # through the configuration's stand-in


def test_one_missing_dataset_leaves_lines_that_would_run(papers, folder):
    put_all(papers, "data/nba")
    (nba,) = found_in(papers, folder)
    assert nba.uses.printed == ("hmmr-1", "hmmr-2", "hmmr-4")
    message = told(papers, folder)
    assert "train_without: [nba]" in message
    assert "datasets: [h36m, 3dpw, mpi-inf-3dhp, penn-action, instavariety, vlog-people]" in " ".join(message.split())
    assert "variants:" not in message


def test_the_suggested_lines_do_run(papers, folder):
    put_all(papers, "data/h36m", "data/nba", "data/amass")
    datasets = {name: load_dataset(name, folder, papers.data_folders) for name in papers.datasets}
    reduced = what_would_run(papers, datasets, folder, found_in(papers, folder))
    assert reduced is not None
    assert "single-view" not in reduced.variants  # without Human3.6M it has no 3D truth
    assert {"spin-backbone", "tcmr-3dpw-train"} <= set(reduced.variants)
    assert not {"vibe", "vibe-3dpw-train"} & set(reduced.variants)  # nothing for their discriminator
    assert "phd-4" not in reduced.tables
    assert found_in(validate_config(reduced.model_dump(mode="json"), "reduced"), folder) == []


def test_variants_that_only_serve_to_start_others_are_not_suggested_alone(papers, folder):
    put_all(papers, *map(str, papers.features.checkpoints.values()))
    datasets = {name: load_dataset(name, folder, papers.data_folders) for name in papers.datasets}
    reduced = what_would_run(papers, datasets, folder, found_in(papers, folder))
    assert reduced is not None
    assert set(reduced.variants) == {
        "imagenet-backbone", "random-backbone", "baseline-resnet-imagenet", "baseline-resnet-random",
    }  # fmt: skip
    alone = papers.model_copy(update={"variants": ("imagenet-backbone",)})
    reduced = what_would_run(alone, datasets, folder, found_in(papers, folder))
    assert reduced is not None
    assert reduced.variants == ()
    assert "hmmr-1" in reduced.tables


def test_without_a_body_or_any_3d_truth_no_line_is_suggested(papers, folder):
    put_all(papers, "data/smpl/SMPL_NEUTRAL.pkl")
    message = told(papers, folder)
    assert "body.path (there is no such file)" in message
    assert "train_without:" not in message


def test_bodies_of_men_and_women_are_asked_for_with_3dpw_alone(papers, folder):
    put_all(papers, "data/smpl/SMPL_MALE.pkl")
    (male,) = found_in(papers, folder)
    assert (male.name, "tcmr-1" in male.uses.tables, "phd-1" in male.uses.tables) == ("male_path", True, False)
    unnamed = papers.model_copy(update={
        "datasets": ("h36m",), "variants": (), "body": papers.body.model_copy(update={"male_path": None}),
    })  # fmt: skip
    assert found_in(unnamed, folder) == []


def test_a_detector_is_needed_only_where_something_is_detected(papers, folder):
    program = papers.detector.command.split()[0]
    put_all(papers)
    Path(program).chmod(0o644)
    (found,) = found_in(papers, folder)
    assert (found.kind, found.problem) == ("program", "it may not be run (chmod +x)")
    assert found.uses.tables == ("hmmr-1", "hmmr-4", "hmmr-6")
    assert found_in(papers.model_copy(update={"datasets": ("h36m",), "variants": ()}), folder) == []


def test_a_dataset_that_no_table_knows_says_so(papers, folder):
    put_all(papers, "data/kinetics-400")
    message = told(papers.model_copy(update={"datasets": (*papers.datasets, "kinetics-400")}), folder)
    assert "no table: no variant as defined reads it" in " ".join(message.split())


def test_features_that_others_computed_are_looked_for_by_file(papers, folder, tmp_path):
    put_all(papers)
    wanted = {"datasets": ("3dpw-vibe-db",), "data_folders": {"3dpw-vibe-db": tmp_path}, "variants": ()}
    (found,) = found_in(papers.model_copy(update=wanted), folder)
    assert (found.place, found.problem) == (str(tmp_path / "3dpw_train_db.pt"), "there is no such file")
    assert "tcmr-8" in found.uses.printed  # as 3DPW, for which it stands
