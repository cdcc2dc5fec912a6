"""What `moviestrip dataset check NAME` verifies of a dataset in a run: that its tables fit each other.

Every finding names the shard and what to do about it. The pictures that go with it, labels drawn over
frames, are made by the figures above this floor.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.curate.clips import selected
from moviestrip.layout import RunFolder
from moviestrip.tables import ATTRIBUTES, CLIPS, LABELS, VIDEOS, read_tables, stack

MAXIMUM_BOX_SCALE = 30.0  # a person of 5 px: whoever that is, no model will tell


@dataclass(frozen=True)
class DatasetReport:
    """Counts of what a dataset holds, and everything found wrong with it."""

    counts: dict[str, int]
    problems: list[str]


def check_dataset(name: str, run: RunFolder) -> DatasetReport:
    """Read every table of a dataset in a finished run and hold them against each other."""
    shards = run.shards(name)
    videos = read_tables([run.videos(name, shard) for shard in shards], VIDEOS)
    clips = read_tables([run.clips(name, shard) for shard in shards], CLIPS)
    attributes = read_tables([file for shard in shards for file in run.verdicts(name, shard)], ATTRIBUTES)
    labels = read_tables([run.labels(name, shard) for shard in shards], LABELS)
    return report_on(videos, clips, attributes, labels)


def report_on(
    videos: pd.DataFrame, clips: pd.DataFrame, attributes: pd.DataFrame, labels: pd.DataFrame
) -> DatasetReport:
    """The report on tables already read; labels are those of the selected clips."""
    used = selected(clips, attributes)
    counts = {
        "videos": len(videos),
        "usable videos": int((videos["status"] == "ok").sum()),
        "candidate clips": len(clips),
        "used clips": len(used),
        "labelled frames": len(labels),
        "frames with 3D": int(labels["has_3d"].astype(bool).sum()),
    }
    without_pictures = int(((videos["status"] == "ok") & (videos["width_px"] == 0)).sum())
    counts |= {"videos without pictures": without_pictures} if without_pictures else {}
    problems = [
        *_unusable_videos(videos),
        *_mixed_splits(used),
        *_misfitting_clips(videos, used, labels),
        *_bad_boxes(labels),
        *_keypoints_elsewhere(videos, used, labels),
    ]
    return DatasetReport(counts, problems)


def _unusable_videos(videos: pd.DataFrame) -> Iterator[str]:
    for video in videos[videos["status"] != "ok"].to_dict("records"):
        yield f"video {video['video_id']} of shard {video['shard']} is left out: {video['status']}: {video['reason']}"


def _mixed_splits(clips: pd.DataFrame) -> Iterator[str]:
    """Nobody, and no source motion, may be both trained on and tested on."""
    for column in ("subject", "motion_id"):
        known = clips[clips[column] != ""]
        splits = known.groupby(column)["split"].agg(lambda values: sorted(set(values)))
        for value, found in splits[splits.map(len) > 1].items():
            yield f"{column} '{value}' is in several splits ({', '.join(found)}); give each split its own"


def _misfitting_clips(videos: pd.DataFrame, clips: pd.DataFrame, labels: pd.DataFrame) -> Iterator[str]:
    lengths = dict(zip(videos["video_id"], videos["n_frames"], strict=True))
    labelled = labels["clip_id"].value_counts().to_dict()
    for clip in clips.to_dict("records"):
        if clip["video_id"] not in lengths:
            yield f"clip {clip['clip_id']}: its video {clip['video_id']} is not in the videos table; curate again"
        elif clip["first_frame"] + clip["n_frames"] > lengths[clip["video_id"]]:
            yield f"clip {clip['clip_id']}: ends after its video's {lengths[clip['video_id']]} frames; curate again"
        found = labelled.get(clip["clip_id"], 0)
        if found != clip["n_frames"]:
            yield f"clip {clip['clip_id']}: {found} labels for {clip['n_frames']} frames; label again"


def _bad_boxes(labels: pd.DataFrame) -> Iterator[str]:
    scale, center = labels["box_scale"].to_numpy(), stack(labels["box_center_px"], 2)
    bad = ~np.isfinite(scale) | ~np.isfinite(center).all(axis=1) | (scale <= 0) | (scale > MAXIMUM_BOX_SCALE)
    for clip_id in sorted(set(labels["clip_id"][bad])):
        yield f"clip {clip_id}: its box is not a person's in some frames; check its keypoints"


def _keypoints_elsewhere(videos: pd.DataFrame, clips: pd.DataFrame, labels: pd.DataFrame) -> Iterator[str]:
    """Clips whose visible keypoints mostly lie outside the picture: wrong units or another video's labels."""
    videos = videos[videos["width_px"] > 0]  # imported features have no pictures
    size = dict(zip(videos["video_id"], videos[["width_px", "height_px"]].to_numpy(), strict=True))
    keypoints, clip_ids = stack(labels["keypoints_2d"], 25, 3), labels["clip_id"].to_numpy()
    for clip in clips[clips["video_id"].isin(list(size))].to_dict("records"):
        own = keypoints[clip_ids == clip["clip_id"]]
        outside = ((own[..., :2] < 0) | (own[..., :2] > size[clip["video_id"]])).any(axis=-1)
        seen = own[..., 2] > 0
        if seen.any() and np.mean(outside[seen]) > 0.5:
            yield f"clip {clip['clip_id']}: most of its keypoints lie outside the picture; are they in pixels?"
