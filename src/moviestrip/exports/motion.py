"""One person's estimated bodies over consecutive frames of a video, and where they stand in its picture.

A weak-perspective camera belongs to a crop and knows no depth. With the crop's box it becomes pixels a metre in the
whole picture; with a focal length, which nothing in a video tells, also a distance: a person of twice the size is
half as far away. Distances are therefore only as good as that focal length and the estimated scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.geometry import CROP_PX, matrices_to_pose

FRAMES_AT_ONCE = 32  # meshes in memory: 32 x 14,000 vertices


@dataclass(frozen=True)
class Placement:
    """Where one person is looked for: the box of each frame, and the camera within its crop."""

    box_center_px: Float[np.ndarray, "frames 2"]
    box_scale: Float[np.ndarray, " frames"]
    camera: Float[np.ndarray, "frames 3"]

    @property
    def pixels_per_metre(self) -> Float[np.ndarray, " frames"]:
        """How large a metre at the person's distance is in the source picture."""
        return (CROP_PX / 2 * self.camera[:, 0] / self.box_scale).astype(np.float64)

    def pixels(self, points_m: Float[np.ndarray, "frames points axes"]) -> Float[np.ndarray, "frames points 2"]:
        """Source pixels of points of the body before any translation, by the weak-perspective camera."""
        moved = points_m[..., :2] + self.camera[:, None, 1:]
        return moved * self.pixels_per_metre[:, None, None] + self.box_center_px[:, None]

    def translation_m(self, image_size_px: tuple[int, int], focal_px: float) -> Float[np.ndarray, "frames 3"]:
        """The body's translation before a camera of this focal length that looks through the picture's middle."""
        scale = self.pixels_per_metre[:, None]
        across = self.camera[:, 1:] + (self.box_center_px - np.array(image_size_px) / 2) / scale
        return np.concatenate([across, focal_px / scale], axis=1)

    def rows(self, chosen: slice | np.ndarray) -> "Placement":
        return Placement(self.box_center_px[chosen], self.box_scale[chosen], self.camera[chosen])


@dataclass(frozen=True)
class PersonMotion:
    """One person of a video, over consecutive frames."""

    identity: int
    first_frame: int
    place: Placement
    rotations: Float[np.ndarray, "frames 24 3 3"]
    betas: Float[np.ndarray, "frames 10"]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.place.camera).all() and np.isfinite(self.rotations).all()):
            raise FatalError(f"person {self.identity}: the estimate is not finite; was the model trained to its end?")
        if not (self.place.camera[:, 0] > 0).all():
            frame = self.first_frame + int(np.argmin(self.place.camera[:, 0]))
            raise FatalError(
                f"person {self.identity}, frame {frame}: the estimated scale is {self.place.camera[:, 0].min():.3f}, "
                f"a body has a positive one; was the model trained to its end?"
            )

    def __len__(self) -> int:
        return len(self.rotations)

    @property
    def frames(self) -> Int[np.ndarray, " frames"]:
        return np.arange(self.first_frame, self.first_frame + len(self))

    @property
    def pose(self) -> Float[np.ndarray, "frames 72"]:
        """Axis-angle, radians; the root's in the camera frame."""
        return matrices_to_pose(torch.from_numpy(self.rotations)).numpy()

    @property
    def mean_betas(self) -> Float[np.ndarray, "10"]:
        """A person's shape does not change, an estimate of it does."""
        return self.betas.mean(axis=0)

    def of_constant_shape(self) -> "PersonMotion":
        return replace(self, betas=np.broadcast_to(self.mean_betas, self.betas.shape).copy())

    def rows(self, chosen: slice) -> "PersonMotion":
        start, _, _ = chosen.indices(len(self))
        first = self.first_frame + start
        return PersonMotion(self.identity, first, self.place.rows(chosen), self.rotations[chosen], self.betas[chosen])


def default_focal_px(image_size_px: tuple[int, int]) -> float:
    """The picture's diagonal: a view of 53 degrees, about that of a phone or a broadcast camera."""
    return math.hypot(*image_size_px)


def pieces(motion: PersonMotion) -> Iterator[PersonMotion]:
    """A motion in pieces whose meshes fit in memory."""
    for start in range(0, len(motion), FRAMES_AT_ONCE):
        yield motion.rows(slice(start, start + FRAMES_AT_ONCE))


def bodies(
    motion: PersonMotion, body: Body
) -> Iterator[tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "24 3"]]]:
    """The mesh and SMPL's joints of each frame, in metres, without translation."""
    for piece in pieces(motion):
        vertices, joints = body.forward(piece.rotations, piece.betas)
        yield from zip(vertices, joints, strict=True)
