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
