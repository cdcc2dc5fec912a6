"""Files of forecasts score as the same forecasts do in a run, from every container; what cannot be scored says why."""

import re
import shlex
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.cli import app
from moviestrip.config import BodySettings
from moviestrip.errors import ConfigError, StorageError
from moviestrip.evaluation.dtw import DtwOptions
from moviestrip.evaluation.forecasts import score_forecasts
from moviestrip.evaluation.protocols import PHD, PROTOCOLS
from moviestrip.geometry import matrix_to_rotation_6d, pose_to_matrices
from moviestrip.layout import RunFolder
from moviestrip.scoring import forecasts as scoring
from moviestrip.scoring.forecasts import score_forecast_file
from moviestrip.scoring.score import Report, Truth, score_file
from moviestrip.scoring.truth import read_truth
from moviestrip.skeleton import COMMON_14, HMMR_25, indices_of
from moviestrip.tables import FORECASTS, unstack, write_table
from tests.test_score_files import write

CLIPS, FRAMES, STEPS, FIRST_VIDEO_FRAME = ("a", "b", "c"), 50, 12, 7
STARTS = np.array([14, 30, 37])
COMMON_IN_25 = indices_of(COMMON_14, HMMR_25)
CONFIGURATION = Path(__file__).parents[1] / "config.yaml"


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


class World:
    """Points that wander, labels of them, and forecasts that go astray the more the further they look."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        steps = draw.normal(0, 0.02, (len(CLIPS), FRAMES, 25, 3))
        self.points = (draw.normal(0, 0.4, (len(CLIPS), 1, 25, 3)) + np.cumsum(steps, 1)).astype(np.float32)
        pixels = 100 * self.points[..., :2] + 112
        seen = draw.random((len(CLIPS), FRAMES, 25, 1)) < 0.8
        self.labels = pd.DataFrame({
            "clip_id": np.repeat(CLIPS, FRAMES), "frame": np.tile(np.arange(FRAMES), len(CLIPS)),
            "video_frame": np.tile(np.arange(FRAMES) + FIRST_VIDEO_FRAME, len(CLIPS)), "box_scale": 0.9, "has_3d": True,
            "joints_3d_m": unstack(self.points[:, :, COMMON_IN_25].reshape(-1, 14, 3)),
            "keypoints_2d": unstack(np.concatenate([pixels, seen], -1).reshape(-1, 25, 3)),
        })  # fmt: skip
        clips = {
            "clip_id": CLIPS,
            "dataset": "street",
            "action": "walk",
            "motion_id": "",
            "video_id": ["v1", "v2", "v3"],
        }
        self.truth = Truth("street", self.labels, pd.DataFrame(clips), has_keypoints=True, has_body=False)
        self.frames = STARTS[:, None] + 1 + np.arange(STEPS)
        self.told = self.points[:, self.frames]
        self.told = self.told + np.cumsum(draw.normal(0, 0.02, self.told.shape), 2).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """As a file of arrays has them."""
        return {
            "clip_id": np.repeat(CLIPS, len(STARTS)), "start_frame": np.tile(STARTS, len(CLIPS)),
            "joints3d": self.told[..., COMMON_IN_25, :].reshape(-1, STEPS, 14, 3),
            "keypoints_2d": self.told[..., :2].reshape(-1, STEPS, 25, 2),
        }  # fmt: skip

    def table(self) -> pd.DataFrame:
        """As a run keeps them."""
        rows = len(CLIPS) * len(STARTS) * STEPS
        return pd.DataFrame({
            "clip_id": np.repeat(CLIPS, len(STARTS) * STEPS), "kind": "forecast",
            "start_frame": np.tile(np.repeat(STARTS, STEPS), len(CLIPS)),
            "horizon": np.tile(np.arange(1, STEPS + 1), len(CLIPS) * len(STARTS)),
            "pose": unstack(np.zeros((rows, 72))), "betas": unstack(np.zeros((rows, 10))),
            "joints_3d_m": unstack(self.told[..., COMMON_IN_25, :].reshape(-1, 14, 3)),
            "points_3d_m": unstack(self.told.reshape(-1, 25, 3)),
        })  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def values(report: Report) -> dict[tuple[str, str, int], float]:
    return report.table.set_index(["metric", "dtw", "horizon"])["value"].to_dict()


def pa_mpjpe_mm(predicted: np.ndarray, target: np.ndarray) -> float:
    """Of one pose, by singular values."""
    x, y = predicted - predicted.mean(0), target - target.mean(0)
    left, sizes, right = np.linalg.svd(x.T @ y)
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    aligned = (sizes * sign).sum() / (x**2).sum() * (x @ (left * sign) @ right)
    return 1000 * float(np.linalg.norm(aligned - y, axis=-1).mean())


@pytest.mark.parametrize("options", [DtwOptions(), DtwOptions(reading="full_at")], ids=lambda options: options.reading)
def test_our_parquet_scores_as_in_the_run(world: World, body: Body, tmp_path: Path, options: DtwOptions):
    write_table(tmp_path / "mine.parquet", world.table(), FORECASTS)
    report = score_forecast_file(tmp_path / "mine.parquet", world.truth, PHD, body, options=options)
    scores = score_forecasts(world.table(), world.labels, world.truth.clips, PHD, "v", 0, options)
    scores["dtw"] = np.where(scores["dtw"], "yes", "no")
    expected = scores.groupby(["metric", "dtw", "horizon"])["value"].mean()
    found = values(report)
    assert {horizon for _, _, horizon in found} == {1, 5, 10} and len(found) == 2 * 3 * 3
    assert found == pytest.approx({key: expected[key] for key in found}, rel=1e-6)
    assert (report.table["forecasts"] == 9).all() and (report.table["clips"] == 3).all()
    assert ((report.table["low"] <= report.table["value"]) & (report.table["value"] <= report.table["high"])).all()
    assert (report.table["low"] < report.table["high"]).sum() >= 15  # PCK at 1 frame is 100 everywhere
    assert "not forecast: horizon 20, 30" in report.lines


def test_the_error_is_that_of_the_frame_so_far_ahead(world: World, body: Body, tmp_path: Path):
    report = score_forecast_file(write(tmp_path / "mine.npz", world.arrays()), world.truth, PHD, body, horizons="all")
    true = world.points[:, world.frames]
    errors = np.array([
        pa_mpjpe_mm(told[COMMON_IN_25], said[COMMON_IN_25])
        for told, said in zip(world.told.reshape(-1, 25, 3), true.reshape(-1, 25, 3), strict=True)
    ]).reshape(-1, STEPS)  # fmt: skip
    found = values(report)
    assert [found["pa_mpjpe", "no", h] for h in range(1, STEPS + 1)] == pytest.approx(errors.mean(0), rel=1e-4)
    warped = report.table[(report.table["dtw"] == "yes") & (report.table["metric"] == "pa_mpjpe")]
    assert (warped["frames"] == 9 * warped["horizon"]).all()


def test_a_held_pose_warps_to_the_mean_up_to_the_horizon(world: World, body: Body, tmp_path: Path):
    held = np.repeat(world.points[:, STARTS][:, :, None][..., COMMON_IN_25, :], STEPS, 2).reshape(-1, STEPS, 14, 3)
    path = write(tmp_path / "mine.npz", world.arrays() | {"joints3d": held})
    found = values(score_forecast_file(path, world.truth, PHD, body, horizons="all"))
    direct, warped = (np.array([found["pa_mpjpe", dtw, h] for h in range(1, STEPS + 1)]) for dtw in ("no", "yes"))
    np.testing.assert_allclose(warped, np.cumsum(direct) / np.arange(1, STEPS + 1), rtol=1e-5)
    averaged = [found["pa_mpjpe_up_to_horizon", "no", h] for h in range(1, STEPS + 1)]
    np.testing.assert_allclose(warped, averaged, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".pkl", ".parquet"])
def test_every_container_scores_alike(world: World, body: Body, tmp_path: Path, suffix: str):
    expected = values(score_forecast_file(write(tmp_path / "a.npz", world.arrays()), world.truth, PHD, body))
    path, arrays = tmp_path / f"mine{suffix}", world.arrays()
    if suffix == ".pkl":
        of = {clip: arrays["clip_id"] == clip for clip in CLIPS}
        joblib.dump({clip: {key: part[of[clip]] for key, part in arrays.items()} for clip in CLIPS}, path)
    elif suffix == ".parquet":
        write_table(path, world.table().sample(frac=1, random_state=0), FORECASTS)
    else:
        order = np.random.default_rng(0).permutation(len(arrays["clip_id"]))
        shuffled = {key: part[order] for key, part in arrays.items()} | {"horizons": np.arange(1, STEPS + 1)}
        write(path, shuffled)
    assert values(score_forecast_file(path, world.truth, PHD, body)) == pytest.approx(expected, rel=1e-5)


def test_few_at_a_time_score_as_all_together(world: World, body: Body, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "mine.npz", world.arrays())
    together = score_forecast_file(path, world.truth, PHD, body).table
    monkeypatch.setattr(scoring, "FORECASTS_A_BLOCK", 2)
    pd.testing.assert_frame_equal(score_forecast_file(path, world.truth, PHD, body).table, together, rtol=1e-6)


def test_pose_and_shape_are_posed_in_all_their_forms(world: World, body: Body, tmp_path: Path):
    draw = np.random.default_rng(5)
    pose = draw.normal(0, 0.3, (9, STEPS, 72)).astype(np.float32)
    betas = draw.normal(0, 1, (9, 10)).astype(np.float32)
    rotations, shapes = pose_to_matrices(torch.from_numpy(pose)), torch.from_numpy(betas)[:, None].expand(-1, STEPS, -1)
    with torch.no_grad():
        points = PosedPoints(body, keypoint_regressor(body))(rotations.flatten(0, 1), shapes.flatten(0, 1)).numpy()
    where = {key: world.arrays()[key] for key in ("clip_id", "start_frame")}
    file = write(tmp_path / "joints.npz", where | {"joints": points.reshape(9, STEPS, 25, 3)})
    expected = values(score_forecast_file(file, world.truth, PHD, body))
    assert len(expected) == 18  # 25 joints are keypoints too
    sixd = matrix_to_rotation_6d(rotations).numpy()
    for form in (pose, rotations.numpy(), sixd, sixd.reshape(9, STEPS, 144)):
        for shape in (betas, shapes.numpy()):
            file = write(tmp_path / "mine.npz", where | {"poses": form, "shapes": shape})
            report = score_forecast_file(file, world.truth, PHD, body)
            assert values(report) == pytest.approx(expected, rel=2e-3)
            assert report.lines[0] == "joints: from 'poses' and 'shapes', posed by the free body"


def test_keypoints_alone_are_scored(world: World, body: Body, tmp_path: Path):
    arrays = {key: part for key, part in world.arrays().items() if key != "joints3d"}
    report = score_forecast_file(write(tmp_path / "mine.npz", arrays), world.truth, PHD, body)
    both = values(score_forecast_file(write(tmp_path / "both.npz", world.arrays()), world.truth, PHD, body))
    assert values(report) == {key: value for key, value in both.items() if key[0].startswith("pck")}
    assert report.lines[-1] == "not measured: pa_mpjpe"


def test_a_video_s_frames_are_counted_from_its_first(world: World, body: Body, tmp_path: Path):
    """Who does not know the clips may look beyond their ends: such forecasts are left out, and that is said."""
    arrays = world.arrays()
    videos = np.array(["v1", "v2", "v3"])[np.searchsorted(CLIPS, arrays.pop("clip_id"))]
    expected = values(score_forecast_file(write(tmp_path / "a.npz", world.arrays()), world.truth, PHD, body))
    late = {key: part[:3] for key, part in arrays.items()} | {"start_frame": np.array([45, 46, 300])}
    both = {key: np.concatenate([part, late[key]]) for key, part in arrays.items()}
    both |= {"video": np.concatenate([videos, videos[:3]]), "start_frame": both["start_frame"] + FIRST_VIDEO_FRAME}
    labels = world.labels.assign(box_center_px=unstack(np.zeros((len(world.labels), 2))))
    truth = Truth("street", labels, world.truth.clips, True, False)
    report = score_forecast_file(write(tmp_path / "mine.npz", both), truth, PHD, body)
    assert values(report) == pytest.approx(expected, rel=1e-6)
    assert "9 of 12 in the file (75.0%)" in report.lines[2]


def test_gaps_are_not_warped(world: World, body: Body, tmp_path: Path):
    arrays = world.arrays() | {"horizons": np.array([1, 5, 10])}
    arrays |= {key: arrays[key][:, [0, 4, 9]] for key in ("joints3d", "keypoints_2d")}
    report = score_forecast_file(write(tmp_path / "mine.npz", arrays), world.truth, PHD, body)
    whole = values(score_forecast_file(write(tmp_path / "all.npz", world.arrays()), world.truth, PHD, body))
    assert len(values(report)) == 2 * 3 and "yes" not in set(report.table["dtw"])
    assert values(report) == pytest.approx({key: whole[key] for key in values(report)}, rel=1e-6)
    assert any(line.startswith("not warped: frames 2, 3, 4, 6, 7 and 2 more are not") for line in report.lines)


def test_what_comes_after_the_last_horizon_needs_no_truth(world: World, body: Body, tmp_path: Path):
    arrays = world.arrays() | {"start_frame": np.tile([14, 30, 44], 3)}
    path = write(tmp_path / "mine.npz", arrays)
    said = r"1 of 3 forecasts of clip a, shape \(3, 10\).*from frame 44 of 45 to 54.*0 to 49.*--horizons up to 5"
    with pytest.raises(ConfigError, match=said):
        score_forecast_file(path, world.truth, PHD, body)
    report = score_forecast_file(path, world.truth, PHD, body, horizons=(1, 5))
    assert set(report.table["horizon"]) == {1, 5}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start_frame": None}, r"mine\.npz: person a has no 'start_frame', only joints3d, keypoints_2d; give each"),
        ({"start_frame": np.full(9, 0.5)}, r"'start_frame' of person a holds no whole numbers"),
        ({"start_frame": np.full(9, 14)}, r"person a has 'start_frame' 14 more than once"),
        ({"start_frame": np.tile([0, 9, 60], 3)}, r"'start_frame' of clip a, shape \(3,\): 1 are no .* 60; .* 0 to 49"),
        ({"joints3d": np.zeros((9, 5, 14, 3))}, r"'keypoints_2d' .* \(3, 12, 25, 2\), .*5 horizons; expected \(3, 5"),
        ({"horizons": np.arange(9)}, r"'joints3d' .* \(3, 12, 14, 3\), 'start_frame' .*\(3,\) .*'horizons' \(9,\)"),
        ({"horizons": np.arange(12)[::-1]}, r"'horizons' of shape \(12,\) must ascend"),
        ({"joints3d": np.zeros((9, 12, 19, 3))}, r"'joints3d' .* \(3, 12, 19, 3\), expected \(forecasts, horizons, 14"),
        ({"joints3d": np.full((9, 12, 14, 3), np.nan)}, r"'joints3d' .* 3 of 3 .* are not finite .*\(3, 12, 14, 3\)"),
        ({"clip_id": np.repeat(["x", "y", "z"], 3)}, r"have people x, y, z .*clips a, b, c"),
        ({"start_frame": np.arange(4)}, r"'start_frame' has shape \(4,\), 'clip_id' has 9 rows; one row a forecast"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_shapes(world: World, body: Body, tmp_path: Path, change, said):
    arrays = {key: part for key, part in (world.arrays() | change).items() if part is not None}
    with pytest.raises((ConfigError, StorageError), match=said):
        score_forecast_file(write(tmp_path / "mine.npz", arrays), world.truth, PHD, body)


def test_what_was_not_forecast_cannot_be_asked_for(world: World, body: Body, tmp_path: Path):
    path = write(tmp_path / "mine.npz", world.arrays())
    with pytest.raises(ConfigError, match=r"horizon 13, 30 was asked for and not forecast; it has 12 from 1 to 12"):
        score_forecast_file(path, world.truth, PHD, body, horizons=(1, 13, 30))
    with pytest.raises(ConfigError, match="measures the 14 common joints, --protocol mpi-inf-3dhp mpi_inf_3dhp_17"):
        score_forecast_file(path, world.truth, PROTOCOLS["mpi-inf-3dhp"], body)
    with pytest.raises(ConfigError, match="has 'start_frame', so these are forecasts; score them with --forecast"):
        score_file(path, world.truth, PHD, body)


def test_people_of_no_clip_are_named(world: World, body: Body, tmp_path: Path):
    arrays = world.arrays() | {"clip_id": np.repeat(["a", "b", "stranger"], 3)}
    report = score_forecast_file(write(tmp_path / "mine.npz", arrays), world.truth, PHD, body)
    assert "of no clip: stranger" in report.lines and "6 of 9 in the file (66.7%)" in report.lines[2]


def test_the_documented_example_prints_what_the_page_shows(
    free_body: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
):
    page = (repository / "docs" / "score-my-predictions.md").read_text().split("## Forecasts")[1]
    code, shown = re.search(r"```python\n(.*?)```", page, re.DOTALL), re.search(r"```\n\$ (.*?)```", page, re.DOTALL)
    assert code and shown
    monkeypatch.chdir(tmp_path)
    exec(code[1], {})
    command, printed = shown[1].split("\n", 1)
    arguments = [*shlex.split(command)[1:], "--run", str(tmp_path), "--config", str(CONFIGURATION)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert [line.rstrip() for line in result.output.splitlines()] == printed.splitlines()
    assert max(map(len, printed.splitlines())) <= 80
    table = pd.read_csv(tmp_path / "scores.csv")
    assert list(table.columns[:10]) == list(scoring.COLUMNS)
    for row in table.itertuples():
        name = row.metric.replace("_up_to_horizon", ", mean")
        assert re.search(rf"{name} +{row.dtw} +{row.horizon} +{row.value:.2f} ", printed)


def test_options_of_the_other_kind_are_refused(tmp_path: Path):
    for extra in (["--horizons", "1"], ["--forecast", "--meshes"], ["--forecast", "--horizons", "soon"]):
        arguments = ["score", "mine.npz", "--truth", "truth.npz", "--protocol", "phd", *extra]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, ConfigError) and "--horizons" in str(result.exception)


def test_a_file_can_be_the_truth(world: World, body: Body, tmp_path: Path):
    joints = world.points[:, :, COMMON_IN_25].reshape(-1, 14, 3)
    frames = {"clip_id": np.repeat(CLIPS, FRAMES), "frame": np.tile(np.arange(FRAMES), len(CLIPS))}
    write(tmp_path / "truth.npz", frames | {"joints3d": joints})
    truth = read_truth(str(tmp_path / "truth.npz"), RunFolder(tmp_path), body)
    report = score_forecast_file(write(tmp_path / "mine.npz", world.arrays()), truth, PHD, body)
    everywhere = Truth("street", world.labels.assign(keypoints_2d=unstack(np.ones((len(world.labels), 75)))),
                       world.truth.clips, False, False)  # fmt: skip
    expected = score_forecast_file(tmp_path / "mine.npz", everywhere, PHD, body)
    assert values(report) == pytest.approx(values(expected), rel=1e-6)
