"""Shards of links: every planned video keeps its row with its outcome, and nothing is asked for twice."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import DatasetSettings, FetchSettings
from moviestrip.datasets.links import linked_videos
from moviestrip.download import Download, read_download
from moviestrip.errors import FatalError
from moviestrip.parts import package_path
from moviestrip.tables import VIDEOS, read_table, write_table
from moviestrip.video import fetch
from moviestrip.video.fetch import PlannedVideo, fetch_shard, frames_of, unfinished
from tests.download.server import MisbehavingServer, serving
from tests.video.video_files import number_of, write_video

LOOPBACK = FetchSettings(
    private_addresses="loopback", seconds_between_requests=0, attempts=1, timeout_s=2, transfer_timeout_s=5
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of 50 frames, so that parts can be told apart."""
    return write_video(tmp_path_factory.mktemp("served") / "film.mp4", 50, options={"movflags": "faststart"})


@pytest.fixture
def server(film: Path) -> Iterator[MisbehavingServer]:
    with serving(film.read_bytes()) as running:
        yield running


def links(folder: Path, rows: list[dict[str, object]], **others: object) -> DatasetSettings:
    path = folder / "links.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"kind": "links", "lists": [{"kind": "table", "path": str(path)}], **others}
    return dataset(source)


def dataset(source: dict[str, object]) -> DatasetSettings:
    return DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision="pseudo_2d", tube="tracks", split="train", source=source
    )


def fetched(settings: DatasetSettings, results: Path, fetching: FetchSettings = LOOPBACK) -> pd.DataFrame:
    planned = [PlannedVideo.from_plan(entry) for entry in linked_videos("d", settings)]
    table = fetch_shard("d", settings, "d-0000", planned, results, fetching)
    write_table(results / "videos.parquet", table, VIDEOS)
    return read_table(results / "videos.parquet", VIDEOS)


def test_every_outcome_keeps_its_row_in_the_order_of_the_plan(tmp_path: Path, server: MisbehavingServer):
    paths = ["ok/0.mp4", "404/1.mp4", "503/2.mp4?times=9", "html.mp4", "redirect-to-private/4.mp4", "ok/5.mp4"]
    table = fetched(links(tmp_path, [{"url": server.url(path)} for path in paths]), tmp_path / "results")
    assert table["source"].tolist() == [server.url(path) for path in paths]
    assert table["status"].tolist() == ["ok", "permanent", "transient", "bad_video", "refused", "ok"]
    assert (table["reason"].str.len() > 0).tolist() == [False, True, True, True, True, False]
    assert unfinished(table) == 1
    for row in table[table["status"] == "ok"].to_dict("records"):
        kept = tmp_path / "results" / row["path"]
        assert kept.parents[1].resolve() == (tmp_path / "downloads").resolve()
        assert row["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
        assert (row["width_px"], row["height_px"], row["n_frames"], row["filmed_fps"]) == (64, 48, 50, 25)
        assert [number_of(image) for image in frames_of(tmp_path / "results")(row)] == list(range(50))
    for row in table[table["status"] != "ok"].to_dict("records"):
        assert (row["path"], row["sha256"], row["n_frames"]) == ("", "", 0)


def test_a_second_run_asks_only_for_what_may_still_come(tmp_path: Path, server: MisbehavingServer):
    paths = ["ok/0.mp4", "404/1.mp4", "503/2.mp4?times=1", "html.mp4"]
    settings = links(tmp_path, [{"url": server.url(path)} for path in paths])
    first = fetched(settings, tmp_path / "results" / "one")
    asked = server.counts.copy()
    second = fetched(settings, tmp_path / "results" / "two")  # another run of the same results
    assert first["status"].tolist() == ["ok", "permanent", "transient", "bad_video"]
    assert second["status"].tolist() == ["ok", "permanent", "ok", "bad_video"]
    more = server.counts - asked
    more.pop("/robots.txt", None)
    assert more == {"/503/2.mp4": 1}
    assert unfinished(second) == 0


def test_parts_of_one_video_share_one_download(tmp_path: Path, server: MisbehavingServer, monkeypatch):
    digested: list[str] = []
    monkeypatch.setattr(fetch, "digest_of", lambda path: digested.append(path.name) or fetch_digest(path))
    url = server.url("ok/long.mp4")
    parts = [(0.4, 0.8), (1.2, 0), (0, 0), (5, 6)]
    known = [{"start_s": start, "end_s": end} for start, end in parts]
    rows = [{"url": url, **{name: value for name, value in each.items() if value}} for each in known]
    table = fetched(links(tmp_path, rows), tmp_path / "results")
    assert server.counts["/ok/long.mp4"] == 1
    assert len(digested) == 1
    assert table["video_id"].nunique() == 4 and table["path"].nunique() == table["sha256"].nunique() == 1
    assert table["status"].tolist() == ["ok", "ok", "ok", "bad_video"]
    assert "ends before its part begins" in table["reason"].iloc[3]
    assert table["n_frames"].tolist() == [10, 20, 50, 0]
    np.testing.assert_allclose(table[["start_s", "end_s"]], parts, rtol=1e-6)
    digested.clear()
    open_video = frames_of(tmp_path / "results")
    shown = [[number_of(image) for image in open_video(row)] for row in table.iloc[:3].to_dict("records")]
    assert shown == [list(range(10, 20)), list(range(30, 50)), list(range(50))]
    assert len(digested) == 1


fetch_digest = fetch.digest_of


@pytest.mark.faults
def test_fault_04_a_download_that_changed_on_the_disk_is_fetched_anew(tmp_path: Path, server: MisbehavingServer):
    settings = links(tmp_path, [{"url": server.url("ok/0.mp4")}])
    row = fetched(settings, tmp_path / "results").iloc[0]
    path = tmp_path / "results" / row["path"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-200] + bytes(200))
    again = fetched(settings, tmp_path / "results").iloc[0]
    assert again["sha256"] == row["sha256"] and path.read_bytes() == whole
    assert server.counts["/ok/0.mp4"] == 2


@pytest.mark.faults
def test_fault_06_what_downloads_but_does_not_decode_is_a_bad_video(tmp_path: Path, film: Path):
    whole = film.read_bytes()
    with serving(whole[: len(whole) - 1200]) as server:
        row = fetched(links(tmp_path, [{"url": server.url("ok/cut.mp4")}]), tmp_path / "results").iloc[0]
        again = fetched(links(tmp_path, [{"url": server.url("ok/cut.mp4")}]), tmp_path / "results").iloc[0]
    assert row["status"] == again["status"] == "bad_video"
    assert row["path"] and row["sha256"]
    assert server.counts["/ok/cut.mp4"] == 1


@pytest.mark.faults
def test_fault_10_a_longer_video_than_allowed_is_refused(tmp_path: Path, server: MisbehavingServer):
    url = server.url("ok/0.mp4")
    settings = links(tmp_path, [{"url": url}, {"url": url, "start_s": 0.4, "end_s": 1.2}])
    table = fetched(settings, tmp_path / "results", LOOPBACK.model_copy(update={"maximum_seconds": 1}))
    assert table["status"].tolist() == ["refused", "ok"]
    assert "above the limit of 1 s" in table["reason"].iloc[0]


def test_lists_of_a_folder_a_package_and_links_stand_beside_each_other(
    tmp_path: Path, server: MisbehavingServer, film: Path, monkeypatch
):
    monkeypatch.setenv("MOVIESTRIP_CACHE", str(tmp_path / "cache"))
    found = tmp_path / "found"
    found.mkdir()
    (found / "own.mp4").write_bytes(film.read_bytes())
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(film, "demo/demo.mp4")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, film)]
    kept = package_path("demo", "1.0", digests[0])
    kept.parent.mkdir(parents=True)
    kept.write_bytes(wheel.read_bytes())
    (tmp_path / "links.csv").write_text(f"url\n{server.url('ok/0.mp4')}\n")
    package = {
        "kind": "package", "requirement": "demo==1.0", "sha256": digests[0],
        "files": [{"path": "demo/demo.mp4", "sha256": digests[1]}],
    }  # fmt: skip
    lists = [{"kind": "folder", "path": found}, package, {"kind": "table", "path": tmp_path / "links.csv"}]
    settings = dataset({"kind": "links", "lists": lists})
    table = fetched(settings, tmp_path / "results")
    assert table["status"].tolist() == ["ok"] * 3
    assert table["n_frames"].tolist() == [50] * 3
    assert [Path(path).parts[0] for path in table["path"]] == ["videos", "videos", ".."]
    without = dataset({"kind": "links", "lists": [lists[0], lists[2]]})
    planned = [PlannedVideo.from_plan(entry) for entry in linked_videos("d", settings)]
    with pytest.raises(FatalError, match=r"demo==1\.0/demo/demo\.mp4: no list .* run `moviestrip plan`"):
        fetch_shard("d", without, "d-0000", planned, tmp_path / "results", LOOPBACK)


def test_downloads_may_lie_anywhere(tmp_path: Path, server: MisbehavingServer):
    """Also where results/<name> is a link to another disk, of which '..' is not results/."""
    disk, results = tmp_path / "disk" / "deep", tmp_path / "results"
    disk.mkdir(parents=True)
    results.mkdir()
    (results / "run").symlink_to(disk)
    elsewhere = LOOPBACK.model_copy(update={"downloads": tmp_path / "elsewhere"})
    settings = links(tmp_path, [{"url": server.url("ok/0.mp4")}])
    for fetching in (LOOPBACK, elsewhere):
        row = fetched(settings, results / "run", fetching).iloc[0]
        assert row["status"] == "ok"
        assert len(list(frames_of(results / "run")(row))) == 50
    for folder in (results / "downloads", tmp_path / "elsewhere"):
        assert read_download(folder, server.url("ok/0.mp4")).status == "ok"


def test_an_error_that_concerns_the_shard_ends_its_transfers(tmp_path: Path, monkeypatch):
    """The full disk itself is tested beside the downloads."""
    closed = []

    def failing(urls, *arguments) -> Iterator[Download]:
        try:
            yield from (Download("0" * 16, url, "permanent", "gone") for url in list(urls)[:1])
            raise FatalError("no room")
        finally:
            closed.append(True)

    monkeypatch.setattr(fetch, "download_all", failing)
    settings = links(tmp_path, [{"url": f"https://example.org/{name}.mp4"} for name in "ab"])
    with pytest.raises(FatalError, match="no room"):
        fetched(settings, tmp_path / "results")
    assert closed
