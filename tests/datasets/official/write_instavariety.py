"""A miniature InstaVariety in the layout of the release: lists, fetched videos, and a JSON file a person and frame."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moviestrip.skeleton import HMMR_25
from tests.datasets.official.filmed import FRAMES, film

# As the release writes them; 'Hip' is between the hips, and no file has 'Head'.
NAMES = {
    name: " ".join({"left": "L", "right": "R"}.get(word, word.capitalize()) for word in name.split("_"))
    for name in HMMR_25
    if name != "head_top"
}
SPLITS = {
    "train": (
        "deadlift/44782930_274333323423402_7225259367065452001_n",
        "dancing/45184041_497635877402800_6781787531143806002_n",
        "dancing/45184041_497635877402800_6781787531143806003_n",  # gone from Instagram
    ),
    "test": (
        "golf/43695390_248030535857695_6354835552486817004_n",
        "golf/43695390_248030535857695_6354835552486817005_n",
        "yoga/43695390_248030535857695_6354835552486817006_n",  # its download failed
    ),
}
FETCHED = (*SPLITS["train"][:2], *SPLITS["test"][:2])
SECOND_SHOT = 30  # the frame from which the second video's person is another track


@dataclass(frozen=True)
class TruePeople:
    person: np.ndarray
    frame: np.ndarray
    keypoints_px: np.ndarray


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video; none where HMMR has no tracks
    missing: tuple[str, ...]


def write_instavariety(folder: Path, seed: int = 0) -> Written:
    """Four videos of 48 frames, two that are gone, and one that only InstaVariety.json lists."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    people = {}
    for number, name in enumerate(FETCHED):
        filmed = film(number, seed)
        _write(folder / "videos" / f"{name}.mp4", filmed.video)
        tracks = {str(person): scored(points, draw) for person, points in enumerate(filmed.keypoints_px)}
        if number == 1:
            first, whole = np.arange(FRAMES) < SECOND_SHOT, tracks["0"]
            tracks = {"2": np.where(first[:, None, None], whole, 0), "10": np.where(first[:, None, None], 0, whole)}
            (folder / "InstaVariety_tracks" / name / "3").mkdir(parents=True)  # the release has empty tracks
        people[name] = write_tracks(folder / "InstaVariety_tracks" / name, tracks)
    _write(folder / "videos" / f"{SPLITS['test'][2]}.mp4", b"")
    untracked = "yoga/43695390_248030535857695_6354835552486817007_n"
    _write(folder / "videos" / untracked, film(0, seed).video)  # youtube-dl was asked for a name without an ending
    for split, names in SPLITS.items():
        (folder / f"insta_variety_{split}.txt").write_text("".join(f"{name}\n" for name in names))
    posts = [_post(name) for name in (*SPLITS["train"], *SPLITS["test"], untracked)]
    (folder / "InstaVariety.json").write_text(json.dumps(posts))
    return Written(folder, people, (SPLITS["train"][2], SPLITS["test"][2]))


def write_tracks(folder: Path, tracks: Mapping[str, np.ndarray]) -> TruePeople:
    """A folder a track and in it a file for each frame in which anything is seen."""
    rows = []
    for person, (track, keypoints) in enumerate(tracks.items()):
        for frame in np.flatnonzero((keypoints[..., 2] > 0).any(axis=1)).tolist():
            _write(folder / track / f"{frame:05d}.json", json.dumps(fields_of(keypoints[frame], frame)).encode())
            rows.append((person, frame, keypoints[frame]))
    person, frame, keypoints = zip(*rows, strict=True)
    return TruePeople(np.array(person), np.array(frame), np.array(keypoints))


def fields_of(keypoints: np.ndarray, frame: int) -> dict:
    seen = keypoints[keypoints[:, 2] > 0, :2]
    low, high = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    points = {
        name: dict(zip(("x", "y", "logits"), keypoints[HMMR_25.index(joint)].tolist(), strict=True))
        for joint, name in NAMES.items()
    }
    hips = keypoints[[HMMR_25.index("left_hip"), HMMR_25.index("right_hip")]]
    points["Hip"] = dict(zip(("x", "y", "logits"), hips.mean(axis=0).tolist(), strict=True))
    return {
        "frame": frame,
        "imloc": f"frame{frame + 1:05d}.jpg",
        "track_id": 0,
        "bbox": {"xmin": low[0], "ymin": low[1], "xmax": high[0], "ymax": high[1]},
        **{name: {**point, "probability": None} for name, point in points.items()},
    }


def scored(keypoints: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """With OpenPose's confidence in what is seen, and zeros for what it does not see or does not know."""
    result = keypoints.astype(np.float64)
    result[..., 2] *= draw.uniform(0.4, 0.95, result.shape[:2])
    result[:, HMMR_25.index("head_top")] = 0
    return np.where(result[..., 2:] > 0, result, 0).astype(np.float32)


def _post(name: str) -> dict:
    tag, video_id = name.split("/")
    return {
        "download_tag": tag, "urls": [f"{video_id}.mp4"], "is_video": True, "tags": [tag], "shortcode": video_id[-6:],
        "dimensions": {"width": 160, "height": 160}, "taken_at_timestamp": 1540000000, "id": video_id.split("_")[1],
    }  # fmt: skip


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
