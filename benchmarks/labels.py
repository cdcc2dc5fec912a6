"""From official annotation to labels: time and peak memory of each stage for 100,000 frames, each a command of its own.

    python -m benchmarks.labels [--frames 100000]

The annotation is 3DPW's, the dearest to convert: two people a sequence, whose joints are regressed from the whole mesh
of a body. Its pickles repeat a few seconds of motion; videos are rows that nobody fetched, since none is decoded here.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.score import CONFIGURATION, Cost, cost_of
from moviestrip import tables
from moviestrip.config import WorldSettings, load_dataset
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.layout import RunFolder
from moviestrip.tables import empty, read_table, write_table
from moviestrip.unpickle import unpickle
from tests.datasets.official.write_threedpw import FPS, HEIGHT_PX, WIDTH_PX, write_python_2_pickle, write_threedpw

FRAMES = 100_000  # of labels
PEOPLE = 2
SEQUENCE_FRAMES = 1250  # somewhat more than 3DPW's mean
ACTED = "courtyard_arguing_00"  # of the miniature release, by two people
STAGES = ("annotate", "curate", "label")
TILED = ("poses", "trans", "poses2d", "jointPositions", "campose_valid")  # a list with an entry a person


def write_release(folder: Path, frames: int) -> int:
    """A release of as many frames of labels, made up to whole sequences; returns how many there are."""
    with tempfile.TemporaryDirectory() as name:
        write_threedpw(Path(name))
        fields = unpickle(Path(name) / "sequenceFiles" / "train" / f"{ACTED}.pkl")
    sequences = -(-frames // (PEOPLE * SEQUENCE_FRAMES))
    for split in ("train", "validation", "test"):
        for number in range(max(sequences - 2, 1) if split == "train" else 1):
            write_sequence(folder, split, f"{split}_{number:02d}", fields)
    return max(sequences, 3) * PEOPLE * SEQUENCE_FRAMES


def write_sequence(folder: Path, split: str, name: str, fields: Mapping[str, Any]) -> None:
    """The miniature's motion over and over, and images that only have names."""
    again = np.arange(SEQUENCE_FRAMES) % len(fields["cam_poses"])
    tiled = {key: [np.asarray(each)[again] for each in fields[key]] for key in TILED}
    kept = {key: fields[key] for key in ("betas", "genders", "cam_intrinsics")}
    content = {**kept, **tiled, "sequence": name, "cam_poses": fields["cam_poses"][again]}
    write_python_2_pickle(folder / "sequenceFiles" / split / f"{name}.pkl", content)
    images = folder / "imageFiles" / name
    images.mkdir(parents=True)
    for frame in range(SEQUENCE_FRAMES):
        (images / f"image_{frame:05d}.jpg").touch()


def plan(run: RunFolder, folder: Path) -> list[str]:
    """Shards of the release, and rows of videos as if they had been fetched."""
    dataset = load_dataset("3dpw", CONFIGURATION.parent / "config", {"3dpw": folder})
    shards = plan_shards(run, "3dpw", dataset, WorldSettings(), seed=0)
    for shard in shards:
        rows = [
            {"video_id": video["video_id"], "dataset": "3dpw", "shard": shard, "status": "ok", "reason": "",
             "path": "nowhere", "sha256": "", "width_px": WIDTH_PX, "height_px": HEIGHT_PX, "fps": dataset.fps,
             "n_frames": SEQUENCE_FRAMES, "filmed_fps": FPS,
             **{name: video[name] for name in ("split", "subject", "action", "source", "camera")}}
            for video in read_shard(run, "3dpw", shard)["videos"]
        ]  # fmt: skip
        columns = empty(tables.VIDEOS).columns
        write_table(run.videos("3dpw", shard), pd.DataFrame(rows, columns=columns), tables.VIDEOS)
    return shards


def converted(run: RunFolder, folder: Path, shards: list[str]) -> dict[str, list[Cost]]:
    """What each stage took of each shard."""
    settings = folder / "labels.yaml"
    names = {"variants": [], "tables": []}
    settings.write_text(yaml.safe_dump({"datasets": ["3dpw"], "data_folders": {"3dpw": str(folder)}, **names}))
    options = ["--run", str(run.root), "--config", str(CONFIGURATION), "--config", str(settings)]
    command = [sys.executable, "-m", "moviestrip.cli"]
    costs: dict[str, list[Cost]] = {"body": [cost_of([*command, "body", *options], folder)]}
    for stage in STAGES:
        costs[stage] = [cost_of([*command, stage, "3dpw", shard, *options], folder) for shard in shards]
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=FRAMES, help="of labels, made up to whole sequences")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, run = Path(name) / "3dpw", RunFolder(Path(name) / "results")
        frames = write_release(folder, arguments.frames)
        shards = plan(run, folder)
        costs = converted(run, folder, shards)
        labels = [read_table(run.labels("3dpw", shard), tables.LABELS) for shard in shards]
        if sum(map(len, labels)) != frames or not all(each["has_3d"].all() for each in labels):
            raise SystemExit(f"{sum(map(len, labels)):,} frames are labelled of {frames:,}, so nothing is timed")
    print(f"{frames:,} frames of labels in {len(shards)} shards")
    for stage in STAGES:
        print(said(stage, costs[stage]))
    print(said("together", [cost for stage in STAGES for cost in costs[stage]]))


def said(what: str, costs: list[Cost]) -> str:
    seconds, busy = sum(cost.seconds for cost in costs), sum(cost.processor_seconds for cost in costs)
    return f"{what}: {seconds:.0f} s, {busy:.0f} s of the processor, {max(cost.peak_mib for cost in costs):,.0f} MiB"


if __name__ == "__main__":
    main()
