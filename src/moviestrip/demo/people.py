"""Who is in the footage: detected, tracked, boxed, and turned into the features a model reads."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.config import CurationSettings, DetectorSettings, TrackingSettings
from moviestrip.curate.clips import Person, tracked_people
from moviestrip.curate.tube import frame_boxes, person_tube
from moviestrip.demo.footage import Footage
from moviestrip.errors import FatalError
from moviestrip.features.backbones import Backbone
from moviestrip.features.extraction import Tube, video_crops
from moviestrip.pose.openpose import detect_shard
from moviestrip.progress import track
from moviestrip.tables import DETECTIONS, empty
from moviestrip.tracking.trackers import track_shard

FRAMES_AT_ONCE = 500  # given to the detector together: what bounds its files on disk, and the time it is allowed
VIDEO = "footage"


@dataclass(frozen=True)
class TrackedPerson:
    """One person's smooth box in every frame from the first to the last in which they were found."""

    identity: int
    first_frame: int
    box_center_px: Float[np.ndarray, "frames 2"]
    box_scale: Float[np.ndarray, " frames"]

    @property
    def n_frames(self) -> int:
        return len(self.box_scale)

    @property
    def tube(self) -> Tube:
        frames = np.arange(self.first_frame, self.first_frame + self.n_frames)
        return Tube(str(self.identity), VIDEO, frames, self.box_center_px, self.box_scale)


def detect(
    footage: Footage, settings: DetectorSettings, maximum_people: int, smallest_person_px: float | None
) -> pd.DataFrame:
    """DETECTIONS of the whole footage, a piece at a time."""
    frames, parts = footage.frames(), []
    for first in range(0, footage.n_frames, FRAMES_AT_ONCE):
        count = min(FRAMES_AT_ONCE, footage.n_frames - first)
        video = pd.DataFrame({"video_id": [VIDEO], "status": ["ok"], "n_frames": [count]})
        found = detect_shard(
            video,
            lambda _: islice(frames, FRAMES_AT_ONCE),
            settings,
            maximum_people,
            smallest_person_px=smallest_person_px,
        )
        (problem,) = found.answers["reason"]
        if problem:
            raise FatalError(f"{problem}; the detector must answer every frame in OpenPose's JSON")
        parts.append(found.detections.assign(frame=found.detections["frame"] + first))
    return pd.concat(parts, ignore_index=True) if parts else empty(DETECTIONS)


def follow(
    detections: pd.DataFrame, tracking: TrackingSettings, curation: CurationSettings, minimum_detections: int
) -> list[TrackedPerson]:
    """Everyone who is found often enough, their box filled in where they were not, and smoothed."""
    people = list(tracked_people(track_shard(detections, tracking)))
    counts = [_measured(person, curation) for person in people]
    kept = [person for person, count in zip(people, counts, strict=True) if count >= minimum_detections]
    if not kept:
        seen = f"the longest of {len(counts)} tracks has {max(counts)} detections" if counts else "nobody was detected"
        raise FatalError(
            f"no people found: {seen}, --minimum-detections is {minimum_detections}; lower it, or give a video in "
            f"which people are larger and longer in view"
        )
    return [_boxed(person, curation) for person in kept]


def _measured(person: Person, settings: CurationSettings) -> int:
    """In how many frames the person's box can be told."""
    return int(np.isfinite(frame_boxes(person.keypoints, settings.minimum_confidence)).all(axis=1).sum())


def _boxed(person: Person, settings: CurationSettings) -> TrackedPerson:
    boxes = person_tube(person.keypoints, settings)
    return TrackedPerson(person.track, person.first_frame, boxes[:, :2], boxes[:, 2])


def features(
    footage: Footage, people: list[TrackedPerson], backbone: Backbone
) -> dict[int, Float[np.ndarray, "frames features"]]:
    """phi of every frame of everyone, by identity."""
    phi = {person.identity: np.empty((person.n_frames, backbone.dimension), np.float32) for person in people}
    crops = video_crops(footage.frames(), [person.tube for person in people], backbone)
    for identity, frame, crop in track(crops, "features", sum(person.n_frames for person in people)):
        phi[int(identity)][frame] = backbone(crop[None])[0]
    bad = [identity for identity, values in phi.items() if not np.isfinite(values).all()]
    if bad:
        raise FatalError(f"{backbone.name}: features of person {bad[0]} are not finite; is its checkpoint damaged?")
    return phi
