"""MPI-INF-3DHP's reader gives back exactly what a miniature release was made from, and names what is wrong with one."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from moviestrip.datasets.official import mpi_inf_3dhp as module
from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.mpi_inf_3dhp import CAMERAS, SEQUENCES, MpiInf3dhp, read_views
from moviestrip.errors import FatalError, StorageError
from moviestrip.skeleton import HMMR_25, MPI_INF_3DHP_17
from moviestrip.video.decode import probe
from tests.datasets.official.write_mpi_inf_3dhp import (
    FRAMES,
    N_CAMERAS,
    SIDE_PX,
    WIDE_PX,
    Written,
    write_annot,
    write_mpi_inf_3dhp,
)

NAME, TEST_NAME = "S1/Seq1/video_8", "TS5"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_mpi_inf_3dhp(tmp_path_factory.mktemp("mpi_inf_3dhp"))


def video_named(release: MpiInf3dhp, name: str = NAME):
    return next(video for video in release.videos() if video.name == name)


def people_in(folder: Path, name: str = NAME):
    release = MpiInf3dhp(folder)
    return release.people(video_named(release, name))


def require_truth(people, truth) -> None:
    assert np.array_equal(people.frame, np.arange(FRAMES)) and not people.person.any()
    assert np.array_equal(people.keypoints_px[..., 2], truth.keypoints_px[..., 2])
    assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3
    assert people.has_3d.all() and not people.has_body.any()
    assert np.abs(people.joints_m - truth.joints_m).max() < 1e-4
    assert np.abs(people.trunk_m - truth.trunk_m).max() < 1e-4
    assert np.allclose(people.intrinsics_px, truth.intrinsics_px, atol=1e-3)
    assert np.array_equal(people.trusted, truth.trusted)


def test_the_truth_comes_back(written: Written):
    release = release_named("mpi-inf-3dhp")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        require_truth(release.people(found[name]), truth)


def test_videos_say_whom_which_camera_saw_how_often(written: Written):
    release = MpiInf3dhp(written.folder)
    fast, slow = video_named(release, "S1/Seq2/video_0"), video_named(release, "S1/Seq1/video_8")
    assert (fast.subject, fast.camera, fast.fps, fast.split) == ("S1", "0", 50, "train")
    assert (slow.subject, slow.camera, slow.fps, slow.file) == ("S1", "8", 25, "S1/Seq1/imageSequence/video_8.avi")
    facts = probe(written.folder / fast.file)
    assert (facts.n_frames, facts.fps, facts.width_px) == (FRAMES, 50, SIDE_PX)
    test = video_named(release, TEST_NAME)
    assert (test.subject, test.fps, test.split) == ("TS5", 25, "test")
    assert len(list((written.folder / test.file).iterdir())) == FRAMES


def test_the_totals_that_the_release_states():
    frames = len(CAMERAS) * sum(frames for _, frames in SEQUENCES.values())
    assert (MpiInf3dhp.expected["train videos"], MpiInf3dhp.expected["train frames"]) == (128, frames)


def test_splits_by_rule(written: Written):
    def of(rule: str, split: str) -> set[str]:
        videos = MpiInf3dhp(written.folder, rule).videos()
        return {
            video.name.removesuffix("/video_0") for video in videos if video.split == split and "_8" not in video.name
        }

    everybody = {"S1/Seq1", "S1/Seq2", "S4/Seq1", "S4/Seq2", "S8/Seq1", "S8/Seq2"}
    assert of("official", "train") == everybody and not of("official", "validation")
    assert of("hmr", "validation") == {"S8/Seq1", "S8/Seq2"} and of("hmr", "train") == everybody - of(
        "hmr", "validation"
    )
    assert of("margipose", "validation") == {"S4/Seq1", "S8/Seq2"}
    assert of("official", "test") == of("hmr", "test") == {f"TS{number}" for number in range(1, 7)}
    with pytest.raises(FatalError, match="no rule of splits 'tcmr'; known: official, hmr, margipose"):
        MpiInf3dhp(written.folder, "tcmr")


def test_joints_outside_the_picture_are_not_seen(written: Written):
    people = people_in(written.folder)
    seen = people.keypoints_px[..., 2] > 0
    ankle, wrist = (HMMR_25.index(name) for name in ("right_ankle", "right_wrist"))
    assert 0 < seen[:, ankle].sum() < FRAMES and seen[:, wrist].all() and people.has_3d.all()
    assert not people.keypoints_px[~seen].any() and (people.keypoints_px[..., :2] < SIDE_PX).all()
    far = people_in(written.folder, "S1/Seq1/video_0").keypoints_px[..., 2] > 0
    assert {name for name, one in zip(HMMR_25, far[0], strict=True) if one} >= {"left_ankle", "right_ankle", "head_top"}
    assert not far[:, HMMR_25.index("left_heel")].any() and not far[:, HMMR_25.index("nose")].any()


def test_test_joints_are_the_universal_skeleton_seen_where_the_person_is(written: Written):
    people = people_in(written.folder, TEST_NAME)
    with h5py.File(written.folder / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat") as file:
        universal_mm, pixels = file["univ_annot3"][:, 0], file["annot2"][:, 0]
    pelvis = MPI_INF_3DHP_17.index("pelvis")
    ankle = MPI_INF_3DHP_17.index("right_ankle")
    relative = 1000 * (people.joints_m[:, 0] - people.trunk_m[:, 0])
    assert np.allclose(relative, universal_mm[:, ankle] - universal_mm[:, pelvis], atol=1e-3)
    fx, fy, cx, cy = people.intrinsics_px.T
    x, y, z = people.joints_m[:, 0].T
    assert np.allclose(np.stack([fx * x / z + cx, fy * y / z + cy], axis=1), pixels[:, ankle], atol=1e-3)


def test_cells_follow_their_cameras(copied: Path, written: Written):
    path = copied / "S1" / "Seq1" / "annot.mat"
    turn_cells(path, tuple(reversed(range(N_CAMERAS))))
    require_truth(people_in(copied), written.people[NAME])
    turn_cells(path, (0, 1, 2))
    refuses(copied, f"{path}: cameras has no 8; it holds 0, 1, 2")


def turn_cells(path: Path, order: tuple[int, ...]) -> None:
    found = scipy.io.loadmat(path)
    seen = [cell[0].reshape(FRAMES, 28, 3) / 1000 for cell in found["annot3"]]
    write_annot(path, [cell[0] for cell in found["annot2"]], seen, order)


def spoil(folder: Path, **changed) -> Path:
    path = folder / "S1" / "Seq1" / "annot.mat"
    found = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
    scipy.io.savemat(path, found | changed)
    return path


def test_rows_beyond_the_end_of_a_video_are_left(copied: Path, monkeypatch):
    monkeypatch.setitem(module.SEQUENCES, "S1/Seq1", (25, 40))
    assert np.array_equal(people_in(copied).frame, np.arange(40))


def test_rows_are_of_the_frames_they_name(copied: Path):
    spoil(copied, frames=3.0 + 2 * np.arange(FRAMES)[:, None])
    assert np.array_equal(people_in(copied).frame, 3 + 2 * np.arange(FRAMES))


def test_frames_unpacked_as_pictures_serve(copied: Path, written: Written):
    sequence, pictures = copied / "S1" / "Seq1", copied / "mpi_inf_3dhp_test_set" / "TS1" / "imageSequence"
    (sequence / "imageSequence" / "video_8.avi").unlink()
    for place in ("imageFrames/video_8", "video_8"):
        shutil.copytree(pictures, sequence / place)
        for path in list((sequence / place).iterdir()):
            path.rename(path.with_name(path.name.replace("img_", "frame_")))
        assert video_named(MpiInf3dhp(copied)).file == f"S1/Seq1/{place}"
        require_truth(people_in(copied), written.people[NAME])
        (sequence / place / "frame_000017.jpg").unlink()
        refuses(copied, f"{sequence / place}: picture 000017 is missing; {FRAMES} frames are annotated")
        shutil.rmtree(sequence / place)


def test_the_test_set_within_itself_serves(copied: Path, written: Written):
    test = copied / "mpi_inf_3dhp_test_set"
    test.rename(copied / "unpacked")
    test.mkdir()
    (copied / "unpacked").rename(test / "mpi_inf_3dhp_test_set")
    require_truth(people_in(copied, TEST_NAME), written.people[TEST_NAME])


def test_either_part_serves_alone(copied: Path):
    shutil.rmtree(copied / "mpi_inf_3dhp_test_set")
    assert {video.split for video in MpiInf3dhp(copied).videos()} == {"train"}
    for subject in copied.glob("S*"):
        shutil.rmtree(subject)
    with pytest.raises(StorageError, match="release: holds neither S1 to S8 nor mpi_inf_3dhp_test_set of MPI-INF"):
        list(MpiInf3dhp(copied).videos())


def test_unknown_positions_are_not_positions(copied: Path):
    found = scipy.io.loadmat(copied / "S1" / "Seq1" / "annot.mat")
    found["annot3"][8, 0][7, 3 * 25], found["annot2"][8, 0][9, 2 * 16] = np.nan, np.nan
    found["annot3"][8, 0][11], found["annot2"][8, 0][11] = 0, 0
    spoil(copied, annot2=found["annot2"], annot3=found["annot3"])
    people = people_in(copied)
    assert np.flatnonzero(~people.has_3d).tolist() == [7, 11] and not people.joints_m[[7, 11]].any()
    assert np.isnan(people.trunk_m[[7, 11]]).all() and np.isfinite(people.trunk_m[8]).all()
    assert not people.keypoints_px[9, HMMR_25.index("right_wrist")].any()
    assert not people.keypoints_px[11].any() and np.isfinite(people.keypoints_px).all()


def refuses(folder: Path, *said: str, name: str = NAME) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder, name)
    for words in said:
        assert words in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.4, 0.9])
@pytest.mark.parametrize("name", [NAME, TEST_NAME])
def test_truncated_annotation(copied: Path, kept: float, name: str):
    path = copied / "S1" / "Seq1" / "annot.mat"
    path = path if name == NAME else copied / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refuses(copied, str(path), name=name)


def test_annotation_that_lacks_something(copied: Path):
    path = spoil(copied, annot3=np.zeros((FRAMES, 84)))
    refuses(copied, f"{path}: annot3 is float64 ({FRAMES}, 84), expected a cell for each of 14 cameras")
    path.unlink()
    refuses(copied, f"{path}: there is no such file")
    scipy.io.savemat(path, {"annot2": np.zeros((1, 1)), "joints": np.zeros((1, 1))})
    refuses(copied, f"{path}: has no variable annot3, cameras, frames; it holds annot2, joints")


def test_annotation_of_other_shapes(copied: Path):
    cells = scipy.io.loadmat(copied / "S1" / "Seq1" / "annot.mat")["annot3"]
    cells[8, 0] = cells[8, 0][:, : 3 * 17]
    path = spoil(copied, annot3=cells)
    refuses(copied, f"{path}: annot3{{9}} is float64 ({FRAMES}, 51), expected double (frames, 84): 28 joints of 3")
    cells[8, 0] = np.zeros((FRAMES, 84), np.int16)
    spoil(copied, annot3=cells)
    refuses(copied, f"{path}: annot3{{9}} is int16 ({FRAMES}, 84)")
    cells[8, 0] = np.zeros((FRAMES - 3, 84))
    spoil(copied, annot3=cells)
    refuses(copied, f"{path}: {FRAMES} frames, but annot2 has {FRAMES} rows and annot3 {FRAMES - 3} of camera 8")


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.arange(FRAMES)[::-1].astype(float), "frames do not rise"),
        (np.arange(FRAMES) - 0.5, "frames has values that are not whole numbers from 0"),
        (np.zeros((4, FRAMES)), f"frames is float64 (4, {FRAMES}), expected a row of numbers counted from 0"),
    ],
)
def test_frames_that_are_no_frames(copied: Path, frames: np.ndarray, said: str):
    path = spoil(copied, frames=frames)
    refuses(copied, f"{path}: {said}")


def test_annotation_of_another_camera_or_unit(copied: Path):
    found = scipy.io.loadmat(copied / "S1" / "Seq1" / "annot.mat")
    path = spoil(copied, annot2=found["annot2"][::-1])
    refuses(copied, f"{path}: annot2 lies ", " px from annot3 as seen by ", "of another sequence or camera")
    metres = np.array([[cell[0] / 1000] for cell in found["annot3"]] + [[0]], object)[:-1]
    spoil(copied, annot2=found["annot2"], annot3=metres)
    refuses(copied, f"{path}: annot3 has 0.", " mm from pelvis to neck; the release counts in millimetres")


def test_calibration_that_is_none(copied: Path):
    path = copied / "S1" / "Seq1" / "camera.calibration"
    content = path.read_text()
    for spoilt, said in (
        (content.replace("Skeletool", "Other"), "does not begin with 'Skeletool Camera Calibration File'"),
        (content.replace("  size        160 160", "  size        160"), "line 6 ends no camera (ValueError"),
        (content.replace("name          0\n", ""), "line 5 ends no camera (KeyError: 'name')"),
        (content.replace(" 0 0 0 1 \n", " 0 0 1 \n"), "line 6 ends no camera (ValueError: cannot reshape"),
        (content[: len(content) // 3], "has no camera 8"),
        ("", "does not begin with"),
    ):
        path.write_text(spoilt)
        refuses(copied, f"{path}: {said}")
    path.unlink()
    refuses(copied, f"{path}: missing; it is downloaded beside annot.mat")


def test_the_published_camera_0_of_s1(tmp_path: Path):
    # Its lens as Ray3D and others print it: 1497.693, 1497.103; 1024.704, 1051.394; 2048 x 2048.
    (tmp_path / "camera.calibration").write_text(
        "Skeletool Camera Calibration File V1.0\nname          0\n  sensor      10 10\n  size        2048 2048\n"
        "  animated    0\n  intrinsic   1497.693 0 1024.704 0 0 1497.103 1051.394 0 0 0 1 0 0 0 0 1 \n"
        "  extrinsic   1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 \n  radial      0\n"
    )
    view = read_views(tmp_path / "camera.calibration")[0]
    assert view.intrinsics_px.tolist() == [1497.693, 1497.103, 1024.704, 1051.394]
    assert (view.width_px, view.height_px) == (2048, 2048)


def change_test(folder: Path, **changed: np.ndarray) -> Path:
    """Put other arrays, with HDF5's axes, into a test sequence's annotation."""
    path = folder / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        for name, value in changed.items():
            del file[name]
            file[name] = value
    return path


def test_test_annotation_of_other_shapes_or_values(copied: Path):
    said = [
        (
            {"annot3": np.zeros((FRAMES, 1, 28, 3))},
            "annot3 is float64 (3, 28, 1, 48), expected double (3, 17, 1, frames)",
        ),
        ({"annot3": np.zeros((FRAMES, 1, 17, 3), np.float16)}, "annot3 is float16 (3, 17, 1, 48)"),
        ({"annot3": np.zeros((FRAMES, 1, 17, 3))}, "annot2 and annot3 have no frame in common"),
        (
            {"annot2": np.zeros((9, 1, 17, 2))},
            "annot2, annot3, univ_annot3 and valid_frame are of 9, 48, 48 and 48 frames",
        ),
        ({"valid_frame": np.full((FRAMES, 1), 2.0)}, "valid_frame is float64 (1, 48), expected a row of 0 and 1"),
    ]
    with h5py.File(copied / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat") as file:
        original = {name: file[name][()] for name in ("annot2", "annot3", "univ_annot3", "valid_frame")}
    other = np.random.default_rng(0).normal(size=original["annot3"].shape)
    said += [
        ({"annot3": original["annot3"] / 1000}, " mm from pelvis to neck; the release counts in millimetres"),
        ({"annot3": original["annot3"] * [1, 1, -1]}, "annot3 has people behind the camera"),
        ({"annot2": original["annot2"][:, :, ::-1]}, " px from annot3 as seen by the camera that fits best"),
        ({"univ_annot3": 500 * other}, "univ_annot3 is not annot3 at another size"),
        ({"univ_annot3": original["univ_annot3"] / 1000}, "univ_annot3 is not annot3 at another size"),
    ]
    for changed, words in said:
        path = change_test(copied, **(original | changed))
        refuses(copied, f"{path}: ", words, name=TEST_NAME)


def test_test_pictures_that_are_not_there_or_no_pictures(copied: Path):
    folder = copied / "mpi_inf_3dhp_test_set" / "TS5" / "imageSequence"
    picture = folder / "img_000001.jpg"
    assert WIDE_PX[0] > people_in(copied, TEST_NAME).keypoints_px[..., 0].max()
    picture.write_bytes(b"<html>Please log in</html>")
    refuses(copied, f"{picture}: is no picture that can be read", name=TEST_NAME)
    shutil.copy(folder / "img_000002.jpg", folder / "img_000000.jpg")
    refuses(copied, f"{folder}: picture 000000 is one too many", name=TEST_NAME)
    (folder / f"img_{FRAMES:06d}.jpg").unlink()
    refuses(copied, f"{folder}: picture {FRAMES:06d} is missing; {FRAMES} frames are annotated", name=TEST_NAME)


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match=r"nowhere: there is no such folder; put MPI-INF-3DHP there"):
        MpiInf3dhp(tmp_path / "nowhere")
    shutil.rmtree(copied / "S8" / "Seq2" / "imageSequence")
    with pytest.raises(
        StorageError, match=r"S8/Seq2/imageSequence: holds no video_0\.avi or of another camera; unpack"
    ):
        list(MpiInf3dhp(copied).videos())
    shutil.rmtree(copied / "S8" / "Seq2")
    with pytest.raises(StorageError, match=r"S8/Seq2: missing; MPI-INF-3DHP is expected"):
        list(MpiInf3dhp(copied).videos())
    shutil.rmtree(copied / "S8")
    shutil.rmtree(copied / "mpi_inf_3dhp_test_set" / "TS3")
    with pytest.raises(StorageError, match=r"mpi_inf_3dhp_test_set/TS3/imageSequence: missing"):
        list(MpiInf3dhp(copied).videos())
