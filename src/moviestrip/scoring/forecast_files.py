"""Forecasts in files: one row a start, one column a horizon.

The arrays are those of predictions (see `people`) with an axis of horizons after the first; `start_frame` says for
each row which frame was the last that was looked at, and `horizons` which frame after it a column speaks of: 1, 2, 3,
... when not given. PHD's release writes pictures alone; its arrays of a step have the names that are read here, so that
`poses` and `shapes` of all steps side by side are such a file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from moviestrip.body.load import Body
from moviestrip.body.points import keypoint_regressor
from moviestrip.errors import ConfigError
from moviestrip.scoring.people import (
    Arrays,
    By,
    Part,
    pickled,
    points_of_mesh,
    posed_points,
    read_arrays,
    require_file,
    split,
)
from moviestrip.skeleton import COMMON_14, HMMR_25, indices_of
from moviestrip.tables import FORECASTS, read_table, stack

LEADING = ("forecasts", "horizons")
ARRAYS = ("pose", "betas", "vertices", "joints", "points")  # with an axis of horizons


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What a file forecasts of one person. Joints are metres, points any unit, both wherever their origin is."""

    name: str
    video: str  # the video that the file speaks of, empty when it does not say
    frames: Int[np.ndarray, " forecasts"]  # the last that was looked at
    horizons: Int[np.ndarray, " horizons"]  # ascending
    joints_m: Float[np.ndarray, "forecasts horizons 14 3"] | None
    points: Float[np.ndarray, "forecasts horizons 25 2"] | None  # HMMR's 25, of any camera
    boxes_px: Float[np.ndarray, "forecasts 4"] | None  # centre and size in the start's frame
    source: str


def read_forecasts(path: Path, body: Body, by: By | None = None) -> list[Forecasts]:
    """Everyone's forecasts in a file; all must be of the same horizons."""
    require_file(path)
    people = [_forecasts(path, name, video, arrays, body, by) for name, video, arrays in _parts(path, by)]
    for person in people[1:]:
        if not np.array_equal(person.horizons, people[0].horizons):
            raise ConfigError(
                f"{path}: person {people[0].name} is forecast at {len(people[0].horizons)} horizons up to "
                f"{people[0].horizons[-1]}, {person.name} at {len(person.horizons)} up to {person.horizons[-1]}; "
                f"everyone needs the same"
            )
    return people


def _parts(path: Path, by: By | None) -> Iterator[Part]:
    if path.suffix == ".pkl":
        yield from pickled(path)
        return
    arrays = _columns(path, by) if path.suffix == ".parquet" else read_arrays(path)
    shared = {name: arrays.pop(name) for name in ("horizons",) if name in arrays}
    for name, video, mine in split(path, arrays, "forecast"):
        yield name, video, {**mine, **shared}


def _columns(path: Path, by: By | None) -> dict[str, np.ndarray]:
    """Arrays of our own table: forecasts, or where it has none the dynamics around a frame."""
    shapes = {"pose": (72,), "betas": (10,)} if by == "pose" else {"joints_3d_m": (14, 3), "points_3d_m": (25, 3)}
    table = read_table(path, FORECASTS, ["clip_id", "kind", "start_frame", "horizon", *shapes])
    kinds = set(table["kind"])
    if not kinds:
        raise ConfigError(f"{path}: holds no forecast; forecast clips that are long enough for one")
    table = table[table["kind"] == ("forecast" if "forecast" in kinds else "dynamics")]
    table = table.sort_values(["clip_id", "start_frame", "horizon"])
    horizons = np.unique(table["horizon"])
    counts = table.groupby(["clip_id", "start_frame"], sort=False).size()
    if (counts != len(horizons)).any():
        clip, start = counts.index[int(np.argmax(counts.to_numpy() != len(horizons)))]
        raise ConfigError(
            f"{path}: of {len(horizons)} horizons, {counts[clip, start]} are there from frame {start} of clip {clip}; "
            f"every start needs all of them"
        )
    first = table.iloc[:: len(horizons)]
    arrays = {name: stack(table[name], *shape).reshape(-1, len(horizons), *shape) for name, shape in shapes.items()}
    starts = first["start_frame"].to_numpy()
    return arrays | {"clip_id": first["clip_id"].to_numpy(str), "start_frame": starts, "horizons": horizons}


def _forecasts(
    path: Path, name: str, video: str, arrays: Mapping[str, np.ndarray], body: Body, by: By | None
) -> Forecasts:
    found = Arrays(path, name, arrays, LEADING)
    starts, horizons = _starts(found), _horizons(found)
    shape = (len(starts), len(horizons))
    for ours in ARRAYS:
        if found.has(ours):
            _require_counts(found, ours, shape)
    source = by or found.best_source(body)
    only_points = source == "joints" and not found.has("joints") and found.has("points")
    points, joints = (None, None) if only_points else _points_and_joints(found, source, body)
    flat = None if points is None else points[..., :2]
    if found.has("points"):
        flat = _keypoints(found)
    used = [
        *(() if only_points else (found.told(source),)),
        *((f"'{found.key('points')}'",) if found.has("points") else ()),
    ]
    person = Forecasts(
        name,
        video,
        starts,
        horizons,
        None if joints is None else joints.reshape(*shape, 14, 3),
        None if flat is None else flat.reshape(*shape, 25, 2),
        found.of("boxes", (len(starts), 4)) if found.has("boxes") else None,
        " and ".join(used),
    )
    if found.has("valid"):
        person = _chosen(person, found.of("valid", (len(starts),)).astype(bool))
    _require_finite(found, person)
    return person


def _points_and_joints(found: Arrays, source: By, body: Body) -> tuple[np.ndarray | None, np.ndarray]:
    """HMMR's 25, where the body or the file has them, and the 14 common joints."""
    if source == "joints":
        return (found.rows("joints", 25, 3) if found.tail("joints") == (25, 3) else None), found.joints()
    if source == "pose":
        points = posed_points(body, found.pose(), found.betas())
    else:
        points = points_of_mesh(found.vertices(body), keypoint_regressor(body))
    return points, points[:, indices_of(COMMON_14, HMMR_25)]


def _keypoints(found: Arrays) -> np.ndarray:
    """x and y; a confidence or a depth after them is not read."""
    columns = 2 if found.tail("points")[-1:] == (2,) else 3
    return found.rows("points", 25, columns)[..., :2]


def _starts(found: Arrays) -> np.ndarray:
    if not found.has("starts"):
        raise ConfigError(
            f"{found.path}: person {found.name} has no 'start_frame', only {', '.join(sorted(found.arrays))}; give "
            f"each forecast the frame that was looked at last"
        )
    starts = _whole(found, "starts")
    unique, counts = np.unique(starts, return_counts=True)
    if (counts > 1).any():
        raise ConfigError(
            f"{found.path}: person {found.name} has '{found.key('starts')}' {unique[counts > 1][0]} more than once; "
            f"one forecast a start is needed"
        )
    return starts


def _horizons(found: Arrays) -> np.ndarray:
    if found.has("horizons"):
        horizons = _whole(found, "horizons")
        if len(horizons) and (np.diff(horizons) > 0).all():
            return horizons
        raise ConfigError(f"{found.path}: 'horizons' of shape {horizons.shape} must ascend: frames after the start")
    for ours in ("joints", "pose", "vertices", "points"):
        if found.has(ours) and np.ndim(found.arrays[found.key(ours)]) > 1:
            return np.arange(1, np.shape(found.arrays[found.key(ours)])[1] + 1)
    raise ConfigError(
        f"{found.path}: person {found.name} has no 'joints3d', pose, vertices or 'keypoints_2d', only "
        f"{', '.join(sorted(found.arrays))}"
    )


def _whole(found: Arrays, ours: str) -> np.ndarray:
    values = found.of(ours, (None,))
    if values.dtype.kind == "f" and (values != np.floor(values)).any():  # NaN differs from itself
        raise ConfigError(f"{found.path}: '{found.key(ours)}' of person {found.name} holds no whole numbers of frames")
    return values.astype(np.int64)


def _require_counts(found: Arrays, ours: str, shape: tuple[int, int]) -> None:
    key = found.key(ours)
    have = np.shape(found.arrays[key])
    one_a_start = ours == "betas" and len(have) == 2
    if have[: 1 if one_a_start else 2] != shape[: 1 if one_a_start else 2]:
        given = f"'horizons' ({shape[1]},)" if found.has("horizons") else f"{shape[1]} horizons"
        raise ConfigError(
            f"{found.path}: '{key}' of person {found.name} has shape {have}, '{found.key('starts')}' has ({shape[0]},) "
            f"and there are {given}; expected ({shape[0]}, {shape[1]}, ...), a row a forecast and a column a horizon"
        )


def _chosen(person: Forecasts, rows: np.ndarray) -> Forecasts:
    arrays = {name: values[rows] for name, values in vars(person).items() if isinstance(values, np.ndarray)}
    return replace(person, **(arrays | {"horizons": person.horizons}))


def _require_finite(found: Arrays, person: Forecasts) -> None:
    for values in (person.joints_m, person.points):
        broken = np.zeros((0, 0), bool) if values is None else ~np.isfinite(values).all((-2, -1))
        if broken.any():
            assert values is not None
            row, column = np.argwhere(broken)[0]
            raise ConfigError(
                f"{found.path}: {person.source} of person {person.name}: {broken.any(1).sum():,} of {len(broken):,} "
                f"forecasts are not finite numbers, the first from frame {person.frames[row]} at horizon "
                f"{person.horizons[column]}, shape {values.shape}; leave these forecasts out, or mark them by 'valid'"
            )
