"""From a file of predictions to a table of scores with intervals, by the same functions as every other score here."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from moviestrip.body.build import one_thread
from moviestrip.body.load import Body
from moviestrip.errors import ConfigError
from moviestrip.evaluation.meshes import BodyOf
from moviestrip.evaluation.protocols import Protocol
from moviestrip.evaluation.score import MESH_METRICS, score_under
from moviestrip.evaluation.statistics import interval
from moviestrip.scoring.match import Match, Matching, match_people
from moviestrip.scoring.people import By, Person, read_people
from moviestrip.skeleton import COMMON_14, JOINT_SETS
from moviestrip.storage import atomic_path
from moviestrip.tables import unstack

ROOTS_IN_COMMON_14 = ("hip_midpoint", "as_given")
VARIANT = "scored file"


@dataclass(frozen=True)
class Truth:
    """Labels and clips to score against, and what they can tell beside 3D joints."""

    name: str
    labels: pd.DataFrame
    clips: pd.DataFrame
    has_keypoints: bool
    has_body: bool
    has_trunk: bool = False  # pelvis, spine and head are known, and not only the 14 common joints


@dataclass(frozen=True)
class Report:
    """The table, and how it came to be, in lines."""

    table: pd.DataFrame
    lines: tuple[str, ...]


def score_file(
    path: Path,
    truth: Truth,
    protocol: Protocol,
    body: Body,
    by: By | None = None,
    meshes: bool = False,
    samples: int = 1000,
    percent: float = 95,
    body_of: BodyOf | None = None,
) -> Report:
    """Score a file of predictions; a row a metric, with its interval over groups of clips.

    Args:
        path: a file, or a folder of videos' output files.
        by: what the joints are made of, if not of the best that the file has.
        meshes: measure mesh errors too, at some 300 frames a second.
        body_of: poses truth that is a man's or a woman's, where the protocol asks for their own body.
    """
    people = read_people(path, body, by)
    matching = match_people(people, truth.labels, truth.clips)
    predictions = pd.concat([_prediction_rows(match) for match in matching.found], ignore_index=True)
    labelled = truth.labels.merge(predictions[["clip_id", "frame"]], on=["clip_id", "frame"])
    clips = truth.clips[truth.clips["clip_id"].isin(labelled["clip_id"])]
    possible = _possible(path, protocol, truth, [match.person for match in matching.found], meshes)
    with nullcontext() if meshes else one_thread():  # joints are too little work to share
        scores = score_under((possible,), predictions, labelled, clips, VARIANT, 0, body, meshes, 1, body_of)
    table = _summary(scores[scores["condition"] == "all"], possible, samples, percent)
    return Report(table, _lines(truth, protocol, body, matching, len(labelled), possible))


def _prediction_rows(match: Match[Person]) -> pd.DataFrame:
    """PREDICTIONS of a match, as far as scores read them."""
    person, rows = match.person, match.rows
    nothing = np.full((len(rows), 25, 2), np.nan, np.float32)
    # PCK follows the best scale and translation of each frame, so that any weak-perspective camera will do.
    flat = nothing if person.points_m is None else person.points_m[rows, :, :2]
    pose = np.zeros((len(rows), 72), np.float32) if person.pose is None else person.pose[rows]
    betas = np.zeros((len(rows), 10), np.float32) if person.betas is None else person.betas[rows]
    return pd.DataFrame(
        {
            "clip_id": match.clip_id,
            "frame": match.frames,
            "joints_3d_m": unstack(person.joints_m[rows]),
            "keypoints_2d": unstack(flat),
            "pose": unstack(pose),
            "betas": unstack(betas),
        }
    )


def _possible(path: Path, protocol: Protocol, truth: Truth, people: Sequence[Person], meshes: bool) -> Protocol:
    """The protocol less the metrics that file or truth cannot tell."""
    posed = all(person.pose is not None for person in people)
    flat = all(person.points_m is not None for person in people) and truth.has_keypoints
    in_common = set(JOINT_SETS[protocol.joints]) <= set(COMMON_14) and protocol.root in ROOTS_IN_COMMON_14
    in_truth = truth.has_body or truth.has_trunk
    for asked, known, what in (
        (not in_common, in_truth, f"--protocol {protocol.name}"),
        (meshes, truth.has_body, "--meshes"),
    ):
        if asked and not (posed and known):
            raise ConfigError(
                f"{path}: {what} needs pose and betas of both sides, here "
                f"{people[0].source} is scored and the truth {'has' if truth.has_body else 'lacks'} a body; "
                f"choose another protocol, or score without --meshes"
            )
    left_out = {*(() if flat else ("pck",)), *(() if meshes else MESH_METRICS)}
    return replace(protocol, metrics=tuple(metric for metric in protocol.metrics if metric not in left_out))


def _summary(scores: pd.DataFrame, protocol: Protocol, samples: int, percent: float) -> pd.DataFrame:
    rows = []
    for metric in [metric for metric in protocol.metrics if metric in set(scores["metric"])]:
        chosen = scores[scores["metric"] == metric]
        weights = chosen["frames"].to_numpy(np.float64) if protocol.video_weights == "frames" else None
        values, groups = chosen["value"].to_numpy(np.float64)[None], chosen["group"].to_numpy()
        unit = str(chosen["unit"].iloc[0])
        found = interval(values, weights, samples, percent, groups=groups).of_scores(unit)
        counts = (len(chosen), int(chosen["frames"].sum()), int(chosen["degenerate_frames"].sum()))
        rows.append((metric, *found, unit, *counts, protocol.name))
    columns = ["metric", "value", "low", "high", "unit", "clips", "frames", "degenerate_frames", "protocol"]
    return pd.DataFrame(rows, columns=columns)


def _lines(
    truth: Truth, protocol: Protocol, body: Body, matching: Matching[Person], scored: int, possible: Protocol
) -> tuple[str, ...]:
    people = [match.person for match in matching.found]
    sources = ", ".join(dict.fromkeys(person.source for person in people))
    posed = f", posed by the {body.name} body" if people[0].pose is not None else ""
    total = len(truth.labels)
    lines = [
        f"joints: from {sources}{posed}",
        f"matched: {len(matching.found)} of {len(truth.clips)} clips of {truth.name}, by {matching.by}",
        f"frames: {scored:,} of {total:,} labelled ({scored / total:.1%}); the others were not predicted, nor counted",
    ]
    left_out = [metric for metric in protocol.metrics if metric not in possible.metrics]
    return (*lines, f"not measured: {', '.join(left_out)}") if left_out else tuple(lines)


def write_report(report: Report, path: Path) -> None:
    with atomic_path(path) as partial:
        report.table.to_csv(partial, index=False, float_format="%.6g")
