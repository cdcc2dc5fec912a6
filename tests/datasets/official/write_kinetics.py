"""A miniature Kinetics-400: two of the three lists, and clips as the public downloaders store them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.datasets.official.filmed import film

CLIPS = {  # label, id, start and end, split, where it lies; empty is gone
    "abcdefghij0_000059_000069": ("abseiling", "train", "train/{name}.mp4"),
    "-bcdefghij1_000000_000010": ("air drumming", "train", "replacement/replacement_for_corrupted_k400/{name}.mp4"),
    "_bcdefghij2_000003_000013": ("abseiling", "train", ""),
    "abc_efghij3_000120_000130": ("dancing charleston", "val", "dancing charleston/{name}.mp4"),
    "abc-efghij4_001000_001010": ("bee keeping", "val", "val/bee_keeping/{name}.mp4"),
    "abc-efghij5_000001_000011": ("bee keeping", "val", "val/bee_keeping/{name}.mp4"),
}
DAMAGED, FAILED = "-bcdefghij1_000000_000010", "abc-efghij5_000001_000011"
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split", "is_cc")


@dataclass(frozen=True)
class Written:
    folder: Path
    files: dict[str, str]  # by the name of the video
    missing: tuple[str, ...]


def write_kinetics(folder: Path, seed: int = 0) -> Written:
    """Four clips of 48 frames under all the layouts at once, one that is gone, one whose download failed."""
    files, number = {}, 0
    for name, (_, _, place) in CLIPS.items():
        path = folder / place.format(name=name)
        if place:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if name == FAILED else film(number, seed).video)
        if place and name != FAILED:
            files[name], number = place.format(name=name), number + 1
    (folder / "train" / f"{DAMAGED}.mp4").write_bytes(film(0, seed).video[:900])
    for split in ("train", "val"):
        write_list(folder / "annotations" / f"{split}.csv", (name for name, clip in CLIPS.items() if clip[1] == split))
    return Written(folder, files, tuple(name for name in CLIPS if name not in files))


def write_list(path: Path, names: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name in names:
            start, end = name[12:].split("_")
            writer.writerow([CLIPS[name][0], name[:11], int(start), int(end), CLIPS[name][1], 0])
