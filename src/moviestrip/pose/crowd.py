"""Everyone in a frame with several people, the far ones too: MoveNet finds them, BlazePose places their landmarks.

MoveNet looks at every scale at which one may stand. The landmark network looks at each it finds; where that does
not see the person MoveNet found, or sees the one beside, MoveNet's own keypoints stay, if they are sure enough.
"""

import math

import numpy as np
from jaxtyping import Float

from moviestrip.pose.blazepose import LandmarkNetwork
from moviestrip.pose.body25 import MIDWAY, body_25_from_blazepose
from moviestrip.pose.movenet import Candidate, Frame, MoveNet
from moviestrip.skeleton import BODY_25, COCO_17, convert, indices_of

SMALLEST_PERSON_PX, SMALLEST_PERSON_SHARE = 80.0, 1 / 8  # unless asked: the larger of so many and this of the height
SEARCHED_HEIGHT_PX = 100.0  # in the network's picture, of the smallest person asked for
SCALE_STEP = 3.0  # people from once to three times that height are found in one picture
COARSEST_SIDE_PX = 512

ALONE_SCORE = 0.4  # of a candidate that the landmark network does not confirm
ALONE_CONFIDENCE = 0.28  # mean over its limbs
SAME_PERSON_DISTANCE = 0.1  # of the region's side, mean over the limbs
AGREEING_DISTANCE = 0.12
LARGEST_SHARED_BOX = 0.5  # of the box of someone MoveNet alone sees
SEEN_CONFIDENCE = 0.15
SMALLEST_REGION = 0.75  # of the smallest person's height: what is seen smaller is more often a thing than a person
LIMBS = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)  # fmt: skip
LIMBS_17, LIMBS_25 = indices_of(LIMBS, COCO_17), indices_of(LIMBS, BODY_25)


class CrowdDetector:
    """BODY_25 keypoints of at most `maximum_people` people of a frame, the surest first."""

    def __init__(self, landmark_model: str, maximum_people: int, smallest_person_px: float | None):
        self._finder = CrowdFinder(smallest_person_px)
        self._landmarks = LandmarkNetwork(landmark_model)
        self._maximum_people = maximum_people

    def __call__(self, frame: Frame) -> Float[np.ndarray, "people 25 3"]:
        """First those whom both networks see, then those whom MoveNet alone is sure of and who are nobody else."""
        confirmed: list[np.ndarray] = []
        alone: list[np.ndarray] = []
        for candidate in self._finder(frame):
            if len(confirmed) == self._maximum_people:
                break
            side_px = candidate.region.side_px
            person = self._confirmed(frame, candidate)
            if person is None and stands_alone(candidate):
                alone.append(body_25_from_coco(candidate.keypoints))
            elif person is not None and not any(same_person(person, other, side_px) for other in confirmed):
                confirmed.append(person)
        people = confirmed
        for person in alone:
            if not any(lies_over(person, other) for other in people):
                people.append(person)
        return np.array(people[: self._maximum_people]).reshape(-1, 25, 3)

    def _confirmed(self, frame: Frame, candidate: Candidate) -> Float[np.ndarray, "25 3"] | None:
        """The landmarks, where the landmark network sees the person MoveNet sees."""
        landmarks = self._landmarks(frame, candidate.region)
        if landmarks is None:
            return None
        person = body_25_from_blazepose(landmarks.keypoints)
        apart_px = limb_distance(person, body_25_from_coco(candidate.keypoints))
        return person if apart_px <= AGREEING_DISTANCE * candidate.region.side_px else None


class CrowdFinder:
    """Candidates of a frame at every scale, each person once, the surest first."""

    def __init__(self, smallest_person_px: float | None):
        self._network = MoveNet()
        self._smallest_person_px = smallest_person_px

    def __call__(self, frame: Frame) -> list[Candidate]:
        smallest_px = self._smallest_person_px or max(SMALLEST_PERSON_PX, frame.shape[0] * SMALLEST_PERSON_SHARE)
        sides = searched_sides_px(max(frame.shape[:2]), smallest_px)
        found = [candidate for side_px in sides for candidate in self._network(frame, side_px)]
        found = [candidate for candidate in found if candidate.region.side_px >= SMALLEST_REGION * smallest_px]
        found.sort(key=lambda candidate: -candidate.score)
        return distinct(found)


def searched_sides_px(longer_side_px: int, smallest_person_px: float) -> list[int]:
    """Longer sides of the pictures to search: the finest shows the smallest person large enough, the next less."""
    side = longer_side_px * SEARCHED_HEIGHT_PX / smallest_person_px
    sides = [side]
    while side > COARSEST_SIDE_PX:
        side /= SCALE_STEP
        sides.append(side)
    return [max(1, math.ceil(side)) for side in sides]


def stands_alone(candidate: Candidate) -> bool:
    """Whether MoveNet is so sure of it that the landmark network need not see it."""
    return candidate.score >= ALONE_SCORE and bool(candidate.keypoints[LIMBS_17, 2].mean() >= ALONE_CONFIDENCE)


def distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Without those that show someone already among the ones before."""
    kept: list[tuple[Candidate, np.ndarray, float]] = []
    for candidate in candidates:
        limbs, side_px = candidate.keypoints[LIMBS_17, :2], candidate.region.side_px
        if all(
            np.linalg.norm(limbs - other, axis=1).mean() > SAME_PERSON_DISTANCE * max(side_px, other_px)
            for _, other, other_px in kept
        ):
            kept.append((candidate, limbs, side_px))
    return [candidate for candidate, _, _ in kept]


def same_person(first: Float[np.ndarray, "25 3"], second: Float[np.ndarray, "25 3"], side_px: float) -> bool:
    apart = np.linalg.norm(first[LIMBS_25, :2] - second[LIMBS_25, :2], axis=1).mean()
    return bool(apart <= SAME_PERSON_DISTANCE * side_px)


def lies_over(person: Float[np.ndarray, "25 3"], other: Float[np.ndarray, "25 3"]) -> bool:
    """Whether most of a person's box is another's: then it is more often that other, mistaken, than one behind."""
    boxes = [(limbs.min(0), limbs.max(0)) for limbs in (person[LIMBS_25, :2], other[LIMBS_25, :2])]
    shared = np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0])
    area = np.prod(boxes[0][1] - boxes[0][0])
    return bool(np.prod(np.maximum(shared, 0)) > LARGEST_SHARED_BOX * area)


def limb_distance(person: Float[np.ndarray, "25 3"], own: Float[np.ndarray, "25 3"]) -> float:
    """Mean distance in pixels over the limbs that MoveNet sees; endless when it sees none."""
    seen = own[LIMBS_25, 2] > SEEN_CONFIDENCE
    if not seen.any():
        return math.inf
    return float(np.linalg.norm((person - own)[LIMBS_25][seen, :2], axis=1).mean())


def body_25_from_coco(keypoints: Float[np.ndarray, "17 3"]) -> Float[np.ndarray, "25 3"]:
    """BODY_25 of MoveNet's points; those of the feet, which it does not know, are all zero."""
    result = convert(keypoints, COCO_17, BODY_25)
    for name, pair in MIDWAY.items():
        ends = keypoints[indices_of(pair, COCO_17)]
        result[BODY_25.index(name)] = [*ends[:, :2].mean(0), ends[:, 2].min()]
    return result
