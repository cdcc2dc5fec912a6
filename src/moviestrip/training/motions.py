"""Real motions: what VIBE takes from AMASS to show its motion discriminator and to train its motion prior on.

A table of motions becomes long sequences at one rate, of which windows are drawn. Only joint rotations are kept: both
readers of these windows look at the body's pose alone, never at where it stands or faces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moviestrip.config import Split
from moviestrip.errors import ConfigError, StorageError
from moviestrip.geometry import axis_angle_to_matrix, matrix_to_axis_angle, mirror_rotations, pose_to_matrices
from moviestrip.models.parameters import BODY_JOINTS
from moviestrip.tables import MOTIONS, read_table_in_parts, values_of

FPS = 25.0  # of the datasets, and of AMASS in VIBE
MINIMUM_FRAMES = 60  # VIBE drops shorter sequences of AMASS


@dataclass(frozen=True)
class RealMotions:
    """The sequences of one split, one after the other."""

    ids: tuple[str, ...]
    starts: Int[np.ndarray, " motions"]
    lengths_frames: Int[np.ndarray, " motions"]
    pose: Float[Tensor, "frames 72"]  # axis-angle: a third of the matrices' memory
    dropped: tuple[str, ...]  # ids of sequences that were too short

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Float[Tensor, "frames 24 3 3"]]:
        """Whole sequences, in the order of their ids."""
        for start, length in zip(self.starts, self.lengths_frames, strict=True):
            yield pose_to_matrices(self.pose[start : start + length])

    def draw(
        self, generator: np.random.Generator, count: int, frames: int, stride: int = 1, mirrored: float = 0.0
    ) -> Float[Tensor, "count frames 24 3 3"]:
        """Random windows; every window of every sequence is equally likely, so long sequences give more.

        Args:
            stride: frames between the places where windows may begin (VIBE: as many as a window has).
            mirrored: share of windows seen in a mirror.
        """
        windows = np.maximum(0, (self.lengths_frames - frames) // stride + 1)
        ends = windows.cumsum()
        if len(ends) == 0 or ends[-1] == 0:
            raise ConfigError(
                f"motions: none of {len(self)} sequences has {frames} frames; draw shorter windows or add motions"
            )
        chosen = generator.integers(0, ends[-1], count)
        motion = np.searchsorted(ends, chosen, side="right")
        first = self.starts[motion] + (chosen - (ends - windows)[motion]) * stride
        rotations = pose_to_matrices(self.pose[torch.from_numpy(first[:, None] + np.arange(frames))])
        if mirrored == 0:
            return rotations
        swapped = torch.from_numpy(generator.random(count) < mirrored)
        return torch.where(swapped[:, None, None, None, None], mirror_rotations(rotations), rotations)


def body_pose(rotations: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 69"]:
    """The pose as VIBE's D_M reads it: axis-angle without the root."""
    return matrix_to_axis_angle(rotations[..., 1:, :, :]).flatten(-2)


def read_motions(path: Path, split: Split, minimum_frames: int = MINIMUM_FRAMES, fps: float = FPS) -> RealMotions:
    """The motions of a split at `fps`; cyclic ones are repeated up to `minimum_frames`, other short ones dropped.

    The table is read twice, first without poses: AMASS has more than a gigabyte of them, and they are held once.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there are no motions yet; run `moviestrip motions`, which makes this table")
    rates, lengths, dropped = _plan(path, split, minimum_frames, fps)
    if not lengths:
        raise ConfigError(
            f"{path}: no motion of split '{split}' has {minimum_frames} frames at {fps:g} fps "
            f"({len(dropped)} are shorter); add longer motions"
        )
    ids = sorted(lengths)
    ends = np.cumsum([lengths[motion_id] for motion_id in ids])
    starts = {motion_id: int(end) - lengths[motion_id] for motion_id, end in zip(ids, ends, strict=True)}
    pose = torch.empty(int(ends[-1]), BODY_JOINTS * 3)
    for motion_id, rows in _sequences(path, ["pose"]):
        if motion_id in lengths:
            rotations = pose_to_matrices(torch.from_numpy(values_of(rows, "pose").copy()))
            rotations = repeat(resample(rotations, *rates[motion_id]), lengths[motion_id])
            whole = slice(starts[motion_id], starts[motion_id] + lengths[motion_id])
            pose[whole] = matrix_to_axis_angle(rotations).flatten(-2)
    begins = np.array([starts[motion_id] for motion_id in ids])
    return RealMotions(tuple(ids), begins, ends - begins, pose, tuple(sorted(dropped)))


def _plan(
    path: Path, split: Split, minimum_frames: int, fps: float
) -> tuple[dict[str, tuple[float, float]], dict[str, int], list[str]]:
    """Of a split's motions: rates from and to which they are resampled, frames they then have; and those dropped."""
    rates: dict[str, tuple[float, float]] = {}
    lengths: dict[str, int] = {}
    dropped = []
    for motion_id, rows in _sequences(path, ["split", "cyclic", "fps", "frame"]):
        if values_of(rows, "split")[0] != split:
            continue
        source_fps, cyclic = _facts(path, motion_id, rows)
        frames = resampled_frames(len(rows), source_fps, fps)
        if frames < minimum_frames and not cyclic:
            dropped.append(motion_id)
        else:
            rates[motion_id], lengths[motion_id] = (source_fps, fps), max(frames, minimum_frames)
    return rates, lengths, dropped


def _sequences(path: Path, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each motion, in the table's order, across its row groups."""
    done: set[str] = set()
    held_id, held = "", list[pa.Table]()
    for part in read_table_in_parts(path, MOTIONS, ["motion_id", *columns]):
        ids = values_of(part, "motion_id")
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            if held and ids[start] != held_id:
                yield held_id, pa.concat_tables(held)
                done.add(held_id)
                held = []
            held_id = str(ids[start])
            if held_id in done:
                raise StorageError(f"{path}: the rows of motion '{held_id}' are apart; make the table again")
            held.append(part.slice(start, stop - start))
    if held:
        yield held_id, pa.concat_tables(held)


def _facts(path: Path, motion_id: str, rows: pa.Table) -> tuple[float, bool]:
    """A motion's rate and whether it may be repeated."""
    rates = np.unique(values_of(rows, "fps"))
    whole = np.array_equal(values_of(rows, "frame"), np.arange(len(rows)))
    if len(rates) != 1 or not rates[0] > 0 or not whole:
        raise StorageError(
            f"{path}: motion '{motion_id}' has rates {rates.tolist()} fps and {'all' if whole else 'not all'} of its "
            f"frames from 0 on; one rate and every frame are needed: make the table again"
        )
    return float(rates[0]), bool(values_of(rows, "cyclic")[0])


def resampled_frames(frames: int, source_fps: float, fps: float) -> int:
    if source_fps == fps:
        return frames
    return int((frames - 1) * fps / source_fps + 1e-6) + 1  # the rate of a table is rounded


def resample(
    rotations: Float[Tensor, "frames joints 3 3"], source_fps: float, fps: float
) -> Float[Tensor, "resampled joints 3 3"]:
    """The motion at another rate, along the shortest turn from each frame to the next."""
    if source_fps == fps:
        return rotations
    last = len(rotations) - 1
    frames = torch.arange(resampled_frames(len(rotations), source_fps, fps), dtype=torch.float64)
    at = (frames * (source_fps / fps)).clamp(max=last)
    before = at.long()
    after = (before + 1).clamp(max=last)
    turn = matrix_to_axis_angle(rotations[before].mT @ rotations[after])
    share = (at - before)[:, None, None].to(rotations)
    return rotations[before] @ axis_angle_to_matrix(share * turn)


def repeat(rotations: Float[Tensor, "frames joints 3 3"], minimum_frames: int) -> Float[Tensor, "repeated joints 3 3"]:
    """A cyclic motion lap after lap until it has `minimum_frames`; each lap faces where the one before ended."""
    laps = max(1, -(-minimum_frames // len(rotations)))
    if laps == 1:
        return rotations
    turned = heading(rotations[-1, 0] @ rotations[0, 0].mT)
    facing, parts = torch.eye(3).to(rotations), []
    for _ in range(laps):
        parts.append(torch.cat([facing @ rotations[:, :1], rotations[:, 1:]], dim=1))
        facing = turned @ facing
    return torch.cat(parts)[:minimum_frames]


def heading(rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The part of a rotation that turns about the vertical axis y."""
    sine, cosine = rotation[0, 2] - rotation[2, 0], rotation[0, 0] + rotation[2, 2]
    angle = torch.atan2(sine, cosine)
    return axis_angle_to_matrix(torch.stack([torch.zeros_like(angle), angle, torch.zeros_like(angle)]))
