"""Overlay clips of a run folder made of real files: videos, tables and predictions."""

import json

import av
import numpy as np
import pandas as pd
import pytest

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.figures import overlay_clips
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.storage import digest_file, write_json

FRAMES = 12


def clips_of(dataset: str, actions: list[str], split: str = "test") -> pd.DataFrame:
    rows = [
        {
            "clip_id": f"{dataset}-{index}", "dataset": dataset, "video_id": f"{dataset}-v{index}", "track": 0,
            "split": split, "subject": "", "action": action, "motion_id": "", "supervision": "full_3d",
            "first_frame": 0, "n_frames": FRAMES, "fps": 25.0,
        }
        for index, action in enumerate(actions)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_clips_take_datasets_in_turn_and_new_actions_first():
    clips = pd.concat(
        [
            clips_of("street", ["walk", "walk", "run"]),
            clips_of("court", ["throw"]),
            clips_of("studio", ["sit"], split="train"),
        ]
    )
    chosen = overlay_clips.choose_clips(clips, 3)
    assert chosen.clip_id.to_list() == ["court-0", "street-0", "street-2"]
    assert overlay_clips.choose_clips(clips, 9).clip_id.to_list() == ["court-0", "street-0", "street-2", "street-1"]
    assert overlay_clips.choose_clips(clips, 0).empty
    assert overlay_clips.choose_clips(clips.sample(frac=1, random_state=0), 3).equals(chosen)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "tiny")
    clips = clips_of("street", ["walk", "run"])
    write_json(run.plan("street", "000"), [])
    tables.write_table(run.clips("street", "000"), clips, tables.CLIPS)
    videos, labels = [], []
    for clip in clips.itertuples():
        path = run.rendered("street", "000") / f"{clip.video_id}.mp4"
        write_video(path, np.full((FRAMES + 3, 96, 96, 3), 200, np.uint8))
        videos.append(
            {
                "video_id": clip.video_id, "dataset": "street", "shard": "000", "split": "test", "subject": "",
                "action": clip.action, "source": "", "path": str(path.relative_to(run.root)),
                "sha256": digest_file(path), "status": "ok", "reason": "", "width_px": 96, "height_px": 96,
                "fps": 25.0, "n_frames": FRAMES + 3,
            }
        )  # fmt: skip
        labels.append(label_rows(str(clip.clip_id)))
    tables.write_table(run.videos("street", "000"), pd.DataFrame(videos), tables.VIDEOS)
    tables.write_table(run.labels("street", "000"), pd.concat(labels), tables.LABELS)
    for variant in ("single-view", "contextual"):
        predictions = pd.concat([prediction_rows(str(clip_id)) for clip_id in clips.clip_id])
        tables.write_table(run.predictions(variant, 0, "street"), predictions, tables.PREDICTIONS)
    return run


def rows_of(columns: dict[str, int], **values) -> pd.DataFrame:
    arrays = {name: tables.unstack(np.zeros((FRAMES, size), np.float32)) for name, size in columns.items()}
    return pd.DataFrame({"frame": range(FRAMES), **arrays, **values})


def label_rows(clip_id: str) -> pd.DataFrame:
    sizes = {"keypoints_2d": 75, "joints_3d_m": 42, "pose": 72, "betas": 10, "translation_m": 3, "intrinsics_px": 4}
    centre = tables.unstack(np.full((FRAMES, 2), 48, np.float32))
    rows = rows_of(
        sizes, clip_id=clip_id, video_frame=np.arange(FRAMES) + 3, box_center_px=centre, box_scale=2.0, has_3d=True,
        has_body=True, burst="none",
    )  # fmt: skip
    return tables.with_defaults(rows, tables.LABELS)


def prediction_rows(clip_id: str) -> pd.DataFrame:
    camera = tables.unstack(np.tile(np.float32([0.9, 0, 0]), (FRAMES, 1)))
    rows = rows_of({"pose": 72, "betas": 10, "joints_3d_m": 42, "keypoints_2d": 50}, clip_id=clip_id, camera=camera)
    return rows[[column.name for column in tables.PREDICTIONS.columns]]


def test_every_variant_shows_the_same_clips(run, box):
    overlays = overlay_clips.render_overlays(run, ["street"], ["single-view", "contextual"], 0, box, count=6)
    assert [(item.clip_id, item.variant) for item in overlays] == [
        (f"street-{index}", variant) for index in range(2) for variant in ("single-view", "contextual")
    ]
    folder = run.figures / "overlays"
    listed = json.loads((folder / "overlays.json").read_text())
    assert {item["file"] for item in listed} | {"overlays.json"} == {path.name for path in folder.iterdir()}
    for item in listed:
        assert (folder / item["file"]).stat().st_size < 250_000
        with av.open(str(folder / item["file"])) as file:
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert len(frames) == item["n_frames"] == FRAMES
        side = frames[0].shape[0]
        assert frames[0].shape[1] == 4 * side
        middle = frames[5][side // 2, [side // 2, 5 * side // 2]].astype(int)
        assert abs(middle[0] - 200).max() < 6  # the input is as filmed
        assert abs(middle[1] - 200).max() > 20  # and the mesh stands on it


def test_two_renderings_are_the_same_bytes(run, box):
    folder = run.figures / "overlays"
    overlay_clips.render_overlays(run, ["street"], ["contextual"], 0, box, count=1)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    overlay_clips.render_overlays(run, ["street"], ["contextual"], 0, box, count=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_clips_that_a_variant_lacks_are_passed_over(run, box):
    tables.write_table(run.predictions("contextual", 0, "street"), prediction_rows("street-1"), tables.PREDICTIONS)
    overlays = overlay_clips.render_overlays(run, ["street"], ["single-view", "contextual"], 0, box, count=6)
    assert {item.clip_id for item in overlays} == {"street-1"}


def test_labels_and_predictions_must_meet(run, box):
    labels, predictions = label_rows("a"), prediction_rows("a").assign(frame=lambda rows: rows.frame + 100)
    with pytest.raises(FatalError, match="both labelled and predicted"):
        overlay_clips.overlays_of_clip(labels, [predictions], iter([]), box)


def test_predictions_of_other_frames_are_shown_on_their_own_frames(box):
    labels, predictions = label_rows("a"), prediction_rows("a")
    frames = np.arange(FRAMES + 3)[:, None, None, None] * 10 + np.zeros((96, 96, 3))  # frame n of the clip is 30 + 10 n
    some = [predictions, predictions[predictions.frame.isin([2, 5, 9])].sample(frac=1, random_state=0)]
    whole, part = map(list, overlay_clips.overlays_of_clip(labels, some, iter(frames.astype(np.uint8)), box))
    assert [int(picture[96, 96, 0]) for picture in whole] == [30 + 10 * frame for frame in range(FRAMES)]
    assert [int(picture[96, 96, 0]) for picture in part] == [50, 80, 120]
    assert all(np.array_equal(each, whole[frame]) for each, frame in zip(part, [2, 5, 9], strict=True))
