"""Which videos the miniature world consists of: who does what, where, under which seed.

A video's id depends on its dataset, split, index and the run's seed, and its content on its id alone. Raising
the number of videos therefore appends videos and leaves every earlier one as it was.
"""

import hashlib
import math
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from moviestrip.config import DatasetSettings, RenderedSource, Split, WorldSettings
from moviestrip.errors import ConfigError

Scene = Literal["studio", "street", "hall", "gym", "court", "vlog", "insta"]

HUMAN36M_ACTIONS = (
    "directions", "discussion", "eating", "greeting", "phoning", "photo", "posing", "purchases", "sitting",
    "sitting_down", "smoking", "waiting", "walking_dog", "walking", "walking_together",
)  # fmt: skip
PENN_ACTIONS = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing", "jump_rope",
    "jumping_jacks", "pull_ups", "push_ups", "sit_ups", "squats", "strum_guitar", "tennis_forehand", "tennis_serve",
)  # fmt: skip
# An empty name lets the motion library choose among everything the split may use.
ACTIONS: dict[str, tuple[str, ...]] = {
    "studio": HUMAN36M_ACTIONS,
    "gym": PENN_ACTIONS,
    "court": ("throw", "running", "side_steps", "walking", "turning", "reach", "kick", "bowl"),
    "street": ("walking", "", "walking_dog", "discussion", "phoning", "running", "", "photo", "greeting", "purchases"),
    "hall": ("",),
    "vlog": ("eating", "phoning", "discussion", "sitting_down", "greeting", "smoking", "reach", "strum_guitar"),
    "insta": ("",),
}


class VideoSpec(BaseModel):
    """Everything a rendered video depends on, besides the motion library and the body."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    video_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    dataset: str
    scene: Scene
    split: Split
    subject: str
    action: str = Field(description="Empty for any.")
    seed: int
    camera: int = Field(0, ge=0, description="Which of the fixed cameras, where the scene has several.")
    n_frames: int = Field(64, ge=1)
    fps: float = Field(25, gt=0)
    image_size_px: int = Field(256, ge=96)
    people: int = Field(1, ge=1)


def plan_videos(name: str, dataset: DatasetSettings, rendering: WorldSettings, seed: int) -> list[VideoSpec]:
    """Every video of one rendered dataset, in a stable order."""
    source = dataset.source
    if not isinstance(source, RenderedSource):
        raise ConfigError(f"config/datasets/{name}.yaml: source.kind: '{source.kind}' is not rendered")
    _require_disjoint_subjects(name, source)
    return [
        _spec(name, dataset, source, rendering, split, index, seed)
        for split, count in source.videos.items()
        for index in range(math.ceil(count * rendering.frames_scale))
    ]


def child_generator(seed: int, *names: str) -> np.random.Generator:
    """A random generator of its own for each name, so that no draw shifts another."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def _require_disjoint_subjects(name: str, source: RenderedSource) -> None:
    seen: dict[str, str] = {}
    for split, subjects in source.subjects.items():
        for subject in subjects:
            if seen.setdefault(subject, split) != split:
                raise ConfigError(
                    f"config/datasets/{name}.yaml: source.subjects: '{subject}' is in {seen[subject]} and in {split}; "
                    f"nobody may appear in two splits"
                )
    unnamed = [split for split, count in source.videos.items() if count and not source.subjects.get(split)]
    if unnamed:
        raise ConfigError(f"config/datasets/{name}.yaml: source.subjects.{unnamed[0]}: name at least one subject")


def _cast(subjects: Sequence[str], scale: int) -> list[str]:
    """The subjects of a split and, `scale` times as many in all, others named after them: S1, S5, S1-2, S5-2."""
    return [subject if number == 1 else f"{subject}-{number}" for number in range(1, scale + 1) for subject in subjects]


def _spec(
    name: str,
    dataset: DatasetSettings,
    source: RenderedSource,
    rendering: WorldSettings,
    split: Split,
    index: int,
    seed: int,
) -> VideoSpec:
    video_id = hashlib.sha256(f"{name}/{split}/{index}/{seed}".encode()).hexdigest()[:16]
    rng = child_generator(seed, name, split, str(index))
    actions, subjects = ACTIONS[source.scene], _cast(source.subjects[split], rendering.subjects_scale)
    crowd = source.people > 1 and rng.random() < 0.6
    return VideoSpec(
        video_id=video_id,
        dataset=name,
        scene=source.scene,
        split=split,
        subject=subjects[(index + index // len(actions)) % len(subjects)],
        action=actions[index % len(actions)],
        seed=int(rng.integers(2**31)),
        camera=(index + index // 4) % 4,
        n_frames=rendering.clip_frames,
        fps=dataset.fps,
        image_size_px=rendering.image_size_px,
        people=int(rng.integers(2, source.people + 1)) if crowd else 1,
    )
