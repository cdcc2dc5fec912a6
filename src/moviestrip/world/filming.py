"""Where the camera stands, how it moves and how far it is zoomed in.

Three ways of filming: a camera on a wall that never moves, one on a tripod that pans and zooms, and one
carried by a hand that follows. All keep the followed person at the size a detector needs, `HEIGHTS_PX` of a
256 px picture when standing, which is why the lens is chosen last.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from moviestrip.geometry import look_at

HEIGHTS_PX = (125.0, 172.0)
SMALLEST_HEIGHT_PX = 112.0
REFERENCE_SIZE_PX = 256
MARGIN = 0.9  # of the picture's half side, that joints of the followed person may use


@dataclass(frozen=True)
class Film:
    """One camera over time: camera = rotation @ world + translation, and its lens."""

    rotations: Float[np.ndarray, "frames 3 3"]
    translations_m: Float[np.ndarray, "frames 3"]
    intrinsics_px: Float[np.ndarray, "frames 4"]

    @property
    def eyes_m(self) -> Float[np.ndarray, "frames 3"]:
        return -np.einsum("tba,tb->ta", self.rotations, self.translations_m)

    @property
    def is_still(self) -> bool:
        """Whether every frame shows the same background."""
        arrays = (self.rotations, self.translations_m, self.intrinsics_px)
        return all(np.array_equal(values, np.broadcast_to(values[0], values.shape)) for values in arrays)

    def to_camera(self, points_m: Float[np.ndarray, "frames points 3"]) -> Float[np.ndarray, "frames points 3"]:
        return np.einsum("tab,tpb->tpa", self.rotations, points_m) + self.translations_m[:, None]


def film(
    scene: str, joints_m: Float[np.ndarray, "frames 24 3"], size_px: int, camera: int, rng: np.random.Generator
) -> Film:
    """The camera of a scene for the person whose joints in the world are given."""
    height_m = _stature_m(joints_m)
    target_px = rng.uniform(*HEIGHTS_PX) * size_px / REFERENCE_SIZE_PX
    match scene:
        case "studio":
            azimuth = np.pi / 4 + camera * np.pi / 2 + 0.12
            return _fixed(joints_m, _on_circle(azimuth, rng.uniform(4.2, 4.9), 1.55), target_px, height_m, size_px)
        case "hall":
            azimuth, height = rng.integers(8) * np.pi / 4 + 0.2, rng.choice([0.9, 1.6, 2.6])
            return _fixed(joints_m, _on_circle(azimuth, 4.6, height), target_px, height_m, size_px)
        case "vlog":
            eye = _on_circle(rng.uniform(0, 2 * np.pi), rng.uniform(2.9, 3.6), rng.uniform(1.0, 1.6))
            return _fixed(joints_m, eye, target_px, height_m, size_px)
        case "gym":
            eye = _on_circle(rng.uniform(0, 2 * np.pi), rng.uniform(5, 7), rng.uniform(1.1, 1.9))
            return _panning(joints_m, eye, target_px, height_m, size_px, rng)
        case "court":
            eye = _on_circle(rng.uniform(0, 2 * np.pi), rng.uniform(9, 12), rng.uniform(1.8, 3.5))
            return _panning(joints_m, eye, target_px, height_m, size_px, rng)
        case _:
            return _carried(joints_m, target_px, height_m, size_px, rng)


def _stature_m(joints_m: np.ndarray) -> float:
    """Standing height, from the legs and the spine, whatever the person is doing."""
    chain = [10, 7, 4, 1, 0, 3, 6, 9, 12, 15]  # left foot up to the head
    return float(np.linalg.norm(np.diff(joints_m[:, chain], axis=1), axis=-1).sum(1).mean()) + 0.12


def _on_circle(azimuth_rad: float, distance_m: float, height_m: float) -> Float[np.ndarray, "3"]:
    return np.array([distance_m * np.sin(azimuth_rad), height_m, distance_m * np.cos(azimuth_rad)])


def _middle(joints_m: np.ndarray) -> Float[np.ndarray, "frames 3"]:
    """Centre of each frame's bounding box."""
    return (joints_m.min(1) + joints_m.max(1)) / 2


def _lens(
    rotations: np.ndarray,
    translations_m: np.ndarray,
    joints_m: np.ndarray,
    target_px: float,
    height_m: float,
    size_px: int,
) -> Film:
    """As long a lens as brings the person to `target_px`, shorter where someone would leave the picture."""
    camera = np.einsum("tab,tpb->tpa", rotations, joints_m) + translations_m[:, None]
    depth_m = np.median(camera[..., 2])
    spread = np.abs(camera[..., :2] / np.maximum(camera[..., 2:], 0.3)).max()
    fitting = MARGIN * size_px / 2 / spread
    smallest = SMALLEST_HEIGHT_PX * size_px / REFERENCE_SIZE_PX
    focal_px = max(min(target_px * depth_m / height_m, fitting), smallest * depth_m / height_m)
    centre = (size_px - 1) / 2
    intrinsics = np.tile([focal_px, focal_px, centre, centre], (len(rotations), 1))
    return Film(rotations, translations_m, intrinsics)


def _fixed(joints_m: np.ndarray, eye: np.ndarray, target_px: float, height_m: float, size_px: int) -> Film:
    box = (joints_m.min((0, 1)) + joints_m.max((0, 1))) / 2
    frames = len(joints_m)
    rotations, translations = look_at(np.tile(eye, (frames, 1)), np.tile(box, (frames, 1)))
    return _lens(rotations, translations, joints_m, target_px, height_m, size_px)


def _panning(
    joints_m: np.ndarray, eye: np.ndarray, target_px: float, height_m: float, size_px: int, rng: np.random.Generator
) -> Film:
    """A tripod: it follows late and smoothly, and stays put for someone who stays put."""
    aim = gaussian_filter1d(_middle(joints_m), 8, axis=0, mode="nearest")
    if np.ptp(aim, axis=0).max() < 0.25:
        return _fixed(joints_m, eye, target_px, height_m, size_px)
    aim = aim + _drift(len(aim), 0.03, 10, rng)
    rotations, translations = look_at(np.tile(eye, (len(aim), 1)), aim)
    return _lens(rotations, translations, joints_m, target_px, height_m, size_px)


def _carried(joints_m: np.ndarray, target_px: float, height_m: float, size_px: int, rng: np.random.Generator) -> Film:
    """A telephone in someone's hand: walks along, sways with each step and shakes."""
    frames = len(joints_m)
    centre = gaussian_filter1d(_middle(joints_m), 10, axis=0, mode="nearest")
    azimuth = rng.uniform(0, 2 * np.pi) + np.linspace(-0.5, 0.5, frames) * rng.normal() * 0.7
    distance, height = rng.uniform(3.4, 4.6), rng.uniform(1.1, 1.8)
    eyes = np.stack([centre[:, 0] + distance * np.sin(azimuth), np.full(frames, height),
                     centre[:, 2] + distance * np.cos(azimuth)], 1)  # fmt: skip
    eyes += _drift(frames, 0.05, 8, rng) + _drift(frames, 0.012, 1.5, rng)
    aim = centre + _drift(frames, 0.06, 8, rng) + _drift(frames, 0.015, 1.2, rng)
    rotations, translations = look_at(eyes, aim)
    return _lens(rotations, translations, joints_m, target_px, height_m, size_px)


def _drift(frames: int, deviation_m: float, sigma_frames: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random motion of a given size, (frames, 3)."""
    noise = gaussian_filter1d(rng.normal(size=(frames, 3)), sigma_frames, axis=0, mode="nearest")
    return noise * deviation_m / max(1 / np.sqrt(2 * np.sqrt(np.pi) * sigma_frames), 1e-6)
