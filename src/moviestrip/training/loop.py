"""The training of one variant, readable from top to bottom.

A run is a function of its settings, its data and its seed: on one machine, with one thread, two runs leave the same
bytes, and so does a run that was broken off and started again. One that was killed goes on from its last validation,
one that was asked to stop from the step it was in.

Random numbers follow from the seed and the step, never from the model: variants of one seed begin with the same weights
and see the same clips, disturbed in the same way, as far as they share layers and data. So the luck of a training is
shared, and what is left between two variants is more of their difference.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import deterministic

from moviestrip.body.mean_parameters import MeanParameters
from moviestrip.config import ScaleSettings, VariantSettings
from moviestrip.errors import ConfigError, RetryableError
from moviestrip.models.autoregressor import own_predictions
from moviestrip.models.discriminator import PoseDiscriminator
from moviestrip.models.model import MotionModel, design_of, scaled, take_over
from moviestrip.models.motion_discriminator import MotionDiscriminator
from moviestrip.models.motion_prior import MotionPrior, motion_prior_loss
from moviestrip.progress import track
from moviestrip.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from moviestrip.training.compute import ALONE, Compute
from moviestrip.training.data import Batch, ClipDataset, TrainingData, draw_rows
from moviestrip.training.log import write_log
from moviestrip.training.losses import (
    BodyPoints,
    PosedView,
    discriminator_loss,
    model_losses,
    pose_views,
    prior_loss,
    views_of,
)
from moviestrip.training.motions import RealMotions, body_pose
from moviestrip.training.optimisers import (
    PLATEAU_PATIENCE,
    descend,
    discriminator_optimiser,
    model_optimiser,
    rate_factor,
    set_rate,
)
from moviestrip.training.predict import estimate, pa_mpjpe_mm
from moviestrip.training.readout import fit_standardiser, start_from_regression
from moviestrip.training.state import Run, fingerprint_of, resume, save, state_file

PRIOR_WARM_UP_STEPS = 50  # a prior that has learned nothing yet would only push good starting poses about
MOTION_WEIGHT = 0.5  # VIBE: of both halves of the motion discriminator's loss
VALIDATION = "validation_pa_mpjpe_mm"


@dataclass(frozen=True)
class Training:
    """What a run is made of; nothing in it changes."""

    variant: VariantSettings
    scale: ScaleSettings
    data: TrainingData
    body_points: BodyPoints  # (N, 24, 3, 3), (N, 10) to HMMR's 25 keypoints (N, 25, 3), in metres
    real_motions: RealMotions | None = None
    motion_prior: MotionPrior | None = None
    mean_parameters: MeanParameters | None = None
    compute: Compute = ALONE

    @property
    def clip_frames(self) -> int:
        return self.variant.clip_frames or self.scale.clip_frames


def train_variant(
    training: Training, name: str, seed: int, out_folder: Path, start_from: Path | None = None, threads: int = 1
) -> None:
    """Train a variant and leave checkpoint.pt, log.parquet and tensorboard/ in `out_folder`.

    The state file stays there too, for whoever called to remove once the checkpoint is safe. Asked to stop, a training
    raises RetryableError, saved.

    Args:
        name: the variant's, for messages.
        start_from: checkpoint of the variant named by `variant.start_from`; with one, `temporal_steps` are taken.
        threads: more than one is faster and gives up equal bytes between machines.
    """
    variant, scale, compute = training.variant, training.scale, training.compute
    training = prepared(training)
    steps = scale.steps if start_from is None else scale.temporal_steps
    with reproducible(seed, threads, compute):
        run = new_run(training, start_from)
        start = {} if start_from is None else read_checkpoint(start_from).weights
        prior = {} if training.motion_prior is None else training.motion_prior.state_dict()
        mean = {} if training.mean_parameters is None else {"mean": torch.from_numpy(training.mean_parameters.theta)}
        others = {**start, **{f"prior.{key}": value for key, value in prior.items()}, **mean}
        fingerprint = fingerprint_of(variant, name, scale, training.data, seed, compute, others)
        keeper = Keeper(run, training, out_folder, fingerprint, steps)
        resume(run, state_file(out_folder), fingerprint, compute)
        keeper.validate_when_due()
        left = range(run.step, steps)
        for step in track(left, f"training {name}") if compute.writes else left:
            keeper.stop_when_asked()
            if has_stalled(run, scale):
                break
            factor = rate_factor(scale.schedule, step, steps, run.rate_drops)
            set_rate(run.model_optimiser, scale.learning_rate * factor)
            if run.discriminator_optimiser is not None:
                set_rate(run.discriminator_optimiser, scale.discriminator_learning_rate * factor)
            random = random_of_step(seed, step)
            take_step(run, draw_batch(run, training, random), training, steps, random)
            run.step = step + 1
            keeper.validate_when_due()
    if compute.writes:
        write_log(out_folder, run.rows)  # again: the workflow deletes it with whatever else a job that failed has made
        write_checkpoint(out_folder / "checkpoint.pt", kept(run, name, seed, training))


@dataclass(frozen=True)
class Keeper:
    """When a run is validated and saved, and when it stops."""

    run: Run
    training: Training
    folder: Path
    fingerprint: str
    steps: int

    def save(self) -> None:
        save(self.run, state_file(self.folder), self.fingerprint, self.training.compute)

    def validate_when_due(self) -> None:
        step, scale = self.run.step, self.training.scale
        validated_step = max((row_step for row_step, _, _ in self.run.rows), default=0)
        if step == validated_step or (step % scale.validate_every_steps and step != self.steps):
            return
        self.stop_when_asked()  # a validation may last longer than whoever asks will wait
        validate(self.run, self.training)
        if self.training.compute.writes:
            write_log(self.folder, self.run.rows)
        self.save()

    def stop_when_asked(self) -> None:
        compute = self.training.compute
        if not compute.is_asked_to_stop():
            return
        self.save()
        by = compute.interruption.signal_name or "another process"
        raise RetryableError(
            f"training: asked to stop by {by}; saved after step {self.run.step}, run it again to go on"
        )


def prepared(training: Training) -> Training:
    """The same training with the clips that a window fits into, on the device; a missing part is an error here."""
    variant, data, device = training.variant, training.data, training.compute.device
    clips, processes = training.scale.batch_clips, training.compute.processes
    if clips % processes:
        raise ConfigError(f"scale.batch_clips: {processes} processes cannot share {clips} evenly; make it a multiple")
    if variant.motion_discriminator is not None and training.real_motions is None:
        raise ConfigError("motion_discriminator: needs real motions; run the stage that makes world/motions.parquet")
    if variant.motion_prior is not None and training.motion_prior is None:
        raise ConfigError(f"motion_prior: train it first: moviestrip motion-prior {variant.motion_prior} SEED")
    reach = (training.clip_frames - 1) * variant.frame_stride + 1
    train = data.train.at_least(reach) if variant.encoder != "none" else data.train
    validation = None if data.validation is None else data.validation.to(device)
    prior = None if training.motion_prior is None else training.motion_prior.to(device).requires_grad_(False)
    points = training.body_points.to(device) if isinstance(training.body_points, nn.Module) else training.body_points
    held = TrainingData(train.to(device), validation)
    return replace(training, data=held, body_points=points, motion_prior=prior)


@contextlib.contextmanager
def reproducible(seed: int, threads: int, compute: Compute = ALONE) -> Iterator[None]:
    """Fixed first weights, fixed threads and deterministic kernels inside; the process is as before outside."""
    old_threads, old_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    old_fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which loads torch's compiler
    # Nothing here reads memory it did not write, and filling it costs a twentieth of each step.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with torch.random.fork_rng(devices=[compute.device] if compute.device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        deterministic.fill_uninitialized_memory = old_fill  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(old_mode)
        torch.set_num_threads(old_threads)


def random_of_step(seed: int, step: int) -> np.random.Generator:
    """What one step draws from, whichever model takes it; torch, and with it dropout, is seeded alike."""
    of_numpy, of_torch = np.random.SeedSequence([seed, step]).spawn(2)
    torch.manual_seed(int(of_torch.generate_state(1)[0]))
    return np.random.default_rng(of_numpy)


def new_run(training: Training, start_from: Path | None) -> Run:
    """A model at its starting point, its discriminators, and fresh optimisers."""
    variant, scale, data, device = training.variant, training.scale, training.data, training.compute.device
    if variant.start_from is not None and start_from is None:
        raise ConfigError(f"start_from: '{variant.start_from}' must be trained first and its checkpoint passed on")
    model = MotionModel(design_of(variant, scale, data.train.feature_size)).to(device)
    new: list[str] = []
    if start_from is not None:
        new = take_over(model, read_checkpoint(start_from).weights, str(start_from))
    else:
        fit_standardiser(model, data.train)
        if (mean := training.mean_parameters) is not None:
            model.regressor.start_from_mean(*map(torch.from_numpy, (mean.camera, mean.pose, mean.betas)))
        if scale.readout_start:
            start_from_regression(model, data, training.body_points)
    for part in variant.frozen:
        getattr(model, part).requires_grad_(False)
    discriminators = discriminators_of(variant, scale).to(device)
    if training.compute.compiled:
        model.compile()
    return Run(
        model,
        discriminators,
        model_optimiser(model, scale, new),
        discriminator_optimiser(discriminators, scale) if len(discriminators) else None,
    )


def discriminators_of(variant: VariantSettings, scale: ScaleSettings) -> nn.ModuleDict:
    """What judges predictions: single poses (HMR, HMMR), whole motions (VIBE)."""
    judges: dict[str, nn.Module] = {}
    if variant.loss_weights.adversarial > 0:
        judges["adversarial"] = PoseDiscriminator(hidden=scale.regressor_width)
    motion = variant.motion_discriminator
    if motion is not None:
        width = scaled(motion.attention_width, scale)
        judges["motion_adversarial"] = MotionDiscriminator(
            scaled(1024, scale), pooling=motion.pooling, attention_layers=motion.attention_layers, attention_width=width
        )
    return nn.ModuleDict(judges)


def draw_batch(run: Run, training: Training, random: np.random.Generator) -> Batch:
    """This process's share of a random batch, its features disturbed so that no single channel or frame is relied on.

    Everything is drawn for the whole batch, so that the draw does not depend on the number of processes.
    """
    scale, variant, train = training.scale, training.variant, training.data.train
    rows = draw_rows(
        train,
        random,
        scale.batch_clips,
        training.clip_frames,
        contiguous=run.model.design.temporal,
        share_3d=variant.share_3d,
        stride=variant.frame_stride,
    )
    phi = with_noise(run.model, train.phi[rows], scale.feature_noise, random)
    if run.model.design.temporal:
        phi = with_lost_frames(run.model, phi, scale.lost_frames, random)
    share = training.compute.share
    return Batch(share(phi), train.targets(share(rows)))


def take_step(run: Run, batch: Batch, training: Training, steps: int, random: np.random.Generator) -> None:
    """One step of the model, then one of the discriminators that judge it."""
    variant, scale, compute = training.variant, training.scale, training.compute
    run.model.train()
    run.discriminators.train()
    forecasts = run.model.autoregressor is not None
    longest = own_predictions(run.step, steps, variant.forecast_frames) if forecasts else 0
    with compute.precision():
        output = run.model(batch.phi, longest)
    output = output.float() if compute.bfloat16 else output
    posed = pose_views(views_of(output, batch.targets, variant), run.model.layout, training.body_points)
    terms = model_losses(output, posed, variant)
    predicted = judged_by(run, posed, training, random)
    run.discriminators.requires_grad_(False)
    for name, judge in run.discriminators.items():
        weight = getattr(variant.loss_weights, name) * min(1.0, run.step / PRIOR_WARM_UP_STEPS)
        terms[name] = weight * prior_loss(judgement(judge, predicted[name]))
    if training.motion_prior is not None:
        length = motion_prior_loss(training.motion_prior, posed[0].rotations)
        terms["motion_prior"] = variant.loss_weights.motion_prior * length / compute.processes
    total = torch.stack(list(terms.values())).sum()
    length = descend(run.model_optimiser, run.model, total, scale.gradient_norm, run.step, compute)
    note(run, {"total": total, **terms, "gradient_norm": length / compute.processes})
    if run.discriminator_optimiser is not None:
        step_of_discriminators(run, predicted, training, random)


def step_of_discriminators(
    run: Run, predicted: dict[str, Tensor], training: Training, random: np.random.Generator
) -> None:
    """Teach every discriminator to tell what people did from what was predicted in this step."""
    assert run.discriminator_optimiser is not None
    run.discriminators.requires_grad_(True)
    losses = {}
    for name, judge in run.discriminators.items():
        real = real_examples(name, training, predicted[name], random)
        judged = discriminator_loss(judgement(judge, real), judgement(judge, predicted[name].detach()))
        losses[name] = judged * (MOTION_WEIGHT if name == "motion_adversarial" else 1.0)
    total = torch.stack(list(losses.values())).sum()
    descend(
        run.discriminator_optimiser,
        run.discriminators,
        total,
        training.scale.gradient_norm,
        run.step,
        training.compute,
    )
    note(run, {f"{name.removesuffix('adversarial')}discriminator": value for name, value in losses.items()})


def judgement(judge: nn.Module, examples: Tensor) -> Tensor:
    """(n, outputs): the poses discriminator's 24, or the motion discriminator's one."""
    return judge(examples).score if isinstance(judge, MotionDiscriminator) else judge(examples)


def judged_by(run: Run, posed: list[PosedView], training: Training, random: np.random.Generator) -> dict[str, Tensor]:
    """What each discriminator is shown: poses drawn from everything predicted, and the motions of the present."""
    count = math.ceil(training.scale.judged_poses / training.compute.processes)
    shown = {}
    if "adversarial" in run.discriminators:
        shown["adversarial"] = predicted_poses(posed, count, random)
    if "motion_adversarial" in run.discriminators:
        shown["motion_adversarial"] = body_pose(posed[0].rotations)
    return shown


def real_examples(name: str, training: Training, like: Tensor, random: np.random.Generator) -> Tensor:
    """As many as predicted: poses of the training clips in 3D, or windows of real motions."""
    count = len(like) * training.compute.processes
    if name == "adversarial":
        return training.compute.share(real_poses(training.data.train, count, random))
    assert training.real_motions is not None
    mirrored = float(training.data.train.mirrored.float().mean())  # as many as there are among the predicted
    drawn = training.real_motions.draw(random, count, like.shape[1], mirrored=mirrored)
    return body_pose(training.compute.share(drawn).to(like.device))


def note(run: Run, values: dict[str, Tensor]) -> None:
    """Add to the sums that the next validation logs as means."""
    for name, value in values.items():
        run.recent[name] = run.recent.get(name, 0.0) + float(value.detach())


def with_noise(model: MotionModel, phi: Tensor, noise: float, random: np.random.Generator) -> Tensor:
    """Features under noise of `noise` standard deviations, so that no single channel is relied on."""
    if noise == 0:
        return phi
    deviation = getattr(model.standardiser, "deviation", phi.new_ones(()))
    drawn = torch.from_numpy(random.standard_normal(tuple(phi.shape), dtype=np.float32))
    return phi + noise * deviation * drawn.to(phi)


def with_lost_frames(model: MotionModel, phi: Tensor, share: float, random: np.random.Generator) -> Tensor:
    """Some frames replaced by the mean feature, as if nothing had been seen: only time can fill them in."""
    if share == 0:
        return phi
    lost = torch.from_numpy(random.random(tuple(phi.shape[:2])) < share).to(phi.device)
    return torch.where(lost[..., None], getattr(model.standardiser, "mean", phi.new_zeros(())), phi)


def predicted_poses(posed: list[PosedView], count: int, random: np.random.Generator) -> Tensor:
    """Up to `count` (n, 24, 3, 3) poses drawn from everything predicted in this step."""
    every = torch.cat([view.rotations.flatten(0, 1) for view in posed])
    if len(every) <= count:
        return every
    return every[torch.from_numpy(np.sort(random.choice(len(every), count, replace=False)))]


def real_poses(train: ClipDataset, count: int, random: np.random.Generator) -> Tensor:
    """Poses that people took: the 3D truth of the training clips."""
    known = train.has_body.nonzero()[:, 0].cpu()
    if len(known) == 0:
        raise ConfigError("loss_weights.adversarial: no training clip has 3D truth to show as real; set it to 0")
    return train.rotations[known[torch.from_numpy(random.integers(0, len(known), count))]]


def validate(run: Run, training: Training) -> None:
    """Log the mean losses since the last time, score the validation clips, and keep the weights `kept_step` names.

    Without validation clips in 3D there is nothing to choose by: the latest weights are kept.
    """
    scale, dataset = training.scale, training.data.validation
    since = run.step - max((step for step, _, _ in run.rows), default=0)
    sums = training.compute.add_up(torch.tensor(list(run.recent.values()), device=training.compute.device))
    run.rows += [(run.step, name, value / since) for name, value in zip(run.recent, sums.tolist(), strict=True)]
    run.recent.clear()
    first = run.model_optimiser.param_groups[0]
    run.rows.append((run.step, "learning_rate", first["lr"] / first["relative_rate"]))
    error = math.nan
    if dataset is not None and len(dataset.rows_3d()):
        error = pa_mpjpe_mm(estimate(run.model, dataset, training.body_points), dataset)
        run.rows.append((run.step, VALIDATION, error))
    improved = math.isnan(error) or error < run.best_error_mm
    if improved or scale.kept_step == "last":
        run.kept_step, run.kept_error_mm = run.step, error
        run.kept_weights = {name: value.cpu().clone() for name, value in run.model.state_dict().items()}
    if improved:
        run.best_error_mm, run.stalled_validations, run.stalled_since_drop = error, 0, 0
        return
    run.stalled_validations, run.stalled_since_drop = run.stalled_validations + 1, run.stalled_since_drop + 1
    if run.stalled_since_drop > PLATEAU_PATIENCE and scale.schedule == "plateau":
        run.rate_drops, run.stalled_since_drop = run.rate_drops + 1, 0


def has_stalled(run: Run, scale: ScaleSettings) -> bool:
    """Whether training stops early."""
    patience = scale.stop_after_validations
    return patience is not None and run.stalled_validations >= patience


def kept(run: Run, name: str, seed: int, training: Training) -> Checkpoint:
    return Checkpoint(
        name,
        seed,
        run.kept_step,
        training.data.train.backbone,
        run.kept_error_mm,
        training.variant.projection,
        run.model.design,
        run.kept_weights,
    )
