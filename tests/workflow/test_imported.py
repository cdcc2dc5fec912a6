"""Snakemake on features that come with labels: no video is fetched, rendered or decoded."""

import re

import pandas as pd
import pytest
import yaml

from tests.datasets.prepared.write_vibe_db import write_vibe_db
from tests.workflow.conftest import Run
from tests.workflow.tiny_run import TINY, workplace

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

FILES = ("3dpw_train_db.pt", "3dpw_val_db.pt", "3dpw_test_db.pt", "h36m_train_25fps_db.pt")
FILMED_RULES = {"fetch", "detect", "track", "curate", "label", "annotate", "features", "occluded_features", "render"}


def test_models_are_trained_and_scored_on_imported_features(tmp_path, repository, free_body, snakemake: Run):
    folder = workplace(tmp_path, repository)
    places = dict.fromkeys(("3dpw", "h36m-vibe-db"), str(write_vibe_db(tmp_path / "vibe_db", only=FILES).folder))
    imported = {
        "world": "papers", "datasets": list(places), "dataset_files": {"3dpw": "3dpw-vibe-db"}, "data_folders": places,
        "variants": ["single-view", "contextual-no-dynamics"], "train_without": ["penn-action", "nba"],
        "tables": ["hmmr-2"], "features": {"backbone": "resnet50-spin"}, "curation": {"minimum_person_height_px": 20},
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY | imported))
    first = snakemake(folder, "--cores", "1")
    assert first.returncode == 0, first.stderr[-4000:]
    ran = set(re.findall(r"rule (\w+):", first.stdout + first.stderr))
    assert "import_features_of_resnet50_spin" in ran and not ran & FILMED_RULES
    results = folder / "results/tiny"
    table = pd.read_csv(results / "tables/hmmr-2.csv")
    ours = table[table["ours"].notna()]
    assert set(ours["dataset"]) == {"3dpw"} and {"single-view", "contextual-no-dynamics"} <= set(ours["row_id"])
    assert (ours[["clips", "frames", "seeds"]] > 0).all().all()
    assert (results / "report/index.html").stat().st_size > 10_000
    assert list((results / "figures/overlays").glob("*.mp4"))
    again = snakemake(folder, "--cores", "1")
    assert "Nothing to be done" in again.stderr + again.stdout
