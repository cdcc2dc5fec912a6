"""OpenPose's JSON read from whoever wrote it, in each of its formats, and taken over without running anything."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError, QuarantineError
from moviestrip.pose.keypoint_json import import_keypoints, read_keypoints
from moviestrip.skeleton import BODY_25
from moviestrip.tables import ANSWERS, DETECTIONS, VIDEOS, empty, stack, with_defaults, write_table
from moviestrip.video.images import shown_at

MALFORMED = {
    "NaN": ('{"people": [{"pose_keypoints_2d": [' + "NaN, " + "1, " * 73 + "1]}]}", "nose: nan is not a finite"),
    "overflow": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "1e999]}]}", "right_heel: inf is not a finite"),
    "huge integer": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "9" * 400 + "]}]}", "not a finite"),
    "huger integer": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "9" * 5000 + "]}]}", "not JSON"),
    "text": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + '"1"]}]}', "'1' is not a finite"),
    "truth": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "true]}]}", "True is not a finite"),
    "list": ('{"people": [{"pose_keypoints_2d": [' + "1, " * 74 + "[1]]}]}", "list is not a finite"),
    "short": ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "person 0 has 3 values"),
    "COCO's": (json.dumps({"people": [{"pose_keypoints_2d": [1] * 54}]}), "54 values in pose_keypoints_2d, BODY_25 ha"),
    "no keypoints": ('{"people": [{}]}', "person 0 has no values"),
    "no people": ('{"version": 1.3}', "no list 'people'"),
    "a list": ("[]", "no list 'people'"),
    "cut off": ('{"people": [{"pose_key', "not JSON"),
    "empty": ("", "not JSON"),
    "deep": ('{"people": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON (maximum recursion depth"),
    "a crowd": (json.dumps({"people": [{}] * 1001}), "1001 people, above the limit"),
    "large": (" " * (4 * 2**20 + 1), "above the limit of 4,194,304"),
}


@pytest.mark.faults
@pytest.mark.parametrize("kind", MALFORMED)
def test_fault_15_malformed_keypoints_are_refused_naming_file_and_frame(tmp_path, kind):
    text, expected = MALFORMED[kind]
    path = tmp_path / "va_000012_keypoints.json"
    path.write_text(text)
    with pytest.raises(QuarantineError) as raised:
        read_keypoints(path)
    message = str(raised.value)
    assert raised.value.reason == "bad_answer"
    assert expected in message and "va_000012_keypoints.json: frame 'va_000012'" in message
    assert len(message) < 400 and "\n" not in message


@pytest.mark.faults
def test_fault_15_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "va_000000_keypoints.json")
    (tmp_path / "va_000001_keypoints.json").symlink_to("/dev/zero")
    for index in range(3):
        with pytest.raises(QuarantineError, match=rf"va_00000{index}_keypoints\.json: .*not a file"):
            read_keypoints(tmp_path / f"va_00000{index}_keypoints.json")


def people_json(values: list[float], people: int = 1) -> str:
    return json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": values}] * people})


@pytest.mark.faults
def test_fault_16_nobody_and_a_hundred_people_are_both_valid(tmp_path):
    path = tmp_path / "va_000000_keypoints.json"
    path.write_text('{"version": 1.3, "people": []}')
    assert read_keypoints(path).shape == (0, 25, 3)
    path.write_text(people_json(list(np.arange(75.0)), 100))
    np.testing.assert_array_equal(read_keypoints(path), np.arange(75.0).reshape(1, 25, 3).repeat(100, 0))


@pytest.mark.parametrize(
    ("model_pose", "points", "left_knee"), [("BODY_25", 25, 13), ("COCO", 18, 12), ("BODY_135", 135, 13)]
)
def test_each_format_becomes_body_25(tmp_path, model_pose, points, left_knee):
    path = tmp_path / "va_000000_keypoints.json"
    path.write_text(people_json(list(np.arange(3.0 * points))))
    (found,) = read_keypoints(path, model_pose)
    assert found.shape == (25, 3)
    np.testing.assert_array_equal(found[BODY_25.index("left_knee")], 3 * left_knee + np.arange(3))
    other = "COCO" if model_pose != "COCO" else "BODY_135"
    with pytest.raises(QuarantineError, match=f"{3 * points} values in pose_keypoints_2d, {other} has"):
        read_keypoints(path, other)


def row(video_id: str, source: str, n_frames: int, fps: float = 25, filmed_fps: float = 25, status: str = "ok"):
    return {
        "video_id": video_id, "source": source, "n_frames": n_frames, "fps": fps, "filmed_fps": filmed_fps,
        "status": status,
    }  # fmt: skip


def videos(*rows: dict) -> pd.DataFrame:
    return with_defaults(pd.DataFrame(rows), VIDEOS)


def write_frames(folder: Path, stem: str, numbers, digits: int = 12) -> None:
    """One person in each frame, whose x all are the frame's number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = folder / f"{stem}_{number:0{digits}d}_keypoints.json"
        path.write_text(people_json([float(number), 2.0, 0.5] * 25))


def frames_of(found, video_id: str) -> list[float]:
    rows = found.detections[found.detections["video_id"] == video_id]
    assert rows["frame"].tolist() == list(range(len(rows)))
    return stack(rows["keypoints"], 25, 3)[:, 0, 0].tolist()


def reason_of(found, video_id: str) -> str:
    (answer,) = found.answers[found.answers["video_id"] == video_id].itertuples()
    assert (answer.status == "ok") == (answer.reason == "")
    assert answer.status == "ok" or not (found.detections["video_id"] == video_id).any()
    return answer.reason


def test_keypoints_are_imported_by_id_or_by_name_numbered_from_0_or_from_1(tmp_path):
    write_frames(tmp_path / "a1", "a1", range(3))
    write_frames(tmp_path / "walk", "walk", range(3))
    write_frames(tmp_path / "run.images", "img", range(1, 4), digits=4)
    shard = videos(
        row("c3", "studio/run.images", 3), row("a1", "x", 3), row("b2", "studio/walk.mp4", 3),
        row("d4", "none.mp4", 0, status="permanent"),
    )  # fmt: skip
    found = import_keypoints(shard, tmp_path)
    assert frames_of(found, "a1") == frames_of(found, "b2") == [0, 1, 2]
    assert frames_of(found, "c3") == [1, 2, 3]
    assert found.answers.values.tolist() == [[each, "ok", "", 3, 3, 3] for each in ("a1", "b2", "c3")]
    write_table(tmp_path / "detections.parquet", found.detections, DETECTIONS)
    write_table(tmp_path / "answers.parquet", found.answers, ANSWERS)


@pytest.mark.faults
def test_fault_14_imported_frames_are_reconciled_or_the_video_is_put_aside(tmp_path):
    write_frames(tmp_path / "short", "short", range(4))
    write_frames(tmp_path / "gap", "gap", [0, 1, 3, 4])
    write_frames(tmp_path / "late", "late", range(2, 7))
    write_frames(tmp_path / "two", "one", range(2))
    write_frames(tmp_path / "two", "other", range(2, 5))
    write_frames(tmp_path / "twice", "twice", range(5))
    write_frames(tmp_path / "twice", "twice", [4], digits=3)
    write_frames(tmp_path / "nan", "nan", range(5))
    (tmp_path / "nan" / "nan_000000000002_keypoints.json").write_text(people_json([float("nan")] * 75))
    (tmp_path / "empty").mkdir()
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "clip_keypoints.json").write_text(people_json([1.0] * 75))
    write_frames(tmp_path / "same", "same", range(5))
    write_frames(tmp_path / "good", "good", range(5))
    expected = {
        "short": "keypoints of 4 frames; the video has 5",
        "gap": "gap: frames are missing: 2",
        "late": "late: frames are missing: 0, 1",
        "two": "files of several videos: one, other",
        "twice": "are of one frame",
        "nan": "nan_000000000002_keypoints.json: frame 'nan_000000000002': person 0, nose: nan",
        "empty": "the folder holds no *_keypoints.json",
        "named": "clip_keypoints.json: no number of a frame",
        "none": "no folder of keypoints named id-none or none.mp4 or none",
        "good": "",
    }
    rows = [row(f"id-{name}", f"{name}.mp4", 5) for name in expected]
    found = import_keypoints(
        videos(*rows, row("s1", "a/same.mp4", 5), row("s2", "b/same.mp4", 5), row("up", "../..", 5)), tmp_path
    )
    reasons = {name: reason_of(found, f"id-{name}") for name in expected}
    assert all((text in reasons[name]) if text else reasons[name] == "" for name, text in expected.items()), reasons
    assert reason_of(found, "s1") == "the folder of keypoints same may be of 2 videos; name it s1"
    assert reason_of(found, "up").startswith("no folder of keypoints")
    assert set(found.detections["video_id"]) == {"id-good"}


def test_a_files_own_frames_are_shown_at_the_pipelines_rate(tmp_path):
    write_frames(tmp_path / "fast", "fast", range(60))
    write_frames(tmp_path / "slow", "slow", range(30))
    shard = videos(row("fast", "fast.mp4", 30, filmed_fps=50), row("slow", "slow.mp4", 49, filmed_fps=15))
    found = import_keypoints(shard, tmp_path, shown_at=shown_at)
    assert frames_of(found, "fast") == list(range(0, 60, 2))
    assert frames_of(found, "slow")[:10] == [0, 1, 1, 2, 2, 3, 4, 4, 5, 5] and frames_of(found, "slow")[-1] == 29
    without = import_keypoints(shard, tmp_path)
    assert reason_of(without, "fast") == "keypoints of 60 frames; the video has 30"
    shorter = import_keypoints(videos(row("fast", "fast.mp4", 31, filmed_fps=50)), tmp_path, shown_at=shown_at)
    assert reason_of(shorter, "fast") == "keypoints of 60 frames at 50 fps, 30 at 25; the video has 31"


def test_a_missing_folder_of_keypoints_stops_and_an_empty_shard_is_empty(tmp_path):
    with pytest.raises(FatalError, match=r"keypoints: .*none is not a folder"):
        import_keypoints(videos(row("a", "a.mp4", 1)), tmp_path / "none")
    found = import_keypoints(videos(row("a", "a.mp4", 1, status="bad_video")), tmp_path)
    assert list(found.answers.columns) == list(empty(ANSWERS).columns) and found.answers.empty
    assert found.detections.empty
