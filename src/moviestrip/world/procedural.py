"""Motion made from key postures: the families, and one source motion of a family.

A family is a way of moving; each of its parameter draws is a source motion of its own. Two draws differ in
stance, reach, depth, direction, arms used and asymmetry, not only in tempo.
"""

import zlib
from dataclasses import replace

import numpy as np

from moviestrip.errors import ConfigError
from moviestrip.world import keyposes_daily, keyposes_gait, keyposes_sports
from moviestrip.world.augment import mirror
from moviestrip.world.dice import Dice, Family
from moviestrip.world.footlock import detect_contacts
from moviestrip.world.kinematics import Motion, RestSkeleton, forward_kinematics
from moviestrip.world.posture import Score, add_life, perform, sample_score

PENN_ACTIONS = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing", "jump_rope",
    "jumping_jacks", "pull_ups", "push_ups", "sit_ups", "squats", "strum_guitar", "tennis_forehand", "tennis_serve",
)  # fmt: skip
H36M_ACTIONS = (
    "directions", "discussion", "eating", "greeting", "phoning", "photo", "posing", "purchases", "sitting",
    "sitting_down", "smoking", "waiting", "walking", "walking_dog", "walking_together",
)  # fmt: skip
FURTHER_ACTIONS = (
    "bow", "kick", "lunge", "marching", "reach", "running", "side_steps", "sneaking", "throw", "turning",
    "walking_backwards",
)  # fmt: skip
FAMILY_NAMES = (*PENN_ACTIONS, *H36M_ACTIONS, *FURTHER_ACTIONS)
FAMILIES: dict[str, Family] = {
    name: getattr(module, name)
    for name in FAMILY_NAMES
    for module in (keyposes_sports, keyposes_daily, keyposes_gait)
    if hasattr(module, name)
}
# Nobody throws to a beat: one waits before each repetition, and for how long cannot be seen coming.
SUDDEN = frozenset({
    "baseball_pitch", "baseball_swing", "bowl", "clean_and_jerk", "golf_swing", "kick", "tennis_forehand",
    "tennis_serve", "throw",
})  # fmt: skip
LONGEST_WAIT_S = 1.0
# Hands or hips rest on something: involuntary movement would make it slide.
SUPPORTED = {"push_ups": 0.25, "pull_ups": 0.4, "bench_press": 0.4, "sit_ups": 0.5}


def procedural_motion(
    family: str, seed: int, n_frames: int, fps: float = 25.0, *, rest: RestSkeleton, name: str | None = None
) -> Motion:
    """One source motion of a family: its parameters, and all its repetitions, follow from the seed."""
    if family not in FAMILIES:
        raise ConfigError(f"there is no family of motions '{family}'; known: {', '.join(FAMILY_NAMES)}")
    rng = np.random.default_rng([seed, zlib.crc32(family.encode())])
    dice, score = Dice(rng), Score()
    left_handed = dice.chance(0.5)
    repeat = FAMILIES[family](dice, score)
    while score.duration_s < n_frames / fps:
        if family in SUDDEN:
            score.hold(dice.between(0.0, LONGEST_WAIT_S))
        repeat()
    tracks = add_life(sample_score(score, n_frames, fps), rng, fps, SUPPORTED.get(family, 1.0))
    pose, translation = perform(tracks, rest)
    joints, _ = forward_kinematics(pose, translation, rest)
    motion = Motion(
        motion_id=name or f"{family.replace('_', '-')}-{seed}", family=family, action=family, source="procedural",
        cyclic=False, fps=fps, pose=pose.astype(np.float32), translation_m=translation.astype(np.float32),
        contacts=detect_contacts(joints, fps, height_m=0.015, speed_m_per_s=0.08),
    )  # fmt: skip
    mirrored = mirror(motion)
    return replace(mirrored, contacts=mirrored.contacts.copy()) if left_handed else motion
