"""Joint sets by name, and mappings between them derived from the names.

Left and right are the person's own. A mapping is never written as numbers: `indices_of` looks the
names up, so that adding a joint set is adding a line of names.
"""

from collections.abc import Sequence

import numpy as np

from moviestrip.errors import FatalError


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SMPL_24 = _names(
    """
    pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot
    neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_hand right_hand
    """
)
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

BODY_25 = _names(
    """
    nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip
    right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe
    left_small_toe left_heel right_big_toe right_small_toe right_heel
    """
)

# HMMR's keypoints: the 14 common joints first, then the face and the feet. Its first and sixth are heels
# in name but carry ankle labels in every 2D data set, so the two ankles that close the set repeat them
# where both are known.
HMMR_25 = _names(
    """
    right_heel right_knee right_hip left_hip left_knee left_heel right_wrist right_elbow right_shoulder
    left_shoulder left_elbow left_wrist neck head_top nose left_eye right_eye left_ear right_ear left_big_toe
    right_big_toe left_small_toe right_small_toe left_ankle right_ankle
    """
)

HMMR_19, HMMR_14 = HMMR_25[:19], HMMR_25[:14]  # without feet (its demos draw these), and without a face

COMMON_14 = _names(
    """
    right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder
    left_shoulder left_elbow left_wrist neck head_top
    """
)

# Rows of the H36M-style joint regressor, in the order of the file that SPIN, VIBE and TCMR share.
H36M_17 = _names(
    """
    pelvis left_hip left_knee left_ankle right_hip right_knee right_ankle spine neck head head_top left_shoulder
    left_elbow left_wrist right_shoulder right_elbow right_wrist
    """
)

# MPI-INF-3DHP's test set: the 14 common joints with the pelvis (index 14), the spine and the head.
MPI_INF_3DHP_17 = _names(
    """
    head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
    right_ankle left_hip left_knee left_ankle pelvis spine head
    """
)

# MPI-INF-3DHP's training annotation, all rows of `annot2` and `annot3` (its own util/mpii_get_joint_set.m).
MPI_INF_3DHP_28 = _names(
    """
    spine3 spine4 spine2 spine pelvis neck head head_top left_clavicle left_shoulder left_elbow left_wrist left_hand
    right_clavicle right_shoulder right_elbow right_wrist right_hand left_hip left_knee left_ankle left_foot left_toe
    right_hip right_knee right_ankle right_foot right_toe
    """
)

# Human3.6M's D3_Positions, in the order of the skeleton in its metadata.xml. Seven rows repeat another one:
# lower_spine the pelvis, both collars the neck, both thumbs the wrists, both palm ends the fingertips. What
# is `head` here is the joint the public 17-joint lists call "Neck/Nose" and SPIN the jaw, `head_top` its tip.
H36M_32 = _names(
    """
    pelvis right_hip right_knee right_ankle right_toe_base right_toe_end left_hip left_knee left_ankle left_toe_base
    left_toe_end lower_spine spine neck head head_top left_collar left_shoulder left_elbow left_wrist left_thumb
    left_thumb_end left_palm left_palm_end right_collar right_shoulder right_elbow right_wrist right_thumb
    right_thumb_end right_palm right_palm_end
    """
)

BLAZEPOSE_33 = _names(
    """
    nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear
    mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky
    right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle
    right_ankle left_heel right_heel left_foot_index right_foot_index
    """
)

COCO_17 = _names(
    """
    nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
    right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle
    """
)

# OpenPose's COCO model: COCO's 17 and the neck it adds between the shoulders.
COCO_18 = _names(
    """
    nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
    right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear
    """
)

# PoseTrack18 writes 17 triples; the two ears are never labelled and hold zeros, which leaves its 15 joints.
POSETRACK_17 = _names(
    """
    nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
    right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle
    """
)
POSETRACK_15 = tuple(name for name in POSETRACK_17 if not name.endswith("_ear"))

# What SPIN, VIBE and TCMR call ground truth: the 14 common joints, five that a data set may add, the face.
SPIN_24 = _names(
    """
    right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder
    left_shoulder left_elbow left_wrist neck head_top pelvis thorax spine jaw head nose left_eye right_eye left_ear
    right_ear
    """
)
# ... and their 49: OpenPose's BODY_25, named apart because most of its joints come again, then those 24.
SPIN_49 = (*(f"openpose_{name}" for name in BODY_25), *SPIN_24)

PENN_13 = _names(
    """
    head_top left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip left_knee
    right_knee left_ankle right_ankle
    """
)

JOINT_SETS: dict[str, Sequence[str]] = {
    "smpl_24": SMPL_24,
    "body_25": BODY_25,
    "hmmr_25": HMMR_25,
    "hmmr_19": HMMR_19,
    "hmmr_14": HMMR_14,
    "common_14": COMMON_14,
    "h36m_17": H36M_17,
    "h36m_32": H36M_32,
    "mpi_inf_3dhp_17": MPI_INF_3DHP_17,
    "mpi_inf_3dhp_28": MPI_INF_3DHP_28,
    "spin_24": SPIN_24,
    "spin_49": SPIN_49,
    "blazepose_33": BLAZEPOSE_33,
    "coco_17": COCO_17,
    "coco_18": COCO_18,
    "posetrack_17": POSETRACK_17,
    "posetrack_15": POSETRACK_15,
    "penn_13": PENN_13,
}

# Bones drawn between joints wherever both ends are in the set.
BONES = (
    ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("right_hip", "left_hip"), ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("right_shoulder", "left_shoulder"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "left_hip"), ("neck", "head_top"), ("neck", "nose"),
    ("right_ankle", "right_big_toe"), ("left_ankle", "left_big_toe"), ("right_ankle", "right_heel"),
    ("left_ankle", "left_heel"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
)  # fmt: skip


def indices_of(names: Sequence[str], within: Sequence[str]) -> np.ndarray:
    """Positions of `names` in the joint set `within`; every name must be there."""
    missing = [name for name in names if name not in within]
    if missing:
        raise FatalError(f"joints {missing} are not in the joint set {list(within)}")
    return np.array([list(within).index(name) for name in names], dtype=np.int64)


def convert(keypoints: np.ndarray, source: Sequence[str], target: Sequence[str]) -> np.ndarray:
    """Reorder (..., J_source, 3) x, y, confidence into (..., J_target, 3); absent joints get confidence 0."""
    result = np.zeros((*keypoints.shape[:-2], len(target), keypoints.shape[-1]), keypoints.dtype)
    shared = [name for name in target if name in source]
    result[..., indices_of(shared, target), :] = keypoints[..., indices_of(shared, source), :]
    return result


def mirror_permutation(names: Sequence[str]) -> np.ndarray:
    """Order that swaps left and right: `joints[..., mirror_permutation(names), :]`."""
    swap = {"left": "right", "right": "left"}
    mirrored = ["_".join(swap.get(part, part) for part in name.split("_")) for name in names]
    return indices_of(mirrored, names)


def bone_indices(names: Sequence[str]) -> np.ndarray:
    """(B, 2) index pairs of the bones whose two ends are both in the set."""
    order = list(names)
    return np.array([(order.index(a), order.index(b)) for a, b in BONES if a in order and b in order])
