"""The funnel of a small dataset whose losses are all known, of half a run, and of an annotated dataset."""

import pandas as pd
import pytest

from moviestrip.config import DatasetSettings
from moviestrip.datasets.funnel import UNITS, funnel_of, funnels_of, used_clips, write_funnels
from moviestrip.layout import RunFolder
from moviestrip.papers.table import dataset_statistics
from moviestrip.settings import StageSettings
from moviestrip.stages.job import Job, selected_clips
from tests.datasets.write_run import write_clips, write_found, write_plan, write_videos

FOUND = DatasetSettings(
    role="pseudo2d", title="Found", licence="each its poster's", supervision="pseudo_2d", tube="tracks", split="train",
    source={"kind": "folder", "path": "."},
)  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "results" / "tiny")
    write_found(run)
    return run


def rows(funnel: pd.DataFrame) -> dict[tuple[str, str], tuple]:
    columns = funnel[list(UNITS)].astype(object).where(funnel[list(UNITS)].notna(), None)
    return dict(zip(zip(funnel["stage"], funnel["reason"], strict=True), columns.itertuples(index=False), strict=True))


def test_every_video_person_and_clip_is_accounted_for(run):
    assert {key: tuple(value) for key, value in rows(funnel_of(run, "found")).items()} == {
        ("listed", ""): (11, None, None, None),
        ("fetched", "bad video"): (1, None, None, None),
        ("fetched", "permanent"): (2, None, None, None),
        ("fetched", "transient"): (1, None, None, None),
        ("fetched", ""): (7, None, None, 420),
        ("answered", "bad answer"): (1, None, None, None),
        ("answered", ""): (6, None, None, 360),
        ("with_people", "nobody seen"): (1, None, None, None),
        ("with_people", ""): (5, None, None, 213),
        ("people", "nobody followed"): (1, None, None, None),
        ("people", ""): (4, 5, None, 240),
        ("candidates", ""): (4, 5, 5, 240),
        ("length", "too short"): (None, None, 1, 30),
        ("length", ""): (4, 4, 4, 210),
        ("face_only", "only face and shoulders"): (None, None, 1, 40),
        ("face_only", ""): (3, 3, 3, 170),
        ("sharpness", ""): (3, 3, 3, 170),
        ("near_duplicate", "posted before"): (None, None, 1, 60),
        ("near_duplicate", ""): (2, 2, 2, 110),
        ("used", ""): (2, 2, 2, 110),
    }


def test_what_is_left_and_what_is_left_out_make_up_what_was_left_before(run):
    for kind in ("tracks", "answers", "appearance", "clips"):
        funnel = funnel_of(run, "found")
        for unit, first in (("videos", "listed"), ("clips", "candidates")):
            left = funnel[(funnel["reason"] == "") & funnel[unit].notna()].set_index("stage")[unit]
            left = left[:"with_people"] if unit == "videos" else left
            out = funnel[funnel["reason"] != ""].groupby("stage")[unit].sum()
            steps = left.loc[first:]
            expected = steps.shift().sub(out.reindex(steps.index).fillna(0)).iloc[1:]
            assert steps.iloc[1:].astype(int).tolist() == expected.astype(int).tolist()
        getattr(run, kind)("found", "found-0000").unlink()  # and again of less and less


def test_half_a_run_says_what_is_not_there_yet(run):
    run.appearance("found", "found-0000").unlink()
    run.tracks("found", "found-0001").unlink()
    run.videos("found", "found-0001").unlink()
    found = rows(funnel_of(run, "found"))
    assert found["fetched", "not yet"].videos == 3
    assert found["sharpness", "not yet"].clips == 2
    run.answers("found", "found-0000").unlink()
    assert rows(funnel_of(run, "found"))["answered", "not yet"].videos == 5


def test_an_annotated_dataset_has_no_detector(tmp_path):
    run = RunFolder(tmp_path)
    write_plan(run, "studio", "studio-0000", [1, 2])
    write_videos(run, "studio", "studio-0000", {1: "ok", 2: "ok"})
    write_clips(run, "studio", "studio-0000", {(1, 0): (60, "")})
    found = rows(funnel_of(run, "studio"))
    assert ("answered", "") not in found and ("with_people", "") not in found
    assert tuple(found["people", ""]) == (1, 1, None, 60)
    assert found["people", "nobody followed"].videos == 1


def test_planned_and_not_begun(tmp_path):
    run = RunFolder(tmp_path)
    write_plan(run, "found", "found-0000", [1, 2])
    found = rows(funnel_of(run, "found"))
    assert found["fetched", "not yet"].videos == 2 and found["used", ""].clips == 0
    assert list(funnels_of(run, ["found", "unplanned"])) == ["found"]


def test_it_is_written_as_one_table(run, tmp_path):
    write_funnels(tmp_path / "funnel.csv", funnels_of(run, ["found"]))
    read = pd.read_csv(tmp_path / "funnel.csv", keep_default_na=False)
    assert read.loc[read["stage"] == "used", ["dataset", "clips", "frames"]].to_numpy().tolist() == [
        ["found", "2", "110"]
    ]
    write_funnels(tmp_path / "empty.csv", {})
    assert list(pd.read_csv(tmp_path / "empty.csv").columns) == ["dataset", "stage", "reason", *UNITS]


def test_table_1_counts_what_the_funnel_leaves(run):
    """Both as the pictures' filters judge, and as the clips that learning reads."""
    last = rows(funnel_of(run, "found"))["used", ""]
    statistics = dataset_statistics(used_clips(run, "found"), {"found": FOUND}).iloc[0]
    assert (statistics["clips"], statistics["frames"]) == (last.clips, last.frames) == (2, 110)
    assert statistics["minutes"] == pytest.approx(110 / 25 / 60)
    for shard in run.shards("found"):
        run.appearance("found", shard).unlink()
    learnt = dataset_statistics(selected_clips(Job(run, StageSettings({})), ["found"]), {"found": FOUND}).iloc[0]
    last = rows(funnel_of(run, "found"))["used", ""]
    assert (learnt["clips"], learnt["frames"]) == (last.clips, last.frames) == (3, 170)
