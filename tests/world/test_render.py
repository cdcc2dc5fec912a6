"""Rendered videos: the truth fits the body and the picture, and two runs give the same bytes."""

from pathlib import Path

import av
import numpy as np
import pytest

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import joints_14_regressor, keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.geometry import project_perspective
from moviestrip.skeleton import HMMR_25, SMPL_24, indices_of
from moviestrip.storage import digest_file
from moviestrip.tables import TRUTH, read_table, stack, write_table
from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.motions import MotionLibrary
from moviestrip.world.plan import VideoSpec, child_generator
from moviestrip.world.procedural import procedural_motion
from moviestrip.world.render import prepare, render_frames, render_video, render_videos
from moviestrip.world.wear import Wear

FRAMES = 20
SPECS = {
    "street": {"scene": "street", "action": "walking", "people": 3, "seed": 11},
    "studio": {"scene": "studio", "action": "discussion", "people": 1, "seed": 4},
}


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


@pytest.fixture(scope="module")
def library(free_body: Path) -> MotionLibrary:
    rest = RestSkeleton.from_body(free_body)
    motions = [procedural_motion(family, 1, 90, 25.0, rest=rest) for family in ("walking", "discussion", "squats")]
    return MotionLibrary(tuple(motions), ("train",) * 3, rest)


def spec(name: str, **changes: object) -> VideoSpec:
    values = {"video_id": "0" * 16, "dataset": name, "split": "train", "subject": "S1", "n_frames": FRAMES}
    return VideoSpec.model_validate({**values, **SPECS[name], **changes})


@pytest.fixture(scope="module", params=["street", "studio"])
def rendered(request, body, library, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "video.mp4"
    wanted = spec(request.param)
    return wanted, path, render_video(wanted, library, body, path)


def test_the_file_holds_every_frame(rendered):
    wanted, path, _ = rendered
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == wanted.fps and stream.codec_context.name == "h264"
    assert len(frames) == FRAMES and frames[0].shape == (256, 256, 3)
    assert np.std(frames[0]) > 10


def test_the_truth_is_a_truth_table(rendered, tmp_path):
    _, _, truth = rendered
    write_table(tmp_path / "truth.parquet", truth, TRUTH)
    again = read_table(tmp_path / "truth.parquet", TRUTH)
    assert (again["person"] == 0).sum() == FRAMES
    assert set(again["burst"]) <= {"none", "occlusion", "blur"}


def test_pose_and_translation_put_the_body_under_its_keypoints(rendered, body):
    _, _, truth = rendered
    vertices, _ = body.forward(stack(truth["pose"], 72), stack(truth["betas"], 10), stack(truth["translation_m"], 3))
    points = np.einsum("kv,tvc->tkc", keypoint_regressor(body), vertices, optimize=True)
    pixels = project_perspective(points, stack(truth["intrinsics_px"], 4)[:, None])
    keypoints = stack(truth["keypoints_2d"], 25, 3)
    assert np.abs(pixels - keypoints[..., :2]).max() < 0.1
    joints = np.einsum("kv,tvc->tkc", joints_14_regressor(body), vertices, optimize=True)
    np.testing.assert_allclose(joints, stack(truth["joints_3d_m"], 14, 3), atol=1e-4)


def test_visible_keypoints_are_in_the_picture_and_mostly_seen(rendered):
    _, _, truth = rendered
    keypoints = stack(truth["keypoints_2d"], 25, 3)
    seen = keypoints[..., 2] == 1
    assert ((keypoints[..., :2] > -0.5) & (keypoints[..., :2] < 255.5)).all(-1)[seen].all()
    clear = ((truth["person"] == 0) & (truth["burst"] != "occlusion")).to_numpy()
    assert 0.5 < seen[clear].mean() <= 1


def test_the_followed_person_is_large_enough(rendered):
    _, _, truth = rendered
    keypoints = stack(truth[truth["person"] == 0]["keypoints_2d"], 25, 3)
    assert 100 < np.median(np.ptp(keypoints[..., 1], axis=1)) < 190


def test_feet_stand_on_the_floor(body, library):
    for name in SPECS:
        person = prepare(spec(name), library, body).people[0]
        lowest = person.vertices_m[..., 1].min(1)
        standing = np.asarray(person.motion.contacts).any(1)
        assert np.abs(lowest[standing]).max() < 0.025
        assert lowest.min() > -0.025


def test_two_runs_give_the_same_bytes(rendered, body, library, tmp_path):
    wanted, path, truth = rendered
    again = render_video(wanted, library, body, tmp_path / "again.mp4")
    assert digest_file(path) == digest_file(tmp_path / "again.mp4")
    np.testing.assert_array_equal(stack(truth["keypoints_2d"]), stack(again["keypoints_2d"]))


def test_the_seed_changes_the_video(rendered, body, library, tmp_path):
    wanted, path, _ = rendered
    render_video(wanted.model_copy(update={"seed": 999}), library, body, tmp_path / "other.mp4")
    assert digest_file(path) != digest_file(tmp_path / "other.mp4")


def test_an_occlusion_burst_hides_keypoints_and_a_blur_burst_does_not(body, library, tmp_path):
    kinds = {"occlusion", "blur"}
    draws = ((seed, Wear("street", 128, 48, child_generator(seed, "wear")).bursts) for seed in range(100))
    seed = next(seed for seed, bursts in draws if {burst.kind for burst in bursts} == kinds)
    wanted = spec("street", seed=seed, n_frames=48, people=1, image_size_px=128)
    truth = render_video(wanted, library, body, tmp_path / "video.mp4")
    visible = stack(truth["keypoints_2d"], 25, 3)[..., 2].mean(1)
    hidden = {kind: 1 - visible[(truth["burst"] == kind).to_numpy()] for kind in ("none", "occlusion", "blur")}
    assert np.mean(hidden["occlusion"]) > np.mean(hidden["none"]) + 0.15
    assert abs(np.mean(hidden["blur"]) - np.mean(hidden["none"])) < 0.15


def test_nobody_and_nothing_is_in_the_cameras_way(body, library):
    take = prepare(spec("street"), library, body)
    for person in take.people:
        away = np.linalg.norm(person.joints_m[:, 0] - take.film.eyes_m, axis=-1)
        assert away.min() > 1.0
    joints = take.film.to_camera(take.people[0].joints_m)
    picture, canvas = next(render_frames(take))
    assert picture.shape == (256, 256, 3)
    head = joints[0, indices_of(["head"], SMPL_24)]
    row, column, inside = canvas.sample_of(project_perspective(head, take.film.intrinsics_px[0]))
    assert inside.all() and canvas.owner[row, column] == 1


def test_a_shard_is_one_folder_of_videos_and_one_table(body, library, tmp_path):
    specs = [spec("studio", video_id=f"{number:016x}", n_frames=2, image_size_px=96) for number in (1, 2)]
    truth = render_videos(specs, library, body, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{number:016x}.mp4" for number in (1, 2)]
    assert len(truth) == 4 and not truth.duplicated(list(TRUTH.key)).any()
    assert render_videos([], library, body, tmp_path).empty


def test_keypoints_lie_on_the_picture_of_their_person(body, library):
    """Ankles, knees, hips, shoulders and wrists fall on samples that the z-buffer says are the person's."""
    take = prepare(spec("studio"), library, body)
    on_body = []
    names = [name for name in HMMR_25[:12] if "heel" not in name]
    for frame, (_, canvas) in enumerate(render_frames(take)):
        if any(frame in burst for burst in take.wear.bursts):
            continue
        points = keypoint_regressor(body)[indices_of(names, HMMR_25)] @ take.people[0].vertices_m[frame]
        camera = points @ take.film.rotations[frame].T + take.film.translations_m[frame]
        row, column, _ = canvas.sample_of(project_perspective(camera, take.film.intrinsics_px[frame]))
        on_body.append(canvas.owner[row, column] == 1)
    assert np.mean(on_body) > 0.97
