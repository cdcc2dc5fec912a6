"""Dynamic time warping as PHD scores forecasts with it, with every choice that its prose leaves open.

A path matches target frames with predicted frames. It starts with both first frames, ends with both last ones, and
each step moves on by one frame in the target, in the prediction, or in both: (1, 0), (0, 1), (1, 1), all of weight 1.
So it never goes back, and every frame of each side is matched at least once. Of all such paths it is the one whose
matches cost least in sum, and of equally cheap ones the one with fewest matches. The value at horizon h is the mean
of the metric over the matches. What a match costs, where a pose is aligned and how a horizon is read are
`DtwOptions`; docs/evaluation-dtw.md argues their defaults from the printed tables.

Undefined input, as in `metrics`: a target frame without a value (not finite, all joints in one point under Procrustes,
too few visible keypoints) is left out of the target sequence, and its own horizon is NaN, as it is without warping.
A pair that has no cost because of the prediction makes every horizon NaN whose path could have used it.
With `alignment: frame` a predicted frame without a target frame of its time is such a prediction.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from dtaidistance import dtw_ndim
from jaxtyping import Bool, Float, Int
from numba import njit

from moviestrip.config import DtwAlignment, DtwCost, DtwReading, DtwSettings
from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation.metrics import is_degenerate, require_same_shape
from moviestrip.geometry import Array, optimal_camera, procrustes_align

DtwMetric = Literal["mpjpe", "pa_mpjpe", "pck"]
EXACT_WHOLE_NUMBERS = 2**53
OFF_DIAGONAL_SHARE = 1e-30  # of a matrix's squared size: what Jacobi's sweeps may leave
MAXIMUM_SWEEPS = 30
SEQUENCES_A_TURN = 32  # of a thread, at least: some milliseconds


@dataclass(frozen=True)
class DtwOptions:
    """The choices that PHD's prose leaves open; the defaults are argued in docs/evaluation-dtw.md.

    cost: what a path minimises: the mean joint `distance` (visible keypoints only), or the `metric` itself.
        They differ for PCK alone.
    alignment: where Procrustes or the optimal camera act: on each `pair` before its cost, or on each predicted
        `frame` towards the target frame of the same time.
    reading: the value at horizon h is the mean over the path of the first h frames of both sides (`prefix`); or, on
        the path of all frames, over the matches of target frames up to h (`full_up_to`) or of frame h (`full_at`).
    """

    cost: DtwCost = "distance"
    alignment: DtwAlignment = "pair"
    reading: DtwReading = "prefix"

    def __post_init__(self) -> None:
        for name, known in (("cost", DtwCost), ("alignment", DtwAlignment), ("reading", DtwReading)):
            if getattr(self, name) not in get_args(known):
                raise ConfigError(
                    f"evaluation.dtw.{name}: '{getattr(self, name)}' is not known; known: {', '.join(get_args(known))}"
                )

    @classmethod
    def of(cls, settings: DtwSettings) -> "DtwOptions":
        return cls(**settings.model_dump())


DEFAULT = DtwOptions()


class PairCosts(NamedTuple):
    """Of the target's defined frames against all predicted ones: what a match costs, and what it scores."""

    target_frames: Int[np.ndarray, " rows"]
    cost: Float[np.ndarray, "rows frames"]
    value: Float[np.ndarray, "rows frames"]


def dtw_errors(
    predicted: Array,
    target: Array,
    metric: DtwMetric,
    options: DtwOptions = DEFAULT,
    visible: Array | None = None,
    threshold: float | None = None,
    minimum_visible: int = 6,
) -> Array:
    """The metric at each horizon 1..T after warping: (N, T, J, C) twice -> (N, T), in the unit of the input.

    Args:
        predicted, target: futures of equal length; C is 3 for `mpjpe` and `pa_mpjpe`, 2 for `pck`.
            `pck` is HMMR's, after the optimal camera: a share, 0..1, and the predicted points may have any unit.
        visible: of the target; (N, T, J) for `pck`, which needs it, (N, T) or nothing otherwise.
        threshold: of `pck`, in the target's unit.
        minimum_visible: `pck` leaves target frames with fewer visible keypoints out.
    """
    work = _prepared(predicted, target, metric, options, visible, threshold, minimum_visible)
    errors = _errors_of(work, options)
    if metric == "pck":
        errors = 1 - errors / work.misses_of_frame
    if isinstance(predicted, torch.Tensor):
        return torch.from_numpy(errors).to(predicted.dtype)
    return errors.astype(predicted.dtype)


def pair_costs(
    predicted: Array,
    target: Array,
    metric: DtwMetric,
    options: DtwOptions = DEFAULT,
    visible: Array | None = None,
    threshold: float | None = None,
    minimum_visible: int = 6,
) -> PairCosts:
    """What `dtw_errors` warps, of one sequence: (T, J, C) twice; the value of a PCK is the share that is missed."""
    one = None if visible is None else visible[None]
    work = _prepared(predicted[None], target[None], metric, options, one, threshold, minimum_visible)
    kept = np.flatnonzero(work.kept[0])
    cost, value = np.empty((2, len(kept), work.target.shape[1]))
    _fill(
        work.predicted[0], work.target[0], work.seen[0], work.misses[0], kept, work.threshold, work.aligned,
        options.cost == "metric", cost, value,
    )  # fmt: skip
    if metric == "pck":
        value = value / work.misses_of_frame
        cost = cost / work.misses_of_frame if options.cost == "metric" else cost
    return PairCosts(kept, cost, value)


def dtw_path(cost: Float[np.ndarray, "rows columns"]) -> Int[np.ndarray, "matches 2"]:
    """The cheapest path through a matrix of costs, from corner to corner, as (row, column) pairs.

    Of paths of the same cost it has the fewest matches; of those left, its last steps are diagonal if they can be.
    """
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all():
        raise FatalError(f"dtw_path: costs of shape {cost.shape}; a filled matrix of finite numbers is needed")
    return _path(np.ascontiguousarray(cost, dtype=np.float64))


def euclidean_dtw(predicted: Array, target: Array) -> Float[np.ndarray, "sequences frames"]:
    """The literature's DTW distance of the first h frames, for h = 1..T: (N, T, J, C) twice -> (N, T).

    The root of the least sum of squared distances between poses as vectors, by dtaidistance: a sum, so it grows
    with the horizon and with the number of joints. Poses must be finite.
    """
    _require_futures("euclidean_dtw", predicted, target, 3 if predicted.shape[-1] == 3 else 2)
    flat = (*predicted.shape[:2], math.prod(predicted.shape[2:]))
    pairs = zip(_as_numpy(predicted).reshape(flat), _as_numpy(target).reshape(flat), strict=True)
    totals = [np.diagonal(dtw_ndim.warping_paths_fast(*pair)[1])[1:] for pair in pairs]
    return np.stack(totals) if totals else np.empty(flat[:2])


def mean_up_to_horizon(errors: Float[np.ndarray, "*batch frames"]) -> Float[np.ndarray, "*batch frames"]:
    """The mean of the defined values at 1..h, for each h where there is one: what a path without warping scores.

    The `prefix` reading averages over the horizons up to h and scores at h would not: compare it with this.
    """
    defined = np.isfinite(errors)
    sums = np.where(defined, errors, 0).cumsum(-1)
    return np.where(defined, sums / defined.cumsum(-1).clip(1), np.nan)


@dataclass(frozen=True)
class _Work:
    """Float64 input of the kernels. `misses` counts a missed keypoint in units that make every PCK a whole number:
    so sums are exact, and equally good paths are recognised as such."""

    predicted: Float[np.ndarray, "sequences frames joints axes"]
    target: Float[np.ndarray, "sequences frames joints axes"]
    seen: Bool[np.ndarray, "sequences frames joints"]
    kept: Bool[np.ndarray, "sequences frames"]
    misses: Float[np.ndarray, "sequences frames"]
    misses_of_frame: int
    threshold: float
    aligned: bool  # inside the cost of each pair


def _prepared(
    predicted: Array,
    target: Array,
    metric: DtwMetric,
    options: DtwOptions,
    visible: Array | None,
    threshold: float | None,
    minimum_visible: int,
) -> _Work:
    if metric not in get_args(DtwMetric):
        raise FatalError(f"dtw: metric '{metric}' is not known; known: {', '.join(get_args(DtwMetric))}")
    keypoints, aligned = metric == "pck", metric != "mpjpe"
    _require_futures(f"dtw of {metric}", predicted, target, 2 if keypoints else 3)
    forecast, truth = _as_numpy(predicted).astype(np.float64), _as_numpy(target).astype(np.float64)
    seen, kept = _seen_and_kept(metric, truth, visible, threshold, minimum_visible)
    if metric == "pa_mpjpe":
        kept = kept & ~_as_numpy(is_degenerate(target))
        forecast[_as_numpy(is_degenerate(predicted))] = np.nan
    if aligned and options.alignment == "frame":
        forecast = _aligned_to_contemporaries(forecast, truth, seen, metric)
    misses, misses_of_frame = _whole_misses(seen.sum(-1)) if keypoints else (np.ones(kept.shape), 1)
    return _Work(
        predicted=np.ascontiguousarray(forecast),
        target=np.ascontiguousarray(truth),
        seen=np.ascontiguousarray(seen),
        kept=np.ascontiguousarray(kept),
        misses=misses,
        misses_of_frame=misses_of_frame,
        threshold=math.nan if threshold is None else float(threshold),
        aligned=aligned and options.alignment == "pair",
    )


def _seen_and_kept(
    metric: DtwMetric, truth: np.ndarray, visible: Array | None, threshold: float | None, minimum_visible: int
) -> tuple[Bool[np.ndarray, "sequences frames joints"], Bool[np.ndarray, "sequences frames"]]:
    """Keypoints that count, and target frames that have a value at all."""
    keypoints = metric == "pck"
    needed = truth.shape[:3] if keypoints else truth.shape[:2]
    flags = None if visible is None else _as_numpy(visible) > 0
    if (keypoints and (flags is None or threshold is None)) or (flags is not None and flags.shape != needed):
        shape = None if flags is None else flags.shape
        raise FatalError(
            f"dtw of {metric}: visible has shape {shape}, the threshold is {threshold}; it needs flags of shape "
            f"{needed}{' and a threshold' if keypoints else ', or none'}"
        )
    finite = np.isfinite(truth).all(-1)
    if not keypoints:
        kept = finite.all(-1) if flags is None else finite.all(-1) & flags
        return np.ones(truth.shape[:3], bool), kept
    assert flags is not None
    return flags, (flags.sum(-1) >= max(1, minimum_visible)) & (finite | ~flags).all(-1)


def _aligned_to_contemporaries(
    forecast: np.ndarray, truth: np.ndarray, seen: np.ndarray, metric: DtwMetric
) -> np.ndarray:
    """Each predicted pose moved onto the target of the same frame, by the metric's own alignment."""
    if metric == "pa_mpjpe":
        return procrustes_align(forecast, truth)
    camera = optimal_camera(forecast, truth, seen)
    return camera[..., None, :1] * (forecast + camera[..., None, 1:])


def _whole_misses(counts: Int[np.ndarray, "sequences frames"]) -> tuple[Float[np.ndarray, "sequences frames"], int]:
    """What one missed keypoint of a frame counts, and what all of them count, as whole numbers."""
    whole = math.lcm(*(int(count) for count in np.unique(counts) if count > 0))
    if whole * 2 * counts.shape[-1] > EXACT_WHOLE_NUMBERS:
        raise FatalError(
            f"dtw of PCK: {counts.max()} keypoints in varying numbers over {counts.shape[-1]} frames cannot be summed "
            f"exactly; score fewer joints or shorter futures"
        )
    return whole / np.maximum(counts, 1).astype(np.float64), whole


def _require_futures(name: str, predicted: Array, target: Array, axes: int) -> None:
    require_same_shape(name, predicted, target, last=axes)
    if len(predicted.shape) != 4:
        raise FatalError(f"{name}: predicted has shape {tuple(predicted.shape)}, expected (N, T, J, {axes})")


def _as_numpy(values: Array) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _errors_of(work: _Work, options: DtwOptions) -> Float[np.ndarray, "sequences frames"]:
    """Torch's threads share the sequences; each is computed by one, so their number cannot change a bit."""
    by_metric, reading = options.cost == "metric", get_args(DtwReading).index(options.reading)

    def of(block: slice) -> np.ndarray:
        return _errors(
            work.predicted[block], work.target[block], work.seen[block], work.misses[block], work.kept[block],
            work.threshold, work.aligned, by_metric, reading,
        )  # fmt: skip

    count, threads = len(work.predicted), torch.get_num_threads()
    size = max(SEQUENCES_A_TURN, -(-count // (4 * threads)))  # a few turns each, for some sequences take longer
    blocks = [slice(start, start + size) for start in range(0, count, size)] or [slice(0)]
    if threads == 1 or len(blocks) == 1:
        return np.concatenate([of(block) for block in blocks])
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(of, blocks)))


@njit(cache=True, error_model="numpy", nogil=True)
def _errors(predicted, target, seen, misses, kept, threshold, aligned, by_metric, reading):
    """The mean value of the path at each horizon; each sequence's matrices stay in the processor's cache."""
    sequences, frames = predicted.shape[:2]
    errors = np.full((sequences, frames), np.nan)
    cost, value = np.empty((frames, frames)), np.empty((frames, frames))
    for n in range(sequences):
        rows = np.flatnonzero(kept[n])
        _fill(predicted[n], target[n], seen[n], misses[n], rows, threshold, aligned, by_metric, cost, value)
        undefined = _first_undefined_horizon(cost, value, rows)
        if reading == 0:
            _read_prefixes(cost, value, rows, undefined, errors[n])
        elif undefined == frames and len(rows) > 0:
            _read_full_path(_path(cost[: len(rows)]), value, rows, reading == 1, errors[n])
    return errors


@njit(cache=True, error_model="numpy")
def _first_undefined_horizon(cost, value, rows):
    """The first horizon (from 0) among whose pairs one has no finite cost; the number of frames if there is none."""
    first = cost.shape[1]
    for i in range(len(rows)):
        for j in range(cost.shape[1]):
            if not (np.isfinite(cost[i, j]) and np.isfinite(value[i, j])):
                first = min(first, max(rows[i], j))
    return first


@njit(cache=True, error_model="numpy")
def _best_step(total, matches, i, j):
    """The cell a path comes from: 0 diagonal, 1 the row before, 2 the column before. Cheapest, then shortest."""
    if i == 0:
        return 2
    if j == 0:
        return 1
    best, least, fewest = 0, total[i - 1, j - 1], matches[i - 1, j - 1]
    if total[i - 1, j] < least or (total[i - 1, j] == least and matches[i - 1, j] < fewest):
        best, least, fewest = 1, total[i - 1, j], matches[i - 1, j]
    if total[i, j - 1] < least or (total[i, j - 1] == least and matches[i, j - 1] < fewest):
        best = 2
    return best


@njit(cache=True, error_model="numpy")
def _read_prefixes(cost, value, rows, undefined, errors):
    """One dynamic programme has the path of every prefix: its totals end on the cells of equal frames."""
    frames = cost.shape[1]
    total, sums = np.empty((len(rows), frames)), np.empty((len(rows), frames))
    matches = np.empty((len(rows), frames), np.int64)
    for i in range(len(rows)):
        for j in range(frames):
            total[i, j], sums[i, j], matches[i, j] = cost[i, j], value[i, j], 1
            if i + j > 0:
                step = _best_step(total, matches, i, j)
                before_i, before_j = i - (step != 2), j - (step != 1)
                total[i, j] += total[before_i, before_j]
                sums[i, j] += sums[before_i, before_j]
                matches[i, j] += matches[before_i, before_j]
        if rows[i] < undefined:
            errors[rows[i]] = sums[i, rows[i]] / matches[i, rows[i]]


@njit(cache=True, error_model="numpy")
def _path(cost):
    rows, columns = cost.shape
    total, matches = np.empty((rows, columns)), np.empty((rows, columns), np.int64)
    for i in range(rows):
        for j in range(columns):
            total[i, j], matches[i, j] = cost[i, j], 1
            if i + j > 0:
                step = _best_step(total, matches, i, j)
                total[i, j] += total[i - (step != 2), j - (step != 1)]
                matches[i, j] += matches[i - (step != 2), j - (step != 1)]
    i, j, k = rows - 1, columns - 1, matches[rows - 1, columns - 1]
    path = np.empty((k, 2), np.int64)
    while k > 0:
        k -= 1
        path[k, 0], path[k, 1] = i, j
        if k > 0:
            step = _best_step(total, matches, i, j)
            i, j = i - (step != 2), j - (step != 1)
    return path


@njit(cache=True, error_model="numpy")
def _read_full_path(path, value, rows, up_to, errors):
    sums, matches, row = 0.0, 0, -1
    for k in range(len(path)):
        if path[k, 0] != row and not up_to:
            sums, matches = 0.0, 0
        row = path[k, 0]
        sums += value[row, path[k, 1]]
        matches += 1
        errors[rows[row]] = sums / matches


@njit(cache=True, error_model="numpy")
def _fill(predicted, target, seen, misses, rows, threshold, aligned, by_metric, cost, value):  # numba: positional only
    """Cost and value of every pair of a target frame in `rows` and a predicted frame."""
    if predicted.shape[-1] == 3:
        _fill_distances(predicted, target, rows, aligned, cost, value)
        return
    for i in range(len(rows)):
        t = rows[i]
        for j in range(len(predicted)):
            distance, missed = _keypoint_errors(predicted[j], target[t], seen[t], threshold, aligned)
            value[i, j] = missed * misses[t]
            cost[i, j] = value[i, j] if by_metric else distance


@njit(cache=True, error_model="numpy")
def _fill_distances(predicted, target, rows, aligned, cost, value):
    """Mean joint distances of all pairs, after Procrustes of each pair if `aligned`."""
    frames, joints = predicted.shape[:2]
    source, goal, squares = predicted.copy(), target.copy(), np.zeros(frames)
    if aligned:
        for u in range(frames):
            squares[u] = _centre(source[u])
            _centre(goal[u])
    turn, scratch = np.eye(3), np.empty((2, 4, 4))
    for i in range(len(rows)):
        for u in range(frames):
            if aligned:
                _best_similarity(source[u], goal[rows[i]], squares[u], scratch[0], scratch[1], turn)
            total = 0.0
            for k in range(joints):
                x, y, z = source[u, k, 0], source[u, k, 1], source[u, k, 2]
                a = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z - goal[rows[i], k, 0]
                b = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z - goal[rows[i], k, 1]
                c = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z - goal[rows[i], k, 2]
                total += math.sqrt(a * a + b * b + c * c)
            cost[i, u] = value[i, u] = total / joints


@njit(cache=True, error_model="numpy")
def _centre(points):
    """Move the mean of the points to 0 in place; returns the sum of their squares then."""
    squares = 0.0
    for axis in range(3):
        mean = 0.0
        for k in range(len(points)):
            mean += points[k, axis] / len(points)
        for k in range(len(points)):
            points[k, axis] -= mean
            squares += points[k, axis] * points[k, axis]
    return squares


@njit(cache=True, error_model="numpy")
def _best_similarity(source, goal, square, matrix, vectors, turn):
    """Rotation times scale that moves centred `source` best onto centred `goal`, by Horn's quaternion."""
    xx = xy = xz = yx = yy = yz = zx = zy = zz = 0.0
    for k in range(len(source)):
        x, y, z = source[k, 0], source[k, 1], source[k, 2]
        a, b, c = goal[k, 0], goal[k, 1], goal[k, 2]
        xx, xy, xz = xx + x * a, xy + x * b, xz + x * c
        yx, yy, yz = yx + y * a, yy + y * b, yz + y * c
        zx, zy, zz = zx + z * a, zy + z * b, zz + z * c
    matrix[0, 0], matrix[1, 1] = xx + yy + zz, xx - yy - zz
    matrix[2, 2], matrix[3, 3] = yy - xx - zz, zz - xx - yy
    matrix[0, 1], matrix[0, 2], matrix[0, 3] = yz - zy, zx - xz, xy - yx
    matrix[1, 2], matrix[1, 3], matrix[2, 3] = xy + yx, zx + xz, yz + zy
    for p in range(3):
        for q in range(p + 1, 4):
            matrix[q, p] = matrix[p, q]
    _diagonalise(matrix, vectors)
    top = 0
    for k in range(1, 4):
        if matrix[k, k] > matrix[top, top]:
            top = k
    w, x, y, z = vectors[0, top], vectors[1, top], vectors[2, top], vectors[3, top]
    scale = matrix[top, top] / square / (w * w + x * x + y * y + z * z)
    turn[0, 0], turn[0, 1], turn[0, 2] = w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)
    turn[1, 0], turn[1, 1], turn[1, 2] = 2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)
    turn[2, 0], turn[2, 1], turn[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z
    for p in range(3):
        for q in range(3):
            turn[p, q] *= scale


@njit(cache=True, error_model="numpy")
def _diagonalise(matrix, vectors):
    """Jacobi's sweeps: eigenvalues of a symmetric 4x4 matrix on its diagonal, eigenvectors in columns."""
    size = 0.0
    for p in range(4):
        for q in range(4):
            vectors[p, q] = 1.0 if p == q else 0.0
            size += matrix[p, q] ** 2 if q >= p else 0.0
    for _ in range(MAXIMUM_SWEEPS):
        rest = 0.0
        for p in range(3):
            for q in range(p + 1, 4):
                rest += matrix[p, q] ** 2
        if not rest > OFF_DIAGONAL_SHARE * size:
            return
        for p in range(3):
            for q in range(p + 1, 4):
                _rotate(matrix, vectors, p, q)


@njit(cache=True, error_model="numpy")
def _rotate(matrix, vectors, p, q):
    """Bring entry (p, q) to zero by a rotation in that plane."""
    entry = matrix[p, q]
    if entry == 0.0:
        return
    slope = (matrix[q, q] - matrix[p, p]) / (2 * entry)
    tangent = (1.0 if slope >= 0 else -1.0) / (abs(slope) + math.sqrt(slope * slope + 1))
    cosine = 1 / math.sqrt(tangent * tangent + 1)
    sine = tangent * cosine
    matrix[p, p] -= tangent * entry
    matrix[q, q] += tangent * entry
    matrix[p, q] = matrix[q, p] = 0.0
    for k in range(4):
        if k != p and k != q:
            at_p, at_q = matrix[k, p], matrix[k, q]
            matrix[k, p] = matrix[p, k] = cosine * at_p - sine * at_q
            matrix[k, q] = matrix[q, k] = sine * at_p + cosine * at_q
        at_p, at_q = vectors[k, p], vectors[k, q]
        vectors[k, p], vectors[k, q] = cosine * at_p - sine * at_q, sine * at_p + cosine * at_q


@njit(cache=True, error_model="numpy")
def _keypoint_errors(points, keypoints, seen, threshold, aligned):
    """Mean distance of the visible keypoints, and how many are not closer than the threshold."""
    scale, shift_x, shift_y = 1.0, 0.0, 0.0
    if aligned:
        scale, shift_x, shift_y = _camera(points, keypoints, seen)
    total, missed, count = 0.0, 0, 0
    for k in range(len(points)):
        if seen[k]:
            x = scale * (points[k, 0] + shift_x) - keypoints[k, 0]
            y = scale * (points[k, 1] + shift_y) - keypoints[k, 1]
            distance = math.sqrt(x * x + y * y)
            total += distance
            missed += not distance < threshold
            count += 1
    if not np.isfinite(total):
        return np.nan, np.nan
    return total / count, float(missed)


@njit(cache=True, error_model="numpy")
def _camera(points, keypoints, seen):
    """`geometry.optimal_camera` of one pair: scale and shift, NaN where the visible points lie on one line."""
    count, px, py, kx, ky = 0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(points)):
        if seen[k]:
            px, py, kx, ky = px + points[k, 0], py + points[k, 1], kx + keypoints[k, 0], ky + keypoints[k, 1]
            count += 1
    px, py, kx, ky = px / count, py / count, kx / count, ky / count
    xx = yy = xy = ax = ay = bx = by = 0.0
    for k in range(len(points)):
        if seen[k]:
            x, y = points[k, 0] - px, points[k, 1] - py
            a, b = keypoints[k, 0] - kx, keypoints[k, 1] - ky
            xx, yy, xy = xx + x * x, yy + y * y, xy + x * y
            ax, ay, bx, by = ax + x * a, ay + x * b, bx + y * a, by + y * b
    determinant = xx * yy - xy * xy
    if not determinant > 8 * 2.220446049250313e-16 * xx * yy:
        return np.nan, np.nan, np.nan
    scale = (yy * ax - xy * (bx + ay) + xx * by) / determinant / 2
    return scale, kx / scale - px, ky / scale - py
