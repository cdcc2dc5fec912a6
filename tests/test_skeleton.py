"""Joint sets and mappings by name."""

import numpy as np
import pytest

from moviestrip import skeleton
from moviestrip.errors import FatalError

SIZES = {"smpl_24": 24, "body_25": 25, "hmmr_25": 25, "common_14": 14, "h36m_17": 17, "blazepose_33": 33}


@pytest.mark.parametrize("name", skeleton.JOINT_SETS)
def test_names_are_unique_and_as_many_as_the_name_says(name: str):
    names = skeleton.JOINT_SETS[name]
    assert len(set(names)) == len(names) == int(name.rsplit("_", 1)[1])


@pytest.mark.parametrize("name", skeleton.JOINT_SETS)
def test_mirroring_twice_changes_nothing(name: str):
    order = skeleton.mirror_permutation(skeleton.JOINT_SETS[name])
    np.testing.assert_array_equal(order[order], np.arange(len(order)))


def test_h36m_regressor_order_agrees_with_the_official_index_list():
    """J14 of the released evaluation code: the first 14 of [6,5,4,1,2,3,16,15,14,11,12,13,8,10,0,7,9]."""
    official = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    np.testing.assert_array_equal(skeleton.indices_of(skeleton.COMMON_14, skeleton.H36M_17), official)


def test_mpi_inf_3dhp_agrees_with_the_index_lists_of_the_released_evaluation():
    """J17 turns the regressor's rows, and SPIN's preprocessing the 28 rows, into the test set's own joints."""
    j17 = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9]
    ordered = [skeleton.H36M_17[index] for index in j17]
    assert tuple(ordered[:14]) == skeleton.COMMON_14
    assert ordered[14:] == ["pelvis", "spine", "head"] == list(skeleton.MPI_INF_3DHP_17[14:])
    of_28 = [4, 18, 19, 20, 23, 24, 25, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
    of_test = [14, 11, 12, 13, 8, 9, 10, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
    np.testing.assert_array_equal(skeleton.indices_of(skeleton.H36M_17, skeleton.MPI_INF_3DHP_28), of_28)
    np.testing.assert_array_equal(skeleton.indices_of(skeleton.H36M_17, skeleton.MPI_INF_3DHP_17), of_test)


def test_human36m_positions_hold_the_seventeen_where_public_code_takes_them():
    moving = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    assert sorted(skeleton.indices_of(skeleton.H36M_17, skeleton.H36M_32)) == moving


def test_the_49_joints_are_openpose_then_ground_truth():
    assert skeleton.SPIN_49[:25] == tuple(f"openpose_{name}" for name in skeleton.BODY_25)
    assert skeleton.SPIN_49[25:39] == skeleton.COMMON_14
    assert skeleton.SPIN_49[39:44] == ("pelvis", "thorax", "spine", "jaw", "head")


def test_conversion_keeps_shared_joints_and_zeroes_the_rest():
    source = np.random.default_rng(0).random((4, 25, 3)).astype(np.float32)
    result = skeleton.convert(source, skeleton.BODY_25, skeleton.HMMR_25)
    nose = skeleton.HMMR_25.index("nose")
    np.testing.assert_array_equal(result[:, nose], source[:, skeleton.BODY_25.index("nose")])
    assert (result[:, skeleton.HMMR_25.index("head_top")] == 0).all()


def match(source: str, target: str, joint: str) -> skeleton.Match:
    names = skeleton.JOINT_SETS[target]
    return skeleton.correspondence(skeleton.JOINT_SETS[source], names)[list(names).index(joint)]


@pytest.mark.parametrize("name", skeleton.JOINT_SETS)
def test_a_joint_set_corresponds_exactly_to_itself(name: str):
    names = skeleton.JOINT_SETS[name]
    for joint, found in zip(names, skeleton.correspondence(names, names), strict=True):
        never = joint in skeleton.NEVER_LABELLED.get(names, ())
        assert found == (skeleton.Match("absent") if never else skeleton.Match("exact", (joint,)))


def test_every_correspondence_names_joints_of_the_source_and_says_why_it_is_not_exact():
    for source in skeleton.JOINT_SETS.values():
        for target in skeleton.JOINT_SETS.values():
            for found in skeleton.correspondence(source, target):
                assert set(found.sources) <= set(source)
                assert (found.kind == "absent") == (not found.sources)
                assert (found.kind == "approximate") == bool(found.reason)


@pytest.mark.parametrize("pair", [("smpl_24", "h36m_32"), ("blazepose_33", "body_25"), ("mpi_inf_3dhp_28", "smpl_24")])
def test_left_corresponds_as_right_does(pair: tuple[str, str]):
    source, target = (skeleton.JOINT_SETS[name] for name in pair)
    found = dict(zip(target, skeleton.correspondence(source, target), strict=True))
    for name in target:
        if name.startswith("left_"):
            left, right = found[name], found[name.replace("left_", "right_")]
            assert left.kind == right.kind
            assert [joint.replace("left_", "right_") for joint in left.sources] == list(right.sources)


def test_what_is_exact_approximate_and_absent():
    expected = {
        ("blazepose_33", "body_25", "left_big_toe"): ("approximate", ("left_foot_index",)),
        ("blazepose_33", "body_25", "mid_hip"): ("approximate", ("left_hip", "right_hip")),
        ("blazepose_33", "body_25", "left_small_toe"): ("absent", ()),
        ("posetrack_15", "hmmr_25", "neck"): ("approximate", ("head_bottom",)),
        ("posetrack_15", "hmmr_25", "head_top"): ("exact", ("head_top",)),
        ("posetrack_17", "hmmr_25", "left_ear"): ("absent", ()),
        ("penn_13", "hmmr_25", "head_top"): ("approximate", ("head_top",)),
        ("hmmr_14", "common_14", "right_ankle"): ("approximate", ("right_heel",)),
        ("hmmr_25", "common_14", "right_ankle"): ("exact", ("right_ankle",)),
        ("common_14", "body_25", "right_heel"): ("absent", ()),
        ("body_25", "common_14", "neck"): ("approximate", ("neck",)),
        ("body_25", "hmmr_25", "neck"): ("exact", ("neck",)),
        ("body_25", "coco_18", "neck"): ("exact", ("neck",)),
        ("smpl_24", "h36m_17", "left_hip"): ("approximate", ("left_hip",)),
        ("smpl_24", "h36m_17", "left_knee"): ("exact", ("left_knee",)),
        ("body_25", "spin_49", "openpose_neck"): ("exact", ("neck",)),
        ("spin_49", "body_25", "neck"): ("exact", ("openpose_neck",)),
        ("coco_17", "spin_49", "openpose_nose"): ("approximate", ("nose",)),
    }
    found = {case: match(*case) for case in expected}
    assert {case: (one.kind, one.sources) for case, one in found.items()} == expected


def test_conversion_takes_approximate_joints_only_when_asked():
    draw = np.random.default_rng(1)
    penn = draw.random((3, 13, 3))
    head, neck = skeleton.HMMR_25.index("head_top"), skeleton.HMMR_25.index("neck")
    by_name = skeleton.convert(penn, skeleton.PENN_13, skeleton.HMMR_25)
    exact = skeleton.convert(penn, skeleton.PENN_13, skeleton.HMMR_25, "exact")
    near = skeleton.convert(penn, skeleton.PENN_13, skeleton.HMMR_25, "approximate")
    np.testing.assert_array_equal(by_name[:, head], penn[:, 0])
    assert (exact[:, head] == 0).all() and (by_name[:, neck] == 0).all()
    shoulders = penn[:, [1, 2]]
    np.testing.assert_allclose(near[:, neck, :2], shoulders[..., :2].mean(1))
    np.testing.assert_array_equal(near[:, neck, 2], shoulders[..., 2].min(1))


def test_conversion_takes_openpose_from_the_first_25_of_the_49():
    joints = np.random.default_rng(2).random((2, 49, 3))
    first, second = skeleton.split_spin_49(joints)
    np.testing.assert_array_equal(skeleton.convert(joints, skeleton.SPIN_49, skeleton.BODY_25, "exact"), first)
    np.testing.assert_array_equal(second, joints[:, 25:])
    with pytest.raises(FatalError, match="49"):
        skeleton.split_spin_49(first)


def test_human36m_repeats_seven_rows():
    """The rows that public code for the 32 joints drops as being at the same place as another."""
    twins = {11: 0, 16: 13, 20: 19, 23: 22, 24: 13, 28: 27, 31: 30}
    named = {skeleton.H36M_32[row]: skeleton.H36M_32[same] for row, same in twins.items()}
    assert named == {
        "lower_spine": "pelvis", "left_collar": "neck", "right_collar": "neck", "left_thumb_base": "left_wrist",
        "right_thumb_base": "right_wrist", "left_palm_end": "left_palm", "right_palm_end": "right_palm",
    }  # fmt: skip


def test_an_unknown_joint_is_named():
    with pytest.raises(FatalError, match="tail"):
        skeleton.indices_of(["tail"], skeleton.BODY_25)


def test_bones_join_joints_of_the_set():
    bones = skeleton.bone_indices(skeleton.COMMON_14)
    assert bones.shape[1] == 2
    assert bones.max() < 14
