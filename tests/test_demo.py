"""The demo from end to end on a film of coloured blocks, with a detector and a backbone that see only colours."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import av
import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from moviestrip.cli import app
from moviestrip.config import CurationSettings, DetectorSettings
from moviestrip.demo import bodies as demo_bodies
from moviestrip.demo import people as demo_people
from moviestrip.demo.bodies import Wanted, model_file
from moviestrip.demo.footage import open_footage
from moviestrip.demo.people import detect
from moviestrip.demo.run import Pipeline, Request, Summary, export_names, run_demo
from moviestrip.errors import ConfigError, FatalError
from moviestrip.exports.people_table import PEOPLE
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.skeleton import HMMR_25
from moviestrip.tables import read_table, stack
from moviestrip.training.checkpoint import Checkpoint, write_checkpoint
from tests.demo_footage import FRAMES, SIZE_PX, MeanColour, centre_of_red, detector_command, picture

DESIGN = ModelDesign(
    feature_size=MeanColour.dimension, width=32, regressor_width=16, rotation="6d", causal=True, ends="edge",
    delta_frames=(-5, 5), hallucinator=True, autoregressor="strip",
)  # fmt: skip


def save_model(path: Path, design: ModelDesign = DESIGN, backbone: str = MeanColour.name) -> Path:
    """A model that was never trained: everyone stands upright in the middle of their box."""
    torch.manual_seed(0)
    weights = MotionModel(design).state_dict()
    write_checkpoint(path, Checkpoint("untrained", 0, 0, backbone, math.nan, "weak-perspective", design, weights))
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "blocks.mp4"
    write_video(path, (picture(frame) for frame in range(FRAMES)), fps=30, quality=12)
    return path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    command = detector_command(tmp_path_factory.mktemp("detector"))
    return Pipeline(detector=DetectorSettings(command=command), curation=CurationSettings(box_gaussian_sigma_frames=1))


@pytest.fixture(scope="module")
def request_of(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Request]:
    folder = tmp_path_factory.mktemp("demo")
    checkpoint = save_model(folder / "model.pt")

    def make(**changes) -> Request:
        whole = Request(film, checkpoint, folder / "out", Wanted(5, True), minimum_detections=10, device="cpu")
        return replace(whole, **changes)

    return make


@pytest.fixture(scope="module")
def by_colour():
    """While this is in use, every backbone is the one that sees colours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_bodies, "load_backbone", lambda name, weights, seed: MeanColour())
        yield


@pytest.fixture(scope="module")
def summary(request_of, pipeline: Pipeline, by_colour, free_body: Path) -> Summary:
    return run_demo(request_of(), pipeline)


@pytest.fixture(scope="module")
def people(summary: Summary) -> pd.DataFrame:
    return read_table(summary.folder / "people.parquet", PEOPLE)


def test_everyone_seen_long_enough_has_every_frame(summary: Summary, people: pd.DataFrame):
    assert sorted(summary.frames_of_people.values()) == [25, 30]
    seen = people[people.kind == "seen"]
    spans = seen.groupby("person").frame.agg(["min", "max", "size"]).to_numpy().tolist()
    assert sorted(spans) == [[0, 29, 30], [5, 29, 25]]


def test_boxes_and_bodies_lie_on_the_people(people: pd.DataFrame):
    seen = people[people.kind == "seen"]
    red = seen[seen.groupby("person").frame.transform("min") == 0].sort_values("frame")
    expected = np.array([centre_of_red(frame) for frame in red.frame])
    assert np.abs(stack(red.box_center_px) - expected).max() < 2
    keypoints = stack(red.keypoints_2d, 25, 2)
    assert np.abs(keypoints.mean(1) - expected).max() < 8
    height = keypoints[:, HMMR_25.index("right_heel"), 1] - keypoints[:, HMMR_25.index("head_top"), 1]
    assert (np.abs(height - SIZE_PX[1]) < 15).all()  # upright, head up, as large as the block


def test_a_forecast_goes_on_after_the_last_frame(people: pd.DataFrame):
    forecast = people[people.kind == "forecast"]
    for _, rows in forecast.groupby("person"):
        assert rows.frame.tolist() == [30, 31, 32, 33, 34]
        assert rows.step_frames.tolist() == [1, 2, 3, 4, 5]
        assert np.ptp(stack(rows.box_center_px), axis=0).max() == 0


def test_a_forecast_is_the_models_own(request_of, people: pd.DataFrame, film: Path):
    torch.manual_seed(0)
    model = MotionModel(DESIGN).eval()
    seen = people[(people.kind == "seen") & (people.frame >= 15)]
    forecast = people[people.kind == "forecast"]
    for identity, rows in forecast.groupby("person"):
        phi = crops_phi(film, seen[seen.person == identity])
        with torch.no_grad():
            theta = model.forecast(torch.from_numpy(phi)[None], 5).theta[0]
        expected = model.layout.axis_angle(model.layout.split(theta).pose).numpy()
        np.testing.assert_allclose(stack(rows.pose), expected, atol=1e-4)


def crops_phi(film: Path, rows: pd.DataFrame) -> np.ndarray:
    """Features of some rows, cropped once more."""
    from moviestrip.features.extraction import crop_person

    frames = list(open_footage(film).frames())
    crops = [
        crop_person(frames[row.frame], np.asarray(row.box_center_px), float(row.box_scale), MeanColour.input_px)
        for row in rows.itertuples()
    ]
    return MeanColour()(np.stack(crops))


def test_hallucinations_say_three_poses_of_every_frame(people: pd.DataFrame):
    found = people[people.kind == "hallucinated"]
    assert found.groupby("step_frames").size().to_dict() == {-5: 55, 0: 55, 5: 55}


def test_the_files_are_all_there(summary: Summary):
    names = sorted(file.relative_to(summary.folder).as_posix() for file in summary.files)
    identities = sorted(summary.frames_of_people)
    each = [f"{kind}/person-{one:03d}.{end}" for kind, end in (("amass", "npz"), ("bvh", "bvh")) for one in identities]
    assert names == sorted([*each, "overlay.mp4", "people.parquet", "side_view.mp4", "vibe_output.pkl"])
    assert all(file.is_file() for file in summary.files)
    vibe = joblib.load(summary.folder / "vibe_output.pkl")
    assert {one: len(person["frame_ids"]) for one, person in vibe.items()} == summary.frames_of_people


def test_videos_show_every_frame_and_the_forecasts(summary: Summary):
    overlay, side_view = (read_video(summary.folder / f"{name}.mp4") for name in ("overlay", "side_view"))
    assert len(overlay) == len(side_view) == FRAMES + 5
    height, width = overlay.shape[1:3]
    assert side_view.shape[1:3] == (height, 2 * width)
    assert np.abs(side_view[:, :, :width].astype(int) - overlay).mean() < 3  # the same pictures, encoded twice
    corner = overlay[:, -20:, :20].mean(axis=(1, 2, 3))
    assert corner[:FRAMES] == pytest.approx(128, abs=4)
    assert (corner[FRAMES:] < 80).all()  # frames that do not exist are dark


def read_video(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def test_the_summary_fits_a_terminal(summary: Summary):
    lines = list(summary.lines())
    assert all(len(line) <= 80 for line in lines if str(summary.folder) not in line)
    text = "\n".join(lines)
    for part in ("30 frames at 30 a second, 160 x 120 px", "25 frames", "detect", "amass/ (2)", "overlay.mp4"):
        assert part in text


def test_detection_in_pieces_finds_what_the_whole_does(film: Path, pipeline: Pipeline, monkeypatch):
    whole = detect(open_footage(film), pipeline.detector, 8, 80)
    monkeypatch.setattr(demo_people, "FRAMES_AT_ONCE", 13)
    pieces = detect(open_footage(film), pipeline.detector, 8, 80)
    pd.testing.assert_frame_equal(pieces, whole, check_dtype=False)
    assert whole.groupby("frame").size().tolist() == [1] * 5 + [2] * 5 + [3] * 4 + [2] * 16


def test_a_folder_of_images_is_a_video(film: Path, tmp_path: Path):
    for index, frame in enumerate(open_footage(film).frames()):
        cv2.imwrite(str(tmp_path / f"{index:03d}.png"), frame[..., ::-1])
    folder = open_footage(tmp_path)
    assert (folder.name, folder.size_px, folder.n_frames, folder.fps) == (tmp_path.name, (160, 120), FRAMES, 25.0)
    for image, frame in zip(folder.frames(), open_footage(film).frames(), strict=True):
        np.testing.assert_array_equal(image, frame)


def test_a_video_can_be_taken_at_another_rate(film: Path):
    slow = open_footage(film, fps=15)
    assert (slow.n_frames, slow.fps, sum(1 for _ in slow.frames())) == (15, 15.0, 15)


def test_smoothing_changes_the_bodies_and_not_where_people_are(request_of, pipeline, by_colour, summary, people):
    wanted = Wanted(smoothing="slerp")
    request = request_of(out=summary.folder.parent / "smooth", wanted=wanted, exports=("parquet",), video=False)
    smooth = read_table(run_demo(request, pipeline).files[0], PEOPLE)
    plain = people[people.kind == "seen"].reset_index(drop=True)
    assert smooth.kind.unique().tolist() == ["seen"]
    np.testing.assert_array_equal(stack(smooth.camera), stack(plain.camera))
    change = np.abs(stack(smooth.pose) - stack(plain.pose)).max(axis=1)
    assert change[smooth.frame == 29].min() > 0


def test_a_person_too_short_for_a_forecast_is_named(request_of, pipeline, by_colour, summary):
    request = request_of(
        out=summary.folder.parent / "short", wanted=Wanted(5), exports=(), video=False, minimum_detections=4
    )
    short = run_demo(request, pipeline)
    assert sorted(short.frames_of_people.values()) == [4, 25, 30]
    (identity,) = short.without_forecast
    assert short.frames_of_people[identity] == 4
    assert f"under 15 frames, no forecast: {identity}" in short.lines()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [({"autoregressor": "none"}, Wanted(forecast_frames=5)), ({"hallucinator": False}, Wanted(hallucinate=True))],
)
def test_what_a_model_cannot_do_is_said_first(request_of, pipeline, tmp_path: Path, changes: dict, wanted: Wanted):
    checkpoint = save_model(tmp_path / "model.pt", ModelDesign(**(asdict(DESIGN) | changes)))
    with pytest.raises(ConfigError, match="'untrained' does not"):
        run_demo(request_of(checkpoint=checkpoint, wanted=wanted, source=tmp_path / "not looked at"), pipeline)


def test_features_of_another_size_are_refused(request_of, pipeline, by_colour, tmp_path: Path):
    checkpoint = save_model(tmp_path / "model.pt", replace(DESIGN, feature_size=9))
    with pytest.raises(FatalError, match=r"reads 9 features, its backbone 'mean-colour' gives 8"):
        run_demo(request_of(checkpoint=checkpoint), pipeline)


def test_a_film_without_people_says_so(request_of, pipeline, by_colour):
    with pytest.raises(FatalError, match=r"no people found: the longest of 3 tracks has 30 detections, .* is 31"):
        run_demo(request_of(minimum_detections=31), pipeline)


def test_an_empty_film_says_so(request_of, pipeline, by_colour, tmp_path: Path):
    write_video(tmp_path / "grey.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 5)
    with pytest.raises(FatalError, match="no people found: nobody was detected"):
        run_demo(request_of(source=tmp_path / "grey.mp4"), pipeline)


def test_an_unreadable_video_names_the_file(tmp_path: Path):
    (tmp_path / "broken.mp4").write_bytes(b"not a video at all")
    with pytest.raises(FatalError, match=r"broken\.mp4: cannot be decoded"):
        open_footage(tmp_path / "broken.mp4")
    with pytest.raises(ConfigError, match="there is no such video"):
        open_footage(tmp_path / "nowhere.mp4")


def test_a_folder_must_hold_images_of_one_size(tmp_path: Path):
    with pytest.raises(ConfigError, match="holds no images"):
        open_footage(tmp_path)
    for name, side in (("a", 20), ("b", 30)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((side, 40, 3), np.uint8))
    with pytest.raises(FatalError, match=r"'b' is 40 x 30 px, the first image 40 x 20"):
        open_footage(tmp_path)


def test_a_folder_of_images_is_never_written_into(request_of, pipeline, by_colour, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    with pytest.raises(ConfigError, match="into the folder of images"):
        run_demo(request_of(source=tmp_path, out=tmp_path.parent), pipeline)


def test_a_model_is_found_by_name_or_file(tmp_path: Path):
    run = RunFolder(tmp_path / "results")
    trained = save_model(run.checkpoint("contextual", 0))
    assert model_file("contextual", run, 0) == trained
    assert model_file(str(trained), RunFolder(tmp_path / "other"), 3) == trained
    with pytest.raises(ConfigError, match=r"did you mean 'contextual'\?; `snakemake --cores 2 .*contextua/seed-0"):
        model_file("contextua", run, 0)


def test_exports_are_chosen_by_name():
    assert export_names("bvh, vibe") == ("vibe", "bvh")
    assert export_names("") == ()
    with pytest.raises(ConfigError, match="'fbx' is not known; choose from parquet, vibe, amass, bvh"):
        export_names("vibe,fbx")


def test_the_command_line_refuses_what_it_cannot_find(film: Path, tmp_path: Path):
    result = CliRunner().invoke(app, ["demo", str(film), "--model", "nothing", "--run", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert "--model nothing" in str(result.exception)
