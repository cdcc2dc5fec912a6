"""Time warping at the papers' size, and against dtaidistance: only ratios mean anything across machines.

    python -m benchmarks.dtw [--windows 22000] [--threads 2]

Whole rows of PHD's Table 2 on random motions: Human3.6M as windows of 30 frames and 14 joints under Procrustes, Penn
Action as 30 frames and 13 keypoints under the optimal camera. `make bench` prints the comparison with dtaidistance.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Iterator

import numpy as np
import torch
from dtaidistance import dtw_ndim

from benchmarks.run import Result, rate, require_agreement
from moviestrip.evaluation.dtw import dtw_errors, dtw_path, euclidean_dtw
from moviestrip.evaluation.metrics import pa_mpjpe

FRAMES, ROWS = 30, 5
# Human3.6M: S9 and S11 at 25 fps are about 272,000 frames over the four cameras, and every 25th starts a window. Penn
# Action: about 1,100 test videos, 56 frames at the median, and every frame with 14 before and 30 after it starts one.
HUMAN36M_WINDOWS, PENN_ACTION_WINDOWS = 11_000, 30_000


def dtw(generator: np.random.Generator) -> Iterator[Result]:
    """Ours on the papers' metrics, which dtaidistance does not have, and on squared distances, which it has."""
    predicted, target = generator.normal(size=(2, 400, FRAMES, 14, 3))
    few = slice(0, 40)
    flat = [array.reshape(400, FRAMES, -1) for array in (predicted, target)]
    few_pairs = list(zip(flat[0][few], flat[1][few], strict=True))

    def kernel() -> np.ndarray:
        return np.array([_squared_cost_path(*pair) for pair in few_pairs])

    def compiled() -> np.ndarray:
        return np.array([dtw_ndim.distance_fast(*pair) for pair in few_pairs])

    def python() -> np.ndarray:
        return np.array([dtw_ndim.distance(*pair) for pair in few_pairs[:4]])

    require_agreement("DTW, squared distances", kernel(), compiled(), 1e-9)
    require_agreement("DTW, every horizon", euclidean_dtw(predicted[few], target[few])[:, -1], compiled(), 1e-9)
    c_per_s, python_per_s = rate(compiled, len(few_pairs)), rate(python, 4)
    for metric in ("mpjpe", "pa_mpjpe"):
        dtw_errors(predicted[few], target[few], metric)  # compiles
        ours = rate(lambda metric=metric: dtw_errors(predicted, target, metric), 400)
        yield Result(f"DTW, {metric} of each pair", "sequences", "dtaidistance C, squared distances", ours, c_per_s)
    yield Result("DTW, pa_mpjpe of each pair", "sequences", "dtaidistance Python", ours, python_per_s)
    separate = rate(lambda: [_separate(*pair) for pair in zip(predicted[few], target[few], strict=True)], 40)
    yield Result("DTW, pa_mpjpe of each pair", "sequences", "pairs in numpy, then a path", ours, separate)


def _squared_cost_path(predicted: np.ndarray, target: np.ndarray) -> float:
    cost = ((target[:, None] - predicted) ** 2).sum(-1)
    return float(np.sqrt(cost[tuple(dtw_path(cost).T)].sum()))


def _separate(predicted: np.ndarray, target: np.ndarray) -> float:
    shape = (FRAMES, FRAMES, *predicted.shape[1:])
    cost = pa_mpjpe(np.broadcast_to(predicted, shape).copy(), np.broadcast_to(target[:, None], shape).copy())
    return float(cost[tuple(dtw_path(cost).T)].mean())


def whole_table(windows_3d: int, windows_2d: int) -> None:
    generator = np.random.default_rng(0)
    predicted, target = generator.normal(size=(2, windows_3d, FRAMES, 14, 3)).astype(np.float32)
    points, keypoints = generator.normal(size=(2, windows_2d, FRAMES, 13, 2)).astype(np.float32) * 40
    visible = generator.random(keypoints.shape[:3]) < 0.9
    few = slice(0, 2)
    dtw_errors(predicted[few], target[few], "pa_mpjpe")  # compiles, or reads the cache
    dtw_errors(points[few], keypoints[few], "pck", visible=visible[few], threshold=11.2)
    start = time.perf_counter()
    dtw_errors(predicted, target, "pa_mpjpe")
    middle = time.perf_counter()
    dtw_errors(points, keypoints, "pck", visible=visible, threshold=11.2)
    end = time.perf_counter()
    print(f"Human3.6M, {windows_3d:,} windows: {middle - start:.1f} s a row")
    print(f"Penn Action, {windows_2d:,} windows: {end - middle:.1f} s a row")
    print(f"PHD's Table 2, {ROWS} rows: {ROWS * (end - start) / 60:.1f} min on {torch.get_num_threads()} thread(s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=HUMAN36M_WINDOWS, help="of Human3.6M")
    parser.add_argument("--windows-2d", type=int, default=PENN_ACTION_WINDOWS, help="of Penn Action")
    parser.add_argument("--threads", type=int, default=1, help="that share the windows of the table")
    arguments = parser.parse_args()
    for result in dtw(np.random.default_rng(0)):
        ours, peer = f"{result.ours_per_s:,.0f} {result.unit} a second", f"{result.peer}: {result.peer_per_s:,.0f}"
        print(f"{result.work}: {ours}; {peer}; ratio {result.ours_per_s / result.peer_per_s:.2f}")
    torch.set_num_threads(arguments.threads)
    whole_table(arguments.windows, arguments.windows_2d)


if __name__ == "__main__":
    main()
