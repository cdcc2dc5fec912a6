"""Copies of a clip: their names, and what readers get of them."""

import numpy as np
import pandas as pd
import torch

from moviestrip.features import copies
from moviestrip.layout import RunFolder
from moviestrip.storage import write_features
from moviestrip.tables import CROPS, FEATURE_INDEX, empty, write_table
from moviestrip.training.data import ShardFiles, read_clips
from tests.training.stick_world import stick_clips
from tests.training.test_data import write_shard


def test_names_say_what_a_copy_is_and_whose():
    ids = ["a", copies.jittered_id("a", 1), copies.occluded_id("a", 12), copies.occluded_id("b", 1)]
    assert ids == ["a", "a~1", "a~o12", "b~o1"]
    assert [copies.is_occluded_copy(one) for one in ids] == [False, False, True, True]
    assert [copies.source_of(one) for one in ids] == ["a", "a", "a", "b"]
    assert copies.source_of(pd.Series(ids)).tolist() == ["a", "a", "a", "b"]


def test_files_of_backbones_and_of_occluded_copies_lie_apart(tmp_path):
    run = RunFolder(tmp_path)
    chosen = [("full", False), ("full", True), ("lite", False), ("lite", True)]
    files = [path for name, occluded in chosen for path in vars(run.features(name, "d", "d-0000", occluded)).values()]
    assert len(set(files)) == 12
    assert run.features("full", "d", "d-0000").phi == tmp_path / "features/full/d/d-0000.h5"
    assert run.features("full", "d", "d-0000", occluded=True).index.name == "d-0000.occluded.index.parquet"


def occluded_shard(shard: ShardFiles, clips, folder) -> ShardFiles:
    """The files of one occluded copy of the first clip, whose features are all -1."""
    first = clips.clips[0]
    rows, name = clips.rows_of(first), copies.occluded_id(first.clip_id, 1)
    files = RunFolder(folder).features("stick", "d", "d-0000", occluded=True)
    files.phi.parent.mkdir(parents=True)
    write_features(files.phi, np.full((first.n_frames, clips.feature_size), -1, np.float32), {"backbone": "stick"})
    write_table(files.index, pd.DataFrame([[name, 0, first.n_frames]], columns=[*empty(FEATURE_INDEX)]), FEATURE_INDEX)
    crops = pd.DataFrame({"clip_id": name, "frame": range(first.n_frames)})
    crops["box_center_px"] = list(clips.box_center_px[rows].numpy())
    crops["box_scale"], crops["mirrored"] = clips.box_scale[rows].numpy(), False
    write_table(files.crops, crops, CROPS)
    return ShardFiles(files.phi, files.index, files.crops, shard.labels)


def test_occluded_copies_are_read_where_their_files_are_with_the_labels_of_their_clip(tmp_path):
    clips = stick_clips("joined", 3, n_frames=9)
    shard = write_shard(tmp_path / "shard", clips)
    shards = [shard, occluded_shard(shard, clips, tmp_path)]
    wanted = [clip.clip_id for clip in clips.clips[:2]]
    learnt = read_clips(shards, wanted, copies=True)
    first = wanted[0]
    names = sorted([first, f"{first}~1", f"{first}~o1", wanted[1], f"{wanted[1]}~1"])
    assert [clip.clip_id for clip in learnt.clips] == names
    by_name = {clip.clip_id: learnt.rows_of(clip) for clip in learnt.clips}
    assert (learnt.phi[by_name[f"{first}~o1"]] == -1).all()
    shown = learnt.targets(by_name[first])
    torch.testing.assert_close(learnt.targets(by_name[f"{first}~o1"]).keypoints, shown.keypoints)
    without = read_clips(shards, wanted, copies=False)
    assert [clip.clip_id for clip in without.clips] == sorted(wanted)
    assert not (without.phi == -1).all(1).any()
