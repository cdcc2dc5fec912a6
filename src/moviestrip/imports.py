"""Released checkpoints brought to ours: a file is recognised, and written as what the rest of the pipeline reads.

A model becomes an ordinary checkpoint of `moviestrip demo`; an image network becomes a file for `features.checkpoints`.
Only the tensors that the released model needs are taken from a file; what else lies in it is counted and said.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from moviestrip.config import BackboneName
from moviestrip.errors import FatalError
from moviestrip.features import residual_v2
from moviestrip.models.checkpoints.tensorflow_bundle import (
    SUFFIX,
    is_first_format,
    is_tensorflow_bundle,
    read_tensorflow_bundle,
)
from moviestrip.models.checkpoints.torch_file import read_torch_file
from moviestrip.models.model import parameter_count
from moviestrip.models.official import build, recognise
from moviestrip.models.official.releases import RELEASES, ModelRelease, SpinNetwork
from moviestrip.training.checkpoint import Checkpoint, write_checkpoint, write_tensors

FOLDER = Path("imported")
FEATURES_FORMAT = "moviestrip-features-1"
FACTS = {
    "epoch": "epoch {:.0f}",
    "performance": "{:.1f} mm on its validation data (PA-MPJPE)",
    "steps": "{:,.0f} steps",
}
NETWORK_SECTIONS = ("gen_state_dict", "model")  # of a PyTorch file; its other section is a discriminator


@dataclass(frozen=True)
class Convention:
    """What a released model takes for granted and its file does not say."""

    title: str
    backbone: BackboneName
    projection: str


CONVENTIONS = {
    "vibe": Convention("VIBE", "resnet50-spin", "perspective"),
    "tcmr": Convention("TCMR", "resnet50-spin", "perspective"),
    "spin": Convention("SPIN", "resnet50-spin", "perspective"),
    "spin-regressor": Convention("SPIN's regressor", "resnet50-spin", "perspective"),
    "hmr": Convention("HMR", "resnet50-hmr", "weak-perspective"),
    "hmmr": Convention("HMMR", "resnet50-hmr", "weak-perspective"),
    "phd": Convention("PHD", "resnet50-hmr", "weak-perspective"),
}


@dataclass(frozen=True)
class Contents:
    """A file taken apart: a network's tensors, what the file says of its training, and sections beside it."""

    tensors: Mapping[str, np.ndarray]
    facts: dict[str, float]
    beside: dict[str, int]


@dataclass(frozen=True)
class Imported:
    """What was found in a file and what was written of it."""

    kind: str
    title: str
    backbone: BackboneName
    tensors: int
    parameters: int
    facts: dict[str, float]
    left_aside: dict[str, int]
    model: Path
    features: Path | None


def import_checkpoint(file: Path, out: Path | None = None) -> Imported:
    """Write a released checkpoint as ours.

    Args:
        file: of VIBE, TCMR or SPIN (.pth.tar), or HMR, HMMR or PHD (TensorFlow: any of its files, or their prefix).
        out: the model's file, `imported/KIND.pt` unless given. An image network is written beside it, as
            `KIND-features.pt`.
    """
    contents = read_contents(file)
    kind = kind_of(file, contents.tensors)
    convention = CONVENTIONS[kind]
    taken = {name: contents.tensors[name] for name in needed(kind, contents.tensors)}
    release = build(kind, taken)
    if not isinstance(release, ModelRelease | SpinNetwork):
        raise FatalError(f"{file}: {kind} has no model of ours to become")
    path = out or FOLDER / f"{kind}.pt"
    network, network_names = image_network(release, contents.tensors)
    features = None if network is None else path.with_name(f"{path.stem}-features.pt")
    if network is not None and features is not None:
        values = {"format": FEATURES_FORMAT, "backbone": convention.backbone, "model": owned(network)}
        write_tensors(features, values)
    write_checkpoint(path, checkpoint_of(kind, release, contents.facts))
    used = taken.keys() | network_names
    return Imported(
        kind=kind,
        title=convention.title,
        backbone=convention.backbone,
        tensors=len(used),
        parameters=parameter_count(release.model) + (0 if network is None else parameter_count(network)),
        facts=contents.facts,
        left_aside=by_scope(set(contents.tensors) - used) | contents.beside,
        model=path,
        features=features,
    )


def read_contents(file: Path) -> Contents:
    """A file's network by its tensors' official names; those of TensorFlow are read when they are asked for."""
    if is_tensorflow_bundle(file) or SUFFIX.search(file.name) or is_first_format(file) or not file.is_file():
        bundle = read_tensorflow_bundle(file)
        return Contents(bundle, {} if bundle.steps is None else {"steps": bundle.steps}, {})
    found = read_torch_file(file)
    network = next((name for name in NETWORK_SECTIONS if name in found.sections), None)
    if network is None:
        raise FatalError(f"{file}: holds only {', '.join(found.sections)}, which predicts nothing")
    beside = {name: len(tensors) for name, tensors in found.sections.items() if name != network}
    return Contents(found.sections[network], found.facts, beside)


def kind_of(file: Path, names: Iterable[str]) -> str:
    try:
        kind = recognise(names)
    except FatalError as error:
        raise FatalError(f"{file}: {error}") from error
    if kind not in CONVENTIONS:
        raise FatalError(f"{file}: holds only {kind}, which predicts nothing; give the file with its model")
    return kind


def needed(kind: str, names: Iterable[str]) -> list[str]:
    """Those of a file's names that the released model has weights of."""
    present = set(names)
    release = next(release for release in RELEASES if release.kind == kind)
    wanted = {official for weight in release.weights_of(present) for official in weight.official}
    return sorted(present & wanted)


def image_network(
    release: ModelRelease | SpinNetwork, tensors: Mapping[str, np.ndarray]
) -> tuple[nn.Module | None, set[str]]:
    """The network that turns images into features, where the file has it, and the tensors that only it needs."""
    if isinstance(release, SpinNetwork):
        return release.spin.backbone, set()
    names = {theirs for _, theirs in residual_v2.names()}
    if names.isdisjoint(tensors):
        return None, set()
    return residual_v2.network_of(tensors), names


def checkpoint_of(kind: str, release: ModelRelease | SpinNetwork, facts: Mapping[str, float]) -> Checkpoint:
    """Our checkpoint of it; VIBE and TCMR store the validation PA-MPJPE of the epoch they kept."""
    convention = CONVENTIONS[kind]
    return Checkpoint(
        variant=kind,
        seed=0,
        step=int(facts.get("steps", 0)),
        backbone=convention.backbone,
        validation_pa_mpjpe_mm=facts.get("performance", float("nan")),
        projection=convention.projection,
        design=release.model.design,
        weights=owned(release.model),
    )


def owned(module: nn.Module) -> dict[str, Tensor]:
    """A module's state in memory of its own: a view would be stored with all that it is a view of."""
    state = module.state_dict()
    return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def by_scope(names: Iterable[str]) -> dict[str, int]:
    """How many names lie below each first part of a TensorFlow name, or the first two of a PyTorch one."""
    scopes = (re.match(r"[^/]+(?=/)|[^.]+(\.[^.]+)?", name) for name in names)
    return dict(sorted(Counter(scope[0] for scope in scopes if scope).items()))


def describe(found: Imported) -> list[str]:
    """What was found, what was written, and what to do with it; one line each."""
    lines = [f"{found.kind}: {found.title}, {found.tensors:,} tensors, {found.parameters:,} parameters"]
    said = [FACTS[name].format(value) for name, value in found.facts.items() if name in FACTS]
    if said:
        lines.append(f"trained: {', '.join(said)}")
    if found.left_aside:
        lines.append(f"left aside: {', '.join(f'{name} ({count})' for name, count in found.left_aside.items())}")
    lines.append(f"model: {found.model}")
    if found.features is not None:
        lines.append(f"features: {found.features}, for features.checkpoints.{found.backbone}")
    else:
        lines.append(f"reads: features of the backbone {found.backbone}; features.checkpoints names its weights")
    return [*lines, f"use it: moviestrip demo VIDEO --model {found.model}"]
