"""Two trackers: the papers' Detect-and-Track, faithful to its failures, and ours.

Detect-and-Track links each frame to the one before by intersection over union alone. It has no gate, so it
may link two people who do not touch, and no memory, so one missed frame ends a track. Ours predicts each
track at constant velocity, links by box, keypoints and motion together, never above a cost, and needs a
confident detection to begin a track and several frames to believe in it. It remembers a track over a gap;
because the last sight before an occlusion is often a distorted one, whoever reappears is also compared
with where the track used to be.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from moviestrip.config import TrackingSettings
from moviestrip.skeleton import BODY_25
from moviestrip.tables import TRACKS, empty, stack
from moviestrip.tracking.assign import (
    People,
    assign,
    boxes_of,
    centers,
    diagonals,
    intersection_over_union,
    keypoint_similarity,
)

BOX_WEIGHT, KEYPOINT_WEIGHT, MOTION_WEIGHT = 0.35, 0.45, 0.2
REACH_DIAGONALS = 0.5  # how far, in diagonals of the person, a detection may lie from where its track is expected
REACH_GROWTH = 0.1  # ... and how much further for each frame the track went unseen
VELOCITY_MEMORY = 0.6  # of the old velocity in the running mean
VELOCITY_DECAY = 0.85  # a frame, while unseen: people do not walk on for ever
REMEMBERED_FRAMES = 9  # whose median box is where a track used to be
REAPPEARANCE_OVERLAP = 0.2  # least intersection over union of that box and of someone who reappears

TrackIds = list[np.ndarray]  # for each frame, (people,) integer ids; -1 for a detection that belongs to no track


@dataclass
class LiveTrack:
    """What a tracker remembers of one person."""

    people: np.ndarray  # (joints, 3) as last seen
    frame: int
    velocity_px: np.ndarray = field(default_factory=lambda: np.zeros(2))
    members: list[tuple[int, int]] = field(default_factory=list)  # (frame, index in the frame)
    boxes: list[np.ndarray] = field(default_factory=list)  # as seen, the latest last

    def expected(self, frame: int) -> np.ndarray:
        """The last pose moved on at the track's own velocity, which fades while nobody is seen."""
        gap = frame - self.frame
        travelled = self.velocity_px * sum(VELOCITY_DECAY**step for step in range(gap))
        moved = self.people.copy()
        moved[:, :2] += travelled.astype(moved.dtype)
        return moved

    def see(self, person: np.ndarray, frame: int, index: int, minimum_confidence: float) -> None:
        speed = _displacement_px(self.people, person, minimum_confidence) / (frame - self.frame)
        keep = VELOCITY_MEMORY if len(self.members) > 1 else 0.0
        self.velocity_px = keep * self.velocity_px + (1 - keep) * speed
        self.people, self.frame = person, frame
        self.remember(index, minimum_confidence)

    def remember(self, index: int, minimum_confidence: float) -> None:
        self.members.append((self.frame, index))
        self.boxes = [*self.boxes, boxes_of(self.people[None], minimum_confidence)[0]][-REMEMBERED_FRAMES:]


def _displacement_px(before: np.ndarray, after: np.ndarray, minimum_confidence: float) -> np.ndarray:
    """Median move of the keypoints seen both times: the box would also move when a limb comes into view."""
    shared = np.minimum(before[:, 2], after[:, 2]) >= max(minimum_confidence, 1e-9)
    if not shared.any():
        return np.zeros(2)
    return np.median((after - before)[shared, :2].astype(np.float64), axis=0)


def track_video(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """An identity for every detection of one video, given as (people, joints, 3) for each frame in order."""
    return TRACKERS[settings.tracker](people_by_frame, settings)


def detect_and_track(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """Hungarian on 1 - IoU against the previous frame only; whoever is left over begins a new track."""
    identities: TrackIds = []
    next_identity = 0
    before = np.zeros((0, 4))
    for people in people_by_frame:
        boxes = np.nan_to_num(boxes_of(people, settings.minimum_confidence))
        ids = np.full(len(people), -1)
        for old, new in assign(1 - intersection_over_union(before, boxes)):
            ids[new] = identities[-1][old]
        fresh = np.flatnonzero(ids < 0)
        ids[fresh] = next_identity + np.arange(len(fresh))
        next_identity += len(fresh)
        identities.append(ids)
        before = boxes
    return identities


def moviestrip_tracker(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """Gated linking with memory; identities are numbered by first appearance among the confirmed tracks."""
    live: list[LiveTrack] = []
    every: list[LiveTrack] = []
    for frame, people in enumerate(people_by_frame):
        live = [track for track in live if frame - track.frame <= settings.maximum_gap_frames + 1]
        linked = _link(live, people, frame, settings)
        for index in _births(people, linked, settings):
            newborn = LiveTrack(people[index], frame)
            newborn.remember(index, settings.minimum_confidence)
            live.append(newborn)
            every.append(newborn)
    return _identities(people_by_frame, every, settings)


def _link(live: list[LiveTrack], people: People, frame: int, settings: TrackingSettings) -> set[int]:
    """Extend the live tracks by this frame's people; the indices of the people used."""
    if not live or len(people) == 0:
        return set()
    expected = np.stack([track.expected(frame) for track in live])
    cost, allowed = _linking_cost(expected, people, np.array([frame - track.frame for track in live]), settings)
    pairs = assign(cost, allowed)
    for old, new in pairs:
        live[old].see(people[new], frame, new, settings.minimum_confidence)
    used = {new for _, new in pairs}
    lost = [track for number, track in enumerate(live) if track.frame < frame - 1 and number not in dict(pairs)]
    return used | _link_reappeared(lost, people, used, frame, settings)


def _link_reappeared(
    lost: list[LiveTrack], people: People, used: set[int], frame: int, settings: TrackingSettings
) -> set[int]:
    """Give those still unlinked to the lost tracks whose usual place they have."""
    left = [index for index in range(len(people)) if index not in used]
    if not lost or not left:
        return set()
    usual = np.stack([np.nanmedian(track.boxes, axis=0) for track in lost])
    overlap = intersection_over_union(usual, boxes_of(people[left], settings.minimum_confidence))
    pairs = assign(1 - overlap, overlap >= REAPPEARANCE_OVERLAP)
    for old, new in pairs:
        lost[old].see(people[left[new]], frame, left[new], settings.minimum_confidence)
    return {left[new] for _, new in pairs}


def _linking_cost(
    expected: People, people: People, gap_frames: np.ndarray, settings: TrackingSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Cost 0..1 of every pair of track and detection, and whether the pair may be linked at all."""
    old, new = (boxes_of(group, settings.minimum_confidence) for group in (expected, people))
    scale_px = diagonals(old)
    distance = np.linalg.norm(centers(old)[:, None] - centers(new)[None], axis=-1) / np.maximum(scale_px, 1e-6)[:, None]
    similarity = keypoint_similarity(expected, people, scale_px, settings.minimum_confidence)
    cost = (
        BOX_WEIGHT * (1 - intersection_over_union(old, new))
        + KEYPOINT_WEIGHT * (1 - similarity)
        + MOTION_WEIGHT * np.minimum(distance, 1)
    )
    reach = REACH_DIAGONALS + REACH_GROWTH * (gap_frames - 1)
    return cost, (cost <= settings.maximum_cost) & (distance <= reach[:, None])


def _births(people: People, linked: set[int], settings: TrackingSettings) -> list[int]:
    """The unlinked people who are seen surely enough to begin a track."""
    seen = people[..., 2] >= max(settings.minimum_confidence, 1e-9)
    mean = np.where(seen, people[..., 2], 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    sure = seen.any(axis=1) & (mean >= settings.minimum_birth_confidence)
    return [int(index) for index in np.flatnonzero(sure) if index not in linked]


def _identities(people_by_frame: Sequence[People], tracks: list[LiveTrack], settings: TrackingSettings) -> TrackIds:
    identities = [np.full(len(people), -1) for people in people_by_frame]
    confirmed = [track for track in tracks if len(track.members) >= settings.confirmed_after_frames]
    for number, track in enumerate(confirmed):
        for frame, index in track.members:
            identities[frame][index] = number
    return identities


Tracker = Callable[[Sequence[People], TrackingSettings], TrackIds]
TRACKERS: dict[str, Tracker] = {"moviestrip": moviestrip_tracker, "detect-and-track": detect_and_track}


def track_shard(detections: pd.DataFrame, settings: TrackingSettings) -> pd.DataFrame:
    """The detections of a shard with a track each: (tables.TRACKS), sorted by video, track and frame."""
    ordered = detections.sort_values(["video_id", "frame", "person"]).reset_index(drop=True)
    keypoints = stack(ordered["keypoints"], len(BODY_25), 3)
    parts = [_track_rows(rows, keypoints[rows.index], settings) for _, rows in ordered.groupby("video_id", sort=True)]
    if not parts:
        return empty(TRACKS)
    return pd.concat(parts, ignore_index=True).sort_values(["video_id", "track", "frame"], ignore_index=True)


def _track_rows(rows: pd.DataFrame, keypoints: People, settings: TrackingSettings) -> pd.DataFrame:
    frames = rows["frame"].to_numpy()
    by_frame = np.searchsorted(frames, np.arange(frames.max() + 2))
    people = [keypoints[first:last] for first, last in itertools.pairwise(by_frame)]
    identity = np.concatenate(track_video(people, settings))
    kept = identity >= 0
    return pd.DataFrame(
        {
            "video_id": rows["video_id"].to_numpy()[kept],
            "track": identity[kept],
            "frame": frames[kept],
            "keypoints": list(keypoints[kept].reshape(-1, 3 * len(BODY_25))),
        }
    )
