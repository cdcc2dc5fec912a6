"""What predictions are scored against: the test clips of a run's dataset, or a file."""

from pathlib import Path

import numpy as np
import pandas as pd

from moviestrip.body.load import Body
from moviestrip.curate.clips import selected
from moviestrip.errors import ConfigError
from moviestrip.geometry import CROP_PX
from moviestrip.layout import RunFolder
from moviestrip.scoring.people import SUFFIXES, Person, read_people
from moviestrip.scoring.score import Truth
from moviestrip.tables import ATTRIBUTES, CLIPS, LABELS, read_tables, stack, unstack


def read_truth(name: str, run: RunFolder, body: Body) -> Truth:
    """A dataset of a run by name, or a file by path."""
    if Path(name).suffix in SUFFIXES:
        return truth_of_people(name, read_people(Path(name), body))
    shards = run.shards(name)
    if not shards:
        known = sorted(path.name for path in (run.root / "plan").glob("*"))
        raise ConfigError(
            f"--truth {name}: neither a file ({', '.join(SUFFIXES)}) nor a dataset of {run.root}, which has "
            f"{', '.join(known) or 'none'}"
        )
    clips = read_tables([run.clips(name, shard) for shard in shards], CLIPS)
    clips = selected(clips, read_tables([file for shard in shards for file in run.verdicts(name, shard)], ATTRIBUTES))
    clips = clips[clips["split"] == "test"].sort_values("clip_id", ignore_index=True)
    if clips.empty:
        raise ConfigError(f"--truth {name}: no clip of its test split passed curation in {run.root}")
    labels = read_tables([run.labels(name, shard) for shard in shards], LABELS)
    labels = labels[labels["clip_id"].isin(clips["clip_id"])]
    has_body, trunk_m = bool(labels["has_body"].any()), stack(labels["trunk_3d_m"], 9)
    has_trunk = bool(np.isfinite(trunk_m).all(-1).any())
    return Truth(name, labels, clips, has_keypoints=True, has_body=has_body, has_trunk=has_trunk)


def truth_of_people(name: str, people: list[Person]) -> Truth:
    """A file as truth: each person is a clip, named as there; frames are counted as there."""
    labels = pd.concat([_label_rows(person, person.name) for person in people], ignore_index=True)
    clips = pd.DataFrame(
        {
            "clip_id": [person.name for person in people],
            "video_id": [person.video or person.name for person in people],
            "dataset": Path(name).stem,
            "action": "",
            "motion_id": "",
        }
    )
    if clips["clip_id"].duplicated().any():
        raise ConfigError(f"--truth {name}: people of one name; tell them apart by clip_id, or by video and person")
    keypoints = all(person.keypoints_px is not None for person in people)
    return Truth(name, labels, clips, keypoints, all(person.pose is not None for person in people))


def _label_rows(person: Person, clip_id: str) -> pd.DataFrame:
    """LABELS of a person; without keypoints all are taken as visible, for they only say which frames count."""
    count = len(person.frames)
    boxes = np.zeros((count, 4), np.float32) if person.boxes_px is None else person.boxes_px
    unseen = np.tile(np.array([0, 0, 1], np.float32), 25)
    return pd.DataFrame(
        {
            "clip_id": clip_id,
            "frame": person.frames,
            "video_frame": person.frames,
            "box_center_px": unstack(boxes[:, :2]),
            "box_scale": CROP_PX / np.where(boxes[:, 2] > 0, boxes[:, 2], CROP_PX),
            "keypoints_2d": _rows_of(person.keypoints_px, count, unseen),
            "has_3d": True,
            "has_body": person.pose is not None,
            "joints_3d_m": unstack(person.joints_m),
            "pose": _rows_of(person.pose, count, np.zeros(72, np.float32)),
            "betas": _rows_of(person.betas, count, np.zeros(10, np.float32)),
            "burst": "none",
        }
    )


def _rows_of(values: np.ndarray | None, count: int, unknown: np.ndarray) -> list[np.ndarray]:
    """A column; what is not known is one array in every row, as half a million frames need not repeat it."""
    return [unknown] * count if values is None else unstack(values)
