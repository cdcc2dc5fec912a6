"""AMASS-like .npz: one person's motion in a world with z up, for tools that read AMASS.

The keys are AMASS's (SMPL+H): `poses` (n, 156), `trans` (n, 3), `betas` (16), `dmpls` (n, 8), `gender` and
`mocap_framerate`. What one camera does not show is zero: fingers (90 numbers), the last 6 betas, soft tissue. SMPL's
two hand joints have no counterpart in SMPL+H and are left out.

A video has no floor and no world: the origin is the camera, which is taken to be level and to stand still. x points
right, y away from the camera, z up, in metres; the distance depends on the assumed focal length (exports/motion.py).
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.exports.motion import PersonMotion
from moviestrip.geometry import matrices_to_pose
from moviestrip.skeleton import SMPL_24
from moviestrip.storage import atomic_path

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # from the camera's x right, y down, z forward
BODY_NUMBERS = 3 * SMPL_24.index("left_hand")
POSE_NUMBERS, BETAS_NUMBERS, SOFT_TISSUE_NUMBERS = 156, 16, 8


def turned(
    motion: PersonMotion, body: Body, translation_m: Float[np.ndarray, "frames 3"], turn: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "frames 24 3 3"], Float[np.ndarray, "frames 3"]]:
    """Rotations and translation that put the body where `turn` takes it, as a whole.

    SMPL turns about the pelvis and not about the origin, so that the translation does not simply turn along.
    """
    _, rest = body.forward(np.zeros((1, 72), np.float32), motion.mean_betas[None].astype(np.float32))
    pelvis = rest[0, 0].astype(np.float64)
    rotations = motion.rotations.astype(np.float64)
    rotations[:, 0] = turn @ rotations[:, 0]
    return rotations, (translation_m + pelvis) @ turn.T - pelvis


def amass_fields(
    motion: PersonMotion, body: Body, translation_m: Float[np.ndarray, "frames 3"], fps: float
) -> dict[str, np.ndarray]:
    """The arrays of one person's file; one shape throughout, the mean of the estimates.

    Args:
        translation_m: of the body in the camera frame.
    """
    rotations, translation = turned(motion, body, translation_m, Z_UP)
    poses = np.zeros((len(motion), POSE_NUMBERS))
    poses[:, :BODY_NUMBERS] = matrices_to_pose(torch.from_numpy(rotations)).numpy()[:, :BODY_NUMBERS]
    betas = np.zeros(BETAS_NUMBERS)
    betas[: motion.betas.shape[1]] = motion.mean_betas
    return {
        "poses": poses,
        "trans": translation,
        "betas": betas,
        "dmpls": np.zeros((len(motion), SOFT_TISSUE_NUMBERS)),
        "gender": np.array("neutral"),
        "mocap_framerate": np.array(float(fps)),
    }


def write_amass(path: Path, fields: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **fields)
