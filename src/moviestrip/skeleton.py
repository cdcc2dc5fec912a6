"""Joint sets by name, and mappings between them derived from the names.

Left and right are the person's own. A mapping is never written as numbers: `indices_of` looks the
names up, so that adding a joint set is adding a line of names. Two joints of one name are one joint unless
`OWN_SENSE` says otherwise; two of different names stand in for each other where `NEAR` or `MIDWAY` says so,
and `correspondence` tells for each joint which of these it is. `docs/joint-sets.md` shows all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

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

# Human3.6M's D3_Positions, in the order of the skeleton in its metadata.xml (Hips, RightUpLeg, RightLeg, ...).
# Seven rows repeat another one: lower_spine the pelvis, both collars the neck, both thumb bases the wrists,
# both palm ends the palms. The row after the neck, "Head" in the file, is what public lists of 17 joints call
# "Neck/Nose", and the tip that follows it what they call "Head".
H36M_32 = _names(
    """
    pelvis right_hip right_knee right_ankle right_toe_base right_toe_end left_hip left_knee left_ankle left_toe_base
    left_toe_end lower_spine spine neck head head_top left_collar left_shoulder left_elbow left_wrist left_thumb_base
    left_thumb_end left_palm left_palm_end right_collar right_shoulder right_elbow right_wrist right_thumb_base
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

OPENPOSE_PREFIX = "openpose_"
OPENPOSE_SETS = (BODY_25, COCO_18)
HMMR_SETS = (HMMR_25, HMMR_19, HMMR_14)
OPENPOSE_ESTIMATE = "SPIN_49 keeps OpenPose's estimate of a joint apart from the labelled joint"

# Joints that a set has in name only: what its files hold there are zeros.
NEVER_LABELLED = {POSETRACK_17: ("left_ear", "right_ear")}

Kind = Literal["exact", "approximate", "absent"]
Taking = Literal["same_name", "exact", "approximate"]


@dataclass(frozen=True)
class Match:
    """The joints of another set that a joint can be taken from (of two, their middle), and why it is not exact."""

    kind: Kind
    sources: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Near:
    """Joints that may stand in for each other, best first; `only` where one side is one of these sets."""

    names: tuple[str, ...]
    reason: str
    only: tuple[tuple[str, ...], ...] | None = None


# Exact is what the papers' own code takes for one joint: SPIN's index lists (constants.py) and VIBE's conversion by
# name (kp_utils.py). These share their name with a joint of other sets and yet are not taken for it there.
_SMPL_TRUNK = "SMPL's own joint of the trunk: SPIN regresses the data sets' hips, pelvis, neck and head by other rows"
_OTHER_RIG = "another rig's joint: the two share no more than the name and the neighbourhood"
# HMMR's neck is both: labelled in some data sets, OpenPose's in the others.
_OPENPOSE_NECK = "OpenPose's neck is midway between its shoulders; SPIN and VIBE keep the labelled one apart"
_SPIN_HEAD = "SPIN's own files hold the top of the head there, and the head in its jaw; VIBE's hold the head"
OWN_SENSE: dict[tuple[str, ...], dict[str, str]] = {
    SMPL_24: dict.fromkeys(_names("pelvis left_hip right_hip neck head"), _SMPL_TRUNK)
    | dict.fromkeys(_names("left_collar right_collar"), _OTHER_RIG),
    MPI_INF_3DHP_28: dict.fromkeys(_names("spine2 spine3 left_hand right_hand left_foot right_foot"), _OTHER_RIG),
    BODY_25: {"neck": _OPENPOSE_NECK},
    COCO_18: {"neck": _OPENPOSE_NECK},
    SPIN_24: {"head": _SPIN_HEAD},
    SPIN_49: {"head": _SPIN_HEAD},
    PENN_13: {"head_top": "Penn Action labels the head, without saying its top; HMMR and VIBE read it as the top"},
}


def _both_sides(names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(_names(" ".join(f"{side}_{name}" for name in names.split())) for side in ("left", "right"))


# What stands in for what is the project's judgement, but for head_bottom as the neck (VIBE) and HMMR's heels (HMMR).
NEAR = (
    *(Near(names, "the tip of the foot: a toe's, all toes', or the shoe's")
      for names in _both_sides("big_toe toe toe_end foot_index")),
    *(Near(names, "the ball of the foot, where the toes begin, in three rigs")
      for names in _both_sides("foot toe_base")),
    *(Near(names, "HMMR's heels carry the ankles of the 2D data sets", HMMR_SETS)
      for names in _both_sides("heel ankle")),
    *(Near(names, "the inner end of the shoulder girdle, in two rigs") for names in _both_sides("collar clavicle")),
    *(Near(names, "the middle of the hand or its first knuckle") for names in _both_sides("hand palm palm_end index")),
    *(Near(names, "the thumb's last knuckle or its tip") for names in _both_sides("thumb thumb_end")),
    *(Near(names, "the middle of the eye or one of its corners") for names in _both_sides("eye eye_inner eye_outer")),
    Near(("neck", "head_bottom", "thorax"), "the neck's lower or upper end, or the top of the trunk"),
    Near(("head", "jaw"), "SPIN's jaw is the lower head; Human3.6M's joint lies behind the mouth"),
    Near(("head_top", "head"), "the top of the head and a joint in the head, some 15 cm below"),
    Near(("pelvis", "mid_hip", "lower_spine"), "the root between the hips: a joint of its own, or the hips' middle"),
    Near(("spine", "spine2"), "halfway up the trunk: the regressor's joint and SMPL's"),
)  # fmt: skip
MIDWAY: tuple[tuple[tuple[str, ...], tuple[str, str], str], ...] = (
    (("pelvis", "mid_hip", "lower_spine"), ("left_hip", "right_hip"), "midway between the hips"),
    (("neck", "thorax"), ("left_shoulder", "right_shoulder"), "midway between the shoulders, below the labelled neck"),
    (("head",), ("left_ear", "right_ear"), "midway between the ears"),
)

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


def convert(
    keypoints: np.ndarray, source: Sequence[str], target: Sequence[str], taking: Taking = "same_name"
) -> np.ndarray:
    """Reorder (..., J_source, 3) x, y, confidence into (..., J_target, 3); absent joints get confidence 0.

    Args:
        taking: every joint of the `same_name`, as the papers' own code does; only those that are the `exact` same
            joint; or the `approximate` ones too, where the middle of two joints is as sure as the less sure one.
    """
    result = np.zeros((*keypoints.shape[:-2], len(target), keypoints.shape[-1]), keypoints.dtype)
    matches = dict(zip(target, correspondence(source, target), strict=True))
    taken = {name: match.sources for name, match in matches.items() if _is_taken(name, match, taking)}
    single = [name for name, sources in taken.items() if len(sources) == 1]
    result[..., indices_of(single, target), :] = keypoints[..., indices_of([taken[n][0] for n in single], source), :]
    for name, sources in taken.items():
        if len(sources) > 1:
            ends, index = keypoints[..., indices_of(sources, source), :], list(target).index(name)
            result[..., index, :-1] = ends[..., :-1].mean(axis=-2)
            result[..., index, -1] = ends[..., -1].min(axis=-1)
    return result


def _is_taken(name: str, match: Match, taking: Taking) -> bool:
    by_name = taking == "same_name" and match.sources == (name,)
    return match.kind == "exact" or by_name or (taking == "approximate" and match.kind == "approximate")


def correspondence(source: Sequence[str], target: Sequence[str]) -> tuple[Match, ...]:
    """For each joint of `target`: the joints of `source` it can be taken from, and how good that is.

    Both must be whole joint sets, because what a name means may depend on the set (`OWN_SENSE`).
    """
    return _correspondence(tuple(source), tuple(target))


@cache
def _correspondence(source: tuple[str, ...], target: tuple[str, ...]) -> tuple[Match, ...]:
    return tuple(_match(name, source, target) for name in target)


def split_spin_49(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 49, axes) as what it is stacked from: BODY_25 (..., 25, axes) and SPIN_24 (..., 24, axes)."""
    if joints.ndim < 2 or joints.shape[-2] != len(SPIN_49):
        raise FatalError(f"SPIN's joints must be (..., {len(SPIN_49)}, axes), got {joints.shape}")
    return joints[..., : len(BODY_25), :], joints[..., len(BODY_25) :, :]


def _match(name: str, source: tuple[str, ...], target: tuple[str, ...]) -> Match:
    known = [joint for joint in source if joint not in NEVER_LABELLED.get(source, ())]
    for own in _openpose_names(name, source, target):
        if own in known:
            return Match("exact", (own,))
    if name in known:
        reason = _difference(name, source, target)
        return Match("approximate" if reason else "exact", (name,), reason)
    for sources, reason in _stand_ins(name, source, target):
        if all(joint in known for joint in sources):
            return Match("approximate", sources, reason)
    return Match("absent")


def _openpose_names(name: str, source: tuple[str, ...], target: tuple[str, ...]) -> Iterator[str]:
    """What OpenPose's joint is called on the other side, where one side is SPIN_49."""
    if target in OPENPOSE_SETS and source == SPIN_49:
        yield OPENPOSE_PREFIX + name
    if source in OPENPOSE_SETS and name.startswith(OPENPOSE_PREFIX):
        yield name.removeprefix(OPENPOSE_PREFIX)


def _difference(name: str, source: tuple[str, ...], target: tuple[str, ...]) -> str:
    """Why a joint of one name is not the same joint in both sets; empty if it is."""
    ours, theirs = (OWN_SENSE.get(names, {}).get(name, "") for names in (source, target))
    if ours == theirs or (_OPENPOSE_NECK in (ours, theirs) and (source in HMMR_SETS or target in HMMR_SETS)):
        return ""
    return ours or theirs


def _stand_ins(name: str, source: tuple[str, ...], target: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Joints of another name that may stand in, nearest first."""
    bare = name.removeprefix(OPENPOSE_PREFIX)
    if bare != name:
        yield (bare,), OPENPOSE_ESTIMATE
    for near in NEAR:
        if bare in near.names and (near.only is None or source in near.only or target in near.only):
            yield from (((other,), near.reason) for other in near.names if other != bare)
    for names, pair, reason in MIDWAY:
        if bare in names:
            yield pair, reason


def mirror_permutation(names: Sequence[str]) -> np.ndarray:
    """Order that swaps left and right: `joints[..., mirror_permutation(names), :]`."""
    swap = {"left": "right", "right": "left"}
    mirrored = ["_".join(swap.get(part, part) for part in name.split("_")) for name in names]
    return indices_of(mirrored, names)


def bone_indices(names: Sequence[str]) -> np.ndarray:
    """(B, 2) index pairs of the bones whose two ends are both in the set."""
    order = list(names)
    return np.array([(order.index(a), order.index(b)) for a, b in BONES if a in order and b in order])
