"""From what an adapter hands over to the canonical annotation of a shard, at the rate its videos are resampled to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.config import DatasetSettings, OfficialSource
from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.base import TRUNK_3, Gender, People, Release, ReleasedVideo
from moviestrip.errors import ConfigError, StorageError
from moviestrip.progress import track
from moviestrip.skeleton import COMMON_14, H36M_17, indices_of
from moviestrip.tables import TRUTH, empty, unstack
from moviestrip.video.fetch import video_id_of
from moviestrip.video.images import shown_at

BodyOf = Callable[[Gender], Body]
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
    parts = []
    for entry in track(usable, f"annotate {release.name}"):
        row = rows.loc[entry["video_id"]]
        people = release.people(released_video(entry))
        chosen, frame = resampled(people.frame, _filmed_fps(row), float(row["fps"]), int(row["n_frames"]))
        parts.append(_rows(entry, people, chosen, frame, _joints(people, chosen, body_of)))
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


def _joints(people: People, chosen: np.ndarray, body_of: BodyOf) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """has_3d, joints and trunk of the chosen rows, from the bodies where the release itself has none."""
    has_3d, joints_m, trunk_m = (values[chosen].copy() for values in (people.has_3d, people.joints_m, people.trunk_m))
    lacking = people.has_body[chosen] & ~has_3d
    genders = np.array([people.gender.get(int(person), "unknown") for person in people.person[chosen]], dtype=object)
    for gender in sorted(set(genders[lacking])):
        at = np.flatnonzero(lacking & (genders == gender))
        rows = chosen[at]
        posed = h36m_joints_m(body_of(gender), people.pose[rows], people.betas[rows], people.translation_m[rows])
        joints_m[at], trunk_m[at], has_3d[at] = (
            posed[:, indices_of(COMMON_14, H36M_17)],
            posed[:, indices_of(TRUNK_3, H36M_17)],
            True,
        )
    return has_3d, joints_m, trunk_m


def h36m_joints_m(
    body: Body,
    pose: Float[np.ndarray, "frames 72"],
    betas: Float[np.ndarray, "frames 10"],
    translation_m: Float[np.ndarray, "frames 3"],
) -> Float[np.ndarray, "frames 17 3"]:
    """Joints of the H36M-style regressor of posed bodies, in the camera's frame."""
    parts = []
    for first in range(0, len(pose), POSED_AT_ONCE):
        part = slice(first, first + POSED_AT_ONCE)
        vertices_m, _ = body.forward(pose[part], betas[part], translation_m[part])
        parts.append(body.joint_regressor_h36m @ vertices_m)  # einsum takes 27 times as long
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
