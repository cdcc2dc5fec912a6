"""What a trained model says about tracked people: their present, and where asked, a forecast and hallucinations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moviestrip.config import suggestion
from moviestrip.demo.people import TrackedPerson
from moviestrip.errors import ConfigError, FatalError
from moviestrip.exports.motion import PersonMotion, Placement
from moviestrip.exports.people_table import Estimates
from moviestrip.features.backbones import Backbone, load_backbone
from moviestrip.layout import RunFolder
from moviestrip.models.model import CONDITION_FRAMES, MotionModel
from moviestrip.training.checkpoint import Checkpoint
from moviestrip.training.inference import FRAMES_AT_ONCE, apart, present_of_clip
from moviestrip.training.smoothing import Filter, Gaussian, Motion, SlerpAverage


@dataclass(frozen=True)
class Wanted:
    """What to ask of a model besides the present of every frame."""

    forecast_frames: int = 0
    hallucinate: bool = False
    smoothing: Literal["none", "gaussian", "slerp"] = "none"
    sigma_frames: float = 2.0

    def smoothed(self, motion: Motion, fps: float) -> Motion:
        filters: dict[str, Filter] = {"gaussian": Gaussian(self.sigma_frames), "slerp": SlerpAverage()}
        return filters[self.smoothing].smooth(motion, fps) if self.smoothing in filters else motion


def model_file(name: str, run: RunFolder, seed: int) -> Path:
    """The checkpoint of a trained variant of a run, or the file of that name."""
    if Path(name).is_file():
        return Path(name)
    path = run.checkpoint(name, seed)
    if path.is_file():
        return path
    trained = sorted(file.parts[-3] for file in run.root.glob(f"models/*/seed-{seed}/checkpoint.pt"))
    raise ConfigError(
        f"--model {name}: neither a checkpoint file nor a model of {run.root} with seed {seed}"
        f"{suggestion(name, trained)}; `snakemake --cores 2 {path}` trains it"
    )


def require_able(checkpoint: Checkpoint, wanted: Wanted) -> None:
    """Say before any frame is looked at what a model cannot do."""
    if wanted.forecast_frames and checkpoint.design.autoregressor == "none":
        raise ConfigError(
            f"--forecast {wanted.forecast_frames}: '{checkpoint.variant}' does not forecast; take a variant with an "
            f"`autoregressor`"
        )
    if wanted.hallucinate and not checkpoint.design.hallucinator:
        raise ConfigError(
            f"--hallucinate: '{checkpoint.variant}' does not hallucinate; take a variant with `hallucinator: true`"
        )


def backbone_of(checkpoint: Checkpoint, weights: Mapping[str, Path], seed: int) -> Backbone:
    """The network whose features the model was trained on."""
    backbone = load_backbone(checkpoint.backbone, weights.get(checkpoint.backbone), seed)
    if backbone.dimension != checkpoint.design.feature_size:
        raise FatalError(
            f"'{checkpoint.variant}' reads {checkpoint.design.feature_size} features, its backbone "
            f"'{checkpoint.backbone}' gives {backbone.dimension}; import or train the model again"
        )
    return backbone


@torch.inference_mode()
def estimates_of_person(
    model: MotionModel, person: TrackedPerson, phi: Float[np.ndarray, "frames features"], wanted: Wanted, fps: float
) -> list[Estimates]:
    """Everything wanted about one person; a forecast needs 15 frames, and shorter tracks have none."""
    frames = torch.from_numpy(phi)
    camera, pose, betas = model.layout.split(present_of_clip(model, frames))
    seen = wanted.smoothed(Motion(camera, model.layout.rotations(pose), betas), fps)
    found = [Estimates("seen", _motion(person, 0, seen))]
    if wanted.hallucinate:
        found += _hallucinated(model, person, frames, seen.camera)
    if wanted.forecast_frames and len(frames) >= CONDITION_FRAMES:
        found.append(_forecast(model, person, frames, seen.camera, wanted.forecast_frames))
    return found


def _motion(person: TrackedPerson, first: int, said: Motion) -> PersonMotion:
    """Bodies of a person from their `first` frame on; beyond their last one the box stays where it was."""
    rows = np.minimum(np.arange(first, first + len(said.camera)), person.n_frames - 1)
    place = Placement(person.box_center_px[rows], person.box_scale[rows], said.camera.numpy())
    rotations, betas = said.rotations.numpy(), said.betas.numpy()
    return PersonMotion(person.identity, person.first_frame + first, place, rotations, betas)


def _forecast(model: MotionModel, person: TrackedPerson, phi: Tensor, camera: Tensor, steps: int) -> Estimates:
    """The frames after the last; a forecast says nothing of the camera, so the person stays where they were."""
    known = phi[-CONDITION_FRAMES:][None].to(_device(model))
    theta = model.forecast(known, steps, CONDITION_FRAMES).theta[0].cpu()
    return Estimates("forecast", _motion(person, len(phi), _said(model, theta, camera[-1:].expand(steps, -1))))


def _hallucinated(model: MotionModel, person: TrackedPerson, phi: Tensor, camera: Tensor) -> Iterator[Estimates]:
    """The present and the poses around it from each frame alone, at the place where the person is seen."""
    thetas: dict[int, list[Tensor]] = {}
    for window in apart(len(phi), FRAMES_AT_ONCE):
        branch = model.hallucinate(phi[window.start : window.stop][None].to(_device(model)))
        for step, theta in {0: branch.theta, **branch.deltas}.items():
            thetas.setdefault(step, []).append(theta[0].cpu())
    for step in sorted(thetas):
        said = _said(model, torch.cat(thetas[step]), camera)
        yield Estimates("hallucinated", _motion(person, 0, said), step)


def _said(model: MotionModel, theta: Tensor, camera: Tensor) -> Motion:
    _, pose, betas = model.layout.split(theta)
    return Motion(camera.contiguous(), model.layout.rotations(pose), betas)


def _device(model: MotionModel) -> torch.device:
    return next(model.parameters()).device
