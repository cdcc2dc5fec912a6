"""The training of a motion prior: able to learn, equal after a break, and scored by the mesh."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings, MotionPriorSettings, ScaleSettings
from moviestrip.errors import ConfigError, StorageError
from moviestrip.geometry import axis_angle_to_matrix
from moviestrip.models.motion_prior import MotionPrior, MotionPriorDesign
from moviestrip.storage import digest_of
from moviestrip.tables import TRAINING_LOG, read_table
from moviestrip.training.motion_prior import (
    VALIDATION,
    mean_pose,
    prior_design,
    prior_losses,
    read_motion_prior,
    reconstruction_errors,
    train_motion_prior,
    upright,
)
from moviestrip.training.motions import RealMotions
from tests.training.stick_world import StickBody, stick_motions

DESIGNS = {"mposer": MotionPriorDesign(hidden=16), "vposer": MotionPriorDesign(hidden=16, frame_wise=True)}


def small(**over: object) -> MotionPriorSettings:
    return MotionPriorSettings.model_validate({
        "frames": 8, "steps": 12, "batch_motions": 4, "validate_every_steps": 4, **over
    })  # fmt: skip


def train(name: str, folder: Path, body_points=None, motions: RealMotions | None = None, seed: int = 0, **over) -> Path:
    motions = motions or stick_motions()
    points = body_points or StickBody()
    train_motion_prior(small(**over), DESIGNS[name], name, seed, motions, stick_motions(2), points, folder)
    return folder


class BreakingBody(StickBody):
    """Fails at its n-th call, as if the process had ended there."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def __call__(self, rotations: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        if self.calls == 0:
            raise KeyboardInterrupt
        return super().__call__(rotations, betas)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_run_that_was_broken_off_goes_on_to_the_same_bytes(tmp_path: Path, name: str):
    whole = train(name, tmp_path / "whole")
    files = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
    assert files == ["checkpoint.pt", "log.parquet", "tensorboard/events.out.tfevents.0.moviestrip"]
    with pytest.raises(KeyboardInterrupt):
        train(name, tmp_path / "broken", BreakingBody(21))  # two calls a step, two a validation: in the tenth step
    log = read_table(tmp_path / "broken" / "log.parquet", TRAINING_LOG)
    assert log["step"].max() == 8
    assert not (tmp_path / "broken" / "checkpoint.pt").exists()
    torch.manual_seed(99)
    counting = BreakingBody(10**6)
    assert digest_of(train(name, tmp_path / "broken", counting)) == digest_of(whole)
    assert 10**6 - counting.calls == 2 * 4 + 2  # it took the last four steps only
    assert digest_of(train(name, tmp_path / "other", seed=1) / "checkpoint.pt") != digest_of(whole / "checkpoint.pt")


def test_a_state_of_other_settings_or_a_damaged_one_is_not_gone_on_from(tmp_path: Path):
    whole = train("vposer", tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train("vposer", tmp_path / "other", BreakingBody(21), kl_weight=1e-3)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "last.pt").write_bytes(b"damaged")
    for folder in ("other", "damaged"):
        assert digest_of(train("vposer", tmp_path / folder)) == digest_of(whole)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_few_windows_can_be_learned_by_heart(tmp_path: Path, name: str):
    motions = stick_motions(2, n_frames=8)
    settings = small(steps=250, validate_every_steps=250, learning_rate=1e-2, kl_weight=0)
    design = replace(DESIGNS[name], hidden=64)
    train_motion_prior(settings, design, name, 0, motions, stick_motions(2), StickBody(), tmp_path)
    prior = read_motion_prior(tmp_path / "checkpoint.pt")
    windows = torch.stack([rotations[:, 1:] for rotations in motions])
    off = (prior.reconstruct(windows) - windows).square().mean()
    assert off < 0.2 * (mean_pose(motions)(windows) - windows).square().mean()


def test_every_term_has_the_gradient_of_its_differences():
    torch.manual_seed(0)
    prior = MotionPrior(MotionPriorDesign(hidden=4, latent=3)).double()
    motions = stick_motions().draw(np.random.default_rng(0), 2, 3)[:, :, 1:].double()
    losses, name = Losses(prior, motions), "prior.encoder.linear.weight"
    start = prior.encoder.linear.weight.detach().clone().requires_grad_()

    def terms(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        torch.manual_seed(1)  # the same codes are drawn
        return tuple(torch.func.functional_call(losses, {name: value}, ()).values())

    assert torch.autograd.gradcheck(terms, (start,))


class Losses(torch.nn.Module):
    def __init__(self, prior: MotionPrior, motions: torch.Tensor):
        super().__init__()
        self.prior, self.motions = prior, motions

    def forward(self) -> dict[str, torch.Tensor]:
        return prior_losses(self.prior, self.motions, small(kl_weight=1.0), StickBody())


def test_terms_of_no_weight_are_not_computed_and_the_log_adds_up(tmp_path: Path):
    log = read_table(train("vposer", tmp_path / "all") / "log.parquet", TRAINING_LOG)
    assert set(log["loss"]) == {"total", "rotations", "kl", "points", VALIDATION}
    terms = log[log["step"] == 8].set_index("loss")["value"]
    assert terms["total"] == pytest.approx(terms[["rotations", "kl", "points"]].sum(), rel=1e-5)
    without = train("vposer", tmp_path / "without", points_weight=0)
    assert "points" not in set(read_table(without / "log.parquet", TRAINING_LOG)["loss"])


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


def test_the_error_is_the_distance_of_vertices_in_millimetres(body: Body):
    motions = stick_motions(2, n_frames=20)
    bent = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 0.4]))

    def bends_the_spine(windows: torch.Tensor) -> torch.Tensor:
        changed = windows.clone()
        changed[:, :, 2] = changed[:, :, 2] @ bent
        return changed

    assert isinstance(reconstruction_errors(lambda windows: windows, motions, body, 8), pd.DataFrame)
    assert reconstruction_errors(lambda windows: windows, motions, body, 8)["pve_mm"].max() == 0
    errors = reconstruction_errors(bends_the_spine, motions, body, 8)
    assert errors["frames"].tolist() == [4, 4]  # 16 of 20 frames fill windows; one in four is posed
    for (_, row), rotations in zip(errors.iterrows(), motions, strict=True):
        frames = rotations[[0, 4, 8, 12], 1:]
        off = [body.forward(upright(pose), torch.zeros(10))[0] for pose in (frames, bends_the_spine(frames[None])[0])]
        assert row["pve_mm"] == pytest.approx(1000 * float((off[0] - off[1]).norm(dim=-1).mean()), rel=1e-5)


def test_names_sizes_and_files_that_do_not_fit_are_one_line(tmp_path: Path):
    design = prior_design("vposer", MotionPriorSettings(), ScaleSettings(width=256))
    assert (design.hidden, design.latent, design.frame_wise) == (128, 32, True)
    assert prior_design("mposer", MotionPriorSettings(), ScaleSettings(width=2048)).hidden == 1024
    with pytest.raises(ConfigError, match="motion prior 'mpose' is not known; did you mean 'mposer'"):
        prior_design("mpose", MotionPriorSettings(), ScaleSettings())
    with pytest.raises(ConfigError, match=r"motion_prior.frames: a motion of 80 frames has no window of 90"):
        train("vposer", tmp_path, motions=stick_motions(2, n_frames=100), frames=90)
    torch.save({"format": "another"}, tmp_path / "foreign.pt")
    with pytest.raises(StorageError, match=r"foreign\.pt: not a moviestrip-motion-prior-1 file"):
        read_motion_prior(tmp_path / "foreign.pt")
    whole = torch.load(train("vposer", tmp_path / "whole") / "checkpoint.pt", weights_only=True)
    torch.save({**whole, "design": {**whole["design"], "hidden": 32}}, tmp_path / "other.pt")
    with pytest.raises(StorageError, match=r"other\.pt: its design and weights do not fit"):
        read_motion_prior(tmp_path / "other.pt")
