"""A miniature PoseTrack18 in the layout of the release, made from people whose bodies are known."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moviestrip.skeleton import HMMR_25
from tests.datasets.official.stick_figures import FRAMES, filmed_keypoints, write_pictures

VIDEOS = (  # folder of the split, name, families of the motions by track, frames with labels
    ("train", "000001_bonn_train", {0: "walking", 3: "greeting"}, range(2, FRAMES)),
    ("train", "005067_mpii_train", {1: "marching"}, range(FRAMES)),
    ("val", "000342_mpii_test", {0: "running", 1: "jumping_jacks"}, range(FRAMES)),
    ("val", "009473_mpii_test", {0: "waiting"}, [*range(0, 8, 4), *range(8, 38), *range(40, FRAMES, 4)]),
)
NAMES = (
    "nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
).split()
# What each name is among the 25; the ears are never annotated.
PLACES = {
    name: HMMR_25.index({"head_bottom": "neck"}.get(name, name)) for name in NAMES if not name.endswith("_ear")
}  # fmt: skip


@dataclass(frozen=True)
class TruePeople:
    person: np.ndarray
    frame: np.ndarray
    keypoints_px: np.ndarray  # rows, 25, 3


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


def write_posetrack(folder: Path, seed: int = 0) -> Written:
    """Four videos of 48 pictures, two of them with two people, not every frame labelled."""
    people = {}
    for number, (part, stem, families, labelled) in enumerate(VIDEOS):
        acted = {
            track: filmed_keypoints(family, 100 * seed + 10 * number + track, 0.6 * place - 0.3 * (len(families) - 1))
            for place, (track, family) in enumerate(families.items())
        }
        pictures = [f"{frame:06d}.jpg" for frame in range(FRAMES)]
        write_pictures(folder / "images" / part / stem, pictures, list(acted.values()))
        rows = {track: _rows(track, keypoints) for track, keypoints in acted.items()}
        content = annotation(part, stem, rows, list(labelled))
        path = folder / "posetrack_data" / "annotations" / part / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        keys = [(track, frame) for track in sorted(rows) for frame in labelled if rows[track][frame, :, 2].any()]
        people[f"{part}/{stem}"] = TruePeople(
            np.array([track for track, _ in keys]), np.array([frame for _, frame in keys]),
            np.array([rows[track][frame] for track, frame in keys]),
        )  # fmt: skip
    return Written(folder, people)


def _rows(track: int, keypoints: np.ndarray) -> np.ndarray:
    """(frames, 25, 3); now and then an ankle is not annotated, and of the second person nothing at all."""
    result = np.zeros((*keypoints.shape[:2], 3))
    places = list(PLACES.values())
    result[:, places, :2], result[:, places, 2] = keypoints[:, places], 1
    result[20:24, HMMR_25.index("left_ankle")] = 0
    if track:
        result[30:33] = 0
    return result


def annotation(part: str, stem: str, rows: Mapping[int, np.ndarray], labelled: list[int]) -> dict[str, Any]:
    """The content of one file; everyone in a frame together, as the release orders them."""
    video = stem.split("_")[0]
    first = int(f"1{video}0000")
    images = [
        {"has_no_densepose": True, "is_labeled": frame in labelled,
         "file_name": f"images/{part}/{stem}/{frame:06d}.jpg", "nframes": FRAMES, "frame_id": first + frame,
         "vid_id": video, "id": first + frame}
        for frame in range(FRAMES)
    ]  # fmt: skip
    images[0] |= {"ignore_regions_x": [[0, 5, 5]], "ignore_regions_y": [[0, 0, 5]]}
    people = [
        {"bbox_head": [1, 2, 3, 4], "keypoints": _triples(rows[track][frame]), "track_id": track,
         "image_id": first + frame, "bbox": [1.0, 2.0, 50.0, 90.0], "scores": [], "category_id": 1,
         "id": 100 * (first + frame) + track}
        for frame in labelled
        for track in sorted(rows)
    ]  # fmt: skip
    category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[16, 14]]}
    return {"images": images, "annotations": people, "categories": [category]}


def _triples(keypoints: np.ndarray) -> list[float]:
    result: list[float] = []
    for name in NAMES:
        x, y, seen = (float(value) for value in keypoints[PLACES[name]]) if name in PLACES else (0.0, 0.0, 0.0)
        result += [x, y, int(seen)]
    return result
