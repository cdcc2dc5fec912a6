"""How fast each family trains and predicts at the papers' width, with batch and frames as printed, and what it needs.

    python -m benchmarks.models [--device cuda] [--precision bfloat16] [--compile] [--width 2048] [--rounds 5]

Random features and labels: speed does not depend on them. One step is what `moviestrip train` does: the model, its
losses through the body, and the discriminators. `frames/s` are trained, `read/s` predicted; GiB is the peak, on a CPU
of the process so far. A row says what one machine did: put its name beside it.
"""

import argparse
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from moviestrip.body.load import load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.config import BodySettings, ComputeSettings, ScaleSettings, VariantSettings, load_variant
from moviestrip.models.model import MotionModel, parameter_count
from moviestrip.parts import cache_folder
from moviestrip.training.compute import Compute, start_compute
from moviestrip.training.data import Clip, ClipDataset, TrainingData
from moviestrip.training.loop import Training, draw_batch, new_run, prepared, random_of_step, reproducible, take_step
from moviestrip.training.motions import RealMotions

CONFIG = Path(__file__).parents[1] / "config"
FAMILIES = {
    "contextual": (8, 20),
    "vibe": (32, 16),
    "phd-causal": (8, 40),
    "ar-phi": (8, 40),
    "tcmr-ablation": (32, 16),
}
CLIPS, CLIP_FRAMES, FEATURES = 48, 48, 2048
LONGEST_DIFFERENCE = 2e-2  # between eager float32 and what is measured, of strips of unit size


def random_clips() -> ClipDataset:
    """Clips of noise, half of them with 3D labels."""
    generator, rows = np.random.default_rng(0), CLIPS * CLIP_FRAMES
    known = torch.arange(CLIPS).repeat_interleave(CLIP_FRAMES) % 2 == 0
    return ClipDataset(
        clips=tuple(Clip(f"c{i:03d}", i * CLIP_FRAMES, CLIP_FRAMES, i % 2 == 0) for i in range(CLIPS)),
        backbone="noise",
        phi=torch.from_numpy(np.abs(generator.standard_normal((rows, FEATURES), dtype=np.float32))),
        box_center_px=torch.full((rows, 2), 112.0),
        box_scale=torch.ones(rows),
        mirrored=torch.zeros(rows, dtype=torch.bool),
        label_of_row=torch.arange(rows),
        keypoints_px=torch.from_numpy(generator.uniform(0, 224, (rows, 25, 3)).astype(np.float32)),
        has_3d=known,
        has_body=known,
        rotations=torch.eye(3).expand(rows, 24, 3, 3).clone(),
        betas=torch.zeros(rows, 10),
        joints_3d_m=torch.from_numpy(generator.normal(0, 0.3, (rows, 14, 3)).astype(np.float32)),
    )


def still_motions() -> RealMotions:
    return RealMotions(("still",), np.array([0]), np.array([200]), torch.zeros(200, 72), ())


def seconds(function: Callable[[], object], rounds: int, device: torch.device) -> float:
    """Of one call, the best of a few, with the GPU's queue empty before and after."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def require_agreement(name: str, model: MotionModel, phi: torch.Tensor, compute: Compute) -> None:
    """What is measured says what the plain model says."""
    model.eval()
    with torch.inference_mode():
        plain = MotionModel(model.design).to(compute.device)
        plain.load_state_dict(model.state_dict())
        expected = plain.eval()(phi).contextual.strip
        with compute.precision():
            found = model(phi).contextual.strip
    difference = float((found.float() - expected).abs().max() / expected.abs().max())
    if difference > LONGEST_DIFFERENCE:
        raise SystemExit(f"{name}: differs from the plain model by {difference:.1e} of its largest value")


def measure(name: str, width: int, rounds: int, compute: Compute) -> list[str]:
    """One row: parameters, training step and frames a second, prediction, memory."""
    batch, frames = FAMILIES[name]
    variant: VariantSettings = load_variant(name, CONFIG).model_copy(update={"start_from": None, "frozen": ()})
    scale = ScaleSettings(
        width=width, regressor_width=width // 2, batch_clips=batch, clip_frames=frames, dropout=0.5,
        readout_start=False, standardise_features=False, feature_noise=0, lost_frames=0,
    )  # fmt: skip
    body = load_body(BodySettings(), cache_folder())
    points = PosedPoints(body, keypoint_regressor(body))
    training = Training(variant, scale, TrainingData(random_clips(), None), points, still_motions(), compute=compute)
    training = prepared(training)
    if compute.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(compute.device)
    with reproducible(0, torch.get_num_threads(), compute):
        run = new_run(training, None)
        random = random_of_step(0, 0)
        phi = training.data.train.phi[: batch * frames].unflatten(0, (batch, frames))
        require_agreement(name, run.model, phi, compute)
        run.step = 500  # PHD's curriculum half-way

        def step() -> None:
            take_step(run, draw_batch(run, training, random), training, 1000, random)

        def predict() -> None:
            with torch.inference_mode(), compute.precision():
                run.model.present(phi)

        step()
        step_s = seconds(step, rounds, compute.device)
        run.model.eval()
        predict()
        predict_s = seconds(predict, rounds, compute.device)
    return [
        name,
        f"{parameter_count(run.model) / 1e6:.1f}",
        f"{batch}x{frames}",
        f"{1000 * step_s:.0f}",
        f"{batch * frames / step_s:,.0f}",
        f"{batch * frames / predict_s:,.0f}",
        f"{peak_gib(compute.device):.1f}",
    ]


def peak_gib(device: torch.device) -> float:
    """Of the GPU since the last reset, or of the process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    arguments.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--width", type=int, default=2048)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--family", choices=FAMILIES, nargs="*", default=list(FAMILIES))
    chosen = arguments.parse_args()
    settings = ComputeSettings(device=chosen.device, precision=chosen.precision, compile=chosen.compile)
    with start_compute(settings) as compute:
        on_gpu = compute.device.type == "cuda"
        machine = torch.cuda.get_device_name(compute.device) if on_gpu else f"{torch.get_num_threads()} threads"
        title = f"width {chosen.width}, {chosen.precision}{', compiled' if chosen.compile else ''}: {machine}"
        titles = ("family", "M par.", "batch", "ms a step", "frames/s", "read/s", "GiB")
        table = Table(*titles, title=title)
        for name in chosen.family:
            table.add_row(*measure(name, chosen.width, chosen.rounds, compute))
    Console().print(table)
    Console().print(f"torch {torch.__version__}, {platform.python_implementation()} {platform.python_version()}")


if __name__ == "__main__":
    main()
