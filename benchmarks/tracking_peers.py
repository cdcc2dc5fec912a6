"""Public trackers, and TrackEval's scores: the part of `benchmarks.tracking` that runs in an environment of its own.

    python tracking_peers.py track < VIDEOS > IDENTITIES
    python tracking_peers.py score < SEQUENCES > SCORES

All of it JSON. A video is a list of frames, a frame a list of (left, top, right, bottom, confidence).
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import supervision as sv
import trackers
from trackeval.metrics import CLEAR, Identity

FPS = 25.0
Frame = list[list[float]]
# As released, and with the thresholds of confidence lowered to what a pose detector gives.
TRACKERS: dict[str, Callable[[], Any]] = {
    "ByteTrack": lambda: trackers.ByteTrackTracker(frame_rate=FPS),
    "ByteTrack, for poses": lambda: trackers.ByteTrackTracker(
        frame_rate=FPS, track_activation_threshold=0.3, high_conf_det_threshold=0.3
    ),
    "OC-SORT": lambda: trackers.OCSORTTracker(frame_rate=FPS),
    "OC-SORT, for poses": lambda: trackers.OCSORTTracker(frame_rate=FPS, high_conf_det_threshold=0.3),
    "SORT": lambda: trackers.SORTTracker(frame_rate=FPS),
    "C-BIoU, for poses": lambda: trackers.CBIoUTracker(
        frame_rate=FPS, track_activation_threshold=0.3, high_conf_det_threshold=0.3
    ),
}


def track(videos: list[list[Frame]]) -> dict[str, dict[str, Any]]:
    """The identities of every detection of every video, -1 for none, and the frames a second of processor time."""
    found = {}
    for name, make in TRACKERS.items():
        start = time.process_time()
        identities = [track_video(make(), frames) for frames in videos]
        seconds = time.process_time() - start
        found[name] = {"identities": identities, "frames_per_s": sum(map(len, videos)) / seconds}
    return found


def track_video(tracker: Any, frames: list[Frame]) -> list[list[int]]:
    identities = []
    for frame in frames:
        values = np.array(frame, np.float32).reshape(-1, 5)
        told = sv.Detections(values[:, :4], confidence=values[:, 4], data={"index": np.arange(len(values))})
        answered = tracker.update(told)
        ids = np.full(len(values), -1)
        if len(answered):
            ids[answered.data["index"]] = answered.tracker_id
        identities.append(ids.tolist())
    return identities


def score(sequences: list[dict[str, Any]]) -> dict[str, float]:
    """IDF1, MOTA, switches and fragments of all sequences together.

    A sequence has, for each frame, `people` and `tracks` (numbers from 0 on) and their `similarity` (people, tracks).
    """
    scores: dict[str, float] = {}
    for metric in (CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False})):
        each = {str(number): metric.eval_sequence(prepared(sequence)) for number, sequence in enumerate(sequences)}
        scores |= metric.combine_sequences(each)
    return {name: float(scores[name]) for name in ("IDF1", "MOTA", "IDSW", "Frag", "CLR_FN", "CLR_FP", "CLR_TP")}


def prepared(sequence: dict[str, Any]) -> dict[str, Any]:
    """As TrackEval reads a sequence."""
    people, tracks = ([np.array(ids, int) for ids in sequence[name]] for name in ("people", "tracks"))
    similarity = [
        np.array(values, float).reshape(len(persons), len(ids))
        for values, persons, ids in zip(sequence["similarity"], people, tracks, strict=True)
    ]
    return {
        "num_timesteps": len(people),
        "gt_ids": people,
        "tracker_ids": tracks,
        "similarity_scores": similarity,
        "num_gt_dets": sum(map(len, people)),
        "num_tracker_dets": sum(map(len, tracks)),
        "num_gt_ids": 1 + max((int(ids.max()) for ids in people if len(ids)), default=-1),
        "num_tracker_ids": 1 + max((int(ids.max()) for ids in tracks if len(ids)), default=-1),
    }


def main() -> None:
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        answer = track(asked) if sys.argv[1] == "track" else {name: score(each) for name, each in asked.items()}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
