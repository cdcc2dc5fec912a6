"""The stages that draw strips, on forecasts of models that learnt nothing, for clips of the stick world."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from moviestrip import stages
from moviestrip.errors import FatalError
from moviestrip.figures.strips import WIDTH_PX
from moviestrip.layout import RunFolder
from moviestrip.models.model import CONDITION_FRAMES
from moviestrip.papers.figures import figure_files, figure_named
from moviestrip.papers.worlds import Setting
from moviestrip.stages.figures import filmed, neighbours
from moviestrip.stages.figures.filmed import forecast_at
from moviestrip.stages.figures.hallucination import draw_hallucination, moment_of_most_motion
from moviestrip.stages.figures.neighbours import Estimated, draw_neighbours, found_again, largest_difference
from moviestrip.stages.figures.spaces import difference_by_clip, draw_spaces, median_of_each_kind
from moviestrip.storage import write_json
from moviestrip.tables import FORECASTS, read_table, stack
from moviestrip.training.predict import Estimates, forecasts_table
from tests.test_forecast_stages import CAUSAL, MovableStickBody, job_of, write_shard
from tests.training.stick_world import stick_clips
from tests.training.test_predict import untrained

SIDE_PX, HORIZONS = 256, range(31)


class BoxBody:
    """The box, as tall as it is, whatever the pose; its first beta makes it taller."""

    def __init__(self, box):
        self.faces, self._corners = box.faces, box.v_template

    def forward(self, pose, betas):
        vertices = torch.from_numpy(self._corners) * (1 + 0.02 * torch.as_tensor(betas)[:, :1, None])
        return (vertices, None) if isinstance(pose, torch.Tensor) else (vertices.numpy(), None)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """Training and test clips of `studio`, and models that learnt nothing."""
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for split, count in (("train", 3), ("test", 2)):
        write_shard(run, f"studio-{split}", split, stick_clips(split, count, n_frames=48, share_3d=1.0))
    write_json(run.body, {"name": "stick"})
    for variant, design in {
        "phd-causal": CAUSAL,
        "ar-phi": {**CAUSAL, "autoregressor": "strip"},
        "ar-theta": {**CAUSAL, "autoregressor": "theta"},
        "contextual": {"encoder": "movie-strip", "delta_frames": (-5, 5), "hallucinator": True},
    }.items():
        run.checkpoint(variant, 0).parent.mkdir(parents=True)
        untrained(run.checkpoint(variant, 0), **design)
    return run


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch, box) -> None:
    """A stick body for the stages that compute, a box for those that draw, and videos that get brighter."""
    frames = [np.full((SIDE_PX, SIDE_PX, 3), 60 + 3 * index, np.uint8) for index in range(48)]
    monkeypatch.setattr(stages.Job, "body", lambda job: BoxBody(box))
    for module in ("forecasting", "prediction", "figures.neighbours"):
        monkeypatch.setattr(f"moviestrip.stages.{module}.keypoints_of", lambda body: MovableStickBody())
    monkeypatch.setattr(filmed, "frames_of_dataset", lambda run, dataset: lambda video_id: iter(frames))


def prepared(run, repository, name: str, rows: dict[str, str]):
    """The job, figure and setting of a figure whose rows' forecasts are made by the stages."""
    for row, variant in rows.items():
        stages.forecast(job_of(run, repository, variant), row, 0, ["studio"])
    job = job_of(run, repository, None)
    return job, figure_named(name), replace(Setting.of(job.settings.config()), datasets=("studio",))


def require_files(job, figure, setting) -> None:
    """Everything the stage may read is listed, and what it lists is there."""
    listed = figure_files(figure, setting, job.run, job.settings.variants())
    absent = [name for name, path in listed.items() if not path.exists() and not name.startswith("videos")]
    assert not absent


def test_hallucinations_are_drawn(run, repository):
    job, figure, setting = prepared(run, repository, "hmmr-4", {"hallucinator": "hallucinator"})
    require_files(job, figure, setting)
    drawn = draw_hallucination(job, figure, setting)
    assert drawn.picture.shape[1] == WIDTH_PX and drawn.file_name == "picture.png"
    assert drawn.note.startswith("Miniature world, hallucinator, seed 0, horizons −5, 0, +5 frames.")
    assert "studio test-00 at frame" in drawn.note and "studio test-01 at frame" in drawn.note
    assert np.array_equal(drawn.picture, draw_hallucination(job, figure, setting).picture)


def test_neighbours_are_drawn_and_never_guessed(run, repository, monkeypatch):
    job, figure, setting = prepared(run, repository, "phd-9", {"nearest-neighbour": "phd-causal"})
    require_files(job, figure, setting)
    found = []
    monkeypatch.setattr(neighbours, "found_again", lambda *given: found.append(found_again(*given)) or found[-1])
    drawn = draw_neighbours(job, figure, setting)
    assert drawn.picture.shape[1] == WIDTH_PX
    (moment,) = found
    assert (
        moment.clip_id.startswith("train-") and f"training clip {moment.clip_id} at frame {moment.frame}" in drawn.note
    )
    assert "studio (true) test-00 at frame 14" in drawn.note
    untrained(run.checkpoint("phd-causal", 0), **{**CAUSAL, "width": 32})
    with pytest.raises(FatalError, match="no training window has these estimates"):
        draw_neighbours(job, figure, setting)


def test_both_spaces_are_drawn(run, repository):
    rows = {row: row for row in ("ar-phi", "ar-theta")}
    for row in rows:
        stages.predict(job_of(run, repository, row), row, 0, ["studio"])
    job, figure, setting = prepared(run, repository, "phd-11", rows)
    for row in rows:
        stages.evaluate_forecasts(job_of(run, repository, row), row, 0, ["studio"])
    require_files(job, figure, setting)
    drawn = draw_spaces(job, figure, setting)
    assert drawn.picture.shape[1] == WIDTH_PX
    assert set(drawn.data["clip_id"]) == {"test-00", "test-01"}
    assert "of 2 test clips. No test clip is ballistic." in drawn.note  # the stick world walks


def scores(values: dict[str, float], **constant) -> pd.DataFrame:
    rows = [
        {"dataset": "gym", "clip_id": clip, "action": "bowl", "metric": "pck", "condition": "forecast", "dtw": False,
         "horizon": horizon, "value": value + horizon}
        for clip, value in values.items() for horizon in (0, 1, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**constant)


def test_the_difference_of_spaces_is_of_the_unwarped_future():
    noise = [scores({"a": 1000}, dtw=True), scores({"a": -500}, metric="pa_mpjpe")]
    latent = pd.concat([scores({"a": 50, "b": 60, "c": 1}), *noise])
    poses = pd.concat([scores({"a": 40, "b": np.nan, "c": 4}), *noise])
    found = difference_by_clip(latent, poses)
    assert found[["clip_id", "difference"]].values.tolist() == [["a", 10], ["c", -3]]


def test_the_median_clip_of_each_kind_is_chosen():
    table = pd.DataFrame(
        [("p1", "squats", 5), ("p2", "walking", -1), ("p3", "jump_rope", 2), ("b2", "bowl", 9), ("b1", "bowl", 9),
         ("x", "eating", 0)],
        columns=["clip_id", "action", "difference"],
    )  # fmt: skip
    assert median_of_each_kind(table)["clip_id"].to_list() == ["p3", "b1"]
    others = median_of_each_kind(table[table["clip_id"] == "x"])
    assert others[["clip_id", "kind"]].values.tolist() == [["x", "other"]]
    with pytest.raises(FatalError, match="no clip has a PCK in both spaces"):
        median_of_each_kind(table.head(0))


def test_the_moment_of_most_motion_ignores_where_the_person_goes():
    before = np.ones((4, 25, 3))
    after = before.copy()
    after[0, :, :2] += 100  # all of them goes
    after[1, 3, 0] += 5
    after[2, 4, 1] += 9
    after[3, 5, 0] += 1000
    after[3, 5, 2] = 0  # unseen
    assert moment_of_most_motion(before, after) == 2
    assert moment_of_most_motion(before[:2] * 0, after[:2] * 0) == 0


def estimated(n_clips: int = 3) -> Estimated:
    clips = stick_clips("train", n_clips, n_frames=48, share_3d=1.0)
    points_m = MovableStickBody()(clips.rotations, clips.betas)
    return Estimated(clips, Estimates(torch.zeros(len(points_m), 3), clips.rotations, clips.betas, points_m))


@pytest.mark.parametrize(("clip", "frame"), [(0, 14), (1, 15), (2, 17)])
def test_a_forecast_is_found_where_it_comes_from(clip, frame):
    training = estimated()
    name, rows = training.clips.clips[clip].clip_id, 48 * clip + frame + torch.arange(31)
    said = Estimates(*(values[rows] for values in vars(training.bodies).values()))
    forecast = forecasts_table("forecast", [("test-00", 14, 0)], HORIZONS, said)
    found = found_again(forecast.sample(frac=1, random_state=0), training)
    assert (found.clip_id, found.frame) == (name, frame) and frame >= CONDITION_FRAMES - 1
    moved = forecast.assign(points_3d_m=[points + 0.01 for points in forecast["points_3d_m"]])
    with pytest.raises(FatalError, match=r"the closest is 10\.0 mm off"):
        found_again(moved, training)


def test_the_largest_difference_is_that_of_brute_force():
    frames, sequence, starts = torch.randn(20, 25, 3), torch.randn(5, 25, 3), torch.tensor([3, 0, 15])
    expected = [float((frames[start : start + 5] - sequence).abs().max()) for start in starts]
    assert largest_difference(sequence, frames, starts).tolist() == pytest.approx(expected)


def test_forecasts_come_in_the_order_asked_for(run, repository):
    prepared(run, repository, "hmmr-4", {"hallucinator": "hallucinator"})
    table = read_table(run.forecasts("hallucinator", 0, "studio"), FORECASTS)
    rows = forecast_at(table, "test-01", 9, (5, -5))
    alone = table.query("clip_id == 'test-01' and start_frame == 9 and horizon == 5")
    assert rows["horizon"].to_list() == [5, -5] and np.array_equal(stack(rows["pose"])[:1], stack(alone["pose"]))
    with pytest.raises(FatalError, match="nothing at horizon 4 from frame 9 of clip test-01"):
        forecast_at(table, "test-01", 9, (4,))
