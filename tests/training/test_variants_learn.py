"""Every variant can learn a few clips by heart: its loss terms fall, and its weights arrive in the checkpoint."""

from pathlib import Path

import pytest
import torch

from moviestrip.config import VariantSettings, load_variant
from moviestrip.models.model import MotionModel, design_of
from moviestrip.models.motion_prior import MotionPrior, MotionPriorDesign
from moviestrip.tables import TRAINING_LOG, read_table
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.data import TrainingData
from moviestrip.training.loop import Training, train_variant
from tests.training.stick_world import StickBody, small_scale, stick_clips, stick_motions

CONFIG = Path(__file__).parents[2] / "config"
VARIANTS = {path.stem: load_variant(path.stem, CONFIG) for path in sorted((CONFIG / "variants").glob("*.yaml"))}
TRAINED = [name for name, variant in VARIANTS.items() if variant.is_trained]
# One of each family, with as many steps as it needs; the others are slow tests.
FAST = {"contextual": 60, "vibe": 80, "ar-phi": 60, "ar-theta": 60, "tcmr-ablation": 120}
FALLS_TO = {"keypoints": 0.75, "joints_3d": 0.75, "smpl": 0.75, "shape": 0.95}  # of its first 20 steps
PARTS = {
    "title", "extends", "start_from", "frozen", "datasets", "joints_only", "backbone", "occluded_copies", "share_3d",
}  # fmt: skip


def distinct(names: list[str]) -> list:
    """One parameter a kind of model and loss: variants that differ only in data or start learn the same way."""
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name not in FAST):
        found.setdefault(VARIANTS[name].model_dump_json(exclude=PARTS), name)
    return [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in sorted(found.values())]


def train(variant: VariantSettings, folder: Path, start: Path | None = None, **over: object) -> Path:
    frames = 12 + (variant.clip_frames or 14) * variant.frame_stride
    clips = stick_clips("heart", 4, n_frames=frames, noise=0.02)
    scale = small_scale(**{
        "dropout": 0.0, "feature_noise": 0.0, "lost_frames": 0.0, "learning_rate": 2e-3, "schedule": "constant",
        "weight_decay": 0.0, "validate_every_steps": 20, "kept_step": "last", "readout_start": False, **over,
    })  # fmt: skip
    prior = MotionPrior(MotionPriorDesign(hidden=16)) if variant.motion_prior else None
    training = Training(variant, scale, TrainingData(clips, None), StickBody(), stick_motions(), prior)
    train_variant(training, variant.title, 0, folder, start)
    return folder


@pytest.mark.parametrize("name", distinct(TRAINED))
def test_a_variant_learns_a_few_clips_by_heart(tmp_path, name):
    variant = VARIANTS[name].model_copy(update={"start_from": None, "frozen": (), "forecast_frames": 5})
    log = read_table(train(variant, tmp_path, steps=FAST.get(name, 160)) / "log.parquet", TRAINING_LOG)
    curve = log.pivot(index="step", columns="loss", values="value")
    first, last = curve.iloc[0], curve.iloc[-1]
    for term in FALLS_TO.keys() & set(curve):
        assert last[term] < FALLS_TO[term] * first[term], f"{term}: {first[term]:.3g} -> {last[term]:.3g}"
    weights = vars(variant.loss_weights)
    expected = {"adversarial": bool(weights["adversarial"]), "motion_adversarial": bool(variant.motion_discriminator)}
    expected |= {"hallucination": variant.hallucinator and bool(weights["hallucination"])}
    expected |= {"movie_strip": variant.autoregressor == "strip" and bool(weights["movie_strip"])}
    expected |= {"motion_prior": variant.motion_prior is not None, "shape": variant.losses == "vibe"}
    for term, there in expected.items():
        assert (term in curve) == there, term
    learned = read_checkpoint(tmp_path / "checkpoint.pt").weights
    torch.manual_seed(0)
    fresh = MotionModel(design_of(variant, small_scale(readout_start=False), 48)).state_dict()
    assert learned.keys() == fresh.keys()


def test_frozen_parts_keep_their_starting_weights_and_the_others_do_not(tmp_path):
    causal = VARIANTS["phd-causal"].model_copy(update={"start_from": None})
    start = train(causal, tmp_path / "one", steps=3) / "checkpoint.pt"
    stage_two = VARIANTS["ar-phi"].model_copy(update={"forecast_frames": 3})
    after = read_checkpoint(train(stage_two, tmp_path / "two", start, temporal_steps=4) / "checkpoint.pt").weights
    before = read_checkpoint(start).weights
    changed = {name for name, value in before.items() if name in after and not torch.equal(value, after[name])}
    assert not any(name.startswith("regressor.") for name in changed)
    assert any(name.startswith("encoder.") for name in changed)
    assert {name for name in after if name not in before} == {n for n in after if n.startswith("autoregressor.")}


def test_training_stops_early_where_that_is_asked_for(tmp_path):
    variant = VARIANTS["single-view"]
    held = stick_clips("held", 2, share_3d=1.0)
    scale = small_scale(steps=200, learning_rate=1e-12, stop_after_validations=2)
    training = Training(variant, scale, TrainingData(stick_clips("train", 4), held), StickBody())
    train_variant(training, "stalled", 0, tmp_path)
    log = read_table(tmp_path / "log.parquet", TRAINING_LOG)
    assert log["step"].max() < 60
    assert read_checkpoint(tmp_path / "checkpoint.pt").step <= log["step"].max()
