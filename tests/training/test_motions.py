"""Windows of real motions: at one rate, of one split, and drawn alike from every sequence."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.errors import ConfigError, StorageError
from moviestrip.geometry import axis_angle_to_matrix, mirror_rotations
from moviestrip.models.motion_discriminator import MotionDiscriminator
from moviestrip.tables import MOTIONS, unstack, write_table
from moviestrip.training.losses import discriminator_loss
from moviestrip.training.motions import RealMotions, body_pose, heading, read_motions, repeat, resample
from tests.training.stick_world import motion, stick_motions


def rows(motion_id: str, pose: np.ndarray, split: str = "train", cyclic: bool = False, fps: float = 25) -> pd.DataFrame:
    count = len(pose)
    return pd.DataFrame({
        "motion_id": motion_id, "family": "walk", "action": "walk", "source": "test", "split": split,
        "cyclic": cyclic, "fps": np.float32(fps), "frame": np.arange(count, dtype=np.int32), "pose": unstack(pose),
        "translation_m": unstack(np.zeros((count, 3))), "contacts": unstack(np.zeros((count, 2))),
    })  # fmt: skip


def swings(frames: int, seed: int = 0, fps: float = 25) -> np.ndarray:
    """(frames, 72) of slow swings, the same motion at any rate."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / fps
    return random.normal(0, 0.3, 72) * np.sin(2 * np.pi * random.uniform(0.2, 0.6, 72) * time)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "motions.parquet"
    parts = [
        rows("long-b", swings(100, 1)), rows("long-a", swings(80, 2)), rows("short", swings(59, 3)),
        rows("lap", swings(25, 4), cyclic=True), rows("held", swings(70, 5), split="test"),
        rows("fast", swings(160, 6, fps=50), fps=50), rows("fast-and-short", swings(110, 7), fps=50),
    ]  # fmt: skip
    write_table(path, pd.concat(parts, ignore_index=True), MOTIONS)
    return path


def test_sequences_of_the_split_come_at_one_rate_and_short_ones_are_counted(table: Path):
    train = read_motions(table, "train")
    assert train.ids == ("fast", "lap", "long-a", "long-b")
    assert train.lengths_frames.tolist() == [80, 60, 80, 100]
    assert train.dropped == ("fast-and-short", "short")
    assert read_motions(table, "test").ids == ("held",)
    assert read_motions(table, "train", minimum_frames=90).ids == ("lap", "long-b")
    whole = dict(zip(train.ids, train, strict=True))
    expected = Rotation.from_rotvec(swings(100, 1).reshape(-1, 3)).as_matrix().reshape(100, 24, 3, 3)
    np.testing.assert_allclose(whole["long-b"], expected, atol=1e-6)
    fast = Rotation.from_rotvec(swings(160, 6, fps=50)[::2].reshape(-1, 3)).as_matrix().reshape(80, 24, 3, 3)
    np.testing.assert_allclose(whole["fast"], fast, atol=1e-6)


@pytest.mark.parametrize(("source_fps", "fps"), [(30, 25), (120, 25), (20, 25), (29.97, 25)])
def test_another_rate_is_reached_along_the_shortest_turn(source_fps: float, fps: float):
    rotations = axis_angle_to_matrix(torch.from_numpy(swings(61, fps=source_fps).reshape(-1, 24, 3)))
    found = resample(rotations, source_fps, fps)
    times = np.arange(61) / source_fps
    at = np.arange(len(found)) / fps
    assert times[-1] - 1 / fps < at[-1] <= times[-1] + 1e-9
    for joint in (0, 7, 23):
        expected = Slerp(times, Rotation.from_matrix(rotations[:, joint].numpy()))(at.clip(max=times[-1])).as_matrix()
        np.testing.assert_allclose(found[:, joint], expected, atol=1e-6)


def test_a_lap_begins_facing_where_the_last_one_ended():
    turn = torch.tensor([0.3, 0.5, -0.2])
    angles = torch.zeros(20, 24, 3)
    angles[:, 0, 1] = torch.linspace(0.1, 0.6, 20)
    angles[:, 5] = torch.randn(20, 3, generator=torch.manual_seed(0))
    rotations = axis_angle_to_matrix(angles)
    found = repeat(rotations, 50)
    assert found.shape == (50, 24, 3, 3)
    torch.testing.assert_close(found[20:40, 1:], rotations[:, 1:])
    torch.testing.assert_close(found[40:50, 1:], rotations[:10, 1:])
    assert roma.rotmat_geodesic_distance(found[19, 0], found[20, 0]) < 1e-3
    assert roma.rotmat_geodesic_distance(found[39, 0], found[40, 0]) < 1e-3
    assert repeat(rotations, 20) is rotations
    expected = Rotation.from_rotvec(turn.numpy()).as_quat() * [0, 1, 0, 1]
    np.testing.assert_allclose(heading(axis_angle_to_matrix(turn)), Rotation.from_quat(expected).as_matrix(), atol=1e-6)


def test_every_window_of_every_sequence_is_equally_likely():
    numbers = torch.arange(12.0)[:, None].expand(12, 72) / 100  # every frame says which it is
    motions = RealMotions(("a", "b", "c"), np.array([0, 7, 9]), np.array([7, 2, 3]), numbers, ())
    drawn = body_pose(motions.draw(np.random.default_rng(0), 6000, 3))[..., 0] * 100
    torch.testing.assert_close(drawn - drawn[:, :1], torch.arange(3.0).expand(6000, 3), atol=1e-3, rtol=0)
    counts = Counter(drawn[:, 0].round().int().tolist())
    assert set(counts) == {0, 1, 2, 3, 4, 9}
    assert max(counts.values()) < 1.15 * min(counts.values())
    apart = body_pose(motions.draw(np.random.default_rng(0), 300, 3, stride=3))[:, 0, 0] * 100
    assert set(apart.round().int().tolist()) == {0, 3, 9}


def test_draws_follow_the_generator_and_may_be_seen_in_a_mirror():
    motions = stick_motions()
    first, again, other = (motions.draw(np.random.default_rng(seed), 8, 16) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    everything = motions.draw(np.random.default_rng(1), 8, 16, mirrored=1.0)
    torch.testing.assert_close(everything, mirror_rotations(first))
    half = motions.draw(np.random.default_rng(1), 400, 2, mirrored=0.5)
    same = (half == motions.draw(np.random.default_rng(1), 400, 2)).flatten(1).all(1)
    assert 0.4 < same.float().mean() < 0.6


def test_the_bodys_pose_is_axis_angle_without_the_root():
    rotations = stick_motions().draw(np.random.default_rng(0), 2, 4)
    expected = Rotation.from_matrix(rotations[:, :, 1:].reshape(-1, 3, 3).numpy()).as_rotvec().reshape(2, 4, 69)
    np.testing.assert_allclose(body_pose(rotations), expected, atol=1e-5)


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, table: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.parquet: there are no motions yet; run `moviestrip motions`"):
        read_motions(tmp_path / "nowhere.parquet", "train")
    with pytest.raises(ConfigError, match="no motion of split 'validation' has 60 frames at 25 fps"):
        read_motions(table, "validation")
    with pytest.raises(ConfigError, match="none of 4 sequences has 101 frames"):
        read_motions(table, "train").draw(np.random.default_rng(0), 1, 101)
    gap = rows("gap", swings(80))
    write_table(tmp_path / "gap.parquet", gap[gap["frame"] != 30], MOTIONS)
    with pytest.raises(StorageError, match=r"motion 'gap' has rates \[25.0\] fps and not all of its frames"):
        read_motions(tmp_path / "gap.parquet", "train")


@pytest.mark.parametrize("pooling", ["attention", "concat"])
def test_a_motion_discriminator_learns_to_tell_real_motions_from_shuffled_ones(pooling: str):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    judge = MotionDiscriminator(32, 1, pooling, 1, 32)
    optimiser = torch.optim.Adam(judge.parameters(), 3e-3)
    train = stick_motions(40)
    for _ in range(150):
        real, other = (body_pose(train.draw(random, 16, 16)) for _ in range(2))
        loss = discriminator_loss(judge(real).score, judge(shuffled(other, random)).score)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judge.eval()
    held = torch.stack([body_pose(motion(np.random.default_rng(seed), 16)) for seed in range(900, 964)])
    with torch.no_grad():
        above = judge(held).score > judge(shuffled(held, random)).score
    assert above.float().mean() > 0.9


def shuffled(pose: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    order = random.permuted(np.tile(np.arange(pose.shape[1]), (len(pose), 1)), axis=1)
    return pose.gather(1, torch.from_numpy(order)[..., None].expand_as(pose))
