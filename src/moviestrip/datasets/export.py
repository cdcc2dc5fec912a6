"""A dataset for others without a pixel of it: ids, where the videos lie, the clips, and everyone's keypoints.

What is written can be published where videos cannot. It is read again in two ways: `links.csv` is a table of links,
from which the videos are fetched as they were here; and the folder has InstaVariety's layout, as HMMR released it, so
that the adapter of that release reads it with `rule: listed`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.config import DatasetSettings
from moviestrip.datasets.funnel import shards_of, used_clips
from moviestrip.datasets.link_table import split_source
from moviestrip.datasets.official.instavariety import KEYPOINTS, list_of
from moviestrip.errors import FatalError
from moviestrip.layout import RunFolder
from moviestrip.progress import track
from moviestrip.skeleton import BODY_25
from moviestrip.storage import atomic_directory, write_text
from moviestrip.tables import TRACKS, VIDEOS, read_table, read_tables, stack, write_table_in_parts
from moviestrip.video.images import shown_at

TRACKS_FOLDER = "InstaVariety_tracks"
CLIP_COLUMNS = ["clip_id", "video_id", "track", "first_frame", "n_frames", "fps", "split", "action"]

README = """# {title}: ids and keypoints, no pictures

{videos:,} videos, {clips:,} clips, {frames:,} frames of {people:,} people. Licence of the data: {licence}
{consent}
Videos are not here and are not ours to give. They may be gone where they were; whoever is in one may have it removed.

| file | what it is |
| --- | --- |
| `insta_variety_SPLIT.txt` | the videos of each split, a line each: `tag/video_id` |
| `links.csv` | where each video lies (`url`), the part that is used (`start_s`, `end_s`), its size and rates |
| `clips.csv` | the clips: one person over `n_frames` frames from `first_frame`, at `fps` frames a second |
| `keypoints.parquet` | BODY_25 of everyone in these clips, with the same frames: x_px, y_px, confidence |
| `{tracks}/TAG/VIDEO_ID/TRACK/FRAME.json` | the same in InstaVariety's layout; `frame` counts the video's own frames |

To fetch the videos, name `links.csv` in a source of kind `links`. To read the keypoints without detecting anybody, put
the videos into `videos/TAG/VIDEO_ID.mp4` beside this file and name the folder in a source of kind `official`, with
`release: instavariety` and `rule: listed`. Where only a part of a video is used, cut it out first: frames
count from its start.
"""


def export_dataset(run: RunFolder, name: str, settings: DatasetSettings, folder: Path) -> dict[str, int]:
    """Write a dataset's used clips to a new folder, and count what went into it."""
    if folder.exists():
        raise FatalError(f"{folder}: is there already; name a folder that is not, or remove it")
    clips = used_clips(run, name)
    if settings.tube != "tracks" or clips.empty:
        why = "nobody is tracked in it" if settings.tube != "tracks" else "none of its clips is used in this run"
        raise FatalError(
            f"{name}: cannot be exported, {why}; export a dataset with `tube: tracks` that a run has curated"
        )
    shards = [shard for shard in shards_of(run, name) if run.videos(name, shard).is_file()]
    videos = read_tables([run.videos(name, shard) for shard in shards], VIDEOS)
    videos = videos[videos["video_id"].isin(clips["video_id"])].sort_values("video_id")
    videos = videos.assign(
        name=[f"{tag_of(row['action'], name)}/{row['video_id']}" for row in videos.to_dict("records")]
    )
    counts = {
        "videos": len(videos),
        "clips": len(clips),
        "frames": int(clips["n_frames"].sum()),
        "people": len(clips[["video_id", "track"]].drop_duplicates()),
    }
    with atomic_directory(folder) as partial:
        _write_lists(partial, videos, clips)
        write_table_in_parts(partial / "keypoints.parquet", _people(run, name, shards, clips), TRACKS)
        for people in track(_people(run, name, shards, clips), f"export {name}", len(shards)):
            _write_frames(partial / TRACKS_FOLDER, people, videos)
        write_text(partial / "README.md", _readme(settings, counts))
    return counts


def tag_of(action: str, name: str) -> str:
    """A folder's name for what is done: letters, digits, - and _ only, whatever a post said."""
    return re.sub(r"[^a-z0-9_-]+", "-", action.lower()).strip("-")[:60] or name


def _readme(settings: DatasetSettings, counts: Mapping[str, int]) -> str:
    consent = f"Consent of those filmed: {settings.consent}\n" if settings.consent else ""
    return README.format(
        title=settings.title, licence=settings.licence, consent=consent, tracks=TRACKS_FOLDER, **counts
    )


def _write_lists(folder: Path, videos: pd.DataFrame, clips: pd.DataFrame) -> None:
    for split, rows in videos.groupby("split", sort=True):
        write_text(folder / list_of(str(split)), "".join(f"{name}\n" for name in rows["name"]))
    facts = ["split", "subject", "action", "width_px", "height_px", "fps", "filmed_fps", "n_frames", "sha256"]
    parts = pd.DataFrame([_published(source) for source in videos["source"]], columns=["url", "start_s", "end_s"])
    links = videos[["video_id", "name"]].reset_index(drop=True).join(parts).join(videos[facts].reset_index(drop=True))
    write_text(folder / "links.csv", links.to_csv(index=False))
    write_text(folder / "clips.csv", clips[CLIP_COLUMNS].to_csv(index=False))


def _published(source: str) -> tuple[str, str, str]:
    """An address and its part; of a file on this machine its name, not the folders above it."""
    return (PurePath(source).name, "", "") if PurePath(source).is_absolute() else split_source(source)


def _people(run: RunFolder, name: str, shards: list[str], clips: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Tracks of the used clips' frames, a shard at a time: (tables.TRACKS)."""
    spans = clips[["video_id", "track", "first_frame", "n_frames"]]
    for shard in shards:
        tracks = read_table(run.tracks(name, shard), TRACKS)
        wanted = tracks.reset_index().merge(spans, on=["video_id", "track"])
        inside = (wanted["frame"] >= wanted["first_frame"]) & (
            wanted["frame"] < wanted["first_frame"] + wanted["n_frames"]
        )
        yield tracks.loc[wanted.loc[inside, "index"].sort_values()].reset_index(drop=True)


def _write_frames(folder: Path, people: pd.DataFrame, videos: pd.DataFrame) -> None:
    rows = {str(row["video_id"]): row for row in videos.to_dict("records")}
    keypoints = stack(people["keypoints"], len(BODY_25), 3)
    for (video_id, person), found in people.groupby(["video_id", "track"], sort=True):
        video = rows[str(video_id)]
        place = folder / video["name"] / str(person)
        place.mkdir(parents=True)
        frames = own_frames(found["frame"].to_numpy(), float(video["fps"]), float(video["filmed_fps"]))
        for frame, row in zip(frames.tolist(), found.index, strict=True):
            (place / f"{frame:06d}.json").write_text(json.dumps(frame_fields(keypoints[row], frame)))


def own_frames(frame: np.ndarray, fps: float, filmed_fps: float) -> np.ndarray:
    """The video's own frame that each resampled one shows; the same numbers where its rate is not known.

    Where a video was filmed at a lower rate one of its frames is shown more than once, and the last of them counts.
    """
    if filmed_fps <= 0 or filmed_fps == fps:
        return frame
    last = int(np.ceil((frame.max(initial=0) + 1) / fps * filmed_fps)) + 1
    return shown_at(last + 1, filmed_fps, fps)[frame]


def frame_fields(keypoints: Float[np.ndarray, "25 3"], frame: int) -> dict[str, Any]:
    """One person in one frame as InstaVariety's files say it; a joint that is not seen is all zero."""
    seen = np.isfinite(keypoints).all(axis=-1) & (keypoints[:, 2] > 0)
    points = np.where(seen[:, None], keypoints, 0).astype(np.float64)
    low, high = (edge(points[seen, :2], axis=0).tolist() if seen.any() else [0.0, 0.0] for edge in (np.min, np.max))
    joints = {
        name: {**dict(zip(("x", "y", "logits"), point, strict=True)), "probability": None}
        for name, point in zip(KEYPOINTS, points.tolist(), strict=True)
    }
    return {
        "frame": frame,
        "imloc": f"frame{frame + 1:06d}.jpg",  # of pictures cut from the video, which count from 1
        "track_id": 0,
        "bbox": {"xmin": low[0], "ymin": low[1], "xmax": high[0], "ymax": high[1]},
        **joints,
    }
