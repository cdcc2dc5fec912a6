"""BlazePose's 33 landmarks as OpenPose's BODY_25, by name."""

import numpy as np
from jaxtyping import Float

from moviestrip.skeleton import BLAZEPOSE_33, BODY_25, convert, indices_of

# Points OpenPose has and BlazePose has under another name; the toes are near, not the same.
RENAMED = {"left_big_toe": "left_foot_index", "right_big_toe": "right_foot_index"}
# Points midway between two others, which are only as sure as the less sure of the two.
MIDWAY = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}


def body_25_from_blazepose(keypoints: Float[np.ndarray, "*batch 33 3"]) -> Float[np.ndarray, "*batch 25 3"]:
    """x, y, confidence of BODY_25; points BlazePose does not know (the small toes) are all zero."""
    result = convert(keypoints, BLAZEPOSE_33, BODY_25)
    for name, other in RENAMED.items():
        result[..., BODY_25.index(name), :] = keypoints[..., BLAZEPOSE_33.index(other), :]
    for name, pair in MIDWAY.items():
        ends = keypoints[..., indices_of(pair, BLAZEPOSE_33), :]
        result[..., BODY_25.index(name), :2] = ends[..., :2].mean(axis=-2)
        result[..., BODY_25.index(name), 2] = ends[..., 2].min(axis=-1)
    return result
