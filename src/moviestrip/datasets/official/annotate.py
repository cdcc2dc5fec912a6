"""From what an adapter hands over to the canonical annotation of a shard, at the rate its videos are resampled to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.body.points import PosedPoints
from moviestrip.config import DatasetSettings, OfficialSource
from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.base import TRUNK_3, Gender, People, Release, ReleasedVideo
from moviestrip.errors import ConfigError, StorageError
from moviestrip.geometry import axis_angle_to_matrix
from moviestrip.progress import track
from moviestrip.skeleton import COMMON_14, H36M_17, indices_of
from moviestrip.tables import TRUTH, empty, unstack
from moviestrip.video.fetch import video_id_of
from moviestrip.video.images import shown_at

BodyOf = Callable[[Gender], Body]
JointsOf = Callable[[Gender], "PosedJoints"]
POSED_AT_ONCE = 512  # frames, so that memory does not grow with a video's length


def open_release(name: str, dataset: DatasetSettings) -> Release:
    """The release a dataset's settings point to; its folder must be there."""
    source = dataset.source
    if not isinstance(source, OfficialSource):
        raise ConfigError(f"config/datasets/{name}.yaml: source.kind is '{source.kind}', not official")
    if source.path is None:
        raise ConfigError(f"data_folders.{name}: is required: the folder of {dataset.title}, see docs/datasets.md")
    return release_named(source.release)(source.path, source.rule)


def planned_videos(release: Release, dataset: DatasetSettings) -> list[dict[str, Any]]:
    """Entries of the plan, in the release's order, with what `released_video` needs to find each again."""
    return [
        {
            "video_id": video_id_of(f"{release.name}/{video.name}"),
            "source": f"{release.name}/{video.name}",
            "file": str(release.folder / video.file),
            "split": video.split,
            "subject": video.subject,
            "action": video.action,
            "camera": video.camera,
            "filmed_fps": video.fps,
            "released": {"name": video.name, "file": video.file},
        }
        for video in release.videos()
        if video.split in dataset.splits
    ]


def released_video(entry: Mapping[str, Any]) -> ReleasedVideo:
    """The adapter's video behind an entry of the plan."""
    known = {name: entry[name] for name in ("split", "subject", "action", "camera")}
    return ReleasedVideo(fps=entry["filmed_fps"], **entry["released"], **known)


def annotate_shard(
    release: Release,
    planned: Sequence[Mapping[str, Any]],
    videos: pd.DataFrame,
    body_of: BodyOf,
) -> pd.DataFrame:
    """Everyone annotated in the shard's usable videos: (tables.TRUTH), frames as `frames_of` gives them.

    Where a release has bodies but no joints, the joints are those of its bodies, each posed with its own gender's.
    """
    rows = videos.set_index("video_id", drop=False)
    usable = [entry for entry in planned if rows.loc[entry["video_id"], "status"] == "ok"]
    joints_of = cache(lambda gender: PosedJoints.of(body_of(gender)))
    parts = []
    for entry in track(usable, f"annotate {release.name}"):
        row = rows.loc[entry["video_id"]]
        people = release.people(released_video(entry))
        chosen, frame = resampled(people.frame, _filmed_fps(row), float(row["fps"]), int(row["n_frames"]))
        parts.append(_rows(entry, people, chosen, frame, _joints(people, chosen, joints_of)))
    return pd.concat(parts, ignore_index=True) if parts else empty(TRUTH)


def _filmed_fps(video: Mapping[str, Any]) -> float:
    """The rate by which the video's frames were counted when it was fetched, whatever its release says."""
    filmed_fps = float(video["filmed_fps"])
    if not filmed_fps > 0:
        raise StorageError(
            f"{video['path']}: the videos table does not know its rate; delete the table and fetch the shard again"
        )
    return filmed_fps


def resampled(frame: np.ndarray, filmed_fps: float, fps: float, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Which annotated rows are shown after resampling, and at which frames: two arrays of the same length.

    A frame that is shown twice has its row twice.
    """
    last = int(frame.max(initial=0)) + 1
    shown = shown_at(max(last, int(np.ceil(n_frames / fps * filmed_fps)) + 1), filmed_fps, fps)[:n_frames]
    by_frame = pd.Series(np.arange(len(frame))).groupby(frame).indices
    pairs = [(row, new) for new, old in enumerate(shown.tolist()) for row in by_frame.get(old, ())]
    rows, frames = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return rows, frames


def _joints(people: People, chosen: np.ndarray, joints_of: JointsOf) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """has_3d, joints and trunk of the chosen rows, from the bodies where the release itself has none."""
    has_3d, joints_m, trunk_m = (values[chosen].copy() for values in (people.has_3d, people.joints_m, people.trunk_m))
    lacking = people.has_body[chosen] & ~has_3d
    genders = np.array([people.gender.get(int(person), "unknown") for person in people.person[chosen]], dtype=object)
    for gender in sorted(set(genders[lacking])):
        at = np.flatnonzero(lacking & (genders == gender))
        rows = chosen[at]
        posed = joints_of(gender)(people.pose[rows], people.betas[rows], people.translation_m[rows])
        joints_m[at], trunk_m[at], has_3d[at] = (
            posed[:, indices_of(COMMON_14, H36M_17)],
            posed[:, indices_of(TRUNK_3, H36M_17)],
            True,
        )
    return has_3d, joints_m, trunk_m


@dataclass(frozen=True)
class PosedJoints:
    """Joints of the H36M-style regressor of a body: those of its mesh, without making the mesh."""

    points: PosedPoints
    mass: Float[np.ndarray, "17 1"]  # a shift moves a joint by as much as its vertices weigh together: nearly 1

    @classmethod
    def of(cls, body: Body) -> "PosedJoints":
        regressor = body.joint_regressor_h36m
        return cls(PosedPoints(body, regressor), regressor.sum(axis=1, dtype=np.float64)[:, None])

    def __call__(
        self,
        pose: Float[np.ndarray, "frames 72"],
        betas: Float[np.ndarray, "frames 10"],
        translation_m: Float[np.ndarray, "frames 3"],
    ) -> Float[np.ndarray, "frames 17 3"]:
        """In the camera's frame, as pose and translation are."""
        parts = []
        for first in range(0, len(pose), POSED_AT_ONCE):
            part = slice(first, first + POSED_AT_ONCE)
            rotations = axis_angle_to_matrix(torch.as_tensor(pose[part]).double().reshape(-1, 24, 3)).float()
            at_origin = self.points(rotations, torch.as_tensor(betas[part]).float()).numpy()
            parts.append(at_origin + self.mass * translation_m[part, None])
        return np.concatenate(parts).astype(np.float32)


def _rows(
    entry: Mapping[str, Any], people: People, chosen: np.ndarray, frame: np.ndarray, joints: tuple[np.ndarray, ...]
) -> pd.DataFrame:
    has_3d, joints_m, trunk_m = joints
    person = people.person[chosen]
    rows = pd.DataFrame(
        {
            "video_id": entry["video_id"],
            "frame": frame,
            "person": person,
            "subject": entry["subject"],
            "action": entry["action"],
            "motion_id": "",
            "keypoints_2d": unstack(people.keypoints_px[chosen]),
            "joints_3d_m": unstack(joints_m),
            "pose": unstack(people.pose[chosen]),
            "betas": unstack(people.betas[chosen]),
            "translation_m": unstack(people.translation_m[chosen]),
            "intrinsics_px": unstack(people.intrinsics_px[chosen]),
            "burst": "none",
            "has_3d": has_3d,
            "has_body": people.has_body[chosen],
            "trunk_3d_m": unstack(trunk_m),
            "gender": [people.gender.get(int(each), "unknown") for each in person],
            "trusted": people.trusted[chosen],
        },
        columns=empty(TRUTH).columns,
    )
    return rows.sort_values(["person", "frame"], ignore_index=True)
