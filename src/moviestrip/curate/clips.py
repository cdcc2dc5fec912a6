"""Candidate clips of a shard, the filters' verdicts on each, and the clips that are used.

With annotation (`tube: truth`) a clip is as much of a video as a person is annotated in without a gap; of a rendered
video only the person the camera follows. Without it, a track is cut where too few keypoints are seen, as in HMMR, and
every piece is a candidate, whatever the filters say.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.config import CurationSettings, DatasetSettings, OfficialSource, PreparedSource, suggestion
from moviestrip.curate.filters import APPEARANCE, FILTERS, Candidate, Keypoints, visible_count, visible_runs
from moviestrip.curate.tube import corners
from moviestrip.errors import ConfigError, FatalError
from moviestrip.skeleton import BODY_25, HMMR_25
from moviestrip.tables import ATTRIBUTES, CLIPS, empty, stack

FOLLOWED_PERSON = 0  # of the truth table: the one the camera follows


@dataclass(frozen=True)
class Person:
    """One person of one video over consecutive frames; a frame without a detection has confidence 0 throughout."""

    video_id: str
    track: int
    first_frame: int
    keypoints: Keypoints
    detected: np.ndarray  # (frames,): whether there is a row for the frame
    subject: str = ""
    action: str = ""
    motion_id: str = ""


def clip_id_of(video_id: str, track: int, first_frame: int) -> str:
    """The stable id of a clip: what it shows, not when or where it was found."""
    return hashlib.sha256(f"{video_id}/{track}/{first_frame}".encode()).hexdigest()[:16]


def tracked_people(tracks: pd.DataFrame) -> Iterator[Person]:
    """The people of a tracks table, gaps between their detections included."""
    keypoints = stack(tracks["keypoints"], len(BODY_25), 3)
    for _, rows in tracks.reset_index(drop=True).groupby(["video_id", "track"], sort=True):
        first, dense, detected = _dense(rows["frame"].to_numpy(), keypoints[rows.index])
        yield Person(str(rows["video_id"].iloc[0]), int(rows["track"].iloc[0]), first, dense, detected)


def people_of(dataset: DatasetSettings, people: pd.DataFrame) -> Iterator[Person]:
    """The people of a table of tracks, or of a truth table: everyone in a release, else the one the camera follows."""
    if dataset.tube == "tracks":
        return tracked_people(people)
    everyone = isinstance(dataset.source, OfficialSource)  # a rendered passer-by is in the truth for being in the way
    return annotated_people(people if everyone else people[people["person"] == FOLLOWED_PERSON])


def rows_of_person(truth: pd.DataFrame, video_id: str, person: int) -> pd.DataFrame:
    """The truth of one person of one video."""
    return truth[(truth["video_id"] == video_id) & (truth["person"] == person)].reset_index(drop=True)


def annotated_people(truth: pd.DataFrame) -> Iterator[Person]:
    """Everyone in a truth table."""
    truth = truth.reset_index(drop=True)
    keypoints = stack(truth["keypoints_2d"], len(HMMR_25), 3)
    for _, rows in truth.groupby(["video_id", "person"], sort=True):
        known = rows.iloc[0]
        first, dense, detected = _dense(rows["frame"].to_numpy(), keypoints[rows.index])
        yield Person(
            str(known["video_id"]),
            int(known["person"]),
            first,
            dense,
            detected,
            known["subject"],
            known["action"],
            known["motion_id"],
        )


def _dense(frames: np.ndarray, keypoints: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    first = int(frames.min())
    dense = np.zeros((int(frames.max()) - first + 1, *keypoints.shape[1:]), np.float32)
    detected = np.zeros(len(dense), bool)
    dense[frames - first] = keypoints
    detected[frames - first] = True
    return first, dense, detected


def candidate_spans(person: Person, settings: CurationSettings) -> list[tuple[int, int]]:
    """Where a tracked person's clips lie, [first, end) within its keypoints.

    The tracker has already judged that a gap in its detections is the same person, so a gap does not
    end a clip: the count before it is taken to last. A person never well seen is one candidate, and fails.
    """
    counts = visible_count(person.keypoints[person.detected], settings)
    held = counts[np.cumsum(person.detected) - 1]
    runs = visible_runs(held, settings.start_above_keypoints, settings.end_at_keypoints) or [(0, len(held))]
    longest = settings.maximum_frames
    return [(start, min(start + longest, end)) for first, end in runs for start in range(first, end, longest)]


def annotated_spans(person: Person) -> list[tuple[int, int]]:
    """Where an annotated person's clips lie: wherever frames are annotated without a gap."""
    steps = np.diff(person.detected.astype(np.int8), prepend=0, append=0)
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


# Every clip in which somebody is seen: what the papers are compared on is not for this project to choose.
BENCHMARK = {
    "minimum_frames": 1,
    "maximum_shot_cuts": 10**6,
    "minimum_detected_fraction": 0.0,
    "maximum_face_only_fraction": 1.0,
    "minimum_person_height_px": 1.0,
    "minimum_mean_confidence": 0.0,
    "minimum_motion": 0.0,
    "minimum_sharpness": 0.0,
    "duplicate_bits": -1,
}


def filters_of(dataset: DatasetSettings, settings: CurationSettings) -> CurationSettings:
    """The configuration's filters; of a release with annotation of its own, only that somebody is seen at all."""
    annotated = isinstance(dataset.source, OfficialSource | PreparedSource) and dataset.supervision != "pseudo_2d"
    return settings.model_copy(update=BENCHMARK) if annotated else settings


def curate_shard(
    name: str,
    dataset: DatasetSettings,
    videos: pd.DataFrame,
    people: pd.DataFrame,
    settings: CurationSettings,
    shots: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All candidate clips and the verdict of every filter on each: (tables.CLIPS, tables.ATTRIBUTES).

    `people` is the tracks table, or the truth table of a dataset whose tubes are annotated; without `shots` nobody
    looked for cuts.
    """
    settings = filters_of(dataset, settings)
    usable = videos[videos["status"] == "ok"].set_index("video_id")
    annotated = dataset.tube == "truth"
    joints = HMMR_25 if annotated else BODY_25
    clips, attributes = [], []
    for person in people_of(dataset, people):
        if person.video_id not in usable.index:
            continue
        video: Any = usable.loc[person.video_id]
        starts = None if shots is None else _shot_starts(shots, person.video_id)
        spans = annotated_spans(person) if annotated else candidate_spans(person, settings)
        for first, end in spans:
            clip_id = clip_id_of(person.video_id, person.track, person.first_frame + first)
            clips.append({
                "clip_id": clip_id, "dataset": name, "video_id": person.video_id, "track": person.track,
                "split": video["split"], "subject": person.subject or video["subject"],
                "action": person.action or video["action"], "motion_id": person.motion_id,
                "supervision": dataset.supervision, "first_frame": person.first_frame + first,
                "n_frames": end - first, "fps": video["fps"], "camera": video["camera"],
            })  # fmt: skip
            cuts = None if starts is None else _between(starts, person.first_frame + first, person.first_frame + end)
            attributes += verdicts(
                clip_id, Candidate(person.keypoints[first:end], joints, float(video["fps"]), cuts), settings
            )
    return (
        pd.DataFrame(clips, columns=empty(CLIPS).columns),
        pd.DataFrame(attributes, columns=empty(ATTRIBUTES).columns),
    )


def _shot_starts(shots: pd.DataFrame, video_id: str) -> np.ndarray:
    starts = shots.loc[shots["video_id"] == video_id, "first_frame"].to_numpy()
    if len(starts) == 0:
        raise FatalError(f"shots: none of video {video_id}, which has people; look for shots again")
    return starts


def _between(starts: np.ndarray, first_frame: int, end: int) -> int:
    """Shots that begin after a clip's first frame and before its end."""
    return int(((starts > first_frame) & (starts < end)).sum())


def verdicts(clip_id: str, clip: Candidate, settings: CurationSettings) -> list[dict]:
    """What every filter says of a clip, as rows of the attributes table."""
    return [{"clip_id": clip_id, "filter": name, **vars(judge(clip, settings))} for name, judge in FILTERS.items()]


def boxes_of_clips(
    tracks: pd.DataFrame, settings: CurationSettings
) -> Callable[[Mapping[str, Any]], Float[np.ndarray, "frames 4"]]:
    """From a row of CLIPS to the person's box in each frame: left, top, right, bottom in pixels, NaN where unseen."""
    people = {(person.video_id, person.track): person for person in tracked_people(tracks)}

    def boxes_of(clip: Mapping[str, Any]) -> Float[np.ndarray, "frames 4"]:
        person = people[clip["video_id"], clip["track"]]
        first = clip["first_frame"] - person.first_frame
        boxes = np.concatenate(
            corners(person.keypoints[first : first + clip["n_frames"]], settings.minimum_confidence), 1
        )
        return np.where(np.isfinite(boxes), boxes, np.nan)

    return boxes_of


def select(clips: pd.DataFrame, attributes: pd.DataFrame, except_for: Collection[str] = ()) -> pd.DataFrame:
    """The clips whose filters all passed, but for those that are not asked."""
    unknown = set(except_for) - {*FILTERS, *APPEARANCE}
    if unknown:
        raise ConfigError(f"filter '{min(unknown)}' is not known{suggestion(min(unknown), [*FILTERS, *APPEARANCE])}")
    asked = ~attributes["filter"].isin(list(except_for))
    failed = set(attributes.loc[asked & ~attributes["passed"].astype(bool), "clip_id"])
    return clips[~clips["clip_id"].isin(failed)].reset_index(drop=True)


def selected(clips: pd.DataFrame, attributes: pd.DataFrame) -> pd.DataFrame:
    """The clips that are used: all their filters passed, also those on pictures where they have been asked."""
    return select(clips, attributes)
