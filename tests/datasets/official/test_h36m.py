"""Human3.6M's reader gives back exactly what a miniature release was made from, and names what is wrong with one."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.h36m import (
    CAMERAS,
    FRONTAL_CAMERA,
    Human36M,
    read_cameras,
    read_pose,
)
from moviestrip.errors import FatalError, StorageError
from moviestrip.skeleton import HMMR_25
from moviestrip.video.decode import probe
from tests.datasets.official.write_h36m import FRAMES, Written, write_fit, write_h36m, write_pose

NAME = "S9/Greeting 1.60457274"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_h36m(tmp_path_factory.mktemp("h36m"))


def video_named(release: Human36M, name: str = NAME):
    return next(video for video in release.videos() if video.name == name)


def people_in(folder: Path, name: str = NAME):
    release = Human36M(folder)
    return release.people(video_named(release, name))


def pose_path(folder: Path, kind: str, stem: str = "Greeting 1.60457274") -> Path:
    return folder / "S9" / "MyPoseFeatures" / kind / f"{stem}.cdf"


def fit_path(folder: Path) -> Path:
    return folder / "neutrMosh" / "neutrSMPL_H3.6" / "S9" / "Greeting 1_cam3_aligned.pkl"


def require_truth(people, truth) -> None:
    assert np.array_equal(people.frame, np.arange(FRAMES)) and not people.person.any()
    assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3
    assert people.has_3d.all() and people.trusted.all()
    assert np.abs(people.joints_m - truth.joints_m).max() < 1e-4
    assert np.abs(people.trunk_m - truth.trunk_m).max() < 1e-4
    assert np.array_equal(people.has_body, truth.has_body)
    assert np.array_equal(people.pose, truth.pose)
    assert np.array_equal(people.betas, truth.betas)
    assert np.allclose(people.intrinsics_px, truth.intrinsics_px, atol=1e-4)


def test_the_truth_comes_back(written: Written):
    release = release_named("h36m")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        people = release.people(found[name])
        require_truth(people, truth)
        assert people.gender == ({0: "neutral"} if truth.has_body.any() else {})
        assert found[name].action == truth.action


def test_videos_say_who_does_what_seen_by_which_camera(written: Written):
    video = video_named(Human36M(written.folder))
    assert (video.subject, video.action, video.camera, video.fps) == ("S9", "Greeting", FRONTAL_CAMERA, 50)
    facts = probe(written.folder / video.file)
    assert (facts.n_frames, facts.fps) == (FRAMES, 50)


def test_ankles_are_ankles_and_heels_are_not_annotated(written: Written):
    keypoints = people_in(written.folder).keypoints_px
    seen = {name for name, confidence in zip(HMMR_25, keypoints[0, :, 2], strict=True) if confidence}
    assert len(seen) == 14 and {"left_ankle", "right_ankle"} < seen and not {"left_heel", "nose"} & seen


def test_splits_by_rule(written: Written):
    def subjects(rule: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for video in Human36M(written.folder, rule).videos():
            found.setdefault(video.split, set()).add(video.subject)
        return found

    assert subjects("hmmr") == {"train": {"S1", "S6", "S7", "S8"}, "validation": {"S5"}, "test": {"S9", "S11"}}
    assert subjects("vibe") == {"train": {"S1", "S5", "S6", "S7", "S8"}, "test": {"S9", "S11"}}
    with pytest.raises(FatalError, match="no rule of splits 'phd'; known: hmmr, vibe"):
        Human36M(written.folder, "phd")


def test_what_the_papers_leave_out_is_left_out(copied: Path):
    for name in ("Directions.60457274", "Directions 1.60457274", "Phoning 2.60457274", "Phoning 3.60457274"):
        (copied / "S11" / "Videos" / f"{name}.mp4").write_bytes(b"")

    def of_s11(rule: str) -> list[str]:
        names = [video.name for video in Human36M(copied, rule).videos() if video.subject == "S11"]
        return [name.removeprefix("S11/").removesuffix(".60457274") for name in names]

    assert of_s11("hmmr") == ["Directions 1", "Phoning 3", "Smoking"]
    assert of_s11("vibe") == ["Directions 1", "Directions", "Phoning 2", "Phoning 3", "Smoking"]


def test_the_published_camera_of_s1(tmp_path: Path):
    # Six numbers of <w0> and the camera that karfly/human36m-camera-parameters makes of them.
    angles = [-1.38382776045614, -3.16734304390158, 0.413636308164621]
    place = [1841.10702774543, 4955.28462344526, 1563.4453958977]
    numbers = " ".join(map(str, [*angles, *place, *range(1, 295)]))
    (tmp_path / "metadata.xml").write_text(f"<meta><w0>[{numbers}]</w0></meta>")
    camera = read_cameras(tmp_path / "metadata.xml")["S1", CAMERAS[0]]
    assert np.allclose(camera.rotation, [
        [-0.9153617321513369, 0.40180836633680234, 0.02574754463350265],
        [0.051548117060134555, 0.1803735689384521, -0.9822464900705729],
        [-0.399319034032262, -0.8977836111057917, -0.185819527201491],
    ])  # fmt: skip
    assert np.allclose(camera.from_world(np.zeros(3)), [-0.3460507814, 0.5469807793, 5.4744810871])


def test_world_positions_serve_where_there_are_no_others(copied: Path, written: Written):
    for folder in copied.glob("S*/MyPoseFeatures/D3_Positions_mono"):
        shutil.rmtree(folder)
    require_truth(people_in(copied), written.people[NAME])


def test_mat_files_and_the_downloaders_folders_serve(copied: Path, written: Written):
    for subject in copied.glob("S*"):
        for folder in list((subject / "MyPoseFeatures").iterdir()):
            for path in list(folder.glob("*.cdf")):
                pose = read_pose(path, 2 if folder.name == "D2_Positions" else 3).astype(np.float32)
                cell = np.empty((1, 1), object)
                cell[0, 0] = pose.reshape(len(pose), -1)
                scipy.io.savemat(path.with_name(path.name + ".mat"), {"data": cell})
                path.unlink()
            folder.rename(subject / f"Poses_{folder.name}")
    (copied / "Release-v1.2").mkdir()
    (copied / "metadata.xml").rename(copied / "Release-v1.2" / "metadata.xml")
    require_truth(people_in(copied), written.people[NAME])


def test_fits_that_somebody_turned_upright_are_left_as_they_are(copied: Path, written: Written):
    path = fit_path(copied)
    fields = pickle.loads(path.read_bytes(), encoding="latin1")
    truth = written.people[NAME]
    fields["new_poses"] = truth.pose[truth.has_body].astype(np.float64)
    path.write_bytes(pickle.dumps(fields, protocol=2))
    require_truth(people_in(copied), truth)


def test_without_fits_there_are_no_bodies(copied: Path):
    shutil.rmtree(copied / "neutrMosh")
    people = people_in(copied)
    assert not people.has_body.any() and not people.pose.any() and people.has_3d.all()


def test_unknown_positions_are_not_positions(copied: Path):
    points, pixels = (
        read_pose(pose_path(copied, "D3_Positions_mono"), 3),
        read_pose(pose_path(copied, "D2_Positions"), 2),
    )
    points[7, 3], pixels[8, 3] = np.nan, np.nan  # the right ankle
    write_pose(pose_path(copied, "D3_Positions_mono"), points)
    write_pose(pose_path(copied, "D2_Positions"), pixels)
    poses = np.tile(np.nan, (20, 72))
    fields = pickle.loads(fit_path(copied).read_bytes(), encoding="latin1")
    poses[1:] = fields["new_poses"][1:]
    fit_path(copied).write_bytes(pickle.dumps({**fields, "new_poses": poses}, protocol=2))
    people = people_in(copied)
    assert np.flatnonzero(~people.has_3d).tolist() == [7] and not people.joints_m[7].any()
    assert np.isnan(people.trunk_m[7]).all() and np.isfinite(people.trunk_m[8]).all()
    ankle = people.keypoints_px[:, HMMR_25.index("right_ankle")]
    assert np.flatnonzero(ankle[:, 2] == 0).tolist() == [8] and not ankle[8].any()
    assert not people.has_body[0] and people.has_body[5] and np.isfinite(people.pose).all()


def refuses(folder: Path, *said: str, name: str = NAME) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder, name)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [3, 100, 0.3, 0.9])
def test_truncated_positions(copied: Path, kept: float):
    path = pose_path(copied, "D3_Positions_mono")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    refuses(copied, f"{path}: damaged, or not a CDF file", "extract the archive again")


def test_positions_that_are_no_cdf_or_another(copied: Path):
    path = pose_path(copied, "D2_Positions")
    path.write_bytes(b"<html>Please log in</html>" * 30)
    refuses(copied, f"{path}: damaged, or not a CDF file")
    write_pose(path, np.zeros((FRAMES, 17, 2)))
    refuses(copied, f"{path}: Pose is float32 (1, {FRAMES}, 34), expected float32 (1, frames, 64)")
    path.unlink()
    refuses(copied, f"{path}: missing", "Poses_D2_Positions_S9.tgz")


def test_positions_of_other_types(copied: Path):
    path = pose_path(copied, "D2_Positions")
    path.unlink()
    matlab = path.with_name(path.name + ".mat")
    scipy.io.savemat(matlab, {"Pose": np.zeros((1, FRAMES, 64), np.int16)})
    refuses(copied, f"{matlab}: Pose is int16")
    scipy.io.savemat(matlab, {"Angles": np.zeros((FRAMES, 78), np.float32)})
    refuses(copied, f"{matlab}: neither Pose nor data is an array; it holds Angles")
    matlab.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(50))
    refuses(copied, f"{matlab}: damaged, or not a MATLAB file")


def test_positions_of_another_recording(copied: Path):
    path = pose_path(copied, "D2_Positions")
    shutil.copy(copied / "S1" / "MyPoseFeatures" / "D2_Positions" / "Directions 1.54138969.cdf", path)
    refuses(copied, f"{path}: lies ", " px from the joints of ", "another sequence or camera")
    write_pose(path, read_pose(path, 2)[:-8])
    refuses(copied, f"{path}: {FRAMES - 8} frames, but ", f"has {FRAMES}")


def test_positions_in_metres(copied: Path):
    path = pose_path(copied, "D3_Positions_mono")
    write_pose(path, read_pose(path, 3) / 1000)
    refuses(copied, f"{path}: from pelvis to neck it is 0.", "millimetres")


def test_cameras_that_cannot_be_read(copied: Path):
    path = copied / "metadata.xml"
    content = path.read_text()
    path.write_text(content.replace("</w0></meta>", " 5]</w0></meta>"))
    refuses(copied, f"{path}: is not the release's metadata.xml")
    path.write_text("<meta><w0>[1 2 3]</w0></meta>")
    refuses(copied, f"{path}: <w0> has 3 numbers, expected 300")
    path.write_text(content[: len(content) // 2])
    refuses(copied, f"{path}: is not the release's metadata.xml")
    path.unlink()
    refuses(copied, f"{path}: missing")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made_by_a_pickle",)


def test_fits_that_are_no_fits(copied: Path):
    path = fit_path(copied)
    content = path.read_bytes()
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    refuses(copied, f"{path}: is not a MoSh fit that can be read", "mkdir")
    assert not Path("made_by_a_pickle").exists()
    path.write_bytes(content[: len(content) // 2])
    refuses(copied, f"{path}: is not a MoSh fit that can be read")
    path.write_bytes(pickle.dumps({"poses": np.zeros((20, 72)), "trans": np.zeros((20, 3))}, protocol=2))
    refuses(copied, f"{path}: lacks new_poses, betas; it holds poses, trans")
    path.write_bytes(pickle.dumps({"new_poses": np.zeros((20, 72), np.float16), "betas": np.zeros(10)}, protocol=2))
    refuses(copied, f"{path}: new_poses is float16, expected float64")
    path.write_bytes(pickle.dumps({"new_poses": np.zeros((20, 156)), "betas": np.zeros(10)}, protocol=2))
    refuses(copied, f"{path}: new_poses (20, 156)", "expected (fits, 72)")


def test_fits_of_another_recording(copied: Path, written: Written):
    path, truth = fit_path(copied), written.people[NAME]
    fits = truth.pose[truth.has_body].astype(np.float64)
    write_fit(path, fits[:-1], truth.betas[0])
    refuses(copied, f"{path}: 19 poses, but {FRAMES} frames are annotated")
    write_fit(path, truth.pose[truth.has_body].repeat(5, axis=0), truth.betas[0])
    refuses(copied, f"{path}: 100 poses, but {FRAMES} frames are annotated")
    shutil.copy(copied / "neutrMosh" / "neutrSMPL_H3.6" / "S6" / "Walking_cam1_aligned.pkl", path)
    refuses(copied, f"{path}: its people's hips are ", "another sequence or camera")


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match=r"nowhere: there is no such folder; put Human3\.6M there"):
        Human36M(tmp_path / "nowhere")
    (copied / "S9" / "Videos" / "Greeting.mp4").write_bytes(b"")
    with pytest.raises(StorageError, match=r"Greeting\.mp4: is no video of the release; names are like"):
        list(Human36M(copied).videos())
    for path in (copied / "S9" / "Videos").iterdir():
        path.unlink()
    with pytest.raises(StorageError, match="S9/Videos: holds no video such as"):
        list(Human36M(copied).videos())
    shutil.rmtree(copied / "S9")
    with pytest.raises(StorageError, match=r"S9/Videos: missing; Human3\.6M is expected"):
        list(Human36M(copied).videos())
