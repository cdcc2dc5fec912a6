"""Two trackers: the papers' Detect-and-Track, faithful to its failures, and ours.

Detect-and-Track links each frame to the one before by intersection over union alone. It has no gate, so it
may link two people who do not touch, and no memory, so one missed frame ends a track. Ours links by box,
keypoints and motion together, never above a cost; it needs a confident detection to begin a track and several
frames to believe in it, and it remembers a person over a gap. It makes two passes (`tracklets`, `join`),
because the whole video is there before tracking begins. Neither tracks across a cut.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from moviestrip.config import TrackingSettings
from moviestrip.errors import FatalError
from moviestrip.skeleton import BODY_25
from moviestrip.tables import TRACKS, empty, stack
from moviestrip.tracking.assign import People, assign, boxes_of, intersection_over_union
from moviestrip.tracking.join import joined
from moviestrip.tracking.sightings import sightings
from moviestrip.tracking.tracklets import tracklets

TrackIds = list[np.ndarray]  # for each frame, (people,) integer ids; -1 for a detection that belongs to no track


def track_video(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """An identity for every detection of one shot, given as (people, joints, 3) for each frame in order."""
    return TRACKERS[settings.tracker](people_by_frame, settings)


def detect_and_track(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """Hungarian on 1 - IoU against the previous frame only; whoever is left over begins a new track."""
    identities: TrackIds = []
    next_identity = 0
    before = np.zeros((0, 4))
    for people in people_by_frame:
        boxes = np.nan_to_num(boxes_of(people, settings.minimum_confidence))
        ids = np.full(len(people), -1)
        for old, new in assign(1 - intersection_over_union(before[:, None], boxes[None])):
            ids[new] = identities[-1][old]
        fresh = np.flatnonzero(ids < 0)
        ids[fresh] = next_identity + np.arange(len(fresh))
        next_identity += len(fresh)
        identities.append(ids)
        before = boxes
    return identities


def moviestrip_tracker(people_by_frame: Sequence[People], settings: TrackingSettings) -> TrackIds:
    """Gated linking, then joining over gaps; identities are numbered by first appearance among the confirmed tracks."""
    seen = sightings(people_by_frame, settings.minimum_confidence)
    pieces = [piece for piece in tracklets(seen, settings) if len(piece) >= settings.confirmed_after_frames]
    identity = np.full(len(seen.frames), -1)
    for number, rows in enumerate(sorted(joined(seen, pieces, settings))):
        identity[rows] = number
    return [identity[first:last] for first, last in itertools.pairwise(seen.starts)]


Tracker = Callable[[Sequence[People], TrackingSettings], TrackIds]
TRACKERS: dict[str, Tracker] = {"moviestrip": moviestrip_tracker, "detect-and-track": detect_and_track}


def track_shard(
    detections: pd.DataFrame, settings: TrackingSettings, shots: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The detections of a shard with a track each: (tables.TRACKS), sorted by video, track and frame.

    With `shots` (tables.SHOTS) each shot is tracked by itself and identities are numbered on through the video;
    without, a video is one shot.
    """
    ordered = detections.sort_values(["video_id", "frame", "person"]).reset_index(drop=True)
    keypoints = stack(ordered["keypoints"], len(BODY_25), 3)
    parts = [
        _track_rows(rows, keypoints[rows.index], _cuts(str(video_id), shots), settings)
        for video_id, rows in ordered.groupby("video_id", sort=True)
    ]
    if not parts:
        return empty(TRACKS)
    return pd.concat(parts, ignore_index=True).sort_values(["video_id", "track", "frame"], ignore_index=True)


def _cuts(video_id: str, shots: pd.DataFrame | None) -> np.ndarray:
    """The frames at which a video's later shots begin."""
    if shots is None:
        return np.zeros(0, int)
    begins = np.sort(shots.loc[shots["video_id"] == video_id, "first_frame"].to_numpy())
    if len(begins) == 0:
        raise FatalError(
            f"video {video_id}: people are detected in it but it has no shots; find the shard's shots anew"
        )
    return begins[1:]


def _track_rows(rows: pd.DataFrame, keypoints: People, cuts: np.ndarray, settings: TrackingSettings) -> pd.DataFrame:
    frames = rows["frame"].to_numpy()
    identity = np.full(len(frames), -1)
    next_identity = 0
    for shot in _shot_slices(frames, cuts):
        found = np.concatenate(track_video(_by_frame(frames[shot], keypoints[shot]), settings))
        identity[shot] = np.where(found >= 0, found + next_identity, -1)
        next_identity += int(found.max()) + 1
    kept = identity >= 0
    return pd.DataFrame(
        {
            "video_id": rows["video_id"].to_numpy()[kept],
            "track": identity[kept],
            "frame": frames[kept],
            "keypoints": list(keypoints[kept].reshape(-1, 3 * len(BODY_25))),
        }
    )


def _shot_slices(frames: np.ndarray, cuts: np.ndarray) -> Iterator[slice]:
    """The detections of each shot that has any; `frames` is sorted."""
    edges = [0, *np.searchsorted(frames, cuts), len(frames)]
    return (slice(first, last) for first, last in itertools.pairwise(edges) if last > first)


def _by_frame(frames: np.ndarray, keypoints: People) -> list[People]:
    """The people of every frame between the first and the last in which somebody is detected."""
    edges = np.searchsorted(frames, np.arange(frames.min(), frames.max() + 2))
    return [keypoints[first:last] for first, last in itertools.pairwise(edges)]
