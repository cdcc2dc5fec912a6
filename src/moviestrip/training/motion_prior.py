"""The training of a motion prior on real motions, and how well it reproduces motions it has not seen.

Like the training of a variant, it is a function of its settings, motions and seed: equal runs leave the same bytes, and
one that was killed goes on from its last validation to the bytes it would have left.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from moviestrip.body.load import Body
from moviestrip.body.mesh import FRAMES_AT_ONCE, mean_lengths, posed_parts
from moviestrip.config import MotionPriorName, MotionPriorSettings, ScaleSettings, suggestion
from moviestrip.errors import ConfigError, StorageError
from moviestrip.models.model import scaled
from moviestrip.models.motion_prior import MotionPrior, MotionPriorDesign, kl_divergence
from moviestrip.progress import track
from moviestrip.storage import digest_array
from moviestrip.training.checkpoint import read_tensors, write_tensors
from moviestrip.training.compute import ALONE
from moviestrip.training.log import LogRow, write_log
from moviestrip.training.loop import random_of_step, reproducible
from moviestrip.training.losses import BodyPoints
from moviestrip.training.motions import RealMotions
from moviestrip.training.optimisers import descend, rate_factor, set_rate

FORMAT = "moviestrip-motion-prior-1"
VALIDATION = "validation_points_mm"
EVERY_FRAMES = 4  # one frame in four is posed as a mesh: neighbours hardly differ

Reconstruct = Callable[[Tensor], Tensor]  # (motions, frames, 23, 3, 3) to the same


@dataclass
class PriorRun:
    """One training at one moment."""

    prior: MotionPrior
    optimiser: torch.optim.Optimizer
    step: int = 0
    rows: list[LogRow] = field(default_factory=list)
    recent: dict[str, float] = field(default_factory=dict)


def prior_design(name: str, settings: MotionPriorSettings, scale: ScaleSettings) -> MotionPriorDesign:
    """MPoser at the run's scale, or VPoser with as many weights."""
    known = get_args(MotionPriorName)
    if name not in known:
        raise ConfigError(f"motion prior '{name}' is not known{suggestion(name, known)}")
    hidden = scaled(settings.hidden, scale)
    return MotionPriorDesign(hidden, settings.latent, settings.layers, frame_wise=name == "vposer")


def train_motion_prior(
    settings: MotionPriorSettings,
    design: MotionPriorDesign,
    name: str,
    seed: int,
    train: RealMotions,
    validation: RealMotions,
    body_points: BodyPoints,
    out_folder: Path,
    threads: int = 1,
) -> None:
    """Train a prior and leave checkpoint.pt, log.parquet and tensorboard/ in `out_folder`.

    Args:
        name: `mposer` or `vposer`, for messages.
        body_points: poses (N, 24, 3, 3), (N, 10) to points of the body (N, points, 3), in metres.
        threads: more than one is faster and gives up equal bytes between machines.
    """
    last = out_folder / "last.pt"
    fingerprint = fingerprint_of(settings, design, name, seed, train, validation)
    with reproducible(seed, threads):
        run = new_run(settings, design, train)
        resume(run, last, fingerprint)
        for step in track(range(run.step, settings.steps), f"training {name}", settings.steps - run.step):
            set_rate(run.optimiser, settings.learning_rate * rate_factor("cosine", step, settings.steps, 0))
            take_step(run, settings, train, body_points, random_of_step(seed, step))
            run.step = step + 1
            if run.step % settings.validate_every_steps == 0 or run.step == settings.steps:
                validate(run, settings, validation, body_points)
                write_log(out_folder, run.rows)
                save(run, last, fingerprint)
    write_log(out_folder, run.rows)  # again: the workflow deletes it with whatever else a job that failed has made
    write_motion_prior(out_folder / "checkpoint.pt", run.prior, name, seed, run.step)
    last.unlink()


def new_run(settings: MotionPriorSettings, design: MotionPriorDesign, train: RealMotions) -> PriorRun:
    prior = MotionPrior(design)
    prior.standardise(torch.cat([rotations[:, 1:] for rotations in train]))
    parameters = [{"params": list(prior.parameters()), "relative_rate": 1.0}]
    return PriorRun(prior, torch.optim.Adam(parameters, settings.learning_rate))


def take_step(
    run: PriorRun,
    settings: MotionPriorSettings,
    train: RealMotions,
    body_points: BodyPoints,
    random: np.random.Generator,
) -> None:
    motions = train.draw(random, settings.batch_motions, settings.frames, mirrored=0.5)[:, :, 1:]
    terms = prior_losses(run.prior, motions, settings, body_points)
    total = torch.stack(list(terms.values())).sum()
    descend(run.optimiser, run.prior, total, settings.gradient_norm, run.step, ALONE)
    for loss, value in (("total", total), *terms.items()):
        run.recent[loss] = run.recent.get(loss, 0.0) + float(value.detach())


def prior_losses(
    prior: MotionPrior,
    motions: Float[Tensor, "motions frames 23 3 3"],
    settings: MotionPriorSettings,
    body_points: BodyPoints,
) -> dict[str, Tensor]:
    """The weighted terms of the evidence bound: what a drawn code gives back, and how far codes are from normal."""
    mean, log_variance = prior.encode(motions)
    codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    decoded = prior.decode(codes)
    terms = {
        "rotations": (decoded - motions).square().mean(),
        "kl": settings.kl_weight * kl_divergence(mean, log_variance),
    }
    if settings.points_weight > 0:
        apart = points_of(decoded, body_points) - points_of(motions, body_points)
        terms["points"] = settings.points_weight * apart.square().mean()
    return terms


def points_of(
    rotations: Float[Tensor, "motions frames 23 3 3"], body_points: BodyPoints
) -> Float[Tensor, "poses points 3"]:
    """Points of the mean body in these poses, its root upright at the origin."""
    poses = upright(rotations).flatten(0, -4)
    return body_points(poses, poses.new_zeros(len(poses), 10))


def upright(rotations: Float[Tensor, "*batch 23 3 3"]) -> Float[Tensor, "*batch 24 3 3"]:
    """The body's pose with a root that is not turned."""
    root = torch.eye(3).to(rotations).expand(*rotations.shape[:-3], 1, 3, 3)
    return torch.cat([root, rotations], dim=-3)


@torch.no_grad()
def validate(run: PriorRun, settings: MotionPriorSettings, validation: RealMotions, body_points: BodyPoints) -> None:
    """Log the mean losses since the last time, and how far reconstructed points of held-out motions are off."""
    since = run.step - max((step for step, _, _ in run.rows), default=0)
    run.rows += [(run.step, name, value / since) for name, value in run.recent.items()]
    run.recent.clear()
    windows = torch.cat([cut(rotations[:, 1:], settings.frames) for rotations in validation])
    off = points_of(run.prior.reconstruct(windows), body_points) - points_of(windows, body_points)
    run.rows.append((run.step, VALIDATION, 1000 * float(off.norm(dim=-1).mean())))


def cut(rotations: Float[Tensor, "all 23 3 3"], frames: int) -> Float[Tensor, "windows frames 23 3 3"]:
    """A sequence in windows side by side; what does not fill one is left out."""
    if len(rotations) < frames:
        raise ConfigError(
            f"motion_prior.frames: a motion of {len(rotations)} frames has no window of {frames}; lower it"
        )
    return rotations[: len(rotations) // frames * frames].unflatten(0, (-1, frames))


def fingerprint_of(
    settings: MotionPriorSettings,
    design: MotionPriorDesign,
    name: str,
    seed: int,
    train: RealMotions,
    validation: RealMotions,
) -> str:
    """What a run depends on: one that was broken off goes on only where this is the same."""
    facts = {
        "settings": settings.model_dump(mode="json"),
        "design": asdict(design),
        "name": name,
        "seed": seed,
        "motions": [[motions.ids, digest_array(motions.pose.numpy())] for motions in (train, validation)],
    }
    return json.dumps(facts, sort_keys=True)


def save(run: PriorRun, path: Path, fingerprint: str) -> None:
    """All that changes; what is random follows from the step."""
    plain = {name: getattr(run, name) for name in _PLAIN}
    parts = {name: getattr(run, name).state_dict() for name in _STATEFUL}
    write_tensors(path, {"fingerprint": fingerprint, **parts, **plain})


def resume(run: PriorRun, path: Path, fingerprint: str) -> None:
    """Go on from where an equal run was broken off; anything else there is of no use and is passed over."""
    if not path.exists():
        return
    with contextlib.suppress(StorageError):  # a damaged state costs the steps it held, nothing more
        state: dict[str, Any] = read_tensors(path)
        if state.get("fingerprint") != fingerprint:
            return
        for name in _STATEFUL:
            getattr(run, name).load_state_dict(state[name])
        for name in _PLAIN:
            setattr(run, name, state[name])


_STATEFUL = ("prior", "optimiser")
_PLAIN = ("step", "rows", "recent")


def write_motion_prior(path: Path, prior: MotionPrior, name: str, seed: int, step: int) -> None:
    facts = {"format": FORMAT, "name": name, "seed": seed, "step": step, "design": asdict(prior.design)}
    write_tensors(path, {**facts, "weights": prior.state_dict()})


def read_motion_prior(path: Path) -> MotionPrior:
    """A trained prior, frozen."""
    fields = read_tensors(path)
    if fields.get("format") != FORMAT:
        raise StorageError(f"{path}: not a {FORMAT} file; train the prior again: moviestrip motion-prior NAME SEED")
    try:
        prior = MotionPrior(MotionPriorDesign(**fields["design"]))
        prior.load_state_dict(fields["weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(f"{path}: its design and weights do not fit ({reason}); train the prior again") from error
    return prior.requires_grad_(False)


@torch.no_grad()
def reconstruction_errors(reconstruct: Reconstruct, motions: RealMotions, body: Body, frames: int) -> pd.DataFrame:
    """Per-vertex error of the mean body, its root not turned: one row a motion with motion_id, frames, pve_mm.

    Args:
        reconstruct: a prior's method, or anything else that gives motions back.
        frames: of the windows into which motions are cut, as in training.
    """
    given, back = [], []
    for rotations in motions:
        windows = cut(rotations[:, 1:], frames)
        given.append(windows[:, ::EVERY_FRAMES].flatten(0, 1))
        back.append(reconstruct(windows)[:, ::EVERY_FRAMES].flatten(0, 1))
    pairs = zip(*(torch.cat(poses).split(FRAMES_AT_ONCE) for poses in (given, back)), strict=True)
    off_mm = 1000 * torch.cat([per_vertex_error(before, after, body) for before, after in pairs])
    counts = [len(poses) for poses in given]
    means_mm = [float(part.mean()) for part in off_mm.split(counts)]
    return pd.DataFrame({"motion_id": list(motions.ids), "frames": counts, "pve_mm": means_mm})


def per_vertex_error(
    given: Float[Tensor, "poses 23 3 3"], back: Float[Tensor, "poses 23 3 3"], body: Body
) -> Float[Tensor, " poses"]:
    """Mean distance in metres of the mean body's vertices in two poses, its root not turned."""
    mean_shape = given.new_zeros(len(given), 10)
    sides = (posed_parts(body, upright(poses), mean_shape) for poses in (given, back))
    return mean_lengths(ours - theirs for ours, theirs in zip(*sides, strict=True))


def mean_pose(train: RealMotions) -> Reconstruct:
    """What any prior must beat: the same pose for every frame, the mean of the training motions."""
    import roma

    mean = torch.cat([rotations[:, 1:] for rotations in train]).mean(0)
    pose = roma.special_procrustes(mean)
    return lambda windows: pose.expand_as(windows)
