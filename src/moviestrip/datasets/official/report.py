"""What `moviestrip dataset check NAME` says of a release before any run: what it holds, and what is wrong with it.

The release is read directly by its adapter: every video is listed, and the labels of some or of all are read. A file
that cannot be read is a problem that names it, and the next video is tried.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import get_args

import numpy as np
import pandas as pd

from moviestrip.config import Split
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.errors import StorageError
from moviestrip.progress import track

SAMPLED_VIDEOS = 3  # of each split, unless all are read
SPLITS: tuple[Split, ...] = get_args(Split)
COUNTED_FPS = 25.0  # at which HMMR's Table 1 counts frames

# Who counts what `Release.expected` holds.
EXPECTED_FROM: Mapping[str, str] = {
    "h36m": "the release's 30 sequences a subject by 4 cameras less what HMMR leaves out; frames: HMMR, Table 1",
    "3dpw": "60 sequences by its page, split as HMMR's lists",
    "mpi-inf-3dhp": "mpii_get_sequence_info.m by eight cameras; test frames: mmpose and the test set's README.txt",
    "penn-action": "2326 videos by its page; 1068 for testing by HMMR, section 5.1, of which 107 are held out",
    "posetrack18": "593 by the challenge of 2018, 170 by version 0.45 of the labels",
    "nba": "HMMR, section 5.1",
    "instavariety": "lines of HMMR's two lists; those whose videos are gone count as missing",
    "vlog-people": "lines of vlog_ids.txt",
    "kinetics-400": "lines of the three lists, together the paper's 306,245; those whose videos are gone are missing",
}


@dataclass(frozen=True)
class Total:
    """A count of the release beside the one that its authors or a paper print; None where it was not counted."""

    what: str
    found: int | None
    expected: int

    @property
    def verdict(self) -> str:
        """'as expected', 'not counted', or by how much it differs; a total printed in thousands is compared so."""
        if self.found is None:
            return "not counted; --all counts frames"
        rounded = round(self.found, -3) if self.expected % 1000 == 0 else self.found
        return "as expected" if rounded == self.expected else f"differs by {self.found - self.expected:+,}"


@dataclass(frozen=True)
class ReleaseReport:
    """A release as it lies in its folder.

    Attributes:
        videos: how many of each split.
        digest: of the names and splits of all videos: equal where two people have the same.
        totals: counts beside those that are printed; none under a rule for which nobody prints any.
        left_out: names and reasons of videos that are listed and not used.
        coverage: a row a split: videos_read, frames, rows (people and frames), and the shares of the rows with
            keypoints, joints_3d, body, and that are trusted.
        problems: everything that could not be read, each naming its file.
    """

    videos: Mapping[str, int]
    digest: str
    totals: Sequence[Total]
    left_out: Sequence[tuple[str, str]]
    coverage: pd.DataFrame
    problems: Sequence[str]


def report_on_release(release: Release, whole: bool = False) -> ReleaseReport:
    """List a release, and read the labels of a few videos of each split, or of the whole."""
    listed, problems = list_videos(release)
    problems += [f"{release.folder / video.file}: missing" for video in listed if not there(release, video)]
    chosen = listed if whole else list(sampled(listed, SAMPLED_VIDEOS))
    facts, unread = _read_labels(release, chosen)
    complete = whole and not problems and not unread
    return ReleaseReport(
        videos={split: sum(video.split == split for video in listed) for split in SPLITS},
        digest=digest_of_listing(listed),
        totals=_totals(release, listed, facts if complete else None),
        left_out=_left_out(release),
        coverage=coverage_of(facts),
        problems=[*problems, *unread],
    )


def list_videos(release: Release) -> tuple[list[ReleasedVideo], list[str]]:
    """All videos up to where the release is incomplete, and what is wrong there."""
    listed: list[ReleasedVideo] = []
    try:
        for video in release.videos():
            listed.append(video)
    except StorageError as error:
        return listed, [str(error)]
    return listed, []


def there(release: Release, video: ReleasedVideo) -> bool:
    return (release.folder / video.file).exists()


def sampled(videos: Sequence[ReleasedVideo], count: int) -> Iterator[ReleasedVideo]:
    """At most `count` videos of each split, evenly spread."""
    for split in SPLITS:
        of_split = [video for video in videos if video.split == split]
        places = np.unique(np.linspace(0, len(of_split) - 1, min(count, len(of_split))).round().astype(int))
        yield from (of_split[place] for place in places)


def digest_of_listing(videos: Iterable[ReleasedVideo]) -> str:
    lines = sorted(f"{video.split} {video.name}\n" for video in videos)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _left_out(release: Release) -> list[tuple[str, str]]:
    """What the adapter's rule leaves out, and what it lists and cannot find."""
    by_rule = getattr(import_module(type(release).__module__), "LEFT_OUT", {}).get(release.rule, {})
    missing = getattr(release, "missing", None)
    try:
        return [*by_rule.items(), *(missing() if missing else ())]
    except StorageError:  # already among the problems: the same index could not be read
        return list(by_rule.items())


FACTS = ("split", "frames", "frames_25_fps", "rows", "keypoints", "joints_3d", "body", "trusted", "trusted_frames")


def _read_labels(release: Release, videos: Sequence[ReleasedVideo]) -> tuple[pd.DataFrame, list[str]]:
    """Counts of each video's labels: (FACTS), and what could not be read."""
    rows, problems = [], []
    for video in track(videos, f"read labels of {release.name}"):
        try:
            rows.append(_facts(video, release.people(video)))
        except StorageError as error:
            problems.append(str(error))
    facts = pd.DataFrame(rows, columns=list(FACTS))
    return facts.astype({name: float for name in FACTS if name != "split"}), problems


def _facts(video: ReleasedVideo, people: People) -> tuple[str, int, float, int, int, int, int, int, int]:
    frames = len(np.unique(people.frame))
    return (
        video.split,
        frames,
        frames * COUNTED_FPS / video.fps if video.fps else 0.0,
        len(people.frame),
        int((people.keypoints_px[..., 2] > 0).any(axis=1).sum()),
        int(people.has_3d.sum()),
        int(people.has_body.sum()),
        int(people.trusted.sum()),
        len(np.unique(people.frame[people.trusted])),
    )


def coverage_of(facts: pd.DataFrame) -> pd.DataFrame:
    """A row a split: how much was read, and what share of its rows has each label."""
    summed = facts.assign(videos_read=1).groupby("split", sort=False).sum(numeric_only=True)
    counts = summed[["videos_read", "frames", "rows"]].astype(int)
    labels = summed[["keypoints", "joints_3d", "body", "trusted"]]
    shares = labels.div(summed["rows"].where(summed["rows"] > 0), axis=0).fillna(0.0)
    return counts.join(shares).reset_index()


def _totals(release: Release, listed: Sequence[ReleasedVideo], facts: pd.DataFrame | None) -> list[Total]:
    """Counts beside the printed ones, which are all of the release's first rule; frames only of a whole reading."""
    if release.rule != release.rules[0]:
        return []
    return [Total(what, _count(what, listed, facts), expected) for what, expected in release.expected.items()]


_WHAT = re.compile(r"(?P<trusted>trusted )?(?P<split>\w+) (?P<what>videos|frames)(?P<at> at 25 fps)?")


def _count(what: str, listed: Sequence[ReleasedVideo], facts: pd.DataFrame | None) -> int | None:
    match = _WHAT.fullmatch(what)
    assert match is not None, what  # a test reads every release's
    if match["what"] == "videos":
        return sum(video.split == match["split"] for video in listed)
    if facts is None:
        return None
    column = "trusted_frames" if match["trusted"] else "frames_25_fps" if match["at"] else "frames"
    return round(float(facts.loc[facts["split"] == match["split"], column].sum()))


def lines_of(report: ReleaseReport) -> list[str]:
    """The report as a person reads it at 80 columns, without its problems."""
    totals = {total.what: total for total in report.totals}
    lines = []
    for split, count in report.videos.items():
        total = totals.pop(f"{split} videos", None)
        if count or total:
            lines.append(f"{count:10,} {split} videos" + (f" ({_beside(total)})" if total else ""))
    for what, total in totals.items():
        counted = "?" if total.found is None else f"{total.found:,}"
        lines.append(f"{counted:>10} {what} ({_beside(total)})")
    lines.append(f"listing: {report.digest[:16]} (equal for equal videos and splits)")
    if report.left_out:
        lines.append(f"left out: {len(report.left_out):,}")
        lines += [f"  {name}: {reason}" for name, reason in itertools.islice(report.left_out, SHOWN)]
        lines += [f"  and {len(report.left_out) - SHOWN:,} more"] if len(report.left_out) > SHOWN else []
    return [*lines, *_coverage_lines(report)]


SHOWN = 8


def _beside(total: Total) -> str:
    if total.found == total.expected:
        return "as expected"
    return f"expected {total.expected:,}: {total.verdict}"


def _coverage_lines(report: ReleaseReport) -> list[str]:
    if report.coverage.empty:
        return []
    head = f"{'labels of':12}{'videos':>8}{'frames':>11}{'people':>11}{'2D':>7}{'3D':>7}{'body':>7}{'trusted':>9}"
    rows = [
        f"{row.split:12}{row.videos_read:8,}{row.frames:11,}{row.rows:11,}"
        + "".join(f"{share:{width}.0%}" for share, width in zip(row[5:9], (7, 7, 7, 9), strict=True))
        for row in report.coverage.itertuples()
    ]
    return ["", head, *rows]
