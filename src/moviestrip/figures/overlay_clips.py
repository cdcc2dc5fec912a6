"""The overlay clips of a run: the same few test clips for every variant, as small videos and one list of them.

Reads the labels, clips, videos and predictions of a run. Writes `figures/overlays/`: one MP4 a variant and clip, and
`overlays.json` with what each shows, in the order in which the report has them.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.figures.contact_sheet import NO_PICTURES, frames_at, frames_of_dataset, is_paper, of_shards
from moviestrip.figures.draw import Picture, draw_caption
from moviestrip.figures.overlay import camera_translation, overlay_frames, seen_frames
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.progress import track
from moviestrip.storage import atomic_directory, write_json

INDEX = "overlays.json"
MAXIMUM_FRAMES = 64
QUALITY = 26  # of their encoding, see `write_video`
FRAMES_AT_ONCE = 16  # meshes in memory: 16 x 14,000 vertices


@dataclass(frozen=True)
class Overlay:
    """One video of `overlays.json`; `file` is relative to its folder."""

    clip_id: str
    dataset: str
    action: str
    variant: str
    file: str
    fps: float
    n_frames: int


def choose_clips(clips: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` test clips: datasets in turn, and within each an action not shown yet where there is one."""
    left = clips[clips.split == "test"].sort_values(["dataset", "clip_id"])
    by_dataset = {str(dataset): rows for dataset, rows in left.groupby("dataset", sort=True)}
    chosen: list[pd.Series] = []
    shown: set[tuple[str, str]] = set()
    while len(chosen) < count and by_dataset:
        for dataset in sorted(by_dataset):
            rows = by_dataset[dataset]
            fresh = rows[[(dataset, str(action)) not in shown for action in rows.action]]
            row = (fresh if len(fresh) else rows).iloc[0]
            shown.add((dataset, str(row.action)))
            chosen.append(row)
            by_dataset[dataset] = rows[rows.clip_id != row.clip_id]
        by_dataset = {dataset: rows for dataset, rows in by_dataset.items() if len(rows)}
    return pd.DataFrame(chosen[:count], columns=clips.columns).reset_index(drop=True)


def render_overlays(
    run: RunFolder, datasets: Sequence[str], variants: Sequence[str], seed: int, body: Body, count: int
) -> list[Overlay]:
    """Write `figures/overlays/` of a run and return its list; clips without a prediction everywhere are passed over."""
    with atomic_directory(run.figures / "overlays") as folder:
        overlays: list[Overlay] = []
        clips = choose_clips(_predicted_clips(run, datasets, variants, seed), count)
        for clip in clips.to_dict("records"):
            dataset, clip_id, fps = str(clip["dataset"]), str(clip["clip_id"]), float(clip["fps"])
            labels = _of_clip(of_shards(run, "labels", dataset, tables.LABELS), clip_id)
            predicted = [
                _of_clip(tables.read_table(run.predictions(variant, seed, dataset), tables.PREDICTIONS), clip_id)
                for variant in variants
            ]
            frames = frames_of_dataset(run, dataset)(str(clip["video_id"]))
            drawn = zip(variants, overlays_of_clip(labels, predicted, frames, body), strict=True)
            for variant, pictures in track(list(drawn), f"overlays of {clip_id}"):
                file = f"{clip_id}-{variant}.mp4"
                n_frames = write_video(folder / file, pictures, fps, quality=QUALITY)
                overlays.append(Overlay(clip_id, dataset, str(clip["action"]), variant, file, fps, n_frames))
        write_json(folder / INDEX, [asdict(overlay) for overlay in overlays])
    return overlays


def overlays_of_clip(
    labels: pd.DataFrame, predictions: Sequence[pd.DataFrame], frames: Iterator[Picture], body: Body
) -> list[Iterator[Picture]]:
    """The overlay frames of one clip, of each prediction of it: the video is read once, and what was seen drawn once.

    Rows of `labels` and each of `predictions` are joined on the frame.
    """
    joined = [labels.merge(rows, on="frame", suffixes=("", "_predicted")) for rows in predictions]
    shown = [rows.sort_values("frame").head(MAXIMUM_FRAMES) for rows in joined]
    if any(rows.empty for rows in shown):
        raise FatalError("a clip to overlay has no frame that is both labelled and predicted; run `predict` again")
    seen = labels[labels.frame.isin(set().union(*(rows.frame for rows in shown)))].sort_values("frame")
    pictures = frames_at(frames, seen.video_frame.to_list())
    first = next(pictures)
    panels = seen_frames(
        itertools.chain([first], pictures),
        tables.stack(seen.box_center_px),
        seen.box_scale.to_numpy(),
        tables.stack(seen.keypoints_2d, 25, 3),
    )
    by_frame, caption = dict(zip(seen.frame, panels, strict=True)), NO_PICTURES * is_paper(first)
    return [_overlay(rows, by_frame, caption, body) for rows in shown]


def _overlay(rows: pd.DataFrame, seen: Mapping[int, Picture], caption: str, body: Body) -> Iterator[Picture]:
    overlays = overlay_frames((seen[frame] for frame in rows.frame), _placed_meshes(rows, body), body.faces)
    yield from (draw_caption(overlay, caption) for overlay in overlays) if caption else overlays


def _placed_meshes(rows: pd.DataFrame, body: Body) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), FRAMES_AT_ONCE):
        part = rows.iloc[start : start + FRAMES_AT_ONCE]
        pose, betas = tables.stack(part.pose_predicted), tables.stack(part.betas_predicted)
        translation = camera_translation(tables.stack(part.camera)).astype(np.float32)
        vertices, _ = body.forward(pose, betas, translation)
        yield from vertices


def _predicted_clips(run: RunFolder, datasets: Sequence[str], variants: Sequence[str], seed: int) -> pd.DataFrame:
    """Clips of the datasets that every variant has predicted: only those can be compared."""
    clips = pd.concat([of_shards(run, "clips", name, tables.CLIPS) for name in datasets], ignore_index=True)
    shared = set(clips.clip_id)
    for variant in variants:
        paths = [run.predictions(variant, seed, dataset) for dataset in datasets]
        shared &= set(tables.read_tables(paths, tables.PREDICTIONS, ["clip_id"]).clip_id)
    return clips[clips.clip_id.isin(shared)]


def _of_clip(rows: pd.DataFrame, clip_id: str) -> pd.DataFrame:
    return rows[rows.clip_id == clip_id]
