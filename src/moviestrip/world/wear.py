"""What goes wrong between a scene and a video file: bursts, blur, exposure, noise, compression.

Bursts are transient: for 3 to 7 frames something passes before the camera, or the picture blurs. They are
marked in the truth so that errors inside and outside of them can be told apart.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

BURST_FRAMES = (3, 7)
CLEAR_FRAMES = 4  # before the first burst and between two


@dataclass(frozen=True)
class Hardness:
    """Ranges from which one video of a scene draws its faults."""

    bursts: tuple[int, int]
    noise: tuple[float, float]  # deviation, of 255
    blur_px: tuple[float, float]  # of a 256 px picture
    crf: tuple[int, int]


HARDNESS = {
    "studio": Hardness(bursts=(0, 1), noise=(0.5, 2.5), blur_px=(0.0, 0.4), crf=(19, 25)),
    "hall": Hardness(bursts=(0, 1), noise=(1.0, 3.5), blur_px=(0.0, 0.5), crf=(20, 27)),
    "gym": Hardness(bursts=(0, 2), noise=(1.0, 4.5), blur_px=(0.0, 0.6), crf=(21, 29)),
    "court": Hardness(bursts=(0, 2), noise=(1.0, 4.5), blur_px=(0.2, 0.7), crf=(22, 29)),
    "street": Hardness(bursts=(0, 2), noise=(1.5, 6.0), blur_px=(0.0, 0.7), crf=(21, 30)),
    "vlog": Hardness(bursts=(0, 2), noise=(3.0, 8.0), blur_px=(0.3, 0.9), crf=(26, 33)),
    "insta": Hardness(bursts=(0, 3), noise=(2.0, 7.0), blur_px=(0.1, 0.9), crf=(24, 32)),
}


@dataclass(frozen=True)
class Burst:
    kind: str  # 'occlusion' or 'blur'
    start: int
    frames: int

    def __contains__(self, frame: int) -> bool:
        return self.start <= frame < self.start + self.frames


def draw_bursts(count: int, n_frames: int, rng: np.random.Generator) -> list[Burst]:
    """At most `count` bursts that neither touch nor overlap."""
    bursts: list[Burst] = []
    for _ in range(count):
        length = int(rng.integers(BURST_FRAMES[0], BURST_FRAMES[1] + 1))
        kind = "occlusion" if rng.random() < 0.65 else "blur"
        if n_frames < length + 2 * CLEAR_FRAMES:
            continue
        start = int(rng.integers(CLEAR_FRAMES, n_frames - length - CLEAR_FRAMES + 1))
        apart = all(
            start + length + CLEAR_FRAMES <= other.start or other.start + other.frames + CLEAR_FRAMES <= start
            for other in bursts
        )
        if apart:
            bursts.append(Burst(kind, start, length))
    return sorted(bursts, key=lambda burst: burst.start)


def burst_labels(bursts: list[Burst], n_frames: int) -> list[str]:
    return [next((burst.kind for burst in bursts if frame in burst), "none") for frame in range(n_frames)]


class Wear:
    """One video's camera electronics: constant faults, drawn once, applied frame by frame in order."""

    def __init__(self, scene: str, size_px: int, n_frames: int, rng: np.random.Generator):
        hardness, scale = HARDNESS[scene], size_px / 256
        self.bursts = draw_bursts(int(rng.integers(hardness.bursts[0], hardness.bursts[1] + 1)), n_frames, rng)
        self.crf = int(rng.integers(hardness.crf[0], hardness.crf[1] + 1))
        self._sigma_px = rng.uniform(*hardness.blur_px) * scale
        self._burst_px = rng.uniform(3.0, 4.5) * scale
        self._kernel = (
            _streak(round(rng.uniform(13, 21) * scale), rng.uniform(0, np.pi)) if rng.random() < 0.5 else None
        )
        cast = rng.uniform(0.95, 1.05, 3) * rng.uniform(0.88, 1.1)
        tone = (np.arange(256) / 255) ** rng.uniform(0.88, 1.15)
        self._curve = np.clip(np.rint(255 * tone[:, None] * cast), 0, 255).astype(np.uint8)[:, None]
        deviation = rng.uniform(*hardness.noise)
        grain = rng.standard_normal((2 * size_px, 2 * size_px, 3), np.float32) * deviation
        self._grain = np.rint(0.6 * grain + 0.4 * grain.mean(-1, keepdims=True) * np.sqrt(3)).astype(np.int16)
        self._offsets = rng.integers(0, size_px, (n_frames, 2))

    def apply(self, picture: UInt8[np.ndarray, "height width 3"], frame: int) -> UInt8[np.ndarray, "height width 3"]:
        if any(burst.kind == "blur" and frame in burst for burst in self.bursts):
            picture = self._burst_blur(picture)
        elif self._sigma_px > 0.25:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self._sigma_px))
        picture = np.asarray(cv2.LUT(picture, self._curve))
        top, left = self._offsets[frame]
        height, width = picture.shape[:2]
        grain = self._grain[top : top + height, left : left + width]
        return np.clip(picture.astype(np.int16) + grain, 0, 255).astype(np.uint8)

    def _burst_blur(self, picture: np.ndarray) -> np.ndarray:
        if self._kernel is None:
            return np.asarray(cv2.GaussianBlur(picture, (0, 0), self._burst_px))
        return np.asarray(cv2.filter2D(picture, -1, self._kernel, borderType=cv2.BORDER_REPLICATE))


def _streak(length_px: int, angle_rad: float) -> np.ndarray:
    """Kernel of a camera that jerks in one direction while the shutter is open."""
    side = length_px | 1
    kernel = np.zeros((side, side), np.float32)
    for step in np.linspace(-0.5, 0.5, 4 * side):
        reach = step * (length_px - 1)
        row, column = side // 2 + reach * np.sin(angle_rad), side // 2 + reach * np.cos(angle_rad)
        kernel[round(row), round(column)] += 1
    return kernel / kernel.sum()
