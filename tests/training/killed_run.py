"""Train in a process of its own, for a test that kills it: killed_run VARIANT OUT_FOLDER."""

import sys
from pathlib import Path

from moviestrip.config import load_variant
from moviestrip.training.data import TrainingData
from moviestrip.training.loop import Training, train_variant
from tests.training.stick_world import StickBody, small_scale, stick_clips, stick_motions

CONFIG = Path(__file__).parents[2] / "config"


def train_to_the_end(name: str, out_folder: Path) -> None:
    """From scratch, whatever the variant starts from: a kill must not matter in any of its parts."""
    variant = load_variant(name, CONFIG).model_copy(update={"start_from": None, "frozen": (), "forecast_frames": 4})
    data = TrainingData(stick_clips("train", 8, n_frames=44), stick_clips("held", 2, n_frames=30, share_3d=1.0))
    scale = small_scale(steps=24, width=64, readout_start=False, dropout=0.1)
    train_variant(Training(variant, scale, data, StickBody(), stick_motions()), name, 3, out_folder)


if __name__ == "__main__":
    train_to_the_end(sys.argv[1], Path(sys.argv[2]))
