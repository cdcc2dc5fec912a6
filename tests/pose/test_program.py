"""The embedded detector run as a program, as OpenPose would be."""

import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from moviestrip.pose import people as people_module
from moviestrip.pose import program
from moviestrip.skeleton import BODY_25, SMPL_24, indices_of

KNEES = ["left_knee", "right_knee"]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "moviestrip.pose.program", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def images(tmp_path: Path, people) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index, frame in enumerate(people[0]):
        cv2.imwrite(str(folder / f"walk_{index:06d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / "walk_000003.png"), np.full((64, 64, 3), 128, np.uint8))
    return folder


def test_a_folder_of_images_becomes_openposes_files(images, tmp_path, people):
    output = tmp_path / "json"
    done = call(
        "--image_dir", images, "--write_json", output, "--model_pose", "BODY_25", "--display", 0, "--render_pose=0",
        "--number_people_max", 1, "--net_resolution", "-1x368", "--no_gui_verbose",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in output.iterdir()) == [f"walk_{i:06d}_keypoints.json" for i in range(4)]
    for index in range(3):
        value = json.loads((output / f"walk_{index:06d}_keypoints.json").read_text())
        assert value["version"] == 1.3 and len(value["people"]) == 1
        assert value["people"][0]["person_id"] == [-1] and value["people"][0]["face_keypoints_2d"] == []
        keypoints = np.array(value["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
        apart = keypoints[indices_of(KNEES, BODY_25), :2] - people[1][index][indices_of(KNEES, SMPL_24)]
        assert np.abs(apart).max() < 6
    assert json.loads((output / "walk_000003_keypoints.json").read_text()) == {"version": 1.3, "people": []}


def test_frames_do_not_depend_on_each_other(images, tmp_path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    program.main(["--image_dir", str(images), "--write_json", str(together), "--number_people_max", "1"])
    for other in ("walk_000000.png", "walk_000001.png", "walk_000003.png"):
        (images / other).unlink()
    program.main(["--image_dir", str(images), "--write_json", str(alone), "--number_people_max", "1"])
    name = "walk_000002_keypoints.json"
    assert [path.name for path in alone.iterdir()] == [name]
    assert (alone / name).read_bytes() == (together / name).read_bytes()


def test_videos_are_numbered_as_openpose_does(tmp_path, people):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv444p"
        for picture in people[0][:2]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert program.main(["--video", str(path), "--write_json", str(tmp_path / "json")]) == 0
    names = sorted(file.name for file in (tmp_path / "json").iterdir())
    assert names == ["clip_000000000000_keypoints.json", "clip_000000000001_keypoints.json"]


def test_several_people_are_each_found_once(people):
    frames, joints_px = people
    row = np.concatenate(frames, axis=1)
    found = people_module.PeopleDetector(maximum_people=6)(row)
    assert len(found) == 3
    hips = np.sort(found[:, BODY_25.index("mid_hip"), 0])
    true = np.sort(joints_px[:, SMPL_24.index("pelvis"), 0] + [0, 256, 512])
    assert np.abs(hips - true).max() < 10
    assert len(people_module.PeopleDetector(maximum_people=2)(row)) == 2


def test_windows_cover_the_frame():
    for width, height in ((640, 480), (100, 900), (64, 64)):
        covered = np.zeros((height, width), int)
        for left, top, wide, high in people_module.search_windows(width, height)[1:]:
            assert left >= 0 and top >= 0 and left + wide <= width and top + high <= height
            covered[top : top + high, left : left + wide] += 1
        assert covered.min() >= 1


def test_the_program_says_its_version_and_exits_with_a_status(tmp_path):
    version = call("--version")
    assert version.returncode == 0 and version.stdout.startswith("moviestrip ")
    missing = call("--image_dir", tmp_path / "none", "--write_json", tmp_path / "json")
    assert missing.returncode == 2 and "there is no such file or folder" in missing.stderr


def test_mistakes_are_told_in_a_line(tmp_path, images, capsys):
    output = ("--write_json", tmp_path / "json")
    for arguments, part in (
        (("--image_dir", images / "walk_000000.png", *output), "not a folder"),
        (("--image_dir", images, "--hand", *output), "--hand true: not offered"),
        (("--image_dir", images, "--number_people_max", 0, *output), "expected -1"),
    ):
        assert program.main([str(argument) for argument in arguments]) == 2
        assert part in capsys.readouterr().err
    for arguments, part in (
        (("--image_dir", images, "--model_pose", "COCO", *output), "invalid choice"),
        (output, "one of the arguments --image_dir --video is required"),
    ):
        with pytest.raises(SystemExit) as raised:
            program.main([str(argument) for argument in arguments])
        assert raised.value.code == 2 and part in capsys.readouterr().err


def test_damaged_input_is_fatal_and_named(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "torn.png").write_bytes(b"\x89PNG torn")
    output = str(tmp_path / "json")
    assert program.main(["--image_dir", str(tmp_path / "images"), "--write_json", output]) == 3
    assert "torn.png: not a readable image" in capsys.readouterr().err
    (tmp_path / "page.mp4").write_text("<html></html>")
    assert program.main(["--video", str(tmp_path / "page.mp4"), "--write_json", output]) == 3
    assert "page.mp4: cannot be decoded" in capsys.readouterr().err
