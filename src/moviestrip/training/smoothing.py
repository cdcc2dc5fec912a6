"""Predictions smoothed over time afterwards: what a temporal encoder has to beat, and what every paper adds to one."""

from dataclasses import dataclass
from typing import Literal

import roma
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from moviestrip.errors import ConfigError

SmoothingName = Literal["none", "gaussian", "slerp"]
SLERP_SHARE = 0.3  # of the new frame, in MEVA's filter and TCMR's evaluation


@dataclass(frozen=True)
class Motion:
    """The estimates of one clip."""

    camera: Float[Tensor, "frames 3"]
    rotations: Float[Tensor, "frames 24 3 3"]
    betas: Float[Tensor, "frames 10"]


def smooth(motion: Motion, smoothing: SmoothingName, sigma_frames: float | None = None) -> Motion:
    """The motion under a named filter.

    Args:
        smoothing: `gaussian` (ours) filters rotations, cameras and shapes; `slerp` filters rotations and leaves
            cameras and shapes as they are, as TCMR's evaluation does; `none` changes nothing.
        sigma_frames: width of the Gaussian.
    """
    if smoothing == "none":
        return motion
    if smoothing == "slerp":
        return Motion(motion.camera, slerp_rotations(motion.rotations), motion.betas)
    if sigma_frames is None:
        raise ConfigError("smoothing: gaussian needs a width; set evaluation.gaussian_sigma_frames or choose one")
    return Motion(
        gaussian_values(motion.camera, sigma_frames),
        gaussian_rotations(motion.rotations, sigma_frames),
        gaussian_values(motion.betas, sigma_frames),
    )


def gaussian_values(values: Float[Tensor, "frames ..."], sigma_frames: float) -> Float[Tensor, "frames ..."]:
    """The Gaussian mean over time; beyond the ends lie the first and the last frame again."""
    return torch.from_numpy(gaussian_filter1d(values.numpy(), sigma_frames, axis=0, mode="nearest"))


def gaussian_rotations(
    rotations: Float[Tensor, "frames *joints 3 3"], sigma_frames: float
) -> Float[Tensor, "frames *joints 3 3"]:
    """Rotations averaged as matrices under a Gaussian over time and brought back to the nearest rotation."""
    return roma.special_procrustes(gaussian_values(rotations, sigma_frames))


def slerp_rotations(
    rotations: Float[Tensor, "frames *joints 3 3"], share: float = SLERP_SHARE
) -> Float[Tensor, "frames *joints 3 3"]:
    """The average filter of MEVA, which TCMR's Table 5 applies to every model.

    Each rotation is the last smoothed one turned a `share` of the way to the new one, by spherical linear
    interpolation along the shorter arc: s_0 = r_0, s_t = slerp(s_(t-1), r_t, share). It looks back only, and so
    lags behind the motion by (1 - share) / share frames: 2.3 at MEVA's share.
    """
    quaternions = roma.rotmat_to_unitquat(rotations)
    smoothed, step = [quaternions[0]], quaternions.new_tensor(share)
    for following in quaternions[1:]:
        smoothed.append(roma.unitquat_slerp(smoothed[-1], following, step))
    return roma.unitquat_to_rotmat(torch.stack(smoothed))
