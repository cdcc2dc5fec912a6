"""Kinetics-400 as its authors list it and as the public downloaders store its videos. It annotates no people.

Where each part's layout is taken from, all of it public:

- train.csv, val.csv (validate.csv in the authors' own archive) and test.csv with the columns `label`, `youtube_id`,
  `time_start`, `time_end` (seconds) and `split`; others beside them; no `label` in the first test.csv, whose labels
  were held out: the release's readme. Named kinetics-400_train.csv: ActivityNet's copies (Crawler/Kinetics/data)
- label/ID_000010_000020.mp4, and test/ where there is no label: ActivityNet's Crawler/Kinetics/download.py
- train/, val/, test/ with files of those names beside annotations/, and whole videos in place of some 1,400 damaged
  ones in replacement/replacement_for_corrupted_k400/: cvdfoundation/kinetics-dataset (k400_extractor.sh)
- train/label/ with '_' for spaces and without quotes and brackets: torchvision.datasets.Kinetics
- 306,245 clips in all: the paper (arXiv 1705.06950), which takes no two from one video; as 246,534, 19,906 and 39,805
  lines of the three lists: as public download scripts count them, and their sum

A clip is found by its name, whatever folder it lies in. A clip that lies in several is taken from the replacements, and
else from its split's folder.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.datasets.official.instavariety import AS_THE_FILE_SAYS_FPS, Listed
from moviestrip.errors import StorageError

LISTS: dict[Split, tuple[str, ...]] = {"train": ("train",), "validation": ("val", "validate"), "test": ("test",)}
_LIST_FOLDERS, _LIST_PREFIXES = (".", "annotations", "kinetics400"), ("", "kinetics-400_", "kinetics_")
_COLUMNS = ("youtube_id", "time_start", "time_end")
_YOUTUBE_ID = re.compile(r"[\w-]{11}")
_CLIP_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")
_REPLACEMENT = "replacement"
MAXIMUM_LIST_BYTES = 2**30


@dataclass(frozen=True)
class Clip:
    """A row of the lists."""

    split: Split
    label: str
    youtube_id: str
    start_s: int
    end_s: int

    @property
    def name(self) -> str:
        return f"{self.youtube_id}_{self.start_s:06d}_{self.end_s:06d}"


class Kinetics400(Release):
    name = "kinetics-400"
    title = "Kinetics-400"
    homepage = "https://github.com/cvdfoundation/kinetics-dataset"
    licence = "CC BY 4.0 for the lists; each video is its YouTube uploader's."
    # Lines of the lists; together the paper's 306,245. Those whose videos are gone count as missing.
    expected: ClassVar[Mapping[str, int]] = {
        "train videos": 246_534, "validation videos": 19_906, "test videos": 39_805,
    }  # fmt: skip
    tree = """
kinetics-400/
  annotations/train.csv  (and val.csv, test.csv)    or beside the folder of annotations
  train/abseiling/-3B32lodo2M_000059_000069.mp4     split, label (or no label), id, seconds; or label/... alone
  val/  test/
  replacement/replacement_for_corrupted_k400/       only for those who fetched it
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for clip, listed in self._listed():
            if not listed.reason:
                yield ReleasedVideo(
                    name=listed.name, split=listed.split, file=listed.file, fps=AS_THE_FILE_SAYS_FPS,
                    subject=clip.youtube_id, action=clip.label,
                )  # fmt: skip

    def missing(self) -> Iterator[tuple[str, str]]:
        """Name of each listed video that `videos` leaves out, and why."""
        return ((listed.name, listed.reason) for _, listed in self._listed() if listed.reason)

    def people(self, video: ReleasedVideo) -> People:
        """No rows: people have to be detected and tracked."""
        return People.of(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def _listed(self) -> Iterator[tuple[Clip, Listed]]:
        lists = {split: path for split in LISTS if (path := self._list_of(split)) is not None}
        if not lists:
            raise StorageError(
                f"{self.folder / 'annotations' / 'train.csv'}: missing, and so are val.csv and test.csv; {self.title} "
                f"is expected as docs/datasets.md shows"
            )
        names: dict[str, Split] = {}
        for split, path in lists.items():
            for clip in read_clips(path, split):
                first = names.setdefault(clip.name, split)
                file, reason = self._file_of(clip) if first == split else ("", f"{path.name}: it is for {first} too")
                yield clip, Listed(clip.name, split, file, reason)

    def _list_of(self, split: Split) -> Path | None:
        """The list of a split, which a user who trains only need not have."""
        for folder in _LIST_FOLDERS:
            for stem in LISTS[split]:
                for prefix in _LIST_PREFIXES:
                    path = self.folder / folder / f"{prefix}{stem}.csv"
                    if path.is_file():
                        return path
        return None

    def _file_of(self, clip: Clip) -> tuple[str, str]:
        files = self._files.get(clip.name, [])
        if not files:
            return "", f"{clip.name}.mp4: in none of the folders"
        whole = [file for file, size in files if size]
        if not whole:
            return "", f"{files[0][0]}: empty, its download failed"
        return min(whole, key=lambda file: _preference(file, clip.split)), ""

    @cached_property
    def _files(self) -> Mapping[str, list[tuple[str, int]]]:
        """Every clip on disk by its name: its file below the release's folder and its bytes."""
        found: dict[str, list[tuple[str, int]]] = {}
        folders = [("", os.fspath(self.folder))]
        while folders:
            below, folder = folders.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append((f"{below}{entry.name}/", entry.path))
                        continue
                    stem, dot, suffix = entry.name.rpartition(".")
                    if dot + suffix in _CLIP_SUFFIXES:
                        found.setdefault(stem, []).append((below + entry.name, entry.stat().st_size))
        return found


def _preference(file: str, split: Split) -> tuple[int, str]:
    """Replacements first, then what lies in the split's folder, then anything."""
    folder = file.partition("/")[0]
    return (0 if folder == _REPLACEMENT else 1 if folder in LISTS[split] else 2), file


def read_clips(path: Path, split: Split) -> Iterator[Clip]:
    """The rows of a list, which must all be of the split."""
    if path.stat().st_size > MAXIMUM_LIST_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_LIST_BYTES:,}")
    seen: set[tuple[str, int, int]] = set()
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        for row in _rows(path, reader):
            clip = _clip(path, reader.line_num, row, split)
            if (clip.youtube_id, clip.start_s, clip.end_s) not in seen:  # however often it is listed
                seen.add((clip.youtube_id, clip.start_s, clip.end_s))
                yield clip
    if not seen:
        raise StorageError(f"{path}: lists no clip; fetch it again")


def _rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[Mapping[str, str | None]]:
    try:
        columns = reader.fieldnames or ()
        lacking = [name for name in _COLUMNS if name not in columns]
        if lacking:
            found = ", ".join(columns)[:200] or "nothing"
            raise StorageError(f"{path}: lacks the columns {', '.join(lacking)}; its first line is {found}")
        yield from reader
    except csv.Error as error:
        raise StorageError(f"{path}: line {reader.line_num} is damaged ({error}); fetch it again") from error


def _clip(path: Path, line: int, row: Mapping[str, str | None], split: Split) -> Clip:
    youtube_id, start, end = ((row[name] or "").strip() for name in _COLUMNS)
    where = f"{path}: line {line}"
    if not _YOUTUBE_ID.fullmatch(youtube_id):
        raise StorageError(f"{where}: youtube_id '{youtube_id[:40]}', expected 11 letters; is the file cut short?")
    if not (start.isascii() and start.isdigit() and end.isascii() and end.isdigit() and int(start) < int(end)):
        raise StorageError(
            f"{where}: time_start '{start[:20]}' and time_end '{end[:20]}', expected whole seconds, the second later"
        )
    told = (row.get("split") or "").strip()
    if told and told not in (split, *LISTS[split]):
        raise StorageError(f"{where}: split is '{told[:40]}', but the file is the list for {split}; one is misnamed")
    return Clip(split, (row.get("label") or "").strip(), youtube_id, int(start), int(end))
