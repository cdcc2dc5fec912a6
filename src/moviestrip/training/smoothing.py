"""Predictions smoothed over time afterwards: what a temporal encoder has to beat, and what every paper adds to one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

SmoothingName = Literal["none", "gaussian", "one-euro", "slerp"]
SLERP_SHARE = 0.3  # of the new frame, in MEVA's filter and TCMR's evaluation
SPEED_CUTOFF_HZ = 1.0  # of the speed that the 1 euro filter goes by, fixed in its paper


@dataclass(frozen=True)
class Motion:
    """The estimates of a clip, or of several of one length."""

    camera: Float[Tensor, "frames *clips 3"]
    rotations: Float[Tensor, "frames *clips 24 3 3"]
    betas: Float[Tensor, "frames *clips 10"]


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian mean over time of rotations, cameras and shapes: it looks back and ahead."""

    sigma_frames: float

    def smooth(self, motion: Motion, fps: float) -> Motion:
        return Motion(
            gaussian_values(motion.camera, self.sigma_frames),
            gaussian_rotations(motion.rotations, self.sigma_frames),
            gaussian_values(motion.betas, self.sigma_frames),
        )

    def __str__(self) -> str:
        return f"sigma {self.sigma_frames:g} frames"


@dataclass(frozen=True)
class OneEuro:
    """The 1 euro filter (Casiez et al., CHI 2012) of rotations, cameras and shapes: it looks back only.

    Attributes:
        minimum_cutoff_hz: of its low-pass filter at rest: lower removes more jitter.
        beta: Hz by which each radian (of other values: each unit) a second raises it: higher lags less.
    """

    minimum_cutoff_hz: float
    beta: float

    def smooth(self, motion: Motion, fps: float) -> Motion:
        constants = fps, self.minimum_cutoff_hz, self.beta
        return Motion(
            one_euro_values(motion.camera, *constants),
            one_euro_rotations(motion.rotations, *constants),
            one_euro_values(motion.betas, *constants),
        )

    def __str__(self) -> str:
        return f"cut-off {self.minimum_cutoff_hz:g} Hz, beta {self.beta:g}"


@dataclass(frozen=True)
class SlerpAverage:
    """The average filter of MEVA, which leaves cameras and shapes as they are, as TCMR's evaluation does."""

    share: float = SLERP_SHARE

    def smooth(self, motion: Motion, fps: float) -> Motion:
        return Motion(motion.camera, slerp_rotations(motion.rotations, self.share), motion.betas)


Filter = Gaussian | OneEuro | SlerpAverage


def smooth_clips(clips: Sequence[Motion], chosen: Filter, frame_rates: Sequence[float]) -> list[Motion]:
    """Each clip under a filter by itself; those of one length and rate are filtered side by side.

    Args:
        frame_rates: of each clip, in frames a second.
    """
    alike: dict[tuple[int, float], list[int]] = {}
    for index, (clip, fps) in enumerate(zip(clips, frame_rates, strict=True)):
        alike.setdefault((len(clip.camera), fps), []).append(index)
    found: dict[int, Motion] = {}
    for (_, fps), places in alike.items():
        fields = zip(*(vars(clips[index]).values() for index in places), strict=True)
        smoothed = chosen.smooth(Motion(*(torch.stack(values, dim=1) for values in fields)), fps)
        for position, index in enumerate(places):
            found[index] = Motion(*(values[:, position] for values in vars(smoothed).values()))
    return [found[index] for index in range(len(clips))]


def gaussian_values(values: Float[Tensor, "frames ..."], sigma_frames: float) -> Float[Tensor, "frames ..."]:
    """The Gaussian mean over time; beyond the ends lie the first and the last frame again."""
    from scipy.ndimage import gaussian_filter1d

    return torch.from_numpy(gaussian_filter1d(values.numpy(), sigma_frames, axis=0, mode="nearest"))


def gaussian_rotations(
    rotations: Float[Tensor, "frames *joints 3 3"], sigma_frames: float
) -> Float[Tensor, "frames *joints 3 3"]:
    """Rotations averaged as matrices under a Gaussian over time and brought back to the nearest rotation."""
    import roma  # slow to import, and most variants are not smoothed

    return roma.special_procrustes(gaussian_values(rotations, sigma_frames))


def one_euro_values(
    values: Float[Tensor, "frames ..."], fps: float, minimum_cutoff_hz: float, beta: float
) -> Float[Tensor, "frames ..."]:
    """Each number under the 1 euro filter by itself, as its paper does.

    A low-pass filter whose cut-off rises with the speed, so that rest is calm and fast motion lags little. The speed
    is that of the new value as seen from the last smoothed one.
    """
    smoothed, speed = [values[0]], torch.zeros_like(values[0])
    for following in values[1:]:
        step = following - smoothed[-1]
        speed = torch.lerp(speed, step * fps, low_pass_share(torch.full_like(speed, SPEED_CUTOFF_HZ), fps))
        smoothed.append(smoothed[-1] + low_pass_share(minimum_cutoff_hz + beta * speed.abs(), fps) * step)
    return torch.stack(smoothed)


def one_euro_rotations(
    rotations: Float[Tensor, "frames *joints 3 3"], fps: float, minimum_cutoff_hz: float, beta: float
) -> Float[Tensor, "frames *joints 3 3"]:
    """The same on rotations: steps are turns along the shorter arc, and a joint has one speed, in radians a second.

    On the manifold and not on the nine numbers of a matrix: each of those would have a speed and a cut-off of its
    own, so that the result would depend on the axes, and beta would have no unit.
    """
    import roma

    quaternions = roma.rotmat_to_unitquat(rotations)
    smoothed, speed = [quaternions[0]], torch.zeros_like(rotations[0, ..., 0])
    for following in quaternions[1:]:
        step = roma.unitquat_to_rotvec(roma.quat_product(roma.quat_conjugation(smoothed[-1]), following))
        speed = torch.lerp(speed, step * fps, low_pass_share(torch.full_like(speed, SPEED_CUTOFF_HZ), fps))
        share = low_pass_share(minimum_cutoff_hz + beta * speed.norm(dim=-1, keepdim=True), fps)
        turned = roma.quat_product(smoothed[-1], roma.rotvec_to_unitquat(share * step))
        smoothed.append(roma.quat_normalize(turned))
    return roma.unitquat_to_rotmat(torch.stack(smoothed))


def low_pass_share(cutoff_hz: Float[Tensor, "*batch"], fps: float) -> Float[Tensor, "*batch"]:
    """How much of the new value an exponential filter with a cut-off takes: 1 / (1 + tau fps), tau = 1 / (2 pi f)."""
    turns = 2 * math.pi * cutoff_hz
    return turns / (turns + fps)


def slerp_rotations(
    rotations: Float[Tensor, "frames *joints 3 3"], share: float = SLERP_SHARE
) -> Float[Tensor, "frames *joints 3 3"]:
    """The average filter of MEVA, which TCMR's Table 5 applies to every model.

    Each rotation is the last smoothed one turned a `share` of the way to the new one, by spherical linear
    interpolation along the shorter arc: s_0 = r_0, s_t = slerp(s_(t-1), r_t, share). It looks back only, and so
    lags behind the motion by (1 - share) / share frames: 2.3 at MEVA's share.
    """
    import roma

    quaternions = roma.rotmat_to_unitquat(rotations)
    smoothed, step = [quaternions[0]], quaternions.new_tensor(share)
    for following in quaternions[1:]:
        smoothed.append(roma.unitquat_slerp(smoothed[-1], following, step))
    return roma.unitquat_to_rotmat(torch.stack(smoothed))
