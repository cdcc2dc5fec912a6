"""The training of one variant, readable from top to bottom.

A run is a function of its settings, its data and its seed: on one machine, with one thread, two runs leave the same
bytes, and so does a run that was killed and started again, which goes on from its last validation.
"""

import contextlib
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import deterministic

from moviestrip.config import ScaleSettings, VariantSettings
from moviestrip.errors import ConfigError, FatalError, StorageError
from moviestrip.models.discriminator import PoseDiscriminator
from moviestrip.models.hmmr import Hmmr, design_of, take_over
from moviestrip.progress import track
from moviestrip.storage import digest_array
from moviestrip.training.checkpoint import Checkpoint, read_checkpoint, read_tensors, write_checkpoint, write_tensors
from moviestrip.training.data import Batch, ClipDataset, TrainingData, draw_rows
from moviestrip.training.log import LogRow, write_log
from moviestrip.training.losses import (
    BodyPoints,
    PosedView,
    discriminator_loss,
    encoder_losses,
    pose_views,
    prior_loss,
    views_of,
)
from moviestrip.training.predict import estimate, pa_mpjpe_mm
from moviestrip.training.readout import fit_standardiser, start_from_regression

WARM_UP = 0.05  # share of the steps over which the learning rate rises
PRIOR_WARM_UP_STEPS = 50  # a prior that has learned nothing yet would only push good starting poses about
PLATEAU_PATIENCE = 5  # validations without a better one before the rate is divided
PLATEAU_FACTOR = 0.1
NEW_IN_TEMPORAL = ("encoder.", "deltas.", "hallucinator.")  # what a start from single-view does not have
VALIDATION = "validation_pa_mpjpe_mm"


@dataclass
class Run:
    """Everything that changes during training."""

    model: Hmmr
    discriminator: PoseDiscriminator
    encoder_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    generator: np.random.Generator
    step: int = 0
    best_error_mm: float = math.inf
    kept_error_mm: float = math.nan
    kept_step: int = 0
    kept_weights: dict[str, Tensor] = field(default_factory=dict)
    stalled_validations: int = 0
    rate_drops: int = 0
    rows: list[LogRow] = field(default_factory=list)
    recent: dict[str, float] = field(default_factory=dict)


def train_variant(
    variant: VariantSettings,
    name: str,
    scale: ScaleSettings,
    data: TrainingData,
    body_points: BodyPoints,
    seed: int,
    out_folder: Path,
    start_from: Path | None,
    threads: int = 1,
) -> None:
    """Train `variant` and leave checkpoint.pt, log.parquet and tensorboard/ in `out_folder`.

    Args:
        name: the variant's, for messages and as part of the seed.
        body_points: poses (N, 24, 3, 3), (N, 10) to HMMR's 25 keypoints (N, 25, 3), in metres.
        start_from: checkpoint of the variant named by `variant.start_from`; with one, `temporal_steps` are taken.
        threads: more than one is faster and gives up equal bytes between machines.
    """
    steps = scale.steps if start_from is None else scale.temporal_steps
    fingerprint = fingerprint_of(variant, name, scale, data, seed, start_from)
    last = out_folder / "last.pt"
    with reproducible([seed, zlib.crc32(name.encode())], threads) as generator:
        run = new_run(variant, scale, data, body_points, generator, start_from)
        resume(run, last, fingerprint)
        for step in track(range(run.step, steps), f"training {name}", steps - run.step):
            set_rates(run, scale, step, steps)
            rows = draw_rows(
                data.train, run.generator, scale.batch_clips, scale.clip_frames, contiguous=run.model.design.temporal
            )
            take_step(run, data.train.batch(rows), variant, scale, data.train, body_points)
            run.step = step + 1
            if run.step % scale.validate_every_steps == 0 or run.step == steps:
                validate(run, data.validation, body_points, scale)
                write_log(out_folder, run.rows)
                save(run, last, fingerprint)
    write_checkpoint(out_folder / "checkpoint.pt", kept(run, name, seed, data))
    last.unlink()


@contextlib.contextmanager
def reproducible(seed: list[int], threads: int) -> Iterator[np.random.Generator]:
    """Fixed seeds, fixed threads and deterministic kernels inside; the process is as before outside."""
    old_threads, old_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    old_fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    children = np.random.SeedSequence(seed).spawn(2)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory it did not write, and filling it costs a twentieth of each step.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(children[0].generate_state(1)[0]))
            yield np.random.default_rng(children[1])
    finally:
        deterministic.fill_uninitialized_memory = old_fill  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(old_deterministic)
        torch.set_num_threads(old_threads)


def new_run(
    variant: VariantSettings,
    scale: ScaleSettings,
    data: TrainingData,
    body_points: BodyPoints,
    generator: np.random.Generator,
    start_from: Path | None,
) -> Run:
    """A model at its starting point, and fresh optimisers."""
    if variant.start_from is not None and start_from is None:
        raise ConfigError(f"start_from: '{variant.start_from}' must be trained first and its checkpoint passed on")
    model = Hmmr(design_of(variant, scale, data.train.feature_size))
    if start_from is not None:
        take_over(model, read_checkpoint(start_from).weights, str(start_from), NEW_IN_TEMPORAL)
    else:
        fit_standardiser(model, data.train)
        if scale.readout_start:
            start_from_regression(model, data, body_points)
    discriminator = PoseDiscriminator(hidden=scale.regressor_width)
    return Run(
        model,
        discriminator,
        encoder_optimiser(model, scale, new_layers=start_from is not None),
        torch.optim.AdamW(
            [{"params": list(discriminator.parameters()), "relative_rate": 1.0}],
            scale.discriminator_learning_rate,
            weight_decay=0.0,
        ),
        generator,
    )


def encoder_optimiser(model: Hmmr, scale: ScaleSettings, new_layers: bool) -> torch.optim.Optimizer:
    """AdamW in which the layers that the start did not train may learn faster than those it did."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        new = new_layers and name.startswith(NEW_IN_TEMPORAL)
        groups.setdefault(scale.new_layers_rate if new else 1.0, []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "relative_rate": rate} for rate, parameters in groups.items()],
        scale.learning_rate,
        weight_decay=scale.weight_decay,
    )


def set_rates(run: Run, scale: ScaleSettings, step: int, steps: int) -> None:
    factor = rate_factor(scale.schedule, step, steps, run.rate_drops)
    for optimiser, rate in (
        (run.encoder_optimiser, scale.learning_rate),
        (run.discriminator_optimiser, scale.discriminator_learning_rate),
    ):
        for group in optimiser.param_groups:
            group["lr"] = rate * factor * group["relative_rate"]


def rate_factor(schedule: str, step: int, steps: int, drops: int) -> float:
    """What the learning rate is multiplied with: a short rise, then by the schedule's name."""
    rise = min(1.0, (step + 1) / max(1.0, WARM_UP * steps))
    if schedule == "cosine":
        return rise * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rise * (PLATEAU_FACTOR**drops if schedule == "plateau" else 1.0)


def take_step(
    run: Run,
    batch: Batch,
    variant: VariantSettings,
    scale: ScaleSettings,
    train: ClipDataset,
    body_points: BodyPoints,
) -> None:
    """One step of the encoder and its heads, then one of the discriminators."""
    run.model.train()
    phi = with_noise(run.model, batch.phi, scale.feature_noise)
    if run.model.design.temporal:
        phi = with_lost_frames(run.model, phi, scale.lost_frames)
    output = run.model(phi)
    posed = pose_views(views_of(output, batch.targets), run.model.layout, body_points)
    terms = encoder_losses(output, posed, variant.loss_weights)
    adversarial = variant.loss_weights.adversarial * min(1.0, run.step / PRIOR_WARM_UP_STEPS)
    predicted = predicted_poses(posed, scale.judged_poses, run.generator)
    judging = variant.loss_weights.adversarial > 0
    if judging:
        run.discriminator.requires_grad_(False)
        terms["adversarial"] = adversarial * prior_loss(run.discriminator(predicted))
        run.discriminator.requires_grad_(True)
    total = torch.stack(list(terms.values())).sum()
    step_of(run.encoder_optimiser, run.model, total, scale.gradient_norm, run.step)
    if judging:
        real = real_poses(train, len(predicted), run.generator)
        judged = discriminator_loss(run.discriminator(real), run.discriminator(predicted.detach()))
        step_of(run.discriminator_optimiser, run.discriminator, judged, scale.gradient_norm, run.step)
        terms["discriminator"] = judged
    for name, value in (("total", total), *terms.items()):
        run.recent[name] = run.recent.get(name, 0.0) + float(value.detach())


def step_of(
    optimiser: torch.optim.Optimizer, module: torch.nn.Module, loss: Tensor, gradient_norm: float, step: int
) -> None:
    if not bool(loss.isfinite()):
        raise FatalError(f"the loss is {float(loss.detach())} at step {step}; lower scale.learning_rate")
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), gradient_norm)
    optimiser.step()


def with_noise(model: Hmmr, phi: Tensor, noise: float) -> Tensor:
    """Features under noise of `noise` standard deviations, so that no single channel is relied on."""
    if noise == 0:
        return phi
    deviation = getattr(model.standardiser, "deviation", phi.new_ones(()))
    return phi + noise * deviation * torch.randn_like(phi)


def with_lost_frames(model: Hmmr, phi: Tensor, share: float) -> Tensor:
    """Some frames replaced by the mean feature, as if nothing had been seen: only time can fill them in."""
    if share == 0:
        return phi
    lost = torch.rand(phi.shape[:2]) < share
    return torch.where(lost[..., None], getattr(model.standardiser, "mean", phi.new_zeros(())), phi)


def predicted_poses(posed: list[PosedView], count: int, generator: np.random.Generator) -> Tensor:
    """Up to `count` (n, 24, 3, 3) poses drawn from everything predicted in this step."""
    every = torch.cat([view.rotations.flatten(0, 1) for view in posed])
    if len(every) <= count:
        return every
    return every[torch.from_numpy(np.sort(generator.choice(len(every), count, replace=False)))]


def real_poses(train: ClipDataset, count: int, generator: np.random.Generator) -> Tensor:
    """Poses that people took: the 3D truth of the training clips."""
    known = train.has_3d.nonzero()[:, 0]
    if len(known) == 0:
        raise ConfigError("loss_weights.adversarial: no training clip has 3D truth to show as real; set it to 0")
    return train.rotations[known[torch.from_numpy(generator.integers(0, len(known), count))]]


def validate(run: Run, dataset: ClipDataset | None, body_points: BodyPoints, scale: ScaleSettings) -> None:
    """Log the mean losses since the last time, score the validation clips, and keep the weights `kept_step` names.

    Without validation clips in 3D there is nothing to choose by: the latest weights are kept.
    """
    since = run.step - max((step for step, _, _ in run.rows), default=0)
    run.rows += [(run.step, name, value / since) for name, value in run.recent.items()]
    run.recent.clear()
    error = math.nan
    if dataset is not None and len(dataset.rows_3d()):
        error = pa_mpjpe_mm(estimate(run.model, dataset, body_points), dataset)
        run.rows.append((run.step, VALIDATION, error))
    improved = math.isnan(error) or error < run.best_error_mm
    if improved or scale.kept_step == "last":
        run.kept_step, run.kept_error_mm = run.step, error
        run.kept_weights = {name: value.clone() for name, value in run.model.state_dict().items()}
    if improved:
        run.best_error_mm, run.stalled_validations = error, 0
        return
    run.stalled_validations += 1
    if run.stalled_validations > PLATEAU_PATIENCE and scale.schedule == "plateau":
        run.rate_drops, run.stalled_validations = run.rate_drops + 1, 0


def kept(run: Run, name: str, seed: int, data: TrainingData) -> Checkpoint:
    return Checkpoint(
        name, seed, run.kept_step, data.train.backbone, run.kept_error_mm, run.model.design, run.kept_weights
    )


def fingerprint_of(
    variant: VariantSettings, name: str, scale: ScaleSettings, data: TrainingData, seed: int, start_from: Path | None
) -> str:
    """What a run depends on: a run that was broken off goes on only where this is the same."""
    sets = [dataset for dataset in (data.train, data.validation) if dataset is not None]
    tensors = [value for dataset in sets for value in vars(dataset).values() if isinstance(value, Tensor)]
    start = {} if start_from is None else read_checkpoint(start_from).weights
    facts = {
        "variant": variant.model_dump(mode="json"),
        "name": name,
        "scale": scale.model_dump(mode="json"),
        "seed": seed,
        "data": [digest_array(value.numpy()) for value in tensors],
        "clips": [vars(clip) for dataset in sets for clip in dataset.clips],
        "start": [digest_array(value.numpy()) for value in start.values()],
    }
    return json.dumps(facts, sort_keys=True)


def save(run: Run, path: Path, fingerprint: str) -> None:
    """All that changes, and the state of every random generator."""
    modules = {name: getattr(run, name).state_dict() for name in _STATEFUL}
    plain = {name: getattr(run, name) for name in _PLAIN}
    random = {"numpy": json.dumps(run.generator.bit_generator.state), "torch": torch.get_rng_state()}
    write_tensors(path, {"fingerprint": fingerprint, **modules, **plain, **random})


def resume(run: Run, path: Path, fingerprint: str) -> None:
    """Go on from where an equal run was broken off; anything else there is of no use and is passed over."""
    if not path.exists():
        return
    with contextlib.suppress(StorageError):  # a damaged state costs the steps it held, nothing more
        state: dict[str, Any] = read_tensors(path)
        if state.get("fingerprint") == fingerprint:
            _restore(run, state)


def _restore(run: Run, state: dict[str, Any]) -> None:
    for name in _STATEFUL:
        getattr(run, name).load_state_dict(state[name])
    for name in _PLAIN:
        setattr(run, name, state[name])
    run.generator.bit_generator.state = json.loads(state["numpy"])
    torch.set_rng_state(state["torch"])


_STATEFUL = ("model", "discriminator", "encoder_optimiser", "discriminator_optimiser")
_PLAIN = (
    "step", "best_error_mm", "kept_error_mm", "kept_step", "kept_weights", "stalled_validations", "rate_drops", "rows",
    "recent",
)  # fmt: skip
