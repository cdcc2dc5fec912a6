"""A release is checked before any run: what it holds is counted, and whatever is damaged is named."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from moviestrip.cli import app
from moviestrip.datasets.official import RELEASES, release_named
from moviestrip.datasets.official.h36m import Human36M
from moviestrip.datasets.official.instavariety import InstaVariety
from moviestrip.datasets.official.penn_action import PennAction
from moviestrip.datasets.official.report import EXPECTED_FROM, FACTS, Total, _count, lines_of, report_on_release
from moviestrip.errors import StorageError
from moviestrip.figures.release_sheet import labelled_frames, release_sheet
from tests.datasets.official.write_instavariety import FETCHED, write_instavariety
from tests.datasets.official.write_penn_action import VIDEOS as PENN_VIDEOS
from tests.datasets.official.write_penn_action import write_penn_action


@pytest.fixture(scope="module")
def penn(tmp_path_factory) -> Path:
    return write_penn_action(tmp_path_factory.mktemp("penn")).folder


@pytest.fixture
def copied(penn: Path, tmp_path: Path) -> Path:
    """The release again, to be spoilt."""
    return Path(shutil.copytree(penn, tmp_path / "penn"))


def labels_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("labels/*.mat"))


def test_a_sound_release_is_counted(penn):
    report = report_on_release(PennAction(penn), whole=True)
    assert report.problems == []
    assert sum(report.videos.values()) == len(PENN_VIDEOS) == report.coverage["videos_read"].sum()
    assert (report.coverage["keypoints"] == 1).all()
    assert (report.coverage[["joints_3d", "body"]] == 0).all(axis=None)
    assert (report.coverage["trusted"] == 1).all()
    train = next(total for total in report.totals if total.what == "train videos")
    assert train.found == report.videos["train"]
    assert train.verdict == f"differs by {report.videos['train'] - 1258:+,}"
    assert max(map(len, lines_of(report))) <= 80


def test_only_a_few_videos_are_read_unless_all_are_asked_for(penn, monkeypatch):
    monkeypatch.setattr("moviestrip.datasets.official.report.SAMPLED_VIDEOS", 1)
    report = report_on_release(PennAction(penn))
    assert (report.coverage["videos_read"] == 1).all()


def test_damage_is_named_and_the_next_video_is_read(copied):
    release = PennAction(copied)
    first = copied / next(release.videos()).file
    for picture in first.glob("*.jpg"):
        picture.unlink()
    report = report_on_release(release, whole=True)
    assert len(report.problems) == 1
    assert str(first) in report.problems[0]
    assert report.coverage["videos_read"].sum() == len(PENN_VIDEOS) - 1


def test_a_listing_that_breaks_off_keeps_what_came_before(copied):
    last = labels_of(copied)[-1]
    last.write_bytes(last.read_bytes()[:200])
    report = report_on_release(PennAction(copied))
    assert str(last) in report.problems[0]
    assert sum(report.videos.values()) == len(PENN_VIDEOS) - 1


def test_a_release_of_which_nothing_can_be_read_is_still_reported(copied):
    for path in labels_of(copied):
        path.write_bytes(b"gone")
    report = report_on_release(PennAction(copied))
    assert sum(report.videos.values()) == 0
    assert report.coverage.empty
    assert lines_of(report)


def test_labels_that_cannot_be_read_do_not_stop_the_others(penn, monkeypatch):
    broken = PennAction(penn)
    real, name = broken.people, next(broken.videos()).name

    def people(video):
        if video.name == name:
            raise StorageError(f"{name}.mat: x is missing")
        return real(video)

    monkeypatch.setattr(broken, "people", people)
    report = report_on_release(broken, whole=True)
    assert report.problems == [f"{name}.mat: x is missing"]
    assert report.coverage["videos_read"].sum() == len(PENN_VIDEOS) - 1


def test_equal_releases_have_equal_digests(penn, copied):
    assert report_on_release(PennAction(penn)).digest == report_on_release(PennAction(copied)).digest
    assert report_on_release(PennAction(penn, "vibe")).digest != report_on_release(PennAction(penn)).digest


def test_under_another_rule_nobody_prints_totals(penn):
    assert report_on_release(PennAction(penn, "official")).totals == []


def test_videos_that_are_gone_are_counted_with_the_reason(tmp_path):
    written = write_instavariety(tmp_path / "insta")
    report = report_on_release(InstaVariety(written.folder), whole=True)
    assert sorted(name for name, _ in report.left_out) == sorted(written.missing)
    assert all(reason for _, reason in report.left_out)
    assert "left out: " in "\n".join(lines_of(report))
    assert sum(report.videos.values()) == len(FETCHED)


@pytest.mark.parametrize("name", RELEASES)
def test_every_printed_total_can_be_counted_and_has_a_source(name):
    assert EXPECTED_FROM[name]
    for what in release_named(name).expected:
        assert _count(what, [], pd.DataFrame(columns=list(FACTS))) == 0


def test_totals_printed_in_thousands_are_compared_so():
    assert Total("train frames at 25 fps", 580_730, 581_000).verdict == "as expected"
    assert Total("test videos", 231, 232).verdict == "differs by -1"
    assert Human36M.expected["train frames at 25 fps"] % 1000 == 0


def test_the_picture_shows_labels_over_the_releases_own_frames(penn):
    release = PennAction(penn)
    video = next(release.videos())
    picture, problems = release_sheet(release)
    assert problems == []
    assert picture is not None
    drawn = labelled_frames(release, video)
    bare = labelled_frames(_Unlabelled(penn), video)
    assert len(drawn) == 2
    assert len(bare) == 1
    assert all(picture.std() > 5 for picture in drawn)
    assert (drawn[0] != bare[0]).any()


class _Unlabelled(PennAction):
    def people(self, video):
        return release_named("kinetics-400").people(self, video)  # type: ignore[arg-type]


def test_frames_of_video_files_are_drawn_too(tmp_path):
    release = InstaVariety(write_instavariety(tmp_path / "insta").folder)
    picture, problems = release_sheet(release)
    assert problems == []
    assert picture is not None
    video = next(release.videos())
    (release.folder / video.file).write_bytes(b"gone")
    _, problems = release_sheet(release)
    assert any("cannot be decoded" in problem for problem in problems)


@pytest.fixture
def configured(copied: Path, tmp_path: Path, repository: Path, monkeypatch) -> list[str]:
    """Options that name a configuration of the release."""
    text = (repository / "config" / "papers.yaml").read_text()
    text = re.sub(r"penn-action: \S+", f"penn-action: {copied}", text)
    for part in ("datasets", "variants"):
        (tmp_path / part).symlink_to(repository / "config" / part)
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return ["--config", str(tmp_path / "mine.yaml")]


def test_the_commands_say_what_is_there(configured, tmp_path):
    run = CliRunner()
    listed = run.invoke(app, ["dataset", "list", *configured], env={"COLUMNS": "80"})
    assert re.search(r"penn-action .* yes +found", listed.output)
    assert re.search(r"3dpw .* yes +no folder", listed.output)
    checked = run.invoke(app, ["dataset", "check", "penn-action", "--all", *configured])
    assert checked.exit_code == 0, checked.output
    assert "expected 1,258" in checked.output
    shown = run.invoke(app, ["dataset", "show", "penn-action", *configured])
    assert shown.exit_code == 0, shown.output
    assert "labels/0001.mat" in shown.output
    assert "phd-1,2,3,5,7,8" in shown.output
    picture = tmp_path / "results" / "papers" / "figures" / "releases" / "penn-action.png"
    assert str(picture.relative_to(tmp_path)) in shown.output.replace("\n", "")
    assert picture.stat().st_size > 10_000


def test_a_damaged_release_ends_with_3_and_a_missing_one_says_where_to_look(configured, copied):
    first = labels_of(copied)[-1]
    first.write_bytes(first.read_bytes()[:200])
    run = CliRunner()
    checked = run.invoke(app, ["dataset", "check", "penn-action", *configured])
    assert checked.exit_code == 3
    assert first.name in checked.output
    missing = run.invoke(app, ["dataset", "check", "3dpw", *configured])
    assert isinstance(missing.exception, StorageError)
    assert "docs/datasets.md" in str(missing.exception)
    shown = run.invoke(app, ["dataset", "show", "3dpw", *configured])
    assert shown.exit_code == 0
    assert "there is no such folder: data/3dpw" in shown.output
    assert "sequenceFiles" in shown.output
