"""BlazePose's 33 landmarks, and what OpenPose's other models put out, as OpenPose's BODY_25, by name."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from moviestrip.skeleton import BLAZEPOSE_33, BODY_25, COCO_18, convert, indices_of

ModelPose = Literal["BODY_25", "COCO", "BODY_135"]

# Points OpenPose has and BlazePose has under another name; the toes are near, not the same.
RENAMED = {"left_big_toe": "left_foot_index", "right_big_toe": "right_foot_index"}
# Points midway between two others, which are only as sure as the less sure of the two.
MIDWAY = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}

# POSE_BODY_135_BODY_PARTS in OpenPose's src/openpose/pose/poseParameters.cpp: its 25 points of the body are others
# than BODY_25's, and the hands have no wrists of their own.
BODY_135 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    *("right_ankle", "upper_neck", "head_top", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe"),
    *("right_small_toe", "right_heel"),
    *(f"{side}_hand_{index}" for side in ("left", "right") for index in range(20)),
    *(f"face_{index}" for index in range(70)),
)
OPENPOSE_POINTS: Mapping[ModelPose, Sequence[str]] = {"BODY_25": BODY_25, "COCO": COCO_18, "BODY_135": BODY_135}


def body_25_from_blazepose(keypoints: Float[np.ndarray, "*batch 33 3"]) -> Float[np.ndarray, "*batch 25 3"]:
    """x, y, confidence of BODY_25; points BlazePose does not know (the small toes) are all zero."""
    result = convert(keypoints, BLAZEPOSE_33, BODY_25)
    for name, other in RENAMED.items():
        result[..., BODY_25.index(name), :] = keypoints[..., BLAZEPOSE_33.index(other), :]
    return _with_midway(result, keypoints, BLAZEPOSE_33)


def body_25_from_openpose(
    keypoints: Float[np.ndarray, "*batch points 3"], model_pose: ModelPose
) -> Float[np.ndarray, "*batch 25 3"]:
    """x, y, confidence of BODY_25 from the points of one of OpenPose's models; those it does not know are all zero.

    BODY_135's upper neck lies above BODY_25's neck, which is therefore taken from the shoulders.
    """
    if model_pose == "BODY_25":
        return keypoints
    source = OPENPOSE_POINTS[model_pose]
    result = _with_midway(convert(keypoints, source, BODY_25), keypoints, source)
    result[result[..., 2] == 0] = 0  # midway to a point that was not found is nowhere
    return result


def _with_midway(result: np.ndarray, keypoints: np.ndarray, source: Sequence[str]) -> np.ndarray:
    """Fill in the points midway between two others that the source has no point for."""
    for name, pair in MIDWAY.items():
        if name not in source:
            ends = keypoints[..., indices_of(pair, source), :]
            result[..., BODY_25.index(name), :2] = ends[..., :2].mean(axis=-2)
            result[..., BODY_25.index(name), 2] = ends[..., 2].min(axis=-1)
    return result
