"""Where a dataset's videos went: from those listed to the people in them and the clips that are used, by reason.

Every stage has a row without a reason, which counts what is left, and a row for each reason why something is left
out there; what is left and what is left out make up what was left before. A stage whose table is not there yet for
some shards leaves their videos out as 'not yet', so that the sums hold of half a run too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from moviestrip.curate.clips import selected
from moviestrip.curate.filters import APPEARANCE, FILTERS
from moviestrip.layout import RunFolder
from moviestrip.storage import write_text
from moviestrip.tables import ANSWERS, ATTRIBUTES, CLIPS, TRACKS, VIDEOS, TableSchema, empty, read_table

LEFT = ""  # the reason of rows that count what is left
NOT_YET = "not yet"
VIDEO_STAGES = ("listed", "fetched", "answered", "with_people")
UNITS = ("videos", "people", "clips", "frames")
COLUMNS = ("stage", "reason", *UNITS)

# What a filter leaves out, in words; the order of the filters is curation's own.
LEFT_OUT = {
    "length": "too short",
    "visible_keypoints": "too little seen",
    "face_only": "only face and shoulders",
    "person_height": "too small",
    "mean_confidence": "detector unsure",
    "detected_fraction": "detected too rarely",
    "motion": "still",
    "shot_cuts": "cut within",
    "sharpness": "blurred",
    "near_duplicate": "posted before",
}

Row = dict[str, object]


@dataclass(frozen=True)
class _Tables:
    """What a dataset's shards have so far, and which of them have a table of a kind."""

    listed: pd.DataFrame  # video_id, shard
    videos: pd.DataFrame
    answers: pd.DataFrame
    people: pd.DataFrame  # video_id, track, n_frames: whoever is tracked, or else annotated
    clips: pd.DataFrame
    verdicts: pd.DataFrame
    detected: bool  # whether a detector is asked at all
    with_people: set[str]  # shards whose people are known
    with_clips: set[str]

    @classmethod
    def of(cls, run: RunFolder, dataset: str) -> "_Tables":
        videos, _ = _read(run, dataset, "videos", VIDEOS, ["video_id", "status", "n_frames"])
        answers, asked = _read(run, dataset, "answers", ANSWERS, ["video_id", "status", "frames_with_people"])
        tracks, tracked = _read(run, dataset, "tracks", TRACKS, ["video_id", "track"])
        clips, curated = _read(run, dataset, "clips", CLIPS)
        rows = tracks.assign(n_frames=1) if tracked or asked else clips
        people = rows.groupby(["video_id", "track"])["n_frames"].sum().reset_index()
        shards = tracked if tracked or asked else curated
        listed, verdicts = listed_videos(run, dataset), verdicts_of(run, dataset)
        return cls(listed, videos, answers, people, clips, verdicts, bool(asked), shards, curated)

    def waiting(self, videos: pd.Series, shards: set[str]) -> pd.Series:
        """Whether each of these videos is in a shard that is not among those with a table."""
        return videos.isin(self.listed.loc[~self.listed["shard"].isin(shards), "video_id"])


def funnel_of(run: RunFolder, dataset: str) -> pd.DataFrame:
    """The funnel of one dataset: (stage, reason, videos, people, clips, frames), empty where a unit is not counted yet.

    Frames are those of the videos, then those with people, then one a person and frame, then those of the clips.
    """
    found = _Tables.of(run, dataset)
    rows = [*_video_rows(found), *_people_rows(found), *_clip_rows(found)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(UNITS, "Int64"))


def funnels_of(run: RunFolder, datasets: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The funnels of the datasets that are planned, or have clips."""
    return {name: funnel_of(run, name) for name in datasets if shards_of(run, name)}


def write_funnels(path: Path, funnels: Mapping[str, pd.DataFrame]) -> None:
    """All funnels as one CSV, the dataset first."""
    tables = [funnel.assign(dataset=name)[["dataset", *COLUMNS]] for name, funnel in funnels.items()]
    whole = pd.concat(tables) if tables else pd.DataFrame(columns=["dataset", *COLUMNS])
    write_text(path, whole.to_csv(index=False))


def shards_of(run: RunFolder, dataset: str) -> list[str]:
    """The planned shards; of tables that came without a plan, those that have clips."""
    return run.shards(dataset) or sorted(path.stem for path in run.clips(dataset, "-").parent.glob("*.parquet"))


def listed_videos(run: RunFolder, dataset: str) -> pd.DataFrame:
    """The planned videos: (video_id, shard)."""
    rows: list[tuple[str, str]] = []
    for shard in shards_of(run, dataset):
        plan, videos = run.plan(dataset, shard), run.videos(dataset, shard)
        if plan.is_file():
            ids = [entry["video_id"] for entry in json.loads(plan.read_text())["videos"]]
        else:
            ids = read_table(videos, VIDEOS, ["video_id"])["video_id"].tolist() if videos.is_file() else []
        rows += [(video_id, shard) for video_id in ids]
    return pd.DataFrame(rows, columns=["video_id", "shard"])


def verdicts_of(run: RunFolder, dataset: str) -> pd.DataFrame:
    """What every filter says of the candidates, those that look at pictures among them: (tables.ATTRIBUTES)."""
    verdicts, _ = _read(run, dataset, "attributes", ATTRIBUTES)
    seen, _ = _read(run, dataset, "appearance", ATTRIBUTES)
    return pd.concat([verdicts, seen], ignore_index=True) if len(seen) else verdicts


def used_clips(run: RunFolder, dataset: str) -> pd.DataFrame:
    """The clips that every filter passed, which the funnel's last row counts: (tables.CLIPS)."""
    clips, _ = _read(run, dataset, "clips", CLIPS)
    return selected(clips, verdicts_of(run, dataset)).sort_values("clip_id", ignore_index=True)


def _read(
    run: RunFolder, dataset: str, kind: str, schema: TableSchema, columns: Sequence[str] | None = None
) -> tuple[pd.DataFrame, set[str]]:
    """Rows of all shards that have a table of one kind, and these shards."""
    paths = {shard: getattr(run, kind)(dataset, shard) for shard in shards_of(run, dataset)}
    there = {shard: read_table(path, schema, columns) for shard, path in paths.items() if path.is_file()}
    blank = empty(schema)[list(columns)] if columns else empty(schema)
    return (pd.concat(there.values(), ignore_index=True) if there else blank), set(there)


def _video_rows(found: _Tables) -> Iterator[Row]:
    """From the list to the videos in which the detector sees somebody."""
    yield {"stage": "listed", "reason": LEFT, "videos": len(found.listed)}
    fetched = found.listed.merge(found.videos, "left", on="video_id")
    yield from _outcomes("fetched", fetched["status"], fetched["n_frames"])
    if not found.detected:
        return
    asked = fetched.loc[fetched["status"] == "ok", ["video_id", "n_frames"]].merge(found.answers, "left", on="video_id")
    yield from _outcomes("answered", asked["status"], asked["n_frames"])
    answered = asked[asked["status"] == "ok"]
    seen = (answered["frames_with_people"] > 0).map({True: "ok", False: "nobody seen"})
    yield from _outcomes("with_people", seen, answered["frames_with_people"])


def _outcomes(stage: str, status: pd.Series, frames: pd.Series) -> Iterator[Row]:
    """A row a reason, then one of what is left."""
    status = status.fillna(NOT_YET)
    for reason in sorted(set(status) - {"ok"}):
        yield {"stage": stage, "reason": reason.replace("_", " "), "videos": int((status == reason).sum())}
    ok = status == "ok"
    yield {"stage": stage, "reason": LEFT, "videos": int(ok.sum()), "frames": int(frames[ok].sum())}


def _people_rows(found: _Tables) -> Iterator[Row]:
    """Whoever is tracked, or annotated; a video without any is left out."""
    videos = found.videos.loc[found.videos["status"] == "ok", "video_id"]
    if found.detected:
        somebody = (found.answers["frames_with_people"] > 0) & (found.answers["status"] == "ok")
        videos = videos[videos.isin(found.answers.loc[somebody, "video_id"])]
    lacking = videos[~videos.isin(found.people["video_id"])]
    waiting = found.waiting(lacking, found.with_people)
    for reason, count in ((NOT_YET, waiting.sum()), ("nobody followed", (~waiting).sum())):
        if count:
            yield {"stage": "people", "reason": reason, "videos": int(count)}
    yield {"stage": "people", "reason": LEFT, **_size(found.people), "clips": None}


def _clip_rows(found: _Tables) -> Iterator[Row]:
    clips, verdicts = found.clips, found.verdicts
    cut = pd.MultiIndex.from_frame(clips[["video_id", "track"]])
    lacking = found.people[~pd.MultiIndex.from_frame(found.people[["video_id", "track"]]).isin(cut)]
    waiting = found.waiting(lacking["video_id"], found.with_clips)
    for reason, chosen in ((NOT_YET, lacking[waiting]), ("no clip", lacking[~waiting])):
        if len(chosen):
            yield {"stage": "candidates", "reason": reason, "people": len(chosen)}
    yield {"stage": "candidates", "reason": LEFT, **_size(clips)}
    left = clips
    for name in filters_in(verdicts["filter"].unique().tolist()):
        judged = verdicts[verdicts["filter"] == name]
        passed = left["clip_id"].isin(judged.loc[judged["passed"].astype(bool), "clip_id"])
        unknown = ~left["clip_id"].isin(judged["clip_id"])
        words = LEFT_OUT.get(name, name.replace("_", " "))
        for reason, out in ((NOT_YET, left[unknown]), (words, left[~passed & ~unknown])):
            if len(out):
                yield {"stage": name, "reason": reason, "clips": len(out), "frames": int(out["n_frames"].sum())}
        left = left[passed]
        yield {"stage": name, "reason": LEFT, **_size(left)}
    yield {"stage": "used", "reason": LEFT, **_size(left)}


def filters_in(found: Sequence[str]) -> list[str]:
    """Names of filters in the order in which the funnel passes them."""
    known = [*FILTERS, *APPEARANCE]
    return [name for name in known if name in found] + sorted(set(found) - set(known))


def _size(people: pd.DataFrame) -> Row:
    """Of clips, or of people tracked: a row each."""
    return {
        "videos": people["video_id"].nunique(),
        "people": len(people[["video_id", "track"]].drop_duplicates()),
        "clips": len(people),
        "frames": int(people["n_frames"].sum()),
    }
