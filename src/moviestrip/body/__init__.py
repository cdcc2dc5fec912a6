"""Body models in SMPL's layout: the official files, and the free body that is built here."""

from moviestrip.body.cached import ensure_free_body
from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, joints_14_regressor, keypoint_regressor

__all__ = [
    "Body",
    "PosedPoints",
    "ensure_free_body",
    "joints_14_regressor",
    "keypoint_regressor",
    "load_body",
]
