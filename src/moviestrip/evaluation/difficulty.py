"""Is the miniature world hard where reality is hard? What the trained models and their features say of it.

Temporal models can only show what they are for where single frames are noisy, hidden, blurred or ambiguous in depth.
Each check asks for one of these. All are of test clips; the temporal model that is shown beside the single-view one is
the best on the validation clips, so that no test clip chose it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.findings import (
    Band,
    Finding,
    Sampling,
    Sums,
    difference,
    finding,
    per_item,
    quotient,
    ratio,
    saved_share,
    share,
    side_by_side,
)
from moviestrip.evaluation.score import MM, groups_of
from moviestrip.geometry import procrustes_align
from moviestrip.tables import stack

MEAN_POSE_ROUNDS = 5
JITTER_BAND = Band("between 15 and 75: within a factor of 2 of the printed 29.8 to 37.4", 15, 75)
A_THIRD = Band("more than a third", above=33.3)
POSITIVE = Band("above 0", above=0)


@dataclass(frozen=True)
class Sequences:
    """One model's test clips of one dataset, frame by frame, both sides in the camera's frame from the hips' middle.

    Attributes:
        clips: a row a clip: clip_id, group.
        clip: position of each frame's clip; frames of a clip stand together, in order.
        burst: 'none', 'occlusion' or 'blur'.
    """

    clips: pd.DataFrame
    clip: Int[np.ndarray, " frames"]
    burst: np.ndarray
    target_m: Float[np.ndarray, "frames 14 3"]
    predicted_m: Float[np.ndarray, "seeds frames 14 3"]

    @property
    def groups(self) -> np.ndarray:
        return self.clips["group"].to_numpy()

    def sums(self, values: Float[np.ndarray, "*seeds frames"]) -> Sums:
        """Sum and number of a value of every frame, a row a clip."""
        return Sums.of(per_item(values, self.clip, len(self.clips)), self.groups)

    def of_actions(self, actions: Sequence[str]) -> "Sequences":
        """Only the clips that show one of some actions."""
        chosen = self.clips["action"].isin(actions).to_numpy()
        rows = chosen[self.clip]
        place = np.cumsum(chosen) - 1
        kept = self.clips[chosen].reset_index(drop=True)
        return Sequences(kept, place[self.clip[rows]], self.burst[rows], self.target_m[rows], self.predicted_m[:, rows])


def join_sequences(predictions: Sequence[pd.DataFrame], labels: pd.DataFrame, clips: pd.DataFrame) -> Sequences:
    """Pair what each training seed predicted (PREDICTIONS) with LABELS of the frames of some clips known in 3D."""
    clips = clips.sort_values("clip_id", ignore_index=True)
    labels = labels[labels["clip_id"].isin(clips["clip_id"]) & labels["has_3d"].astype(bool)]
    labels = labels.sort_values(["clip_id", "frame"], ignore_index=True)
    asked = pd.MultiIndex.from_frame(labels[["clip_id", "frame"]])
    sides = []
    for seed in predictions:
        rows = pd.MultiIndex.from_frame(seed[["clip_id", "frame"]]).get_indexer(asked)
        if (rows < 0).any():
            clip_id, frame = asked[int(np.argmin(rows))]
            raise FatalError(f"difficulty: frame {frame} of clip {clip_id} was not predicted; predict it again")
        sides.append(stack(seed["joints_3d_m"].iloc[rows], 14, 3).astype(np.float64))
    position = pd.Index(clips["clip_id"]).get_indexer(labels["clip_id"])
    return Sequences(
        clips.assign(group=groups_of(clips)),
        position,
        labels["burst"].to_numpy(dtype=object),
        metrics.center_on_hips(stack(labels["joints_3d_m"], 14, 3).astype(np.float64)),
        metrics.center_on_hips(np.stack(sides)),
    )


def errors_mm(sequences: Sequences, metric: str) -> Float[np.ndarray, "seeds frames"]:
    """`mpjpe` from the hips' middle, or `pa_mpjpe`."""
    target_m = np.broadcast_to(sequences.target_m, sequences.predicted_m.shape)
    measure = metrics.pa_mpjpe if metric == "pa_mpjpe" else metrics.mpjpe
    return measure(sequences.predicted_m, target_m) * MM


def accelerations(sequences: Sequences) -> tuple[Sums, Sums]:
    """Acceleration error, and the truth's own acceleration, mm/frame^2, of each clip's inner frames."""
    inside = np.flatnonzero(sequences.clip[2:] == sequences.clip[:-2]) + 1
    error = metrics.acceleration_error(sequences.predicted_m, _like(sequences)) * MM
    own = np.broadcast_to(metrics.acceleration(sequences.target_m) * MM, error.shape)
    clip, clips = sequences.clip[inside], len(sequences.clips)
    both = (per_item(values[:, inside - 1], clip, clips) for values in (error, own))
    first, second = (Sums.of(values, sequences.groups) for values in both)
    return first, second


def jitter(
    single: Mapping[str, Sequences],
    wild: str,
    others: Mapping[str, tuple[str, Mapping[str, Sequences]]],
    sampling: Sampling,
) -> Iterator[Finding]:
    """Does a model of single frames jitter as real ones do, and is the jitter noise that time can remove?

    Args:
        single: the single-view model's test clips, by dataset.
        wild: the dataset that plays 3DPW, of which the papers print accelerations.
        others: by a short name, what else estimates them: what it is called, and its clips by dataset.
    """
    for dataset, sequences in single.items():
        error, own = accelerations(sequences)
        if dataset == wild:
            question = f"How large is the single-view model's acceleration error on {wild}?"
            note = "frame rates differ between releases; the band allows for that"
            yield finding(f"jitter-{wild}", question, error, ratio, "mm/frame^2", JITTER_BAND, sampling, note)
        question = f"How large is that error on {dataset}, against the motion's own acceleration?"
        own_mean = float(ratio(own.values.mean(0).sum(0)))
        expected, note = Band("above 1: more noise than motion", above=1), f"the truth's own: {own_mean:.1f} mm/frame^2"
        both = _beside(error, own)
        yield finding(f"jitter-above-motion-{dataset}", question, both, quotient, "times", expected, sampling, note)
        for name, (title, estimates) in others.items():
            if dataset in estimates:
                question = f"How much of that error on {dataset} does {title} remove?"
                both = _beside(error, accelerations(estimates[dataset])[0])
                yield finding(f"jitter-{name}-{dataset}", question, both, saved_share, "%", A_THIRD, sampling)


def harder(
    first: Mapping[str, Sequences], hard: str, easy: str, model: str, who: str, sampling: Sampling
) -> Iterator[Finding]:
    """Is one dataset harder than another? Their clips differ, so the difference is between means."""
    if hard not in first or easy not in first:
        return
    both = first[hard], first[easy]
    shared = sorted(set(both[0].clips["action"]) & set(both[1].clips["action"]))
    alike = tuple(sequences.of_actions(shared) for sequences in both)
    for metric, label in (("pa_mpjpe", "PA-MPJPE"), ("mpjpe", "MPJPE")):
        question = f"How much higher is the {label} of {who} on {hard} than on {easy}?"
        check = f"harder-{metric.replace('_', '-')}-{model}"
        sums, note = _of_two(both, metric), _means(both, metric)
        yield finding(check, question, sums, difference, "mm", POSITIVE, sampling, note)
        if metric == "pa_mpjpe" and all(len(sequences.clips) for sequences in alike):
            question = f"The same, of actions that both show ({', '.join(shared)})?"
            sums, note = _of_two(alike, metric), _means(alike, metric)
            yield finding(f"{check}-same-actions", question, sums, difference, "mm", POSITIVE, sampling, note)


def _of_two(both: Sequence[Sequences], metric: str) -> Sums:
    return side_by_side(*(sequences.sums(errors_mm(sequences, metric)) for sequences in both))


def _means(both: Sequence[Sequences], metric: str) -> str:
    means = [float(np.nanmean(errors_mm(sequences, metric))) for sequences in both]
    return f"{means[0]:.1f} against {means[1]:.1f} mm"


def bursts(sequences: Sequences, dataset: str, model: str, who: str, sampling: Sampling) -> Iterator[Finding]:
    """What do occluders and blur of a few frames cost, against clean frames of the same clips?"""
    error = errors_mm(sequences, "pa_mpjpe")
    for kind in ("occlusion", "blur"):
        hit = sequences.burst == kind
        clean = (sequences.burst == "none") & np.isin(sequences.clip, np.unique(sequences.clip[hit]))
        if hit.any():
            both = [sequences.sums(np.where(chosen, error, np.nan)) for chosen in (hit, clean)]
            question = f"What does {kind} add to the PA-MPJPE of {who} on {dataset}, within clips?"
            check = f"burst-{kind}-{model}-{dataset}"
            yield finding(check, question, _beside(*both), difference, "mm", POSITIVE, sampling)


def burst_shares(sequences: Sequences, dataset: str, sampling: Sampling) -> Iterator[Finding]:
    for kind in ("occlusion", "blur"):
        sums = sequences.sums((sequences.burst == kind).astype(np.float64))
        question = f"How many frames of {dataset} are under {kind}?"
        yield finding(f"burst-share-{kind}-{dataset}", question, sums, share, "%", POSITIVE, sampling)


def hidden_joints(labels: pd.DataFrame, clips: pd.DataFrame, dataset: str, sampling: Sampling) -> Iterator[Finding]:
    """How many more keypoints an occluder hides, by the z-buffer: (LABELS of truth, CLIPS)."""
    clips = clips.sort_values("clip_id", ignore_index=True)
    labels = labels[labels["clip_id"].isin(clips["clip_id"])]
    clip = pd.Index(clips["clip_id"]).get_indexer(labels["clip_id"])
    hidden = 1 - (stack(labels["keypoints_2d"], 25, 3)[..., 2] > 0).mean(-1)
    burst = labels["burst"].to_numpy()
    hit = burst == "occlusion"
    if not hit.any():
        return
    clean = (burst == "none") & np.isin(clip, np.unique(clip[hit]))
    sides = [per_item(np.where(chosen, hidden, np.nan), clip, len(clips)) for chosen in (hit, clean)]
    sums = Sums.of(np.concatenate(sides, -1), groups_of(clips))
    note = f"hidden in clean frames: {100 * float(hidden[clean].mean()):.0f} %, mostly by the person's own body"
    question = f"How many of 25 keypoints does an occluder on {dataset} hide that the body does not?"
    yield finding(f"burst-hidden-{dataset}", question, sums, _points, "points", POSITIVE, sampling, note)


def _points(totals: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    return 100 * difference(totals)


def depth(sequences: Sequences, dataset: str, sampling: Sampling) -> Finding:
    """Is what a picture does not show, depth, where the single-view model errs?

    Root mean squares along the camera's axis against the mean of the two others, of joints from the hips' middle.
    """
    squares = ((sequences.predicted_m - sequences.target_m) ** 2).mean(-2)
    across = sequences.sums(squares[..., :2].mean(-1))
    along = sequences.sums(squares[..., 2])
    sizes = [MM * float(np.sqrt(ratio(sums.values.mean(0).sum(0)))) for sums in (along, across)]
    return finding(
        f"depth-{dataset}",
        f"How much larger is the single-view model's error in depth than across, on {dataset}?",
        _beside(along, across),
        lambda totals: np.sqrt(quotient(totals)),
        "times",
        Band("above 1", above=1),
        sampling,
        f"root mean squares {sizes[0]:.0f} against {sizes[1]:.0f} mm",
    )


def mean_pose(poses_m: Float[np.ndarray, "poses 14 3"]) -> Float[np.ndarray, "14 3"]:
    """The pose that is closest to all after Procrustes alignment: what a model that sees nothing would say."""
    poses_m = poses_m[~metrics.is_degenerate(poses_m)]
    if len(poses_m) == 0:
        raise FatalError("mean pose: no training frame is known in 3D; check the training labels")
    mean = poses_m[0]
    for _ in range(MEAN_POSE_ROUNDS):
        mean = procrustes_align(poses_m, np.broadcast_to(mean, poses_m.shape)).mean(0)
    return mean


def range_used(
    sequences: Sequences, known: Float[np.ndarray, "14 3"], dataset: str, model: str, who: str, sampling: Sampling
) -> Finding:
    """How far below the mean pose a model gets: what is left for it to learn, and how far it has come."""
    nothing = metrics.pa_mpjpe(np.broadcast_to(known, sequences.target_m.shape), sequences.target_m) * MM
    blind = np.broadcast_to(nothing, sequences.predicted_m.shape[:2])
    sums = _beside(sequences.sums(blind), sequences.sums(errors_mm(sequences, "pa_mpjpe")))
    return finding(
        f"mean-pose-{model}-{dataset}",
        f"How far below that of the mean training pose is the PA-MPJPE of {who} on {dataset}?",
        sums,
        saved_share,
        "%",
        POSITIVE,
        sampling,
        f"the mean pose: {float(np.nanmean(nothing)):.1f} mm",
    )


def feature_noise(
    phi: Float[np.ndarray, "frames channels"], sequences: Sequences, dataset: str, sampling: Sampling
) -> Finding:
    """Do features change from frame to frame by more than the pose does?

    The mean square of second differences by six times the variance is 1 for white noise and near 0 for what moves
    smoothly. Of features it is set against that of the joints they are of.

    Args:
        phi: of the frames of `sequences`, in their order.
    """
    inside = np.flatnonzero(sequences.clip[2:] == sequences.clip[:-2])
    clip, clips = sequences.clip[inside], len(sequences.clips)
    joints = sequences.target_m.reshape(len(phi), -1)
    sides = [per_item(_roughness(values)[inside], clip, clips) for values in (phi, joints)]
    first, second = (Sums.of(values, sequences.groups) for values in sides)
    shares = [100 * float(ratio(sums.values.mean(0).sum(0))) for sums in (first, second)]
    return finding(
        f"feature-noise-{dataset}",
        f"How much rougher in time are the features of {dataset} than the true joints?",
        _beside(first, second),
        quotient,
        "times",
        Band("above 1", above=1),
        sampling,
        f"second differences, white noise being 100 %: {shares[0]:.2f} % of features, {shares[1]:.3f} % of joints",
    )


def _roughness(values: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, " triplets"]:
    values = values.astype(np.float64)
    spread = 6 * values.var(0).sum()
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return (second**2).sum(-1) / max(float(spread), 1e-12)


def _beside(first: Sums, second: Sums) -> Sums:
    """Columns of both, of the same items."""
    return Sums(np.concatenate([first.values, second.values], -1), first.groups, first.strata)


def _like(sequences: Sequences) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(sequences.target_m, sequences.predicted_m.shape))
