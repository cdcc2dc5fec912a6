"""BVH is read as its formats say, gives CMU's recordings as ASF/AMC do, and takes this project's exports back."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.errors import StorageError
from moviestrip.exports.bvh import bvh_text
from moviestrip.exports.motion import PersonMotion, Placement
from moviestrip.world.bvh import CGSPEED, OURS, read_bvh, read_bvh_folder, retarget
from moviestrip.world.cmu import BONE_OF, read_cmu
from moviestrip.world.kinematics import RestSkeleton, forward_kinematics, local_rotations, pose_of_local
from tests.world.write_cmu import BONES, Written, write_cmu

TWO_JOINTS = """HIERARCHY
ROOT Base
{{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition {root}
  JOINT Tip
  {{
    OFFSET 0 2 0
    CHANNELS {count} {tip}
    End Site
    {{
      OFFSET 0 1 0
    }}
  }}
}}
MOTION
Frames: 2
Frame Time: 0.04
{rows}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_cmu(tmp_path_factory.mktemp("cmu"))


def test_joints_are_those_of_the_bones_written(written: Written):
    file = read_bvh(written.bvh)
    assert len(file.nodes) == 31 and file.fps == 120
    places, turned = file.forward()
    for name, (_, _, _, theirs) in BONES.items():
        np.testing.assert_allclose(places[1:, file.index(theirs)], written.starts[name], atol=1e-5)
        np.testing.assert_allclose(turned[1:, file.index(theirs)], written.turned[name], atol=1e-6)


def test_both_names_of_a_bone_are_the_same_bone():
    theirs = {"root": "Hips", **{name: joint for name, (_, _, _, joint) in BONES.items()}}
    assert {ours: theirs[bone] for ours, bone in BONE_OF.items()} == CGSPEED


def test_cgspeeds_file_gives_the_motion_that_cmus_own_files_give(written: Written, rest: RestSkeleton):
    (from_amc,) = read_cmu(written.asf.parents[1], rest)
    (from_bvh,) = read_bvh_folder(written.bvh.parents[1], rest)
    assert from_bvh.motion_id == from_amc.motion_id == "cmu-07-02" and from_bvh.family == from_amc.family
    assert len(from_bvh) == len(from_amc) == 13, "the added T-pose is left out"
    joints = [forward_kinematics(motion.pose, motion.translation_m, rest)[0] for motion in (from_amc, from_bvh)]
    np.testing.assert_allclose(joints[1], joints[0], atol=1e-4)
    assert np.array_equal(from_bvh.contacts, from_amc.contacts)


@pytest.mark.parametrize(("order", "angles"), [("ZYX", (10, 20, 30)), ("XYZ", (40, -50, 60)), ("YZX", (70, 5, -80))])
def test_angles_turn_in_the_order_of_their_channels(tmp_path: Path, order: str, angles: tuple[float, float, float]):
    channels = " ".join(f"{axis}rotation" for axis in order)
    row = " ".join(map(str, [4, 5, 6, *angles, *angles]))
    path = tmp_path / "two.bvh"
    path.write_text(TWO_JOINTS.format(root=channels, count=3, tip=channels, rows=f"{row}\n{row}"))
    file = read_bvh(path)
    about = {"X": [1, 0, 0], "Y": [0, 1, 0], "Z": [0, 0, 1]}
    turn = np.eye(3)
    for axis, angle in zip(order, angles, strict=True):
        turn = turn @ Rotation.from_rotvec(np.radians(angle) * np.array(about[axis])).as_matrix()
    places, turned = file.forward()
    np.testing.assert_allclose(places[0], [[4, 5, 6], np.array([4, 5, 6]) + turn @ [0, 2, 0]], atol=1e-9)
    np.testing.assert_allclose(turned[0, 1], turn @ turn, atol=1e-9)
    assert file.fps == 25


def test_a_joint_may_turn_about_one_axis_and_carry_a_place(tmp_path: Path):
    path = tmp_path / "two.bvh"
    rows = "0 0 0 0 0 0 9 9 9 90\n" * 2
    tip = "Xposition Yposition Zposition Xrotation"
    path.write_text(TWO_JOINTS.format(root="Zrotation Xrotation Yrotation", count=4, tip=tip, rows=rows))
    places, turned = read_bvh(path).forward()
    np.testing.assert_allclose(places[:, 1], [[0, 2, 0]] * 2)
    np.testing.assert_allclose(turned[0, 1] @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_this_projects_export_comes_back(tmp_path: Path, cache: Path, rest: RestSkeleton):
    body: Body = load_body(BodySettings(), cache)
    draw, frames = np.random.default_rng(1), 30
    seconds = np.arange(frames)[:, None] / 25
    pose = draw.normal(0, 0.3, 72) * np.sin(3 * seconds + draw.uniform(0, 6, 72))
    camera_down = np.diag([1.0, -1.0, -1.0])
    rotations = local_rotations(pose)
    rotations[:, 0] = camera_down @ rotations[:, 0]
    place = Placement(np.zeros((frames, 2)), np.ones(frames), np.ones((frames, 3), np.float32))
    person = PersonMotion(0, 0, place, rotations.astype(np.float32), np.zeros((frames, 10), np.float32))
    walked_m = np.concatenate([0.2 * seconds, 0.1 * seconds, 3 + seconds], axis=1)
    (tmp_path / "me").mkdir()
    path = tmp_path / "me" / "person-000.bvh"
    path.write_text(bvh_text(person, body, walked_m, 25))
    found, translation_m = retarget(read_bvh(path), OURS, rest)
    turned = Rotation.from_rotvec(found.reshape(-1, 3)).inv() * Rotation.from_rotvec(pose.reshape(-1, 3))
    assert turned.magnitude().max() < 1e-5
    np.testing.assert_allclose(translation_m - translation_m[0], (walked_m - walked_m[0]) @ camera_down, atol=1e-4)
    (motion,) = read_bvh_folder(tmp_path, rest)
    assert motion.motion_id == "bvh-me/person-000" and motion.fps == 25 and len(motion) == frames
    assert pose_of_local(local_rotations(motion.pose)).shape == (frames, 72)


def test_mistakes_are_named(tmp_path: Path, written: Written, rest: RestSkeleton):
    with pytest.raises(StorageError, match=r"no \.bvh files"):
        read_bvh_folder(tmp_path, rest)
    text = written.bvh.read_text()
    path = tmp_path / "bad.bvh"
    for wrong, named in (
        ("", "lacks HIERARCHY or MOTION"),
        ("a b c", "lacks HIERARCHY or MOTION"),
        (text[: text.index("MOTION")], "lacks HIERARCHY or MOTION"),
        (text[: len(text) // 2], r"numbers for 62 frames of 96 channels, expected 5,952"),
        (text.replace("Frames: 62", "Frames: 61"), "5,952 numbers for 61 frames"),
        (text.replace("Frame Time: .0083333", "Frame Time: 0"), "a frame time of 0.0 s"),
        (text.replace("Frame Time:", "Time:"), "states no 'Frames:' and 'Frame Time:'"),
        (text.replace("Zrotation", "Wrotation", 1), "unknown channels"),
        (text.replace("Zrotation", "Yrotation", 1), "lists a channel twice"),
        (text.replace("OFFSET", "OFFSETS", 1), "joint 'Hips' has no OFFSET"),
        (text.replace("}\nMOTION", "\nMOTION"), "the hierarchy is not closed"),
        (text.replace("JOINT LowerBack", "JOIN LowerBack"), "unexpected 'JOIN' in the hierarchy"),
        (text.rsplit(" ", 1)[0] + " nan\n", "numbers that are not finite"),
        (text.rsplit(" ", 1)[0] + " 1.x\n", "damaged .*1.x"),
    ):
        path.write_text(wrong)
        with pytest.raises(StorageError, match=rf"bad\.bvh: .*{named}"):
            read_bvh(path)
    path.write_text(text.replace("LeftUpLeg", "LeftHip"))
    with pytest.raises(
        StorageError, match=r"bad\.bvh: its joints .*'LeftHip'.*\(of these \['LeftUpLeg'\] are missing\)"
    ):
        list(read_bvh_folder(tmp_path, rest))
