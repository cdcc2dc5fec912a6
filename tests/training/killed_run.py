"""Train in a process of its own, for a test that kills it: killed_run.py OUT_FOLDER CHECKPOINT_OF_SINGLE_VIEW."""

import sys
from pathlib import Path

from stick_world import StickBody, small_scale, stick_data

from moviestrip.config import load_variant
from moviestrip.training.loop import Training, train_variant

if __name__ == "__main__":
    variant = load_variant("contextual", Path(__file__).parents[2] / "config")
    scale = small_scale(temporal_steps=40)
    training = Training(variant, scale, stick_data(), StickBody())
    train_variant(training, "contextual", 3, Path(sys.argv[1]), Path(sys.argv[2]))
