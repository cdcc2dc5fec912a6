"""Miniature official releases in a run: the configuration of each, and what its labels must be in the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moviestrip.body.load import load_body
from moviestrip.body.points import PosedPoints
from moviestrip.config import BodySettings
from moviestrip.datasets.official.base import TRUNK_3
from moviestrip.parts import cache_folder
from moviestrip.skeleton import COMMON_14, H36M_17, indices_of
from moviestrip.world.kinematics import local_rotations
from tests.datasets.official.write_h36m import write_h36m
from tests.datasets.official.write_instavariety import write_instavariety
from tests.datasets.official.write_kinetics import write_kinetics
from tests.datasets.official.write_mpi_inf_3dhp import SEQUENCES as MPI_SEQUENCES
from tests.datasets.official.write_mpi_inf_3dhp import write_mpi_inf_3dhp
from tests.datasets.official.write_nba import write_nba
from tests.datasets.official.write_penn_action import write_penn_action
from tests.datasets.official.write_posetrack import write_posetrack
from tests.datasets.official.write_threedpw import write_threedpw
from tests.datasets.official.write_vlog_people import write_vlog_people

WRITERS: dict[str, Callable[[Path], Any]] = {
    "h36m": write_h36m, "3dpw": write_threedpw, "mpi-inf-3dhp": write_mpi_inf_3dhp, "penn-action": write_penn_action,
    "posetrack18": write_posetrack, "nba": write_nba, "instavariety": write_instavariety,
    "vlog-people": write_vlog_people, "kinetics-400": write_kinetics,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A run that one release goes through, beside Human3.6M where it has no 3D truth to learn from."""

    release: str
    paper_dataset: str  # in the printed tables; empty where it is not scored
    tables: tuple[str, ...]
    variants: tuple[str, ...]
    train_without: tuple[str, ...]
    own_variant: bool = False  # no paper trains on it: one more variant does

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(["h36m", self.release]))


HMMR = {"h36m", "penn-action", "nba"}
SPIN = {"h36m", "mpi-inf-3dhp", "penn-action", "instavariety"}


def _case(release: str, paper_dataset: str, table: str, variants: str, wanted: set[str], **further: Any) -> Case:
    without = tuple(sorted(wanted - {"h36m", release}))
    return Case(release, paper_dataset, ("hmmr-1", table), tuple(variants.split()), without, **further)


CASES = {
    case.release: case
    for case in (
        _case("h36m", "h36m", "hmmr-6", "single-view contextual-no-dynamics", HMMR),
        _case("3dpw", "3dpw", "vibe-1", "spin-backbone g-only-spin", SPIN),
        _case("mpi-inf-3dhp", "mpi_inf_3dhp", "vibe-1", "spin-backbone", SPIN),
        _case("penn-action", "penn_action", "hmmr-2", "single-view", HMMR),
        _case("posetrack18", "", "hmmr-6", "single-view", HMMR, own_variant=True),
        _case("nba", "nba", "hmmr-2", "single-view", HMMR),
        _case("instavariety", "", "vibe-1", "spin-backbone", SPIN),
        _case("vlog-people", "", "hmmr-6", "single-view contextual-vlog", HMMR),
        _case("kinetics-400", "", "hmmr-6", "single-view", HMMR, own_variant=True),
    )
}


def configuration(case: Case, folders: Mapping[str, Path]) -> dict[str, Any]:
    """As a user's would be, so small that it passes in a minute or two."""
    return {
        "name": "tiny",
        "world": "papers",
        "datasets": case.datasets,
        "data_folders": {name: str(folder) for name, folder in folders.items()},
        "variants": [*case.variants, *(["own"] if case.own_variant else [])],
        "train_without": list(case.train_without),
        "motion_priors": [],
        "tables": list(case.tables),
        "curation": {"minimum_frames": 20, "minimum_person_height_px": 20},
        "detector": {"finder": "blazepose"},
        "features": {"augmented_copies": 0},
        "scale": {
            "width": 32, "regressor_width": 32, "steps": 6, "temporal_steps": 4, "batch_clips": 2, "clip_frames": 16,
            "validate_every_steps": 3,
        },
        "evaluation": {"bootstrap_samples": 50},
        "report": {"overlay_clips": 1},
    }  # fmt: skip


@dataclass(frozen=True)
class TrueVideo:
    """What is known of the people of one video, a row a person and frame as released; what is not known is None."""

    fps: float
    n_frames: int
    person: np.ndarray
    frame: np.ndarray
    keypoints_px: np.ndarray
    joints_m: np.ndarray | None = None
    trunk_m: np.ndarray | None = None
    has_body: np.ndarray | None = None
    pose: np.ndarray | None = None
    betas: np.ndarray | None = None
    trusted: np.ndarray | None = None
    gender: Mapping[int, str] | None = None

    def shown_at(self, frame: int, fps: float) -> int:
        """The frame as released that is nearest in time."""
        return min(int(np.floor(frame * self.fps / fps + 0.5 + 1e-9)), self.n_frames - 1)

    def row(self, person: int, frame: int) -> int | None:
        found = np.flatnonzero((self.person == person) & (self.frame == frame))
        return int(found[0]) if len(found) else None


def true_videos(release: str, written: Any) -> dict[str, TrueVideo]:
    """By the name of the video; none where a release has no annotation."""
    reader = {"h36m": _h36m, "3dpw": _threedpw, "mpi-inf-3dhp": _mpi_inf_3dhp, "penn-action": _penn_action}
    if release in ("vlog-people", "kinetics-400"):
        return {}
    return {name: reader.get(release, _tracked)(name, each) for name, each in written.people.items()}


def _h36m(name: str, true: Any) -> TrueVideo:
    frames = len(true.pose)
    return TrueVideo(
        50, frames, np.zeros(frames, int), np.arange(frames), true.keypoints_px, true.joints_m, true.trunk_m,
        true.has_body, true.pose, true.betas, np.ones(frames, bool), {0: "neutral"} if true.has_body.any() else {},
    )  # fmt: skip


def _threedpw(name: str, true: Any) -> TrueVideo:
    count, frames = true.pose.shape[:2]
    pose, betas = true.pose.reshape(-1, 72), true.betas.repeat(frames, axis=0)
    joints_m = _points()(torch.from_numpy(local_rotations(pose)).float(), torch.from_numpy(betas)).numpy()
    joints_m = joints_m + true.translation_m.reshape(-1, 1, 3)
    return TrueVideo(
        30, frames, np.repeat(np.arange(count), frames), np.tile(np.arange(frames), count),
        true.keypoints_px.reshape(-1, 25, 3), joints_m[:, indices_of(COMMON_14, H36M_17)],
        joints_m[:, indices_of(TRUNK_3, H36M_17)], np.ones(count * frames, bool), pose, betas, true.trusted.ravel(),
        true.gender,
    )  # fmt: skip


@cache
def _points() -> PosedPoints:
    body = load_body(BodySettings(), cache_folder())
    return PosedPoints(body, body.joint_regressor_h36m)


def _mpi_inf_3dhp(name: str, true: Any) -> TrueVideo:
    frames = len(true.trusted)
    fps = {sequence: fps for sequence, fps, _ in MPI_SEQUENCES}.get(name.rsplit("/", 1)[0], 25)
    return TrueVideo(
        fps, frames, np.zeros(frames, int), np.arange(frames), true.keypoints_px, true.joints_m, true.trunk_m,
        trusted=true.trusted,
    )  # fmt: skip


def _penn_action(name: str, true: Any) -> TrueVideo:
    frames = len(true.keypoints_px)
    there = np.flatnonzero(true.keypoints_px[..., 2].any(axis=1))
    return TrueVideo(25, frames, np.zeros(len(there), int), there, true.keypoints_px[there])


def _tracked(name: str, true: Any) -> TrueVideo:
    person = getattr(true, "person", np.zeros(len(true.frame), int))
    return TrueVideo(25, 48, person, true.frame, true.keypoints_px)
