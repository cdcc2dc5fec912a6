"""Several processes train as one: the same batches, the same losses, the same weights but for the order of sums."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from moviestrip.config import ComputeSettings, VariantSettings
from moviestrip.errors import ConfigError
from moviestrip.tables import TRAINING_LOG, read_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.compute import ALONE, Compute, device_named, mean_over, start_compute
from moviestrip.training.loop import Training, train_variant
from tests.training.stick_world import StickBody, small_scale, stick_data

SCRIPT = Path(__file__).with_name("shared_run.py")
RELATIVE_TOLERANCE = 1e-3  # of every logged loss, after 20 steps


def run(processes: int, out: Path, dropout: float) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(SCRIPT), str(out), str(dropout)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    log = read_table(out / "log.parquet", TRAINING_LOG).set_index(["step", "loss"])["value"]
    return log, read_checkpoint(out / "checkpoint.pt").weights


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(tmp_path):
    alone, weights = run(1, tmp_path / "one", 0.0)
    shared, shared_weights = run(2, tmp_path / "two", 0.0)
    assert list(shared.index) == list(alone.index)
    pd.testing.assert_series_equal(shared, alone, rtol=RELATIVE_TOLERANCE, check_exact=False)
    for name, value in weights.items():
        torch.testing.assert_close(shared_weights[name], value, rtol=0, atol=2e-3)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["checkpoint.pt", "log.parquet", "tensorboard"]


@pytest.mark.slow
def test_with_dropout_two_processes_are_another_draw_of_the_same_training(tmp_path):
    alone, shared = run(1, tmp_path / "one", 0.1)[0], run(2, tmp_path / "two", 0.1)[0]
    assert not shared.equals(alone)
    assert shared.xs("total", level="loss").iloc[-1] == pytest.approx(alone.xs("total", level="loss").iloc[-1], rel=0.1)


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
