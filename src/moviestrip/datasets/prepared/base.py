"""The contract of an import: features that others computed, with the labels of the same frames, and no pictures.

A reader hands over one sequence after another: one person over consecutive frames. What it hands over is canonical, as
an official release is: pixels of the source frame with (0, 0) the centre of the first pixel, metres in the camera's
frame (x right, y down, z forward), axis-angle radians, everything in float32. Where the file holds keypoints of the
crop alone, the crop is the source frame: its box is centred at 112, 112 px and has scale 1.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float

from moviestrip.config import Split
from moviestrip.datasets.official.base import Gender
from moviestrip.errors import FatalError, StorageError

SHAPES: dict[str, tuple[int, ...]] = {
    "keypoints_px": (25, 3), "joints_m": (14, 3), "trunk_m": (3, 3), "pose": (72,), "betas": (10,),
    "translation_m": (3,), "intrinsics_px": (4,),
}  # fmt: skip
FLAGS = ("has_3d", "has_body", "trusted")
BOXES = {"box": ("box_center_px", "box_scale"), "crop": ("crop_center_px", "crop_scale")}
# What must be finite where a flag says that it is known; the trunk may be NaN anywhere.
KNOWN_BY = {"has_3d": ("joints_m",), "has_body": ("pose", "betas", "translation_m")}


@dataclass(frozen=True)
class PreparedSequence:
    """One person over consecutive frames. What is not known is 0 (the trunk NaN), and the flags say so.

    The crop is where the feature looked; the box is where the person is. Either may be left out: without a crop the
    features looked at the box, without a box it is measured from the keypoints as for any other dataset.

    Attributes:
        name: of the video, stable and unique within the dataset and split; ids derive from it, `person` and
            `first_frame`.
        fps: of the frames as they are here.
        first_frame: the number, at that rate, of the first frame within the video.
        source: the file it was read from, for messages: what is wrong is then a StorageError.
    """

    name: str
    split: Split
    fps: float
    phi: Float[np.ndarray, "frames dimension"]
    keypoints_px: Float[np.ndarray, "frames 25 3"]  # hmmr_25: x, y, confidence 0..1; absent joints have 0
    has_3d: Bool[np.ndarray, " frames"]
    joints_m: Float[np.ndarray, "frames 14 3"]  # common_14
    trunk_m: Float[np.ndarray, "frames 3 3"]  # TRUNK_3; NaN where only the common joints are annotated
    has_body: Bool[np.ndarray, " frames"]
    pose: Float[np.ndarray, "frames 72"]  # SMPL; the root's rotation in the camera's frame
    betas: Float[np.ndarray, "frames 10"]
    translation_m: Float[np.ndarray, "frames 3"]
    intrinsics_px: Float[np.ndarray, "frames 4"]  # fx, fy, cx, cy; 0 where the camera is not known
    trusted: Bool[np.ndarray, " frames"]  # whether the dataset itself counts the frame in evaluation
    box_center_px: Float[np.ndarray, "frames 2"] | None = None
    box_scale: Float[np.ndarray, " frames"] | None = None  # source pixels times this: the 224 crop, person 150 px
    crop_center_px: Float[np.ndarray, "frames 2"] | None = None
    crop_scale: Float[np.ndarray, " frames"] | None = None
    gender: Gender = "unknown"
    subject: str = ""
    action: str = ""
    camera: str = ""
    person: int = 0
    first_frame: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        frames = self._n_frames()
        for name, shape in SHAPES.items():
            self._require(name, (frames, *shape), np.float32)
        for name in FLAGS:
            self._require(name, (frames,), np.bool_)
        self._require_boxes(frames)
        self._require_values()

    @classmethod
    def of(
        cls, name: str, split: Split, fps: float, phi: np.ndarray, keypoints_px: np.ndarray, **known: object
    ) -> "PreparedSequence":
        """A sequence of which only some is known; the rest is absent, and every frame is trusted."""
        frames = len(phi)
        columns: dict[str, object] = {each: np.zeros((frames, *shape), np.float32) for each, shape in SHAPES.items()}
        columns |= {each: np.zeros(frames, bool) for each in FLAGS}
        columns |= {"trunk_m": np.full((frames, 3, 3), np.nan, np.float32), "trusted": np.ones(frames, bool)}
        given = {"name": name, "split": split, "fps": fps, "phi": phi, "keypoints_px": keypoints_px, **known}
        return cls(**(columns | given))  # type: ignore[arg-type]

    @property
    def n_frames(self) -> int:
        return len(self.phi)

    def _n_frames(self) -> int:
        if self.phi.ndim != 2 or 0 in self.phi.shape:
            raise self._failure(
                "phi", f"shape {self.phi.shape}, expected (frames, dimension) with at least one of each"
            )
        self._require("phi", self.phi.shape, np.float32)
        return len(self.phi)

    def _require(self, name: str, shape: tuple[int, ...], kind: type) -> None:
        value = getattr(self, name)
        if value.shape != shape:
            raise self._failure(name, f"shape {value.shape}, expected {shape}")
        if value.dtype != kind:
            raise self._failure(name, f"{value.dtype}, expected {np.dtype(kind)}")

    def _require_boxes(self, frames: int) -> None:
        given = {each for each, parts in BOXES.items() if any(getattr(self, part) is not None for part in parts)}
        if not given:
            raise self._failure("box_scale", "neither the box of the person nor the crop of the features is given")
        for each in sorted(given):
            for part, shape in zip(BOXES[each], ((frames, 2), (frames,)), strict=True):
                if getattr(self, part) is None:
                    raise self._failure(part, f"absent, though the rest of the {each} is given")
                self._require(part, shape, np.float32)
                self._require_finite(part, np.ones(frames, bool))
            if not (getattr(self, BOXES[each][1]) > 0).all():
                raise self._failure(BOXES[each][1], "not above 0 in every frame")

    def _require_values(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise self._failure("fps", f"{self.fps}, expected frames a second")
        if self.gender not in get_args(Gender) or self.split not in get_args(Split):
            raise self._failure("gender and split", f"{self.gender!r}, {self.split!r}, which are not known")
        if min(self.person, self.first_frame) < 0:
            raise self._failure("person and first_frame", f"{self.person}, {self.first_frame}, expected 0 or more")
        everywhere = np.ones(self.n_frames, bool)
        for name in ("phi", "keypoints_px", "intrinsics_px"):
            self._require_finite(name, everywhere)
        confidence = self.keypoints_px[..., 2]
        if confidence.min() < 0 or confidence.max() > 1:
            raise self._failure("keypoints_px", f"confidences {confidence.min():g} to {confidence.max():g}, not 0 to 1")
        for flag, names in KNOWN_BY.items():
            for name in names:
                self._require_finite(name, getattr(self, flag))

    def _require_finite(self, name: str, where: np.ndarray) -> None:
        wrong = where & ~np.isfinite(getattr(self, name)).reshape(self.n_frames, -1).all(axis=1)
        if wrong.any():
            raise self._failure(
                name, f"not finite in {wrong.sum()} frames, the first of them {np.flatnonzero(wrong)[0]}"
            )

    def _failure(self, field: str, found: str) -> FatalError:
        if self.source:
            return StorageError(f"{self.source}: sequence '{self.name}': {field}: {found}")
        return FatalError(f"sequence '{self.name}': {field}: {found}")
