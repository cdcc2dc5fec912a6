"""Scoring against a plain frame-by-frame reference, and what it refuses."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip import tables
from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.meshes import BodyPoses, h36m_joints
from moviestrip.evaluation.protocols import HMMR, MPI_INF_3DHP, SPIN, TCMR, TCMR_TABLE6, VIBE, VIBE_OFFICIAL
from moviestrip.evaluation.score import score_predictions, score_under
from moviestrip.skeleton import COMMON_14, H36M_17, indices_of

FRAMES = {"a": 9, "b": 12, "c": 2}


@pytest.fixture(scope="module")
def smpl_like(cache: Path) -> Body:
    return load_body(BodySettings(), cache)


@pytest.fixture
def world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions, labels and clips of three clips; 'b' has a burst, 'c' has 2D truth alone."""
    rng = np.random.default_rng(0)
    labels, predictions = [], []
    for clip, count in FRAMES.items():
        for frame in range(count):
            keypoints = np.concatenate([rng.uniform(0, 500, (25, 2)), rng.random((25, 1)) < 0.7], 1)
            joints = rng.standard_normal((14, 3))
            labels.append({
                "clip_id": clip, "frame": frame, "video_frame": frame, "box_center_px": np.full(2, 100.0),
                "box_scale": 0.5, "keypoints_2d": keypoints.ravel(), "has_3d": clip != "c",
                "joints_3d_m": joints.ravel() + 3, "pose": np.zeros(72), "betas": np.zeros(10),
                "translation_m": np.zeros(3), "intrinsics_px": np.zeros(4), "has_body": False,
                "burst": "blur" if clip == "b" and frame in (2, 3) else "none",
            })  # fmt: skip
            predictions.append({
                "clip_id": clip, "frame": frame, "camera": np.zeros(3), "pose": np.zeros(72), "betas": np.zeros(10),
                "joints_3d_m": (joints + rng.normal(0, 0.1, (14, 3))).ravel(),
                "keypoints_2d": (keypoints[:, :2] + rng.normal(0, 15, (25, 2))).ravel(),
            })  # fmt: skip
    clips = pd.DataFrame({
        "clip_id": list(FRAMES), "dataset": "street", "action": ["walk", "run", ""],
        "motion_id": ["walk-1", "run-2", ""], "video_id": ["v1", "v2", "v3"],
    })  # fmt: skip
    labels = tables.with_defaults(pd.DataFrame(labels), tables.LABELS)
    return pd.DataFrame(predictions).sample(frac=1, random_state=0), labels, clips


def test_scores_equal_a_loop_over_frames(world):
    predictions, labels, clips = world
    scores = score_predictions(predictions, labels, clips, HMMR, "contextual", 3)
    paired = labels.merge(predictions, on=["clip_id", "frame"], suffixes=("", "_p"))
    for clip, rows in paired.groupby("clip_id"):
        expected = reference(rows)
        found = scores[(scores["clip_id"] == clip) & (scores["condition"] == "all")].set_index("metric")["value"]
        assert set(found.index) == set(expected)
        for metric, value in expected.items():
            assert found[metric] == pytest.approx(value, rel=1e-4), (clip, metric)


def reference(rows: pd.DataFrame) -> dict[str, float]:
    shares, errors, aligned, predicted_all, target_all, in_3d = [], [], [], [], [], []
    for row in rows.sort_values("frame").itertuples():
        keypoints = np.reshape(row.keypoints_2d, (25, 3))
        seen = keypoints[:, 2] > 0
        if seen.sum() >= 6:
            guess = np.reshape(row.keypoints_2d_p, (25, 2)) * 0.5
            shares.append(metrics.pck_after_optimal_camera(guess, keypoints[:, :2] * 0.5, seen, 11.2) * 100)
        predicted = metrics.center_on_hips(np.reshape(row.joints_3d_m_p, (14, 3)))
        target = metrics.center_on_hips(np.reshape(row.joints_3d_m, (14, 3)))
        predicted_all.append(predicted)
        target_all.append(target)
        in_3d.append(row.has_3d and seen[:14].sum() > 6)
        if in_3d[-1]:
            errors.append(metrics.mpjpe(predicted, target) * 1000)
            aligned.append(metrics.pa_mpjpe(predicted, target) * 1000)
    triplets = [index for index in range(len(rows) - 2) if all(in_3d[index : index + 3])]
    accel = metrics.acceleration(np.array(predicted_all)) * 1000
    accel_error = metrics.acceleration_error(np.array(predicted_all), np.array(target_all))[triplets] * 1000
    every = {"pck": shares, "mpjpe": errors, "pa_mpjpe": aligned, "accel": accel, "accel_error": accel_error}
    return {name: float(np.mean(values)) for name, values in every.items() if len(values)}


def test_burst_and_clean_frames_make_up_all_frames(world):
    scores = score_predictions(*world, HMMR, "contextual", 0)
    for metric in ("pck", "mpjpe", "accel"):
        by_condition = scores[(scores["clip_id"] == "b") & (scores["metric"] == metric)].set_index("condition")
        frames, value = by_condition["frames"], by_condition["value"]
        assert frames["burst"] + frames["clean"] == frames["all"]
        whole = (value["burst"] * frames["burst"] + value["clean"] * frames["clean"]) / frames["all"]
        assert whole == pytest.approx(value["all"])
    accelerations = scores[(scores["clip_id"] == "b") & (scores["metric"] == "accel")].set_index("condition")["frames"]
    assert accelerations["burst"] == 4  # every triplet that touches frame 2 or 3


def test_scores_are_a_valid_table_and_state_their_units(world, tmp_path):
    scores = score_predictions(*world, HMMR, "contextual", 3)
    tables.write_table(tmp_path / "scores.parquet", scores, tables.SCORES)
    again = tables.read_table(tmp_path / "scores.parquet", tables.SCORES)
    assert set(zip(again["metric"], again["unit"], strict=True)) == {
        ("pck", "%"), ("mpjpe", "mm"), ("pa_mpjpe", "mm"), ("accel", "mm/frame^2"), ("accel_error", "mm/frame^2")
    }  # fmt: skip
    assert set(again["seed"]) == {3} and set(again["horizon"]) == {0} and not again["dtw"].any()


def test_fault_20_degenerate_predictions_are_counted_not_averaged(world):
    predictions, labels, clips = world
    before = score_predictions(predictions, labels, clips, HMMR, "v", 0)
    broken = predictions.copy()
    spoiled = (broken["clip_id"] == "a") & (broken["frame"] == 4)
    broken["joints_3d_m"] = [
        np.full(42, np.nan) if bad else joints for bad, joints in zip(spoiled, broken["joints_3d_m"], strict=True)
    ]
    after = score_predictions(broken, labels, clips, HMMR, "v", 0)
    row = after[(after["clip_id"] == "a") & (after["metric"] == "pa_mpjpe") & (after["condition"] == "all")].iloc[0]
    old = before[(before["clip_id"] == "a") & (before["metric"] == "pa_mpjpe") & (before["condition"] == "all")].iloc[0]
    assert row["degenerate_frames"] == 1 and row["frames"] == old["frames"] - 1 and np.isfinite(row["value"])


def test_a_translation_of_the_truth_matters_only_where_the_protocol_takes_joints_as_given(world):
    predictions, labels, clips = world
    moved = labels.assign(
        joints_3d_m=[
            joints + np.tile([0.01 * frame**2, 0, 5.0], 14)
            for joints, frame in zip(labels["joints_3d_m"], labels["frame"], strict=True)
        ]
    )
    as_given = replace(HMMR, acceleration_root="as_given")
    for protocol, equal in ((HMMR, True), (as_given, False)):
        found = [score_predictions(predictions, table, clips, protocol, "v", 0) for table in (labels, moved)]
        errors = [scores.loc[scores["metric"] == "accel_error", "value"].to_numpy() for scores in found]
        assert np.allclose(*errors, rtol=1e-3) == equal
        assert np.allclose(*(scores.loc[scores["metric"] == "mpjpe", "value"] for scores in found), rtol=1e-3)


def test_every_score_names_its_protocol_and_the_group_it_is_drawn_with(world):
    scores = score_under((HMMR, VIBE), *world, "v", 0, None, False, 1)
    assert set(scores["protocol"]) == {"hmmr", "vibe"}
    assert scores.groupby("clip_id")["group"].first().to_dict() == {"a": "walk-1", "b": "run-2", "c": "v3"}
    for protocol in (HMMR, VIBE):
        alone = score_predictions(*world, protocol, "v", 0)
        both = scores[scores["protocol"] == protocol.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, both)


def test_a_protocol_that_trusts_only_sure_keypoints_counts_fewer_frames(world):
    predictions, labels, clips = world
    unsure = labels.assign(keypoints_2d=[np.where(np.arange(75) % 3 == 2, k * 0.2, k) for k in labels["keypoints_2d"]])
    assert "mpjpe" in set(score_predictions(predictions, unsure, clips, HMMR, "v", 0)["metric"])
    assert "mpjpe" not in set(score_predictions(predictions, unsure, clips, VIBE, "v", 0)["metric"])
    assert "mpjpe" in set(score_predictions(predictions, unsure, clips, TCMR, "v", 0)["metric"])


def long_world(counts: dict[str, int], body: bool = False) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Clips with every keypoint visible, and poses if wanted."""
    rng = np.random.default_rng(1)
    labels, predictions = [], []
    for clip, count in counts.items():
        for frame in range(count):
            keypoints = np.concatenate([rng.uniform(0, 500, (25, 2)), np.ones((25, 1))], 1)
            joints, pose = rng.standard_normal((14, 3)), rng.normal(0, 0.3, 72) * body
            labels.append({
                "clip_id": clip, "frame": frame, "box_scale": 0.5, "keypoints_2d": keypoints.ravel(), "has_3d": True,
                "joints_3d_m": joints.ravel(), "pose": pose, "betas": rng.normal(0, 1, 10) * body, "burst": "none",
                "has_body": body,
            })  # fmt: skip
            predictions.append({
                "clip_id": clip, "frame": frame, "keypoints_2d": keypoints[:, :2].ravel(),
                "joints_3d_m": (joints + rng.normal(0, 0.1, (14, 3))).ravel(),
                "pose": pose + rng.normal(0, 0.1, 72), "betas": rng.normal(0, 1, 10),
            })  # fmt: skip
    names = list(counts)
    clips = pd.DataFrame({"clip_id": names, "dataset": "d", "action": "", "motion_id": names, "video_id": names})
    return pd.DataFrame(predictions), tables.with_defaults(pd.DataFrame(labels), tables.LABELS), clips


def joints_of_table(table: pd.DataFrame) -> np.ndarray:
    return metrics.center_on_hips(np.stack(table["joints_3d_m"].to_list()).reshape(-1, 14, 3))


def pooled(scores: pd.DataFrame, metric: str) -> float:
    """The mean over all frames, as VIBE and TCMR print it."""
    rows = scores[(scores["metric"] == metric) & (scores["condition"] == "all")]
    return float(np.average(rows["value"], weights=rows["frames"]))


def test_vibe_official_drops_remainders_and_runs_across_joins():
    predictions, labels, clips = long_world({"a": 35, "b": 15, "c": 18})
    scores = score_predictions(predictions, labels, clips, VIBE_OFFICIAL, "v", 0)
    kept = (predictions["clip_id"] == "a") & (predictions["frame"] < 32)
    kept |= (predictions["clip_id"] == "c") & (predictions["frame"] < 16)
    predicted, target = joints_of_table(predictions[kept]), joints_of_table(labels[kept])
    assert set(scores["clip_id"]) == {"a", "c"}  # b fills no chunk
    assert pooled(scores, "mpjpe") == pytest.approx(metrics.mpjpe(predicted, target).mean() * 1000, rel=1e-5)
    across = metrics.acceleration_error(predicted, target)
    assert len(across) == 46
    assert pooled(scores, "accel_error") == pytest.approx(across.mean() * 1000, rel=1e-5)
    clean = score_predictions(predictions, labels, clips, VIBE, "v", 0)
    rows = clean[(clean["metric"] == "accel_error") & (clean["condition"] == "all")]
    assert rows["frames"].sum() == 33 + 13 + 16 and pooled(clean, "accel_error") != pytest.approx(across.mean() * 1000)


def test_a_model_of_every_second_frame_is_measured_at_its_own_rate():
    predictions, labels, clips = long_world({"a": 12})
    scores = score_predictions(predictions, labels, clips, TCMR, "v", 0, frame_stride=2)
    predicted, target = joints_of_table(predictions), joints_of_table(labels)
    halves = [metrics.acceleration_error(predicted[start::2], target[start::2]) for start in (0, 1)]
    assert pooled(scores, "accel_error") == pytest.approx(np.concatenate(halves).mean() * 1000, rel=1e-5)
    row = scores[(scores["metric"] == "accel_error") & (scores["condition"] == "all")].iloc[0]
    assert row["frames"] == 8


def test_mesh_errors_equal_the_posed_bodies(smpl_like):
    predictions, labels, clips = long_world({"a": 3, "b": 2}, body=True)
    scores = pd.concat([score_predictions(predictions, labels, clips, p, "v", 0, smpl_like) for p in (HMMR, VIBE)])
    found = scores[scores["condition"] == "all"].set_index(["metric", "clip_id"])["value"]
    for clip in ("a", "b"):
        sides = [table[table["clip_id"] == clip] for table in (predictions, labels)]
        pose, betas = ([tables.stack(side[name]) for side in sides] for name in ("pose", "betas"))
        posed = [smpl_like.forward(*parameters)[0] for parameters in zip(pose, betas, strict=True)]
        rest = [smpl_like.forward(0 * p, b)[0] for p, b in zip(pose, betas, strict=True)]
        for name, meshes in (("mesh_posed", posed), ("mesh_unposed", rest)):
            expected = np.linalg.norm(meshes[0] - meshes[1], axis=-1).mean() * 1000
            assert found[name, clip] == pytest.approx(expected, rel=1e-4)
        assert found["pve", clip] == found["mesh_posed", clip]


def test_seventeen_joints_come_from_the_body_and_are_measured_from_the_pelvis(smpl_like):
    predictions, labels, clips = long_world({"a": 4}, body=True)
    scores = score_predictions(predictions, labels, clips, MPI_INF_3DHP, "v", 0, smpl_like)
    found = scores[scores["condition"] == "all"].set_index("metric")["value"]
    joints = []
    for table in (predictions, labels):
        pose, betas = (np.stack(table[name].to_list()).astype(np.float32) for name in ("pose", "betas"))
        posed = smpl_like.joint_regressor_h36m @ smpl_like.forward(pose, betas)[0]
        joints.append(posed - posed[:, :1])  # the first of H36M_17 is the pelvis
    distances = np.linalg.norm(joints[0] - joints[1], axis=-1) * 1000
    assert found["mpjpe"] == pytest.approx(distances.mean(), rel=1e-4)
    common = distances[:, [index for index, name in enumerate(H36M_17) if name in COMMON_14]]
    assert found["pck_3d"] == pytest.approx((common < 150).mean() * 100, abs=1e-4)
    curve = [(common < threshold).mean() for threshold in range(0, 151, 5)]
    assert found["auc_3d"] == pytest.approx(np.mean(curve) * 100, abs=0.2)


def test_joints_that_the_truth_lacks_are_named(smpl_like):
    world = long_world({"a": 4})
    with pytest.raises(ConfigError, match=r"'mpi-inf-3dhp' measures pelvis, spine, head, but the truth here is 14"):
        score_predictions(*world, MPI_INF_3DHP, "v", 0, smpl_like)
    with pytest.raises(ConfigError, match=r"'spin' measures pelvis, but no body was given"):
        score_predictions(*world, SPIN, "v", 0)
    assert not {"pve", "mesh_posed"} & set(score_predictions(*world, VIBE, "v", 0, smpl_like)["metric"])


def value_of(scores: pd.DataFrame, metric: str) -> float:
    rows = scores[(scores["metric"] == metric) & (scores["condition"] == "all")]
    return float(rows["value"].iloc[0])


def test_a_pose_of_zeros_is_a_body_where_the_labels_say_so(smpl_like):
    predictions, labels, clips = long_world({"a": 3}, body=True)
    at_rest = labels.assign(pose=[np.zeros(72, np.float32)] * 3)
    scores = score_predictions(predictions, at_rest, clips, VIBE, "v", 0, smpl_like)
    assert "pve" in set(scores["metric"])
    unknown = score_predictions(predictions, labels.assign(has_body=False), clips, VIBE, "v", 0, smpl_like)
    assert "pve" not in set(unknown["metric"])


def test_seventeen_joints_are_the_stored_ones_where_the_truth_has_no_body(smpl_like):
    predictions, labels, clips = long_world({"a": 4})
    trunk = np.random.default_rng(2).standard_normal((4, 3, 3)).astype(np.float32)
    stored = labels.assign(trunk_3d_m=tables.unstack(trunk))
    scores = score_predictions(predictions, stored, clips, MPI_INF_3DHP, "v", 0, smpl_like)
    poses = BodyPoses(*(tables.stack(predictions[name]) for name in ("pose", "betas")))
    names = (*COMMON_14, "pelvis", "spine", "head")
    predicted = h36m_joints(smpl_like, poses)[:, indices_of(names, H36M_17)]
    target = np.concatenate([tables.stack(stored["joints_3d_m"], 14, 3), trunk], 1)
    distances = np.linalg.norm((predicted - predicted[:, 14:15]) - (target - target[:, 14:15]), axis=-1)
    assert value_of(scores, "mpjpe") == pytest.approx(distances.mean() * 1000, rel=1e-4)
    half = stored.assign(trunk_3d_m=[*stored["trunk_3d_m"][:2], *labels["trunk_3d_m"][2:]])  # two frames are not known
    fewer = score_predictions(predictions, half, clips, MPI_INF_3DHP, "v", 0, smpl_like)
    assert value_of(fewer, "mpjpe") == pytest.approx(distances[:2].mean() * 1000, rel=1e-4)
    without_trunk = [score_predictions(predictions, table, clips, TCMR, "v", 0) for table in (labels, stored)]
    pd.testing.assert_frame_equal(*without_trunk)


H36M_CAMERAS = ("54138969", "60457274", "55011271")


@pytest.mark.parametrize(
    ("protocol", "cameras", "counted"),
    [
        (HMMR, H36M_CAMERAS, {"b"}),
        (TCMR_TABLE6, H36M_CAMERAS, {"b"}),
        (TCMR_TABLE6, ("01", "04", "02"), {"b"}),
        (HMMR, ("0", "3", "2"), {"a", "b", "c"}),
        (HMMR, ("", "", ""), {"a", "b", "c"}),
        (HMMR, ("54138969", "", "3"), {"b", "c"}),
        (TCMR, H36M_CAMERAS, {"a", "b", "c"}),
        (VIBE, H36M_CAMERAS, {"a", "b", "c"}),
    ],
)
def test_only_the_cameras_of_the_protocol_count(world, protocol, cameras, counted):
    predictions, labels, clips = world
    sure = labels.assign(has_3d=True)
    scores = score_predictions(predictions, sure, clips.assign(camera=cameras), protocol, "v", 0)
    assert set(scores["clip_id"]) == counted
    everything = score_predictions(predictions, sure, clips, protocol, "v", 0)
    same = everything[everything["clip_id"].isin(counted)].reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, same)


@pytest.mark.parametrize(
    ("trusted", "positions", "triplets"),
    [("ignored", 9, 7), ("positions and middle frames", 7, 5), ("positions and accelerations", 7, 1)],
)
def test_frames_that_the_dataset_does_not_trust(trusted, positions, triplets):
    predictions, labels, clips = long_world({"a": 9})
    protocol = replace(TCMR, trusted=trusted)
    before = score_predictions(predictions, labels, clips, protocol, "v", 0)
    assert set(before.set_index("metric")["frames"].loc[["mpjpe", "accel_error"]]) == {9, 7}
    doubted = labels.assign(trusted=~np.isin(labels["frame"], (3, 6)))
    scores = score_predictions(predictions, doubted, clips, protocol, "v", 0).set_index("metric")
    assert scores["frames"].loc[["mpjpe", "pa_mpjpe"]].tolist() == [positions] * 2
    assert scores["frames"].loc[["accel", "accel_error"]].tolist() == [triplets] * 2
    predicted, target = joints_of_table(predictions), joints_of_table(labels)
    kept = np.ones(9, bool) if trusted == "ignored" else doubted["trusted"].to_numpy()
    assert scores["value"]["mpjpe"] == pytest.approx(metrics.mpjpe(predicted, target)[kept].mean() * 1000, rel=1e-5)
    whole = np.stack([kept[:-2], kept[1:-1], kept[2:]]).all(0)
    counted = whole if trusted == "positions and accelerations" else kept[1:-1]
    errors = metrics.acceleration_error(predicted, target)[counted]
    assert scores["value"]["accel_error"] == pytest.approx(errors.mean() * 1000, rel=1e-5)


def test_2d_and_meshes_follow_the_datasets_trust_too(smpl_like):
    predictions, labels, clips = long_world({"a": 4}, body=True)
    doubted = labels.assign(trusted=[True, False, True, False])
    protocol = replace(HMMR, trusted="positions and accelerations")
    frames = {
        choice.trusted: score_predictions(predictions, doubted, clips, choice, "v", 0, smpl_like)
        .set_index("metric")["frames"]
        .loc[["pck", "mesh_posed", "mesh_unposed"]]
        .tolist()
        for choice in (HMMR, protocol)
    }
    assert frames == {"ignored": [4, 4, 4], "positions and accelerations": [2, 2, 2]}


@pytest.fixture(scope="module")
def mans_body(smpl_like) -> Body:
    """Another body: taller, and its shape counts for less."""
    layer = copy.deepcopy(smpl_like.layer)
    layer.v_template *= 1.1
    layer.shapedirs *= 0.5
    return replace(smpl_like, name="man", v_template=layer.v_template.numpy(), layer=layer)


def gendered_world(body_of_truth: Body, gender: str = "male") -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """One clip whose stored joints are those of a body, as an annotation without joints is filled in."""
    predictions, labels, clips = long_world({"a": 5}, body=True)
    poses = BodyPoses(*(tables.stack(labels[name]) for name in ("pose", "betas")))
    joints = h36m_joints(body_of_truth, poses)
    return (
        predictions,
        labels.assign(
            gender=gender,
            joints_3d_m=tables.unstack(joints[:, indices_of(COMMON_14, H36M_17)]),
            trunk_3d_m=tables.unstack(joints[:, indices_of(("pelvis", "spine", "head"), H36M_17)]),
        ),
        clips,
    )


def test_truth_is_posed_with_the_body_that_the_protocol_names(smpl_like, mans_body):
    predictions, labels, clips = gendered_world(mans_body)
    poses = BodyPoses(*(tables.stack(labels[name]) for name in ("pose", "betas")))
    asked = []

    def body_of(gender):
        asked.append(gender)
        return mans_body

    def scores(protocol):
        return score_predictions(predictions, labels, clips, protocol, "v", 0, smpl_like, body_of=body_of)

    predicted = tables.stack(predictions["joints_3d_m"], 14, 3)
    own, neutral = (h36m_joints(body, poses)[:, indices_of(COMMON_14, H36M_17)] for body in (mans_body, smpl_like))
    for protocol, truth in ((HMMR, own), (VIBE, neutral), (TCMR, neutral)):
        expected = metrics.mpjpe(metrics.center_on_hips(predicted), metrics.center_on_hips(truth)).mean() * 1000
        assert value_of(scores(protocol), "mpjpe") == pytest.approx(expected, rel=1e-4)
    assert set(asked) == {"male"}  # and of no sex that the labels do not hold
    asked.clear()
    scores(VIBE)
    assert asked == []
    posed = BodyPoses(*(tables.stack(predictions[name]) for name in ("pose", "betas")))
    both = h36m_joints(smpl_like, posed), h36m_joints(smpl_like, poses)
    distances = np.linalg.norm(np.subtract(*(joints - joints[:, :1] for joints in both)), axis=-1)
    assert value_of(scores(MPI_INF_3DHP), "mpjpe") == pytest.approx(distances.mean() * 1000, rel=1e-4)


def test_meshes_of_the_truth_are_those_of_its_own_body(smpl_like, mans_body):
    predictions, labels, clips = gendered_world(mans_body, "female")
    sides = [[tables.stack(table[name]) for name in ("pose", "betas")] for table in (predictions, labels)]
    both = score_under(
        (HMMR, VIBE), predictions, labels, clips, "v", 0, smpl_like, True, 1, body_of=lambda _: mans_body
    )
    both = both[both["condition"] == "all"].set_index("metric")["value"]
    predicted = smpl_like.forward(*sides[0])[0]
    for metric, body in (("mesh_posed", mans_body), ("pve", smpl_like)):
        expected = np.linalg.norm(predicted - body.forward(*sides[1])[0], axis=-1).mean() * 1000
        assert both[metric] == pytest.approx(expected, rel=1e-4)
    at_rest = smpl_like.forward(0 * sides[0][0], sides[0][1])[0] - mans_body.forward(0 * sides[1][0], sides[1][1])[0]
    assert both["mesh_unposed"] == pytest.approx(np.linalg.norm(at_rest, axis=-1).mean() * 1000, rel=1e-4)


def test_with_one_body_for_all_the_sex_changes_nothing(smpl_like):
    protocols = (HMMR, VIBE, SPIN, MPI_INF_3DHP)
    found, plain = (
        score_under(
            protocols, *gendered_world(smpl_like, gender), "v", 0, smpl_like, True, 1, body_of=lambda _: smpl_like
        )
        for gender in ("male", "unknown")
    )
    pd.testing.assert_frame_equal(found, plain, rtol=1e-4)


def test_a_body_that_is_needed_and_not_given_is_named(smpl_like, mans_body):
    world = gendered_world(mans_body)
    with pytest.raises(ConfigError, match="'vibe' poses the truth with the neutral body, but none was given"):
        score_predictions(*world, VIBE, "v", 0)
    with pytest.raises(FatalError, match="the truth holds bodies that are male; pass `body_of`"):
        score_predictions(*world, HMMR, "v", 0, smpl_like)
    assert "mpjpe" in set(score_predictions(*world, HMMR, "v", 0)["metric"])  # its stored joints are enough


def test_a_missing_prediction_is_named(world):
    predictions, labels, clips = world
    some = predictions[~((predictions["clip_id"] == "b") & (predictions["frame"] == 3))]
    with pytest.raises(FatalError, match=r"1 of 23 labelled frames.*frame 3 of clip b"):
        score_predictions(some, labels, clips, HMMR, "v", 0)
    with pytest.raises(FatalError, match="1 of 3 clips have none, the first is c"):
        score_predictions(predictions, labels[labels["clip_id"] != "c"], clips, HMMR, "v", 0)


def test_clips_not_asked_for_are_not_scored(world):
    predictions, labels, clips = world
    only = score_predictions(predictions, labels, clips[clips["clip_id"] == "a"], HMMR, "v", 0)
    assert set(only["clip_id"]) == {"a"} and set(only["condition"]) == {"all"}
    assert len(score_predictions(predictions, labels, clips.iloc[:0], HMMR, "v", 0)) == 0
