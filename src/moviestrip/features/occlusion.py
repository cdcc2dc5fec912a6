"""Opaque objects pasted over crops, after Sarandi et al., as TCMR's release does before the backbone.

Each frame gets objects of its own: one to seven, anywhere in the crop, at a random size. The release pastes
cut-outs of Pascal VOC, which are licensed separately; without a folder of them, objects are painted here, in
their range of sizes. Objects have their natural size in a crop of 256 px.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from moviestrip.config import FeatureSettings
from moviestrip.errors import ConfigError

Crop = UInt8[np.ndarray, "side side 3"]
Occluder = UInt8[np.ndarray, "height width 4"]

FEWEST_OBJECTS, MOST_OBJECTS = 1, 7
SHRUNK_TO = (0.2, 1.0)
REFERENCE_CROP_PX = 256
PAINTED_OBJECTS = 96
PAINTED_PX = (40.0, 250.0)  # the longer side; as VOC's objects, halved as in the release
REACH = 1.45  # of a turned box's corners, in half sides


def occlude(crop: Crop, occluders: Sequence[Occluder], random: np.random.Generator) -> Crop:
    """The crop with a random number of objects over it."""
    covered, side_px = crop.copy(), len(crop)
    for _ in range(random.integers(FEWEST_OBJECTS, MOST_OBJECTS + 1)):
        occluder = occluders[int(random.integers(len(occluders)))]
        factor = random.uniform(*SHRUNK_TO) * side_px / REFERENCE_CROP_PX
        paste(covered, _resized(occluder, factor), random.uniform(0, side_px, 2))
    return covered


def occlude_frame(crop: Crop, occluders: Sequence[Occluder], clip_id: str, frame: int, seed: int) -> Crop:
    """`occlude`, decided by the seed, the copy's id and the frame alone."""
    return occlude(crop, occluders, np.random.default_rng([seed, zlib.crc32(clip_id.encode()), frame]))


def paste(crop: Crop, occluder: Occluder, center_px: Float[np.ndarray, "2"]) -> None:
    """Blend an object into the crop, in place; what reaches beyond the crop is cut off."""
    size = np.array(occluder.shape[1::-1])
    first = np.rint(center_px).astype(int) - size // 2
    start, stop = np.clip(first, 0, len(crop)), np.clip(first + size, 0, len(crop))
    rows, columns = (slice(*edges) for edges in zip(start[::-1], stop[::-1], strict=True))
    inside = occluder[start[1] - first[1] : stop[1] - first[1], start[0] - first[0] : stop[0] - first[0]]
    opacity = inside[..., 3:].astype(np.float32) / 255
    crop[rows, columns] = np.rint(opacity * inside[..., :3] + (1 - opacity) * crop[rows, columns]).astype(np.uint8)


def _resized(occluder: Occluder, factor: float) -> Occluder:
    size = [max(1, round(length * factor)) for length in occluder.shape[1::-1]]
    return cv2.resize(occluder, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def occluders_of(settings: FeatureSettings, seed: int) -> list[Occluder]:
    """The cut-outs of `features.occluder_folder`, or painted objects without one."""
    if settings.occluder_folder is not None:
        return read_occluders(settings.occluder_folder)
    random = np.random.default_rng([seed, zlib.crc32(b"occluders")])
    return [paint_object(random) for _ in range(PAINTED_OBJECTS)]


def read_occluders(folder: Path) -> list[Occluder]:
    """Every PNG below a folder, in the order of their names."""
    if not folder.is_dir():
        raise ConfigError(f"features.occluder_folder: there is no folder {folder}; leave it empty for painted objects")
    paths = sorted(folder.rglob("*.png"))
    if not paths:
        raise ConfigError(f"features.occluder_folder: {folder} holds no .png; leave it empty for painted objects")
    return [_read_occluder(path) for path in paths]


def _read_occluder(path: Path) -> Occluder:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ConfigError(f"features.occluder_folder: {path} is not a picture; remove it or save it again")
    if picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        raise ConfigError(
            f"features.occluder_folder: {path} has shape {picture.shape} and type {picture.dtype}; a cut-out needs "
            f"red, green, blue and opacity of 8 bits each"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


def paint_object(random: np.random.Generator) -> Occluder:
    """One object: a box, ball, bottle or blob of random proportions, with a pattern, shaded, edges anti-aliased."""
    side_px = round(float(np.exp(random.uniform(*np.log(PAINTED_PX)))))
    axis = np.linspace(-REACH, REACH, round(REACH * side_px))
    across, along = np.meshgrid(axis, axis)
    turn = random.uniform(0, 2 * np.pi)
    across, along = np.cos(turn) * across - np.sin(turn) * along, np.sin(turn) * across + np.cos(turn) * along
    outwards = _outwards(across, along, random)
    colour = _pattern(across, along, random)
    colour *= 1 + 0.3 * (across * random.uniform(-1, 1) + along * random.uniform(-1, 1))[..., None]
    colour *= (1 - 0.25 * np.clip(outwards, 0, 1) ** 4)[..., None]
    opacity = np.clip((1 - outwards) * side_px / 2 + 0.5, 0, 1)
    painted = np.rint(255 * np.clip(np.dstack([colour, opacity]), 0, 1)).astype(np.uint8)
    rows, columns = (np.flatnonzero(opacity.any(axis)) for axis in (1, 0))
    return painted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _outwards(
    across: Float[np.ndarray, "side side"], along: Float[np.ndarray, "side side"], random: np.random.Generator
) -> Float[np.ndarray, "side side"]:
    """0 at the middle of an object and 1 on its outline: a superellipse, half of them dented."""
    slenderness = random.choice([1.0, 0.8, 0.6, 0.3])
    power = random.choice([1.5, 2.0, 4.0, 10.0])
    distance = (np.abs(across / slenderness) ** power + np.abs(along) ** power) ** (1 / power)
    if random.random() < 0.5:
        return distance
    angle, dented = np.arctan2(along, across), np.ones_like(across)
    for lobes in range(2, 6):
        dented += random.uniform(0, 0.12) * np.cos(lobes * angle + random.uniform(0, 2 * np.pi))
    return distance * dented / dented.min()


def _pattern(
    across: Float[np.ndarray, "side side"], along: Float[np.ndarray, "side side"], random: np.random.Generator
) -> Float[np.ndarray, "side side 3"]:
    """Two colours in stripes, checks, blotches or speckles, or one alone."""
    period = random.uniform(2, 9) * np.pi
    stripes, bars = np.sin(period * along) > 0, np.sin(period * across) > 0
    blotches = cv2.resize(random.random((6, 6)), across.shape[::-1], interpolation=cv2.INTER_CUBIC)
    kind = random.choice(["plain", "stripes", "checks", "blotches", "speckles"])
    share = {
        "plain": np.zeros_like(across),
        "stripes": stripes,
        "checks": stripes ^ bars,
        "blotches": np.clip(blotches, 0, 1),
        "speckles": random.random(across.shape),
    }[str(kind)]
    first, second = _colour(random), _colour(random)
    return first + (second - first) * share.astype(float)[..., None]


def _colour(random: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Mostly muted, as things are."""
    grey, vivid = random.uniform(0.08, 0.95), random.random(3)
    return grey + (vivid - grey) * random.uniform(0, 0.9)
