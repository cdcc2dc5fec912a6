"""The overlay clips of a run: the same few test clips for every variant, as small videos and one list of them.

Reads the labels, clips, videos and predictions of a run. Writes `figures/overlays/`: one MP4 a variant and clip, and
`overlays.json` with what each shows, in the order in which the report has them.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.figures.contact_sheet import NO_PICTURES, frames_at, frames_of_dataset, is_paper, of_shards
from moviestrip.figures.draw import Picture, draw_caption
from moviestrip.figures.overlay import camera_translation, overlay_frames
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.progress import track
from moviestrip.storage import atomic_directory, write_json

INDEX = "overlays.json"
MAXIMUM_FRAMES = 64
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
        predictions = {
            (variant, dataset): tables.read_table(run.predictions(variant, seed, dataset), tables.PREDICTIONS)
            for variant in variants
            for dataset in datasets
        }
        clips = choose_clips(_predicted_clips(run, datasets, predictions), count)
        labels = {name: of_shards(run, "labels", name, tables.LABELS) for name in set(clips.dataset)}
        videos = {name: frames_of_dataset(run, name) for name in set(clips.dataset)}
        jobs = [(clip, variant) for clip in clips.to_dict("records") for variant in variants]
        for clip, variant in track(jobs, "overlay clips"):
            dataset, clip_id, fps = str(clip["dataset"]), str(clip["clip_id"]), float(clip["fps"])
            rows = _of_clip(labels[dataset], clip_id)
            predicted = _of_clip(predictions[variant, dataset], clip_id)
            pictures = overlay_of_clip(rows, predicted, videos[dataset](str(clip["video_id"])), body)
            file = f"{clip_id}-{variant}.mp4"
            n_frames = write_video(folder / file, pictures, fps, quality=27)
            overlays.append(Overlay(clip_id, dataset, str(clip["action"]), variant, file, fps, n_frames))
        write_json(folder / INDEX, [asdict(overlay) for overlay in overlays])
    return overlays


def overlay_of_clip(
    labels: pd.DataFrame, predictions: pd.DataFrame, frames: Iterator[Picture], body: Body
) -> Iterator[Picture]:
    """The overlay frames of one clip; rows of `labels` and `predictions` are joined on the frame."""
    rows = labels.merge(predictions, on="frame", suffixes=("", "_predicted")).sort_values("frame").head(MAXIMUM_FRAMES)
    if rows.empty:
        raise FatalError("a clip to overlay has no frame that is both labelled and predicted; run `predict` again")
    shown = frames_at(frames, rows.video_frame.to_list())
    first = next(shown)
    overlays = overlay_frames(
        itertools.chain([first], shown),
        tables.stack(rows.box_center_px),
        rows.box_scale.to_numpy(),
        tables.stack(rows.keypoints_2d, 25, 3),
        _placed_meshes(rows, body),
        body.faces,
    )
    yield from (draw_caption(overlay, NO_PICTURES) for overlay in overlays) if is_paper(first) else overlays


def _placed_meshes(rows: pd.DataFrame, body: Body) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), FRAMES_AT_ONCE):
        part = rows.iloc[start : start + FRAMES_AT_ONCE]
        pose, betas = tables.stack(part.pose_predicted), tables.stack(part.betas_predicted)
        translation = camera_translation(tables.stack(part.camera)).astype(np.float32)
        vertices, _ = body.forward(pose, betas, translation)
        yield from vertices


def _predicted_clips(
    run: RunFolder, datasets: Sequence[str], predictions: dict[tuple[str, str], pd.DataFrame]
) -> pd.DataFrame:
    """Clips of the datasets that every variant has predicted: only those can be compared."""
    clips = pd.concat([of_shards(run, "clips", name, tables.CLIPS) for name in datasets], ignore_index=True)
    shared = set(clips.clip_id)
    for variant in sorted({variant for variant, _ in predictions}):
        shared &= {clip_id for name in datasets for clip_id in predictions[variant, name].clip_id}
    return clips[clips.clip_id.isin(shared)]


def _of_clip(rows: pd.DataFrame, clip_id: str) -> pd.DataFrame:
    return rows[rows.clip_id == clip_id]
