"""The contract with any detector, tried on programs that keep it and on programs that break it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from moviestrip.config import DetectorSettings
from moviestrip.errors import FatalError, RetryableError
from moviestrip.pose import openpose
from moviestrip.skeleton import BODY_25, SMPL_24
from moviestrip.tables import DETECTIONS, VIDEOS, empty, read_table, stack, with_defaults, write_table

PREAMBLE = """
import json, os, sys, time
from pathlib import Path
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
images = sorted(Path(flags["--image_dir"]).iterdir())
output = Path(flags["--write_json"])
def answer(image, values=(1.0,) * 75, people=1):
    value = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": list(values)}] * people}
    (output / f"{image.stem}_keypoints.json").write_text(json.dumps(value))
"""


@pytest.fixture
def detector(tmp_path: Path):
    """Write a detector program whose behaviour is given as code; returns its settings."""

    def write(code: str, **settings) -> DetectorSettings:
        path = tmp_path / "detector.py"
        path.write_text(PREAMBLE + textwrap.dedent(code))
        return DetectorSettings(command=f"{sys.executable} {path}", **settings)

    return write


def videos(*ids: str, status: str = "ok") -> pd.DataFrame:
    frame = pd.DataFrame([{"video_id": video_id, "status": status} for video_id in ids])
    return with_defaults(frame, VIDEOS)


def grey_frames(video_id: str):
    """Two frames of each video."""
    return iter(np.full((2, 8, 8, 3), len(video_id), np.uint8))


def detect(settings: DetectorSettings, *ids: str) -> pd.DataFrame:
    return openpose.detect_shard(videos(*(ids or ("va",))), grey_frames, settings)


def test_embedded_detector_finds_rendered_people(people, tmp_path):
    frames, joints_px = people
    shard = pd.concat([videos("v1", "v0"), videos("broken", status="bad_video")])
    given = {"v0": frames[:2], "v1": frames[2:]}
    found = openpose.detect_shard(shard, lambda video_id: iter(given[video_id]), DetectorSettings())
    assert list(zip(found["video_id"], found["frame"], found["person"], strict=True)) == [
        ("v0", 0, 0), ("v0", 1, 0), ("v1", 0, 0),
    ]  # fmt: skip
    hips = stack(found["keypoints"], 25, 3)[:, BODY_25.index("mid_hip"), :2]
    assert np.abs(hips - joints_px[:, SMPL_24.index("pelvis")]).max() < 10
    write_table(tmp_path / "detections.parquet", found, DETECTIONS)
    assert len(read_table(tmp_path / "detections.parquet", DETECTIONS)) == 3


def test_frames_of_all_videos_reach_one_process_and_empty_frames_are_valid(detector, tmp_path):
    settings = detector(
        f"""
        Path({str(tmp_path / "calls")!r}).open("a").write("called ")
        for image in images:
            answer(image, people=2 * image.stem.startswith("v_b"))
        """
    )
    found = detect(settings, "v_b", "va")
    assert (tmp_path / "calls").read_text() == "called "
    assert found[["video_id", "frame", "person"]].values.tolist() == [
        ["v_b", 0, 0], ["v_b", 0, 1], ["v_b", 1, 0], ["v_b", 1, 1],
    ]  # fmt: skip


def test_frames_arrive_as_they_were(detector, tmp_path, people):
    picture = people[0][0]
    settings = detector(f"os.rename(images[0], {str(tmp_path / 'seen.jpg')!r}); answer(images[0])")
    openpose.detect_shard(videos("va"), lambda _: iter([picture]), settings)
    seen = cv2.imread(str(tmp_path / "seen.jpg"))[..., ::-1]
    assert np.abs(seen.astype(int) - picture).mean() < 0.5


def test_a_shard_without_usable_videos_needs_no_detector():
    settings = DetectorSettings(command="/does/not/exist")
    found = openpose.detect_shard(videos("va", status="permanent"), grey_frames, settings)
    assert list(found.columns) == list(empty(DETECTIONS).columns) and not len(found)


def test_a_missing_program_is_told_with_the_key():
    with pytest.raises(FatalError, match=r"detector\.command: '/does/not/exist' cannot be run"):
        detect(DetectorSettings(command="/does/not/exist --model_folder models"))


def test_the_command_is_openposes():
    settings = DetectorSettings(command="/opt/openpose.bin --model_folder '/my models'")
    command = openpose.command_line(settings, 3)
    assert command[:3] == ["/opt/openpose.bin", "--model_folder", "/my models"]
    assert command[3:] == ["--model_pose", "BODY_25", "--display", "0", "--render_pose", "0"]
    embedded = openpose.command_line(DetectorSettings(landmark_model="lite", finder="blazepose"), 3)
    assert embedded[:3] == [sys.executable, "-m", "moviestrip.pose.program"]
    assert "lite" in embedded and embedded[embedded.index("--number_people_max") + 1] == "3"


def test_auto_takes_movenet_for_several_people_where_it_can_be_had(tmp_path, monkeypatch, caplog):
    settings = DetectorSettings()
    assert openpose.ready_finder(settings, 1) == "blazepose"
    monkeypatch.setenv("MOVIESTRIP_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert openpose.ready_finder(settings, 4) == "blazepose"
    assert "MoveNet cannot be had" in caplog.text and "npm is not on PATH" in caplog.text
    with pytest.raises(FatalError, match="npm is not on PATH"):
        openpose.ready_finder(DetectorSettings(finder="movenet"), 4)


def wait_until_gone(process_id: int, seconds: float = 5) -> bool:
    """Whether a process ends (or is only waiting to be collected) within some time."""
    for _ in range(int(seconds * 20)):
        status = Path(f"/proc/{process_id}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_fault_13_a_hanging_detector_is_ended_with_everything_it_started(detector, tmp_path):
    settings = detector(
        f"""
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"])
        Path({str(tmp_path / "processes")!r}).open("a").write(f"{{os.getpid()}} {{child.pid}} ")
        print("loading", file=sys.stderr, flush=True)
        time.sleep(600)
        """,
        timeout_s=2.0,
        attempts=2,
    )
    start = time.monotonic()
    with pytest.raises(RetryableError, match=r"timeout_s = 2 s, ended; it said: loading \(after 2 attempts\)"):
        detect(settings)
    assert time.monotonic() - start < 20
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 4
    assert all(wait_until_gone(int(process)) for process in processes)


@pytest.mark.faults
def test_fault_13_a_crashing_or_killed_detector_is_tried_again_a_bounded_number_of_times(detector, tmp_path):
    code = f"""
        calls = Path({str(tmp_path / "calls")!r})
        calls.open("a").write("x")
        if len(calls.read_text()) < 3:
            print("out of memory", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)
        for image in images:
            answer(image)
        """
    with pytest.raises(RetryableError, match=r"ended by signal 9; it said: out of memory \(after 2 attempts\)"):
        detect(detector(code, attempts=2))
    assert len(detect(detector(code, attempts=1))) == 2
    with pytest.raises(RetryableError, match=r"failed with exit code 7; it said nothing"):
        detect(detector("sys.exit(7)"))


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a program with its parent")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_fault_13_no_detector_outlives_a_killed_run(detector, tmp_path, ending):
    settings = detector(f"Path({str(tmp_path / 'process')!r}).write_text(str(os.getpid())); time.sleep(600)")
    code = (
        "from pathlib import Path; from moviestrip.pose.openpose import run_program; "
        f"arguments = {settings.command.split()!r} + ['--image_dir', '.', '--write_json', '.']; "
        "run_program(arguments, 600, Path('said'), Path('.'), 1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    for _ in range(400):
        if (tmp_path / "process").exists() and (tmp_path / "process").read_text():
            break
        time.sleep(0.05)
    detector_id = int((tmp_path / "process").read_text())
    os.kill(parent.pid, ending)
    parent.wait(10)
    assert wait_until_gone(detector_id)


@pytest.mark.faults
def test_fault_14_skipped_frames_are_named(detector):
    with pytest.raises(RetryableError, match=r"answered 3 of 4 frames: missing va_000001, unexpected none"):
        detect(detector("[answer(image) for image in images if image.stem != 'va_000001']"), "va", "vb")


@pytest.mark.faults
def test_fault_14_frames_nobody_asked_for_are_named(detector):
    code = "[answer(image) for image in [*images, Path('vz_000007.png')]]"
    with pytest.raises(RetryableError, match=r"answered 2 of 2 frames: missing none, unexpected vz_000007"):
        detect(detector(code))


@pytest.mark.faults
def test_fault_14_one_complete_attempt_is_enough_and_leftovers_of_another_are_not_used(detector, tmp_path):
    settings = detector(
        f"""
        first = not Path({str(tmp_path / "called")!r}).exists()
        Path({str(tmp_path / "called")!r}).touch()
        for image in images[: 1 if first else None]:
            answer(image, values=[float(first)] * 75)
        """
    )
    assert not stack(detect(settings)["keypoints"]).any()


MALFORMED = {
    "NaN": ('{"people": [{"pose_keypoints_2d": [' + "NaN, " + "1, " * 73 + "1]}]}", "nose: nan is not a finite"),
    "overflow": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "1e999]}]}", "right_heel: inf is not a finite"),
    "huge integer": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "9" * 400 + "]}]}", "not a finite"),
    "text": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + '"1"]}]}', "'1' is not a finite"),
    "short": ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "person 0 has 3 values"),
    "no keypoints": ('{"people": [{}]}', "person 0 has no values"),
    "no people": ('{"version": 1.3}', "no list 'people'"),
    "a list": ("[]", "no list 'people'"),
    "cut off": ('{"people": [{"pose_key', "not JSON"),
    "empty": ("", "not JSON"),
    "deep": ('{"people": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper than 8"),
    "a crowd": (json.dumps({"people": [{}] * 1001}), "1001 people, above the limit"),
    "large": (" " * (4 * 2**20 + 1), "above the limit of 4,194,304"),
}


@pytest.mark.faults
@pytest.mark.parametrize("kind", MALFORMED)
def test_fault_15_malformed_keypoints_are_refused_naming_file_and_frame(tmp_path, kind):
    text, expected = MALFORMED[kind]
    path = tmp_path / "va_000012_keypoints.json"
    path.write_text(text)
    with pytest.raises(FatalError) as raised:
        openpose.read_keypoints(path)
    message = str(raised.value)
    assert expected in message and "va_000012_keypoints.json: frame 'va_000012'" in message
    assert len(message) < 1000 and "\n" not in message


@pytest.mark.faults
def test_fault_15_a_detector_that_writes_nan_stops_the_shard(detector):
    with pytest.raises(FatalError, match=r"va_000000_keypoints\.json: frame 'va_000000': person 0, nose: nan"):
        detect(detector("[answer(image, values=[float('nan')] * 75) for image in images]"))


@pytest.mark.faults
def test_fault_16_nobody_and_a_hundred_people_are_both_valid(detector):
    found = detect(detector("answer(images[0], people=0); answer(images[1], people=100)"))
    assert found["frame"].tolist() == [1] * 100 and found["person"].tolist() == list(range(100))
