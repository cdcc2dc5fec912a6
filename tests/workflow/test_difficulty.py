"""A finished run says whether its world is hard where reality is hard."""

import json
from pathlib import Path

import pandas as pd

from moviestrip.papers.difficulty import COLUMNS
from moviestrip.provenance import chain


def test_a_run_checks_its_world(finished: Path):
    run = finished / "results/tiny"
    found = pd.read_csv(run / "difficulty.csv").set_index("check")
    assert ["check", *found.columns] == list(COLUMNS)
    assert found.index.is_unique
    assert set(found["verdict"]) <= {"present", "absent", "undecided"}
    for sure in ("shared-motions", "shared-people", "motions-train"):
        assert found.loc[sure, "verdict"] == "present"
    assert {"jitter-above-motion-studio", "depth-studio", "mean-pose-temporal-studio", "future-true-20"} <= set(
        found.index
    )
    assert {"motions", "render", "predictions", "features"} <= {link.stage for link in chain(run / "difficulty.csv")}
    caption = json.loads((run / "figures/difficulty/predictability/caption.json").read_text())
    assert "miniature world" in caption["caption"]
