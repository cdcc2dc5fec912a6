"""Pages that yt-dlp reads, in its own process: what comes of them, what is refused, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yt_dlp import YoutubeDL
from yt_dlp.utils import DownloadError

from moviestrip.config import DatasetSettings, FetchSettings
from moviestrip.datasets.links import collect, linked_videos
from moviestrip.download import sites
from moviestrip.download.addresses import guarded_resolver
from moviestrip.download.fetch import download_all
from moviestrip.download.hosts import Interrupted, NextRunError
from moviestrip.download.journal import partial_path
from moviestrip.download.site_program import MAXIMUM_PAGE_BYTES, Question, answers
from moviestrip.download.sites import fetch_from_site
from moviestrip.errors import FatalError, RetryableError
from tests.download.server import MisbehavingServer

SETTINGS = FetchSettings(
    private_addresses="loopback", seconds_between_requests=0, timeout_s=3, transfer_timeout_s=30, longest_wait_s=1,
    maximum_megabytes=3, maximum_seconds=60, contact="me@example.org", attempts=1,
)  # fmt: skip


def page(body: str, title: str = "A title") -> tuple[str, bytes]:
    return "text/html; charset=utf-8", f"<html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def ending(url: str, folder: Path, **changed: Any) -> dict[str, Any]:
    """What the program answers last, without a process of its own."""
    settings = SETTINGS.model_copy(update=changed)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    question = Question(url, str(scratch), str(folder), 0, False, settings.model_dump(mode="json"))
    with guarded_resolver(settings):
        return list(answers(question))[-1]


def partial_of(folder: Path) -> Path:
    partial = partial_path(folder, "0123456789abcdef")
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial


def test_a_video_on_a_page_is_downloaded_once_under_its_hash(tmp_path: Path, server: MisbehavingServer):
    server.pages["/page/post"] = page("<video src='/ok/1.mp4'></video>", "../../etc/\x01 passwd " + "ü" * 300)
    url = server.url("page/post")
    (found,) = download_all([url], tmp_path, SETTINGS)
    assert (found.status, found.reason) == ("ok", "")
    assert (tmp_path / found.file).read_bytes() == server.body("/ok/1.mp4")
    assert found.file == f"{found.download_id[:2]}/{found.download_id}.mp4"
    assert found.title.startswith("../../etc/")
    kept = [path.name for path in (tmp_path / found.download_id[:2]).iterdir()]
    assert sorted(kept) == [f"{found.download_id}.json", f"{found.download_id}.mp4"]
    asked = len(server.asked)
    assert list(download_all([url], tmp_path, SETTINGS)) == [found]
    assert len(server.asked) == asked
    agents = {headers["User-Agent"] for _, headers in server.asked}
    assert len(agents) == 1
    assert agents.pop().endswith("(+me@example.org)")


def test_a_direct_link_needs_no_suffix(tmp_path: Path, server: MisbehavingServer):
    assert ending(server.url("ok/video"), tmp_path)["status"] == "ok"
    assert (tmp_path / "scratch" / "video").read_bytes() == server.body("/ok/video")


def test_of_several_videos_on_a_page_the_first_is_taken(tmp_path: Path, server: MisbehavingServer):
    server.pages["/page/many"] = page("<video src='/ok/1.mp4'></video><video src='/ok/2.mp4'></video>")
    assert ending(server.url("page/many"), tmp_path)["status"] == "ok"
    assert (tmp_path / "scratch" / "video").read_bytes() == server.body("/ok/1.mp4")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("path", "reason"),
    [("503/a?times=9", "HTTP 503"), ("429/a?times=9&after=1", "HTTP 429"), ("reset/a?times=9", "reset by peer"),
     ("truncated/a?times=9", "more expected"), ("silent/a", "timed out")],
)  # fmt: skip
def test_fault_08_what_passes_is_tried_again(tmp_path: Path, server: MisbehavingServer, path: str, reason: str):
    found = ending(server.url(path), tmp_path, timeout_s=0.3)
    assert found["status"] == "transient"
    assert reason in found["reason"]
    assert not found["later"]


@pytest.mark.faults
def test_fault_08_a_host_that_wants_patience_is_left_alone_by_all(tmp_path: Path, server: MisbehavingServer):
    url = server.url("429/a?times=9&after=600")
    with pytest.raises(NextRunError, match="HTTP 429 Too Many Requests, to be asked again in 600 s"):
        fetch_from_site(url, partial_of(tmp_path), SETTINGS)
    asked = len(server.asked)
    assert ending(server.url("ok/1"), tmp_path)["later"]
    assert [found.status for found in download_all([server.url("ok/1.mp4")], tmp_path, SETTINGS)] == ["transient"]
    assert len(server.asked) == asked


@pytest.mark.faults
@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [("404/a", "permanent", "HTTP Error 404"), ("410/a", "permanent", "HTTP Error 410"),
     ("403/a", "permanent", "HTTP Error 403"), ("html/a", "permanent", "Unsupported URL"),
     ("redirect-loop/a", "permanent", "redirect loop"), ("empty/a", "bad_video", "the file is empty")],
)  # fmt: skip
def test_fault_09_what_lasts_is_not_tried_again(
    tmp_path: Path, server: MisbehavingServer, path: str, status: str, reason: str
):
    found = ending(server.url(path), tmp_path)
    assert found["status"] == status
    assert reason in found["reason"]


@pytest.mark.faults
@pytest.mark.parametrize(("path", "least"), [("endless/a", 3_000_000), ("huge/a", 10 * 2**30)])
def test_fault_10_endless_and_huge_bodies_are_capped(tmp_path: Path, server: MisbehavingServer, path: str, least: int):
    found = ending(server.url(path), tmp_path)
    assert found["status"] == "refused"
    assert "are above fetch.maximum_megabytes (3)" in found["reason"]
    assert int(found["reason"].split()[0].replace(",", "")) >= least
    assert sum(file.stat().st_size for file in (tmp_path / "scratch").iterdir()) < 16e6


@pytest.mark.faults
def test_fault_10_an_endless_page_does_not_fill_the_memory(tmp_path: Path, server: MisbehavingServer):
    server.pages["/page/long"] = page("a" * (MAXIMUM_PAGE_BYTES + 2**20))
    found = ending(server.url("page/long"), tmp_path)
    assert found["status"] == "refused"
    assert "a page above 33,554,432 bytes" in found["reason"]


@pytest.mark.faults
def test_fault_10_a_video_of_a_page_may_be_too_long(tmp_path: Path, server: MisbehavingServer):
    described = {
        "@context": "https://schema.org", "@type": "VideoObject", "name": "Long", "duration": "PT61S",
        "contentUrl": server.url("ok/1.mp4"), "uploadDate": "2026-01-01", "thumbnailUrl": server.url("ok/1.jpg"),
    }  # fmt: skip
    server.pages["/page/long"] = page(f"<script type='application/ld+json'>{json.dumps(described)}</script>")
    found = ending(server.url("page/long"), tmp_path)
    assert (found["status"], found["reason"]) == ("refused", "61 s are above fetch.maximum_seconds (60)")
    assert not (tmp_path / "scratch" / "video").exists()
    assert ending(server.url("page/long"), tmp_path, maximum_seconds=61)["status"] == "ok"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("redirect-to-private/a", "169.254.169.254"),
        ("redirect/a?to=http://10.0.0.1/a.mp4", "10.0.0.1"),
        ("redirect/a?to=http://2852039166/a.mp4", "169.254.169.254"),
        ("redirect/a?to=http://[::ffff:10.0.0.1]/a.mp4", "10.0.0.1"),
        ("redirect/a?to=file:///etc/passwd", "the scheme 'file:' is not fetched"),
        ("redirect/a?to=ftp://127.0.0.1/a.mp4", "the scheme 'ftp:' is not fetched"),
        ("page/inside", "192.168.0.1"),
        ("page/file", "'file:///etc/passwd' is not fetched"),
        ("page/tube", "accept its terms: fetch.terms_accepted: [youtube.com]"),
    ],
)
def test_fault_11_no_hop_and_nothing_in_a_page_leads_inside(
    tmp_path: Path, server: MisbehavingServer, path: str, reason: str
):
    server.pages["/page/inside"] = page("<video src='http://192.168.0.1/a.mp4'></video>")
    server.pages["/page/file"] = "application/rss+xml", RSS.format(items=item("A", "file:///etc/passwd")).encode()
    server.pages["/page/tube"] = page("<iframe src='https://www.youtube.com/embed/mozQXWErXI4'></iframe>")
    found = ending(server.url(path), tmp_path)
    assert found["status"] == "refused"
    assert reason in found["reason"]
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.faults
def test_fault_11_without_the_switch_this_machine_is_refused_too(tmp_path: Path, server: MisbehavingServer):
    found = ending(server.url("ok/1"), tmp_path, private_addresses="refuse", robots="ignore")
    assert found["status"] == "refused"
    assert found["reason"] == "refused address: 127.0.0.1 is not a public address"
    assert not server.asked


@pytest.mark.faults
def test_fault_11_a_name_that_moves_inside_is_refused(
    tmp_path: Path, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    """The name server answers with a permitted address first, and with a private one for the next request."""
    given = []
    plain = socket.getaddrinfo

    def rebinding(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if host != "moving.example":
            return plain(host, port, *arguments, **options)
        given.append("127.0.0.1" if not given else "10.0.0.1")
        return plain(given[-1], port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = server.url("ok/1", host="moving.example")
    found = ending(url, tmp_path, robots="ignore")
    assert given == ["127.0.0.1", "10.0.0.1"]
    assert found["status"] == "refused"
    assert "moving.example lies at 10.0.0.1" in found["reason"]


STREAM = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n{head}#EXTINF:2.0,\n/ok/1.ts\n#EXTINF:2.0,\n{second}\n#EXT-X-ENDLIST\n"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("second", "head", "status", "reason"),
    [
        ("/ok/2.ts", "", "ok", ""),
        ("/404/2.ts", "", "permanent", "HTTP Error 404: Not Found"),
        ("/503/2.ts?times=9", "", "transient", "127.0.0.1: HTTP 503 Service Unavailable"),
        ("http://10.0.0.1/2.ts", "", "refused", "refused address: 10.0.0.1 is not a public address"),
        ("file:///etc/passwd", "", "refused", "'file:///etc/passwd' is not fetched, only http and https"),
        ("/ok/2.ts", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key"\n', "permanent", "ffmpeg could not be found"),
    ],
)
def test_fault_11_streams_come_whole_piece_by_checked_piece_or_not_at_all(
    tmp_path: Path, server: MisbehavingServer, second: str, head: str, status: str, reason: str
):
    server.pages["/page/a.m3u8"] = "application/vnd.apple.mpegurl", STREAM.format(second=second, head=head).encode()
    found = ending(server.url("page/a.m3u8"), tmp_path)
    assert found["status"] == status
    assert reason in found["reason"]
    video = tmp_path / "scratch" / "video"
    assert video.exists() == (status == "ok")
    if status == "ok":
        assert video.read_bytes() == server.body("/ok/1.ts") + server.body("/ok/2.ts")
        assert found["duration_s"] == 4


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DownloadError("ERROR: [youtube] abc: Private video. Sign in if you have been granted access"), "permanent"),
        (DownloadError("ERROR: [youtube] abc: Video unavailable. This video has been removed"), "permanent"),
        (DownloadError("ERROR: [x] abc: Not available from your location due to geo restriction"), "permanent"),
        (DownloadError("ERROR: [youtube] abc: Sign in to confirm you're not a bot."), "transient"),
        (DownloadError("ERROR: [Instagram] abc: rate-limit reached or login required"), "transient"),
        (KeyError("of an extractor"), "permanent"),
    ],
)  # fmt: skip
def test_what_sites_say_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(YoutubeDL, "extract_info", fail)
    found = ending("http://127.0.0.1:9/a", tmp_path)
    assert found["status"] == status
    assert not found["reason"].startswith("ERROR")
    assert str(error).removeprefix("ERROR: ") in found["reason"]


def test_robots_are_asked_before_every_request(tmp_path: Path, server: MisbehavingServer):
    server.robots = 200, "User-agent: *\nDisallow: /ok/\n"
    server.pages["/page/post"] = page("<video src='/ok/1.mp4'></video>")
    found = ending(server.url("page/post"), tmp_path)
    assert found["status"] == "refused"
    assert "robots.txt disallows it" in found["reason"]
    assert server.counts["/ok/1.mp4"] == 0
    assert ending(server.url("page/post"), tmp_path, robots="ignore")["status"] == "ok"


def test_requests_of_the_program_wait_for_their_turn(tmp_path: Path, server: MisbehavingServer):
    assert ending(server.url("ok/1"), tmp_path, seconds_between_requests=0.3, robots="ignore")["status"] == "ok"
    gaps = [later - earlier for earlier, later in zip(server.asked_s, server.asked_s[1:], strict=False)]
    assert gaps
    assert min(gaps) > 0.28


HANGING = """
import pathlib, subprocess, sys, time
folder = pathlib.Path.cwd().parent
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
(folder / "pids").write_text(" ".join(str(child.pid) for child in children))
time.sleep(60)
"""


@pytest.mark.parametrize("why", ["too slow", "not wanted"])
def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str):
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", HANGING))
    partial, stop = partial_of(tmp_path), threading.Event()
    pids = partial.parent / "pids"
    if why == "not wanted":
        threading.Thread(target=lambda: (waited(pids.is_file), stop.set()), daemon=True).start()
    settings = SETTINGS.model_copy(update={"transfer_timeout_s": 2.0 if why == "too slow" else 30.0})
    with pytest.raises(RetryableError if why == "too slow" else Interrupted) as found:
        fetch_from_site("http://127.0.0.1:9/a", partial, settings, stop)
    if why == "too slow":
        assert "slower than fetch.transfer_timeout_s (2)" in str(found.value)
    assert waited(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))
    assert [path.name for path in partial.parent.iterdir()] == ["pids"]


def test_a_program_that_crashes_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", "raise SystemError('out of luck')"))
    with pytest.raises(RetryableError, match="ended with 1: SystemError: out of luck"):
        fetch_from_site("http://127.0.0.1:9/a", partial_of(tmp_path), SETTINGS)


def test_the_program_ends_when_who_asked_is_killed(tmp_path: Path, server: MisbehavingServer):
    partial = partial_of(tmp_path)
    asker = (
        "import sys; from pathlib import Path; from moviestrip.config import FetchSettings\n"
        "from moviestrip.download.sites import fetch_from_site\n"
        "fetch_from_site(sys.argv[1], Path(sys.argv[2]), FetchSettings.model_validate_json(sys.argv[3]))\n"
    )
    arguments = [server.url("slow/a"), str(partial), SETTINGS.model_dump_json()]
    process = subprocess.Popen([sys.executable, "-c", asker, *arguments])
    try:
        assert waited(lambda: server.counts["/slow/a"] > 0)
        (program,) = children_of(process.pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert waited(lambda: not alive(program))
    assert waited(lambda: not list(partial.parent.iterdir()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def waited(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end_s = time.monotonic() + seconds
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.05)
    return condition()


RSS = '<?xml version="1.0"?><rss version="2.0"><channel><title>A tag</title>{items}</channel></rss>'


def item(title: str, url: str) -> str:
    date = "Thu, 01 Jan 2026 12:00:00 GMT"
    return f'<item><title>{title}</title><pubDate>{date}</pubDate><enclosure url="{url}" type="video/mp4"/></item>'


def listed_at(url: str, collected: Path, maximum: int = 1000) -> DatasetSettings:
    each = {"kind": "listing", "url": url, "collected": str(collected), "action": "dance", "maximum": maximum}
    return DatasetSettings.model_validate({
        "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks",
        "source": {"kind": "links", "lists": [each]},
    })  # fmt: skip


def test_what_a_page_lists_is_collected_and_only_grows(tmp_path: Path, server: MisbehavingServer):
    collected = tmp_path / "lists" / "dance.csv"
    urls = [server.url(f"ok/{number}.mp4") for number in range(4)]
    titles = ['=cmd("x")', "two\nlines, and a comma", "ü" * 400, "last"]

    def publish(numbers: list[int], more: str = "") -> None:
        items = "".join(item(titles[number], urls[number]) for number in numbers)
        server.pages["/page/feed"] = "application/rss+xml", RSS.format(items=items + more).encode()

    dataset = listed_at(server.url("page/feed"), collected, maximum=3)
    publish([0, 1], item("not fetched", "ftp://host/a.mp4"))
    (first,) = collect("mine", dataset, SETTINGS, tmp_path / "downloads", today="2026-01-02")
    assert (first.listed, first.usable, first.new, first.total) == (3, 2, 2, 2)
    publish([1, 2, 3])
    (second,) = collect("mine", dataset, SETTINGS, tmp_path / "downloads", today="2026-02-03")
    assert (second.listed, second.usable, second.new, second.total) == (3, 3, 2, 4)
    lines = collected.read_text().splitlines()
    assert lines[0] == "url,title,date,collected"
    assert lines[1].endswith(",2026-01-01,2026-01-02")
    assert lines[2] == f'{urls[1]},"two lines, and a comma",2026-01-01,2026-01-02'
    assert lines[3].endswith(",2026-01-01,2026-02-03")
    found = linked_videos("mine", dataset)
    assert [entry["url"] for entry in found] == urls
    assert {entry["action"] for entry in found} == {"dance"}
    assert not any(path.startswith("/ok/") for path in server.counts)  # no video was opened


@pytest.mark.slow
def test_a_page_that_cannot_be_listed_leaves_the_file_alone(tmp_path: Path, server: MisbehavingServer):
    collected = tmp_path / "dance.csv"
    collected.write_text("url,title,date,collected\nhttps://host/1,a,,2026-01-01\n")
    before = collected.read_bytes()
    with pytest.raises(FatalError, match=r"404/tag: permanent: .*HTTP Error 404"):
        collect("mine", listed_at(server.url("404/tag"), collected), SETTINGS, tmp_path)
    assert collected.read_bytes() == before
