"""Files of predictions score as the same predictions do in a run, and what cannot be scored says why."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.cli import app
from moviestrip.config import BodySettings
from moviestrip.datasets.official.base import TRUNK_3
from moviestrip.errors import ConfigError, StorageError
from moviestrip.evaluation.meshes import BodyPoses, h36m_joints
from moviestrip.evaluation.protocols import HMMR, MPI_INF_3DHP, PROTOCOLS, VIBE
from moviestrip.evaluation.score import score_predictions
from moviestrip.exports.motion import PersonMotion, Placement
from moviestrip.exports.vibe import write_vibe
from moviestrip.geometry import CROP_PX, pose_to_matrices
from moviestrip.layout import RunFolder
from moviestrip.scoring.match import _overlap
from moviestrip.scoring.pickles import read_pickle
from moviestrip.scoring.score import Report, Truth, score_file
from moviestrip.scoring.truth import read_truth
from moviestrip.skeleton import H36M_17, indices_of
from moviestrip.tables import PREDICTIONS, unstack, write_table

FRAMES, FIRST_FRAME, IMAGE_SIZE_PX = 12, 5, (640, 360)
PLACES_PX = {"a-left": (150.0, 180.0), "a-right": (480.0, 180.0), "b-only": (300.0, 170.0)}  # clip: its box
VIDEO_OF = {"a-left": "video-a", "a-right": "video-a", "b-only": "video-b"}


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


def random_poses(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    pose = draw.normal(0, 0.3, 72) + np.cumsum(draw.normal(0, 0.03, (FRAMES, 72)), 0)
    pose[:, :3] = draw.normal((np.pi, 0, 0), 0.1, (FRAMES, 3))
    pose = Rotation.from_rotvec(pose.reshape(-1, 3)).as_rotvec().reshape(FRAMES, 72)  # angles up to pi
    return pose.astype(np.float32), np.tile(draw.normal(0, 1, 10).astype(np.float32), (FRAMES, 1))


class World:
    """Three clips of two videos: truth, and predictions as a run would keep them."""

    def __init__(self, body: Body):
        self.body, self.points = body, PosedPoints(body, keypoint_regressor(body))
        self.predicted = {clip: random_poses(10 + index) for index, clip in enumerate(PLACES_PX)}
        draw = np.random.default_rng(0)
        self.true = {
            clip: ((pose + draw.normal(0, 0.05, pose.shape)).astype(np.float32), betas + np.float32(0.2))
            for clip, (pose, betas) in self.predicted.items()
        }
        self.camera = np.array([0.9, 0.02, 0.01], np.float32)
        labels = pd.concat([self._labels(clip) for clip in PLACES_PX], ignore_index=True)
        clips = pd.DataFrame({
            "clip_id": list(PLACES_PX), "video_id": list(VIDEO_OF.values()), "dataset": "street", "action": "walk",
            "motion_id": ["m1", "m2", "m3"],
        })  # fmt: skip
        self.truth = Truth("street", labels, clips, has_keypoints=True, has_body=True)

    def points_of(self, bodies: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            rotations = pose_to_matrices(torch.from_numpy(bodies[0]))
            return self.points(rotations, torch.from_numpy(bodies[1])).numpy()

    def place(self, clip: str) -> Placement:
        center = np.tile(np.float32(PLACES_PX[clip]), (FRAMES, 1))
        return Placement(center, np.full(FRAMES, 0.9, np.float32), np.tile(self.camera, (FRAMES, 1)))

    def _labels(self, clip: str) -> pd.DataFrame:
        pose, betas = self.true[clip]
        points, place = self.points_of((pose, betas)), self.place(clip)
        seen = np.random.default_rng(1).random((FRAMES, 25, 1)) < 0.9
        keypoints = np.concatenate([place.pixels(points), seen], -1)
        return pd.DataFrame({
            "clip_id": clip, "frame": range(FRAMES), "video_frame": range(FIRST_FRAME, FIRST_FRAME + FRAMES),
            "box_center_px": unstack(place.box_center_px), "box_scale": place.box_scale,
            "keypoints_2d": unstack(keypoints), "has_3d": True, "joints_3d_m": unstack(points[:, common_in_25()]),
            "has_body": True, "pose": unstack(pose), "betas": unstack(betas), "burst": "none",
        })  # fmt: skip

    def predictions(self) -> pd.DataFrame:
        parts = []
        for clip, (pose, betas) in self.predicted.items():
            points = self.points_of((pose, betas))
            parts.append(pd.DataFrame({
                "clip_id": clip, "frame": range(FRAMES), "camera": unstack(self.place(clip).camera),
                "pose": unstack(pose), "betas": unstack(betas), "joints_3d_m": unstack(points[:, common_in_25()]),
                "keypoints_2d": unstack(self.place(clip).pixels(points)),
            }))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def motion(self, clip: str, identity: int) -> PersonMotion:
        pose, betas = self.predicted[clip]
        return PersonMotion(
            identity, FIRST_FRAME, self.place(clip), pose_to_matrices(torch.from_numpy(pose)).numpy(), betas
        )

    def expected(self, protocol=HMMR) -> dict[str, float]:
        found = score_predictions(self.predictions(), self.truth.labels, self.truth.clips, protocol, "v", 0, self.body)
        found = found[found["condition"] == "all"]
        return found.groupby("metric")["value"].mean().to_dict()

    def joined(self, which: str) -> dict[str, np.ndarray]:
        """Arrays of all clips, as a .npz or HDF5 file has them."""
        bodies = {"predicted": self.predicted, "true": self.true}[which]
        return {
            "clip_id": np.repeat(list(PLACES_PX), FRAMES), "frame": np.tile(np.arange(FRAMES), len(PLACES_PX)),
            "pose": np.concatenate([pose for pose, _ in bodies.values()]),
            "betas": np.concatenate([betas for _, betas in bodies.values()]),
        }  # fmt: skip


def common_in_25() -> list[int]:
    return [24, 1, 2, 3, 4, 23, 6, 7, 8, 9, 10, 11, 12, 13]


@pytest.fixture(scope="module")
def world(body: Body) -> World:
    return World(body)


@pytest.fixture(scope="module")
def vibe_folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VIBE's layout; the identities say nothing, and a third person of video-a is in no clip."""
    folder = tmp_path_factory.mktemp("vibe")
    stranger = world.motion("b-only", 1)
    far = Placement(stranger.place.box_center_px - 9000, stranger.place.box_scale, stranger.place.camera)
    stranger = PersonMotion(1, FIRST_FRAME, far, stranger.rotations, stranger.betas)
    people = [stranger, world.motion("a-right", 0), world.motion("a-left", 9)]
    for video, of_video in (("video-a", people), ("video-b", [world.motion("b-only", 0)])):
        (folder / video).mkdir()
        write_vibe(folder / video / "vibe_output.pkl", of_video, world.body, IMAGE_SIZE_PX)
    return folder


def values(report: Report) -> dict[str, float]:
    return report.table.set_index("metric")["value"].to_dict()


@pytest.mark.parametrize("protocol", [HMMR, VIBE, PROTOCOLS["spin"]], ids=lambda protocol: protocol.name)
def test_exported_predictions_score_as_in_the_run(world: World, vibe_folder: Path, protocol):
    report = score_file(vibe_folder, world.truth, protocol, world.body, meshes=True)
    assert values(report) == pytest.approx(world.expected(protocol), rel=1e-4)
    assert report.table["clips"].eq(3).all() and "3 of 3 clips" in "\n".join(report.lines)
    intervals = report.table[report.table["metric"] == "pa_mpjpe"].iloc[0]
    assert intervals["low"] < intervals["value"] < intervals["high"]


def test_meshes_give_the_same_joints_as_their_parameters(world: World, vibe_folder: Path):
    by_mesh = values(score_file(vibe_folder, world.truth, HMMR, world.body, by="vertices"))
    expected = {name: value for name, value in world.expected().items() if not name.startswith("mesh")}
    assert by_mesh == pytest.approx(expected, rel=1e-3)


def test_vibes_own_49_joints_are_scored_as_they_are(world: World, vibe_folder: Path):
    found = score_file(vibe_folder, world.truth, HMMR, world.body, by="joints")
    assert "pck" not in values(found) and "not measured: pck" in found.lines[-1]
    errors = []
    for clip in PLACES_PX:
        people = joblib.load(vibe_folder / VIDEO_OF[clip] / "vibe_output.pkl")
        identity = {"a-left": 9, "a-right": 0, "b-only": 0}[clip]
        joints, true = people[identity]["joints3d"][:, 25:39], world.points_of(world.true[clip])[:, common_in_25()]
        joints, true = (side - side[:, 2:4].mean(1, keepdims=True) for side in (joints, true))
        errors.append(np.linalg.norm(joints - true, axis=-1).mean(-1))
    seen = np.stack(world.truth.labels["keypoints_2d"]).reshape(-1, 25, 3)[:, :14, 2].sum(-1) > 6
    expected = np.mean([error[mine].mean() for error, mine in zip(errors, np.split(seen, 3), strict=True)])
    assert values(found)["mpjpe"] == pytest.approx(1000 * expected, rel=1e-4)


def test_hmmrs_rotation_matrices_are_read(world: World, tmp_path: Path):
    pose, betas = world.predicted["b-only"]
    rotations = pose_to_matrices(torch.from_numpy(pose)).numpy()
    path = tmp_path / "video-b" / "hmmr_output.pkl"
    path.parent.mkdir()
    with path.open("wb") as file:  # all frames of the video's one person, from its first
        pad = [np.concatenate([part[:1]] * FIRST_FRAME + [part]) for part in (rotations, betas)]
        pickle.dump({"poses": pad[0], "shapes": pad[1], "cams": np.zeros((len(pad[0]), 3))}, file)
    found = score_file(path, world.truth, HMMR, world.body)
    alone = world.truth.clips["clip_id"] == "b-only"
    labels = world.truth.labels[world.truth.labels["clip_id"] == "b-only"]
    expected = score_predictions(world.predictions(), labels, world.truth.clips[alone], HMMR, "v", 0)
    expected = expected[expected["condition"] == "all"].set_index("metric")["value"].to_dict()
    assert values(found) == pytest.approx(expected, rel=1e-4)
    assert found.table["low"].isna().all()  # one clip
    assert "1 of 3 clips" in found.lines[1] and "12 of 36 labelled" in found.lines[2]


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, part in arrays.items():
                file[name] = part.astype("S") if part.dtype.kind == "U" else part
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_arrays_score_alike_from_every_container(world: World, tmp_path: Path, suffix: str):
    found = score_file(write(tmp_path / f"mine{suffix}", world.joined("predicted")), world.truth, HMMR, world.body)
    expected = {name: value for name, value in world.expected().items() if not name.startswith("mesh")}
    assert values(found) == pytest.approx(expected, rel=1e-4)


def test_our_parquet_is_read(world: World, tmp_path: Path):
    write_table(tmp_path / "mine.parquet", world.predictions(), PREDICTIONS)
    found = score_file(tmp_path / "mine.parquet", world.truth, HMMR, world.body)
    assert values(found)["pa_mpjpe"] == pytest.approx(world.expected()["pa_mpjpe"], rel=1e-4)


def test_a_file_can_be_the_truth(world: World, tmp_path: Path):
    """Joints against joints, with no run at all: equal to a line of NumPy."""
    draw = np.random.default_rng(4)
    true = draw.normal(0, 0.4, (30, 14, 3))
    guess = true + draw.normal(0, 0.05, true.shape)
    write(tmp_path / "truth.npz", {"joints3d": true, "frame": np.arange(30)})
    write(tmp_path / "mine.npz", {"joints3d": guess[::-1], "frame": np.arange(30)[::-1]})
    truth = read_truth(str(tmp_path / "truth.npz"), RunFolder(tmp_path), world.body)
    found = values(score_file(tmp_path / "mine.npz", truth, HMMR, world.body))
    centred = [side - side[:, 2:4].mean(1, keepdims=True) for side in (guess, true)]
    expected = 1000 * np.linalg.norm(centred[0] - centred[1], axis=-1).mean()
    assert found["mpjpe"] == pytest.approx(expected, rel=1e-4)
    second = [np.diff(side, 2, axis=0) for side in centred]
    expected = 1000 * np.linalg.norm(second[0] - second[1], axis=-1).mean()
    assert found["accel_error"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ConfigError, match="spin needs pose and betas"):
        score_file(tmp_path / "mine.npz", truth, PROTOCOLS["spin"], world.body)


def test_truth_of_17_joints_needs_no_body(world: World, tmp_path: Path):
    truth, path = world.truth, tmp_path / "predictions.parquet"
    write_table(path, world.predictions(), PREDICTIONS)
    without = replace(truth, labels=truth.labels.assign(has_body=False), has_body=False)
    with pytest.raises(ConfigError, match=r"--protocol mpi-inf-3dhp needs pose .* the truth lacks a body"):
        score_file(path, without, MPI_INF_3DHP, world.body)
    trunk = np.concatenate([h36m_joints(world.body, BodyPoses(*world.true[clip])) for clip in PLACES_PX])
    labels = without.labels.assign(trunk_3d_m=unstack(trunk[:, indices_of(TRUNK_3, H36M_17)]))
    stored = score_file(path, replace(without, labels=labels, has_trunk=True), MPI_INF_3DHP, world.body).table
    assert {"mpjpe", "pck_3d"} <= set(stored["metric"]) and (stored["frames"] > 0).all()


def test_the_command_prints_and_writes_the_same_table(world: World, free_body: Path, tmp_path: Path):
    write(tmp_path / "mine.npz", world.joined("predicted"))
    write(tmp_path / "truth.npz", world.joined("true"))
    names = ["score", tmp_path / "mine.npz", "--truth", tmp_path / "truth.npz", "--protocol", "vibe"]
    places = [
        "--out",
        tmp_path / "scores.csv",
        "--run",
        tmp_path,
        "--config",
        Path(__file__).parents[1] / "config.yaml",
    ]
    result = CliRunner().invoke(app, [str(part) for part in (*names, *places)])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "scores.csv")
    assert list(table.columns[:5]) == ["metric", "value", "low", "high", "unit"]
    assert set(table["metric"]) == {"mpjpe", "pa_mpjpe", "accel", "accel_error"}
    for row in table.itertuples():
        assert row.metric in result.output and f"{row.value:.2f}" in result.output


def test_frames_without_a_prediction_are_said(world: World, tmp_path: Path):
    arrays = {name: part[5:] for name, part in world.joined("predicted").items()}
    found = score_file(write(tmp_path / "mine.npz", arrays), world.truth, HMMR, world.body)
    assert "31 of 36 labelled" in found.lines[2]
    assert found.table.set_index("metric").loc["accel", "frames"] == 3 * (FRAMES - 2) - 5


def test_arrays_stay_on_disk_until_they_are_used(tmp_path: Path):
    joblib.dump({0: {"verts": np.zeros((500, 6890, 3), np.float32), "pose": np.ones((500, 72))}}, tmp_path / "v.pkl")
    tracemalloc.start()
    found = read_pickle(tmp_path / "v.pkl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[0]["pose"].sum() == 500 * 72 and found[0]["verts"].shape == (500, 6890, 3)
    assert peak < 1e6


class Hostile:
    def __reduce__(self):
        return eval, ("open('ran', 'w').close()",)


@pytest.mark.parametrize("dump", [joblib.dump, lambda what, path: path.write_bytes(pickle.dumps(what))])
@pytest.mark.parametrize("what", [{"pose": Hostile()}, {"pose": np.array([Hostile()], object)}])
def test_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dump, what):
    monkeypatch.chdir(tmp_path)
    dump(what, tmp_path / "vibe_output.pkl")
    with pytest.raises(StorageError, match=r"vibe_output\.pkl: not a file of plain arrays \((it asks for|an array of)"):
        read_pickle(tmp_path / "vibe_output.pkl")
    assert not (tmp_path / "ran").exists()


def test_a_compressed_or_damaged_file_is_named(world: World, tmp_path: Path):
    joblib.dump({"a": np.zeros(9)}, tmp_path / "z.pkl", compress=3)
    with pytest.raises(StorageError, match=r"z\.pkl: .*without `compress`"):
        read_pickle(tmp_path / "z.pkl")
    joblib.dump({"a": np.zeros(999)}, tmp_path / "cut.pkl")
    (tmp_path / "cut.pkl").write_bytes((tmp_path / "cut.pkl").read_bytes()[:600])
    with pytest.raises(StorageError, match=r"cut\.pkl: not a file"):
        read_pickle(tmp_path / "cut.pkl")
    (tmp_path / "bad.npz").write_bytes(b"PK, but no more")
    with pytest.raises(StorageError, match=r"bad\.npz: not a \.npz"):
        score_file(tmp_path / "bad.npz", world.truth, HMMR, world.body)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"betas": np.zeros((36, 300))}, r"mine\.npz: 'betas' of person .* has shape \(12, 300\) .*\(frames, 10\)"),
        ({"pose": np.zeros((36, 24, 4))}, r"'pose' of person .* has shape \(12, 24, 4\) .*\(frames, 72\)"),
        ({"verts": np.zeros((36, 10, 3))}, r"'verts' of person .* has shape \(12, 10, 3\), the body 'free' .*, 3\)"),
        ({"betas": np.zeros((35, 10))}, r"'betas' has shape \(35, 10\), 'clip_id' has 36 rows"),
        ({"frame": np.zeros(36)}, r"has a frame twice in 'frame'"),
        ({"clip_id": np.repeat(["x", "y", "z"], 12)}, r"have people x, y, z .*clips a-left, a-right, b-only"),
    ],
)
def test_what_is_wrong_is_named_with_its_shapes(world: World, tmp_path: Path, change, said):
    path = write(tmp_path / "mine.npz", world.joined("predicted") | change)
    with pytest.raises((ConfigError, StorageError), match=said):
        score_file(path, world.truth, HMMR, world.body)


def test_joints_of_an_unknown_set_are_refused(world: World, tmp_path: Path):
    path = write(tmp_path / "mine.npz", {"clip_id": np.repeat("b-only", 12), "joints3d": np.zeros((12, 19, 3))})
    with pytest.raises(ConfigError, match=r"'joints3d' of person b-only has shape \(12, 19, 3\), expected"):
        score_file(path, world.truth, HMMR, world.body)
    path = write(tmp_path / "none.npz", {"clip_id": np.repeat("b-only", 12), "cam": np.zeros((12, 3))})
    with pytest.raises(ConfigError, match=r"person b-only has no 'joints3d', only cam"):
        score_file(path, world.truth, HMMR, world.body)


def test_the_side_of_a_label_box_is_that_of_the_crop(world: World):
    """Matching compares like with like: a clip's own box overlaps itself entirely."""
    side = CROP_PX / 0.9
    box = np.array([[150.0, 180.0, side, side]])
    assert _overlap(box, box) == pytest.approx(1)
    assert _overlap(box, box + np.array([side / 2, 0, 0, 0])) == pytest.approx(1 / 3)
    assert _overlap(box, box + np.array([2 * side, 0, 0, 0])) == 0
