"""From sequences with features to the tables and features of a shard, as the stages make them of videos.

Every sequence is a candidate clip and is judged by the same filters; those that pass are labelled and keep their
features. What differs: a video has a row and no file, the rate is the one the features were made at (nothing is
resampled), there are no augmented copies, and the crop of a feature need not be the box of the person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.config import CurationSettings, DatasetSettings, Supervision
from moviestrip.curate.clips import clip_id_of, filters_of, verdicts
from moviestrip.curate.filters import Candidate
from moviestrip.curate.tube import person_tube, visible
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.errors import FatalError
from moviestrip.skeleton import HMMR_25
from moviestrip.tables import (
    ATTRIBUTES,
    CLIPS,
    CROPS,
    LABELS,
    VIDEOS,
    TableSchema,
    empty,
    unstack,
    with_defaults,
)
from moviestrip.video.fetch import video_id_of

Boxes = Float[np.ndarray, "frames 3"]  # centre x, centre y, scale


@dataclass(frozen=True)
class PreparedTables:
    """What a shard's stages write, by the schemas of `tables`; phi and `attributes_of_phi` for `write_features`."""

    videos: pd.DataFrame
    clips: pd.DataFrame
    attributes: pd.DataFrame
    labels: pd.DataFrame
    index: pd.DataFrame
    crops: pd.DataFrame
    phi: Float[np.ndarray, "rows dimension"]
    attributes_of_phi: dict[str, Any]


def prepared_tables(
    sequences: Iterable[PreparedSequence],
    name: str,
    dataset: DatasetSettings,
    shard: str,
    backbone: str,
    curation: CurationSettings,
) -> PreparedTables:
    """Everything a shard of the dataset `name` holds, in one pass; of its features no more than once in memory."""
    videos: dict[str, dict] = {}
    dimensions, filters = set(), filters_of(dataset, curation)
    clips, attributes, labels, crops, phi = [], [], [], [], []
    for sequence in sequences:
        dimensions.add(sequence.phi.shape[1])
        row = _video(sequence, name, shard)
        _join_video(videos, row, sequence)
        clip = _clip(sequence, name, row["video_id"], dataset.supervision)
        keypoints = _keypoints(sequence, dataset.supervision, curation)
        judged = verdicts(clip["clip_id"], Candidate(keypoints, HMMR_25, sequence.fps), filters)
        clips.append(clip)
        attributes += judged
        if all(verdict["passed"] for verdict in judged):
            boxes = _boxes(sequence, keypoints, curation)
            labels.append(_labels(clip["clip_id"], sequence, keypoints, boxes, dataset.supervision))
            crops.append(_crops(clip["clip_id"], _crop_of(sequence, boxes)))
            phi.append(sequence.phi)
    _require_unique([clip["clip_id"] for clip in clips], shard)
    index = _index([str(part["clip_id"].iloc[0]) for part in crops], phi)
    joined = _joined(phi, dimensions, shard)
    return PreparedTables(
        _table(list(videos.values()), VIDEOS),
        _table(clips, CLIPS),
        _table(attributes, ATTRIBUTES),
        _concatenated(labels, LABELS),
        index,
        _concatenated(crops, CROPS),
        joined,
        {"backbone": backbone, "dimension": joined.shape[1], "backbone_sha256": "imported"},
    )


def _video(sequence: PreparedSequence, name: str, shard: str) -> dict[str, Any]:
    # The split is part of the id: some files call sequences of two splits by the same names.
    source = f"{name}/{sequence.split}/{sequence.name}"
    return {
        "video_id": video_id_of(source), "dataset": name, "shard": shard, "split": sequence.split,
        "subject": sequence.subject, "action": sequence.action, "source": source, "path": "", "sha256": "",
        "status": "ok", "reason": "", "width_px": 0, "height_px": 0, "fps": sequence.fps,
        "n_frames": sequence.first_frame + sequence.n_frames, "camera": sequence.camera, "filmed_fps": 0.0,
    }  # fmt: skip


def _join_video(videos: dict[str, dict], row: dict[str, Any], sequence: PreparedSequence) -> None:
    """Enter a video, or extend it by another of its people or pieces; what differs between them is not the video's."""
    known = videos.setdefault(row["video_id"], row)
    if known["fps"] != row["fps"]:
        raise FatalError(f"{sequence.source or sequence.name}: video '{sequence.name}' has {known['fps']} and "
                         f"{row['fps']} frames a second")  # fmt: skip
    known["n_frames"] = max(known["n_frames"], row["n_frames"])
    for field in ("subject", "action", "camera"):
        known[field] = known[field] if known[field] == row[field] else ""


def _clip(sequence: PreparedSequence, name: str, video_id: str, supervision: Supervision) -> dict[str, Any]:
    return {
        "clip_id": clip_id_of(video_id, sequence.person, sequence.first_frame), "dataset": name,
        "video_id": video_id, "track": sequence.person, "split": sequence.split, "subject": sequence.subject,
        "action": sequence.action, "motion_id": "", "supervision": supervision,
        "first_frame": sequence.first_frame, "n_frames": sequence.n_frames, "fps": sequence.fps,
        "camera": sequence.camera,
    }  # fmt: skip


def _keypoints(sequence: PreparedSequence, supervision: Supervision, curation: CurationSettings) -> np.ndarray:
    """As labels have them: where they are a detector's, those below the minimum are not visible."""
    if supervision != "pseudo_2d":
        return sequence.keypoints_px
    seen = visible(sequence.keypoints_px, curation.minimum_confidence)
    return np.where(seen[..., None], sequence.keypoints_px, 0).astype(np.float32)


def _boxes(sequence: PreparedSequence, keypoints: np.ndarray, curation: CurationSettings) -> Boxes:
    if sequence.box_center_px is None or sequence.box_scale is None:
        return person_tube(keypoints, curation)
    return np.concatenate([sequence.box_center_px, sequence.box_scale[:, None]], axis=1)


def _crop_of(sequence: PreparedSequence, boxes: Boxes) -> Boxes:
    if sequence.crop_center_px is None or sequence.crop_scale is None:
        return boxes
    return np.concatenate([sequence.crop_center_px, sequence.crop_scale[:, None]], axis=1)


def _labels(
    clip_id: str, sequence: PreparedSequence, keypoints: np.ndarray, boxes: Boxes, supervision: Supervision
) -> pd.DataFrame:
    frames = np.arange(sequence.n_frames)
    columns = {
        "clip_id": clip_id,
        "frame": frames,
        "video_frame": frames + sequence.first_frame,
        "box_center_px": unstack(boxes[:, :2]),
        "box_scale": boxes[:, 2].astype(np.float32),
        "keypoints_2d": unstack(keypoints),
        "burst": "none",
        "gender": sequence.gender,
        "trusted": sequence.trusted,
        **_annotation(sequence, supervision == "full_3d"),
    }
    return pd.DataFrame(columns, columns=[column.name for column in LABELS.columns])


def _annotation(sequence: PreparedSequence, used: bool) -> dict[str, Any]:
    """The 3D columns, zero (the trunk NaN) where not known or, with 2D supervision, not to be used."""
    has_3d, has_body = sequence.has_3d & used, sequence.has_body & used

    def kept(values: np.ndarray, where: np.ndarray, absent: float = 0) -> list[np.ndarray]:
        return unstack(np.where(where.reshape(-1, *[1] * (values.ndim - 1)), values, absent))

    return {
        "has_3d": has_3d,
        "joints_3d_m": kept(sequence.joints_m, has_3d),
        "trunk_3d_m": kept(sequence.trunk_m, has_3d, np.nan),
        "has_body": has_body,
        "pose": kept(sequence.pose, has_body),
        "betas": kept(sequence.betas, has_body),
        "translation_m": kept(sequence.translation_m, has_body),
        "intrinsics_px": kept(sequence.intrinsics_px, np.full(sequence.n_frames, used)),
    }


def _crops(clip_id: str, boxes: Boxes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": clip_id,
            "frame": np.arange(len(boxes), dtype=np.int32),
            "box_center_px": unstack(boxes[:, :2]),
            "box_scale": boxes[:, 2].astype(np.float32),
            "mirrored": False,
        }
    )


def _index(clip_ids: Sequence[str], phi: Sequence[np.ndarray]) -> pd.DataFrame:
    counts = np.array([len(part) for part in phi], np.int32)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    return pd.DataFrame({"clip_id": list(clip_ids), "start": starts, "n_frames": counts})


def _joined(phi: list[np.ndarray], dimensions: set[int], shard: str) -> Float[np.ndarray, "rows dimension"]:
    """One after another; each part is let go once it is copied, and pages are not taken before they are written to."""
    if len(dimensions) != 1:
        found = f"features of {sorted(dimensions)} dimensions cannot be in one file" if dimensions else "no sequence"
        raise FatalError(f"shard {shard}: {found}")
    joined = np.empty((sum(len(part) for part in phi), *dimensions), np.float32)
    start = 0
    while phi:
        part = phi.pop(0)
        joined[start : start + len(part)] = part
        start += len(part)
    return joined


def _require_unique(clip_ids: Sequence[str], shard: str) -> None:
    if len(set(clip_ids)) != len(clip_ids):
        raise FatalError(f"shard {shard}: two sequences have the same name, person and first frame")


def _table(rows: list[dict], schema: TableSchema) -> pd.DataFrame:
    return with_defaults(pd.DataFrame(rows, columns=[column.name for column in schema.columns]), schema)


def _concatenated(parts: list[pd.DataFrame], schema: TableSchema) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else empty(schema)
