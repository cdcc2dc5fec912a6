"""Every address ends with one outcome, and nothing is asked for twice; against a real server on loopback."""

import hashlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from moviestrip.config import FetchSettings
from moviestrip.download import Download, download_all, forget_download, read_download
from moviestrip.download.containers import suffix_of
from moviestrip.download.fetch import is_video_path
from moviestrip.errors import ConfigError, QuarantineError, RetryableError, StorageError
from tests.download.server import MisbehavingServer
from tests.video.video_files import write_video

QUICK: dict[str, Any] = {
    "private_addresses": "loopback", "seconds_between_requests": 0, "longest_wait_s": 0.02, "timeout_s": 5,
    "transfer_timeout_s": 10, "maximum_megabytes": 5,
}  # fmt: skip


def fetched(urls: Iterable[str], folder: Path, retry: bool = False, **settings: Any) -> list[Download]:
    return list(download_all(urls, folder, FetchSettings(**{**QUICK, **settings}), retry=retry))


def fetched_one(url: str, folder: Path, retry: bool = False, **settings: Any) -> Download:
    [found] = fetched([url], folder, retry, **settings)
    assert found == read_download(folder, url)
    return found


def in_another_process(urls: list[str], folder: Path, before: str = "", **settings: Any) -> subprocess.Popen[str]:
    program = (
        f"import json, sys; from pathlib import Path; from moviestrip.config import FetchSettings\n"
        f"from moviestrip.download import download_all\n{before}\n"
        f"urls, folder, settings = json.loads(sys.argv[1])\n"
        f"for found in download_all(urls, Path(folder), FetchSettings(**settings)): print(found.status, flush=True)"
    )
    arguments = json.dumps([urls, str(folder), {**QUICK, **settings}])
    command = [sys.executable, "-c", program, arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def visible_files(folder: Path) -> set[str]:
    kept = [path for path in folder.rglob("*") if path.is_file() and path.parent.name not in ("hosts", "robots")]
    return {str(path.relative_to(folder)) for path in kept}


def test_a_sound_file_is_kept_with_its_digest_and_never_asked_for_again(server: MisbehavingServer, tmp_path: Path):
    url = server.url("/ok/1.mp4")
    found = fetched_one(url, tmp_path)
    body = server.body("/ok/1.mp4")
    assert (found.status, found.reason, found.runs, found.n_bytes) == ("ok", "", 1, len(body))
    assert found.sha256 == hashlib.sha256(body).hexdigest() and (tmp_path / found.file).read_bytes() == body
    assert found.download_id == hashlib.sha256(url.encode()).hexdigest()[:16]
    assert visible_files(tmp_path) == {found.file, found.file.replace(".mp4", ".json")}
    assert fetched([url, url], tmp_path) == [found, found]
    assert server.counts["/ok/1.mp4"] == 1


def test_a_file_that_has_gone_or_shrunk_is_fetched_again(server: MisbehavingServer, tmp_path: Path):
    url = server.url("/ok/1.mp4")
    file = tmp_path / fetched_one(url, tmp_path).file
    file.write_bytes(b"short")
    assert fetched_one(url, tmp_path).runs == 2 and file.read_bytes() == server.body("/ok/1.mp4")
    file.unlink()
    assert fetched_one(url, tmp_path).runs == 3 and file.read_bytes() == server.body("/ok/1.mp4")


def test_outcomes_come_in_the_order_of_the_addresses(server: MisbehavingServer, tmp_path: Path):
    urls = [server.url(f"/{kind}/{index}.mp4", host) for index, (kind, host) in enumerate(
        [("late", "localhost"), ("ok", "127.0.0.1"), ("404", "127.0.0.1"), ("ok", "localhost"), ("html", "127.0.0.1")]
    )]  # fmt: skip
    urls[0] += "?s=0.2"
    found = fetched(urls, tmp_path)
    assert [each.url for each in found] == urls
    assert [each.status for each in found] == ["ok", "ok", "permanent", "ok", "bad_video"]


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["429", "503", "500", "reset", "truncated", "ignores-range", "etag"])
def test_fault_08_a_failure_that_passes_is_waited_out(server: MisbehavingServer, tmp_path: Path, kind: str):
    path = f"/{kind}/1.mp4"
    found = fetched_one(server.url(path), tmp_path)
    assert found.status == "ok" and (tmp_path / found.file).read_bytes() == server.body(path)
    assert server.counts[path] == 2


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["429", "503", "reset", "truncated"])
def test_fault_08_a_failure_that_stays_is_tried_again_in_the_next_run(
    server: MisbehavingServer, tmp_path: Path, kind: str
):
    path = f"/{kind}/1.mp4"
    url = server.url(f"{path}?times=3")
    found = fetched_one(url, tmp_path, attempts=3)
    assert (found.status, found.runs, found.file) == ("transient", 1, "") and found.reason.startswith("127.0.0.1: ")
    assert server.counts[path] == 3
    again = fetched_one(url, tmp_path, attempts=3)
    assert (again.status, again.runs, server.counts[path]) == ("ok", 2, 4)


@pytest.mark.faults
def test_fault_08_a_truncated_file_goes_on_where_it_stopped(server: MisbehavingServer, tmp_path: Path):
    fetched_one(server.url("/truncated/1.mp4"), tmp_path)
    half = len(server.body("/truncated/1.mp4")) // 2
    _, again = (headers for path, headers in server.asked if path == "/truncated/1.mp4")
    assert (again["Range"], again["If-Range"]) == (f"bytes={half}-", '"one"')


@pytest.mark.faults
@pytest.mark.parametrize("date", [False, True])
def test_fault_08_retry_after_is_obeyed_by_all_of_a_hosts_addresses(
    server: MisbehavingServer, tmp_path: Path, date: bool
):
    after = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2)) if date else "1"
    start_s = time.monotonic()
    urls = [server.url(f"/429/1.mp4?after={after.replace(' ', '%20')}"), server.url("/ok/2.mp4")]
    assert [each.status for each in fetched(urls, tmp_path, longest_wait_s=3)] == ["ok", "ok"]
    asked_s = [when for (path, _), when in zip(server.asked, server.asked_s, strict=True) if path != "/robots.txt"]
    assert asked_s[1] - asked_s[0] >= (0.9 if date else 1.0), "a date has whole seconds"
    assert asked_s[2] >= start_s + 1


@pytest.mark.faults
def test_fault_08_a_host_that_asks_for_more_patience_is_left_alone_for_this_run(
    server: MisbehavingServer, tmp_path: Path
):
    urls = [server.url("/429/1.mp4?after=3600"), server.url("/ok/2.mp4"), server.url("/ok/3.mp4", "localhost")]
    found = fetched(urls, tmp_path)
    assert [each.status for each in found] == ["transient", "transient", "ok"]
    assert "3600 s, which is more than fetch.longest_wait_s" in found[0].reason
    assert server.counts["/429/1.mp4"] == 1 and server.counts["/ok/2.mp4"] == 0


@pytest.mark.faults
def test_fault_08_a_host_that_is_not_there_is_not_asked_for_everything(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    urls = [f"http://127.0.0.1:{port}/{index}.mp4" for index in range(6)]
    found = fetched(urls, tmp_path, attempts=1)
    assert {each.status for each in found} == {"transient"}
    assert ["not asked" in each.reason for each in found] == [False] * 3 + [True] * 3


@pytest.mark.faults
@pytest.mark.parametrize("status", ["400", "401", "403", "404", "410", "451"])
def test_fault_09_what_is_gone_or_closed_is_never_tried_again_by_itself(
    server: MisbehavingServer, tmp_path: Path, status: str
):
    url = server.url(f"/{status}/1.mp4")
    found = fetched_one(url, tmp_path)
    assert found.status == "permanent" and f"HTTP {status}" in found.reason
    assert fetched_one(url, tmp_path) == found and server.counts[f"/{status}/1.mp4"] == 1
    assert fetched_one(url, tmp_path, retry=True).runs == 2 and server.counts[f"/{status}/1.mp4"] == 2


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["endless", "huge"])
def test_fault_10_a_body_above_the_cap_is_refused_and_not_kept(server: MisbehavingServer, tmp_path: Path, kind: str):
    found = fetched_one(server.url(f"/{kind}/1.mp4"), tmp_path, maximum_megabytes=0.5)
    assert found.status == "refused" and "above fetch.maximum_megabytes (0.5)" in found.reason
    assert len(visible_files(tmp_path)) == 1
    assert server.counts[f"/{kind}/1.mp4"] == 1


def test_what_was_refused_is_tried_again_under_other_rules_only(server: MisbehavingServer, tmp_path: Path):
    url = server.url("/ok/1.mp4")
    strict = fetched_one(url, tmp_path, maximum_megabytes=0.001)
    assert strict.status == "refused" and fetched_one(url, tmp_path, maximum_megabytes=0.001) == strict
    assert fetched_one(url, tmp_path, maximum_megabytes=0.001, timeout_s=5) == strict
    assert server.counts["/ok/1.mp4"] == 1
    assert fetched_one(url, tmp_path, maximum_megabytes=100).status == "ok"


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["slow", "slow-head"])
def test_fault_10_a_transfer_without_end_is_ended(server: MisbehavingServer, tmp_path: Path, kind: str):
    start_s = time.monotonic()
    found = fetched_one(server.url(f"/{kind}/1.mp4"), tmp_path, transfer_timeout_s=0.4)
    assert found.status == "transient" and "slower than fetch.transfer_timeout_s" in found.reason
    assert time.monotonic() - start_s < 4 and server.counts[f"/{kind}/1.mp4"] == 1


@pytest.mark.faults
def test_fault_10_a_silent_host_is_given_up(server: MisbehavingServer, tmp_path: Path):
    found = fetched_one(server.url("/silent/1.mp4"), tmp_path, timeout_s=0.2, attempts=2)
    assert found.status == "transient" and "timed out" in found.reason


@pytest.mark.faults
def test_fault_10_compressed_bytes_are_refused(server: MisbehavingServer, tmp_path: Path):
    found = fetched_one(server.url("/compressed/1.mp4"), tmp_path)
    assert found.status == "refused" and "gzip" in found.reason


@pytest.mark.faults
@pytest.mark.parametrize(("path", "said"), [("/html/1.mp4", "text/html"), ("/html.mp4", "<!doctype html>"),
                                            ("/empty/1.mp4", "is empty")])  # fmt: skip
def test_fault_06_a_page_named_mp4_is_a_bad_video_at_once(
    server: MisbehavingServer, tmp_path: Path, path: str, said: str
):
    found = fetched_one(server.url(path), tmp_path)
    assert found.status == "bad_video" and said in found.reason
    assert len(visible_files(tmp_path)) == 1 and server.counts[path] == 1


ODD_NAMES = [
    "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "a\0b", "%00", "x" * 300, "日本語 — 動画", "\u202egnp.exe",
    "con", "a\nb", "../" * 80 + "a", "'; rm -rf ~", "-rf", "\\\\host\\share",
]  # fmt: skip


@pytest.mark.faults
@pytest.mark.parametrize("name", ODD_NAMES)
def test_fault_12_an_address_never_becomes_a_path(server: MisbehavingServer, tmp_path: Path, name: str):
    folder = tmp_path / "downloads"
    found = fetched_one(server.url(f"/ok/{name}.mp4"), folder, robots="ignore")
    assert found.status == "ok"
    assert {path.name for path in tmp_path.iterdir()} == {"downloads"}
    assert re.fullmatch(r"([0-9a-f]{2})/\1[0-9a-f]{14}\.mp4", found.file)
    assert visible_files(folder) == {found.file, found.file.replace(".mp4", ".json")}


@pytest.mark.faults
@pytest.mark.parametrize("url", ["http://[::1", "http:///1.mp4", f"http://{'a' * 64}.org/1.mp4", "1.mp4",
                                 "http://a\0b/1.mp4", "http://h:99999/1.mp4", "http://h/\ud83d.mp4"])  # fmt: skip
def test_fault_12_what_is_no_address_ends_as_such(tmp_path: Path, url: str):
    assert fetched_one(url, tmp_path).status in ("permanent", "refused")


@pytest.mark.faults
def test_fault_12_titles_and_reasons_of_others_stay_in_the_record(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sites = types.ModuleType("moviestrip.download.sites")

    def fetch_from_site(url: str, partial: Path, settings: FetchSettings, stop: threading.Event):
        if "private" in url:
            raise QuarantineError("permanent", "../\x1b[31mprivate\nvideo")
        if "busy" in url:
            raise RetryableError("later")
        partial.write_bytes(server.body("/ok/1.mp4"))
        return types.SimpleNamespace(file=partial, title="../../\0 evil\n.sh", uploader="日本", licence="CC-BY")

    monkeypatch.setattr(sites, "fetch_from_site", fetch_from_site, raising=False)
    monkeypatch.setitem(sys.modules, "moviestrip.download.sites", sites)
    found = fetched([server.url(f"/watch?v={name}") for name in ("one", "private", "busy")], tmp_path, attempts=1)
    assert [each.status for each in found] == ["ok", "permanent", "transient"]
    assert (found[0].title, found[0].uploader, found[0].licence) == ("../../? evil .sh", "日本", "CC-BY")
    assert found[1].reason == "../?[31mprivate video"
    assert visible_files(tmp_path) == {found[0].file} | {
        f"{each.download_id[:2]}/{each.download_id}.json" for each in found
    }


def test_an_address_goes_to_plain_http_when_it_ends_as_a_video_does():
    videos = ["http://h/a.mp4", "http://h/a.MKV?x=1#t=1,2", "https://h/%2e%2e/a.webm", "http://[::1"]
    assert all(map(is_video_path, videos))
    assert not any(map(is_video_path, ["http://h/watch?v=a.mp4", "http://h/", "http://mp4", "http://h/mp4"]))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.avi", "mpeg4"),
     ("a.ts", "libx264"), ("a.flv", "flv")],
)  # fmt: skip
def test_the_suffix_says_what_the_bytes_are(tmp_path: Path, name: str, codec: str):
    path = write_video(tmp_path / name, n_frames=5, codec=codec)
    assert suffix_of(path.read_bytes()[:512]) == path.suffix


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"<html>", b"#EXTM3U\nhttp://10.0.0.1/a.ts", b"\x89PNG\r\n\x1a\n", b"PK\3\4"]
)
def test_what_is_no_video_has_no_suffix(text: bytes):
    assert suffix_of(text) is None


@pytest.mark.faults
def test_fault_01_a_killed_transfer_is_gone_on_with(server: MisbehavingServer, tmp_path: Path):
    path = "/stalls/1.mp4"
    url, half = server.url(path), len(server.body(path)) // 2
    process = in_another_process([url], tmp_path)
    deadline_s = time.monotonic() + 30
    while [each.stat().st_size for each in tmp_path.glob("*/.*.partial")] != [half] and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_download(tmp_path, url) is None and not list(tmp_path.glob("*/*.mp4"))
    found = fetched_one(url, tmp_path)
    assert found.status == "ok" and (tmp_path / found.file).read_bytes() == server.body(path)
    assert server.asked[-1][1]["Range"] == f"bytes={half}-"
    assert visible_files(tmp_path) == {found.file, found.file.replace(".mp4", ".json")}


@pytest.mark.faults
def test_fault_01_a_run_killed_twice_fetches_nothing_twice(server: MisbehavingServer, tmp_path: Path):
    requests = {"ok": 1, "404": 1, "html": 1, "redirect-to-private": 1, "429": 2, "truncated": 2, "reset": 2}
    urls = [server.url(f"/{kind}/{index}.mp4") for index in range(8) for kind in requests]
    for records in (12, 30):
        process = in_another_process(urls, tmp_path)
        deadline_s = time.monotonic() + 30
        while len(list(tmp_path.glob("??/*.json"))) < records and time.monotonic() < deadline_s:
            time.sleep(0.01)
        process.kill()
        process.communicate()
    found = fetched(urls, tmp_path)
    kinds = [each.url.split("/")[3] for each in found]
    expected = {"404": "permanent", "html": "bad_video", "redirect-to-private": "refused"}
    assert [each.status for each in found] == [expected.get(kind, "ok") for kind in kinds]
    for each in found:
        path = each.url.removeprefix(server.url(""))
        assert each.status != "ok" or (tmp_path / each.file).read_bytes() == server.body(f"/{path}")
    again = sum(count - requests[path.split("/")[1]] for path, count in server.counts.items() if path != "/robots.txt")
    assert again <= 2, "only what was on its way when a run was killed"


def test_a_transfer_killed_when_all_had_come_asks_for_nothing_more(server: MisbehavingServer, tmp_path: Path):
    url, body = server.url("/ok/1.mp4"), server.body("/ok/1.mp4")
    file = tmp_path / fetched_one(url, tmp_path).file
    partial = file.with_name(f".{file.stem}.partial")
    forget_download(tmp_path, url)
    partial.write_bytes(body)
    partial.with_name(f"{partial.name}.version").write_text('"one"')
    assert fetched_one(url, tmp_path).status == "ok" and file.read_bytes() == body
    assert server.asked[-1][1]["Range"] == f"bytes={len(body)}-"


def test_a_run_killed_before_it_wrote_the_record_leaves_nothing_to_fetch_again(
    server: MisbehavingServer, tmp_path: Path
):
    found = fetched_one(server.url("/ok/1.mp4"), tmp_path)
    (tmp_path / found.file).with_suffix(".json").unlink()
    assert fetched_one(server.url("/ok/1.mp4"), tmp_path) == found
    assert server.counts["/ok/1.mp4"] == 1


def test_two_processes_fetch_a_list_once(server: MisbehavingServer, tmp_path: Path):
    urls = [server.url(f"/late/{index}.mp4?s=0.01") for index in range(10)] + [server.url("/404/1.mp4")]
    processes = [in_another_process(urls, tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [output.split() for output, _ in outputs] == [["ok"] * 10 + ["permanent"]] * 2
    assert set(server.counts.values()) == {1}


@pytest.mark.faults
def test_fault_03_a_full_disk_ends_the_run_naming_the_file(server: MisbehavingServer, tmp_path: Path):
    server.video += bytes(100_000)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, {resource.RLIM_INFINITY}))"
    process = in_another_process([server.url("/ok/1.mp4"), server.url("/ok/2.mp4")], tmp_path, limit)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and output == ""
    assert re.search(
        r"StorageError: .*/\.[0-9a-f]{16}\.partial: no room for it: it needs up to 1\d\d,\d\d\d bytes", errors
    )
    assert not list(tmp_path.glob("*/*.mp4"))


def test_a_damaged_record_is_named_and_ends_the_run(server: MisbehavingServer, tmp_path: Path):
    url = server.url("/ok/1.mp4")
    record = tmp_path / fetched_one(url, tmp_path).file.replace(".mp4", ".json")
    record.write_text('{"url": 1}')
    with pytest.raises(StorageError, match=rf"{record.name}: not a record of a download"):
        fetched([server.url("/late/2.mp4?s=0.3", "localhost"), url, server.url("/ok/3.mp4")], tmp_path)
    assert server.counts["/ok/3.mp4"] == 0


def test_who_stops_listening_ends_the_fetching(server: MisbehavingServer, tmp_path: Path):
    found = download_all(
        [server.url(f"/late/{index}.mp4?s=0.05") for index in range(50)], tmp_path, FetchSettings(**QUICK)
    )
    assert next(found).status == "ok"
    found.close()
    asked = sum(server.counts.values())
    time.sleep(0.2)
    assert sum(server.counts.values()) == asked < 10


def test_forgetting_removes_file_record_and_what_is_unfinished(server: MisbehavingServer, tmp_path: Path):
    kept, gone, half = (server.url(path) for path in ("/ok/1.mp4", "/ok/2.mp4", "/truncated/3.mp4?times=9"))
    first, second, third = fetched([kept, gone, half], tmp_path)
    removed = [*forget_download(tmp_path, gone), *forget_download(tmp_path, third.download_id)]
    assert {path.name.removeprefix(second.download_id) for path in removed[:2]} == {".mp4", ".json"}
    assert {path.name.replace(third.download_id, "") for path in removed[2:]} == {
        ".json",
        "..partial",
        "..partial.version",
    }
    assert visible_files(tmp_path) == {first.file, first.file.replace(".mp4", ".json")}
    assert forget_download(tmp_path, gone) == [] and forget_download(tmp_path / "none", gone) == []
    assert read_download(tmp_path, gone) is None


def test_proxies_of_the_environment_are_not_used(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    assert fetched_one(server.url("/ok/1.mp4"), tmp_path).status == "ok"


def test_hosts_read_who_asks(server: MisbehavingServer, tmp_path: Path):
    fetched([server.url("/ok/1.mp4")], tmp_path, contact="https://example.org/robots")
    assert {re.sub(r"/[\d.]+", "/V", headers["User-Agent"]) for _, headers in server.asked} == {
        "moviestrip/V (+https://example.org/robots)"
    }
    with pytest.raises(ConfigError, match=r"fetch\.contact"):
        fetched([server.url("/ok/2.mp4")], tmp_path, contact="me\r\nX-Evil: 1")
