"""Posed points of a body, such as joints and keypoints, at a thousandth of the cost of its mesh.

A joint of the H36M-style regressor is a weighted sum of vertices, and linear blend skinning is linear in
the vertices: a point therefore is a sum over the 24 bones of that bone's rotation times a constant that
depends on shape (and pose blend shapes) linearly. Training needs nothing but points, so it never makes
the mesh, and the result is the same to rounding.
"""

import numpy as np
import torch
from jaxtyping import Float
from smplx.vertex_ids import vertex_ids
from torch import Tensor, nn

from moviestrip.body.load import Body
from moviestrip.skeleton import COMMON_14, H36M_17, HMMR_25, SMPL_PARENTS, indices_of

_VERTEX_OF = {
    "nose": "nose", "left_eye": "leye", "right_eye": "reye", "left_ear": "lear", "right_ear": "rear",
    "left_big_toe": "LBigToe", "left_small_toe": "LSmallToe", "left_heel": "LHeel",
    "right_big_toe": "RBigToe", "right_small_toe": "RSmallToe", "right_heel": "RHeel",
}  # fmt: skip


def joints_14_regressor(body: Body) -> Float[np.ndarray, "14 vertices"]:
    """Rows of the H36M-style regressor for the 14 common joints."""
    return body.joint_regressor_h36m[indices_of(COMMON_14, H36M_17)]


def keypoint_regressor(body: Body) -> Float[np.ndarray, "25 vertices"]:
    """Rows for HMMR's 25 keypoints: the 14 common joints, and single vertices for the face and the feet."""
    common = dict(zip(COMMON_14, joints_14_regressor(body), strict=True))
    rows = np.zeros((len(HMMR_25), body.n_vertices), np.float32)
    for row, name in zip(rows, HMMR_25, strict=True):
        if name in common:
            row[:] = common[name]
        else:
            row[vertex_ids["smplh"][_VERTEX_OF[name]]] = 1
    return rows


class PosedPoints(nn.Module):
    """Points that are fixed weighted sums of a body's vertices, posed exactly as its mesh would be.

    Args:
        body: the body they lie on.
        regressor: (K, V) weights; rows need not sum to one.
    """

    _mass: Tensor
    _joints: Tensor
    _joint_shape: Tensor
    _offset: Tensor
    _offset_shape: Tensor
    _offset_pose: Tensor | None
    _bones: tuple[int, ...]
    _point_of_pair: Tensor

    def __init__(self, body: Body, regressor: Float[np.ndarray, "points vertices"]):
        super().__init__()
        if regressor.ndim != 2 or regressor.shape[1] != body.n_vertices:
            raise ValueError(f"regressor must be (points, {body.n_vertices}), got {regressor.shape}")
        layer = body.layer
        joint_rows = layer.J_regressor.double()
        used = torch.from_numpy(regressor.any(0)).nonzero()[:, 0]  # a hundred of all vertices
        # (points, 24, vertices): how much of each vertex, as moved by each bone, goes into a point
        share = torch.as_tensor(regressor).double()[:, None, used] * layer.lbs_weights[used].double().T[None]
        point_of_pair, bones = share.any(-1).nonzero(as_tuple=True)
        share = share[point_of_pair, bones]  # (pairs, vertices): most bones move most points not at all
        mass = share.sum(-1)
        template, shape = layer.v_template.double(), layer.shapedirs.double()
        joints, joint_shape = joint_rows @ template, torch.einsum("jv,vck->jck", joint_rows, shape)
        offset = share @ template[used] - mass[:, None] * joints[bones]
        offset_shape = torch.einsum("pv,vck->pck", share, shape[used]) - mass[:, None, None] * joint_shape[bones]
        blend = layer.posedirs.reshape(207, -1, 3)[:, used].double()
        offset_pose = torch.einsum("pv,kvc->pck", share, blend) if body.has_pose_blend_shapes else None
        self.n_points = len(regressor)
        self.register_buffer("_point_of_pair", point_of_pair, persistent=False)
        self._bones = tuple(bones.tolist())  # numbers, not a tensor: a GPU need not be waited for
        parts = {"_mass": mass, "_joints": joints, "_joint_shape": joint_shape, "_offset": offset}
        for name, value in {**parts, "_offset_shape": offset_shape, "_offset_pose": offset_pose}.items():
            self.register_buffer(name, None if value is None else value.float(), persistent=False)

    def forward(
        self, rotations: Float[Tensor, "frames 24 3 3"], betas: Float[Tensor, "frames 10"]
    ) -> Float[Tensor, "frames points 3"]:
        """Points in metres, where `Body.forward` without a translation puts them."""
        turned, placed = posed_bones(rotations, self._rest(betas))
        offset = linear_in(self._offset, self._offset_shape, betas)
        if self._offset_pose is not None:
            feature = (rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)).flatten(1)
            offset = offset + linear_in(torch.zeros_like(self._offset), self._offset_pose, feature)
        turned_of_pair, place_of_pair = (torch.stack([of[bone] for bone in self._bones]) for of in (turned, placed))
        pairs = (turned_of_pair * offset[:, None]).sum(2) + self._mass[:, None, None] * place_of_pair
        points = pairs.new_zeros(self.n_points, *pairs.shape[1:]).index_add(0, self._point_of_pair, pairs)
        return points.permute(2, 0, 1)

    def joints(
        self, rotations: Float[Tensor, "frames 24 3 3"], betas: Float[Tensor, "frames 10"]
    ) -> Float[Tensor, "frames 24 3"]:
        """SMPL's own 24 joints, where `Body.forward` without a translation puts them."""
        return torch.stack(posed_bones(rotations, self._rest(betas))[1]).permute(2, 0, 1)

    def _rest(self, betas: Float[Tensor, "frames 10"]) -> Float[Tensor, "24 3 frames"]:
        return linear_in(self._joints, self._joint_shape, betas)


def posed_bones(
    rotations: Float[Tensor, "frames 24 3 3"], rest: Float[Tensor, "24 3 frames"]
) -> tuple[list[Tensor], list[Tensor]]:
    """Rotation (3, 3, N) and place (3, N) of every bone, from the root outwards, by the joints' places at rest.

    Frames come last: each of these many small steps then runs along memory, three times as fast on a CPU as
    products of 3 x 3 matrices.
    """
    local, at_rest = rotations.permute(1, 2, 3, 0).contiguous().unbind(), rest.unbind()
    turned, placed = [local[0]], [at_rest[0]]
    for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
        placed.append(placed[parent] + (turned[parent] * (at_rest[joint] - at_rest[parent])).sum(1))
        turned.append((turned[parent][:, :, None] * local[joint]).sum(1))
    return turned, placed


def linear_in(
    constant: Float[Tensor, "rows 3"], slope: Float[Tensor, "rows 3 k"], values: Float[Tensor, "frames k"]
) -> Float[Tensor, "rows 3 frames"]:
    """constant + slope @ values of every frame."""
    return torch.addmm(constant.reshape(-1, 1), slope.flatten(0, 1), values.T).unflatten(0, (-1, 3))
