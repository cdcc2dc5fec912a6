"""3DPW's reader gives back exactly what a miniature release was made from, and names what is wrong with one."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.threedpw import ThreeDPW
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25
from tests.datasets.official.write_threedpw import (
    FRAMES,
    UNALIGNED,
    UNDETECTED,
    Written,
    write_python_2_pickle,
    write_threedpw,
)

NAME = "downtown_arguing_00"
PELVIS_M = np.array([-0.002, -0.223, 0.028])  # about where the pelvis of SMPL's men rests


@pytest.fixture(scope="module")
def body(free_body: Path, tmp_path_factory) -> Body:
    """The free body where official ones lie: the pelvis of theirs is not at the origin."""
    folder = tmp_path_factory.mktemp("body")
    with np.load(free_body) as file:
        fields = {name: file[name] for name in file.files}
    np.savez(folder / "SMPL_MALE.npz", **{**fields, "v_template": fields["v_template"] + PELVIS_M})
    np.save(folder / "J_regressor_h36m.npy", fields["joint_regressor_h36m"])
    settings = BodySettings(kind="smpl", path=folder / "SMPL_MALE.npz", joint_regressor=folder / "J_regressor_h36m.npy")
    return load_body(settings, folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory, body: Body) -> Written:
    return write_threedpw(tmp_path_factory.mktemp("3dpw"), body=body)


def people_in(folder: Path, name: str = NAME):
    release = ThreeDPW(folder)
    return release.people(next(video for video in release.videos() if video.name == name))


def sequence_path(folder: Path) -> Path:
    return folder / "sequenceFiles" / "test" / f"{NAME}.pkl"


def stored(folder: Path) -> dict[str, Any]:
    return pickle.loads(sequence_path(folder).read_bytes(), encoding="latin1")


def spoil(folder: Path, **changed: Any) -> None:
    fields = {**stored(folder), **changed}
    write_python_2_pickle(sequence_path(folder), {name: value for name, value in fields.items() if value is not None})


def test_the_truth_comes_back(written: Written):
    release = release_named("3dpw")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        people = release.people(found[name])
        count = len(truth.betas)
        assert found[name].split == truth.split
        assert np.array_equal(people.person, np.repeat(np.arange(count), FRAMES))
        assert np.array_equal(people.frame, np.tile(np.arange(FRAMES), count))
        assert np.array_equal(people.pose, truth.pose.reshape(-1, 72))
        assert np.array_equal(people.betas, truth.betas.repeat(FRAMES, axis=0))
        assert np.abs(people.translation_m - truth.translation_m.reshape(-1, 3)).max() < 1e-5
        assert np.abs(people.keypoints_px - truth.keypoints_px.reshape(-1, 25, 3)).max() < 1e-3
        assert np.array_equal(people.trusted, truth.trusted.ravel())
        assert np.allclose(people.intrinsics_px, truth.intrinsics_px)
        assert people.gender == truth.gender
        assert people.has_body.all() and not people.has_3d.any() and np.isnan(people.trunk_m).all()


def test_the_body_seen_is_the_body_of_the_world(written: Written, body: Body):
    people, fields = people_in(written.folder), stored(written.folder)
    for number in range(2):
        in_world, _ = body.forward(fields["poses"][number], fields["betas"][number][:10], fields["trans"][number])
        turn, shift = fields["cam_poses"][:, :3, :3], fields["cam_poses"][:, :3, 3]
        expected = np.einsum("nij,nvj->nvi", turn, in_world) + shift[:, None]
        rows = people.person == number
        seen, _ = body.forward(people.pose[rows], people.betas[rows], people.translation_m[rows])
        assert np.abs(seen - expected).max() < 2e-5
        moved_as_a_point = np.einsum("nij,nj->ni", turn, fields["trans"][number]) + shift
        assert np.linalg.norm(moved_as_a_point - people.translation_m[rows], axis=1).min() > 0.1, "pelvis is not 0"


def test_a_video_is_a_folder_of_images(written: Written):
    video = next(video for video in ThreeDPW(written.folder).videos() if video.name == NAME)
    assert (video.split, video.fps, video.action) == ("test", 30, "downtown_arguing")
    assert len(list((written.folder / video.file).glob("*.jpg"))) == FRAMES


def test_what_macos_leaves_beside_images_is_none_of_them(copied: Path):
    (copied / "imageFiles" / NAME / "._image_00000.jpg").write_bytes(bytes(8))
    assert len(people_in(copied).frame) == 2 * FRAMES


def test_what_is_not_detected_or_not_aligned_is_said(written: Written):
    people = people_in(written.folder)
    first = people.person == 0
    assert not people.keypoints_px[first][UNDETECTED].any() and people.keypoints_px[~first, :12, 2].any()
    assert np.flatnonzero(~people.trusted).tolist() == list(range(FRAMES))[UNALIGNED]
    seen = {name for name, confidence in zip(HMMR_25, people.keypoints_px[0, :, 2], strict=True) if confidence}
    assert len(seen) == 18 and {"neck", "left_ankle"} < seen and not {"left_heel", "head_top", "left_big_toe"} & seen


def test_what_is_unknown_is_absent(copied: Path):
    fields = stored(copied)
    fields["poses"][0][3] = np.nan
    fields["trans"][1][4, 0] = np.nan
    fields["cam_poses"][UNALIGNED] = 0
    fields["campose_valid"][1][UNALIGNED] = 0
    fields["cam_poses"][22] = np.nan
    fields["poses2d"][0][9, 0, 4] = np.nan
    fields["poses2d"][0][9, 1, 7] = 1e6  # some of the release's lie far outside the picture
    fields["poses2d"][0][9, 2, 0] = 1.02
    spoil(copied, **fields)
    people = people_in(copied)
    lost = [3, *range(FRAMES)[UNALIGNED], *(FRAMES + frame for frame in (4, *range(FRAMES)[UNALIGNED]))]
    assert np.flatnonzero(~people.has_body).tolist() == sorted(lost)
    assert not people.pose[lost].any() and not people.betas[lost].any() and not people.translation_m[lost].any()
    assert np.isfinite(people.keypoints_px).all() and people.keypoints_px[9, :, 2].max() == 1
    absent = {HMMR_25[joint] for joint in np.flatnonzero(people.keypoints_px[9, :, 2] == 0)}
    assert absent - {HMMR_25[joint] for joint in np.flatnonzero(people.keypoints_px[10, :, 2] == 0)} == {
        "right_wrist",
        "left_wrist",
    }


def test_float32_serves_too(copied: Path, written: Written):
    fields = stored(copied)
    narrow = {
        name: [values.astype(np.float32) for values in fields[name]]
        for name in ("poses", "trans", "poses2d", "jointPositions", "betas")
    }
    flags = [flags.astype(bool) for flags in fields["campose_valid"]]
    spoil(copied, **narrow, campose_valid=flags, cam_poses=fields["cam_poses"].astype(np.float32))
    people, truth = people_in(copied), written.people[NAME]
    assert np.abs(people.pose - truth.pose.reshape(-1, 72)).max() < 1e-5
    assert np.array_equal(people.betas, truth.betas.repeat(FRAMES, axis=0))


def refuses(folder: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 3, 0.3, 0.95])
def test_a_truncated_sequence(copied: Path, kept: float):
    path = sequence_path(copied)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    refuses(copied, f"{path}: is not a readable pickle", "fetch it again")


class Evil:
    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.faults
@pytest.mark.parametrize("place", ["whole", "field", "array", "list"])
def test_fault_19_a_malicious_sequence_never_runs_its_payload(copied: Path, tmp_path: Path, place: str):
    mark, path = tmp_path / "owned", sequence_path(copied)
    evil, fields = Evil(mark), stored(copied)
    content: Any = {
        "whole": evil,
        "field": {**fields, "texture_maps": evil},
        "array": {**fields, "cam_poses": np.array([evil], dtype=object)},
        "list": {**fields, "poses": [evil, evil]},
    }[place]
    path.write_bytes(pickle.dumps(content, protocol=2))
    refuses(copied, f"{path}: asks for ", "mkdir, which no such file needs: it was not run")
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the payload is a real one"


def test_a_sequence_that_is_another_or_no_sequence(copied: Path):
    path = sequence_path(copied)
    shutil.copy(copied / "sequenceFiles" / "train" / "courtyard_arguing_00.pkl", path)
    refuses(copied, f"{path}: is of the sequence 'courtyard_arguing_00'", "unpack sequenceFiles.zip again")
    write_python_2_pickle(path, {"poses": [], "new_poses": 1})
    refuses(copied, f"{path}: lacks sequence, betas, trans", "it holds new_poses, poses")
    path.write_bytes(pickle.dumps([1, 2], protocol=2))
    refuses(copied, f"{path}: holds a list, expected named fields")


def test_fields_of_other_types_and_shapes(copied: Path):
    fields, path = stored(copied), sequence_path(copied)
    half = [values.astype(np.float16) for values in fields["poses"]]
    joints_first = [values.transpose(0, 2, 1) for values in fields["poses2d"]]
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"poses": half}, f"poses[0] is float16 ({FRAMES}, 72), expected float64 ({FRAMES}, 72)"),
        ({"poses": [values[:, :69] for values in fields["poses"]]}, f"poses[0] is float64 ({FRAMES}, 69)"),
        ({"poses": [values[:-2] for values in fields["poses"]]}, f"poses[0] is float64 ({FRAMES - 2}, 72)"),
        ({"poses": [None, None]}, "poses[0] is a NoneType, expected an array of float64"),
        ({"trans": fields["trans"][:1]}, "different numbers of people: 2 in poses, 1 in trans"),
        ({"poses": 5}, "poses is a int, expected a list with an entry a person"),
        ({"poses2d": joints_first}, f"poses2d[0] is float64 ({FRAMES}, 18, 3), expected float64 ({FRAMES}, 3, 18)"),
        ({"genders": ["f", "n"]}, "genders[1] is 'n', expected one of m, f"),
        ({"betas": [np.zeros(4), np.zeros(10)]}, "betas[0] has 4 numbers"),
        ({"campose_valid": [np.zeros(FRAMES), np.full(FRAMES, 7)]}, f"campose_valid[1] is int64 ({FRAMES},)"),
        ({"cam_poses": fields["cam_poses"][:, :3]}, f"cam_poses is float64 ({FRAMES}, 3, 4), expected"),
        ({"cam_poses": fields["cam_poses"] * 1.1}, "are no rotation and shift, such as that of frame 0"),
        ({"cam_poses": fields["cam_poses"][:0]}, "cam_poses has no frames"),
        ({"cam_intrinsics": np.zeros((3, 3))}, "cam_intrinsics is no camera's matrix"),
        ({"cam_intrinsics": None}, "lacks cam_intrinsics; it holds betas"),
    )
    for changed, said in cases:
        write_python_2_pickle(path, {name: value for name, value in {**fields, **changed}.items() if value is not None})
        refuses(copied, f"{path}: ", said)


def test_fields_that_do_not_belong_together(copied: Path):
    fields, path = stored(copied), sequence_path(copied)
    other = pickle.loads(path.with_name("downtown_walking_00.pkl").read_bytes(), encoding="latin1")
    spoil(copied, cam_poses=np.linalg.inv(fields["cam_poses"]))
    refuses(copied, f"{path}: poses2d[0] lies ", " m from jointPositions[0]", "not of one recording")
    spoil(copied, cam_poses=fields["cam_poses"], poses2d=[values[:, :, ::-1] for values in fields["poses2d"]])
    refuses(copied, f"{path}: poses2d[0] lies ")
    spoil(copied, poses2d=fields["poses2d"], trans=[values * 100 for values in fields["trans"]])
    refuses(copied, f"{path}: jointPositions[0] is not of the body that trans[0] moves")
    spoil(copied, trans=fields["trans"], jointPositions=[other["jointPositions"][0]] * 2)
    refuses(copied, f"{path}: jointPositions[0] is not of the body that trans[0] moves")


def test_images_that_are_missing(copied: Path):
    folder = copied / "imageFiles" / NAME
    path = sequence_path(copied)
    (folder / "image_00017.jpg").rename(folder / "picture.jpg")
    refuses(
        copied,
        f"{folder}: lacks image_00017.jpg (image_00018.jpg stands in its place)",
        f"{path} has {FRAMES} frames; unpack imageFiles.zip again",
    )
    (folder / "picture.jpg").rename(folder / "image_00017.jpg")
    (folder / f"image_{FRAMES - 1:05d}.jpg").unlink()
    refuses(copied, f"{folder}: lacks image_000{FRAMES - 1}.jpg (it holds {FRAMES - 1} images)")
    shutil.rmtree(folder)
    refuses(copied, f"{folder}: missing; 3D Poses in the Wild is expected as docs/datasets.md shows")


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match="nowhere: there is no such folder; put 3D Poses in the Wild there"):
        ThreeDPW(tmp_path / "nowhere")
    (copied / "sequenceFiles" / "test" / "._downtown_arguing_00.pkl").write_bytes(b"")  # of an archiver
    assert len(list(ThreeDPW(copied).videos())) == 6
    for path in (copied / "sequenceFiles" / "train").iterdir():
        path.unlink()
    with pytest.raises(StorageError, match="sequenceFiles/train: holds no sequence such as"):
        list(ThreeDPW(copied).videos())
    shutil.rmtree(copied / "sequenceFiles" / "train")
    with pytest.raises(StorageError, match="sequenceFiles/train: missing; 3D Poses in the Wild is expected"):
        list(ThreeDPW(copied).videos())
