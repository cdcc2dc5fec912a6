"""The contract with any detector, tried on programs that keep it and on programs that break it."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from moviestrip.config import DetectorSettings
from moviestrip.errors import ConfigError, FatalError, RetryableError, StorageError
from moviestrip.pose import openpose
from moviestrip.pose.keypoint_json import Detected
from moviestrip.pose.program import video_frames
from moviestrip.skeleton import BODY_25, SMPL_24
from moviestrip.tables import ANSWERS, DETECTIONS, VIDEOS, empty, read_table, stack, with_defaults, write_table
from moviestrip.video.decode import frames
from tests.video.video_files import rotate_flag, write_video

MISBEHAVING = Path(__file__).with_name("misbehaving_program.py")
FRAMES = 3  # of each video
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")


def program(mode: str = "well", *flags: object, **settings) -> DetectorSettings:
    """Settings with a program that misbehaves in one way; `-S` halves its start-up."""
    command = " ".join(str(part) for part in (sys.executable, "-S", MISBEHAVING, "--mode", mode, *flags))
    return DetectorSettings(command=command, **settings)


def videos(*ids: str, status: str = "ok", n_frames: int = FRAMES) -> pd.DataFrame:
    frame = pd.DataFrame([{"video_id": video_id, "status": status, "n_frames": n_frames} for video_id in ids])
    return with_defaults(frame, VIDEOS)


def grey_frames(video_id: str):
    return iter(np.full((FRAMES, 8, 8, 3), len(video_id), np.uint8))


def detect(settings: DetectorSettings, *ids: str) -> Detected:
    return openpose.detect_shard(videos(*(ids or ("va",))), grey_frames, settings)


def calls_in(path: Path) -> list[dict]:
    """What each call of the misbehaving program noted of itself, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answers_of(found: Detected) -> dict[str, str]:
    """The reason of every video; empty where it was answered. Both tables must agree."""
    for answer in found.answers.itertuples():
        rows = found.detections[found.detections["video_id"] == answer.video_id]
        assert answer.status == ("bad_answer" if answer.reason else "ok")
        assert (len(rows), rows["frame"].nunique()) == (answer.detections, answer.frames_with_people)
        assert answer.status == "ok" or rows.empty
    return dict(zip(found.answers["video_id"], found.answers["reason"], strict=True))


def is_gone(process_id: int) -> bool:
    """Whether a process has ended, or is only waiting to be collected."""
    status = Path(f"/proc/{process_id}/status")
    try:
        return "State:\tZ" in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def children_of(process_id: int) -> list[int]:
    """What all threads of a process have started."""
    lists = [path.read_text().split() for path in Path(f"/proc/{process_id}/task").glob("*/children")]
    return [int(child) for each in lists for child in each]


def wait_until_gone(*process_ids: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not all(map(is_gone, process_ids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return all(map(is_gone, process_ids))


def wait_for(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_embedded_detector_finds_rendered_people(people, tmp_path):
    frames, joints_px = people
    shard = pd.concat([videos("v1", "v0"), videos("broken", status="bad_video")])
    given = {"v0": frames[:2], "v1": frames[2:]}
    found = openpose.detect_shard(shard, lambda video_id: iter(given[video_id]), DetectorSettings())
    detections = found.detections
    assert list(zip(detections["video_id"], detections["frame"], detections["person"], strict=True)) == [
        ("v0", 0, 0), ("v0", 1, 0), ("v1", 0, 0),
    ]  # fmt: skip
    assert found.answers.values.tolist() == [["v0", "ok", "", 2, 2, 2], ["v1", "ok", "", 1, 1, 1]]
    hips = stack(detections["keypoints"], 25, 3)[:, BODY_25.index("mid_hip"), :2]
    assert np.abs(hips - joints_px[:, SMPL_24.index("pelvis")]).max() < 10
    for name, frame, schema in (("d", detections, DETECTIONS), ("a", found.answers, ANSWERS)):
        write_table(tmp_path / f"{name}.parquet", frame, schema)
        assert len(read_table(tmp_path / f"{name}.parquet", schema)) == len(frame)


def test_frames_of_all_videos_reach_one_process_in_order(tmp_path):
    found = detect(program("well", "--people", 2, "--calls", tmp_path / "calls"), "v_b", "va")
    (call,) = calls_in(tmp_path / "calls")
    assert call["videos"] == ["v_b", "va"] and call["threads"] == "1"
    expected = [[video, frame, person] for video in ("v_b", "va") for frame in range(FRAMES) for person in range(2)]
    assert found.detections[["video_id", "frame", "person"]].values.tolist() == expected
    assert found.answers.values.tolist() == [[video, "ok", "", FRAMES, FRAMES, 2 * FRAMES] for video in ("v_b", "va")]
    np.testing.assert_array_equal(stack(found.detections["keypoints"], 75)[0], np.arange(75))


def test_frames_arrive_as_they_were(tmp_path, people):
    picture = people[0][0]
    script = tmp_path / "detector.py"
    script.write_text(
        "import shutil, sys; from pathlib import Path; flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "(image,) = Path(flags['--image_dir']).iterdir()\n"
        f"shutil.move(image, {str(tmp_path / 'seen.jpg')!r})\n"
        "(Path(flags['--write_json']) / f'{image.stem}_keypoints.json').write_text('{\"people\": []}')\n"
    )
    settings = DetectorSettings(command=f"{sys.executable} {script}")
    found = openpose.detect_shard(videos("va"), lambda _: iter([picture]), settings)
    assert found.answers.values.tolist() == [["va", "ok", "", 1, 0, 0]] and found.detections.empty
    seen = cv2.imread(str(tmp_path / "seen.jpg"))[..., ::-1]
    assert np.abs(seen.astype(int) - picture).mean() < 0.5


def test_several_programs_share_the_videos_by_frames(tmp_path):
    lengths = {"va": 9, "vb": 2, "vc": 3, "vd": 4}
    shard = pd.concat([videos(video_id, n_frames=frames) for video_id, frames in lengths.items()])
    found = openpose.detect_shard(
        shard, lambda video_id: iter(np.zeros((lengths[video_id], 8, 8, 3), np.uint8)),
        program("slow", "--calls", tmp_path / "calls", processes=2),
    )  # fmt: skip
    assert sorted(call["videos"] for call in calls_in(tmp_path / "calls")) == [["va"], ["vb", "vc", "vd"]]
    assert dict(zip(found.answers["video_id"], found.answers["n_frames"], strict=True)) == lengths
    one = openpose.detect_shard(shard, lambda v: iter(np.zeros((lengths[v], 8, 8, 3), np.uint8)), program())
    pd.testing.assert_frame_equal(found.detections, one.detections)


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_shares_hold_every_video_once_and_are_balanced(processes):
    draw = np.random.default_rng(processes)
    frames = {f"v{index:02d}": int(draw.integers(1, 300)) for index in range(20)}
    calls = openpose.shares(frames, processes)
    assert sorted(video_id for call in calls for video_id in call) == sorted(frames)
    lengths = [sum(frames[video_id] for video_id in call) for call in calls]
    assert len(calls) == max(processes, -(-sum(frames.values()) // openpose.FRAMES_A_CALL))
    assert max(lengths) - min(lengths) <= max(frames.values())


def test_calls_are_no_longer_than_allowed_and_a_longer_video_has_its_own():
    calls = openpose.shares({"long": 500, "a": 10, "b": 10, "c": 10}, 1, most_frames=100)
    assert ("long",) in calls and len(calls) == 4
    assert openpose.shares({"a": 1, "b": 1}, 8) == [("a",), ("b",)]


@pytest.mark.parametrize(("model_pose", "knee"), [("COCO", 12), ("BODY_135", 13)])
def test_other_models_of_openpose_are_asked_for_and_converted(model_pose, knee):
    found = detect(program(model_pose=model_pose))
    keypoints = stack(found.detections["keypoints"], 25, 3)
    assert keypoints.shape == (FRAMES, 25, 3)
    np.testing.assert_array_equal(keypoints[:, BODY_25.index("left_knee"), 0], 3.0 * knee)


def test_the_embedded_program_offers_body_25_only():
    with pytest.raises(ConfigError, match=r"detector\.model_pose: the embedded program offers BODY_25, not COCO"):
        detect(DetectorSettings(model_pose="COCO"))


def test_a_shard_without_usable_videos_needs_no_detector():
    settings = DetectorSettings(command="/does/not/exist")
    found = openpose.detect_shard(videos("va", status="permanent"), grey_frames, settings)
    assert list(found.detections.columns) == list(empty(DETECTIONS).columns) and found.detections.empty
    assert list(found.answers.columns) == list(empty(ANSWERS).columns) and found.answers.empty


def test_a_program_that_cannot_start_stops_the_stage_and_is_told_with_the_key(tmp_path):
    with pytest.raises(FatalError, match=r"detector\.command: '/does/not/exist' cannot be run"):
        detect(DetectorSettings(command="/does/not/exist --model_folder models"))
    for status in (2, 127):
        calls = tmp_path / f"calls-{status}"
        with pytest.raises(FatalError, match=f"failed with exit code {status}"):
            detect(program("well", "--status", status, "--calls", calls), "va", "vb")
        assert len(calls_in(calls)) == 1


def test_the_command_is_openposes():
    settings = DetectorSettings(command="/opt/openpose.bin --model_folder '/my models'")
    command = openpose.command_line(settings, 3, 80)
    assert command[:3] == ["/opt/openpose.bin", "--model_folder", "/my models"]
    assert command[3:] == ["--model_pose", "BODY_25", "--display", "0", "--render_pose", "0"]
    embedded = openpose.command_line(DetectorSettings(landmark_model="lite", finder="blazepose"), 3, 80)
    assert embedded[:3] == [sys.executable, "-m", "moviestrip.pose.program"]
    assert "lite" in embedded and embedded[embedded.index("--number_people_max") + 1] == "3"
    assert "--smallest_person" not in embedded
    several = openpose.command_line(DetectorSettings(finder="movenet"), 3, 120)
    assert several[several.index("--smallest_person") + 1] == "120"
    assert "--smallest_person" not in openpose.command_line(DetectorSettings(finder="movenet"), 1, 120)


def test_auto_takes_movenet_for_several_people_where_it_can_be_had_and_says_once_that_it_cannot(
    tmp_path, monkeypatch, caplog
):
    settings = DetectorSettings()
    assert openpose.ready_finder(settings, 1) == "blazepose"
    monkeypatch.setenv("MOVIESTRIP_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    openpose._warn_once.cache_clear()
    for _ in range(2):
        assert openpose.ready_finder(settings, 4) == "blazepose"
    (said,) = [record.getMessage() for record in caplog.records]
    assert "MoveNet cannot be had" in " ".join(said.split()) and "npm is not on PATH" in " ".join(said.split())
    with pytest.raises(FatalError, match="npm is not on PATH"):
        openpose.ready_finder(DetectorSettings(finder="movenet"), 4)


@pytest.fixture
def clip(tmp_path, people) -> Path:
    """A lossless film of the rendered people."""
    path = tmp_path / "videos" / "va.mkv"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv444p"
        for picture in people[0]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def filmed(clip: Path, **facts) -> pd.DataFrame:
    row = {
        "video_id": "va", "status": "ok", "n_frames": 3, "path": f"videos/{clip.name}", "fps": 25.0,
        "filmed_fps": 25.0, "sha256": sha256(clip.read_bytes()).hexdigest(),
    }  # fmt: skip
    return with_defaults(pd.DataFrame([row | facts]), VIDEOS)


def test_video_files_are_read_by_the_program_itself(clip, tmp_path, people):
    settings = DetectorSettings(reads="video")
    found = openpose.detect_shard(filmed(clip), grey_frames, settings, root=tmp_path)
    hips = stack(found.detections["keypoints"], 25, 3)[:, BODY_25.index("mid_hip"), :2]
    assert found.answers.values.tolist() == [["va", "ok", "", 3, 3, 3]]
    assert np.abs(hips - people[1][:, SMPL_24.index("pelvis")]).max() < 10


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_video_filmed_sideways_is_read_upright_as_the_pipeline_does(tmp_path, degrees):
    path = rotate_flag(write_video(tmp_path / "lying.mp4", n_frames=3), tmp_path / "va.mp4", degrees)
    read = [picture for _, picture in video_frames(path)]
    np.testing.assert_array_equal(read, list(frames(path)))
    assert read[0].shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))


@pytest.mark.faults
def test_fault_14_a_program_that_decodes_other_frames_of_a_file_is_found_out(clip, tmp_path):
    for shown, missing, unexpected in ((2, "va_000000000002", "none"), (4, "none", "va_000000000003")):
        settings = program("well", "--video_frames", shown, "--calls", tmp_path / "calls", reads="video")
        found = openpose.detect_shard(filmed(clip), grey_frames, settings, root=tmp_path)
        counts = f"the detector answered {min(shown, 3)} of 3 frames"
        assert answers_of(found) == {"va": f"{counts}: missing {missing}, unexpected {unexpected}"}
    assert len(calls_in(tmp_path / "calls")) == 4  # two attempts each


def test_video_files_whose_frames_are_not_the_pipelines_are_refused(clip, tmp_path):
    settings = DetectorSettings(reads="video", command="/does/not/exist")
    for facts, problem in (
        ({"filmed_fps": 29.97}, r"is filmed at 29\.97 fps and read at 25"),
        ({"start_s": 1.5}, "is a part of its file"),
        ({"end_s": 9.0}, "is a part of its file"),
        ({"path": "videos"}, "is a folder of images"),
    ):
        with pytest.raises(FatalError, match=rf"va {problem}.*use `reads: images`"):
            openpose.detect_shard(filmed(clip, **facts), grey_frames, settings, root=tmp_path)
    with pytest.raises(FatalError, match=r"there are no video files here; use `reads: images`"):
        openpose.detect_shard(filmed(clip), grey_frames, settings)
    with pytest.raises(StorageError, match="changed since it was fetched"):
        openpose.detect_shard(filmed(clip, sha256="0"), grey_frames, settings, root=tmp_path)


@pytest.mark.faults
@linux_only
def test_fault_13_a_hanging_detector_is_ended_with_everything_it_started(tmp_path):
    script = tmp_path / "wrapper.sh"
    script.write_text(f"#!/bin/sh\n{sys.executable} -S {MISBEHAVING} --mode hang --calls {tmp_path / 'calls'} $*\n")
    script.chmod(0o755)
    settings = DetectorSettings(command=str(script), timeout_s=1.0, attempts=2)
    start = time.monotonic()
    with pytest.raises(RetryableError, match=r"still running after 1 s, ended; it said: loading \(after 2 attempts\)"):
        detect(settings)
    assert time.monotonic() - start < 15
    calls = calls_in(tmp_path / "calls")
    assert len(calls) == 2
    assert wait_until_gone(*(process for call in calls for process in call["pids"]))


@pytest.mark.faults
@linux_only
def test_fault_13_what_a_well_ended_detector_leaves_running_is_ended(tmp_path):
    found = detect(program("grandchild", "--calls", tmp_path / "calls"))
    (call,) = calls_in(tmp_path / "calls")
    assert len(call["pids"]) == 2 and wait_until_gone(*call["pids"])
    assert answers_of(found) == {"va": ""}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mode", "how"),
    [("crash", "failed with exit code 1; it said: out of memory"), ("kill-self", "ended by signal 9; it said: out of")],
)
def test_fault_13_a_crashing_or_killed_detector_is_tried_again_a_bounded_number_of_times(tmp_path, mode, how):
    for attempts in (1, 2, 3):
        calls = tmp_path / f"calls-{attempts}"
        with pytest.raises(RetryableError, match=rf"{how}.* \(after {attempts} attempts?\)"):
            detect(program(mode, "--calls", calls, attempts=attempts))
        assert len(calls_in(calls)) == attempts
    found = detect(program(mode, "--until", tmp_path / "called", attempts=2))
    assert answers_of(found) == {"va": ""} and len(found.detections) == FRAMES


@pytest.mark.faults
def test_fault_13_only_videos_not_answered_are_given_again_and_one_that_crashes_it_alone_is_put_aside(tmp_path, caplog):
    for attempts, expected in (
        (2, [["va", "vb", "vc"], ["vb"], ["vc"]]),
        (3, [["va", "vb", "vc"], ["vb", "vc"], ["vb"], ["vc"]]),
    ):
        calls = tmp_path / f"calls-{attempts}"
        found = detect(program("crash", "--about", "vb", "--calls", calls, attempts=attempts), "va", "vb", "vc")
        assert [call["videos"] for call in calls_in(calls)] == expected
        reasons = answers_of(found)
        assert reasons["va"] == reasons["vc"] == "" and set(found.detections["video_id"]) == {"va", "vc"}
        assert reasons["vb"].startswith("the detector crashed on it alone: ") and "out of memory" in reasons["vb"]
    lines = [line for record in caplog.records for line in record.getMessage().splitlines()]
    assert lines and max(len(line) for line in lines if " " in line.strip()) <= 80
    with pytest.raises(RetryableError, match=r"\(after 1 attempt\)"):
        detect(program("crash", "--about", "vb", attempts=1), "va", "vb")


@pytest.mark.faults
def test_fault_13_a_hang_on_one_video_costs_only_that_video(tmp_path):
    found = detect(program("hang", "--about", "vb", timeout_s=1.2, processes=3), "va", "vb", "vc")
    reasons = answers_of(found)
    assert reasons["va"] == reasons["vc"] == "" and "still running after 1.2 s" in reasons["vb"]


@pytest.mark.faults
def test_fault_13_a_machine_on_which_nothing_is_answered_is_given_up_soon(tmp_path):
    with pytest.raises(RetryableError, match=r"so with 4 videos alone, and none was answered"):
        detect(program("crash", "--calls", tmp_path / "calls"), *(f"v{index}" for index in range(9)))
    asked = [len(call["videos"]) for call in calls_in(tmp_path / "calls")]
    assert asked in ([9, 1, 1, 1, 1], [9, 1, 1, 1, 1, 1])  # the next may be under way when the fourth is heard of


@pytest.mark.faults
@linux_only
def test_fault_13_a_failure_of_one_program_ends_those_beside_it(tmp_path):
    """One share's frames cannot be read any more while the other's program is running."""
    calls = tmp_path / "calls"

    def frames_of(video_id: str):
        if video_id == "vb":
            wait_for(lambda: calls_in(calls))
            raise StorageError("vb.mp4: missing")
        return grey_frames(video_id)

    start = time.monotonic()
    with pytest.raises(StorageError, match=r"vb\.mp4: missing"):
        openpose.detect_shard(videos("va", "vb"), frames_of, program("hang", "--calls", calls, processes=2))
    (call,) = calls_in(calls)
    assert wait_until_gone(*call["pids"]) and time.monotonic() - start < 15


STAGE = """
import sys
import numpy as np
import pandas as pd
from moviestrip.config import DetectorSettings
from moviestrip.pose.openpose import detect_shard
videos = pd.DataFrame({"video_id": ["va", "vb"], "status": "ok", "n_frames": 3})
settings = DetectorSettings(command=sys.argv[1], processes=2, timeout_s=600)
detect_shard(videos, lambda _: iter(np.zeros((3, 8, 8, 3), np.uint8)), settings)
"""


def hear_interrupts() -> None:
    """A shell's background job ignores them, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.faults
@linux_only
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_fault_13_no_detector_outlives_an_ended_stage(tmp_path, ending):
    """Several programs behind a shell, as a container's would be: only SIGKILL may leave files behind."""
    script, scratch = tmp_path / "wrapper.sh", tmp_path / "scratch"
    script.write_text(f"#!/bin/sh\n{sys.executable} -S {MISBEHAVING} --mode hang --calls {tmp_path / 'calls'} $*\n")
    script.chmod(0o755)
    scratch.mkdir()
    stage = subprocess.Popen(
        [sys.executable, "-c", STAGE, str(script)], cwd=tmp_path, env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.DEVNULL, preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        wait_for(lambda: len(calls_in(tmp_path / "calls")) == 2 and len(children_of(stage.pid)) == 4)
        started = children_of(stage.pid)  # each program's shell and its watchdog
        os.kill(stage.pid, ending)
        assert stage.wait(10) != 0
    finally:
        stage.kill()
    assert wait_until_gone(*started, *(call["pids"][0] for call in calls_in(tmp_path / "calls")))
    assert ending == signal.SIGKILL or not list(scratch.iterdir())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fewer", "the detector answered 0 of 3 frames: missing vb_000000, vb_000001, vb_000002, unexpected none"),
        ("more", "answered 3 of 3 frames: missing none, unexpected vb_0000009, vb_0000019, vb_0000029"),
    ],
)
def test_fault_14_other_frames_than_were_shown_put_the_video_aside(tmp_path, mode, reason):
    found = detect(program(mode, "--about", "vb", "--calls", tmp_path / "calls"), "va", "vb", "vc")
    reasons = answers_of(found)
    assert reason in reasons.pop("vb") and reasons == {"va": "", "vc": ""}
    assert [call["videos"] for call in calls_in(tmp_path / "calls")] == [["va", "vb", "vc"], ["vb"]]


@pytest.mark.faults
def test_fault_14_frames_of_no_video_make_every_video_of_the_call_doubtful(tmp_path):
    found = detect(program("strange", "--about", "vb"), "va", "vb")
    reasons = answers_of(found)
    assert reasons["va"] == "" and reasons["vb"].endswith("missing none, unexpected vz_000007")


@pytest.mark.faults
def test_fault_14_one_complete_attempt_is_enough_and_leftovers_of_another_are_not_used(tmp_path):
    for mode in ("fewer", "cut"):
        found = detect(program(mode, "--until", tmp_path / f"called-{mode}", "--about", "va"), "va", "vb")
        assert answers_of(found) == {"va": "", "vb": ""} and len(found.detections) == 2 * FRAMES


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("nan", "person 0, nose: nan is not a finite coordinate"),
        ("1e999", "person 0, right_heel: inf is not a finite coordinate"),
        ("deep", "not JSON (maximum recursion depth"),
        ("wrong-length", "person 0 has 72 values in pose_keypoints_2d, BODY_25 has 75"),
    ],
)
def test_fault_15_a_detector_that_writes_nonsense_loses_that_video_naming_file_and_frame(mode, reason, caplog):
    found = detect(program(mode, "--about", "vb"), "va", "vb")
    reasons = answers_of(found)
    assert f"vb_000000_keypoints.json: frame 'vb_000000': {reason}" in reasons["vb"] and reasons["va"] == ""
    assert "1 of 2 videos are put aside" in caplog.text


@pytest.mark.faults
@pytest.mark.parametrize("people", [0, 100])
def test_fault_16_nobody_and_a_hundred_people_are_both_valid(people):
    found = detect(program("well", "--people", people))
    assert found.detections["frame"].tolist() == [frame for frame in range(FRAMES) for _ in range(people)]
    assert found.detections["person"].tolist() == list(range(people)) * FRAMES
    assert found.answers.values.tolist() == [["va", "ok", "", FRAMES, FRAMES * (people > 0), FRAMES * people]]


def test_progress_is_told_in_lines_of_80_columns(capsys, caplog, monkeypatch):
    monkeypatch.setattr("moviestrip.progress.SECONDS_BETWEEN_LOG_LINES", 0.0)
    caplog.set_level(logging.WARNING)
    detect(program("slow"), "va", "vb")
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith("detect: ") and len(line) <= 80 for line in lines)
