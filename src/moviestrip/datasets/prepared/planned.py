"""What of an import is planned, and a planned shard read again.

An entry of a plan is a video of VIBE's databases, with all its people and pieces, or a whole file of HMMR's records.
Entries carry the file's size, so that another file in its place is planned anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moviestrip.config import CurationSettings, DatasetSettings, PreparedSource, Split
from moviestrip.datasets.prepared import hmmr_records, vibe_db
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.datasets.prepared.shard import PreparedTables, prepared_tables
from moviestrip.datasets.prepared.vibe_db import ListedSequence, VibeDbOptions
from moviestrip.errors import ConfigError
from moviestrip.progress import track
from moviestrip.video.fetch import video_id_of

BYTES_A_FRAME = 4 * hmmr_records.FEATURES


def planned_features(name: str, dataset: DatasetSettings) -> list[dict[str, Any]]:
    """Entries of the plan, in the order of the files, with what `import_planned` needs to find each again."""
    source = _source(name, dataset)
    if source.format == "vibe_db":
        files = {split: _there(name, split, file) for split, file in source.files.items()}
        return [entry for split, file in files.items() for entry in _vibe_entries(name, split, file, source)]
    if source.path is None:
        raise ConfigError(f"data_folders.{name}: is required: where {dataset.title} lies, see docs/import-features.md")
    records = hmmr_records.record_files(source.path, "train")
    return [_entry(name, "train", file.stem, file, file.stat().st_size // BYTES_A_FRAME) for file in records]


def import_planned(
    name: str, dataset: DatasetSettings, shard: str, planned: Sequence[Mapping[str, Any]], curation: CurationSettings
) -> PreparedTables:
    """The tables and features of a shard's entries."""
    source = _source(name, dataset)
    sequences = (sequence for entry in planned for sequence in _sequences(entry, source))
    shown = track(sequences, f"import {name}/{shard}")
    return prepared_tables(shown, name, dataset, shard, source.backbone, curation)


def _sequences(entry: Mapping[str, Any], source: PreparedSource) -> Iterator[PreparedSequence]:
    path, split = Path(entry["file"]), entry["split"]
    if source.format == "vibe_db":
        listed = [ListedSequence(**each) for each in entry["sequences"]]
        yield from vibe_db.read_sequences(path, listed, _options(source, split))
    else:
        yield from (record.prepared() for record in hmmr_records.read_sequences(path, split))


def _vibe_entries(name: str, split: Split, file: Path, source: PreparedSource) -> Iterator[dict[str, Any]]:
    for video, listed in vibe_db.list_videos(file, _options(source, split)).items():
        entry = _entry(name, split, video, file, sum(each.n_rows for each in listed))
        yield entry | {"sequences": [asdict(each) for each in listed]}


def _entry(name: str, split: Split, video: str, file: Path, frames: int) -> dict[str, Any]:
    place = f"{name}/{split}/{video}"
    return {
        "video_id": video_id_of(place), "source": place, "file": str(file), "bytes": file.stat().st_size,
        "split": split, "frames": frames,
    }  # fmt: skip


def _options(source: PreparedSource, split: Split) -> VibeDbOptions:
    return VibeDbOptions(source.database, split, source.crop_factor, source.fps, source.across_gaps)


def _source(name: str, dataset: DatasetSettings) -> PreparedSource:
    if not isinstance(dataset.source, PreparedSource):
        raise ConfigError(f"dataset {name}: source.kind is '{dataset.source.kind}', not prepared")
    return dataset.source


def _there(name: str, split: Split, file: Path) -> Path:
    if not file.is_file():
        raise ConfigError(
            f"data_folders.{name}: there is no file {file}, the dataset's source.files.{split}; say where it lies, or "
            f"leave out the split: docs/import-features.md"
        )
    return file
