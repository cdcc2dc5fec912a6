"""The second pass: pieces of tracks joined over the gaps between them, all at once and knowing both sides.

Where somebody reappears is compared with where the one who was lost would have gone, and where the lost one was
with where the one who reappears must have come from. The last sight before an occlusion is often a distorted
one, so whoever has the usual place of a lost person is also taken for them. Pieces may share one frame, in which
the detector saw a person twice.
"""

import numpy as np
from jaxtyping import Float

from moviestrip.config import TrackingSettings
from moviestrip.tracking.assign import assign, diagonals, intersection_over_union
from moviestrip.tracking.sightings import SMALLEST_DIAGONAL_PX, Sightings
from moviestrip.tracking.tracklets import Tracklet, glide_frames, reach_diagonals

SPEED_FRAMES = 5  # detections that tell how fast a piece ends or begins
USUAL_FRAMES = 9  # whose median box is where a person usually is
USUAL_OVERLAP = 0.2  # least intersection over union of two usual boxes that make them one person's
FARTHEST_DIAGONALS = 1.0
LARGEST_GROWTH = 1.5  # of a person between two pieces: someone else's size is someone else


def joined(seen: Sightings, pieces: list[Tracklet], settings: TrackingSettings) -> list[Tracklet]:
    """The pieces, those of one person as one."""
    if len(pieces) < 2:
        return pieces
    following = dict(assign(_joining_cost(seen, pieces, settings)))
    chains = []
    for first in sorted(set(range(len(pieces))) - set(following.values())):
        chain: Tracklet = []
        piece: int | None = first
        while piece is not None:
            begin = seen.frames[pieces[piece][0]]
            chain = [row for row in chain if seen.frames[row] < begin] + pieces[piece]
            piece = following.get(piece)
        chains.append(chain)
    return chains


def _joining_cost(seen: Sightings, pieces: list[Tracklet], settings: TrackingSettings) -> np.ndarray:
    """(pieces that end, pieces that begin): NaN where the one cannot be the other's continuation."""
    last, first = np.array([piece[-1] for piece in pieces]), np.array([piece[0] for piece in pieces])
    gaps = seen.frames[first] - seen.frames[last][:, None]
    later = seen.frames[first] > seen.frames[first][:, None]  # a gap of 0: seen twice in the frame of the change
    end, begin = np.nonzero(later & (gaps >= 0) & (gaps <= settings.maximum_gap_frames + 1))
    gap = gaps[end, begin]
    usual_end = np.array([np.median(seen.boxes[piece[-USUAL_FRAMES:]], axis=0) for piece in pieces])[end]
    usual_begin = np.array([np.median(seen.boxes[piece[:USUAL_FRAMES]], axis=0) for piece in pieces])[begin]
    sizes_px = np.maximum(diagonals(np.stack([usual_end, usual_begin])), SMALLEST_DIAGONAL_PX)
    apart = _apart_px(seen, pieces, last[end], first[begin], end, begin) / sizes_px.mean(axis=0)
    overlap = intersection_over_union(usual_end, usual_begin)
    growth = np.abs(np.log(sizes_px[0] / sizes_px[1]))
    moved_there = (apart <= np.minimum(reach_diagonals(gap), FARTHEST_DIAGONALS)) & (growth <= np.log(LARGEST_GROWTH))
    possible = moved_there | (overlap >= USUAL_OVERLAP)
    cost = np.full(gaps.shape, np.nan)
    cost[end, begin] = np.where(possible, apart + (1 - overlap) / 2 + growth, np.nan)
    return cost


def _apart_px(
    seen: Sightings, pieces: list[Tracklet], last: np.ndarray, first: np.ndarray, end: np.ndarray, begin: np.ndarray
) -> Float[np.ndarray, " pairs"]:
    """How far the end, moved on, is from the beginning, and the beginning, moved back, from the end: the mean."""
    leaving = _speeds_px(seen, [piece[-SPEED_FRAMES:] for piece in pieces])[end]
    coming = _speeds_px(seen, [piece[: SPEED_FRAMES + 1] for piece in pieces])[begin]
    way = glide_frames(seen.frames[first] - seen.frames[last])[:, None]
    step = seen.centers_px[first] - seen.centers_px[last]
    return (np.linalg.norm(step - leaving * way, axis=1) + np.linalg.norm(step - coming * way, axis=1)) / 2


def _speeds_px(seen: Sightings, parts: list[Tracklet]) -> Float[np.ndarray, "parts 2"]:
    """A frame, from the first of a few detections to the last."""
    before, after = np.array([part[0] for part in parts]), np.array([part[-1] for part in parts])
    return seen.moves_px(before, after) / np.maximum(seen.frames[after] - seen.frames[before], 1)[:, None]
