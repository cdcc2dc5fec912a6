"""The first pass: pieces of tracks, frame after frame, each detection linked to where a person is expected.

A person is expected where a steady filter puts them: half of what a detection is off is taken for noise, and
the velocity changes slowly, so that one bad sight does not send a track away. Whoever is unseen glides on more
and more slowly, and may be the farther off the longer that lasts.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from moviestrip.config import TrackingSettings
from moviestrip.tracking.assign import Links, assign_below
from moviestrip.tracking.sightings import Sightings

BOX_WEIGHT, KEYPOINT_WEIGHT, MOTION_WEIGHT = 0.35, 0.45, 0.2
REACH_DIAGONALS = 0.5  # how far, in diagonals of the person, a detection may lie from where its track is expected
REACH_GROWTH = 0.1  # ... and how much further for each frame the track went unseen
PLACE_GAIN, VELOCITY_GAIN = 0.5, 0.1  # of what a detection is off, how much is believed
VELOCITY_DECAY = 0.85  # a frame, while unseen: people do not walk on for ever
LONGEST_PREDICTION_FRAMES = 10  # unseen; over longer gaps both sides must be known (`moviestrip.tracking.join`)

Tracklet = list[int]  # rows of the sightings, in the order of time


@dataclass
class Live:
    """The pieces that may still go on: their detections, the last of them, and how they move."""

    members: list[Tracklet] = field(default_factory=list)
    last: Int[np.ndarray, " tracks"] = field(default_factory=lambda: np.zeros(0, int))
    velocity_px: Float[np.ndarray, "tracks 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    offset_px: Float[np.ndarray, "tracks 2"] = field(default_factory=lambda: np.zeros((0, 2)))

    def without(self, over: np.ndarray) -> list[Tracklet]:
        """Drop some; returns their detections."""
        ended = [self.members[index] for index in np.flatnonzero(over)]
        self.members = [self.members[index] for index in np.flatnonzero(~over)]
        self.last, self.velocity_px, self.offset_px = self.last[~over], self.velocity_px[~over], self.offset_px[~over]
        return ended

    def begin(self, rows: np.ndarray) -> None:
        self.members += [[int(row)] for row in rows]
        self.last = np.concatenate([self.last, rows])
        self.velocity_px = np.concatenate([self.velocity_px, np.zeros((len(rows), 2))])
        self.offset_px = np.concatenate([self.offset_px, np.zeros((len(rows), 2))])

    def go_on(self, seen: Sightings, tracks: np.ndarray, rows: np.ndarray, shifts_px: np.ndarray) -> None:
        """Take one detection each into some tracks that were expected to have moved by `shifts_px`."""
        gap = (seen.frames[rows] - seen.frames[self.last[tracks]])[:, None]
        moved = seen.moves_px(self.last[tracks], rows)
        off = moved - shifts_px
        moving = np.array([len(self.members[track]) > 1 for track in tracks])[:, None]
        glided = self.velocity_px[tracks] * VELOCITY_DECAY ** (gap - 1)
        self.velocity_px[tracks] = np.where(moving, glided + VELOCITY_GAIN * off / gap, moved / gap)
        self.offset_px[tracks] = np.where(moving, -(1 - PLACE_GAIN) * off, 0.0)
        self.last[tracks] = rows
        for track, row in zip(tracks, rows, strict=True):
            self.members[track].append(int(row))


def glide_frames(gap_frames: Int[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """How many frames' way somebody covers in a gap, slowing down."""
    return (1 - VELOCITY_DECAY**gap_frames) / (1 - VELOCITY_DECAY)


def reach_diagonals(gap_frames: Int[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    return REACH_DIAGONALS + REACH_GROWTH * (gap_frames - 1)


def tracklets(seen: Sightings, settings: TrackingSettings) -> list[Tracklet]:
    """Every detection that is sure, or carries on one that was, in exactly one piece."""
    live, ended = Live(), []
    longest = min(settings.maximum_gap_frames, LONGEST_PREDICTION_FRAMES)
    for frame in range(seen.n_frames):
        rows = np.arange(seen.starts[frame], seen.starts[frame + 1])
        over = frame - seen.frames[live.last] > longest + 1
        if over.any():
            ended += live.without(over)
        if not len(rows):
            continue
        free = np.ones(len(rows), bool)
        if len(live.last):
            free[_link(live, seen, rows, frame, settings)] = False
        sure = seen.seen[rows].any(axis=1) & (seen.confidence[rows] >= settings.minimum_birth_confidence)
        live.begin(rows[free & sure])
    return ended + live.members


def _link(live: Live, seen: Sightings, rows: np.ndarray, frame: int, settings: TrackingSettings) -> np.ndarray:
    """Let the live pieces go on with this frame's detections; which of those were used."""
    gap = frame - seen.frames[live.last]
    shifts_px = live.velocity_px * glide_frames(gap)[:, None] + live.offset_px
    pairs = _pairs(live, seen, rows, shifts_px, gap, settings)
    if not pairs:
        return np.zeros(0, int)
    tracks, used = np.array(pairs).T
    live.go_on(seen, tracks, rows[used], shifts_px[tracks])
    return used


def _pairs(
    live: Live, seen: Sightings, rows: np.ndarray, shifts_px: np.ndarray, gap: np.ndarray, settings: TrackingSettings
) -> Links:
    """The cheapest linking; the dear comparison of poses is made only of those within reach."""
    expected = seen.centers_px[live.last] + shifts_px
    apart = np.linalg.norm(expected[:, None] - seen.centers_px[rows], axis=-1) / seen.diagonals_px[live.last][:, None]
    track, row = np.nonzero(apart <= reach_diagonals(gap)[:, None])
    old, new, shift = live.last[track], rows[row], shifts_px[track]
    cost = np.full(apart.shape, np.nan)
    cost[track, row] = (
        BOX_WEIGHT * (1 - seen.overlaps(old, shift, new))
        + KEYPOINT_WEIGHT * (1 - seen.similarities(old, shift, new, seen.diagonals_px[old]))
        + MOTION_WEIGHT * np.minimum(apart[track, row], 1)
    )
    return assign_below(cost, settings.maximum_cost)
