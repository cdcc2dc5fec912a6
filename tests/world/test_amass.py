"""AMASS is read as it was written: poses bit for bit, places to a tenth of a millimetre, and what is wrong is named."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.errors import StorageError
from moviestrip.world.amass import AmassMotions, list_amass, read_arrays, split_of_subset
from moviestrip.world.kinematics import Motion, RestSkeleton, foot_height_m, forward_kinematics
from tests.world.write_amass import Written, released_arrays, swinging, write_amass


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, rest: RestSkeleton) -> list[Written]:
    return write_amass(tmp_path_factory.mktemp("amass"), rest)


@pytest.fixture(scope="module")
def folder(written: list[Written]) -> Path:
    return written[0].path.parents[2]


@pytest.fixture(scope="module")
def motions(folder: Path, rest: RestSkeleton) -> dict[str, Motion]:
    return {motion.motion_id.removeprefix("amass-"): motion for motion in AmassMotions(folder, rest)}


def at_25_fps(truth: Written) -> tuple[np.ndarray, np.ndarray]:
    """The truth at times of 25 fps, interpolated by other code."""
    times = np.arange(len(truth.pose)) / truth.fps
    wanted = np.arange(0, times[-1] + 1e-9, 1 / 25)
    turns = [Slerp(times, Rotation.from_rotvec(truth.pose.reshape(-1, 24, 3)[:, joint])) for joint in range(24)]
    pose = np.stack([turn(wanted.clip(max=times[-1])).as_rotvec() for turn in turns], axis=1).reshape(-1, 72)
    place = np.stack([np.interp(wanted, times, truth.translation_m[:, axis]) for axis in range(3)], axis=1)
    return pose, place


def test_every_motion_is_there_once_and_the_short_one_is_counted(folder: Path, rest: RestSkeleton):
    motions = AmassMotions(folder, rest)
    names = [motion.motion_id for motion in motions]
    assert names == sorted(names) and len(names) == len(set(names)) == 7
    assert motions.dropped == ["KIT/3/jump"]
    assert "amass-ACCAD/Male2Walking_c3d/B15 -  Walk turn around" in names


def test_joints_are_those_written(written: list[Written], motions: dict[str, Motion], rest: RestSkeleton):
    for truth in (file for file in written if file.name in motions):
        found = motions[truth.name]
        expected, _ = forward_kinematics(*at_25_fps(truth), rest)
        expected[..., 1] -= np.percentile(foot_height_m(expected).min(axis=1), 10)
        joints, _ = forward_kinematics(found.pose, found.translation_m, rest)
        assert found.fps == 25 and joints.shape == expected.shape, truth.name
        np.testing.assert_allclose(joints, expected, atol=1e-4)


def test_poses_are_bit_equal_where_a_recorded_frame_falls_on_the_time(
    written: list[Written], motions: dict[str, Motion]
):
    by_name = {truth.name: truth for truth in written}
    for name, every in (("CMU/01/01_01", 4), ("MoSh/50002/misc", 4)):
        expected = by_name[name].pose[::every].astype(np.float32)
        assert np.array_equal(motions[name].pose[:, 3:], expected[:, 3:])
        turned = Rotation.from_rotvec(motions[name].pose[:, :3]).inv() * Rotation.from_rotvec(expected[:, :3])
        assert turned.magnitude().max() < 1e-6
    at_120 = by_name["HumanEva/S1/Walking_1"].pose[::24].astype(np.float32)
    assert np.array_equal(motions["HumanEva/S1/Walking_1"].pose[::5, 3:], at_120[:, 3:])


def test_vibes_sampling_takes_every_fourth_frame_of_120_and_calls_it_25_fps(written: list[Written], rest: RestSkeleton):
    folder = written[0].path.parents[2]
    motions = {motion.motion_id: motion for motion in AmassMotions(folder, rest, sampling="vibe")}
    for truth in written:
        stride = int(truth.fps) // 25
        expected = truth.pose[::stride].astype(np.float32)
        if len(expected) >= 60:
            assert np.array_equal(motions[f"amass-{truth.name}"].pose[:, 3:], expected[:, 3:]), truth.name
            assert motions[f"amass-{truth.name}"].fps == 25
    assert len(motions["amass-HumanEva/S1/Walking_1"]) == 75  # 2.5 s, told as 3
    assert len(motions["amass-SSM_synced/20160930_50032/chicken_wings"]) == 75


def test_people_stand_upright_on_the_floor(motions: dict[str, Motion], rest: RestSkeleton):
    for motion in motions.values():
        joints, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
        assert (joints[:, 15, 1] > 1.2).all(), motion.motion_id
        assert abs(np.percentile(foot_height_m(joints).min(axis=1), 10)) < 1e-3


def test_subsets_are_in_the_splits_that_amass_recommends(written: list[Written]):
    for truth in written:
        assert split_of_subset(truth.name.split("/")[0]) == truth.split, truth.name


def altered(path: Path, rest: RestSkeleton, **changes: np.ndarray | None) -> Path:
    """A file of 80 frames with some arrays exchanged, or taken out."""
    draw = np.random.default_rng(0)
    pose, translation_m = swinging(draw, 80, 25)
    root, body, hands, trans = released_arrays(pose, translation_m, rest, draw)
    arrays = {
        "poses": np.concatenate([root, body, hands], axis=1), "trans": trans, "betas": np.zeros(16),
        "gender": np.array("male"), "dmpls": np.zeros((80, 8)), "mocap_framerate": np.array(25.0), **changes,
    }  # fmt: skip
    np.savez(path, **{key: values for key, values in arrays.items() if values is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"poses": None}, r"lacks `poses`, it has \['betas', 'dmpls', 'gender', 'mocap_framerate', 'trans'\]"),
        ({"trans": None}, "lacks `trans`"),
        ({"mocap_framerate": None}, "lacks `mocap_framerate`"),
        ({"mocap_framerate": np.array(0.0)}, "`mocap_framerate` is 0.0"),
        ({"mocap_framerate": np.array(np.nan)}, "`mocap_framerate` is nan"),
        ({"mocap_framerate": np.arange(3.0)}, r"`mocap_framerate` is \[0.0, 1.0, 2.0\]"),
        ({"poses": np.zeros((80, 72))}, r"`poses` has shape \(80, 72\), AMASS's is \(frames, 156\)"),
        ({"poses": np.zeros((80, 165))}, r"`poses` has shape \(80, 165\)"),
        ({"poses": np.zeros((80, 156), np.float16)}, "`poses` is float16"),
        ({"poses": np.zeros((80, 156), np.int64)}, "`poses` is int64"),
        ({"poses": np.full((80, 156), None)}, "`poses` is object"),
        ({"trans": np.zeros((79, 3))}, r"`trans` have \[79, 80\] frames"),
        (
            {"trans": np.where(np.arange(80)[:, None] == 7, np.nan, np.zeros((80, 3)))},
            "`trans` is not finite in frame 7",
        ),
        ({"pose_body": np.zeros((80, 63)), "root_orient": np.zeros((80, 3))}, "lacks `pose_hand`"),
        ({"poses": np.zeros((1, 156)), "trans": np.zeros((1, 3))}, r"have \[1\] frames"),
    ],
)
def test_what_a_file_lacks_or_has_wrong_is_named(tmp_path: Path, rest: RestSkeleton, changes: dict, named: str):
    path = altered(tmp_path / "a_poses.npz", rest, **changes)
    with pytest.raises(StorageError, match=rf"a_poses\.npz: .*{named}"):
        read_arrays(path)


def test_damaged_files_are_named(tmp_path: Path, rest: RestSkeleton):
    good = altered(tmp_path / "good_poses.npz", rest).read_bytes()
    path = tmp_path / "bad_poses.npz"
    for data in (b"", b"no archive", good[: len(good) // 2], good[:2000] + b"\0" * 64 + good[2064:]):
        path.write_bytes(data)
        with pytest.raises(StorageError, match=r"bad_poses\.npz: (damaged or no \.npz|.* is no array)"):
            read_arrays(path)
    with pytest.raises(StorageError, match=r"nowhere\.npz: damaged or no \.npz"):
        read_arrays(tmp_path / "nowhere.npz")


def test_an_array_that_promises_more_than_it_has_is_refused(tmp_path: Path):
    path = tmp_path / "bomb_poses.npz"
    for frames, named in ((10**12, "above the limit of 512 MiB"), (100, "ends after 0 of 2,400 bytes")):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (frames, 3)})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mocap_framerate.npy", as_npy(np.array(120.0)))
            archive.writestr("trans.npy", header.getvalue())
        with pytest.raises(StorageError, match=rf"`trans` .*{named}"):
            read_arrays(path)


def as_npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_misplaced_and_doubled_files_are_named(tmp_path: Path):
    with pytest.raises(StorageError, match=r"no \*_poses\.npz or \*_stageii\.npz; AMASS lies as SUBSET/SUBJECT"):
        list_amass(tmp_path)
    subject = tmp_path / "CMU" / "01"
    subject.mkdir(parents=True)
    (subject / "01_01_poses.npz").touch()
    with pytest.raises(StorageError, match=r"lies 1 folders below .*, not two"):
        list_amass(tmp_path / "CMU")
    (subject / "01_01_stageii.npz").touch()
    with pytest.raises(StorageError, match=r"01_01_\w+\.npz: the same motion as .*01_01_\w+\.npz; keep one download"):
        list_amass(tmp_path)
