"""The contract of an adapter: one official release as its videos, and for each video the people annotated in it.

An adapter reads the release exactly as its authors distribute it. It lists videos from file names and small index
files alone, and reads the annotation of one video at a time, so that no release is ever held in memory. What it
hands over is canonical: pixels of the frame as released with (0, 0) the centre of the first pixel, metres in the
camera's frame (x right, y down, z forward), axis-angle radians, and everything in float32 (float16, as some releases'
tools store it, has steps of 3.9 mm at 5 m and is refused).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from moviestrip.config import Split
from moviestrip.errors import FatalError, StorageError

Gender = Literal["neutral", "male", "female", "unknown"]
TRUNK_3 = ("pelvis", "spine", "head")  # with the common 14 they are mpi_inf_3dhp_17


@dataclass(frozen=True)
class ReleasedVideo:
    """One video of a release.

    Attributes:
        name: stable and unique within the release, such as 'S9/Greeting 1.60457274'; its id derives from it.
        file: a video file, or a folder of images in the order of their names; relative to the release's folder.
        fps: of the frames as released; of images, what they were filmed at.
    """

    name: str
    split: Split
    file: str
    fps: float
    subject: str = ""
    action: str = ""
    camera: str = ""


@dataclass(frozen=True)
class People:
    """Everyone annotated in one video: a row a person and frame, in rising order of (person, frame).

    What is not known is 0, and the flags say so.
    """

    person: Int[np.ndarray, " rows"]
    frame: Int[np.ndarray, " rows"]  # among the frames as released, from 0
    keypoints_px: Float[np.ndarray, "rows 25 3"]  # hmmr_25: x, y, confidence 0..1; absent joints have 0
    has_3d: Bool[np.ndarray, " rows"]
    joints_m: Float[np.ndarray, "rows 14 3"]  # common_14
    trunk_m: Float[np.ndarray, "rows 3 3"]  # TRUNK_3; NaN where only the common joints are annotated
    has_body: Bool[np.ndarray, " rows"]
    pose: Float[np.ndarray, "rows 72"]  # SMPL; the root's rotation in the camera's frame
    betas: Float[np.ndarray, "rows 10"]
    translation_m: Float[np.ndarray, "rows 3"]
    intrinsics_px: Float[np.ndarray, "rows 4"]  # fx, fy, cx, cy; 0 where the camera is not known
    trusted: Bool[np.ndarray, " rows"]  # whether the release itself counts the frame in evaluation
    gender: Mapping[int, Gender] = field(default_factory=dict)  # by person; absent is unknown

    def __post_init__(self) -> None:
        rows = len(self.person)
        for name, shape in SHAPES.items():
            value = getattr(self, name)
            if value.shape != (rows, *shape):
                raise FatalError(f"people.{name}: shape {value.shape}, expected {(rows, *shape)}")
            if shape and value.dtype != np.float32:
                raise FatalError(f"people.{name}: {value.dtype}, expected float32")
        order = np.lexsort((self.frame, self.person))
        if not np.array_equal(order, np.arange(rows)):
            raise FatalError("people: rows are not in rising order of (person, frame)")

    @classmethod
    def of(cls, person: np.ndarray, frame: np.ndarray, **known: np.ndarray | Mapping[int, Gender]) -> "People":
        """Rows of which only some columns are known; the rest is absent, and every frame is trusted."""
        rows = len(person)
        columns: dict[str, np.ndarray | Mapping[int, Gender]] = {
            name: np.zeros((rows, *shape), np.float32 if shape else bool) for name, shape in SHAPES.items()
        }
        columns |= {"trunk_m": np.full((rows, 3, 3), np.nan, np.float32), "trusted": np.ones(rows, bool)}
        del columns["frame"]
        typed = {name: np.asarray(value, np.float32) if SHAPES.get(name) else value for name, value in known.items()}
        return cls(np.asarray(person, np.int64), np.asarray(frame, np.int64), **{**columns, **typed})  # type: ignore[arg-type]


SHAPES: dict[str, tuple[int, ...]] = {
    "frame": (), "keypoints_px": (25, 3), "has_3d": (), "joints_m": (14, 3), "trunk_m": (3, 3), "has_body": (),
    "pose": (72,), "betas": (10,), "translation_m": (3,), "intrinsics_px": (4,), "trusted": (),
}  # fmt: skip


class Release(ABC):
    """One dataset as its authors distribute it.

    Attributes:
        name: in `source.release` of config/datasets.
        tree: the folders and files expected, as docs/datasets.md prints them.
        expected: totals that the authors or a paper print, such as {'train videos': 600}, for `dataset check`.
        rules: named ways to split it; the first is the default.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    homepage: ClassVar[str]
    licence: ClassVar[str]
    tree: ClassVar[str]
    expected: ClassVar[Mapping[str, int]] = {}
    rules: ClassVar[tuple[str, ...]] = ("official",)

    def __init__(self, folder: Path, rule: str | None = None):
        self.folder = folder
        self.rule = rule or self.rules[0]
        if self.rule not in self.rules:
            raise FatalError(f"{self.name}: no rule of splits '{rule}'; known: {', '.join(self.rules)}")
        if not folder.is_dir():
            raise StorageError(f"{folder}: there is no such folder; put {self.title} there as docs/datasets.md shows")

    @abstractmethod
    def videos(self) -> Iterator[ReleasedVideo]:
        """Every video of the release in a stable order; a release that is incomplete in structure is a StorageError."""

    @abstractmethod
    def people(self, video: ReleasedVideo) -> People:
        """The annotation of one video; a file that is damaged or of another layout is a StorageError naming it."""

    def require(self, *parts: str) -> Path:
        """A file or folder of the release, which must be there."""
        path = self.folder.joinpath(*parts)
        if not path.exists():
            raise StorageError(f"{path}: missing; {self.title} is expected as docs/datasets.md shows")
        return path
