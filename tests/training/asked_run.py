"""Trainings that are asked to stop, each in a process of its own: asked_run.py FOLDER SCENARIO...

A scenario is a name and the requests of its first, second, ... call, such as `a=TERM@step-5+TERM@save-5,USR1@step-9`:
SIGTERM in the fifth step and again while the state after it is saved; then, in the next call, SIGUSR1 in the ninth.
As the workflow does, a call that failed loses its outputs. The last call is left in peace. Prints the exit codes.
"""

import os
import signal
import sys
from pathlib import Path

from moviestrip.config import ComputeSettings, MotionDiscriminatorSettings, VariantSettings
from moviestrip.errors import MoviestripError
from moviestrip.training import checkpoint, loop
from moviestrip.training.compute import start_compute
from moviestrip.training.loop import Training, train_variant
from tests.training.stick_world import StickBody, small_scale, stick_data, stick_motions

OUTPUTS = ("checkpoint.pt", "log.parquet")
Requests = dict[tuple[str, int], int]  # which signal comes in which call of a step, a save or a validation


def requests_of(text: str) -> Requests:
    found = {}
    for part in filter(None, text.split("+")):
        name, _, moment = part.partition("@")
        kind, _, step = moment.partition("-")
        found[kind, int(step)] = signal.Signals[f"SIG{name}"]
    return found


def send_in(requests: Requests) -> None:
    """Have signals come in the middle of what the training does."""
    step, save, validate = loop.take_step, checkpoint.torch.save, loop.validate
    now = {"step": 0}

    def take_step(run, *rest):
        now["step"] = run.step + 1
        ask("step")
        step(run, *rest)

    def save_file(values, buffer):
        ask("save" if "fingerprint" in values else "checkpoint")
        save(values, buffer)

    def ask(kind):
        if (number := requests.get((kind, now["step"]))) is not None:
            os.kill(os.getpid(), number)

    loop.take_step, checkpoint.torch.save = take_step, save_file
    loop.validate = lambda *rest: (ask("validate"), validate(*rest))


def train(folder: Path, requests: Requests) -> int:
    """The exit code of one call, as the command line has it."""
    send_in(requests)
    variant = VariantSettings(
        title="Every part that changes", paper="vibe", encoder="gru",
        motion_discriminator=MotionDiscriminatorSettings(),
    )  # fmt: skip
    scale = small_scale(steps=12, batch_clips=4, dropout=0.1, validate_every_steps=4)
    try:
        with start_compute(ComputeSettings(device="cpu")) as compute:
            training = Training(variant, scale, stick_data(4, 1), StickBody(), stick_motions(2, 30), compute=compute)
            train_variant(training, "asked", 0, folder)
    except MoviestripError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def in_a_process(folder: Path, requests: Requests) -> int:
    """Forked, before any thread was started: only the first process waits for the libraries."""
    child = os.fork()
    if child == 0:
        os._exit(train(folder, requests))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        for name in OUTPUTS:
            (folder / name).unlink(missing_ok=True)
    return code


if __name__ == "__main__":
    for scenario in sys.argv[2:]:
        name, _, calls = scenario.partition("=")
        codes = [in_a_process(Path(sys.argv[1]) / name, requests_of(call)) for call in (*calls.split(","), "")]
        print(name, *codes)
