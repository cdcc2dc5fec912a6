"""How long the stages take on a shard of videos, and from that how many videos it holds.

All of it follows from the configuration, nothing from what a run measured: a plan comes out the same on every machine,
and videos that are added only add shards.
"""

import math
from dataclasses import dataclass
from typing import Literal

from moviestrip.config import (
    DatasetSettings,
    FetchSettings,
    LinksSource,
    PreparedSource,
    RenderedSource,
    ShardSettings,
    WorldSettings,
)
from moviestrip.errors import ConfigError

VideoStage = Literal["render", "fetch", "shots", "detect", "key_frames", "features"]


@dataclass(frozen=True, slots=True)
class FrameCost:
    """Seconds that one core needs for a frame.

    Attributes:
        rendered_s: of the miniature world's, 256 px high.
        filmed_s: of a video whose longer side is 640 px.
    """

    rendered_s: float
    filmed_s: float


# As measured: rendered ones in default runs, filmed ones by benchmarks/stage_costs.py and detect.py.
# Stages that are not named take hardly more than their start.
ONE_PERSON: dict[VideoStage, FrameCost] = {
    "render": FrameCost(0.012, 0),
    "fetch": FrameCost(0.0005, 0.001),
    "shots": FrameCost(0.003, 0.0021),
    "detect": FrameCost(0.028, 0.037),
    "key_frames": FrameCost(0.003, 0.0048),
    "features": FrameCost(0.025, 0.025),  # with one jittered copy
}
SEVERAL_PEOPLE: dict[VideoStage, FrameCost] = {  # up to three
    **ONE_PERSON,
    "render": FrameCost(0.027, 0),
    "detect": FrameCost(0.046, 0.237),
}

EXPECTED_VIDEO_S = 6.0  # where a dataset's file says nothing
IMAGE_MB = 0.2  # of one frame, while detect runs
START_MINUTES, PATIENCE = 60, 4  # what a job may take: an hour, and four times what is expected
VIDEO_OF_A_HOST_MINUTES, BUSY_HOSTS_MINUTES = 1, 180


def frames_a_video(dataset: DatasetSettings, rendering: WorldSettings) -> int:
    """Expected; of rendered videos it is known."""
    if isinstance(dataset.source, RenderedSource):
        return rendering.clip_frames
    return max(round((dataset.video_s or EXPECTED_VIDEO_S) * dataset.fps), 1)


def stages_of(dataset: DatasetSettings) -> list[VideoStage]:
    """Those whose time grows with a shard's frames, in the order in which they run; of prepared features none."""
    if isinstance(dataset.source, PreparedSource):
        return []
    asked: dict[VideoStage, bool] = {
        "render": isinstance(dataset.source, RenderedSource),
        "fetch": True,
        "shots": dataset.tube == "tracks",
        "detect": dataset.tube == "tracks" and dataset.keypoints is None,
        "key_frames": dataset.is_screened,
        "features": True,
    }
    return [stage for stage, is_asked in asked.items() if is_asked]


def expected_minutes(dataset: DatasetSettings, rendering: WorldSettings, stage: VideoStage, videos: int) -> float:
    """How long one core works at a stage of so many videos."""
    costs = ONE_PERSON if dataset.source.people == 1 else SEVERAL_PEOPLE
    is_rendered = isinstance(dataset.source, RenderedSource)
    seconds = costs[stage].rendered_s if is_rendered else costs[stage].filmed_s
    return videos * frames_a_video(dataset, rendering) * seconds / 60


def longest_stage(dataset: DatasetSettings, rendering: WorldSettings) -> tuple[VideoStage, float]:
    """Which one, and its minutes of a video; of prepared features there is none."""
    minutes = {stage: expected_minutes(dataset, rendering, stage, 1) for stage in stages_of(dataset)}
    return max(minutes.items(), key=lambda item: item[1])


def videos_a_shard(
    name: str, dataset: DatasetSettings, rendering: WorldSettings, fetching: FetchSettings, shards: ShardSettings
) -> int:
    """So many that the longest job of a shard takes as long as was asked for, or as many as were asked for."""
    own = "fetch" if isinstance(dataset.source, LinksSource) else "rendering"
    asked = fetching.shard_videos if own == "fetch" else rendering.shard_videos
    if asked is not None:
        return asked
    key = "rendered_minutes" if isinstance(dataset.source, RenderedSource) else "minutes"
    target, (stage, one) = getattr(shards, key), longest_stage(dataset, rendering)
    count = int(target / one + 1e-9)  # what divides evenly must not be lost to the last digit
    if count == 0:
        frames, enough = frames_a_video(dataset, rendering), math.ceil(one * 100) / 100
        raise ConfigError(
            f"shards.{key}: {target:g} is too little for one video of '{name}': {stage} of its {frames} frames takes "
            f"{enough:g} minutes; ask for as many, or set {own}.shard_videos"
        )
    return count


def limit_minutes(dataset: DatasetSettings, rendering: WorldSettings, stage: VideoStage, videos: int) -> int:
    """After how long a cluster may take a job for stuck: a multiple of what is expected, for videos differ."""
    if stage == "fetch" and isinstance(dataset.source, LinksSource):
        return BUSY_HOSTS_MINUTES + VIDEO_OF_A_HOST_MINUTES * videos
    return START_MINUTES + math.ceil(PATIENCE * expected_minutes(dataset, rendering, stage, videos))


def images_mb(dataset: DatasetSettings, rendering: WorldSettings, videos: int) -> int:
    """What a job of `detect` may need of a node's disk: every frame of its shard lies there as an image."""
    return 1000 + math.ceil(2 * IMAGE_MB * videos * frames_a_video(dataset, rendering))
