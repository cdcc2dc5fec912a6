"""Train in as many processes as torchrun started: shared_run.py OUT_FOLDER [DROPOUT]."""

import sys
from pathlib import Path

from stick_world import StickBody, small_scale, stick_data, stick_motions

from moviestrip.config import ComputeSettings, MotionDiscriminatorSettings, VariantSettings
from moviestrip.training.compute import start_compute
from moviestrip.training.loop import Training, train_variant

if __name__ == "__main__":
    variant = VariantSettings(
        title="A model with both discriminators",
        paper="vibe",
        encoder="gru",
        motion_discriminator=MotionDiscriminatorSettings(pooling="concat"),  # attention has dropout of its own
    )
    scale = small_scale(steps=20, batch_clips=8, dropout=float(sys.argv[2]), judged_poses=10_000)
    with start_compute(ComputeSettings(device="cpu")) as compute:
        training = Training(variant, scale, stick_data(), StickBody(), stick_motions(), compute=compute)
        train_variant(training, "shared", 0, Path(sys.argv[1]))
