"""Several processes train as one: the same batches, the same losses, the same weights but for the order of sums."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from moviestrip.config import ComputeSettings, Config, VariantSettings, in_world
from moviestrip.errors import ConfigError
from moviestrip.tables import TRAINING_LOG, read_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.compute import ALONE, Compute, device_named, mean_over, start_compute
from moviestrip.training.loop import Training, train_variant
from moviestrip.training.state import state_file
from tests.training.stick_world import StickBody, small_scale, stick_data

SCRIPT = Path(__file__).with_name("shared_run.py")
LAUNCHER = Path(__file__).with_name("launcher.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
RELATIVE_TOLERANCE = 1e-5  # of every logged loss, after 20 steps; measured 2e-7
ABSOLUTE_TOLERANCE = 1e-4  # of every weight, the largest of which is 1; measured 2e-6


def learnt(out: Path) -> tuple[pd.Series, dict[str, torch.Tensor]]:
    log = read_table(out / "log.parquet", TRAINING_LOG).set_index(["step", "loss"])["value"]
    return log, read_checkpoint(out / "checkpoint.pt").weights


def started(
    out: Path, *options: object, processes: int = 2, nodes: int = 1, rendezvous: str = ""
) -> subprocess.Popen[str]:
    """A launcher of ours, of one node."""
    program = [sys.executable, LAUNCHER, processes, nodes, rendezvous, SCRIPT, out, *(options or ("0.0",))]
    arguments = [str(part) for part in program]
    return subprocess.Popen(arguments, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def ended(*launchers: subprocess.Popen[str]) -> list[int]:
    said = [launcher.communicate(timeout=300)[1] for launcher in launchers]
    codes = [launcher.returncode for launcher in launchers]
    assert set(codes) <= {0, 75}, said
    return codes


def assert_close(found: Path, alone: Path) -> None:
    (log, weights), (log_alone, weights_alone) = learnt(found), learnt(alone)
    assert list(log.index) == list(log_alone.index)
    pd.testing.assert_series_equal(log, log_alone, rtol=RELATIVE_TOLERANCE, check_exact=False)
    for name, value in weights_alone.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=ABSOLUTE_TOLERANCE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves."""
    out = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, SCRIPT, out, "0.0"], env=ENVIRONMENT, check=True, timeout=300)
    return out


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two leave, uninterrupted; with dropout, whose states are of each."""
    out = tmp_path_factory.mktemp("both")
    assert ended(started(out, "0.1")) == [0]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("torchrun", [True, False])
def test_two_processes_follow_the_curve_of_one(tmp_path, alone, torchrun):
    if torchrun:  # any launcher will do
        program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        subprocess.run([*program, SCRIPT, tmp_path, "0.0"], env=ENVIRONMENT, check=True, timeout=300)
    else:
        assert ended(started(tmp_path)) == [0]
    assert_close(tmp_path, alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.pt",
        "last.pt",
        "log.parquet",
        "tensorboard",
    ]


@pytest.mark.slow
def test_two_nodes_follow_the_curve_of_one_and_stop_together(tmp_path, alone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        rendezvous = f"127.0.0.1:{free.getsockname()[1]}"
    nodes = {"processes": 1, "nodes": 2, "rendezvous": rendezvous}
    requests = ("0.0", "SIGTERM", 1, 7, "launcher")  # one of the two is asked
    assert ended(started(tmp_path, *requests, **nodes), started(tmp_path, *requests, **nodes)) == [75, 75]
    assert state_file(tmp_path).exists()
    assert ended(started(tmp_path, **nodes), started(tmp_path, **nodes)) == [0, 0]
    assert_close(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize(
    "requests",
    [
        ("SIGTERM", 0, 7, "launcher"),
        ("SIGUSR1", 1, 9, "launcher"),
        ("SIGTERM", 1, 6, "itself"),
        ("SIGKILL", 1, 10, "itself"),
    ],
    ids=lambda requests: "-".join(map(str, requests)),
)
def test_fault_22_two_processes_asked_to_stop_or_losing_one_go_on_to_the_same_weights(tmp_path, both, requests):
    assert ended(started(tmp_path, "0.1", *requests)) == [75]
    (tmp_path / "log.parquet").unlink(missing_ok=True)  # as the workflow does with a failed job's outputs
    assert ended(started(tmp_path, "0.1")) == [0]
    (log, weights), (whole_log, whole_weights) = learnt(tmp_path), learnt(both)
    pd.testing.assert_series_equal(log, whole_log, check_exact=True)
    for name, value in whole_weights.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.faults
def test_fault_22_signals_to_all_processes_at_once_and_twice_end_them_saved(tmp_path, both):
    """As Slurm sends them: to every process of a job, and again after a while."""
    launcher = started(tmp_path, "0.1")
    while not state_file(tmp_path).exists():
        assert launcher.poll() is None
        time.sleep(0.01)
    workers = [int(pid) for pid in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()]
    for _ in range(2):
        for pid in (launcher.pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    code = ended(launcher)
    assert code in ([75], [0])  # it may have been too quick
    assert ended(started(tmp_path, "0.1")) == [0]
    pd.testing.assert_series_equal(learnt(tmp_path)[0], learnt(both)[0], check_exact=True)


@pytest.mark.slow
def test_with_dropout_two_processes_are_another_draw_of_the_same_training(tmp_path, both):
    subprocess.run([sys.executable, SCRIPT, tmp_path, "0.1"], env=ENVIRONMENT, check=True, timeout=300)
    alone, shared = learnt(tmp_path)[0], learnt(both)[0]
    assert not shared.equals(alone)
    assert shared.xs("total", level="loss").iloc[-1] == pytest.approx(alone.xs("total", level="loss").iloc[-1], rel=0.1)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path, single_view):
    training = Training(single_view, small_scale(), stick_data(), StickBody(), compute=Compute(processes=3))
    with pytest.raises(ConfigError, match=r"scale\.batch_clips: 3 processes cannot share 4 evenly"):
        train_variant(training, "single-view", 0, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "compute", "problem"),
    [
        ({"gpus": 4}, {}, None),
        ({"gpus": 3}, {}, r"3 processes \(gpus: 3, nodes: 1\).* scale\.batch_clips: 16 evenly"),
        ({"gpus": 3}, {"device": "cpu"}, None),
        ({"gpus": 4, "nodes": 8}, {}, r"32 processes \(gpus: 4, nodes: 8\)"),
        ({}, {"processes": 5}, r"5 processes \(compute\.processes: 5, nodes: 1\)"),
        ({"gpus": 4}, {"processes": 5, "device": "cuda"}, None),
    ],
)
def test_processes_that_cannot_share_a_batch_stop_the_plan(single_view, wanted, compute, problem):
    variant = single_view.model_copy(update={**wanted, "datasets": ()})
    config = Config(
        name="x", world="miniature", datasets=(), variants=(), tables=(), compute=ComputeSettings(**compute)
    )
    with pytest.raises(ConfigError, match=problem) if problem else contextlib.nullcontext():
        in_world("big", variant, config, {})


def test_a_mean_counts_what_has_weight_and_nothing_is_zero():
    values, weights = torch.tensor([1.0, 5.0, 9.0]), torch.tensor([True, False, True])
    assert mean_over(values).item() == 5
    assert mean_over(values, weights).item() == 5
    assert mean_over(values, torch.tensor([False, True, False])).item() == 5
    assert mean_over(values, torch.zeros(3)).item() == 0


def test_shares_of_a_batch_are_all_of_it_once_and_of_both_kinds():
    rows = torch.arange(12)
    shares = [Compute(rank=rank, processes=3).share(rows) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == rows.tolist()
    for share in shares:
        assert (share < 6).sum() == 2  # the first half has 3D truth


def test_alone_nothing_is_exchanged():
    values = torch.tensor([1.0, 2.0])
    assert ALONE.add_up(values) is values
    assert ALONE.writes
    with start_compute(ComputeSettings(device="cpu")) as compute:
        assert compute == Compute()


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_gpu_that_is_not_there_is_one_line():
    assert device_named("auto").type == "cpu"
    with pytest.raises(ConfigError, match=r"compute\.device: cuda was asked for"):
        device_named("cuda")


def test_bfloat16_is_only_in_the_matrix_products():
    layer, values = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with Compute(bfloat16=True).precision():
        assert layer(values).dtype == torch.bfloat16
    with ALONE.precision():
        assert layer(values).dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize(("compute", "difference"), [(Compute(compiled=True), 1e-6), (Compute(bfloat16=True), 1e-2)])
def test_compiled_or_in_bfloat16_a_training_stays_close_to_the_plain_one(tmp_path, compute, difference):
    variant = VariantSettings(title="HMMR", paper="hmmr", encoder="movie-strip", delta_frames=(-5, 5))
    scale = small_scale(steps=6, dropout=0.0)
    weights = []
    for name, way in (("plain", ALONE), ("other", compute)):
        training = Training(variant, scale, stick_data(), StickBody(), compute=way)
        train_variant(training, "close", 0, tmp_path / name)
        weights.append(read_checkpoint(tmp_path / name / "checkpoint.pt").weights)
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=difference)
