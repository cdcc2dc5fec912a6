"""Asked to stop, a training saves, ends with the code that means "again", and goes on to the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moviestrip.errors import ConfigError, FatalError, MoviestripError, RetryableError
from moviestrip.storage import digest_of
from moviestrip.training.interruption import requests_noted
from moviestrip.training.state import state_file
from moviestrip.training.together import failure_of

ROOT = Path(__file__).parents[2]
SCENARIOS = {  # by name: what is sent when, and the exit codes of each call
    "whole": ("", [0, 0]),
    "in-a-step": ("TERM@step-6", [75, 0]),
    "in-a-step-that-is-validated": ("TERM@step-8", [75, 0]),
    "early-warning": ("USR1@step-3", [75, 0]),
    "in-a-validation": ("TERM@validate-4", [75, 0]),
    "in-a-save": ("TERM@save-4", [75, 0]),
    "again-and-again": ("USR1@step-6+TERM@step-6+TERM@save-6", [75, 0]),
    "three-times-over": ("TERM@step-2,USR1@step-5,TERM@step-11", [75, 75, 75, 0]),
    "in-the-last-step": ("TERM@step-12", [75, 0]),
    "when-all-is-done": ("TERM@validate-12", [0, 0]),
    "killed-in-the-last-save": ("KILL@checkpoint-12", [-9, 0]),
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]], str]:
    """The folder of every scenario's training, their exit codes, and what was said."""
    folder = tmp_path_factory.mktemp("asked")
    scenarios = [f"{name}={calls}" for name, (calls, _) in SCENARIOS.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.asked_run", str(folder), *scenarios],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    for name in SCENARIOS:
        state_file(folder / name).unlink()
    return folder, {name: [int(code) for code in codes] for name, *codes in lines}, done.stderr


@pytest.mark.faults
@pytest.mark.parametrize("name", SCENARIOS)
def test_fault_22_a_training_asked_to_stop_goes_on_to_the_same_bytes(asked, name):
    folder, codes, _ = asked
    assert codes[name] == SCENARIOS[name][1]
    for path in (folder / name).rglob(".*.partial"):  # a kill leaves it; it is never a result
        path.unlink()
    assert digest_of(folder / name) == digest_of(folder / "whole")


def test_who_asked_and_where_it_goes_on_is_said(asked):
    said = asked[2]
    assert "training: asked to stop by SIGUSR1; saved after step 3, run it again to go on" in said
    assert "last.pt: going on from step 3\n" in said


def test_only_the_first_request_counts_and_none_leaves_everything_as_it_was():
    before = signal.getsignal(signal.SIGUSR1)
    with requests_noted() as interruption:
        assert interruption.signal_name == ""
    assert signal.getsignal(signal.SIGUSR1) == before
    try:
        with requests_noted() as interruption:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert interruption.signal_name == "SIGUSR1"
        os.kill(os.getpid(), signal.SIGUSR1)  # this process would end here
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("exit_codes", "kind"),
    [
        ([75, 75], RetryableError),
        ([-9, 75], RetryableError),
        ([2, -15], ConfigError),
        ([75, 3, 1], FatalError),
        ([1, 75], MoviestripError),
    ],
)
def test_the_ends_of_processes_mean_what_the_gravest_does(exit_codes, kind):
    assert type(failure_of(exit_codes)) is kind
