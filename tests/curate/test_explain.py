"""Explanations as they are printed, of clips curated from real tables."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from moviestrip.config import CurationSettings
from moviestrip.curate.clips import verdicts
from moviestrip.curate.explain import WORDS, explain, find_clip
from moviestrip.curate.filters import APPEARANCE, FILTERS, Candidate
from moviestrip.errors import ConfigError, FatalError
from moviestrip.skeleton import BODY_25

CLIP = {
    "clip_id": "3f2a9c0d11223344", "dataset": "insta-mini", "video_id": "4df170c21da9242c", "split": "train",
    "track": 2, "first_frame": 30, "n_frames": 50, "fps": 25.0,
}  # fmt: skip
VIDEO = {"width_px": 640, "height_px": 480, "source": "https://example.org/a[b]/post"}


def attributes(n_frames=50, height_px=200.0, cuts: int | None = 0, clip_id=CLIP["clip_id"]):
    keypoints = np.zeros((n_frames, 25, 3), np.float32)
    keypoints[..., 1] = np.linspace(0, height_px, 25)
    keypoints[..., 2] = 0.9
    return pd.DataFrame(verdicts(clip_id, Candidate(keypoints, BODY_25, 25.0, cuts), CurationSettings()))


def looks(sharpness=0.4, bits=90.0, clip_id=CLIP["clip_id"]):
    values = zip(APPEARANCE, (sharpness, bits), (0.2, 31.0), strict=True)
    return pd.DataFrame([
        {"clip_id": clip_id, "filter": name, "value": value, "threshold": at, "passed": not value <= at}
        for name, value, at in values
    ])  # fmt: skip


def printed(explanation, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(explanation)
    return console.file.getvalue()


def test_a_clip_that_is_used_is_in_by_every_filter():
    explanation = explain(CLIP, pd.concat([attributes(), looks()]), VIDEO)
    assert [line.filter for line in explanation.lines] == [*FILTERS, *APPEARANCE]
    assert explanation.reasons == () and all(line.passed for line in explanation.lines)
    text = printed(explanation)
    assert "clip 3f2a9c0d11223344 of insta-mini, train" in text
    assert "person 2, frames 30 to 79: 2.0 s at 25 frames a second" in text
    assert "https://example.org/a[b]/post" in text.replace("\n", "")
    assert "in: it passed every filter" in text


def test_whatever_leaves_a_clip_out_is_named_with_value_and_threshold():
    explanation = explain(CLIP, attributes(n_frames=39, height_px=59, cuts=2), VIDEO)
    assert explanation.verdict == "out: length, shot_cuts, person_height"
    rows = [line.split() for line in printed(explanation).splitlines()]
    assert ["length", "39", "frames", "at", "least", "40", "out"] in rows
    assert ["person_height", "59.0", "px", "tall", "at", "least", "60.0", "out"] in rows
    assert ["shot_cuts", "2", "within", "the", "clip", "at", "most", "0", "out"] in rows
    assert ["visible_keypoints", "25", "keypoints", "at", "best", "more", "than", "6", "in"] in rows


def test_the_video_that_a_clip_repeats_is_named():
    judged = pd.concat([attributes(), looks(bits=12)])
    assert "12 of 256 bits from 9999999999999999" in printed(explain(CLIP, judged, VIDEO, "9999999999999999"))
    assert "12 of 256 bits from an earlier video" in printed(explain(CLIP, judged, VIDEO))


def test_what_was_not_measured_and_what_was_not_asked_is_said():
    others = looks(clip_id="another")
    text = printed(explain(CLIP, pd.concat([attributes(n_frames=5, cuts=None), others]), VIDEO))
    assert "nobody looked for cuts" in text and "too short or too little seen" in text
    assert text.count("not looked at") == 2
    unknown = looks(sharpness=np.nan, bits=np.nan).assign(passed=True)
    text = printed(explain(CLIP, pd.concat([attributes(), unknown]), VIDEO))
    assert "nobody seen in the key frames" in text and "nothing to compare with" in text


def test_a_clip_that_nobody_judged_is_an_error():
    with pytest.raises(FatalError, match="no filter says anything of it"):
        explain(CLIP, attributes(clip_id="another"), VIDEO)


def test_every_filter_has_words():
    assert set(WORDS) == {*FILTERS, *APPEARANCE}


@pytest.mark.parametrize("bits", [np.nan, 12.0, 256.0])
def test_a_line_a_filter_fits_80_columns(bits):
    judged = pd.concat([attributes(n_frames=500, height_px=2000.0), looks(bits=bits)])
    lines = printed(explain(CLIP, judged, VIDEO, "f" * 16)).splitlines()
    table = lines[[line.startswith("filter") for line in lines].index(True) :]
    assert len(table) == 1 + len(judged) and max(map(len, lines)) <= 80


def test_a_clip_is_found_by_the_beginning_of_its_id():
    ids = ["3f2a9c0d11223344", "3f2b000011223344", "77aa000011223344"]
    assert find_clip("77", ids) == ids[2] and find_clip(ids[0], ids) == ids[0]
    with pytest.raises(ConfigError, match="2 begin so: 3f2a9c0d11223344, 3f2b000011223344; add a character"):
        find_clip("3f2", ids)
    with pytest.raises(ConfigError, match="not known; the nearest are 77aa000011223344, "):
        find_clip("77ab000011223344", ids)
    with pytest.raises(ConfigError, match="there are no clips yet"):
        find_clip("77", [])
    assert find_clip("a", ["a", "ab"]) == "a"
