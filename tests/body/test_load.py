"""One class for every body: official files and the free one, wrong files refused in one line."""

import os
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import smplx
import torch
from smplx.utils import Struct

from moviestrip.body.load import load_body, read_body_file
from moviestrip.config import BodySettings
from moviestrip.errors import ConfigError
from moviestrip.geometry import pose_to_matrices
from tests.body.write_bodies import write_body


@pytest.fixture(scope="module")
def official(tmp_path_factory, made_up_fields, made_up_regressor) -> BodySettings:
    """A body and its regressor as a user brings them."""
    folder = tmp_path_factory.mktemp("official")
    path, regressor = folder / "SMPL_NEUTRAL.pkl", folder / "J_regressor_h36m.npy"
    fields = {**made_up_fields, "J_regressor": scipy.sparse.csc_matrix(made_up_fields["J_regressor"])}
    path.write_bytes(pickle.dumps(fields, 2))
    np.save(regressor, made_up_regressor)
    return BodySettings(kind="smpl", path=path, joint_regressor=regressor)


def test_an_official_body_moves_as_smplx_moves_it(official: BodySettings, made_up_fields, tmp_path: Path) -> None:
    body = load_body(official, tmp_path)
    reference = smplx.SMPL("", data_struct=Struct(**made_up_fields), batch_size=4)
    draw = np.random.default_rng(0)
    pose, betas, shift = draw.normal(0, 0.5, (4, 72)), draw.normal(size=(4, 10)), draw.normal(size=(4, 3))
    as_tensor = {
        "global_orient": pose[:, :3],
        "body_pose": pose[:, 3:],
        "betas": betas,
        "transl": shift,
    }
    with torch.no_grad():
        expected = reference(**{name: torch.as_tensor(part).float() for name, part in as_tensor.items()})
    vertices, joints = body.forward(pose, betas, shift)
    np.testing.assert_allclose(vertices, expected.vertices, atol=2e-6)
    np.testing.assert_allclose(joints, expected.joints[:, :24], atol=2e-6)


def test_a_body_takes_any_batch_arrays_or_tensors_poses_or_matrices(official: BodySettings, tmp_path: Path) -> None:
    body = load_body(official, tmp_path)
    draw = np.random.default_rng(0)
    pose, betas = draw.normal(0, 0.5, (2, 3, 72)), draw.normal(size=10)
    vertices, joints = body.forward(pose, betas)
    assert isinstance(vertices, np.ndarray) and vertices.shape == (2, 3, 6890, 3) and joints.shape == (2, 3, 24, 3)
    single, _ = body.forward(pose[1, 2], betas)
    np.testing.assert_allclose(single, vertices[1, 2], atol=1e-6)
    matrices = pose_to_matrices(torch.from_numpy(pose)).requires_grad_()
    tensor, _ = body.forward(matrices, torch.from_numpy(betas))
    np.testing.assert_allclose(tensor.detach(), vertices, atol=2e-6)
    tensor.sum().backward()
    assert torch.isfinite(matrices.grad).all()


@pytest.mark.parametrize("name", ["SMPL_NEUTRAL.pkl", "SMPL_MALE.pkl", "SMPL_FEMALE.pkl", "SMPL_FEMALE.npz"])
def test_a_body_of_any_sex_is_read_from_either_kind_of_file(
    official: BodySettings, made_up_fields, tmp_path: Path, name: str
) -> None:
    fields = {
        **made_up_fields,
        "shapedirs": np.concatenate([made_up_fields["shapedirs"], made_up_fields["posedirs"][..., :2]], 2),
    }
    path = write_body(tmp_path / name, fields)  # newer files have more directions of shape than ten
    body, expected = (load_body(official.model_copy(update={"path": each}), tmp_path) for each in (path, official.path))
    draw = np.random.default_rng(0)
    pose, betas, shift = draw.normal(0, 0.5, (2, 72)), draw.normal(size=(2, 10)), draw.normal(size=(2, 3))
    for found, wanted in zip(body.forward(pose, betas, shift), expected.forward(pose, betas, shift), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)  # where arrays lie decides how sums are rounded
    assert "chumpy" not in sys.modules


def test_a_regressor_with_the_right_leg_first_is_put_in_order(official, made_up_regressor, tmp_path: Path) -> None:
    expected = load_body(official, tmp_path).joint_regressor_h36m
    np.testing.assert_array_equal(expected, made_up_regressor.astype(np.float32))
    swapped = tmp_path / "right_first.npy"
    np.save(swapped, made_up_regressor[[0, 4, 5, 6, 1, 2, 3, *range(7, 17)]])
    body = load_body(official.model_copy(update={"joint_regressor": swapped}), tmp_path)
    np.testing.assert_array_equal(body.joint_regressor_h36m, expected)


def test_the_digest_follows_the_files(official: BodySettings, made_up_regressor, tmp_path: Path) -> None:
    body = load_body(official, tmp_path)
    assert body.name == "smpl" and body.digest == load_body(official, tmp_path).digest
    other = tmp_path / "other.npy"
    np.save(other, made_up_regressor * 0.5)
    assert load_body(official.model_copy(update={"joint_regressor": other}), tmp_path).digest != body.digest


def one_line(settings: BodySettings, cache: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_body(settings, cache)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.faults
def test_fault_23_a_missing_body_names_the_key_and_the_way_out(official: BodySettings, tmp_path: Path) -> None:
    absent = tmp_path / "absent.pkl"
    for settings in (BodySettings(kind="smpl"), BodySettings(kind="smpl", path=absent)):
        message = one_line(settings, tmp_path)
        assert message.startswith("body.path: ")
        assert "download SMPL_NEUTRAL.pkl from smpl.is.tue.mpg.de, or set `body.kind: free`" in message
    assert str(absent) in message
    message = one_line(BodySettings(kind="free", path=official.path), tmp_path)
    assert "set, but `body.kind: free` reads no file" in message
    message = one_line(BodySettings(kind="smpl", path=official.path), tmp_path)
    assert message.startswith("body.joint_regressor: ") and "J_regressor_h36m.npy" in message


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("body.obj", b"v 0 0 0", "is neither .pkl nor .npz"),
        ("body.npz", b"not a zip", "is not a readable .npz"),
        ("body.pkl", b"not a pickle", "is not a readable pickle"),
        ("body.pkl", pickle.dumps({"v_template": np.zeros((6890, 3))}), "it lacks shapedirs, posedirs, J_regressor"),
    ],
)
def test_fault_23_a_file_of_the_wrong_kind_is_refused_in_one_line(
    official: BodySettings, tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = one_line(official.model_copy(update={"path": path}), tmp_path)
    assert message.startswith(f"body.path: {path}") and complaint in message


class BothSexes(BodySettings):
    """Settings that also name a body for each sex, one of which `path` then is."""

    male_path: Path | None = None
    female_path: Path | None = None


@pytest.mark.faults
@pytest.mark.parametrize("sex", ["male", "female"])
def test_fault_23_a_body_of_one_sex_that_is_missing_or_another_names_its_own_key(
    official: BodySettings, made_up_fields, tmp_path: Path, sex: str
) -> None:
    path = tmp_path / f"SMPL_{sex.upper()}.pkl"
    settings = BothSexes(**{**official.model_dump(), "path": path, f"{sex}_path": path})
    way_out = f"download {path.name} from smpl.is.tue.mpg.de"
    message = one_line(settings, tmp_path)
    assert message.startswith(f"body.{sex}_path: {path} is not a file; {way_out}")
    write_body(path, {**made_up_fields, "weights": np.zeros((6890, 55))})
    message = one_line(settings, tmp_path)
    assert message.startswith(f"body.{sex}_path: {path}: weights is float64 (6890, 55)") and way_out in message
    write_body(path, {**made_up_fields, "f": np.array([[0, 1, 6890]])})
    assert one_line(settings, tmp_path).startswith(f"body.{sex}_path: {path}: a face names a vertex outside")


@pytest.mark.faults
@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize(
    ("suffix", "content", "complaint"),
    [
        (".obj", b"v 0 0 0", "is neither .pkl nor .npz"),
        (".npz", b"not a zip", "is not a readable .npz"),
        (".pkl", b"not a pickle", "is not a readable pickle"),
        (".pkl", pickle.dumps({"f": np.zeros((1, 3))}), "it lacks v_template"),
    ],
)
def test_fault_23_a_wrong_body_of_one_sex_names_its_own_key(
    tmp_path: Path, sex: str, suffix: str, content: bytes, complaint: str
) -> None:
    path = tmp_path / f"SMPL_{sex.upper()}{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_body_file(path, f"body.{sex}_path")
    message = str(caught.value)
    assert message.startswith(f"body.{sex}_path: {path}") and complaint in message and "\n" not in message
    assert "SMPL_NEUTRAL" not in message


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weights": np.zeros((6890, 55))}, r"weights is float64 \(6890, 55\), SMPL's is \(6890, 24\).*SMPL-X"),
        ({"posedirs": np.zeros((6890, 3, 459), np.float32)}, r"posedirs is float32 \(6890, 3, 459\)"),
        ({"v_template": np.array(["text"])}, r"v_template is <U4 \(1,\)"),
        ({"shapedirs": np.zeros((6890, 3, 4))}, "fewer than 10 directions"),
        ({"f": np.array([[0, 1, 6890]])}, r"a face names a vertex outside 0\.\.6889"),
        ({"kintree_table": np.zeros((2, 24), np.uint32)}, "its tree of 24 joints is not SMPL's"),
    ],
)
def test_fault_23_a_body_of_another_shape_is_refused(
    official: BodySettings, made_up_fields, tmp_path: Path, change: dict, complaint: str
) -> None:
    path = tmp_path / "body.npz"
    np.savez(path, **{**made_up_fields, **change})
    message = one_line(official.model_copy(update={"path": path}), tmp_path)
    assert message.startswith(f"body.path: {path}") and re.search(complaint, message), message


@pytest.mark.faults
def test_fault_23_a_regressor_for_another_mesh_names_both_shapes(official: BodySettings, tmp_path: Path) -> None:
    path = tmp_path / "regressor.npy"
    np.save(path, np.zeros((17, 10475)))
    message = one_line(official.model_copy(update={"joint_regressor": path}), tmp_path)
    assert message == f"body.joint_regressor: {path} is (17, 10475), this body needs (17, 6890)"


class Payload:
    """Makes a folder when it is unpickled carelessly."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.faults
@pytest.mark.parametrize("sex", ["neutral", "male", "female"])
def test_fault_19_a_malicious_body_of_either_kind_never_runs_its_payload(
    official: BodySettings, made_up_fields, tmp_path: Path, sex: str
) -> None:
    mark = tmp_path / "owned"
    objects = np.array([Payload(mark)], dtype=object)
    archive, bare = tmp_path / f"SMPL_{sex.upper()}.npz", tmp_path / f"SMPL_{sex.upper()}.pkl"
    np.savez(archive, **{**made_up_fields, "v_template": objects})
    bare.write_bytes(pickle.dumps({**made_up_fields, "v_template": objects}, 2))
    message = one_line(official.model_copy(update={"path": archive}), tmp_path)
    assert message.startswith(f"body.path: {archive} is not a readable .npz of plain arrays")
    message = one_line(official.model_copy(update={"path": bare}), tmp_path)
    assert re.match(rf"body.path: {bare}: asks for (posix|nt).mkdir, which no such file needs: it was not run", message)
    assert not mark.exists()
    np.load(archive, allow_pickle=True)["v_template"]
    assert mark.exists(), "the payload is a real one"


@pytest.mark.faults
def test_fault_19_a_malicious_regressor_never_runs_its_payload(official: BodySettings, tmp_path: Path) -> None:
    mark, path = tmp_path / "owned", tmp_path / "J_regressor_h36m.npy"
    np.save(path, np.array([Payload(mark)], dtype=object))
    message = one_line(official.model_copy(update={"joint_regressor": path}), tmp_path)
    assert message.startswith(f"body.joint_regressor: {path} is not a plain .npy array") and not mark.exists()


@pytest.mark.faults
def test_fault_18_an_npz_that_unpacks_to_gigabytes_is_refused_from_its_directory(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "body.npz"
    np.savez_compressed(path, v_template=np.zeros((200_000, 3)))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("moviestrip.body.load.MAXIMUM_BODY_BYTES", 1_000_000)
    with pytest.raises(ConfigError, match=r"would unpack to 4,800,128 bytes"):
        read_body_file(path)
