"""How noisy are pseudo-2D labels? Measured against the truth of the pictures they were detected in.

The renderer knows where every joint is; training on pseudo-labelled videos does not. A label is as noisy as the
detector is when it is the detector's keypoint and nothing else, which is checked here too. Errors are of the twelve
joints of the limbs, which detector, labels and truth all have, in percent of the person's size: the longer side of the
box round all true keypoints, as in PCK.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation.findings import (
    Band,
    Finding,
    Sampling,
    Sums,
    counted,
    difference,
    finding,
    per_item,
    quotient,
    ratio,
    share,
)
from moviestrip.evaluation.score import groups_of
from moviestrip.skeleton import HMMR_25, indices_of, mirror_permutation
from moviestrip.tables import stack

LIMBS = tuple(
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)
ERROR_RANGE = Band("between 0.5 and 5: neither the truth nor useless", 0.5, 5)
PCK_SHARE = 0.1
PCK_RANGE = Band("between 60 and 98: neither the truth nor useless", 60, 98)
APART_SHARE = 0.1  # sides closer together than this share of the person's size cannot be told to be swapped
SAME_PERSON_SHARE = 0.5  # of a person's size, that the median keypoint may be off for a track to be of that person


@dataclass(frozen=True)
class Detected:
    """Labels of the limbs beside the truth, frame by frame.

    Attributes:
        clips: a row a clip: clip_id, dataset, group; whose person the truth knows.
        clip: position of each frame's clip; frames of a clip stand together, in order.
        frame: index in the clip.
        person_px: each frame's size of the person.
        seen: detected at all. visible: by the z-buffer.
    """

    clips: pd.DataFrame
    clip: Int[np.ndarray, " frames"]
    frame: Int[np.ndarray, " frames"]
    burst: np.ndarray
    person_px: Float[np.ndarray, " frames"]
    label_px: Float[np.ndarray, "frames 12 2"]
    seen: Bool[np.ndarray, "frames 12"]
    target_px: Float[np.ndarray, "frames 12 2"]
    visible: Bool[np.ndarray, "frames 12"]

    @property
    def error(self) -> Float[np.ndarray, "frames 12"]:
        """In shares of the person's size; NaN of a joint that is hidden or was not detected."""
        size = np.linalg.norm(self.label_px - self.target_px, axis=-1) / self.person_px[:, None]
        return np.where(self.seen & self.visible, size, np.nan)

    def sums(self, values: Float[np.ndarray, "rows joints"], clip: np.ndarray | None = None) -> np.ndarray:
        """Sum and number of finite values a clip."""
        of_row = self.clip if clip is None else clip
        joints = values.reshape(len(of_row), -1)
        return per_item(joints.reshape(-1), np.repeat(of_row, joints.shape[1]), len(self.clips))[None]

    def beside(self, *parts: np.ndarray) -> Sums:
        return Sums.of(np.concatenate(parts, -1), self.clips["group"])


def join_detected(labels: pd.DataFrame, clips: pd.DataFrame, truth: pd.DataFrame) -> Detected:
    """Find each tracked clip's person in the TRUTH and pair its labels with that person's true keypoints.

    Frames in which the truth does not show the person, and clips that are of nobody, are left out.
    """
    truth = truth.reset_index(drop=True)
    true_keypoints = stack(truth["keypoints_2d"], 25, 3)
    row_of = pd.Series(truth.index, index=pd.MultiIndex.from_frame(truth[["video_id", "frame", "person"]]))
    by_clip = dict(tuple(labels.groupby("clip_id")))
    chosen: list[dict] = []
    pairs: list[tuple[np.ndarray, ...]] = []
    for clip in clips.sort_values("clip_id").to_dict("records"):
        rows = by_clip[clip["clip_id"]].sort_values("frame")
        people = truth.loc[truth["video_id"] == clip["video_id"], "person"].unique()
        candidates = [_true_rows(row_of, clip["video_id"], rows["video_frame"], person) for person in people]
        keypoints = stack(rows["keypoints_2d"], 25, 3)
        distances = [_median_distance(keypoints, true_keypoints, at) for at in candidates]
        if len(distances) and min(distances) < SAME_PERSON_SHARE:
            at = candidates[int(np.argmin(distances))]
            pairs.append(_pair(len(chosen), rows, keypoints, truth, true_keypoints, at))
            chosen.append({**clip, "motion_id": truth["motion_id"].iloc[at[at >= 0][0]]})
    if not chosen:
        raise FatalError(f"detector noise: none of {len(clips)} tracked clips is of a person the truth knows")
    found = pd.DataFrame(chosen)
    columns = [np.concatenate(column) for column in zip(*pairs, strict=True)]
    return Detected(found.assign(group=groups_of(found)), *columns)


def _true_rows(row_of: pd.Series, video_id: str, frames: pd.Series, person: int) -> Int[np.ndarray, " frames"]:
    asked = pd.MultiIndex.from_arrays([[video_id] * len(frames), frames, [person] * len(frames)])
    return row_of.reindex(asked).fillna(-1).to_numpy(np.int64)


def _median_distance(keypoints: np.ndarray, true_keypoints: np.ndarray, at: np.ndarray) -> float:
    known = at >= 0
    seen = keypoints[known][..., 2] > 0
    if not seen.any():
        return np.inf
    target = true_keypoints[at[known]]
    off_px = np.linalg.norm(keypoints[known][..., :2] - target[..., :2], axis=-1) / _sizes_px(target)[:, None]
    return float(np.median(off_px[seen]))


def _sizes_px(keypoints: Float[np.ndarray, "frames 25 3"]) -> Float[np.ndarray, " frames"]:
    return np.ptp(keypoints[..., :2], axis=1).max(-1)


def _pair(
    position: int,
    rows: pd.DataFrame,
    keypoints: np.ndarray,
    truth: pd.DataFrame,
    true_keypoints: np.ndarray,
    at: np.ndarray,
) -> tuple[np.ndarray, ...]:
    known, order = at >= 0, indices_of(LIMBS, HMMR_25)
    target = true_keypoints[at[known]].astype(np.float64)
    label = keypoints[known][:, order].astype(np.float64)
    return (
        np.full(int(known.sum()), position),
        rows["frame"].to_numpy()[known],
        truth["burst"].to_numpy()[at[known]],
        _sizes_px(target),
        label[..., :2],
        label[..., 2] > 0,
        target[:, order, :2],
        target[:, order, 2] > 0,
    )


def detector_noise(detected: Detected, names: str, sampling: Sampling) -> Iterator[Finding]:
    """How many joints are missed, how far off the others are, how much they tremble, how often sides are swapped."""
    error, visible = detected.error, detected.visible
    missed = detected.sums(np.where(visible, ~detected.seen, np.nan))
    question = f"How many visible joints does the detector miss on {names}?"
    yield _of(detected, "detector-missed", question, missed, share, "%", Band("above 0", above=0), sampling)
    hits = detected.sums(np.where(visible, error < PCK_SHARE, np.nan))
    question = f"How many visible joints do pseudo-labels of {names} place within a tenth of the person's size?"
    yield _of(detected, "detector-pck", question, hits, share, "%", PCK_RANGE, sampling)
    medians = pd.DataFrame({"clip": np.repeat(detected.clip, 12), "error": error.ravel()}).groupby("clip").median()
    typical = np.full((1, len(detected.clips)), np.nan)
    typical[0, medians.index] = medians["error"]
    sums = per_item(typical, np.arange(typical.shape[1]), typical.shape[1])
    question = f"How far is a pseudo-labelled joint of {names} off, in percent of the person's size?"
    note = "each clip's median, mean over clips"
    yield _of(detected, "detector-error", question, sums, share, "%", ERROR_RANGE, sampling, note)
    yield from (trembling(detected, names, sampling), swaps(detected, names, sampling))
    if (detected.burst != "none").any():
        yield _under_bursts(detected, names, sampling)


def trembling(detected: Detected, names: str, sampling: Sampling) -> Finding:
    """Second differences of the error against those of the truth, of joints seen in three frames in succession."""
    together = (detected.clip[2:] == detected.clip[:-2]) & (detected.frame[2:] == detected.frame[:-2] + 2)
    usable = (detected.seen & detected.visible)[:, :, None]
    known = (usable[2:] & usable[1:-1] & usable[:-2])[..., 0] & together[:, None]
    size = detected.person_px[1:-1, None]
    sides = []
    for places in (detected.label_px - detected.target_px, detected.target_px):
        second = np.linalg.norm(places[2:] - 2 * places[1:-1] + places[:-2], axis=-1) / size
        sides.append(detected.sums(np.where(known, second, np.nan), detected.clip[1:-1]))
    means = [100 * float(ratio(part[0].sum(0))) for part in sides]
    return _of(
        detected,
        "detector-jitter",
        f"How much do pseudo-labelled joints of {names} tremble, against the joints' own acceleration?",
        np.concatenate(sides, -1),
        quotient,
        "times",
        Band("above 1: more noise than motion", above=1),
        sampling,
        f"{means[0]:.2f} against {means[1]:.2f} % of the person's size a frame squared",
    )


def swaps(detected: Detected, names: str, sampling: Sampling) -> Finding:
    """Pairs of sides that lie apart, both detected, each nearer to the other's true place."""
    other = mirror_permutation(LIMBS)
    left = np.array([index for index, name in enumerate(LIMBS) if name.startswith("left")])
    apart = np.linalg.norm(detected.target_px - detected.target_px[:, other], axis=-1) / detected.person_px[:, None]
    straight, crossed = (
        np.linalg.norm(detected.label_px - target, axis=-1)
        for target in (detected.target_px, detected.target_px[:, other])
    )
    swapped = straight + straight[:, other] > crossed + crossed[:, other]
    usable = detected.seen & detected.seen[:, other] & (apart > APART_SHARE)
    sums = detected.sums(np.where(usable, swapped, np.nan)[:, left])
    question = f"How often do pseudo-labels of {names} take left for right?"
    return _of(detected, "detector-swaps", question, sums, share, "%", Band("above 0", above=0), sampling)


def _under_bursts(detected: Detected, names: str, sampling: Sampling) -> Finding:
    """Joints an occluder hides count here: the detector guesses them, and training is told so."""
    hit = detected.burst != "none"
    clean = ~hit & np.isin(detected.clip, np.unique(detected.clip[hit]))
    near = np.linalg.norm(detected.label_px - detected.target_px, axis=-1) < PCK_SHARE * detected.person_px[:, None]
    far = 100.0 * ~(near & detected.seen)
    sides = [detected.sums(np.where(chosen[:, None], far, np.nan)) for chosen in (hit, clean)]
    question = f"How many more joints of {names} are missed or misplaced under a burst, within clips?"
    expected = Band("above 0", above=0)
    note = "visible or not"
    sums = np.concatenate(sides, -1)
    return _of(detected, "detector-bursts", question, sums, difference, "points", expected, sampling, note)


def error_shares(detected: Detected, shares: Float[np.ndarray, " places"]) -> pd.DataFrame:
    """Percent of visible joints within each share of the person's size, in clean frames and under bursts."""
    error = np.where(detected.visible & ~detected.seen, np.inf, detected.error)
    kinds = {"clean": detected.burst == "none", "under a burst": detected.burst != "none"}
    rows = []
    for kind, chosen in kinds.items():
        values = error[chosen][detected.visible[chosen]]
        for place in shares if len(values) else ():
            rows.append({"row": kind, "within": 100 * float(place), "joints": 100 * float((values <= place).mean())})
    return pd.DataFrame(rows, columns=["row", "within", "joints"])


def labels_are_detections(
    labels: pd.DataFrame, expected: Float[np.ndarray, "frames 25 3"], clips: int, names: str
) -> Finding:
    """No truth leaks: every pseudo-label is what the tracker holds, and none says anything in 3D.

    Args:
        expected: what labels of the same frames are, made from the TRACKS alone.
    """
    keypoints = stack(labels["keypoints_2d"], 25, 3)
    known_3d = labels["has_3d"].to_numpy(bool) | labels["has_body"].to_numpy(bool)
    for name, size in (("joints_3d_m", 42), ("pose", 72), ("betas", 10), ("translation_m", 3)):
        known_3d |= (stack(labels[name], size) != 0).any(-1)
    other = (keypoints != expected).any((1, 2)) | known_3d
    question = f"How many labels of {names} hold anything but the detector's keypoints?"
    note = f"of {len(labels)} frames"
    return counted("detector-no-leak", question, int(other.sum()), "frames", Band("0", below=0.5), clips, note)


def _of(
    detected: Detected,
    check: str,
    question: str,
    values: np.ndarray,
    statistic,
    unit: str,
    expected: Band,
    sampling: Sampling,
    note: str = "",
) -> Finding:
    return finding(check, question, detected.beside(values), statistic, unit, expected, sampling, note)
