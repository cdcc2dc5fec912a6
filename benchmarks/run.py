"""Speed of the inner loops against their peers, both in this run, after both have agreed on the numbers.

Only the ratios mean anything: machines differ by more than the code does. Run with `make bench`; nothing is written.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table
from scipy.linalg import orthogonal_procrustes

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, joints_14_regressor
from moviestrip.config import BodySettings
from moviestrip.evaluation.metrics import acceleration_error, pa_mpjpe
from moviestrip.figures.overlay import camera_translation, panel_intrinsics
from moviestrip.geometry import pose_to_matrices
from moviestrip.parts import cache_folder
from moviestrip.world.rasterise import render_mesh

ROUNDS = 3


@dataclass(frozen=True)
class Result:
    """Units of work a second, ours and a peer's."""

    work: str
    unit: str
    peer: str
    ours_per_s: float
    peer_per_s: float


def rate(function: Callable[[], object], units: int) -> float:
    """Units a second in the best of a few rounds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return units / min(seconds)


def require_agreement(work: str, ours: np.ndarray, peer: np.ndarray, tolerance: float) -> None:
    difference = float(np.abs(np.asarray(ours) - np.asarray(peer)).max())
    if not difference <= tolerance:
        raise SystemExit(f"{work}: the two sides differ by {difference:.3g}, more than {tolerance:.3g}: not timed")


def procrustes(generator: np.random.Generator) -> Iterator[Result]:
    predicted, target = generator.normal(size=(2, 20_000, 14, 3))
    few = slice(0, 2_000)

    def loop() -> np.ndarray:
        return np.array([_pa_with_scipy(*pair) for pair in zip(predicted[few], target[few], strict=True)])

    ours = pa_mpjpe(predicted, target)
    require_agreement("PA-MPJPE", ours[few], loop(), 1e-9)
    require_agreement("PA-MPJPE", ours, _pa_with_svd(predicted, target), 1e-9)
    ours_per_s = rate(lambda: pa_mpjpe(predicted, target), len(target))
    yield Result("PA-MPJPE", "frames", "scipy, a frame at a time", ours_per_s, rate(loop, 2_000))
    batched = rate(lambda: _pa_with_svd(predicted, target), len(target))
    yield Result("PA-MPJPE", "frames", "batched SVD", ours_per_s, batched)


def _pa_with_scipy(predicted: np.ndarray, target: np.ndarray) -> float:
    x, y = predicted - predicted.mean(0), target - target.mean(0)
    rotation, _ = orthogonal_procrustes(x, y)
    if np.linalg.det(rotation) < 0:
        left, _, right = np.linalg.svd(x.T @ y)
        rotation = left @ np.diag([1, 1, -1]) @ right
    scale = np.sum((x @ rotation) * y) / np.sum(x**2)
    return float(np.linalg.norm(scale * x @ rotation - y, axis=-1).mean())


def _pa_with_svd(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    x, y = predicted - predicted.mean(-2, keepdims=True), target - target.mean(-2, keepdims=True)
    left, values, right = np.linalg.svd(np.swapaxes(x, -1, -2) @ y)
    flip = np.sign(np.linalg.det(left @ right))
    left[..., -1] *= flip[:, None]
    values[..., -1] *= flip
    aligned = (values.sum(-1) / (x**2).sum((-1, -2)))[:, None, None] * (x @ left @ right)
    return np.linalg.norm(aligned - y, axis=-1).mean(-1)


def accelerations(generator: np.random.Generator) -> Iterator[Result]:
    predicted, target = generator.normal(size=(2, 200, 500, 14, 3))

    def plain() -> np.ndarray:
        second = [joints[:, :-2] - 2 * joints[:, 1:-1] + joints[:, 2:] for joints in (predicted, target)]
        return np.linalg.norm(second[0] - second[1], axis=-1).mean(-1)

    require_agreement("acceleration error", acceleration_error(predicted, target), plain(), 1e-9)
    ours = rate(lambda: acceleration_error(predicted, target), 200 * 500)
    yield Result("acceleration error", "frames", "plain numpy", ours, rate(plain, 200 * 500))


def random_clips(generator: np.random.Generator) -> Iterator[Result]:
    """Random windows of 16 frames of 2048 features out of one shard, as training reads them."""
    phi = generator.normal(size=(4_096, 2_048)).astype(np.float32)
    starts = generator.integers(0, len(phi) - 16, 200)
    with tempfile.TemporaryDirectory() as folder:
        shard, table = Path(folder) / "phi.h5", Path(folder) / "phi.parquet"
        with h5py.File(shard, "w") as file:
            file.create_dataset("phi", data=phi)
        flat = pa.FixedSizeListArray.from_arrays(pa.array(phi.reshape(-1)), phi.shape[1])
        pq.write_table(pa.table({"phi": flat}), table, row_group_size=64)
        with h5py.File(shard, "r") as file, pq.ParquetFile(table) as parquet:
            dataset = file["phi"]

            def from_parquet(start: int) -> np.ndarray:
                first, last = start // 64, (start + 15) // 64
                rows = parquet.read_row_groups(list(range(first, last + 1)))["phi"].combine_chunks()
                values = np.asarray(rows.flatten()).reshape(-1, phi.shape[1])
                return values[start - 64 * first :][:16]

            ours = [dataset[start : start + 16] for start in starts]
            require_agreement("random clips", np.stack(ours), np.stack([*map(from_parquet, starts)]), 0)
            contiguous = rate(lambda: [dataset[start : start + 16] for start in starts], len(starts))
            yield Result(
                "random clips", "clips", "Parquet lists", contiguous, rate(lambda: [*map(from_parquet, starts)], 200)
            )


def posed_points(body: Body, generator: np.random.Generator) -> Iterator[Result]:
    """The 14 joints of a batch of poses: through the whole mesh, or straight from the bones."""
    frames = 64
    rotations = pose_to_matrices(torch.from_numpy(generator.normal(0, 0.4, (frames, 72)).astype(np.float32)))
    betas = torch.from_numpy(generator.normal(0, 1, (frames, 10)).astype(np.float32))
    regressor = joints_14_regressor(body)
    points, weights = PosedPoints(body, regressor), torch.from_numpy(regressor).float()

    def from_mesh() -> torch.Tensor:
        return weights @ body.forward(rotations, betas)[0]

    with torch.no_grad():
        require_agreement("posed joints", points(rotations, betas).numpy(), from_mesh().numpy(), 1e-4)
        ours = rate(lambda: points(rotations, betas), frames)
        yield Result("posed joints", "frames", "smplx mesh and regressor", ours, rate(from_mesh, frames))


def drawing(body: Body) -> Iterator[Result]:
    """The z-buffer at a 224 px crop with 2x2 samples, against the same without them: the price of smooth edges."""
    pose = np.zeros((1, 72), np.float32)
    pose[0, 0] = np.pi
    vertices = body.forward(pose, np.zeros((1, 10), np.float32), camera_translation(np.array([[0.9, 0.0, 0.2]])))[0][0]
    colours = np.full(vertices.shape, 0.6)

    def draw(supersample: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return render_mesh(vertices, body.faces, colours, panel_intrinsics(224), 224, 224, supersample)

    require_agreement("z-buffer", draw(2)[1].mean(), draw(1)[1].mean(), 0.005)
    ours = rate(lambda: [draw(2) for _ in range(40)], 40)
    yield Result("z-buffer, 224 px, 2x2", "frames", "1x1, jagged", ours, rate(lambda: [draw(1) for _ in range(40)], 40))


def main() -> None:
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    body = load_body(BodySettings(), cache_folder())
    table = Table("work", "ours a second", "peer", "peer a second", "ratio", title="One thread; only ratios count")
    for results in (
        procrustes(generator),
        accelerations(generator),
        random_clips(generator),
        posed_points(body, generator),
        drawing(body),
    ):
        for result in results:
            ours, peer = f"{result.ours_per_s:,.0f} {result.unit}", f"{result.peer_per_s:,.0f}"
            table.add_row(result.work, ours, result.peer, peer, f"{result.ours_per_s / result.peer_per_s:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
