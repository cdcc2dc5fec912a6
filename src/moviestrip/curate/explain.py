"""Why one clip is used or is not: a line for each filter, in words, as `moviestrip curate --explain` prints it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from moviestrip.curate.filters import APPEARANCE, FILTERS
from moviestrip.errors import ConfigError, FatalError

NEAREST = 3  # ids named where one is not known


@dataclass(frozen=True)
class Words:
    """How a filter's value, its threshold and a value that could not be had are said."""

    found: Callable[[float], str]
    wanted: Callable[[float], str]
    unmeasured: str = "not measured"


WORDS: dict[str, Words] = {
    "length": Words("{:.0f} frames".format, "at least {:.0f}".format),
    "shot_cuts": Words("{:.0f} within the clip".format, "at most {:.0f}".format, "nobody looked for cuts"),
    "visible_keypoints": Words("{:.0f} keypoints at best".format, "more than {:.0f}".format),
    "detected_fraction": Words("detected in {:.1%} of the frames".format, "at least {:.1%}".format),
    "face_only": Words("face and shoulders in {:.1%}".format, "less than {:.1%}".format),
    "person_height": Words("{:.1f} px tall".format, "at least {:.1f}".format),
    "mean_confidence": Words("confidence {:.3f}".format, "at least {:.3f}".format),
    "motion": Words("{:.3f} heights a second".format, "at least {:.3f}".format, "too short or too little seen"),
    "sharpness": Words("sharpness {:.3f}".format, "at least {:.3f}".format, "nobody seen in the key frames"),
    "near_duplicate": Words(
        "{:.0f} of 256 bits from an earlier video".format,
        lambda bits: "anything" if bits < 0 else f"more than {bits:.0f}",
        "nothing to compare with",
    ),
}


@dataclass(frozen=True)
class Line:
    """What one filter found and wanted; `passed` is None where it has not been asked."""

    filter: str
    found: str
    wanted: str
    passed: bool | None


@dataclass(frozen=True)
class Explanation:
    """Which clip it is, and what every filter says of it in the funnel's order."""

    heading: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The filters that leave the clip out: none if it is used."""
        return tuple(line.filter for line in self.lines if line.passed is False)

    @property
    def verdict(self) -> str:
        return f"out: {', '.join(self.reasons)}" if self.reasons else "in: it passed every filter"

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("filter", "found", "wanted", ""):
            table.add_column(column, overflow="fold")
        for line in self.lines:
            verdict = {True: Text("in"), False: Text("out", "bold red"), None: Text("-")}[line.passed]
            table.add_row(Text(line.filter), Text(line.found), Text(line.wanted), verdict)
        colour = "bold red" if self.reasons else "bold green"
        return Group(*map(Text, self.heading), Text(self.verdict, colour), table)


def find_clip(name: str, clip_ids: Sequence[str]) -> str:
    """The clip whose id is `name`, or the only one whose id begins with it."""
    if name in clip_ids:
        return name
    found = sorted({clip_id for clip_id in clip_ids if clip_id.startswith(name)})
    if len(found) == 1:
        return found[0]
    if found:
        more = ", ..." if len(found) > NEAREST else ""
        raise ConfigError(f"clip '{name}': {len(found)} begin so: {', '.join(found[:NEAREST])}{more}; add a character")
    near = _nearest_names(name, clip_ids)
    way_out = f"the nearest are {', '.join(near)}" if near else "there are no clips yet; run the curate stage"
    raise ConfigError(f"clip '{name}' is not known; {way_out}")


def _nearest_names(name: str, clip_ids: Sequence[str]) -> list[str]:
    """The ids that differ from `name` in the fewest places, as far as it goes."""
    ids = np.unique(np.array([clip_id for clip_id in clip_ids if clip_id], str))
    if len(ids) == 0:
        return []
    width = max(len(name), ids.itemsize // 4)
    places = ids.astype(f"U{width}").view("U1").reshape(len(ids), width)[:, : len(name)]
    differing = (places != np.array(list(name))).sum(axis=1)
    return ids[np.argsort(differing, kind="stable")[:NEAREST]].tolist()


def explain(
    clip: Mapping[str, Any], attributes: pd.DataFrame, video: Mapping[str, Any], original: str = ""
) -> Explanation:
    """What every filter says of a clip, given its row of CLIPS, the attributes of its shard and its row of VIDEOS.

    `original` is the video that it nearly repeats, if known.
    """
    own = attributes[attributes["clip_id"] == clip["clip_id"]].set_index("filter")
    if own.empty:
        raise FatalError(f"clip {clip['clip_id']}: no filter says anything of it; curate its shard again")
    asked = set(attributes["filter"])
    order = [*FILTERS, *APPEARANCE, *sorted(asked - {*FILTERS, *APPEARANCE})]
    lines = [_line(name, own, original) for name in order if name in asked]
    last = clip["first_frame"] + clip["n_frames"] - 1
    heading = (
        f"clip {clip['clip_id']} of {clip['dataset']}, {clip['split']}",
        f"person {clip['track']}, frames {clip['first_frame']} to {last}: "
        f"{clip['n_frames'] / clip['fps']:.1f} s at {clip['fps']:g} frames a second",
        f"video {clip['video_id']}, {video['width_px']} x {video['height_px']} px: {video['source']}",
    )
    return Explanation(heading, tuple(lines))


def _line(name: str, own: pd.DataFrame, original: str) -> Line:
    if name not in own.index:
        return Line(name, "not looked at", "", None)
    row: Any = own.loc[name]
    value, threshold, passed = float(row["value"]), float(row["threshold"]), bool(row["passed"])
    words = WORDS.get(name, Words("{:g}".format, "threshold {:g}".format))
    found = words.unmeasured if math.isnan(value) else words.found(value)
    if name == "near_duplicate" and original and not passed:
        found = f"{value:.0f} of 256 bits from {original}"
    return Line(name, found, words.wanted(threshold), passed)
