"""Trackers on people whose identities are known, beside public ones; the scores are TrackEval's.

    python -m benchmarks.tracking [--folder FOLDER] [--peers PYTHON]

The miniature world films 20 videos of two to four people who cross, hide each other, leave and come back; the embedded
detector looks at every frame, and once more its detections are spoilt by chance. Filming takes some twenty minutes and
is kept in FOLDER. Constants were chosen on the videos of even number; the odd ones are reported. The public trackers
run in an environment of their own, PYTHON's, or one that is made in FOLDER from benchmarks/requirements.txt.
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings, TrackingSettings
from moviestrip.parts import cache_folder
from moviestrip.pose.people import PeopleDetector
from moviestrip.progress import track
from moviestrip.skeleton import BODY_25, SMPL_24, indices_of
from moviestrip.storage import atomic_path
from moviestrip.tracking.assign import boxes_of
from moviestrip.tracking.sightings import sightings
from moviestrip.tracking.trackers import TRACKERS, track_video
from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.motions import MotionLibrary, motion_library
from moviestrip.world.plan import VideoSpec, child_generator
from moviestrip.world.render import Take, prepare, render_frames

VIDEOS, FRAMES = 20, 100
SCENES = ("street", "insta", "hall", "gym", "court")
SIZES_PX = (256, 384, 512, 640)
MOST_PEOPLE = 4
CASTINGS = 5  # of a video: the one in which people cross each other most
CROSSING_OVERLAP = 0.3
CROSSINGS_ENOUGH = 40  # frames
COMMON = tuple(name for name in SMPL_24 if name in BODY_25)
FEWEST_JOINTS = 4  # in the picture, for a person to be there at all
SPOILT_SEEDS = (1, 2, 3)
SAME_DIAGONALS = 0.2  # a tracked person this far off in the mean, in diagonals of the true one, is still them
PEERS = Path(__file__).with_name("tracking_peers.py")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SCORES = (("IDF1", ".3f"), ("MOTA", ".3f"), ("IDSW", ".0f"), ("Frag", ".0f"))


@dataclass(frozen=True)
class Footage:
    """One video's truth and what is detected in it."""

    number: int
    size_px: int
    joints_px: Float[np.ndarray, "frames people joints 2"]  # NaN for whoever is not in the picture
    people: list[np.ndarray]  # (people, 25, 3) of each frame


def filmed(folder: Path) -> list[Footage]:
    """All videos; those that are not in the folder are filmed."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(VIDEOS) if not _file(folder, number).exists()]
    if missing:
        body = load_body(BodySettings(), cache_folder())
        _, joints = body.forward(np.zeros(72, np.float32), np.zeros(10, np.float32))
        library = motion_library(RestSkeleton(joints.astype(np.float64), tuple(body.parents)), 0)
        for number in track(missing, "film"):
            film_video(number, library, body, _file(folder, number))
    return [read_video(_file(folder, number), number) for number in range(VIDEOS)]


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:02d}.npz"


def film_video(number: int, library: MotionLibrary, body: Body, path: Path) -> None:
    """Cast a video, look at every frame of it with the embedded detector, and write down truth and detections."""
    takes = [prepare(spec_of(number, casting), library, body) for casting in range(CASTINGS)]
    found = [(take, joints_in_picture(take)) for take in takes]
    take, joints = max(found, key=lambda each: min(crossings(each[1]), CROSSINGS_ENOUGH))
    detector = PeopleDetector("full", "movenet", MOST_PEOPLE + 2)
    people = [detector(picture) for picture, _ in render_frames(take)]
    counts = np.array([len(each) for each in people])
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(file, joints_px=joints, counts=counts, people=np.concatenate(people), size=take.size_px)


def read_video(path: Path, number: int) -> Footage:
    with np.load(path) as values:
        people = np.split(values["people"], np.cumsum(values["counts"])[:-1])
        return Footage(number, int(values["size"]), values["joints_px"], people)


def spec_of(number: int, casting: int) -> VideoSpec:
    rng = child_generator(number, "tracking", str(casting))
    return VideoSpec(
        video_id=f"{number:016x}",
        dataset="tracking",
        scene=SCENES[number % len(SCENES)],
        split=("train", "test")[number // len(SCENES) % 2],
        subject=f"tracked-{number}",
        action=("walking", "")[casting % 2],
        seed=int(rng.integers(2**31)),
        camera=number % 4,
        n_frames=FRAMES,
        image_size_px=SIZES_PX[number % len(SIZES_PX)],
        people=2 + number % (MOST_PEOPLE - 1),
    )


def joints_in_picture(take: Take) -> Float[np.ndarray, "frames people joints 2"]:
    """Where everybody's joints are, also hidden behind others; NaN for whoever is outside the picture."""
    kept = indices_of(COMMON, SMPL_24)
    found = []
    for person in take.people:
        points = take.film.to_camera(person.joints_m[:, kept])
        depth, lens = points[..., 2:], take.film.intrinsics_px[:, None]
        pixels = points[..., :2] / np.maximum(depth, 1e-6) * lens[..., :2] + lens[..., 2:]
        inside = ((pixels >= 0) & (pixels < take.size_px) & (depth > 0)).all(-1).sum(-1) >= FEWEST_JOINTS
        found.append(np.where(inside[:, None, None], pixels, np.nan))
    return np.stack(found, axis=1)


def crossings(joints_px: Float[np.ndarray, "frames people joints 2"]) -> int:
    """In how many frames somebody's box overlaps another's."""
    low, high = joints_px.min(axis=2), joints_px.max(axis=2)
    first, second = np.triu_indices(joints_px.shape[1], 1)
    shared = np.minimum(high[:, first], high[:, second]) - np.maximum(low[:, first], low[:, second])
    overlap, area = np.clip(shared, 0, None).prod(-1), (high - low).prod(-1)
    union = area[:, first] + area[:, second] - overlap
    return int((overlap > CROSSING_OVERLAP * union).any(axis=1).sum())


def spoilt(video: Footage, seed: int) -> Footage:
    """The detections of a worse detector: people and whole frames missed, jitter, false alarms."""
    rng = np.random.default_rng([seed, video.number])
    everyone = np.concatenate(video.people)
    people, blind_frames = [], 0
    for group in video.people:
        kept = group[rng.random(len(group)) > 0.15].copy()
        if blind_frames > 0:
            kept, blind_frames = kept[:0], blind_frames - 1
        elif rng.random() < 0.01:
            blind_frames = int(rng.integers(2, 7))
        height_px = np.ptp(kept[..., 1], axis=1)[:, None, None]
        joint_noise, body_noise = rng.normal(0, 0.03, kept[..., :2].shape), rng.normal(0, 0.02, (len(kept), 1, 2))
        kept[..., :2] += (joint_noise + body_noise) * height_px
        kept[..., 2] *= rng.uniform(0.5, 1, (len(kept), 1))
        false = everyone[rng.integers(len(everyone), size=rng.poisson(0.15))].copy()
        false[..., :2] += rng.uniform(-0.5, 0.5, (len(false), 1, 2)) * video.size_px
        false[..., 2] *= rng.uniform(0.3, 0.9, (len(false), 1))
        people.append(rng.permutation(np.concatenate([kept, false])))
    return replace(video, people=people)


@dataclass(frozen=True)
class Run:
    """What one tracker said of some videos."""

    identities: list[list[Sequence[int]]]
    frames_per_s: float


def runs_of(videos: list[Footage], python: Path) -> dict[str, Run]:
    """Ours, in this process, and the public ones, told boxes and confidences."""
    runs = {name: _timed(name, videos) for name in sorted(TRACKERS)}
    told = [[_boxes_and_confidence(people) for people in video.people] for video in videos]
    answered = call_peers(python, "track", told)
    return runs | {name: Run(**answer) for name, answer in answered.items()}


def _timed(name: str, videos: list[Footage]) -> Run:
    settings = TrackingSettings.model_validate({"tracker": name})
    start = time.process_time()
    identities = [track_video(video.people, settings) for video in videos]
    seconds = time.process_time() - start
    return Run([[ids.tolist() for ids in video] for video in identities], FRAMES * len(videos) / seconds)


def _boxes_and_confidence(people: np.ndarray) -> list[list[float]]:
    minimum = TrackingSettings().minimum_confidence
    confidence = sightings([people], minimum).confidence
    return np.column_stack([np.nan_to_num(boxes_of(people, minimum)), confidence]).tolist()


def call_peers(python: Path, work: str, asked: Any) -> dict[str, Any]:
    command = [str(python), str(PEERS), work]
    answered = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if answered.returncode:
        raise SystemExit(f"{' '.join(command)}: failed: {answered.stderr.strip().splitlines()[-1]}")
    return json.loads(answered.stdout)


def peers_python(given: Path | None, folder: Path) -> Path:
    """The interpreter that has the public trackers; an environment is made for it unless one is given."""
    if given is not None:
        return given
    place = folder / "peers"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
        (place / "ready").touch()
    return python


def sequence_of(video: Footage, identities: list[Sequence[int]]) -> dict[str, Any]:
    """Truth and tracks as they are scored: gaps within a track filled linearly, as the tube of a clip fills them."""
    tracked = filled(video.people, identities)
    numbers = {identity: number for number, identity in enumerate(sorted(tracked))}
    sequence: dict[str, Any] = {"people": [], "tracks": [], "similarity": []}
    for frame, truth in enumerate(video.joints_px):
        there = np.flatnonzero(np.isfinite(truth[:, 0, 0]))
        here = {numbers[identity]: path[frame] for identity, path in tracked.items() if frame in path}
        sequence["people"].append(there.tolist())
        sequence["tracks"].append(list(here))
        sequence["similarity"].append(_similarity(truth[there], list(here.values())))
    return sequence


def filled(people: list[np.ndarray], identities: list[Sequence[int]]) -> dict[int, dict[int, np.ndarray]]:
    """For each track the joints, (joints, 2), of every frame from its first to its last."""
    sights: dict[int, list[tuple[int, np.ndarray]]] = {}
    for frame, (group, ids) in enumerate(zip(people, identities, strict=True)):
        for person, identity in zip(group[:, indices_of(COMMON, BODY_25), :2], ids, strict=True):
            if identity >= 0:
                sights.setdefault(int(identity), []).append((frame, person))
    paths = {}
    for identity, seen in sights.items():
        frames, joints = np.array([frame for frame, _ in seen]), np.stack([person for _, person in seen])
        every = np.arange(frames[0], frames[-1] + 1)
        columns = [np.interp(every, frames, column) for column in joints.reshape(len(seen), -1).T]
        path = np.stack(columns, axis=1).reshape(len(every), *joints.shape[1:])
        paths[identity] = dict(zip(every.tolist(), path, strict=True))
    return paths


def _similarity(truth: Float[np.ndarray, "people joints 2"], tracked: list[np.ndarray]) -> list[list[float]]:
    """1 where all joints agree, a half where they are `SAME_DIAGONALS` off in the mean."""
    if not len(truth) or not tracked:
        return [[] for _ in truth]
    diagonal_px = np.linalg.norm(np.ptp(truth, axis=1), axis=-1)
    off = np.linalg.norm(truth[:, None] - np.stack(tracked), axis=-1).mean(axis=-1)
    return np.maximum(1 - off / (2 * SAME_DIAGONALS * diagonal_px[:, None]), 0).tolist()


def report(title: str, videos: list[Footage], python: Path) -> Table:
    runs = runs_of(videos, python)
    asked = {
        name: [sequence_of(video, ids) for video, ids in zip(videos, run.identities, strict=True)]
        for name, run in runs.items()
    }
    scores = call_peers(python, "score", asked)
    table = Table("tracker", "IDF1", "MOTA", "switches", "fragments", "frames a second", title=title)
    for name, run in runs.items():
        numbers = [f"{scores[name][score]:{how}}" for score, how in SCORES]
        table.add_row(name, *numbers, f"{run.frames_per_s:,.0f}")
    return table


def crowd(n_people: int, n_frames: int) -> list[np.ndarray]:
    """People on a grid who drift, one of twenty missed."""
    rng = np.random.default_rng(0)
    pose = rng.uniform(-50, 50, (n_people, len(BODY_25), 2)) * [0.4, 1]
    start = np.stack([90 * (np.arange(n_people) % 6), 150 * (np.arange(n_people) // 6)], axis=1)
    speed = rng.normal(0, 1, (n_people, 2))
    frames = []
    for frame in range(n_frames):
        points = pose + (start + speed * frame)[:, None] + rng.normal(0, 1, pose.shape)
        people = np.concatenate([points, np.full((*pose.shape[:2], 1), 0.9)], axis=-1)
        frames.append(people[rng.random(n_people) < 0.95])
    return frames


def speeds() -> Table:
    table = Table("people", *sorted(TRACKERS), title="Frames a second of processor time, best of three")
    for n_people, n_frames in ((3, 2000), (30, 300), (100, 60)):
        people = crowd(n_people, n_frames)
        rates = []
        for name in sorted(TRACKERS):
            settings = TrackingSettings.model_validate({"tracker": name})
            rates.append(n_frames / min(_seconds(people, settings) for _ in range(3)))
        table.add_row(str(n_people), *(f"{rate:,.0f}" for rate in rates))
    return table


def _seconds(people: list[np.ndarray], settings: TrackingSettings) -> float:
    start = time.process_time()
    track_video(people, settings)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "moviestrip-tracking")
    parser.add_argument("--peers", type=Path, help="Python with the public trackers and TrackEval")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    python = peers_python(arguments.peers, arguments.folder)
    videos = filmed(arguments.folder)
    console = Console(file=sys.stdout, width=120)
    for half, parity in (("reported", 1), ("tuned on", 0)):
        clean = [video for video in videos if video.number % 2 == parity]
        worse = [spoilt(video, seed) for seed in SPOILT_SEEDS for video in clean]
        console.print(report(f"{len(clean)} videos ({half}), as detected", clean, python))
        console.print(report(f"the same, spoilt {len(SPOILT_SEEDS)} times", worse, python))
    console.print(speeds())


if __name__ == "__main__":
    main()
