"""Training runs: equal twice, equal after a kill, and able to learn."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from moviestrip.body.mean_parameters import MeanParameters
from moviestrip.config import LossWeights
from moviestrip.errors import ConfigError, FatalError, StorageError
from moviestrip.geometry import SCALE_BOUNDS
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.storage import digest_of
from moviestrip.tables import TRAINING_LOG, read_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.data import TrainingData
from moviestrip.training.loop import (
    Training,
    draw_batch,
    new_run,
    prepared,
    random_of_step,
    reproducible,
    train_variant,
    with_lost_frames,
)
from moviestrip.training.optimisers import PLATEAU_PATIENCE, model_optimiser, rate_factor
from moviestrip.training.predict import estimate, pa_mpjpe_mm
from moviestrip.training.readout import ridge
from moviestrip.training.state import state_file
from tests.training.killed_run import train_to_the_end
from tests.training.stick_world import StickBody, small_scale, stick_clips, stick_data

ROOT = Path(__file__).parents[2]
OTHER_FAMILIES = ("vibe", "ar-phi", "tcmr-ablation")


def train(variant, name, folder, start_from=None, seed=0, data=None, **scale):
    training = Training(variant, small_scale(**scale), data or stick_data(), StickBody())
    train_variant(training, name, seed, folder, start_from)
    state_file(folder).unlink()  # it is the caller's to remove
    return folder


def test_a_run_leaves_checkpoint_log_and_events_and_nothing_else(static_run):
    files = sorted(str(path.relative_to(static_run)) for path in static_run.rglob("*") if path.is_file())
    assert files == ["checkpoint.pt", "log.parquet", "tensorboard/events.out.tfevents.0.moviestrip"]
    log = read_table(static_run / "log.parquet", TRAINING_LOG)
    assert sorted(log["step"].unique()) == [4, 8, 12]
    expected = {"total", "keypoints", "joints_3d", "smpl", "betas", "constant_shape", "adversarial", "discriminator"}
    assert set(log["loss"]) == expected | {"validation_pa_mpjpe_mm", "gradient_norm", "learning_rate"}
    terms = log[log["step"] == 8].set_index("loss")["value"]
    parts = terms.drop(["total", "discriminator", "gradient_norm", "learning_rate", "validation_pa_mpjpe_mm"])
    assert terms["total"] == pytest.approx(parts.sum(), rel=1e-5)


def test_tensorboard_reads_the_same_numbers(static_run):
    log = read_table(static_run / "log.parquet", TRAINING_LOG)
    events = list(EventFileLoader(str(static_run / "tensorboard" / "events.out.tfevents.0.moviestrip")).Load())
    found = [(event.step, value.tag) for event in events for value in event.summary.value]
    assert found == list(zip(log["step"], log["loss"], strict=True))


def test_the_best_validated_weights_are_kept(static_run):
    log = read_table(static_run / "log.parquet", TRAINING_LOG)
    validated = log[log["loss"] == "validation_pa_mpjpe_mm"].set_index("step")["value"]
    kept = read_checkpoint(static_run / "checkpoint.pt")
    assert kept.step == validated.idxmin()
    error = pa_mpjpe_mm(estimate(kept.model(), stick_data().validation, StickBody()), stick_data().validation)
    assert error == pytest.approx(validated.min(), abs=1e-3)
    assert error == pytest.approx(kept.validation_pa_mpjpe_mm, abs=1e-3)


def test_the_last_weights_are_kept_where_that_is_asked_for(tmp_path, single_view):
    out = train(single_view, "single-view", tmp_path, kept_step="last")
    assert read_checkpoint(out / "checkpoint.pt").step == small_scale().steps


def test_two_runs_leave_the_same_bytes_and_another_seed_does_not(tmp_path, static_run, single_view):
    torch.manual_seed(99)  # whatever the process did before
    again = train(single_view, "single-view", tmp_path / "again")
    assert digest_of(again) == digest_of(static_run)
    other = train(single_view, "single-view", tmp_path / "other", seed=1)
    assert digest_of(other / "checkpoint.pt") != digest_of(static_run / "checkpoint.pt")


def test_training_leaves_the_process_as_it_was(tmp_path, single_view):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(single_view, "single-view", tmp_path, steps=1)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.faults
@pytest.mark.parametrize("name", ["contextual", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHER_FAMILIES)])
def test_fault_22_a_killed_training_goes_on_to_the_same_bytes(tmp_path, name):
    program = [sys.executable, "-m", "tests.training.killed_run", name, str(tmp_path / "killed")]
    process = subprocess.Popen(program, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not state_file(tmp_path / "killed").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()
    for folder in ("killed", "whole"):
        train_to_the_end(name, tmp_path / folder)
        state_file(tmp_path / folder).unlink()
    for path in list((tmp_path / "killed").rglob(".*.partial")):  # what the kill left behind is never a result
        path.unlink()
    assert digest_of(tmp_path / "killed") == digest_of(tmp_path / "whole")


def test_a_state_of_other_settings_or_a_damaged_one_is_not_gone_on_from(tmp_path, static_run, single_view):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "last.pt").write_bytes(b"damaged")
    (tmp_path / "other").mkdir()
    torch.save({"fingerprint": "of other settings", "step": 8}, tmp_path / "other" / "last.pt")
    for folder in ("damaged", "other"):
        assert digest_of(train(single_view, "single-view", tmp_path / folder)) == digest_of(static_run)


def test_contextual_learns_from_single_view(tmp_path, static_run, contextual):
    folder = train(contextual, "contextual", tmp_path, static_run / "checkpoint.pt")
    log = read_table(folder / "log.parquet", TRAINING_LOG)
    assert "hallucination" in set(log["loss"])
    design = read_checkpoint(folder / "checkpoint.pt").design
    assert (design.temporal, design.delta_frames, design.hallucinator) == (True, (-5, 5), True)


def test_a_temporal_variant_without_its_start_is_refused(tmp_path, contextual):
    with pytest.raises(ConfigError, match="'single-view' must be trained first"):
        train(contextual, "contextual", tmp_path)


def test_four_clips_can_be_learned_by_heart(tmp_path, single_view):
    clips = stick_clips("heart", 4, n_frames=14, share_3d=1.0, noise=0.02)
    held = stick_clips("held", 1, n_frames=14, share_3d=1.0)
    weights = LossWeights(adversarial=0, betas=0, constant_shape=0)
    variant = single_view.model_copy(update={"loss_weights": weights})
    error = {}
    for steps in (1, 400):
        folder = train(
            variant, "heart", tmp_path / str(steps), data=TrainingData(clips, clips if steps > 1 else held),
            width=48, regressor_width=64, steps=steps, validate_every_steps=50, dropout=0.0, feature_noise=0.0,
            readout_start=False, learning_rate=3e-3,
        )  # fmt: skip
        model = read_checkpoint(folder / "checkpoint.pt").model()
        error[steps] = pa_mpjpe_mm(estimate(model, clips, StickBody()), clips)
    assert error[400] < 0.25 * error[1]
    assert error[400] < 30


def test_a_regression_start_is_already_better_than_the_mean_body(tmp_path, single_view):
    data = stick_data(24, 3)
    errors = []
    for readout in (True, False):
        folder = train(
            single_view, "start", tmp_path / str(readout), data=data, steps=1, learning_rate=1e-9,
            readout_start=readout,
        )  # fmt: skip
        errors.append(read_checkpoint(folder / "checkpoint.pt").validation_pa_mpjpe_mm)
    assert errors[0] < 0.9 * errors[1]


def test_ridge_is_least_squares_with_a_penalty():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(40, 5)), generator.normal(size=(40, 3))
    weight, bias = ridge(torch.from_numpy(x), torch.from_numpy(y), 0.1)
    xc, yc = x - x.mean(0), y - y.mean(0)
    stacked = np.vstack([xc, np.sqrt(0.1 * 40) * np.eye(5)])
    expected = np.linalg.lstsq(stacked, np.vstack([yc, np.zeros((5, 3))]), rcond=None)[0].T
    np.testing.assert_allclose(weight, expected, atol=1e-6)
    np.testing.assert_allclose(bias, y.mean(0) - expected @ x.mean(0), atol=1e-6)


def test_without_validation_clips_the_last_weights_are_kept(tmp_path, single_view):
    data = TrainingData(stick_clips("train", 4), None)
    kept = read_checkpoint(train(single_view, "blind", tmp_path, data=data, steps=6) / "checkpoint.pt")
    assert kept.step == 6
    assert np.isnan(kept.validation_pa_mpjpe_mm)


def test_a_regression_start_needs_6d_and_3d_truth(tmp_path, single_view):
    with pytest.raises(ConfigError, match=r"readout_start: needs scale\.rotation: 6d"):
        train(single_view, "axis", tmp_path, rotation="axis-angle")
    flat = TrainingData(stick_clips("flat", 3, share_3d=0.0), None)
    with pytest.raises(ConfigError, match="no training clip has 3D truth"):
        train(single_view, "flat", tmp_path, data=flat)
    with pytest.raises(ConfigError, match="no training clip has 3D truth to show as real"):
        train(single_view, "flat", tmp_path, data=flat, readout_start=False)


def test_the_papers_form_trains_too(tmp_path, single_view):
    folder = train(
        single_view, "papers", tmp_path, rotation="axis-angle", readout_start=False, standardise_features=False,
        schedule="constant", weight_decay=0.0,
    )  # fmt: skip
    assert read_checkpoint(folder / "checkpoint.pt").weights["regressor.mean"].shape == (1, 85)


def test_a_loss_that_is_not_a_number_names_the_key(tmp_path, single_view):
    clips = stick_clips("broken", 4)
    broken = replace(clips, phi=clips.phi * float("inf"))
    with pytest.raises(FatalError, match=r"lower scale\.learning_rate"):
        train(
            single_view, "broken", tmp_path, data=TrainingData(broken, None),
            standardise_features=False, readout_start=False,
        )  # fmt: skip


def test_learning_rates_by_name():
    assert rate_factor("constant", 500, 1000, 3) == 1
    assert rate_factor("plateau", 500, 1000, 2) == pytest.approx(0.01)
    cosine = [rate_factor("cosine", step, 1000, 0) for step in range(1000)]
    assert max(cosine) == pytest.approx(1, abs=0.01)
    assert cosine[0] < 0.03
    assert cosine[-1] < 1e-4
    assert SCALE_BOUNDS[0] > 0


def test_a_plateau_divides_the_rate_by_ten(tmp_path, single_view):
    folder = train(
        single_view, "flat", tmp_path, steps=30, validate_every_steps=1, schedule="plateau", learning_rate=1e-12,
    )  # fmt: skip
    log = read_table(folder / "log.parquet", TRAINING_LOG).pivot(index="step", columns="loss", values="value")
    steady = log["learning_rate"].iloc[2:]  # after the rise
    drops = steady[steady < 0.2 * steady.shift()].index
    assert len(drops) >= 2
    assert (drops.diff().dropna() > PLATEAU_PATIENCE).all()
    assert steady.iloc[-1] == pytest.approx(1e-12 * 0.1 ** len(drops), rel=1e-3)


def test_a_checkpoint_is_plain_and_a_foreign_or_damaged_file_is_refused(tmp_path, static_run):
    assert set(torch.load(static_run / "checkpoint.pt", weights_only=True)) >= {"format", "design", "weights"}
    torch.save({"weights": {}}, tmp_path / "foreign.pt")
    with pytest.raises(StorageError, match=r"foreign\.pt: not a moviestrip-model-2 file"):
        read_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": "moviestrip-model-2", "weights": {}}, tmp_path / "short.pt")
    with pytest.raises(StorageError, match=r"short\.pt: lacks a field .*'design'"):
        read_checkpoint(tmp_path / "short.pt")
    whole = (static_run / "checkpoint.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match=r"half\.pt: not a readable checkpoint"):
        read_checkpoint(tmp_path / "half.pt")
    with pytest.raises(StorageError, match="train that variant first"):
        read_checkpoint(tmp_path / "absent.pt")


def test_only_layers_that_the_start_did_not_have_learn_faster(tmp_path, static_run):
    model = MotionModel(ModelDesign(feature_size=8, width=32, regressor_width=8))
    new = [name for name, _ in model.named_parameters() if name.startswith("encoder.")]
    groups = model_optimiser(model, small_scale(new_layers_rate=5), new).param_groups
    rates = {id(p): group["relative_rate"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (5 if name.startswith("encoder.") else 1), name
    (only,) = model_optimiser(model, small_scale(new_layers_rate=5), []).param_groups
    assert only["relative_rate"] == 1


def test_lost_frames_are_whole_and_as_many_as_asked_for():
    model = MotionModel(ModelDesign(feature_size=8, width=32, regressor_width=8, standardise=True))
    model.standardiser.mean += 3
    phi = with_lost_frames(model, torch.ones(50, 40, 8), 0.1, np.random.default_rng(0))
    lost = (phi == 3).all(-1)
    assert (lost | (phi == 1).all(-1)).all()
    assert lost.float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_training_starts_from_the_mean_parameters_it_is_given(tmp_path, single_view):
    mean = MeanParameters(np.float32([0.8, 0, 0]), np.full(72, 0.1, np.float32), np.ones(10, np.float32))
    scale = small_scale(steps=1, learning_rate=1e-12, readout_start=False)
    training = Training(single_view, scale, stick_data(), StickBody(), mean_parameters=mean)
    train_variant(training, "single-view", 0, tmp_path)
    weights = read_checkpoint(tmp_path / "checkpoint.pt").weights["regressor.mean"]
    assert weights[0, 0].item() == pytest.approx(0.8, abs=1e-6)
    torch.testing.assert_close(weights[0, -10:], torch.ones(10), atol=1e-6, rtol=0)


def test_variants_of_one_seed_share_their_luck(static_run, contextual):
    def first_draws(variant, seed):
        training = prepared(Training(variant, small_scale(feature_noise=0.1), stick_data(), StickBody()))
        with reproducible(seed, 1):
            run = new_run(training, static_run / "checkpoint.pt")
            batch = draw_batch(run, training, random_of_step(seed, 7))
            dropped = torch.nn.functional.dropout(torch.ones(100))
        return torch.cat([value.flatten() for value in (*run.model.encoder.state_dict().values(), batch.phi, dropped)])

    plain = contextual.model_copy(update={"delta_frames": (), "loss_weights": LossWeights(adversarial=0)})
    assert torch.equal(first_draws(contextual, 0), first_draws(plain, 0))
    assert not torch.equal(first_draws(plain, 0), first_draws(plain, 1))
