"""The dataset check: silent on a sound dataset, and one line for each thing that is wrong."""

import numpy as np
import pandas as pd
import pytest

from moviestrip.datasets.check import check_dataset, report_on
from moviestrip.layout import RunFolder
from moviestrip.storage import write_json
from moviestrip.tables import ATTRIBUTES, CLIPS, LABELS, VIDEOS, empty, unstack, with_defaults, write_table


def sound():
    videos, clips, attributes, labels = [], [], [], []
    for name, split in (("a", "train"), ("b", "test")):
        videos.append([name, "d", "d-0000", split, "", "", "", "", "", "ok", "", 640, 480, 25.0, 12, "", 0.0, 0.0, 0.0])
        clips.append([f"clip-{name}", "d", name, 0, split, f"S-{name}", "", f"m-{name}", "pseudo_2d", 2, 10, 25.0, ""])
        attributes.append([f"clip-{name}", "length", 10.0, 5.0, True])
        part = pd.DataFrame({"clip_id": f"clip-{name}", "frame": range(10), "video_frame": range(2, 12)})
        part["box_center_px"], part["box_scale"] = unstack(np.full((10, 2), 200)), 1.0
        part["keypoints_2d"] = unstack(np.tile([200.0, 200, 1], (10, 25)))
        part["has_3d"], part["has_body"], part["burst"] = False, False, "none"
        for column, size in {
            "joints_3d_m": 42,
            "pose": 72,
            "betas": 10,
            "translation_m": 3,
            "intrinsics_px": 4,
        }.items():
            part[column] = unstack(np.zeros((10, size)))
        labels.append(with_defaults(part, LABELS))
    frames = [
        pd.DataFrame(rows, columns=empty(schema).columns)
        for rows, schema in ((videos, VIDEOS), (clips, CLIPS), (attributes, ATTRIBUTES))
    ]
    return [*frames, pd.concat(labels, ignore_index=True)]


def test_a_sound_run_has_counts_and_no_problems(tmp_path):
    run = RunFolder(tmp_path)
    write_json(run.plan("d", "d-0000"), {})
    places = (run.videos, run.clips, run.attributes, run.labels)
    for place, frame, schema in zip(places, sound(), (VIDEOS, CLIPS, ATTRIBUTES, LABELS), strict=True):
        write_table(place("d", "d-0000"), frame, schema)
    report = check_dataset("d", run)
    assert report.problems == []
    assert report.counts == {
        "videos": 2, "usable videos": 2, "candidate clips": 2, "used clips": 2, "labelled frames": 20,
        "frames with 3D": 0,
    }  # fmt: skip


def broken_video(videos, clips, attributes, labels):
    videos.loc[0, ["status", "reason"]] = "bad_video", "cut short"


def shared_subject(videos, clips, attributes, labels):
    clips["subject"] = "S1"


def shared_motion(videos, clips, attributes, labels):
    clips["motion_id"] = "walk"


def missing_label(videos, clips, attributes, labels):
    labels.drop(index=3, inplace=True)


def clip_too_long(videos, clips, attributes, labels):
    videos.loc[0, "n_frames"] = 11


def orphan(videos, clips, attributes, labels):
    videos.drop(index=0, inplace=True)


def infinite_box(videos, clips, attributes, labels):
    labels.loc[4, "box_scale"] = np.inf


def wrong_units(videos, clips, attributes, labels):
    labels["keypoints_2d"] = unstack(np.tile([-0.5, 0.5, 1], (20, 25)))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (broken_video, "video a of shard d-0000 is left out: bad_video: cut short"),
        (shared_subject, "subject 'S1' is in several splits (test, train)"),
        (shared_motion, "motion_id 'walk' is in several splits (test, train)"),
        (missing_label, "clip clip-a: 9 labels for 10 frames"),
        (clip_too_long, "clip clip-a: ends after its video's 11 frames"),
        (orphan, "clip clip-a: its video a is not in the videos table"),
        (infinite_box, "clip clip-a: its box is not a person's"),
        (wrong_units, "clip clip-b: most of its keypoints lie outside the picture"),
    ],
)
def test_every_harm_is_named(harm, message):
    frames = sound()
    harm(*frames)
    problems = report_on(*frames).problems
    assert any(problem.startswith(message) for problem in problems), problems
