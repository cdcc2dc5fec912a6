"""A dataset's card: what it is, where it is from, what became of it, whose it is, and how to have a video removed.

Everything on it is read from the settings and from the run's own tables, so that a card cannot promise what is not
there.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from moviestrip.config import (
    Config,
    DatasetSettings,
    FolderSource,
    LinksSource,
    Listing,
    OfficialSource,
    PackageSource,
    PreparedSource,
    RenderedSource,
)
from moviestrip.datasets.funnel import LEFT, UNITS, funnel_of, shards_of, used_clips, verdicts_of
from moviestrip.datasets.plan import read_shard
from moviestrip.download import read_download
from moviestrip.errors import FatalError
from moviestrip.layout import RunFolder
from moviestrip.tables import VIDEOS, read_tables

HOSTS_NAMED = 12


def card_of(name: str, settings: DatasetSettings, run: RunFolder, config: Config) -> str:
    """The card of a dataset as a run has it, in Markdown."""
    shards = [shard for shard in shards_of(run, name) if run.videos(name, shard).is_file()]
    if not shards:
        raise FatalError(f"{name}: has no videos in {run.root}; run `moviestrip fetch` or the workflow first")
    videos = read_tables([run.videos(name, shard) for shard in shards], VIDEOS)
    planned = [
        entry for shard in shards if run.plan(name, shard).is_file() for entry in read_shard(run, name, shard)["videos"]
    ]
    clips = used_clips(run, name)
    parts = [
        f"# {settings.title}",
        _table(("", ""), _facts(name, settings)),
        f"## Where it is from\n\n{_list(_origins(settings, planned, run, config))}",
        f"## What there is\n\n{_table(('split', 'videos', 'clips', 'frames', 'minutes'), _splits(videos, clips))}",
        _list(_sizes(videos, clips)),
        f"## What became of it\n\n{_table(('stage', *UNITS, 'left out'), _funnel(funnel_of(run, name)))}",
        f"## How it was made\n\n{_list(_making(settings, config))}",
        _table(("filter", "threshold", "passed"), _filters(verdicts_of(run, name))),
        f"## Known limits\n\n{_list(_limits(settings, videos, clips))}",
        f"## To have a video removed\n\n{_removal(config)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(str(value).split()).replace("|", "\\|")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _facts(name: str, settings: DatasetSettings) -> list[tuple[str, str]]:
    supervision = {"full_3d": "3D truth", "truth_2d": "2D truth", "pseudo_2d": "what a detector sees (pseudo-labels)"}
    nobody_real = isinstance(settings.source, RenderedSource)
    unknown = "Not known. Nothing is said about what those filmed agreed to."
    consent = settings.consent or ("Nobody real is filmed." if nobody_real else unknown)
    return [
        ("name", f"`{name}`"),
        ("takes the place of", settings.plays or "none of the papers' datasets"),
        ("role", settings.role),
        ("supervision", supervision[settings.supervision]),
        ("licence", settings.licence),
        ("consent", consent),
        ("rate", f"{settings.fps:g} frames a second; videos of another rate are resampled"),
    ]


def _origins(settings: DatasetSettings, planned: Sequence[Mapping], run: RunFolder, config: Config) -> list[str]:
    source = settings.source
    match source:
        case RenderedSource():
            return [f"Made by this project: the scene `{source.scene}` of the miniature world. Nobody real is filmed."]
        case PackageSource():
            return [f"Sample videos inside the Python package {source.requirement}: {len(source.files)}"]
        case FolderSource():
            return [f"A folder of {len(planned)} videos on this machine"]
        case OfficialSource():
            return [f"The release `{source.release}` as its authors distribute it (docs/datasets.md)"]
        case PreparedSource():
            return [f"Features that others computed (`{source.format}`), without pictures"]
        case LinksSource():
            return [*map(_list_named, source.lists), *_hosts(planned), *_dates(planned, run, config)]


def _list_named(each: object) -> str:
    kind = getattr(each, "kind", "")
    if isinstance(each, Listing):
        return f"listing: {urlsplit(each.url).hostname}, what it named is kept in {each.collected.name}"
    if isinstance(each, PackageSource):
        return f"package: {each.requirement}"
    return f"{kind}: {Path(getattr(each, 'path', '')).name}"


def _hosts(planned: Sequence[Mapping]) -> Iterator[str]:
    hosts = Counter(urlsplit(entry["url"]).hostname or "" for entry in planned if entry.get("url"))
    if hosts:
        named = ", ".join(f"{host} ({count:,})" for host, count in hosts.most_common(HOSTS_NAMED))
        more = f" and {len(hosts) - HOSTS_NAMED} more" if len(hosts) > HOSTS_NAMED else ""
        yield f"hosts: {named}{more}"


def _dates(planned: Sequence[Mapping], run: RunFolder, config: Config) -> Iterator[str]:
    folder = config.fetch.downloads or run.root.parent / "downloads"
    records = [read_download(folder, url) for url in sorted({entry["url"] for entry in planned if entry.get("url")})]
    dates = sorted(record.fetched[:10] for record in records if record is not None and record.fetched)
    if dates:
        yield f"fetched: {dates[0]}" if dates[0] == dates[-1] else f"fetched: {dates[0]} to {dates[-1]}"
    licences = Counter(record.licence for record in records if record is not None and record.licence)
    if licences:
        yield "licences that sites name: " + ", ".join(f"{name} ({count:,})" for name, count in licences.most_common(8))


def _splits(videos: pd.DataFrame, clips: pd.DataFrame) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for split in ("train", "validation", "test"):
        mine = clips[clips["split"] == split]
        fetched = int(((videos["split"] == split) & (videos["status"] == "ok")).sum())
        if fetched or len(mine):
            minutes = float((mine["n_frames"] / mine["fps"]).sum()) / 60
            rows.append((split, fetched, len(mine), int(mine["n_frames"].sum()), f"{minutes:.1f}"))
    return rows


def _sizes(videos: pd.DataFrame, clips: pd.DataFrame) -> list[str]:
    ok = videos[(videos["status"] == "ok") & (videos["width_px"] > 0)]
    lines = []
    if len(ok):
        sizes = Counter(zip(ok["width_px"].tolist(), ok["height_px"].tolist(), strict=True))
        (width, height), most = sizes.most_common(1)[0]
        more = "" if len(sizes) == 1 else f", most often ({most:,} times); {len(sizes):,} sizes in all"
        lines.append(f"pictures: {width} x {height} px{more}")
    if len(clips):
        seconds = clips["n_frames"] / clips["fps"]
        lines.append(
            f"clips: {seconds.min():.1f} to {seconds.max():.1f} s, half of them above {seconds.median():.1f} s"
        )
        lines.append(f"people: {len(clips[['video_id', 'track']].drop_duplicates()):,}; nobody is named or recognised")
    return lines


def _funnel(funnel: pd.DataFrame) -> list[tuple[object, ...]]:
    out: dict[str, list[str]] = {}
    rows: list[tuple[object, ...]] = []
    for row in funnel.to_dict("records"):
        known = {unit: int(row[unit]) for unit in UNITS if not pd.isna(row[unit])}
        if row["reason"] == LEFT:
            counts = [known.get(unit, "") for unit in UNITS]
            rows.append((row["stage"].replace("_", " "), *counts, ", ".join(out.get(row["stage"], []))))
        else:
            unit = next(each for each in ("clips", "people", "videos") if each in known)
            words = f"videos with {row['reason']}" if row["stage"] == "people" else row["reason"]
            out.setdefault(row["stage"], []).append(f"{known[unit]:,} {words}")
    return rows


def _making(settings: DatasetSettings, config: Config) -> list[str]:
    if settings.tube != "tracks":
        return ["people: as annotated; nobody is detected or tracked"]
    detector = config.detector
    named = f"BlazePose {detector.landmark_model}, embedded" if detector.command == "embedded" else detector.command
    if settings.keypoints is not None:
        named = "none: keypoints that were there already are read"
    return [
        f"detector: {named}",
        f"shots: {config.shots.detector}; nobody is followed across a cut",
        f"tracker: {config.tracking.tracker}",
        f"clips: at most {config.curation.maximum_frames:,} frames; used when every filter below is passed",
    ]


def _filters(verdicts: pd.DataFrame) -> list[tuple[object, ...]]:
    """Of each filter what it compared with, and the share of candidates that pass it alone."""
    rows: list[tuple[object, ...]] = []
    for name, found in verdicts.groupby("filter", sort=False):
        thresholds = ", ".join(f"{value:g}" for value in sorted(found["threshold"].unique()))
        rows.append((str(name).replace("_", " "), thresholds, f"{100 * found['passed'].astype(bool).mean():.0f} %"))
    return rows


def _limits(settings: DatasetSettings, videos: pd.DataFrame, clips: pd.DataFrame) -> list[str]:
    gone = int((videos["status"] != "ok").sum())
    lines = []
    if settings.supervision == "pseudo_2d":
        lines.append("labels are a detector's: where it is wrong they are, and those it misses are not in the data")
    if settings.tube == "tracks":
        lines.append("a person is one within a shot; the same person in another shot or video is somebody else here")
    if settings.is_screened:
        lines.append("copies are found by their pictures, but not mirrored or heavily cropped ones")
    if gone:
        lines.append(f"{gone:,} of {len(videos):,} listed videos could not be had: what is left is not a random part")
    if len(clips) and settings.supervision == "pseudo_2d":
        lines.append("nothing was done to balance who is seen, where, or doing what")
    return lines or ["none known beyond those of its source"]


def _removal(config: Config) -> str:
    contact = f"Write to {config.fetch.contact}. " if config.fetch.contact else ""
    return (
        f"{contact}Whoever runs this removes it, from the id of a video or clip or its address, by\n\n"
        "```\nmoviestrip forget ID --reason TEXT\n```\n\n"
        "which deletes the download and everything made from it, and keeps it out of every later run (docs/rights.md)."
    )
