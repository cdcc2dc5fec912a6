"""Train in as many processes as a launcher started: shared_run.py OUT_FOLDER DROPOUT [SIGNAL RANK STEP WHOM].

In that step of that process a signal is sent: to the process itself, or to the launcher.
"""

import os
import signal
import sys
from pathlib import Path

from stick_world import StickBody, small_scale, stick_data, stick_motions

from moviestrip.config import ComputeSettings, MotionDiscriminatorSettings, VariantSettings
from moviestrip.errors import MoviestripError
from moviestrip.training import loop
from moviestrip.training.compute import start_compute
from moviestrip.training.loop import Training, train_variant


def send(name: str, rank: int, step: int, whom: str) -> None:
    take_step = loop.take_step

    def asked(run, batch, training, steps, random):
        if (training.compute.rank, run.step + 1) == (rank, step):
            os.kill(os.getppid() if whom == "launcher" else os.getpid(), signal.Signals[name])
        take_step(run, batch, training, steps, random)

    loop.take_step = asked


if __name__ == "__main__":
    variant = VariantSettings(
        title="A model with both discriminators",
        paper="vibe",
        encoder="gru",
        motion_discriminator=MotionDiscriminatorSettings(pooling="concat"),  # attention has dropout of its own
    )
    scale = small_scale(steps=20, batch_clips=8, dropout=float(sys.argv[2]), judged_poses=10_000)
    if len(sys.argv) > 3:
        send(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    try:
        with start_compute(ComputeSettings(device="cpu")) as compute:
            training = Training(variant, scale, stick_data(), StickBody(), stick_motions(), compute=compute)
            train_variant(training, "shared", 0, Path(sys.argv[1]))
    except MoviestripError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
