"""Which motions can be foreseen: on motions that repeat exactly, and on some that never do."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from moviestrip.body.load import load_body
from moviestrip.config import BodySettings
from moviestrip.errors import FatalError
from moviestrip.evaluation.diversity import diversity
from moviestrip.evaluation.findings import Sampling
from moviestrip.evaluation.predictability import (
    BALLISTIC,
    PERIODIC,
    kind_of_action,
    trained_predictability,
    true_forecasts,
    true_predictability,
)
from moviestrip.world.deepmimic import CLIPS
from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.procedural import FAMILY_NAMES

FRAMES = 90
SAMPLING = Sampling(200)


@pytest.fixture(scope="module")
def rest(cache) -> RestSkeleton:
    return RestSkeleton.from_body(load_body(BodySettings(), cache))


def motion(name: str, split: str, action: str, angles: np.ndarray, turn: float = 0.0) -> pd.DataFrame:
    """Arms and legs that swing by the given angles, of someone who faces any way."""
    pose = np.zeros((len(angles), 72), np.float32)
    for joint, factor in ((1, 1), (2, -1), (16, -0.7), (17, 0.7)):
        pose[:, 3 * joint] = factor * angles
    pose[:, :3] = Rotation.from_euler("y", turn).as_rotvec()
    rows = {"motion_id": name, "split": split, "action": action, "frame": np.arange(len(angles))}
    return pd.DataFrame({**rows, "pose": list(pose), "translation_m": list(np.zeros((len(angles), 3), np.float32))})


def library() -> pd.DataFrame:
    """Walks of one tempo and any phase, and throws: still, then a jump to anywhere, at any time."""
    rng, time, parts = np.random.default_rng(0), np.arange(FRAMES), []
    for split, count in (("train", 12), ("validation", 6), ("test", 8)):
        for number in range(count):
            walk = 0.6 * np.sin(2 * np.pi * time / 20 + rng.uniform(0, 6))
            parts.append(motion(f"walk-{split}-{number}", split, "walking", walk, rng.uniform(0, 6)))
            throw = np.cumsum(np.where(rng.random(FRAMES) < 0.05, rng.normal(0, 1, FRAMES), 0))
            parts.append(motion(f"throw-{split}-{number}", split, "throw", throw, rng.uniform(0, 6)))
    return pd.concat(parts, ignore_index=True)


def test_what_repeats_is_foreseen_and_what_jumps_is_not(rest: RestSkeleton):
    errors = true_forecasts(library(), rest, (10, 30))
    means = errors.groupby(["kind", "horizon"])[["constant_mm", "forecast_mm"]].mean()
    assert (means.loc["periodic", "forecast_mm"] < 0.25 * means.loc["periodic", "constant_mm"]).all()
    assert (means.loc["ballistic", "forecast_mm"] > 0.8 * means.loc["ballistic", "constant_mm"]).all()
    found = {each.check: each for each in true_predictability(errors, SAMPLING)}
    assert set(found) == {f"future-{kind}-{horizon}" for kind in ("true", "share") for horizon in (10, 30)}
    assert {each.verdict for each in found.values()} == {"present"}
    assert {each.clips for each in found.values()} == {16}


def test_where_a_motion_faces_changes_nothing(rest: RestSkeleton):
    motions = library()
    turned = motions.copy()
    turned["pose"] = [np.concatenate([[0, 1.0, 0], pose[3:]]).astype(np.float32) for pose in motions["pose"]]
    first, second = (true_forecasts(each, rest, (10,)) for each in (motions, turned))
    apart = np.abs(first["forecast_mm"] / second["forecast_mm"] - 1)
    assert (apart < 1e-3).mean() > 0.8  # windows that are as similar to the last bit may change places
    assert apart.max() < 0.05


def test_standing_still_is_measured_without_turning(rest: RestSkeleton):
    """A person who only turns has moved; the error is the distance of joints from the pelvis, as seen at the start."""
    angles = np.zeros(FRAMES)
    turning = motion("t", "test", "turning", angles)
    turning["pose"] = [np.concatenate([[0, 0.02 * frame, 0], pose[3:]]) for frame, pose in enumerate(turning["pose"])]
    others = [motion(name, split, "waiting", angles) for name, split in (("a", "train"), ("b", "validation"))]
    error = true_forecasts(pd.concat([turning, *others]), rest, (10,))["constant_mm"].item()
    local = (rest.joints - rest.joints[0])[:, [0, 2]]
    assert error == pytest.approx(1000 * 2 * np.sin(0.1) * np.linalg.norm(local, axis=-1).mean(), rel=1e-3)


def test_a_library_without_a_split_is_an_error(rest: RestSkeleton):
    motions = library()
    with pytest.raises(FatalError, match="no motion of a split has 45 frames"):
        true_forecasts(motions[motions["split"] != "test"], rest)


def test_kinds_are_of_actions_that_exist():
    recorded = {action for action, _ in CLIPS.values()}
    assert (PERIODIC | BALLISTIC).issubset({*FAMILY_NAMES, *recorded})
    assert not PERIODIC & BALLISTIC
    assert [kind_of_action(name) for name in ("walking", "golf_swing", "posing")] == ["periodic", "ballistic", ""]


def forecast_scores(lost: dict[str, float]) -> pd.DataFrame:
    rows = [
        {"variant": "ar-phi", "metric": "pck", "dtw": False, "condition": "forecast", "seed": seed, "horizon": horizon,
         "clip_id": f"{action}-{clip}", "group": f"{action}-{clip}", "action": action,
         "value": 80 + clip - (horizon > 1) * (by + clip)}
        for action, by in lost.items() for clip in range(6) for seed in (0, 1) for horizon in (1, 20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_trained_forecaster_is_judged_by_what_it_loses():
    scores = forecast_scores({"tennis_serve": 30.0, "squats": 10.0, "waiting": 0.0})
    (found,) = trained_predictability(scores, "ar-phi", "pck", "gym", (20, 30), SAMPLING)
    assert (found.check, found.seeds, found.clips) == ("future-trained-20-gym", 2, 12)
    assert found.measured == pytest.approx(20)
    assert found.verdict == "present"
    assert not list(
        trained_predictability(scores[scores["action"] != "squats"], "ar-phi", "pck", "gym", (20,), SAMPLING)
    )


def test_what_splits_share_is_counted():
    sources = pd.DataFrame({"motion_id": list("abc"), "family": ["x", "x", "y"], "split": ["train", "train", "test"]})
    seen = pd.DataFrame(
        {"video_id": ["1", "2", "3"], "split": ["train", "train", "test"], "subject": ["S1", "S2", "S1"],
         "motion_id": list("aac")}
    )  # fmt: skip
    found = {each.check: each for each in diversity(sources, {"studio": seen})}
    assert found["motions-train"].measured == 2
    assert found["motions-filmed"].measured == 1
    assert (found["shared-motions"].measured, found["shared-motions"].verdict) == (0, "present")
    assert (found["shared-people"].measured, found["shared-people"].verdict) == (1, "absent")
