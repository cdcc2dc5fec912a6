"""Clips of features joined with their labels, held in memory as tensors, and the batches drawn from them.

Features and labels are stored apart and meet here on (clip_id, frame). An augmented copy of a clip has its own
features and crops but shares its labels, so nothing is stored twice: a row of features points at its label.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moviestrip.errors import FatalError
from moviestrip.features.copies import source_of
from moviestrip.geometry import (
    crop_from_source,
    mirror_points,
    mirror_rotations,
    normalise_crop,
    pose_to_matrices,
)
from moviestrip.skeleton import COMMON_14, HMMR_25
from moviestrip.storage import read_features
from moviestrip.tables import CROPS, FEATURE_INDEX, LABELS, read_table, stack


@dataclass(frozen=True)
class ShardFiles:
    """The four files that one shard of a dataset has for training."""

    features: Path
    index: Path
    crops: Path
    labels: Path


@dataclass(frozen=True)
class Clip:
    """Consecutive rows of a `ClipDataset`."""

    clip_id: str
    first_row: int
    n_frames: int
    has_3d: bool


@dataclass(frozen=True)
class Targets:
    """What is known about frames: all tensors share their leading axes."""

    keypoints: Float[Tensor, "*frames 25 3"]  # x, y in the crop's [-1, 1], confidence
    has_3d: Bool[Tensor, "*frames"]
    has_body: Bool[Tensor, "*frames"]  # whether rotations and betas are known, and not only joints
    rotations: Float[Tensor, "*frames 24 3 3"]
    betas: Float[Tensor, "*frames 10"]
    joints_3d_m: Float[Tensor, "*frames 14 3"]

    def frames(self, start: int, stop: int) -> "Targets":
        """Those of frames start..stop of (batch, frames)."""
        return Targets(*(values[:, start:stop] for values in vars(self).values()))

    def mirrored_where(self, mask: Bool[Tensor, "*frames"]) -> "Targets":
        """Left and right swapped in the frames of `mask`; a shape is its own mirror image."""
        if not mask.any():
            return self
        return Targets(
            torch.where(mask[..., None, None], mirror_points(self.keypoints, HMMR_25), self.keypoints),
            self.has_3d,
            self.has_body,
            torch.where(mask[..., None, None, None], mirror_rotations(self.rotations), self.rotations),
            self.betas,
            torch.where(mask[..., None, None], mirror_points(self.joints_3d_m, COMMON_14), self.joints_3d_m),
        )


@dataclass(frozen=True)
class Batch:
    phi: Float[Tensor, "clips frames features"]
    targets: Targets


@dataclass(frozen=True)
class ClipDataset:
    """Clips of one split: features and crops by row, labels by label, and the label of each row."""

    clips: tuple[Clip, ...]
    backbone: str
    phi: Float[Tensor, "rows features"]
    box_center_px: Float[Tensor, "rows 2"]
    box_scale: Float[Tensor, " rows"]
    mirrored: Bool[Tensor, " rows"]
    label_of_row: Int[Tensor, " rows"]
    keypoints_px: Float[Tensor, "labels 25 3"]
    has_3d: Bool[Tensor, " labels"]
    has_body: Bool[Tensor, " labels"]
    rotations: Float[Tensor, "labels 24 3 3"]
    betas: Float[Tensor, "labels 10"]
    joints_3d_m: Float[Tensor, "labels 14 3"]

    @property
    def feature_size(self) -> int:
        return self.phi.shape[-1]

    def targets(self, rows: Int[Tensor, "*batch"]) -> Targets:
        """The labels of rows, with the keypoints in each row's own crop, mirrored where the crop is."""
        labels = self.label_of_row[rows]
        keypoints = self.keypoints_px[labels]
        crop_px = crop_from_source(keypoints[..., :2], self.box_center_px[rows], self.box_scale[rows])
        as_filmed = Targets(
            torch.cat([normalise_crop(crop_px), keypoints[..., 2:]], dim=-1),
            self.has_3d[labels],
            self.has_body[labels],
            self.rotations[labels],
            self.betas[labels],
            self.joints_3d_m[labels],
        )
        return as_filmed.mirrored_where(self.mirrored[rows])

    def batch(self, rows: Int[Tensor, "clips frames"]) -> Batch:
        return Batch(self.phi[rows], self.targets(rows))

    def rows_of(self, clip: Clip) -> Int[Tensor, " frames"]:
        return torch.arange(clip.first_row, clip.first_row + clip.n_frames)

    def rows_3d(self) -> Int[Tensor, " rows"]:
        """Rows whose label is known in 3D."""
        return self.has_3d[self.label_of_row].nonzero()[:, 0]

    def rows_with_body(self) -> Int[Tensor, " rows"]:
        """Rows whose body parameters are known."""
        return self.has_body[self.label_of_row].nonzero()[:, 0]

    def to(self, device: torch.device) -> "ClipDataset":
        """The same clips with their tensors on a device."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in tensors.items()}
        return replace(self, **moved)

    def without_body(self, clip_ids: Collection[str]) -> "ClipDataset":
        """The same clips, of some of which only joints are known and not what poses them."""
        withheld = frozenset(clip_ids)
        has_body = self.has_body.clone()
        for clip in self.clips:
            if source_of(clip.clip_id) in withheld:
                has_body[self.label_of_row[self.rows_of(clip)]] = False
        return replace(self, has_body=has_body)

    def at_least(self, frames: int) -> "ClipDataset":
        """Only the clips of that many frames or more: those a window fits into."""
        clips = tuple(clip for clip in self.clips if clip.n_frames >= frames)
        if not clips:
            longest = max((clip.n_frames for clip in self.clips), default=0)
            raise FatalError(
                f"no clip has {frames} frames, the longest of {len(self.clips)} has {longest}; lower clip_frames of "
                f"the variant or the scale, or raise curation.minimum_frames and rendering.clip_frames"
            )
        return replace(self, clips=clips)


@dataclass(frozen=True)
class TrainingData:
    """Clips to learn from, and the clips on which the best step is chosen (they may be none)."""

    train: ClipDataset
    validation: ClipDataset | None


def read_clips(shards: Sequence[ShardFiles], clip_ids: Collection[str], copies: bool) -> ClipDataset:
    """The named clips out of a dataset's (or several datasets') shards, with or without their augmented copies."""
    wanted = frozenset(clip_ids)
    indexed = {shard: read_table(shard.index, FEATURE_INDEX) for shard in shards}
    parts = [
        read_shard(shard, index, wanted, copies)
        for shard, index in indexed.items()
        if kept_rows(index, wanted, copies).any()  # a shard of test videos holds none of the training clips
    ]
    found = {clip.clip_id for part in parts for clip in part.clips}
    missing = sorted(set(clip_ids) - found)
    if missing:
        raise FatalError(
            f"{len(missing)} of {len(clip_ids)} clips have no features, such as {missing[0]}; "
            f"run the features stage for the same clips"
        )
    return concatenate(parts)


def read_shard(shard: ShardFiles, index: pd.DataFrame, clip_ids: Collection[str], copies: bool) -> ClipDataset:
    """The named clips of one shard, some of which its index lists."""
    phi, attributes = read_features(shard.features)
    return join(
        phi,
        str(attributes.get("backbone", "")),
        index,
        read_table(shard.crops, CROPS),
        read_table(shard.labels, LABELS),
        clip_ids,
        copies,
        str(shard.features),
    )


def join(
    phi: np.ndarray,
    backbone: str,
    index: pd.DataFrame,
    crops: pd.DataFrame,
    labels: pd.DataFrame,
    clip_ids: Collection[str],
    copies: bool,
    origin: str,
) -> ClipDataset:
    """Features (rows, dimension) joined with labels on (clip_id, frame); copies take the labels of their clip."""
    kept = index[kept_rows(index, clip_ids, copies)].reset_index(drop=True)
    labels = labels[labels["clip_id"].isin(list(clip_ids))].sort_values(["clip_id", "frame"], ignore_index=True)
    rows = _rows_of_index(kept)
    label_of_row = _match(rows.assign(clip_id=source_of(rows["clip_id"])), labels, "labels", origin)
    crop_of_row = _match(rows, crops, "crops", origin)
    has_3d = labels["has_3d"].to_numpy(bool, copy=True)
    return ClipDataset(
        clips=_clips_of(kept, has_3d[label_of_row]),
        backbone=backbone,
        phi=torch.from_numpy(phi[rows["phi_row"].to_numpy(np.int64)]),
        box_center_px=torch.from_numpy(stack(crops["box_center_px"], 2)[crop_of_row]),
        box_scale=torch.from_numpy(crops["box_scale"].to_numpy(np.float32)[crop_of_row]),
        mirrored=torch.from_numpy(crops["mirrored"].to_numpy(bool)[crop_of_row]),
        label_of_row=torch.from_numpy(label_of_row),
        keypoints_px=torch.from_numpy(stack(labels["keypoints_2d"], 25, 3)),
        has_3d=torch.from_numpy(has_3d),
        has_body=torch.from_numpy(labels["has_body"].to_numpy(bool, copy=True)),
        rotations=pose_to_matrices(torch.from_numpy(stack(labels["pose"], 72))),
        betas=torch.from_numpy(stack(labels["betas"], 10)),
        joints_3d_m=torch.from_numpy(stack(labels["joints_3d_m"], 14, 3)),
    )


def kept_rows(index: pd.DataFrame, clip_ids: Collection[str], copies: bool) -> "pd.Series[bool]":
    """Which rows of a FEATURE_INDEX are of the named clips, or with `copies` of these and their copies."""
    source = source_of(index["clip_id"])
    return source.isin(list(clip_ids)) & (copies | (source == index["clip_id"]))


def _rows_of_index(index: pd.DataFrame) -> pd.DataFrame:
    """One row a frame: clip_id, frame and the row in phi."""
    counts = index["n_frames"].to_numpy(np.int64)
    frame = np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0, np.int64)
    return pd.DataFrame(
        {
            "clip_id": np.repeat(index["clip_id"].to_numpy(object), counts),
            "frame": frame,
            "phi_row": np.repeat(index["start"].to_numpy(np.int64), counts) + frame,
        }
    )


def _match(rows: pd.DataFrame, table: pd.DataFrame, what: str, origin: str) -> np.ndarray:
    """For each row, the position in `table` of the same (clip_id, frame)."""
    place = pd.Series(np.arange(len(table)), index=pd.MultiIndex.from_frame(table[["clip_id", "frame"]]))
    found = place.reindex(pd.MultiIndex.from_frame(rows[["clip_id", "frame"]])).to_numpy()
    absent = pd.isna(found)
    if absent.any():
        first = rows.iloc[int(np.argmax(absent))]
        raise FatalError(
            f"{origin}: {int(absent.sum())} rows have no {what}, the first is clip {first['clip_id']} frame "
            f"{first['frame']}; labels and features were made from different clips, run both stages again"
        )
    return found.astype(np.int64)


def _clips_of(index: pd.DataFrame, row_has_3d: np.ndarray) -> tuple[Clip, ...]:
    clips, first = [], 0
    for clip_id, n_frames in zip(index["clip_id"], index["n_frames"], strict=True):
        clips.append(Clip(str(clip_id), first, int(n_frames), bool(row_has_3d[first : first + n_frames].any())))
        first += int(n_frames)
    return tuple(clips)


def concatenate(parts: Sequence[ClipDataset]) -> ClipDataset:
    """Several datasets as one; they must come from one backbone."""
    if not parts:
        raise FatalError("no clips to read: curation left none in this split; loosen `curation` or add videos")
    backbones = sorted({(part.backbone, part.feature_size) for part in parts})
    if len(backbones) > 1:
        raise FatalError(f"features come from different backbones {backbones}; delete and extract them again")
    clips, first_row, first_label, label_of_row = [], 0, 0, []
    for part in parts:
        clips += [Clip(clip.clip_id, clip.first_row + first_row, clip.n_frames, clip.has_3d) for clip in part.clips]
        label_of_row.append(part.label_of_row + first_label)
        first_row, first_label = first_row + len(part.phi), first_label + len(part.keypoints_px)
    labels = ("keypoints_px", "has_3d", "has_body", "rotations", "betas", "joints_3d_m")
    by_row = ("phi", "box_center_px", "box_scale", "mirrored", *labels)
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in by_row}
    return sorted_by_clip(ClipDataset(tuple(clips), parts[0].backbone, label_of_row=torch.cat(label_of_row), **tensors))


def sorted_by_clip(dataset: ClipDataset) -> ClipDataset:
    """The same clips in the order of their ids, so that what is drawn does not depend on the sharding."""
    ordered = sorted(dataset.clips, key=lambda clip: clip.clip_id)
    rows = torch.cat([dataset.rows_of(clip) for clip in ordered])
    starts = np.cumsum([0, *(clip.n_frames for clip in ordered)])
    clips = tuple(replace(clip, first_row=int(start)) for clip, start in zip(ordered, starts, strict=False))
    names = ("phi", "box_center_px", "box_scale", "mirrored", "label_of_row")
    by_row = {name: getattr(dataset, name)[rows] for name in names}
    return replace(dataset, clips=clips, **by_row)


def draw_rows(
    dataset: ClipDataset,
    generator: np.random.Generator,
    batch_clips: int,
    clip_frames: int,
    contiguous: bool,
    share_3d: float = 0.5,
    stride: int = 1,
) -> Int[Tensor, "clips frames"]:
    """Rows of a random batch: a share of clips with 3D truth, the rest without.

    Where the data has only one kind, the whole batch is of that kind. `contiguous` draws a window of
    consecutive frames of each clip, or of every `stride`-th; otherwise frames are drawn anywhere in it, which a
    model without temporal context learns more from.
    """
    with_3d = [clip for clip in dataset.clips if clip.has_3d]
    without = [clip for clip in dataset.clips if not clip.has_3d]
    share = share_3d if with_3d and without else float(bool(with_3d))
    count = round(share * batch_clips)
    chosen = [with_3d[index] for index in generator.integers(0, max(len(with_3d), 1), count)]
    chosen += [without[index] for index in generator.integers(0, max(len(without), 1), batch_clips - count)]
    if not contiguous:
        windows = [clip.first_row + generator.integers(0, clip.n_frames, clip_frames) for clip in chosen]
    else:
        reach = np.arange(clip_frames) * stride
        starts = [generator.integers(0, clip.n_frames - reach[-1]) for clip in chosen]
        windows = [clip.first_row + start + reach for clip, start in zip(chosen, starts, strict=True)]
    return torch.from_numpy(np.stack(windows))
