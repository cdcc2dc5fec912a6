"""Everyone in one frame: a finder proposes regions, the landmark network confirms and refines each.

The finder of BlazePose is made for one or two people near the camera; for more, the frame is also searched
in overlapping windows, or, better, MoveNet finds everyone (`crowd`).
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from moviestrip.errors import FatalError
from moviestrip.pose.blazepose import LandmarkNetwork, Landmarks, PersonFinder, Region
from moviestrip.pose.body25 import body_25_from_blazepose
from moviestrip.pose.crowd import CrowdDetector
from moviestrip.pose.movenet import MoveNetFinder

WINDOW_SHARE = 2 / 3
WINDOW_DENSITY = 1.4
SAME_REGION_OVERLAP = 0.5
SAME_BODY_DISTANCE = 0.08  # of the region's side, mean over the landmarks

Frame = UInt8[np.ndarray, "height width 3"]
Proposer = Callable[[Frame], list[Region]]
Detector = Callable[[Frame], Float[np.ndarray, "people 25 3"]]


class PeopleDetector:
    """BODY_25 keypoints of at most `maximum_people` people of a frame, the surest finds first."""

    def __init__(
        self,
        landmark_model: str = "full",
        finder: str = "blazepose",
        maximum_people: int = 1,
        smallest_person_px: float | None = None,
    ):
        self._crowd: Detector | None = None
        if finder == "movenet" and maximum_people > 1:
            self._crowd = CrowdDetector(landmark_model, maximum_people, smallest_person_px)
            return
        self._landmarks = LandmarkNetwork(landmark_model)
        self._propose = proposer(finder, maximum_people)
        self._maximum_people = maximum_people

    def __call__(self, frame: Frame) -> Float[np.ndarray, "people 25 3"]:
        if self._crowd is not None:
            return self._crowd(frame)
        people = self.landmarks(frame)
        keypoints = np.array([person.keypoints for person in people]).reshape(-1, 33, 3)
        return body_25_from_blazepose(keypoints)

    def landmarks(self, frame: Frame) -> list[Landmarks]:
        people: list[Landmarks] = []
        for region in self._propose(frame):
            if len(people) == self._maximum_people:
                break
            if any(region_overlap(region, person.region) > SAME_REGION_OVERLAP for person in people):
                continue
            person = self._landmarks(frame, region)
            if person is not None and not any(same_body(person, other) for other in people):
                people.append(person)
        return people


def proposer(finder: str, maximum_people: int) -> Proposer:
    """What proposes regions to look at, by the name of the finder."""
    if finder == "movenet":
        return MoveNetFinder()
    if finder != "blazepose":
        raise FatalError(f"finder '{finder}' is not known; known: blazepose, movenet")
    find = PersonFinder()
    if maximum_people == 1:
        return lambda frame: [found.region for found in find(frame)]
    return lambda frame: [found.region for found in find.in_windows(frame, search_windows(*frame.shape[1::-1]))]


def search_windows(width_px: int, height_px: int) -> list[tuple[int, int, int, int]]:
    """The whole frame, then overlapping squares two thirds of its shorter side: (x, y, width, height)."""
    side = max(1, int(min(width_px, height_px) * WINDOW_SHARE))
    lefts, tops = _starts(width_px, side), _starts(height_px, side)
    return [(0, 0, width_px, height_px), *((left, top, side, side) for top in tops for left in lefts)]


def _starts(length_px: int, side_px: int) -> list[int]:
    count = max(2, math.ceil(length_px / side_px * WINDOW_DENSITY))
    return [int(start) for start in np.linspace(0, length_px - side_px, count)]


def region_overlap(first: Region, second: Region) -> float:
    """Intersection over union of two regions, their turn left aside."""
    reach = (first.side_px + second.side_px) / 2
    shared = 1.0
    for distance in (first.center_x_px - second.center_x_px, first.center_y_px - second.center_y_px):
        shared *= max(0.0, min(reach - abs(distance), first.side_px, second.side_px))
    union = first.side_px**2 + second.side_px**2 - shared
    return shared / union if union > 0 else 0.0


def same_body(first: Landmarks, second: Landmarks) -> bool:
    """Whether two finds are one person: their landmarks nearly coincide."""
    apart = np.linalg.norm(first.keypoints[:, :2] - second.keypoints[:, :2], axis=1).mean()
    return bool(apart < SAME_BODY_DISTANCE * max(first.region.side_px, second.region.side_px))
