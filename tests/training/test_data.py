"""Features meet labels on (clip, frame), and batches are what the papers say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.geometry import matrices_to_pose, mirror_points, mirror_rotations
from moviestrip.skeleton import COMMON_14, HMMR_25
from moviestrip.storage import write_features
from moviestrip.tables import CROPS, FEATURE_INDEX, LABELS, unstack, with_defaults, write_table
from moviestrip.training.data import ClipDataset, ShardFiles, concatenate, draw_rows, read_clips
from tests.training.stick_world import stick_clips


def labels_table(clips: ClipDataset) -> pd.DataFrame:
    names = [clip.clip_id for clip in clips.clips for _ in range(clip.n_frames)]
    frames = np.concatenate([np.arange(clip.n_frames) for clip in clips.clips])
    zeros = np.zeros((len(names), 4))
    columns = {
        "clip_id": names, "frame": frames, "video_frame": frames, "box_center_px": unstack(clips.box_center_px.numpy()),
        "box_scale": clips.box_scale.numpy(), "keypoints_2d": unstack(clips.keypoints_px.numpy()),
        "has_3d": clips.has_3d.numpy(), "has_body": clips.has_body.numpy(),
        "joints_3d_m": unstack(clips.joints_3d_m.numpy()),
        "pose": unstack(matrices_to_pose(clips.rotations).numpy()), "betas": unstack(clips.betas.numpy()),
        "translation_m": unstack(zeros[:, :3]), "intrinsics_px": unstack(zeros), "burst": "none",
    }  # fmt: skip
    return with_defaults(pd.DataFrame(columns), LABELS)


def write_shard(folder: Path, clips: ClipDataset, shuffle: bool = True) -> ShardFiles:
    """A shard whose clips have one augmented copy each: other features and crops, the same labels."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = ShardFiles(folder / "s.h5", folder / "i.parquet", folder / "c.parquet", folder / "l.parquet")
    index, crops, phi, start = [], [], [], 0
    for clip in clips.clips:
        rows = clips.rows_of(clip)
        for name, offset in ((clip.clip_id, 0.0), (f"{clip.clip_id}~1", 10.0)):
            index.append((name, start, clip.n_frames))
            phi.append(clips.phi[rows].numpy() + np.float32(offset))
            center, scale = clips.box_center_px[rows].numpy() + offset, clips.box_scale[rows].numpy()
            mirrored = name.endswith("~1")
            crops += [(name, frame, center[frame], scale[frame], mirrored) for frame in range(clip.n_frames)]
            start += clip.n_frames
    write_features(shard.features, np.concatenate(phi), {"backbone": clips.backbone})
    write_table(shard.index, pd.DataFrame(index, columns=["clip_id", "start", "n_frames"]), FEATURE_INDEX)
    crop_table = pd.DataFrame(crops, columns=["clip_id", "frame", "box_center_px", "box_scale", "mirrored"])
    labels = labels_table(clips)
    if shuffle:
        crop_table, labels = crop_table.sample(frac=1, random_state=0), labels.sample(frac=1, random_state=1)
    write_table(shard.crops, crop_table, CROPS)
    write_table(shard.labels, labels, LABELS)
    return shard


@pytest.fixture
def clips() -> ClipDataset:
    return stick_clips("joined", 4, n_frames=9)


def test_files_come_back_as_the_clips_they_were_made_of(tmp_path, clips):
    read = read_clips([write_shard(tmp_path, clips)], [clip.clip_id for clip in clips.clips], copies=False)
    assert read.clips == clips.clips
    assert read.backbone == "stick"
    rows = torch.arange(36)
    torch.testing.assert_close(read.phi, clips.phi)
    for ours, theirs in zip(vars(read.targets(rows)).values(), vars(clips.targets(rows)).values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_mirrored_copy_has_its_own_crop_and_shares_the_labels_without_storing_them_twice(tmp_path, clips):
    read = read_clips([write_shard(tmp_path, clips)], [clip.clip_id for clip in clips.clips], copies=True)
    assert [clip.clip_id for clip in read.clips[:2]] == ["joined-00", "joined-00~1"]
    assert (len(read.phi), len(read.keypoints_px)) == (72, 36)
    clean, copy = read.targets(read.rows_of(read.clips[0])), read.targets(read.rows_of(read.clips[1]))
    torch.testing.assert_close(copy.rotations, mirror_rotations(clean.rotations))
    torch.testing.assert_close(copy.joints_3d_m, mirror_points(clean.joints_3d_m, COMMON_14))
    scale = read.box_scale[:9, None, None]
    moved = clean.keypoints[..., :2] - 10 * scale / 112  # the crop moved by 10 source pixels, then was mirrored
    expected = mirror_points(torch.cat([moved, clean.keypoints[..., 2:]], -1), HMMR_25)
    torch.testing.assert_close(copy.keypoints, expected, atol=1e-5, rtol=1e-5)


def test_only_the_named_clips_are_read(tmp_path, clips):
    read = read_clips([write_shard(tmp_path, clips)], ["joined-02"], copies=False)
    assert [clip.clip_id for clip in read.clips] == ["joined-02"]
    torch.testing.assert_close(read.phi, clips.phi[18:27])
    assert len(read.keypoints_px) == 9


def test_several_shards_are_one_dataset(tmp_path, clips):
    other = stick_clips("second", 2, n_frames=7)
    shards = [write_shard(tmp_path / "a", clips), write_shard(tmp_path / "b", other)]
    read = read_clips(shards, ["joined-01", "second-01"], copies=False)
    assert [(clip.clip_id, clip.first_row) for clip in read.clips] == [("joined-01", 0), ("second-01", 9)]
    expected = other.targets(torch.arange(7, 14)).joints_3d_m
    torch.testing.assert_close(read.targets(torch.arange(9, 16)).joints_3d_m, expected)


def test_a_shard_with_none_of_the_clips_is_passed_over(tmp_path, clips):
    shards = [write_shard(tmp_path / "a", clips), write_shard(tmp_path / "b", stick_clips("second", 2, n_frames=7))]
    assert [clip.clip_id for clip in read_clips(shards, ["second-00"], copies=False).clips] == ["second-00"]


def test_clips_without_features_are_named(tmp_path, clips):
    shard = write_shard(tmp_path, clips)
    with pytest.raises(FatalError, match="1 of 2 clips have no features, such as elsewhere"):
        read_clips([shard], ["joined-00", "elsewhere"], copies=False)


def test_features_without_labels_are_named(tmp_path, clips):
    shard = write_shard(tmp_path, clips)
    table = labels_table(clips)
    write_table(shard.labels, table[~((table.clip_id == "joined-01") & (table.frame == 3))], LABELS)
    with pytest.raises(FatalError, match=r"2 rows have no labels, the first is clip joined-01 frame 3"):
        read_clips([shard], ["joined-01"], copies=True)


def test_features_of_two_backbones_do_not_mix(clips):
    with pytest.raises(FatalError, match="different backbones"):
        concatenate([clips, replace(clips, backbone="other")])


def test_an_empty_split_is_named():
    with pytest.raises(FatalError, match="no clips to read"):
        concatenate([])


def test_half_of_a_batch_has_3d_truth_and_windows_are_consecutive(clips):
    rows = draw_rows(clips, np.random.default_rng(0), 8, 5, contiguous=True)
    assert rows.shape == (8, 5)
    assert clips.has_3d[rows].all(dim=1).tolist() == [True] * 4 + [False] * 4
    assert (rows.diff(dim=1) == 1).all()
    assert (rows // 9 == rows[:, :1] // 9).all()  # never across two clips


def test_scattered_frames_stay_in_their_clip(clips):
    rows = draw_rows(clips, np.random.default_rng(0), 8, 9, contiguous=False)
    assert (rows // 9 == rows[:, :1] // 9).all()
    assert not (rows.diff(dim=1) == 1).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_data_of_one_kind_fills_the_batch(share):
    clips = stick_clips("one", 3, n_frames=9, share_3d=share)
    rows = draw_rows(clips, np.random.default_rng(0), 6, 5, contiguous=True)
    assert rows.shape == (6, 5)
    assert clips.has_3d[rows].float().mean().item() == share


def test_clips_shorter_than_the_window_are_left_out_and_none_left_names_the_keys(clips):
    longer = concatenate([clips, stick_clips("long", 2, n_frames=12)])
    assert [clip.n_frames for clip in longer.at_least(10).clips] == [12, 12]
    assert longer.at_least(9).clips == longer.clips
    with pytest.raises(FatalError, match=r"no clip has 10 frames, the longest of \d+ has 9; lower clip_frames"):
        clips.at_least(10)


def test_every_other_frame_of_a_window_reaches_further(clips):
    rows = draw_rows(clips, np.random.default_rng(0), 8, 5, contiguous=True, stride=2)
    assert (rows.diff(dim=1) == 2).all()
    assert (rows // 9 == rows[:, :1] // 9).all()


def test_the_share_in_3d_is_that_of_the_variant(clips):
    rows = draw_rows(clips, np.random.default_rng(0), 32, 5, contiguous=True, share_3d=13 / 32)
    assert clips.has_3d[rows[:, 0]].sum().item() == 13


def test_withheld_bodies_leave_the_joints(clips):
    known = next(clip for clip in clips.clips if clip.has_3d)
    targets = clips.without_body([known.clip_id]).targets(clips.rows_of(known))
    assert targets.has_3d.all()
    assert not targets.has_body.any()
    others = [clip for clip in clips.clips if clip.has_3d and clip != known]
    assert all(clips.without_body([known.clip_id]).targets(clips.rows_of(clip)).has_body.all() for clip in others)
