"""The library of source motions and how a clip is drawn from it.

A source motion is one recorded clip, or one parameter draw of a procedural family. Splits never share a source:
recorded clips are assigned by name in `RECORDED_SPLITS`, procedural draws by number in `DRAW_SPLITS`, so every
family appears in every split with parameters of its own; AMASS by its subsets, CMU and BVH files by their names.
Augmentation happens within a split only, and a drawn motion carries the id of its source.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, overload

import numpy as np
import pandas as pd

from moviestrip.config import MotionSettings, MotionSource, Split
from moviestrip.errors import ConfigError
from moviestrip.parts import fetch_package
from moviestrip.progress import track
from moviestrip.tables import stack, unstack
from moviestrip.world import amass, augment, bvh, cmu, deepmimic
from moviestrip.world.footlock import lock_feet
from moviestrip.world.kinematics import Motion, RestSkeleton
from moviestrip.world.procedural import FAMILY_NAMES, procedural_motion

FPS = 25.0
SOURCE_FRAMES = 160
# Draws of every family, by number: of seven, four train, one validates, two test.
DRAW_SPLITS: tuple[Split, ...] = 2 * ("train", "train", "train", "train", "validation", "test", "test")
RECORDED_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("backflip", "crawl", "dance-a", "getup-faceup", "jump", "punch", "roll", "spinkick", "walk"),
    "validation": ("getup-facedown", "spin"),
    "test": ("cartwheel", "dance-b", "kick", "run"),
}
# Walks may borrow the arms of someone who stands.
LEGS_ONLY = frozenset({"walking", "walking_backwards", "marching", "running", "turning", "side_steps", "walking_dog"})
ARM_DONORS = frozenset({
    "directions", "discussion", "greeting", "phoning", "smoking", "strum_guitar", "photo", "eating", "throw", "posing",
    "dance", "punch", "tennis_forehand",
})  # fmt: skip


@dataclass(frozen=True)
class MotionLibrary(Sequence[Motion]):
    """Source motions, each with its split, on one rest skeleton."""

    motions: tuple[Motion, ...]
    splits: tuple[Split, ...]
    rest: RestSkeleton

    def __len__(self) -> int:
        return len(self.motions)

    @overload
    def __getitem__(self, index: int) -> Motion: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Motion]: ...
    def __getitem__(self, index: int | slice) -> Motion | Sequence[Motion]:
        return self.motions[index]

    def of_split(self, split: Split, action: str | None = None) -> list[Motion]:
        """Sources that may be seen in a split, of one action if given; in a fixed order."""
        return [
            motion
            for motion, seen_in in zip(self.motions, self.splits, strict=True)
            if seen_in == split and action in (None, motion.action)
        ]


def motion_library(rest: RestSkeleton, seed: int, settings: MotionSettings | None = None) -> MotionLibrary:
    """Every source motion, all in memory: a library as large as AMASS is better read one by one."""
    motions = tuple(source_motions(rest, seed, settings or MotionSettings()))
    return MotionLibrary(motions, tuple(split_of(motion.motion_id) for motion in motions), rest)


Report = Callable[[str], None]


def source_motions(
    rest: RestSkeleton, seed: int, settings: MotionSettings, report: Report = lambda line: None
) -> Iterator[Motion]:
    """Every source motion, one after the other: the recorded clips of the fetched package, the families' draws, and
    those of the folders that are given.

    Args:
        report: takes a line on what was left out.
    """
    seen: set[str] = set()
    for source in chosen_sources(settings):
        for motion in _of_source(source, rest, seed, settings, report):
            if motion.motion_id in seen:
                raise ConfigError(
                    f"motions: '{motion.motion_id}' ({motion.source}) is there twice; give each recording once, "
                    f"CMU's as ASF/AMC or as BVH"
                )
            seen.add(motion.motion_id)
            yield motion


def chosen_sources(settings: MotionSettings) -> tuple[MotionSource, ...]:
    """In a fixed order; a source without its folder, and recordings that two sources share, are errors."""
    folders = _folders(settings)
    wanted = settings.sources or [name for name in get_args(MotionSource) if folders.get(name, True)]
    for name in (name for name in folders if name in wanted):
        folder = folders[name]
        if folder is None:
            raise ConfigError(f"motions.sources: '{name}' needs `motions.{name}_folder`; give it or drop '{name}'")
        if not folder.is_dir():
            raise ConfigError(f"motions.{name}_folder: there is no folder {folder}")
    also_cmu = sorted({"cmu", "bvh"} & set(wanted))
    if "amass" in wanted and also_cmu and (Path(folders["amass"] or "") / "CMU").is_dir():
        raise ConfigError(
            f"motions.sources: AMASS's subset CMU and {also_cmu} may hold the same recordings in different splits; "
            f"name the sources you want"
        )
    return tuple(name for name in get_args(MotionSource) if name in wanted)


def _folders(settings: MotionSettings) -> dict[str, Path | None]:
    return {"amass": settings.amass_folder, "cmu": settings.cmu_folder, "bvh": settings.bvh_folder}


def _of_source(
    source: MotionSource, rest: RestSkeleton, seed: int, settings: MotionSettings, report: Report
) -> Iterable[Motion]:
    folder = _folders(settings).get(source) or Path()
    if source == "recorded":
        return deepmimic.read_deepmimic(fetch_package(deepmimic.REQUIREMENT, deepmimic.SHA256), rest, FPS)
    if source == "procedural":
        return _draws_of_families(rest, seed)
    if source == "amass":
        return _long_enough(amass.AmassMotions(folder, rest, FPS, settings.amass_sampling), report)
    return cmu.read_cmu(folder, rest, FPS) if source == "cmu" else bvh.read_bvh_folder(folder, rest, FPS)


def _draws_of_families(rest: RestSkeleton, seed: int) -> Iterator[Motion]:
    for family in FAMILY_NAMES:
        for draw in range(len(DRAW_SPLITS)):
            name = f"{family.replace('_', '-')}-{draw}"
            draw_seed = seed * len(DRAW_SPLITS) + draw
            yield procedural_motion(family, draw_seed, SOURCE_FRAMES, FPS, rest=rest, name=name)


def _long_enough(motions: amass.AmassMotions, report: Report) -> Iterator[Motion]:
    yield from track(motions, "AMASS", len(motions.files))
    report(
        f"AMASS: {len(motions.files):,} motions, of which {len(motions.dropped):,} were dropped: they have fewer than "
        f"{amass.MINIMUM_FRAMES} frames at {motions.fps:g} fps"
    )


def split_of(motion_id: str) -> Split:
    """The one split in which a source motion may be seen; it follows from the id alone."""
    if motion_id.startswith("deepmimic-"):
        return _recorded_split(motion_id)
    if motion_id.startswith("amass-"):
        return amass.split_of_subset(motion_id.removeprefix("amass-").split("/")[0])
    if motion_id.startswith(("cmu-", "bvh-")):
        return _hashed_split(motion_id)
    draw = motion_id.rpartition("-")[2]
    if not draw.isdigit() or int(draw) >= len(DRAW_SPLITS):
        raise ConfigError(f"motion '{motion_id}' is in no split: draws are numbered 0 to {len(DRAW_SPLITS) - 1}")
    return DRAW_SPLITS[int(draw)]


def _hashed_split(motion_id: str) -> Split:
    """60 % train, 15 % validation, 25 % test, by the id's digest."""
    part = zlib.crc32(motion_id.encode()) % 100
    return "train" if part < 60 else "validation" if part < 75 else "test"


def _recorded_split(motion_id: str) -> Split:
    clip = motion_id.removeprefix("deepmimic-")
    for split, clips in RECORDED_SPLITS.items():
        if clip in clips:
            return split
    raise ConfigError(f"recorded motion '{motion_id}' is in no split; name it in RECORDED_SPLITS")


def draw_motion(
    library: MotionLibrary, action: str | None, split: Split, n_frames: int, rng: np.random.Generator
) -> Motion:
    """`n_frames` at 25 fps from one source of the split, augmented; its `motion_id` is the source's.

    An action's name limits the sources to those that show it; its arms stay its own then. Without one, a source
    is drawn with equal chance for each family, may lead over into another, and walks may borrow arms.
    """
    candidates = library.of_split(split, action)
    if not candidates:
        known = sorted({motion.action for motion in library.of_split(split)})
        raise ConfigError(f"no motion shows '{action}' in split '{split}'; known: {', '.join(known)}")
    source = _one_of_a_family(candidates, rng)
    rest = library.rest
    if action is None and source.action in LEGS_ONLY and rng.random() < 0.4:
        donors = [motion for motion in library.of_split(split) if motion.action in ARM_DONORS]
        donor = donors[int(rng.integers(len(donors)))]
        source = augment.mix_upper_body(source, donor, int(rng.integers(max(1, len(donor) - 40))))
    motion = _window(source, rest, n_frames, rng)
    if action is None and rng.random() < 0.3:
        others = [other for other in library.of_split(split) if other.family != source.family]
        motion = _lead_over(motion, _one_of_a_family(others, rng), rest, n_frames, rng)
    motion = augment.style(motion, rest, rng)
    if rng.random() < 0.5:
        motion = augment.mirror(motion)
    return augment.face_anywhere(motion, rest, rng)


def _one_of_a_family(candidates: Sequence[Motion], rng: np.random.Generator) -> Motion:
    families = sorted({motion.family for motion in candidates})
    family = families[int(rng.integers(len(families)))]
    members = [motion for motion in candidates if motion.family == family]
    return members[int(rng.integers(len(members)))]


def _window(source: Motion, rest: RestSkeleton, n_frames: int, rng: np.random.Generator) -> Motion:
    """A stretch of the source, time-warped; a source that is too short is looped."""
    at = augment.warp_frames(n_frames, source.fps, rng, speed=float(rng.uniform(0.8, 1.25)))
    need = int(np.ceil(at[-1])) + 2
    if len(source) < need:
        source = augment.loop(source, rest, need)
    start = int(rng.integers(0, len(source) - need + 1))
    warped = augment.resample(augment.cut(source, start, need), at)
    return lock_feet(warped, rest, warped.contacts)


def _lead_over(motion: Motion, other: Motion, rest: RestSkeleton, n_frames: int, rng: np.random.Generator) -> Motion:
    """Part of `motion`, then `other`; kept as it was where no pose of the two is close."""
    long_enough = augment.loop(other, rest, max(len(other), n_frames))
    joined = augment.transition(motion, long_enough, rest, rng, n_frames)
    return joined if len(joined) == n_frames else motion


def motions_to_table(library: MotionLibrary) -> pd.DataFrame:
    """One row a frame, as `tables.MOTIONS`."""
    rows = [motion_to_rows(motion, split) for motion, split in zip(library, library.splits, strict=True)]
    return pd.concat(rows, ignore_index=True)


def motion_to_rows(motion: Motion, split: Split) -> pd.DataFrame:
    """The part of the table that one motion is."""
    return pd.DataFrame({
        "motion_id": motion.motion_id, "family": motion.family, "action": motion.action, "source": motion.source,
        "split": split, "cyclic": motion.cyclic, "fps": np.float32(motion.fps),
        "frame": np.arange(len(motion), dtype=np.int32),
        "pose": unstack(motion.pose), "translation_m": unstack(motion.translation_m),
        "contacts": unstack(motion.contacts),
    })  # fmt: skip


def motions_from_table(frame: pd.DataFrame, rest: RestSkeleton) -> MotionLibrary:
    """The inverse of `motions_to_table`, in the table's order; `rest` is the skeleton they were made for."""
    motions: list[Motion] = []
    splits: list[Split] = []
    for motion_id, rows in frame.groupby("motion_id", sort=False):
        rows = rows.sort_values("frame")
        first = rows.iloc[0]
        splits.append(first["split"])
        motions.append(
            Motion(
                motion_id=str(motion_id), family=first["family"], action=first["action"], source=first["source"],
                cyclic=bool(first["cyclic"]), fps=float(first["fps"]), pose=stack(rows["pose"], 72),
                translation_m=stack(rows["translation_m"], 3), contacts=stack(rows["contacts"], 2) > 0.5,
            )
        )  # fmt: skip
    return MotionLibrary(tuple(motions), tuple(splits), rest)
