"""What the strips share: clips of a dataset with their labels and videos, and the bodies of a table's rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.body.load import Body
from moviestrip.errors import FatalError
from moviestrip.figures.contact_sheet import NO_PICTURES, PAPER_WHITE, FramesOf, frames_at, frames_of_dataset, is_paper
from moviestrip.figures.draw import Picture, draw_caption
from moviestrip.figures.overlay_clips import choose_clips
from moviestrip.figures.strips import filmed_cell
from moviestrip.stages.job import Job, labels_of, selected_clips


@dataclass(frozen=True)
class Filmed:
    """Clips of some splits of a dataset that passed every filter, sorted by id."""

    dataset: str
    clips: pd.DataFrame
    labels: pd.DataFrame
    frames_of: FramesOf

    @classmethod
    def of(cls, job: Job, dataset: str, splits: Sequence[str]) -> "Filmed":
        clips = selected_clips(job, [dataset], splits)
        labels = labels_of(job, dataset)
        return cls(
            dataset, clips, labels[labels["clip_id"].isin(clips["clip_id"])], frames_of_dataset(job.run, dataset)
        )

    def first_test_clips(self, forecasts: pd.DataFrame, count: int) -> list[str]:
        """Of the test clips that were forecast the first by id, each of another action as long as there is one."""
        is_forecast = self.clips["clip_id"].isin(forecasts["clip_id"])
        chosen = choose_clips(self.clips[is_forecast], count)["clip_id"].astype(str).to_list()
        if not chosen:
            raise FatalError(f"forecasts on {self.dataset}: none is of a test clip of this run; forecast again")
        return chosen

    def action_of(self, clip_id: str) -> str:
        return str(self.clips.set_index("clip_id").at[clip_id, "action"]).replace("_", " ")

    def labels_at(self, clip_id: str, frames: Sequence[int]) -> pd.DataFrame:
        """Labels of frames of a clip, in the order asked for."""
        rows = self.labels[self.labels["clip_id"] == clip_id].set_index("frame")
        missing = [frame for frame in frames if frame not in rows.index]
        if missing:
            raise FatalError(f"labels of {self.dataset}: clip {clip_id} lacks frame {missing[0]}; label it again")
        return rows.loc[list(frames)].reset_index()

    def cells(self, clip_id: str, frames: Sequence[int], cell_px: tuple[int, int]) -> list[Picture]:
        """The person at ascending frames of a clip; paper where it has no pictures."""
        rows = self.labels_at(clip_id, frames)
        video = str(self.clips.set_index("clip_id").at[clip_id, "video_id"])
        pictures = frames_at(self.frames_of(video), rows["video_frame"].to_list())
        centers, scales = tables.stack(rows["box_center_px"]), rows["box_scale"].to_numpy(float)
        boxes = zip(pictures, centers, scales, strict=True)
        return [_cell(picture, center, float(scale), cell_px) for picture, center, scale in boxes]


def _cell(picture: Picture, center: np.ndarray, scale: float, cell_px: tuple[int, int]) -> Picture:
    if not is_paper(picture):
        return filmed_cell(picture, center, scale, cell_px)
    width, height = cell_px
    return draw_caption(np.full((height, width, 3), PAPER_WHITE, np.uint8), NO_PICTURES)


def bodies_of(rows: pd.DataFrame, body: Body) -> list[np.ndarray]:
    """Meshes of rows with `pose` and `betas`, in metres, without a place."""
    vertices, _ = body.forward(tables.stack(rows["pose"]), tables.stack(rows["betas"]))
    return list(vertices)


def forecast_at(forecasts: pd.DataFrame, clip_id: str, start_frame: int, horizons: Iterable[int]) -> pd.DataFrame:
    """FORECASTS of one start at some horizons, in the order asked for."""
    chosen = forecasts[(forecasts["clip_id"] == clip_id) & (forecasts["start_frame"] == start_frame)]
    rows, wanted = chosen.set_index("horizon"), list(horizons)
    missing = [horizon for horizon in wanted if horizon not in rows.index]
    if missing:
        raise FatalError(
            f"forecasts: nothing at horizon {missing[0]} from frame {start_frame} of clip {clip_id}; forecast again"
        )
    return rows.loc[wanted].reset_index()


def described(clips: Sequence[tuple[str, str, int]]) -> str:
    """(dataset, clip, frame) as the notes list them."""
    return "; ".join(f"{dataset} {clip_id} at frame {frame}" for dataset, clip_id, frame in clips)
