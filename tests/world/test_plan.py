"""Planned videos: stable ids, appended and never changed, and nobody in two splits."""

import numpy as np
import pytest

from moviestrip.config import DatasetSettings, WorldSettings
from moviestrip.errors import ConfigError
from moviestrip.world.performers import betas_of
from moviestrip.world.plan import ACTIONS, VideoSpec, plan_videos


def dataset(scene: str = "studio", people: int = 1, **changes: object) -> DatasetSettings:
    source = {
        "kind": "rendered",
        "scene": scene,
        "videos": {"train": 20, "test": 5},
        "subjects": {"train": ["S1", "S6", "S7", "S8"], "test": ["S9", "S11"]},
        "people": people,
        **changes,
    }
    return DatasetSettings.model_validate(
        {"role": "mocap3d", "title": "Studio", "licence": "made here", "supervision": "full_3d", "tube": "truth",
         "source": source}
    )  # fmt: skip


def test_counts_scale_and_ids_are_unique():
    specs = plan_videos("studio", dataset(), WorldSettings(), 0)
    assert len(specs) == 25 and len({spec.video_id for spec in specs}) == 25
    assert len(plan_videos("studio", dataset(), WorldSettings(frames_scale=0.1), 0)) == 2 + 1


def test_raising_the_count_appends():
    few = plan_videos("studio", dataset(), WorldSettings(), 0)
    many = plan_videos("studio", dataset(), WorldSettings(frames_scale=3), 0)
    by_id = {spec.video_id: spec for spec in many}
    assert all(by_id[spec.video_id] == spec for spec in few)


def test_name_and_seed_give_other_videos():
    ids = [{spec.video_id for spec in plan_videos(name, dataset(), WorldSettings(), seed)}
           for name, seed in (("studio", 0), ("studio", 1), ("hall", 0))]  # fmt: skip
    assert not ids[0] & ids[1] and not ids[0] & ids[2]


def test_every_action_subject_and_camera_gets_its_turn():
    specs = [spec for spec in plan_videos("studio", dataset(), WorldSettings(frames_scale=4), 0)
             if spec.split == "train"]  # fmt: skip
    assert {spec.action for spec in specs} == set(ACTIONS["studio"])
    assert {(spec.subject, spec.camera) for spec in specs} == {
        (subject, camera) for subject in ("S1", "S6", "S7", "S8") for camera in range(4)
    }


def test_more_people_are_others_and_stay_in_their_split():
    many = plan_videos("studio", dataset(), WorldSettings(frames_scale=4, subjects_scale=3), 0)
    cast = {split: {spec.subject for spec in many if spec.split == split} for split in ("train", "test")}
    assert len(cast["train"]) == 12 and len(cast["test"]) == 6 and not cast["train"] & cast["test"]
    assert cast["test"] > {"S9", "S11", "S9-2"}
    bodies = np.array([betas_of(subject) for subject in sorted(cast["train"])])
    assert len(np.unique(bodies, axis=0)) == 12


def test_people_are_as_many_as_allowed():
    specs = plan_videos("street", dataset("street", people=3), WorldSettings(frames_scale=4), 0)
    assert {spec.people for spec in specs} == {1, 2, 3}


def test_a_spec_survives_json():
    spec = plan_videos("studio", dataset(), WorldSettings(), 0)[0]
    assert VideoSpec.model_validate({"source": "rendered:x", **spec.model_dump(mode="json")}) == spec


def test_a_subject_in_two_splits_is_refused():
    with pytest.raises(ConfigError, match=r"'S1' is in train and in test"):
        plan_videos("studio", dataset(subjects={"train": ["S1"], "test": ["S1"]}), WorldSettings(), 0)
    with pytest.raises(ConfigError, match=r"source\.subjects\.test"):
        plan_videos("studio", dataset(subjects={"train": ["S1"]}), WorldSettings(), 0)
