"""`vibe_output.pkl`, in the structure that VIBE's demo writes and that its users' tools read.

Of its 49 joints (BODY_25, then 24 of the ground truths') 40 are SMPL's joints or single vertices, as in VIBE. The
other nine come from a regressor that is not free; here they are the nearest rows of the H36M-style regressor, a few
centimetres away (`APPROXIMATED`). `joints2d`, which VIBE fills only when it tracks by pose, is None.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.body.points import keypoint_regressor
from moviestrip.exports.motion import PersonMotion, pieces
from moviestrip.geometry import CROP_PX, camera_in_image
from moviestrip.skeleton import BODY_25, H36M_17, HMMR_25, SMPL_24, indices_of
from moviestrip.storage import atomic_path

PICKLE_PROTOCOL = 4  # read by every Python from 3.4 on
# Name in the set of 49: rows of the H36M-style regressor, averaged.
APPROXIMATED = {
    "right_hip_lsp": ("right_hip",), "left_hip_lsp": ("left_hip",), "neck_lsp": ("neck",),
    "head_top_lsp": ("head_top",), "pelvis_mpii": ("pelvis",), "thorax_mpii": ("neck",), "spine_h36m": ("spine",),
    "jaw_h36m": ("neck", "head"), "head_h36m": ("head",),
}  # fmt: skip
SECOND_24 = (
    "right_ankle", "right_knee", "right_hip_lsp", "left_hip_lsp", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck_lsp", "head_top_lsp",
    "pelvis_mpii", "thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m", "nose", "left_eye", "right_eye", "left_ear",
    "right_ear",
)  # fmt: skip


def joints_49(
    vertices: Float[np.ndarray, "frames vertices 3"], joints: Float[np.ndarray, "frames 24 3"], body: Body
) -> Float[np.ndarray, "frames 49 3"]:
    """The joint set of SPIN, VIBE and TCMR from posed meshes and SMPL's own joints."""
    points = {name: joints[:, index] for index, name in enumerate(SMPL_24)}
    rows = keypoint_regressor(body)
    on_surface = [name for name in BODY_25 if name not in (*SMPL_24, "mid_hip")]
    for name, row in zip(on_surface, rows[indices_of(on_surface, HMMR_25)], strict=True):
        vertex = int(np.argmax(row))
        points[name] = vertices[:, vertex]
    points["mid_hip"] = points["pelvis"]
    first = [points[name] for name in BODY_25]
    h36m = body.joint_regressor_h36m @ vertices
    for name, sources in APPROXIMATED.items():
        points[name] = h36m[:, indices_of(sources, H36M_17)].mean(axis=1)
    return np.stack([*first, *(points[name] for name in SECOND_24)], axis=1)


def vibe_person(motion: PersonMotion, body: Body, image_size_px: tuple[int, int]) -> dict[str, Any]:
    """What VIBE says of one track; `bboxes` are the square crops that `pred_cam` refers to."""
    place = motion.place
    side = CROP_PX / place.box_scale
    boxes = np.stack([*place.box_center_px.T, side, side], axis=1)
    vertices, joints = _meshes_and_joints(motion, body)
    found = {
        "pred_cam": place.camera,
        "orig_cam": camera_in_image(place.camera, boxes, image_size_px),
        "verts": vertices,
        "pose": motion.pose,
        "betas": motion.betas,
        "joints3d": joints,
        "joints2d_img_coord": place.pixels(joints),
        "bboxes": boxes,
    }
    arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}
    return {**arrays, "joints2d": None, "frame_ids": motion.frames}


def _meshes_and_joints(motion: PersonMotion, body: Body) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for piece in pieces(motion):
        vertices, joints = body.forward(piece.rotations, piece.betas)
        parts.append((vertices, joints_49(vertices, joints, body)))
    vertices, joints = (np.concatenate(part) for part in zip(*parts, strict=True))
    return vertices, joints


def write_vibe(path: Path, people: Iterable[PersonMotion], body: Body, image_size_px: tuple[int, int]) -> None:
    """{track id: what VIBE says of it}, by joblib as VIBE's own; a frame takes 165 kB, nearly all of it the mesh."""
    output = {motion.identity: vibe_person(motion, body, image_size_px) for motion in people}
    with atomic_path(path) as partial:
        joblib.dump(output, partial, protocol=PICKLE_PROTOCOL)
