"""CMU's ASF/AMC files: bones stand where they were written, and what is wrong is named."""

from pathlib import Path

import numpy as np
import pytest

from moviestrip.errors import StorageError
from moviestrip.world.cmu import INCH_M, _bone_rotations, read_amc, read_asf, read_cmu
from moviestrip.world.kinematics import JOINT, RestSkeleton, foot_height_m, forward_kinematics
from moviestrip.world.limbs import unit
from tests.world.write_cmu import BONES, Written, write_cmu

TINY = Path(__file__).parents[1] / "data" / "cmu"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_cmu(tmp_path_factory.mktemp("cmu"))


def test_bones_are_turned_as_written(written: Written):
    skeleton = read_asf(written.asf)
    values = read_amc(written.amc, skeleton)
    turned = _bone_rotations(values, skeleton)
    assert skeleton.metres_a_unit == pytest.approx(INCH_M / 0.45) == pytest.approx(0.056444, abs=1e-6)
    for name, (_, bone, _, _) in BONES.items():
        np.testing.assert_allclose(turned[name], written.turned[name], atol=1e-7)
        np.testing.assert_allclose(skeleton.bones[name].direction * skeleton.bones[name].length, bone, atol=1e-6)


def test_limbs_point_where_the_bones_written_do(written: Written, rest: RestSkeleton):
    """At the recorded frames that fall on 25 fps: 0, 24 and 48 of 120 are 0, 5 and 10."""
    (motion,) = read_cmu(written.asf.parents[1], rest)
    joints, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
    for ours, theirs in (("shoulder", "humerus"), ("elbow", "radius")):
        for side in ("left", "right"):
            end = {"shoulder": "elbow", "elbow": "wrist"}[ours]
            found = joints[[0, 5, 10], JOINT[f"{side}_{end}"]] - joints[[0, 5, 10], JOINT[f"{side}_{ours}"]]
            bone = f"{side[0]}{theirs}"
            expected = written.turned[bone][[0, 24, 48]] @ np.array(BONES[bone][1])
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(unit(one), unit(other), atol=1e-5)


def test_recordings_are_read(rest: RestSkeleton):
    (motion,) = read_cmu(TINY, rest)
    joints, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
    assert motion.motion_id == "cmu-tiny-01" and motion.fps == 25 and len(motion) == 11
    assert joints[0, JOINT["left_wrist"], 0] > 0.6, "the T-pose is kept"
    lifted = joints[5, JOINT["left_knee"]] - joints[0, JOINT["left_knee"]]
    assert lifted[1] > 0.15 and lifted[2] > 0.3, "the left knee comes up and forward"
    assert motion.contacts[:, 1].all() and not motion.contacts[5, 0]
    assert abs(foot_height_m(joints)[:, 1]).max() < 0.02


def test_mistakes_are_named(rest: RestSkeleton, tmp_path: Path):
    with pytest.raises(StorageError, match=r"no \.amc files"):
        read_cmu(tmp_path, rest)
    (tmp_path / "01_01.amc").write_text(":DEGREES\n1\nroot 0 0 0 0 0 0\n")
    with pytest.raises(StorageError, match=r"expected one \.asf beside 01_01\.amc, found 0"):
        read_cmu(tmp_path, rest)
    (tmp_path / "01.asf").write_text((TINY / "tiny.asf").read_text())
    for amc, named in (
        (
            "1\nroot 0 0 0 0 0 0\nltibia 1 2\n2\nroot 0 0 0 0 0 0\nltibia 1 2\n",
            r"'ltibia' has shape \(2, 2\), expected \(2, 1\)",
        ),
        ("1\nroot 0 0 0 0 0 0\nltibia 1\n2\nroot 0 0 0 0 0 0\nltibia\n", r"damaged"),
        ("1\nroot 0 0 0 0 0 0\nltibia 1\n2\nroot 0 0 0 0 0 0\nltibia 1.x\n", r"damaged .*1\.x"),
        ("1\nroot 0 0 0 0 0 0\nltibia 1\n2\nroot 0 0 0 0 0 0\n", r"'ltibia' has shape \(1, 1\), expected \(2, 1\)"),
        ("1\nroot 0 0 0 0 0 0\nltibia nan\n2\nroot 0 0 0 0 0 0\nltibia 1\n", r"'ltibia' is not finite"),
        ("1\nroot 0 0 0 0 0 0\n", r"1 frames; a recording needs two"),
    ):
        (tmp_path / "01_01.amc").write_text(amc)
        with pytest.raises(StorageError, match=rf"01_01\.amc: {named}"):
            list(read_cmu(tmp_path, rest))


def test_a_damaged_skeleton_is_named(written: Written, tmp_path: Path):
    text = written.asf.read_text()
    path = tmp_path / "bad.asf"
    for wrong, named in (
        (text.replace("name lfemur", "name lthigh"), r"lacks the bones \['lfemur'\]"),
        (text.replace("direction", "direction x", 1), "bone 'lowerback' cannot be read"),
        (text[: len(text) // 2], "not a CMU skeleton, it lacks the bones"),
        ("", "not a CMU skeleton"),
    ):
        path.write_text(wrong)
        with pytest.raises(StorageError, match=rf"bad\.asf: .*{named}"):
            read_asf(path)
