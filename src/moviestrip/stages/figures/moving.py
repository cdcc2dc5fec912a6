"""Test clips known in 3D, and how fast the person in each moves: by that, plots over time choose theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation.score import groups_of
from moviestrip.figures.time_series import Span, joint_speed, spans_of
from moviestrip.stages.job import Job, labels_of, selected_clips
from moviestrip.tables import stack


@dataclass(frozen=True)
class MovingClip:
    """A test clip whose every frame is known in 3D."""

    clip_id: str
    video_id: str
    action: str
    group: str
    fps: float
    labels: pd.DataFrame  # sorted by frame
    joints_m: Float[np.ndarray, "frames 14 3"]
    speed_m_per_s: Float[np.ndarray, " frames"]

    @property
    def frames(self) -> Int[np.ndarray, " frames"]:
        return self.labels["frame"].to_numpy(np.int64)

    @property
    def spans(self) -> list[Span]:
        """Where something hides or blurs the person."""
        return spans_of(self.labels["burst"].to_list(), self.frames)

    @property
    def title(self) -> str:
        return f"{self.action.replace('_', ' ')}, {self.speed_m_per_s.mean():.2f} m/s"


def moving_clips(job: Job, dataset: str, least_frames: int = 3) -> list[MovingClip]:
    """Test clips of a dataset, the slowest first; equally fast ones by id."""
    clips = selected_clips(job, [dataset], ["test"])
    clips = clips.assign(group=groups_of(clips))
    by_clip = {str(clip_id): part for clip_id, part in labels_of(job, dataset).groupby("clip_id")}
    found = []
    for clip in clips.to_dict("records"):
        labels = by_clip[clip["clip_id"]].sort_values("frame", ignore_index=True)
        whole = bool((np.diff(labels["frame"]) == 1).all()) and bool(labels["has_3d"].all())
        if not whole or len(labels) < least_frames:
            continue
        joints_m, fps = stack(labels["joints_3d_m"], 14, 3), float(clip["fps"])
        found.append(
            MovingClip(
                clip_id=clip["clip_id"],
                video_id=clip["video_id"],
                action=clip["action"],
                group=clip["group"],
                fps=fps,
                labels=labels,
                joints_m=joints_m,
                speed_m_per_s=joint_speed(joints_m, fps),
            )
        )
    if not found:
        raise FatalError(f"{dataset}: no test clip of {least_frames} frames or more is known in 3D; label more videos")
    return sorted(found, key=lambda clip: (clip.speed_m_per_s.mean(), clip.clip_id))


def row_of_frames(table: pd.DataFrame, clip: MovingClip, what: str) -> pd.DataFrame:
    """The rows of a table for each frame of a clip."""
    rows = table[table["clip_id"] == clip.clip_id].set_index("frame").reindex(clip.frames)
    missing = rows["clip_id"].isna().sum()
    if missing:
        raise FatalError(f"{what}: lacks {missing} of {len(clip.frames)} frames of clip {clip.clip_id}; predict again")
    return rows


def evenly(count: int, total: int) -> Sequence[int]:
    """At most `count` positions out of `total`, evenly spaced, the ends among them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()
