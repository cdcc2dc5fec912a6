"""Taking videos down: they go on the list of those never used again, and whatever was made of them is removed.

A video may be in several runs, which share downloads, so all runs beside the one given are searched. A shard that holds
it loses every file, from the plan to the features and the provenance beside each; the other videos of the shard are
planned again and come back with the next run. What was learnt from it is named, and removed when asked for.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import Config, load_dataset, suggestion
from moviestrip.datasets.forgotten import add_forgotten, read_forgotten
from moviestrip.datasets.link_table import split_source
from moviestrip.datasets.plan import plan_shards
from moviestrip.download import forget_download
from moviestrip.errors import FatalError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.provenance import provenance_path
from moviestrip.tables import TableSchema, read_table
from moviestrip.video.fetch import video_id_of

LEARNT = (
    "models", "predictions", "scores", "forecasts", "forecast_scores", "tables", "claims.csv", "smoothing.csv",
    "difficulty.csv", "real_check.csv",
)  # fmt: skip
PICTURES = (
    *(f"figures/{kind}/{{dataset}}.png" for kind in ("datasets", "people", "releases")),
    "figures/overlays",
    "figures/papers",
    "figures/difficulty",
    "figures/real",
)
CHAINED = ("appearance", "originals")  # what one shard hands on to those after it
ALIKE_BITS, PLAIN_BELOW = 31, 50  # of PDQ, by its authors: bits of the same picture, and quality of a plain one


@dataclass(frozen=True)
class Place:
    """A video in one shard of one run."""

    run: RunFolder
    dataset: str
    shard: str
    video_id: str
    source: str
    url: str
    file: str


@dataclass(frozen=True)
class Forgotten:
    """What taking videos down removes, or would remove."""

    video_ids: tuple[str, ...]
    places: tuple[Place, ...]
    removed: tuple[Path, ...]  # files and folders of the runs
    urls: tuple[str, ...]  # whose downloads are removed
    shared: tuple[str, ...]  # whose downloads stay: other videos are parts of them
    learnt: tuple[Path, ...]  # made from what is removed, and still there
    own_files: tuple[str, ...]  # the user's own, which stay
    alike: Mapping[str, str] = field(default_factory=dict)  # other videos that look like it, with their sources
    unread: tuple[Path, ...] = ()  # tables that could not be searched

    def lines(self) -> Iterator[str]:
        """For people: what happens to what."""
        yield f"{len(self.video_ids)} videos are never used again: {', '.join(self.video_ids)}"
        for run, dataset, shard in sorted({(str(each.run.root), each.dataset, each.shard) for each in self.places}):
            yield f"{run}: everything of {dataset}/{shard}; its other videos are made again by the next run"
        yield f"{len(self.removed)} files and folders, and {len(self.urls)} downloads"
        yield from (f"stays, other videos are parts of it: {url}" for url in self.shared)
        yield from (f"stays, it is your own file: {file}" for file in self.own_files)
        if self.learnt:
            yield f"made from it, and made again by the next run (removed now with --models): {len(self.learnt)} files"
            yield from (f"  {path}" for path in self.learnt)
        yield from (f"looks like it, forget it too? {each} {source}" for each, source in self.alike.items())
        yield from (f"could not be searched, delete it if it is of an older version: {path}" for path in self.unread)


def forget(
    run: RunFolder, config: Config, folder: Path, ids: Sequence[str], reason: str, today: str, models: bool = False
) -> Forgotten:
    """Take videos down: list them, remove what was made of them, and plan the other videos of their shards.

    `ids` are ids of videos or clips, sources, or addresses; `folder` is that of the configuration's files. The list
    comes first, so that however this ends no run uses them again.
    """
    found = to_forget(run, config, ids, models)
    add_forgotten(config.forgotten, found.video_ids, reason, today)
    for path in found.removed:
        _remove(path)
    for url in found.urls:
        forget_download(downloads_of(run, config), url)
    replan(run, config, folder, {place.dataset for place in found.places})
    return found


def to_forget(run: RunFolder, config: Config, ids: Sequence[str], models: bool = False) -> Forgotten:
    """What `forget` would do; nothing is changed."""
    unread: list[Path] = []
    known = _known_videos(run, unread)
    video_ids = {video_id for each in ids for video_id in _meant(each, known, run, config, unread)}
    places = [place for place in known if place.video_id in video_ids]
    urls = {place.url for place in places if place.url} | {each for each in ids if _is_address(each)}
    shared = {place.url for place in known if place.url in urls and place.video_id not in video_ids}
    removed = _removed(places)
    learnt = _learnt(_made_from(removed, places), run)
    return Forgotten(
        video_ids=tuple(sorted(video_ids)),
        places=tuple(places),
        removed=tuple(removed + (_with_records(learnt) if models else [])),
        urls=tuple(sorted(urls - shared)),
        shared=tuple(sorted(shared)),
        learnt=() if models else tuple(learnt),
        own_files=tuple(sorted({place.file for place in places if place.file and Path(place.file).exists()})),
        alike=_alike(places, known, unread),
        unread=tuple(dict.fromkeys(unread)),
    )


def downloads_of(run: RunFolder, config: Config) -> Path:
    return config.fetch.downloads or run.root.parent / "downloads"


def replan(run: RunFolder, config: Config, folder: Path, datasets: Iterable[str]) -> None:
    """Plan what is left of some datasets of the configuration."""
    forgotten = read_forgotten(config.forgotten)
    for name in config.datasets:
        if name in datasets:
            dataset = load_dataset(name, folder, config.data_folders, config.dataset_files)
            plan_shards(run, name, dataset, config.rendering, config.seed, config.fetch, forgotten, config.shards)


def _runs_beside(run: RunFolder) -> list[RunFolder]:
    folders = sorted(path.parent for path in run.root.parent.glob("*/plan") if path.is_dir())
    return [RunFolder(folder) for folder in folders]


def _learnt(made: Sequence[Path], run: RunFolder) -> list[Path]:
    """Models, as the folders of their trainings, and what they were made to say."""
    found: dict[Path, None] = {}
    for path in made:
        kind = path.relative_to(run.root.parent).parts[1]
        if kind in LEARNT:
            found[path.parent if kind == "models" else path] = None
    return list(found)


def _known_videos(run: RunFolder, unread: list[Path]) -> list[Place]:
    """Every video of all runs: as planned, and as fetched, for a shard may have been planned anew since."""
    found: dict[tuple[str, str, str, str], Place] = {}
    for each in _runs_beside(run):
        for plan in sorted((each.root / "plan").glob("*/*.json")):
            for entry in json.loads(plan.read_text())["videos"]:
                place = Place(
                    each, plan.parent.name, plan.stem, entry["video_id"], entry["source"],
                    entry.get("url", ""), "" if entry.get("package") else entry.get("file", ""),
                )  # fmt: skip
                found[str(each.root), place.dataset, place.shard, place.video_id] = place
        for path in sorted((each.root / "videos").glob("*/*.parquet")):
            rows = _readable(path, tables.VIDEOS, ["video_id", "source"], unread)
            for video_id, source in rows.itertuples(index=False):
                url = split_source(source)[0] if _is_address(source) else ""
                place = Place(each, path.parent.name, path.stem, video_id, source, url, "")
                found.setdefault((str(each.root), place.dataset, place.shard, video_id), place)
    return list(found.values())


def _is_address(text: str) -> bool:
    return re.match(r"https?://", text) is not None


def _meant(text: str, known: Sequence[Place], run: RunFolder, config: Config, unread: list[Path]) -> set[str]:
    """The videos that an id, a source or an address names."""
    found = {place.video_id for place in known if text in (place.video_id, place.source, place.url)}
    if found or _is_address(text):
        return found or {video_id_of(text)}  # of an address that no run knows yet: none ever will
    clips = dict(_clips(run, unread))
    if text in clips:
        return {clips[text]}
    if text in read_forgotten(config.forgotten):
        return {text}
    near = suggestion(text, [*{place.video_id for place in known}, *clips]) if len(known) < 10_000 else ""
    near = near if near.startswith("; did") else ""
    raise FatalError(f"{text}: no run in {run.root.parent} has such a video, clip, source or address{near}")


def _clips(run: RunFolder, unread: list[Path]) -> Iterator[tuple[str, str]]:
    """Clips of all runs with their videos."""
    for each in _runs_beside(run):
        for path in sorted((each.root / "clips").glob("*/*.parquet")):
            rows = _readable(path, tables.CLIPS, ["clip_id", "video_id"], unread)
            yield from rows.itertuples(index=False, name=None)


def _readable(path: Path, schema: TableSchema, columns: Sequence[str], unread: list[Path]) -> pd.DataFrame:
    """Rows of a table; one that an older version wrote, or that is damaged, must not stop a take-down, and is named."""
    try:
        return read_table(path, schema, columns)
    except StorageError:
        unread.append(path)
        return tables.empty(schema)[list(columns)]


def _removed(places: Sequence[Place]) -> list[Path]:
    """Everything in the runs that holds something of these videos, except what was learnt from them."""
    found: dict[Path, None] = {}
    for run in {place.run.root: place.run for place in places}.values():
        shards = {(place.dataset, place.shard) for place in places if place.run == run}
        for dataset, shard in sorted(shards):
            found.update(dict.fromkeys(_shard_files(run, dataset, shard)))
            for later in {path.stem for kind in CHAINED for path in (run.root / kind / dataset).glob("*.parquet")}:
                if later > shard:
                    found.update(dict.fromkeys(_with_records(getattr(run, kind)(dataset, later) for kind in CHAINED)))
            pictures = [run.root / each.format(dataset=dataset) for each in PICTURES]
            found.update(dict.fromkeys(_with_records([*pictures, run.report])))
    return list(found)


def _shard_files(run: RunFolder, dataset: str, shard: str) -> list[Path]:
    """Whatever kind it is of: files and folders named after the shard in a folder named after its dataset."""
    named = re.compile(rf"\.?{re.escape(shard)}(\..*)?")
    found: list[Path] = []
    for folder, folders, files in os.walk(run.root):
        if Path(folder).name == dataset:
            inside = [name for name in (*folders, *files) if named.fullmatch(name)]
            found += [Path(folder) / name for name in inside]
            folders[:] = [name for name in folders if name not in inside]
    return sorted(found)


def _with_records(paths: Iterable[Path]) -> list[Path]:
    """Those of the files that are there, each with the provenance beside it."""
    return [path for each in paths for path in (each, provenance_path(each)) if path.exists() or path.is_symlink()]


def _remove(path: Path) -> None:
    """A link is removed, never what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _made_from(removed: Sequence[Path], places: Sequence[Place]) -> list[Path]:
    """Outputs that were made from these files, or from such outputs, and are not among them."""
    read_by: dict[Path, set[Path]] = {}
    for root in {place.run.root for place in places}:
        for record in root.rglob(".*.provenance.json"):
            described = json.loads(record.read_text())
            output = record.parent / described["output"]
            for read in described["inputs"].values():
                read_by.setdefault(_plain(record.parent / read["path"]), set()).add(output)
    gone = {_plain(path) for path in removed}
    waiting, found = list(gone), set()
    while waiting:
        for output in read_by.get(waiting.pop(), ()):
            if _plain(output) not in gone and output not in found and output.exists():
                found.add(output)
                waiting.append(_plain(output))
    return sorted(found)


def _plain(path: Path) -> Path:
    """With the folders above resolved; a link itself is what is removed, not what it leads to."""
    return path.parent.resolve() / path.name


def _alike(places: Sequence[Place], known: Sequence[Place], unread: list[Path]) -> dict[str, str]:
    """Videos with a key frame like one of these: another post of the same video would take its place."""
    sources = {place.video_id: place.source for place in known}
    taken, found = {place.video_id for place in places}, {}
    for run in {place.run.root for place in places}:
        paths = sorted((run / "key_frames").glob("*/*.parquet"))
        read = [_readable(path, tables.KEY_FRAMES, ["video_id", "hash", "quality"], unread) for path in paths]
        frames = pd.concat(read or [tables.empty(tables.KEY_FRAMES)])
        frames = frames[frames["quality"] >= PLAIN_BELOW]
        mine = frames["video_id"].isin(taken)
        others, bits = frames.loc[~mine, "video_id"], _bits(frames.loc[~mine, "hash"])
        for one in _bits(frames.loc[mine, "hash"]):
            near = np.bitwise_count(bits ^ one).sum(axis=1) <= ALIKE_BITS
            found.update({each: sources.get(each, "") for each in others[near]})
    return dict(sorted(found.items()))


def _bits(hashes: pd.Series) -> np.ndarray:
    """(n, 32) bytes of 64 hexadecimal digits each."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), 32)
