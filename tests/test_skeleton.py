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


def test_an_unknown_joint_is_named():
    with pytest.raises(FatalError, match="tail"):
        skeleton.indices_of(["tail"], skeleton.BODY_25)


def test_bones_join_joints_of_the_set():
    bones = skeleton.bone_indices(skeleton.COMMON_14)
    assert bones.shape[1] == 2
    assert bones.max() < 14
