"""What runs again after a change, and what does not: dry runs of a world whose every output is an empty file.

Snakemake decides from files, times and what it has written down about them, so nothing needs to be computed: the
outputs are put there and `--touch` writes down with which parameters they were made.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.scale import make_place, pretend_finished, snakemake, write_links

pytestmark = pytest.mark.workflow

CONFIG = {
    "name": "tiny",
    "datasets": ["studio", "gym", "court", "found"],
    "train_without": ["nba"],
    "variants": ["single-view", "single-view-gaussian", "contextual", "contextual-instavariety"],
    "motion_priors": ["vposer"],
    "tables": ["hmmr-1", "hmmr-2", "hmmr-4"],
    "rendering": {"frames_scale": 0.01},
    "fetch": {"shard_videos": 2},
}
PAGES = {
    "tables",
    "claims",
    "smoothing",
    "difficulty",
    "overlays",
    "report",
}  # whatever model changes

Changed = Callable[..., str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything is there: three found videos, in shards of two."""
    folder = tmp_path_factory.mktemp("narrow")
    make_place(folder, 3, CONFIG)
    pretend_finished(folder)
    return folder


@pytest.fixture
def place(done: Path, tmp_path: Path) -> Path:
    """The same, to change: dates stay, so that Snakemake finds it as it was."""
    return Path(shutil.copytree(done, tmp_path / "place", symlinks=True))


def change_yaml(path: Path, **keys: Any) -> None:
    found = yaml.safe_load(path.read_text())
    for key, value in keys.items():
        found[key] = {**found[key], **value} if isinstance(found.get(key), dict) else value
    path.write_text(yaml.safe_dump(found))


def planned(place: Path) -> dict[str, str]:
    """What a dry run would do, such as `train contextual seed-0`, and why."""
    dry = snakemake(place, "-n", "--quiet", "host")
    assert dry.returncode == 0, dry.output[-3000:]
    rule, found = "", {}
    for block in re.split(r"^(?=(?:local)?rule )", dry.output, flags=re.MULTILINE)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)[1]
        wildcards = re.search(r"^    wildcards: (.+)$", block, flags=re.MULTILINE)
        values = dict(re.findall(r"(\w+)=([^,\n]*)", wildcards[1])) if wildcards else {}
        reason = re.search(r"^    reason: (.+)$", block, flags=re.MULTILINE)
        shown = (value for name, value in values.items() if name != "seed" and value)
        if rule != "all":
            found[" ".join([rule, *shown])] = reason[1] if reason else ""
    return found


def of_model(name: str, trained: bool = True) -> set[str]:
    return {f"{rule} {name}" for rule in (["train"] if trained else []) + ["predict"]}


def test_videos_added_make_new_shards_and_what_learns_from_them(place: Path):
    assert planned(place) == {}
    old = {path: path.stat().st_mtime_ns for path in (place / "results/tiny/plan").rglob("*.json")}
    write_links(place, 6)
    jobs = planned(place)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in old.items())
    stages = ("fetch", "detect", "shots", "track", "curate", "key_frames", "appearance", "label")
    new = {f"{stage} found found-000{shard}" for stage in stages for shard in (2, 3)}
    new |= {f"features blazepose-full found found-000{shard}" for shard in (2, 3)}
    whole = {"all_labels found", "all_features blazepose-full found", "contact_sheet found", "people_sheet found",
             "funnel", "statistics"}  # fmt: skip
    assert set(jobs) == new | whole | of_model("contextual-instavariety") | PAGES
    assert "plan/found/found-0002.json" in jobs["fetch found found-0002"]
    assert "complete/features/blazepose-full/found.done" in jobs["train contextual-instavariety"]


def test_one_variants_learning_rate_trains_that_variant_and_those_that_start_from_it(place: Path):
    change_yaml(place / "config/variants/contextual-instavariety.yaml", learning_rate=1e-4)
    jobs = planned(place)
    assert set(jobs) == of_model("contextual-instavariety") | PAGES
    assert "Params have changed" in jobs["train contextual-instavariety"]
    change_yaml(place / "config/variants/single-view.yaml", loss_weights={"keypoints": 50})
    started = {"single-view", "contextual", "contextual-instavariety"}
    smoothed = of_model("single-view-gaussian", trained=False)
    assert set(planned(place)) == set().union(*map(of_model, started)) | smoothed | PAGES


def test_a_variant_added_is_trained_and_nothing_else(place: Path):
    change_yaml(place / "own.yaml", variants=[*CONFIG["variants"], "contextual-no-dynamics"])
    assert set(planned(place)) == of_model("contextual-no-dynamics") | PAGES | {"statistics"}


@pytest.mark.parametrize(
    ("keys", "jobs"),
    [
        ({"evaluation": {"bootstrap_samples": 51}}, PAGES - {"overlays"} | {"statistics"}),
        (
            {
                "fetch": {"shard_videos": 2, "seconds_between_requests": 7, "hosts_at_once": 2, "attempts": 9},
                "report": {"overlay_clips": 2},
            },
            {"overlays", "report"},
        ),
        pytest.param({"fetch": {"shard_videos": 50}}, set(), marks=pytest.mark.slow),
        pytest.param({"compute": {"compile": True}}, None, marks=pytest.mark.slow),
    ],
    ids=["bootstrap", "politeness-and-report", "shards", "compute"],
)
def test_a_key_reruns_its_readers_alone(place: Path, keys: dict, jobs: set[str] | None):
    """The report shows the whole configuration, so that any key makes its page anew; it computes nothing."""
    change_yaml(place / "own.yaml", **keys)
    if jobs is None:
        trained = ("single-view", "contextual", "contextual-instavariety")
        jobs = set().union(*map(of_model, trained)) | of_model("single-view-gaussian", trained=False) | PAGES
    assert set(planned(place)) - {"report"} == jobs - {"report"}


def test_titles_are_for_pages_alone(place: Path):
    """Nothing is fetched, detected, trained or scored again because of a better title or a licence looked up."""
    change_yaml(place / "config/datasets/found.yaml", title="Videos that we found", licence="each its poster's")
    change_yaml(place / "config/variants/contextual-instavariety.yaml", title="Ours, more data")
    assert set(planned(place)) == PAGES - {"overlays"} | {"funnel", "statistics"}
