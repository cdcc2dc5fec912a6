"""A run's folder with the tables of one small dataset of found videos, as the stages write them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.layout import RunFolder
from moviestrip.storage import write_json
from moviestrip.tables import with_defaults

FRAMES = 60


def source_of(number: int) -> str:
    return f"https://videos.example.org/tag/{number}.mp4"


def video_id(number: int) -> str:
    return f"{number:016x}"


def write_plan(run: RunFolder, dataset: str, shard: str, numbers: Sequence[int]) -> None:
    videos = [
        {"video_id": video_id(number), "source": source_of(number), "url": source_of(number), "split": "train"}
        for number in numbers
    ]
    write_json(run.plan(dataset, shard), {"dataset": dataset, "shard": shard, "videos": videos})


def write_videos(run: RunFolder, dataset: str, shard: str, status: dict[int, str]) -> None:
    rows = [
        {
            "video_id": video_id(number), "dataset": dataset, "shard": shard, "split": "train", "subject": "",
            "action": "dance", "source": source_of(number), "path": f"../downloads/{number}.mp4", "sha256": "",
            "status": found, "reason": "" if found == "ok" else f"it is {found}", "width_px": 320, "height_px": 240,
            "fps": 25.0, "n_frames": FRAMES if found == "ok" else 0, "filmed_fps": 25.0,
        }
        for number, found in status.items()
    ]  # fmt: skip
    tables.write_table(run.videos(dataset, shard), with_defaults(pd.DataFrame(rows), tables.VIDEOS), tables.VIDEOS)


def write_answers(run: RunFolder, dataset: str, shard: str, people: dict[int, int | None]) -> None:
    """Frames with people of each video; None of a detector that answered nonsense."""
    rows = [
        {
            "video_id": video_id(number), "status": "bad_answer" if frames is None else "ok", "reason": "",
            "n_frames": FRAMES, "frames_with_people": frames or 0, "detections": frames or 0,
        }
        for number, frames in people.items()
    ]  # fmt: skip
    tables.write_table(run.answers(dataset, shard), pd.DataFrame(rows), tables.ANSWERS)


def keypoints_of(rows: int, seed: int = 0) -> np.ndarray:
    """BODY_25 of some frames, with joints that are not seen among them: (rows, 25, 3)."""
    draw = np.random.default_rng(seed)
    points = np.stack([*draw.uniform(5, 235, (2, rows, 25)), draw.uniform(0.2, 1, (rows, 25))], axis=-1)
    return np.where(draw.uniform(size=(rows, 25, 1)) < 0.15, 0, points).astype(np.float32)


def write_tracks(run: RunFolder, dataset: str, shard: str, frames: dict[tuple[int, int], int]) -> pd.DataFrame:
    """So many frames of each (video, track)."""
    rows = [(video_id(number), track, frame) for (number, track), count in frames.items() for frame in range(count)]
    table = pd.DataFrame(rows, columns=["video_id", "track", "frame"])
    table["keypoints"] = tables.unstack(keypoints_of(len(table), len(shard)))
    tables.write_table(run.tracks(dataset, shard), table, tables.TRACKS)
    return table


def write_clips(run: RunFolder, dataset: str, shard: str, clips: dict[tuple[int, int], tuple[int, str]]) -> None:
    """A clip of each (video, track): its frames, and the filter that leaves it out, if any."""
    rows = [
        {
            "clip_id": clip_id(number, track), "dataset": dataset, "video_id": video_id(number), "track": track,
            "split": "train", "subject": "", "action": "dance", "motion_id": "", "supervision": "pseudo_2d",
            "first_frame": 0, "n_frames": frames, "fps": 25.0,
        }
        for (number, track), (frames, _) in clips.items()
    ]  # fmt: skip
    frame = with_defaults(pd.DataFrame(rows), tables.CLIPS)
    tables.write_table(run.clips(dataset, shard), frame, tables.CLIPS)
    for kind, filters in (("attributes", ("length", "face_only")), ("appearance", ("sharpness", "near_duplicate"))):
        verdicts = [
            {"clip_id": clip_id(*key), "filter": name, "value": 1.0, "threshold": 1.0, "passed": name != failed}
            for key, (_, failed) in clips.items()
            for name in filters
        ]
        tables.write_table(getattr(run, kind)(dataset, shard), pd.DataFrame(verdicts), tables.ATTRIBUTES)


def clip_id(number: int, track: int) -> str:
    return f"clip{number:08x}{track:04x}"


def write_found(run: RunFolder, dataset: str = "found") -> None:
    """Two shards: every way in which a video, a person and a clip is left out occurs, each a known number of times."""
    first, second = f"{dataset}-0000", f"{dataset}-0001"
    write_plan(run, dataset, first, range(8))
    write_plan(run, dataset, second, range(8, 11))
    status = {0: "ok", 1: "ok", 2: "ok", 3: "ok", 4: "ok", 5: "permanent", 6: "bad_video", 7: "permanent"}
    write_videos(run, dataset, first, status)
    write_videos(run, dataset, second, {8: "ok", 9: "ok", 10: "transient"})
    write_answers(run, dataset, first, {0: 60, 1: 60, 2: 40, 3: 0, 4: None})
    write_answers(run, dataset, second, {8: 50, 9: 3})
    write_tracks(run, dataset, first, {(0, 0): 60, (0, 1): 30, (1, 0): 60, (2, 0): 40})
    write_tracks(run, dataset, second, {(8, 0): 50})
    out = {(0, 0): (60, ""), (0, 1): (30, "length"), (1, 0): (60, "near_duplicate"), (2, 0): (40, "face_only")}
    write_clips(run, dataset, first, out)
    write_clips(run, dataset, second, {(8, 0): (50, "")})
