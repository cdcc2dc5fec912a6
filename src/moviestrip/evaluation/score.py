"""Predictions and labels in, one score a clip, metric and condition out.

All frames of all clips are measured in one batch; what belongs to a clip is found by summing over it. A frame
that the protocol skips is not counted. A frame where a metric is undefined is left out and counted, so that
broken predictions show in the table instead of flattering it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.body.load import Body
from moviestrip.datasets.official.base import TRUNK_3, Gender
from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.meshes import BodyOf, BodyPoses, h36m_joints, posed_mesh_errors, unposed_mesh_errors
from moviestrip.evaluation.protocols import Protocol
from moviestrip.skeleton import COMMON_14, H36M_17, JOINT_SETS, indices_of
from moviestrip.tables import CLIPS, LABELS, SCORES, empty, stack, with_defaults

MM = 1000.0
PERCENT = 100.0
ROOT_JOINTS = {"hip_midpoint": ("right_hip", "left_hip"), "pelvis": ("pelvis",), "as_given": ()}
PCK_3D_M = 0.150
CHUNK_FRAMES = 16
MESH_METRICS = ("pve", "mesh_posed", "mesh_unposed")
STORED_17 = (*COMMON_14, *TRUNK_3)
GENDERS: tuple[Gender, ...] = ("male", "female")  # those that have a body of their own


@dataclass(frozen=True)
class Frames:
    """The labelled frames of every clip, one after the other, beside what was predicted for them."""

    clip: np.ndarray  # (N,) position of the frame's clip
    number: np.ndarray  # (N,) index in the clip
    burst: np.ndarray  # (N,) an occlusion or blur burst is on the frame
    has_3d: np.ndarray  # (N,)
    has_body: np.ndarray  # (N,) the truth's pose and shape are known, and not only its joints
    gender: np.ndarray  # (N,) whose body the truth's pose and shape are for
    trusted: np.ndarray  # (N,) the dataset itself counts the frame
    confidence: np.ndarray  # (N, 25)
    predicted_px: np.ndarray  # (N, 25, 2) in the crop's scale
    target_px: np.ndarray  # (N, 25, 2)
    predicted_m: np.ndarray  # (N, 14, 3) wherever its origin is
    target_m: np.ndarray  # (N, 14, 3)
    trunk_m: np.ndarray  # (N, 3, 3) of the truth, NaN where it is not known
    predicted_body: BodyPoses
    target_body: BodyPoses

    @property
    def has_own_body(self) -> np.ndarray:
        """(N,) the truth is known as a man's or a woman's body."""
        return self.has_body & np.isin(self.gender, GENDERS)


@dataclass(frozen=True)
class Bodies:
    """What poses predictions, and truth that is a man's or a woman's."""

    neutral: Body
    of: BodyOf | None

    def posing(self, frames: Frames, protocol: Protocol, chosen: np.ndarray) -> Iterator[tuple[Body, np.ndarray]]:
        """Some frames by the body that poses their truth under a protocol; only bodies that are needed are loaded."""
        own = frames.has_own_body if protocol.truth_body == "own" else np.zeros_like(chosen)
        if (chosen & ~own).any():
            yield self.neutral, chosen & ~own
        for gender in GENDERS:
            rows = chosen & own & (frames.gender == gender)
            if rows.any():
                yield self._own(gender), rows

    def _own(self, gender: Gender) -> Body:
        if self.of is None:
            raise FatalError(f"the truth holds bodies that are {gender}; pass `body_of` to score it")
        return self.of(gender)


@dataclass(frozen=True)
class Joints:
    """Joints of both sides before any is centred, and the frames where the truth has them."""

    names: tuple[str, ...]
    predicted_m: np.ndarray  # (N, J, 3)
    target_m: np.ndarray  # (N, J, 3)
    known: np.ndarray  # (N,)

    def centred(self, root: str, chosen: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Some joints of both sides, measured from the middle of the root joints."""
        at, order = indices_of(ROOT_JOINTS[root], self.names), indices_of(chosen, self.names)
        if len(at) == 0:
            return self.predicted_m[:, order], self.target_m[:, order]
        predicted_m, target_m = (
            side[:, order] - side[:, at].mean(1, keepdims=True) for side in (self.predicted_m, self.target_m)
        )
        return predicted_m, target_m


@dataclass(frozen=True)
class Measure:
    """One metric on frames (or triplets of frames): values and which of them the protocol counts."""

    metric: str
    unit: str
    clip: np.ndarray
    burst: np.ndarray
    counted: np.ndarray
    values: np.ndarray


def score_predictions(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    clips: pd.DataFrame,
    protocol: Protocol,
    variant: str,
    seed: int,
    body: Body | None = None,
    frame_stride: int = 1,
    body_of: BodyOf | None = None,
) -> pd.DataFrame:
    """SCORES of every clip in `clips`, each of whose labelled frames must have been predicted.

    Args:
        clips: CLIPS, or any table of clip_id, dataset, video_id, action and motion_id.
        body: the neutral one; with it, mesh errors and joints that are not stored can be measured.
        frame_stride: accelerations are of frames t - n, t, t + n: of a model that read every n-th frame.
        body_of: of labels that hold men's and women's bodies, for protocols that pose the truth by these.
    """
    meshes = body is not None
    return score_under((protocol,), predictions, labels, clips, variant, seed, body, meshes, frame_stride, body_of)


def score_under(
    protocols: Sequence[Protocol],
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    clips: pd.DataFrame,
    variant: str,
    seed: int,
    body: Body | None,
    meshes: bool,
    frame_stride: int,
    body_of: BodyOf | None = None,
) -> pd.DataFrame:
    """As `score_predictions`, under several protocols; what they share is computed once, mesh errors if `meshes`."""
    if len(clips) == 0:
        return empty(SCORES)
    clips = with_defaults(clips, CLIPS).sort_values("clip_id", ignore_index=True)
    frames = join_frames(predictions, labels, clips)
    bodies = None if body is None else Bodies(body, body_of)
    known_errors: dict[tuple[bool, bool], np.ndarray] = {}
    about = clips[["dataset", "clip_id", "action"]].assign(group=groups_of(clips), variant=variant, seed=seed)
    parts = []
    for protocol in protocols:
        errors_m = mesh_errors(frames, protocol, bodies, known_errors) if bodies is not None and meshes else {}
        filmed = clips["camera"].map(protocol.counts_camera).to_numpy(bool)
        under = about.assign(protocol=protocol.name)
        for measure in measures(frames, protocol, bodies, errors_m, frame_stride):
            parts += list(_scores_of(measure, under, filmed))
    table = pd.concat(parts, ignore_index=True) if parts else empty(SCORES)
    table = table.assign(horizon=0, dtw=False)
    order = ["protocol", "dataset", "metric", "condition", "clip_id"]
    return table[[column.name for column in SCORES.columns]].sort_values(order, ignore_index=True)


def groups_of(clips: pd.DataFrame) -> pd.Series:
    """What says that clips are not independent: the motion they show, or where that is unknown their video."""
    return clips["motion_id"].where(clips["motion_id"] != "", clips["video_id"])


def join_frames(predictions: pd.DataFrame, labels: pd.DataFrame, clips: pd.DataFrame) -> Frames:
    """Pair predictions with labels on (clip, frame), in the order of `clips`."""
    labels = with_defaults(labels[labels["clip_id"].isin(clips["clip_id"])], LABELS)
    joined = labels.merge(
        predictions[["clip_id", "frame", "joints_3d_m", "keypoints_2d", "pose", "betas"]],
        on=["clip_id", "frame"],
        how="left",
        suffixes=("", "_predicted"),
        indicator=True,
        validate="one_to_one",
    )
    _require_complete(joined, clips)
    position = pd.Series(np.arange(len(clips)), index=clips["clip_id"])
    joined = joined.assign(position=joined["clip_id"].map(position)).sort_values(["position", "frame"])
    keypoints = stack(joined["keypoints_2d"], 25, 3)
    scale = joined["box_scale"].to_numpy(np.float32)[:, None, None]
    return Frames(
        clip=joined["position"].to_numpy(np.int64),
        number=joined["frame"].to_numpy(np.int64),
        burst=joined["burst"].to_numpy(object) != "none",
        has_3d=joined["has_3d"].to_numpy(bool),
        has_body=joined["has_body"].to_numpy(bool),
        gender=joined["gender"].to_numpy(object),
        trusted=joined["trusted"].to_numpy(bool),
        confidence=keypoints[..., 2],
        predicted_px=stack(joined["keypoints_2d_predicted"], 25, 2) * scale,
        target_px=keypoints[..., :2] * scale,
        predicted_m=stack(joined["joints_3d_m_predicted"], 14, 3),
        target_m=stack(joined["joints_3d_m"], 14, 3),
        trunk_m=stack(joined["trunk_3d_m"], 3, 3),
        predicted_body=BodyPoses(stack(joined["pose_predicted"], 72), stack(joined["betas_predicted"], 10)),
        target_body=BodyPoses(stack(joined["pose"], 72), stack(joined["betas"], 10)),
    )


def _require_complete(joined: pd.DataFrame, clips: pd.DataFrame) -> None:
    missing = joined.loc[joined["_merge"] == "left_only"]
    if len(missing):
        first = missing.iloc[0]
        raise FatalError(
            f"predictions: {len(missing):,} of {len(joined):,} labelled frames have none, the first is frame "
            f"{first['frame']} of clip {first['clip_id']}; run predict again on these clips"
        )
    unlabelled = sorted(set(clips["clip_id"]) - set(joined["clip_id"]))
    if unlabelled:
        raise FatalError(
            f"labels: {len(unlabelled):,} of {len(clips):,} clips have none, the first is {unlabelled[0]}; "
            f"run the stage that makes 'labels' again"
        )


def mesh_errors(
    frames: Frames, protocol: Protocol, bodies: Bodies, known: dict[tuple[bool, bool], np.ndarray]
) -> dict[str, np.ndarray]:
    """Mesh errors in metres of every frame whose body is known, by metric; NaN elsewhere.

    Args:
        known: what another protocol asked for already; what is new is put there.
    """
    found = {}
    own = protocol.truth_body == "own" and bool(frames.has_own_body.any())
    for metric in [metric for metric in protocol.metrics if metric in MESH_METRICS]:
        key = (metric == "mesh_unposed", own)
        if key not in known:
            known[key] = _mesh_errors(frames, protocol, bodies, unposed=key[0])
        found[metric] = known[key]
    return found


def _mesh_errors(frames: Frames, protocol: Protocol, bodies: Bodies, unposed: bool) -> np.ndarray:
    values = np.full(len(frames.has_body), np.nan, np.float32)
    function = unposed_mesh_errors if unposed else posed_mesh_errors
    for body, rows in bodies.posing(frames, protocol, frames.has_body):
        predicted, target = _rows_of(frames.predicted_body, rows), _rows_of(frames.target_body, rows)
        values[rows] = function(bodies.neutral, predicted, target, body)
    return values


def measures(
    frames: Frames,
    protocol: Protocol,
    bodies: Bodies | None,
    errors_m: Mapping[str, np.ndarray],
    frame_stride: int,
) -> Iterator[Measure]:
    """Every metric that the protocol measures and the labels allow, on every frame at once."""
    trusted = frames.trusted | (protocol.trusted == "ignored")
    if "pck" in protocol.metrics:
        yield _pck(frames, protocol, trusted)
    joints = joints_of(frames, protocol, bodies)
    seen = (frames.confidence[:, : len(COMMON_14)] > protocol.visible_above).sum(-1)
    usable = joints.known & (seen >= protocol.minimum_visible_3d)
    if protocol.sequences == "chunks_of_16":
        kept = _in_whole_chunks(frames, usable & trusted | ~frames.has_3d)
        usable, triplets = usable & kept, _joined_triplets(kept)
    else:
        triplets = _triplets(frames, frame_stride)
    counted = usable & trusted
    for metric, unit, values in _positions(joints, protocol):
        yield Measure(metric, unit, frames.clip, frames.burst, counted, values)
    for metric in [name for name in protocol.metrics if name in errors_m]:
        yield Measure(metric, "mm", frames.clip, frames.burst, counted & frames.has_body, errors_m[metric] * MM)
    measurable = trusted[triplets[:, 1]]
    if protocol.trusted != "positions and middle frames":
        measurable = measurable & trusted[triplets].all(-1)
    yield from _accelerations(frames, joints, protocol, triplets[measurable], usable)


def _pck(frames: Frames, protocol: Protocol, trusted: np.ndarray) -> Measure:
    visible = frames.confidence > protocol.visible_above
    enough = visible.sum(-1) >= protocol.minimum_visible_2d
    share = metrics.pck_after_optimal_camera(
        frames.predicted_px, frames.target_px, visible, protocol.pck_threshold_px, protocol.minimum_visible_2d
    )
    return Measure("pck", "%", frames.clip, frames.burst, enough & trusted, share * PERCENT)


def _positions(joints: Joints, protocol: Protocol) -> Iterator[tuple[str, str, np.ndarray]]:
    """Metric, unit and value of every frame."""
    predicted_m, target_m = joints.centred(protocol.root, JOINT_SETS[protocol.joints])
    if "mpjpe" in protocol.metrics:
        yield "mpjpe", "mm", metrics.mpjpe(predicted_m, target_m) * MM
    if "pa_mpjpe" in protocol.metrics:
        yield "pa_mpjpe", "mm", metrics.pa_mpjpe(predicted_m, target_m) * MM
    if "pck_3d" in protocol.metrics:
        common = joints.centred(protocol.root, COMMON_14)
        yield "pck_3d", "%", metrics.pck_3d(*common, PCK_3D_M) * PERCENT
        yield "auc_3d", "%", metrics.auc_3d(*common) * PERCENT


def _accelerations(
    frames: Frames, joints: Joints, protocol: Protocol, triplets: np.ndarray, in_3d: np.ndarray
) -> Iterator[Measure]:
    if "accel" not in protocol.metrics:
        return
    sides = joints.centred(protocol.acceleration_root, JOINT_SETS[protocol.joints])
    predicted_m, target_m = (side[triplets] for side in sides)
    clip, burst = frames.clip[triplets[:, 1]], frames.burst[triplets].any(-1)
    unit, known = protocol.acceleration_unit, in_3d[triplets].all(-1)
    accelerations = metrics.acceleration(predicted_m)[:, 0] * MM
    yield Measure("accel", unit, clip, burst, np.ones_like(known), accelerations)
    errors = metrics.acceleration_error(predicted_m, target_m)[:, 0] * MM
    yield Measure("accel_error", unit, clip, burst, known, errors)


def joints_of(frames: Frames, protocol: Protocol, bodies: Bodies | None) -> Joints:
    """The stored joints where they are enough for the protocol, else those of the posed bodies."""
    wanted = (*JOINT_SETS[protocol.joints], *ROOT_JOINTS[protocol.root], *ROOT_JOINTS[protocol.acceleration_root])
    trunk = tuple(name for name in TRUNK_3 if name in wanted)
    names = (*COMMON_14, *TRUNK_3) if trunk else COMMON_14
    target_m, known = _target_joints(frames, protocol, bodies, names, trunk)
    if not trunk:
        return Joints(names, frames.predicted_m, target_m, known)
    if bodies is None or (frames.has_3d.any() and not known.any()):
        lacking = "no body was given" if bodies is None else "the truth here is 14 joints without a body"
        raise ConfigError(
            f"evaluation.protocol: '{protocol.name}' measures {', '.join(trunk)}, but {lacking}; "
            f"choose hmmr, vibe or tcmr"
        )
    predicted_m = h36m_joints(bodies.neutral, frames.predicted_body)
    return Joints(names, predicted_m[:, indices_of(names, H36M_17)], target_m, known)


def _target_joints(
    frames: Frames, protocol: Protocol, bodies: Bodies | None, names: Sequence[str], trunk: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Joints of the truth, and where they are known: posed where the stored ones lack some or are of another body."""
    stored_m = np.concatenate([frames.target_m, frames.trunk_m], 1)[:, indices_of(names, STORED_17)]
    stored = frames.has_3d & np.isfinite(frames.trunk_m[:, indices_of(trunk, TRUNK_3)]).all((1, 2))
    of_another = frames.has_own_body & (protocol.truth_body == "neutral")
    posed = frames.has_3d & frames.has_body & (~stored | of_another)
    if bodies is None:
        if of_another.any():
            raise ConfigError(
                f"evaluation.protocol: '{protocol.name}' poses the truth with the neutral body, but none was given; "
                f"choose hmmr or spin"
            )
        return stored_m, stored
    for body, rows in bodies.posing(frames, protocol, posed):
        posed_m = h36m_joints(body, _rows_of(frames.target_body, rows))
        stored_m[rows] = posed_m[:, indices_of(names, H36M_17)]
    return stored_m, stored | posed


def _rows_of(poses: BodyPoses, rows: np.ndarray) -> BodyPoses:
    return BodyPoses(poses.pose[rows], poses.betas[rows])


def _triplets(frames: Frames, stride: int) -> np.ndarray:
    """Rows (K, 3) of three frames of one clip, each `stride` frames after the other."""
    first = np.arange(max(0, len(frames.number) - 2 * stride))
    rows = first[:, None] + stride * np.arange(3)
    steady = (np.diff(frames.number[rows]) == stride).all(-1) & (np.diff(frames.clip[rows]) == 0).all(-1)
    return rows[steady]


def _in_whole_chunks(frames: Frames, usable: np.ndarray) -> np.ndarray:
    """Of the usable frames of each clip those that fill chunks from its start; the remainder is dropped."""
    per_clip = np.bincount(frames.clip, usable, minlength=frames.clip.max(initial=0) + 1).astype(np.int64)
    rank = np.cumsum(usable) - 1 - (np.cumsum(per_clip) - per_clip)[frames.clip]
    return usable & (rank < (per_clip // CHUNK_FRAMES * CHUNK_FRAMES)[frames.clip])


def _joined_triplets(kept: np.ndarray) -> np.ndarray:
    """Rows (K, 3) of any three kept rows in succession, whatever lies between them."""
    rows = np.flatnonzero(kept)
    return np.stack([rows[:-2], rows[1:-1], rows[2:]], 1) if len(rows) > 2 else np.zeros((0, 3), np.int64)


def _scores_of(measure: Measure, about: pd.DataFrame, filmed: np.ndarray) -> Iterator[pd.DataFrame]:
    """One row for each clip and condition that has counted frames; the mean is NaN when all are degenerate.

    Args:
        about: what is written of each clip beside its score.
        filmed: clips of a camera that counts.
    """
    conditions = {"all": measure.counted}
    if (measure.counted & measure.burst).any():  # without bursts 'clean' would only repeat 'all'
        conditions["burst"] = measure.counted & measure.burst
        conditions["clean"] = measure.counted & ~measure.burst
    for condition, chosen in conditions.items():
        finite = chosen & np.isfinite(measure.values)
        counted = np.bincount(measure.clip[chosen], minlength=len(about))
        used = np.bincount(measure.clip[finite], minlength=len(about))
        sums = np.bincount(measure.clip[finite], measure.values[finite].astype(np.float64), minlength=len(about))
        means = np.divide(sums, used, out=np.full(len(about), np.nan), where=used > 0)
        named = {"metric": measure.metric, "condition": condition, "unit": measure.unit}
        measured = {"value": means, "frames": used, "degenerate_frames": counted - used}
        kept = (counted > 0) & filmed
        yield pd.DataFrame(dict(about[kept].items()) | named | {name: of[kept] for name, of in measured.items()})
