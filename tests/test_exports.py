"""Exports say what the body said: each file is read back by other means and compared with the mesh or its joints."""

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.errors import FatalError
from moviestrip.exports.amass import amass_fields, write_amass
from moviestrip.exports.bvh import bvh_text
from moviestrip.exports.motion import PersonMotion, Placement, default_focal_px
from moviestrip.exports.people_table import PEOPLE, Estimates, people_table
from moviestrip.exports.vibe import SECOND_24, write_vibe
from moviestrip.geometry import CROP_PX, pixels_of_normalised, project_perspective, source_from_crop
from moviestrip.skeleton import BODY_25, HMMR_25, SMPL_24, SMPL_PARENTS
from moviestrip.tables import read_table, stack, write_table

FRAMES, IMAGE_SIZE_PX, FPS = 40, (640, 360), 25.0  # more frames than are posed at once
# Where SPIN's 49 joints lie among the 45 that smplx's layer gives, as far as they do; -1: an extra regressor's.
SPIN_MAP = (
    24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34,
    8, 5, -1, -1, 4, 7, 21, 19, 17, 16, 18, 20, -1, -1, -1, -1, -1, -1, -1, 24, 26, 25, 28, 27,
)  # fmt: skip


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


@pytest.fixture(scope="module")
def motion() -> PersonMotion:
    draw = np.random.default_rng(3)
    rotations = Rotation.from_rotvec(draw.normal(0, 0.4, (FRAMES * 24, 3))).as_matrix().reshape(FRAMES, 24, 3, 3)
    rotations[:, 0] = Rotation.from_euler("x", 180, degrees=True).as_matrix() @ rotations[:, 0]
    place = Placement(
        np.stack([np.linspace(200, 400, FRAMES), np.full(FRAMES, 170.0)], 1),
        np.linspace(0.9, 0.6, FRAMES),
        np.stack([draw.uniform(0.8, 1.1, FRAMES), *draw.normal(0, 0.05, (2, FRAMES))], 1).astype(np.float32),
    )
    betas = (draw.normal(0, 1, 10) + draw.normal(0, 0.1, (FRAMES, 10))).astype(np.float32)
    return PersonMotion(7, 12, place, rotations.astype(np.float32), betas)


@pytest.fixture(scope="module")
def translation_m(motion: PersonMotion) -> np.ndarray:
    return motion.place.translation_m(IMAGE_SIZE_PX, default_focal_px(IMAGE_SIZE_PX))


def test_pixels_are_those_of_the_crop_taken_back_to_the_frame(motion: PersonMotion):
    points = np.random.default_rng(0).normal(0, 0.5, (FRAMES, 6, 3))
    scale, shift = motion.place.camera[:, None, :1], motion.place.camera[:, None, 1:]
    in_crop = pixels_of_normalised(scale * (points[..., :2] + shift))
    expected = source_from_crop(in_crop, motion.place.box_center_px, motion.place.box_scale)
    np.testing.assert_allclose(motion.place.pixels(points), expected, atol=1e-4)


def test_a_translated_body_projects_where_the_weak_camera_has_it(motion: PersonMotion):
    focal_px = 1e7  # so long that perspective vanishes
    points = np.random.default_rng(1).normal(0, 0.5, (FRAMES, 6, 3))
    moved = points + motion.place.translation_m(IMAGE_SIZE_PX, focal_px)[:, None]
    seen = project_perspective(moved, np.array([focal_px, focal_px, IMAGE_SIZE_PX[0] / 2, IMAGE_SIZE_PX[1] / 2]))
    np.testing.assert_allclose(seen, motion.place.pixels(points), atol=0.01)


def test_the_translation_has_vibes_depth(motion: PersonMotion, translation_m: np.ndarray):
    crop_side_px = CROP_PX / motion.place.box_scale
    expected = 2 * default_focal_px(IMAGE_SIZE_PX) / (crop_side_px * motion.place.camera[:, 0])
    np.testing.assert_allclose(translation_m[:, 2], expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -0.2, np.nan])
def test_a_body_without_size_is_refused(motion: PersonMotion, scale: float):
    camera = motion.place.camera.copy()
    camera[5, 0] = scale
    with pytest.raises(FatalError, match="person 7"):
        replace(motion, place=replace(motion.place, camera=camera))


@pytest.fixture(scope="module")
def vibe(motion: PersonMotion, body: Body, tmp_path_factory: pytest.TempPathFactory) -> dict:
    path = tmp_path_factory.mktemp("vibe") / "vibe_output.pkl"
    write_vibe(path, [motion], body, IMAGE_SIZE_PX)
    return joblib.load(path)


def test_vibes_file_has_its_keys_and_shapes(vibe: dict, body: Body):
    assert list(vibe) == [7]
    shapes = {name: None if value is None else value.shape for name, value in vibe[7].items()}
    assert shapes == {
        "pred_cam": (FRAMES, 3), "orig_cam": (FRAMES, 4), "verts": (FRAMES, body.n_vertices, 3), "pose": (FRAMES, 72),
        "betas": (FRAMES, 10), "joints3d": (FRAMES, 49, 3), "joints2d": None, "joints2d_img_coord": (FRAMES, 49, 2),
        "bboxes": (FRAMES, 4), "frame_ids": (FRAMES,),
    }  # fmt: skip
    assert all(values.dtype == np.float32 for name, values in vibe[7].items() if name not in ("joints2d", "frame_ids"))
    assert vibe[7]["frame_ids"].tolist() == list(range(12, 12 + FRAMES))


def test_vibes_joints_are_those_smplx_gives(vibe: dict, motion: PersonMotion, body: Body):
    rotations, betas = torch.from_numpy(motion.rotations), torch.from_numpy(motion.betas)
    with torch.no_grad():
        output = body.layer(global_orient=rotations[:, :1], body_pose=rotations[:, 1:], betas=betas, pose2rot=False)
    known = np.array(SPIN_MAP) >= 0
    expected = output.joints.numpy()[:, np.array(SPIN_MAP)[known]]
    np.testing.assert_allclose(vibe[7]["joints3d"][:, known], expected, atol=2e-6)
    np.testing.assert_allclose(vibe[7]["verts"], output.vertices.numpy(), atol=2e-6)
    assert len(BODY_25) + len(SECOND_24) == len(SPIN_MAP)


def test_vibes_approximated_joints_lie_at_the_body_part_they_are_named_after(vibe: dict):
    names = [*BODY_25, *SECOND_24]
    joints = dict(zip(names, vibe[7]["joints3d"].transpose(1, 0, 2), strict=True))
    near = {
        "right_hip_lsp": "right_hip", "left_hip_lsp": "left_hip", "pelvis_mpii": "mid_hip", "thorax_mpii": "neck",
        "neck_lsp": "neck", "head_h36m": "nose", "jaw_h36m": "nose", "spine_h36m": "mid_hip", "head_top_lsp": "nose",
    }  # fmt: skip
    for name, other in near.items():
        distance_m = np.linalg.norm(joints[name] - joints[other], axis=-1).max()
        assert distance_m < 0.3, (name, distance_m)


def test_vibes_whole_image_camera_gives_its_image_coordinates(vibe: dict):
    person = vibe[7]
    scale, shift = person["orig_cam"][:, None, :2], person["orig_cam"][:, None, 2:]
    normalised = scale * (person["joints3d"][..., :2] + shift)
    pixels = (normalised + 1) * np.array(IMAGE_SIZE_PX) / 2
    np.testing.assert_allclose(person["joints2d_img_coord"], pixels, atol=0.02)


def test_an_amass_like_file_poses_the_same_mesh_with_z_up(
    motion: PersonMotion, body: Body, translation_m: np.ndarray, tmp_path: Path
):
    without_hands = motion.rotations.copy()
    without_hands[:, SMPL_24.index("left_hand") :] = np.eye(3)
    motion = replace(motion, rotations=without_hands).of_constant_shape()
    path = tmp_path / "person.npz"
    write_amass(path, amass_fields(motion, body, translation_m, FPS))
    read = np.load(path, allow_pickle=False)
    shapes = {name: read[name].shape for name in read.files}
    assert shapes == {
        "poses": (FRAMES, 156), "trans": (FRAMES, 3), "betas": (16,), "dmpls": (FRAMES, 8), "gender": (),
        "mocap_framerate": (),
    }  # fmt: skip
    assert (str(read["gender"]), float(read["mocap_framerate"])) == ("neutral", FPS)
    pose = np.concatenate([read["poses"][:, :66], np.zeros((FRAMES, 6))], 1).astype(np.float32)
    vertices, _ = body.forward(pose, read["betas"][:10].astype(np.float32), read["trans"].astype(np.float32))
    x, y, z = np.moveaxis(body.forward(motion.rotations, motion.betas, translation_m.astype(np.float32))[0], -1, 0)
    np.testing.assert_allclose(vertices, np.stack([x, z, -y], -1), atol=2e-5)
    assert not read["poses"][:, 66:].any()
    assert not read["betas"][10:].any()


def read_bvh(text: str) -> tuple[list[str], list[int], np.ndarray, list[list[str]], np.ndarray, float]:
    """Names, parents, offsets and channels of the joints (ends of chains included), the values, the frame time."""
    names, parents, offsets, channels, open_joints = [], [], [], [], []
    lines = iter(text.splitlines())
    assert next(lines) == "HIERARCHY"
    for line in lines:
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            names.append("" if words[0] == "End" else words[1])
            parents.append(open_joints[-1] if open_joints else -1)
            channels.append([])
            open_joints.append(len(names) - 1)
        elif words[0] == "OFFSET":
            offsets.append([float(word) for word in words[1:]])
        elif words[0] == "CHANNELS":
            assert int(words[1]) == len(words) - 2
            channels[-1] = words[2:]
        elif words[0] == "}":
            open_joints.pop()
        elif words[0] == "MOTION":
            break
    frames = int(next(lines).removeprefix("Frames:"))
    frame_time_s = float(next(lines).removeprefix("Frame Time:"))
    values = np.array([[float(word) for word in line.split()] for line in lines])
    assert values.shape == (frames, sum(map(len, channels)))
    return names, parents, np.array(offsets), channels, values, frame_time_s


def forward_kinematics(text: str) -> dict[str, np.ndarray]:
    """Place of every named joint in every frame, as a program that reads BVH computes it."""
    names, parents, offsets, channels, values, _ = read_bvh(text)
    places, turns, column = [], [], 0
    for joint, parent in enumerate(parents):
        place, turn = np.broadcast_to(offsets[joint], (len(values), 3)).copy(), Rotation.identity(len(values))
        for channel in channels[joint]:
            axis, number = channel[0].lower(), values[:, column]
            if channel.endswith("position"):
                place[:, "xyz".index(axis)] += number
            else:
                turn = turn * Rotation.from_euler(axis, number[:, None], degrees=True)
            column += 1
        places.append(place if parent < 0 else places[parent] + turns[parent].apply(place))
        turns.append(turn if parent < 0 else turns[parent] * turn)
    return {name: place for name, place in zip(names, places, strict=True) if name}


def test_bvh_read_back_has_the_bodys_joints(motion: PersonMotion, body: Body, translation_m: np.ndarray):
    joints_cm = forward_kinematics(bvh_text(motion, body, translation_m, FPS))
    assert sorted(joints_cm) == sorted(SMPL_24)
    constant = motion.of_constant_shape()
    _, joints = body.forward(constant.rotations, constant.betas, translation_m.astype(np.float32))
    expected_m = joints * np.array([1, -1, -1])
    found_m = np.stack([joints_cm[name] for name in SMPL_24], 1) / 100
    assert np.linalg.norm(found_m - expected_m, axis=-1).max() < 1e-4


def test_bvh_has_smpls_tree_and_an_end_for_every_chain(motion: PersonMotion, body: Body, translation_m: np.ndarray):
    names, parents, offsets, _, values, frame_time_s = read_bvh(bvh_text(motion, body, translation_m, FPS))
    tree = {name: names[parent] for name, parent in zip(names, parents, strict=True) if name and parent >= 0}
    assert tree == {SMPL_24[joint]: SMPL_24[parent] for joint, parent in enumerate(SMPL_PARENTS) if parent >= 0}
    ends = {names[parents[joint]]: np.linalg.norm(offsets[joint]) for joint, name in enumerate(names) if not name}
    assert sorted(ends) == ["head", "left_foot", "left_hand", "right_foot", "right_hand"]
    assert all(3 < length_cm < 35 for length_cm in ends.values()), ends
    assert frame_time_s == pytest.approx(1 / FPS)
    assert np.abs(np.diff(values[:, 3:], axis=0)).max() <= 180  # no angle jumps by a turn between two frames


def test_the_table_of_people_is_read_back(motion: PersonMotion, body: Body, tmp_path: Path):
    focal_px = default_focal_px(IMAGE_SIZE_PX)
    tail = replace(motion.rows(slice(30, 40)), first_frame=52)
    estimates = [Estimates("seen", motion), Estimates("forecast", tail), Estimates("hallucinated", motion, -5)]
    write_table(tmp_path / "people.parquet", people_table(estimates, body, IMAGE_SIZE_PX, focal_px), PEOPLE)
    read = read_table(tmp_path / "people.parquet", PEOPLE)
    assert read.groupby("kind").size().to_dict() == {"seen": 40, "forecast": 10, "hallucinated": 40}
    forecast = read[read.kind == "forecast"]
    assert forecast.frame.tolist() == list(range(52, 62))
    assert forecast.step_frames.tolist() == list(range(1, 11))
    seen = read[read.kind == "seen"]
    np.testing.assert_allclose(stack(seen.camera), motion.place.camera)
    np.testing.assert_allclose(
        Rotation.from_rotvec(stack(seen.pose, 24, 3).reshape(-1, 3)).as_matrix().reshape(FRAMES, 24, 3, 3),
        motion.rotations, atol=1e-5,
    )  # fmt: skip
    projected = project_perspective(
        stack(seen.joints_3d_m, 24, 3), np.array([focal_px, focal_px, IMAGE_SIZE_PX[0] / 2, IMAGE_SIZE_PX[1] / 2])
    )
    ankles = [SMPL_24.index("left_ankle"), SMPL_24.index("right_ankle")]
    keypoints = stack(seen.keypoints_2d, 25, 2)[:, [HMMR_25.index("left_ankle"), HMMR_25.index("right_ankle")]]
    assert np.abs(projected[:, ankles] - keypoints).max() < 25  # perspective against none, surface against bone


def test_a_video_without_people_gives_an_empty_table(body: Body):
    assert len(people_table([], body, IMAGE_SIZE_PX, 700.0)) == 0
