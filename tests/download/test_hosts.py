"""Turns at a host: spaced over all processes, one transfer at a time, and none before the host wants one."""

import os
import threading
import time
from pathlib import Path

import pytest

from moviestrip.download.hosts import LONGEST_HOLD_S, STATE, Hosts, Interrupted, NextRunError
from moviestrip.download.http import retry_after_s
from tests.download.server import MisbehavingServer
from tests.download.test_fetch import fetched, in_another_process


def hosts(folder: Path, longest_wait_s: float = 60) -> Hosts:
    return Hosts(folder, longest_wait_s, threading.Event())


@pytest.mark.faults
def test_fault_08_requests_of_several_processes_keep_their_distance(server: MisbehavingServer, tmp_path: Path):
    processes = [
        in_another_process([server.url(f"/ok/{name}{index}.mp4") for index in range(3)], tmp_path,
                           seconds_between_requests=0.15)
        for name in "ab"
    ]  # fmt: skip
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [output.split() for output, _ in outputs] == [["ok"] * 3] * 2, outputs
    asked_s = sorted(server.asked_s)
    assert len(asked_s) == 7, "six videos and one robots.txt"
    # A request that was long on its way arrives close to the next: what counts is the time all took.
    assert asked_s[-1] - asked_s[0] > 6 * 0.15 - 0.2


def test_hosts_are_asked_side_by_side_and_each_for_one_file_at_a_time(server: MisbehavingServer, tmp_path: Path):
    urls = [server.url(f"/late/{index}.mp4?s=0.1", host) for index in range(3) for host in ("127.0.0.1", "localhost")]
    assert {each.status for each in fetched(urls, tmp_path)} == {"ok"}
    assert dict(server.busiest) == {"127.0.0.1": 1, "localhost": 1, "": 2}


def test_hosts_at_once_is_a_limit(server: MisbehavingServer, tmp_path: Path):
    urls = [server.url(f"/late/{index}.mp4?s=0.05", host) for index in range(2) for host in ("127.0.0.1", "localhost")]
    fetched(urls, tmp_path, hosts_at_once=1)
    assert server.busiest[""] == 1


def test_a_turn_waits_for_the_one_before_it(tmp_path: Path):
    start_s = time.monotonic()
    for _ in range(4):
        hosts(tmp_path).take_turn("a.example", 0.1)  # each as a process of its own would
    hosts(tmp_path).take_turn("b.example", 30)
    assert 0.3 <= time.monotonic() - start_s < 3


def test_a_hold_is_waited_out_or_left_to_the_next_run(tmp_path: Path):
    hosts(tmp_path).hold("a.example", 0.3)
    hosts(tmp_path).hold("a.example", 0.1)
    with pytest.raises(NextRunError, match=r"a\.example: asked not to be asked again"):
        hosts(tmp_path, longest_wait_s=0.1).take_turn("a.example", 0)
    start_s = time.monotonic()
    hosts(tmp_path).take_turn("a.example", 0)
    assert time.monotonic() - start_s > 0.15


def test_a_wait_ends_when_nobody_listens_any_more(tmp_path: Path):
    stop = threading.Event()
    waiting = Hosts(tmp_path, 60, stop)
    waiting.hold("a.example", 30)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Interrupted):
        waiting.take_turn("a.example", 0)


def test_a_wrong_clock_does_not_close_a_host_for_ever(tmp_path: Path):
    hosts(tmp_path).hold("a.example", 1e12)
    [state] = (tmp_path / "hosts").iterdir()
    assert STATE.unpack(state.read_bytes())[1] <= time.time() + LONGEST_HOLD_S
    state.write_bytes(STATE.pack(time.time() + 1e9, 0))
    with pytest.raises(Interrupted):
        stopped = threading.Event()
        stopped.set()
        Hosts(tmp_path, 60, stopped).take_turn("a.example", 1)
    assert STATE.unpack(state.read_bytes())[0] <= time.time() + LONGEST_HOLD_S + 1
    os.truncate(state, 3)
    hosts(tmp_path).take_turn("a.example", 0)


def test_retry_after_counts_seconds_or_names_a_date():
    assert retry_after_s(None) == 0 and retry_after_s("120") == 120 and retry_after_s(" 7 ") == 7
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    assert 98 < retry_after_s(soon) <= 100
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after_s("soon") == retry_after_s("-5") == retry_after_s("") == 0
