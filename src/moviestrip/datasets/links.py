"""Videos that lists name: which they are, and where each lies.

A list is read, never asked for: what a page of the internet lists today is first written into a file (`collect`),
so that planning the same lists gives the same videos, on any machine and without a network. A video is its address
and, of a part of one, its times; one that several lists name is taken from the first.
"""

import csv
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moviestrip.config import (
    DatasetSettings,
    FetchSettings,
    FolderSource,
    IdList,
    KineticsList,
    LinksSource,
    LinkTable,
    Listing,
    PackageSource,
    PostList,
)
from moviestrip.datasets.link_table import Link, link_problem, read_links
from moviestrip.datasets.official import instavariety, vlog_people
from moviestrip.datasets.official.kinetics import read_clips
from moviestrip.errors import ConfigError, StorageError
from moviestrip.storage import atomic_path
from moviestrip.video.fetch import source_in_package, video_id_of

VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"}
_TAG_PLACES, _VLOG_PLACES = {"tag", "name"}, {"path", "youtube_id"}
_ANY_ID = re.compile(r"\S+")


@dataclass(frozen=True)
class Collected:
    """What asking a page gave, in numbers of entries."""

    page: str
    file: Path
    listed: int  # by the page
    usable: int  # of these, different addresses of videos
    new: int  # of these, such that the file did not hold
    total: int  # that it holds now


def linked_videos(name: str, dataset: DatasetSettings) -> list[dict[str, Any]]:
    """Every video of the dataset's lists as an entry of a plan, in the order of the lists."""
    source = dataset.source
    assert isinstance(source, LinksSource)
    found: dict[str, dict[str, Any]] = {}
    for number, each in enumerate(source.lists):
        split = getattr(each, "split", None) or dataset.split or "train"
        for entry in _entries(each, split, f"config/datasets/{name}.yaml: source.lists.{number}", name):
            found.setdefault(entry["source"], entry)
    return list(found.values())


def _entries(each: Any, split: str, key: str, name: str) -> Iterator[dict[str, Any]]:
    match each:
        case FolderSource():
            for file in videos_in(each.path, f"{key}.path"):
                yield _entry(str(file), split, file=str(file))
        case PackageSource():
            for member in each.files:
                place = source_in_package(each.requirement, member.path)
                yield _entry(place, split, file=member.path, package=each.requirement)
        case _:
            for link in _links(each, key, name):
                yield _entry(
                    link.source, link.split or split, url=link.url, subject=link.subject, action=link.action,
                    start_s=link.start_s, end_s=link.end_s,
                )  # fmt: skip


def _entry(source: str, split: str, **known: str | float) -> dict[str, Any]:
    entry = {
        "url": "", "file": "", "package": "", "subject": "", "action": "", "start_s": 0.0, "end_s": 0.0,
    }  # fmt: skip
    return {"video_id": video_id_of(source), "source": source, "split": split, **entry, **known}


def videos_in(folder: Path, key: str) -> list[Path]:
    """The video files of a folder and of those below it, sorted."""
    if not folder.is_dir():
        raise ConfigError(f"{key}: there is no folder {folder}")
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)


def _links(each: Any, key: str, name: str) -> Iterator[Link]:
    if isinstance(each, Listing):
        if not each.collected.is_file():
            raise ConfigError(f"{key}.collected: there is no file {each.collected}; run `moviestrip collect {name}`")
        return (Link(link.url, action=each.action) for link in read_links(each.collected))
    if not each.path.is_file():
        raise ConfigError(f"{key}.path: there is no file {each.path}")
    match each:
        case LinkTable():
            return read_links(each.path)
        case IdList():
            return _of_ids(each, f"{key}.url")
        case PostList():
            return _of_posts(each.path)
        case KineticsList():
            return _of_kinetics(each, f"{key}.url")
    raise AssertionError(each)


def _of_ids(each: IdList, key: str) -> Iterator[Link]:
    """The form of the ids follows from what the address asks for; as in the releases, a tag is what is done."""
    places = _places(each.url, {"id", *_TAG_PLACES, *_VLOG_PLACES}, key)
    if places & _TAG_PLACES and places & _VLOG_PLACES:
        raise ConfigError(
            f"{key}: {{tag}} and {{name}} are InstaVariety's, {{path}} and {{youtube_id}} VLOG's; use one"
        )
    if places & _VLOG_PLACES:
        ids = vlog_people.read_ids(each.path, vlog_people.NAME, vlog_people.EXAMPLE)
        values: Callable[[str], dict[str, str]] = _vlog_values
    elif places & _TAG_PLACES:
        ids, values = instavariety.read_ids(each.path, instavariety.NAME, instavariety.EXAMPLE), _tag_values
    else:
        ids, values = instavariety.read_ids(each.path, _ANY_ID, instavariety.EXAMPLE), _tag_values
    for each_id in ids:
        known = values(each_id)
        named = {"id": each_id, **known}
        url = _address(each.url, {place: named[place] for place in places}, f"{each.path}: {each_id}")
        yield Link(url, subject=known.get("video") or known.get("name", ""), action=known.get("tag", ""))


def _tag_values(name: str) -> dict[str, str]:
    return dict(zip(("tag", "name"), name.split("/"), strict=True)) if instavariety.NAME.fullmatch(name) else {}


def _vlog_values(name: str) -> dict[str, str]:
    path = vlog_people.clip_files(name)[0].removesuffix("/clip.mp4")
    video = path.split("/")[-2]
    return {"path": path, "video": video, "youtube_id": video.removeprefix("v_")}


def _of_posts(path: Path) -> Iterator[Link]:
    for number, post in enumerate(instavariety.read_posts(path)):
        problem = link_problem(post.link)
        if problem:
            raise StorageError(f"{path}: post {number}: video_link '{post.link[:80]}' {problem}; fetch the list again")
        tag, name = post.name.split("/")
        yield Link(post.link, subject=name, action=tag)


def _of_kinetics(each: KineticsList, key: str) -> Iterator[Link]:
    _places(each.url, {"youtube_id"}, key)
    for clip in read_clips(each.path, each.split):
        url = _address(each.url, {"youtube_id": clip.youtube_id}, f"{each.path}: {clip.youtube_id}")
        yield Link(url, each.split, clip.youtube_id, clip.label, float(clip.start_s), float(clip.end_s))


def _places(template: str, known: set[str], key: str) -> set[str]:
    """The names in braces of an address: without one every id would lie at the same place."""
    try:
        found = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ConfigError(f"{key}: '{template}' is not an address with names in braces ({error})") from error
    if not found or not found <= known:
        strange = ", ".join(f"{{{name}}}" for name in sorted(found - known)) or "no name in braces"
        shown = ", ".join(f"{{{name}}}" for name in sorted(known))
        raise ConfigError(f"{key}: '{template}' holds {strange}; known: {shown}")
    return found


def _address(template: str, values: Mapping[str, str], where: str) -> str:
    url = template.format(**{name: quote(value, safe="/~") for name, value in values.items()})
    problem = link_problem(url)
    if problem:
        raise StorageError(f"{where}: '{url[:80]}' {problem}")
    return url


def collect(
    name: str, dataset: DatasetSettings, settings: FetchSettings, downloads: Path, today: str | None = None
) -> list[Collected]:
    """Ask the pages of the dataset's listings and write what they list: rows are added, none is ever taken away.

    What a page no longer lists was found there once, and a plan that lost it would lose the work done on it. The turns
    at hosts are those of the downloads folder.
    """
    from moviestrip.download.sites import list_site  # yt-dlp is for those who collect

    source = dataset.source
    pages = [each for each in source.lists if isinstance(each, Listing)] if isinstance(source, LinksSource) else []
    if not pages:
        raise ConfigError(f"config/datasets/{name}.yaml: source.lists: holds no list of `kind: listing` to collect")
    date = today or datetime.now(UTC).date().isoformat()
    found = []
    for page in pages:
        known = _collected_rows(page.collected)
        entries = list_site(page.url, page.maximum, settings, downloads)
        listed = {entry.url: entry for entry in entries if not link_problem(entry.url)}
        urls = {row["url"] for row in known}
        new = [
            dict(zip(_COLLECTED, (entry.url, _one_line(entry.title), entry.date, date), strict=True))
            for entry in listed.values()
            if entry.url not in urls
        ]
        _write_collected(page.collected, [*known, *new])
        found.append(Collected(page.url, page.collected, len(entries), len(listed), len(new), len(known) + len(new)))
    return found


_COLLECTED = ("url", "title", "date", "collected")


def _collected_rows(path: Path) -> list[dict[str, str]]:
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"{path}: what a page lists is written as a table; let `collected` end in .csv")
    if not path.exists():
        return []
    list(read_links(path))  # refuses what is no table of links, before it is written over
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return [{name: row.get(name) or "" for name in _COLLECTED} for row in csv.DictReader(file)]


def _one_line(title: str) -> str:
    """A title is for people who read the file, and anyone may have written it."""
    line = " ".join(title.encode("utf-8", "replace").decode().split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:300]


def _write_collected(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLLECTED, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
