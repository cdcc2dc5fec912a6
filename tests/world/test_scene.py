"""Sets, cameras and clothes: nothing in the way, people in the picture, colours that make sense."""

import numpy as np
import pytest

from moviestrip.world.filming import film
from moviestrip.world.kinematics import RestSkeleton, forward_kinematics
from moviestrip.world.plan import child_generator
from moviestrip.world.rasterise import Canvas, Light
from moviestrip.world.scene import BUILDERS, build_scene
from moviestrip.world.shapes import blob, box, post
from moviestrip.world.textures import PAINTERS, SIDE, paint

SCENES = ("studio", "street", "hall", "gym", "court", "vlog", "insta")


@pytest.fixture(scope="module")
def joints(free_body):
    """Someone standing with arms out who drifts half a metre."""
    rest = RestSkeleton.from_body(free_body)
    way = np.column_stack([np.linspace(-0.25, 0.25, 12), np.full(12, -rest.sole_y_m), np.zeros(12)])
    return forward_kinematics(np.zeros((12, 72)), way, rest)[0]


@pytest.mark.parametrize("scene", SCENES)
def test_the_camera_keeps_the_person_in_the_picture_and_large(scene, joints):
    for seed in range(6):
        filmed = film(scene, joints, 256, seed % 4, np.random.default_rng(seed))
        camera = filmed.to_camera(joints)
        pixels = (
            camera[..., :2] / camera[..., 2:] * filmed.intrinsics_px[:, None, :2] + filmed.intrinsics_px[:, None, 2:]
        )
        assert (camera[..., 2] > 1).all()
        assert ((pixels > 0) & (pixels < 255)).mean() > 0.99
        assert 85 < np.median(np.ptp(pixels[..., 1], axis=1)) < 180
        square = filmed.rotations @ np.swapaxes(filmed.rotations, 1, 2)
        np.testing.assert_allclose(square, np.broadcast_to(np.eye(3), (12, 3, 3)), atol=1e-9)
        assert np.linalg.det(filmed.rotations[0]) > 0
        np.testing.assert_allclose(filmed.to_camera(filmed.eyes_m[:, None]), 0, atol=1e-9)


def test_the_studio_has_four_fixed_cameras_in_its_corners(joints):
    films = [film("studio", joints, 256, camera, np.random.default_rng(0)) for camera in range(4)]
    assert all(filmed.is_still for filmed in films)
    azimuths = np.sort([np.arctan2(*filmed.eyes_m[0, [0, 2]]) for filmed in films])
    np.testing.assert_allclose(np.diff(azimuths), np.pi / 2, atol=1e-6)
    assert not film("street", joints, 256, 0, np.random.default_rng(0)).is_still


@pytest.mark.parametrize("scene", SCENES)
def test_a_set_fills_the_picture_and_leaves_the_person_free(scene, joints):
    filmed = film(scene, joints, 64, 0, np.random.default_rng(1))
    way = joints[..., [0, 2]].reshape(-1, 2)
    built = build_scene(scene, "golf_swing", way, filmed.eyes_m[:, [0, 2]], child_generator(3, scene))
    canvas = Canvas(64, 64, 1)
    built.draw(canvas, filmed.rotations[0], filmed.translations_m[0], filmed.intrinsics_px[0])
    assert np.isfinite(canvas.depth_m).mean() > 0.999
    chest = filmed.to_camera(joints[:, [6, 9]])[0]
    pixels = chest[:, :2] / chest[:, 2:] * filmed.intrinsics_px[0, :2] + filmed.intrinsics_px[0, 2:]
    row, column, _ = canvas.sample_of(pixels)
    if scene not in ("street", "insta"):  # where posts may hide people
        assert (canvas.depth_m[row, column] > chest[:, 2]).all()
    assert canvas.colour.std() > 5


def test_the_same_seed_builds_the_same_set(joints):
    way, eyes = joints[0, :, [0, 2]].T, np.array([[0.0, 4.0]])
    for name in BUILDERS:
        first, second = (build_scene(name, "", way, eyes, child_generator(8, name)) for _ in range(2))
        for one, other in zip(first.meshes, second.meshes, strict=True):
            np.testing.assert_array_equal(one.attributes, other.attributes)


@pytest.mark.parametrize("name", sorted(PAINTERS))
def test_textures_are_seamless_and_near_their_colour(name):
    chain = paint(name, (0.5, 0.45, 0.4), np.random.default_rng(0))
    side = round(((3 * len(chain) + 1) / 4) ** 0.5)
    assert side in (SIDE, 2 * SIDE)
    picture = chain[: side**2].reshape(side, side, 3).astype(float)
    if name not in ("seats", "facade"):
        np.testing.assert_allclose(picture.mean((0, 1)) / 255, (0.5, 0.45, 0.4), atol=0.08)
        steps = np.abs(np.diff(picture, axis=1)).mean((0, 2))
        assert np.abs(picture[:, 0] - picture[:, -1]).mean() < 1.3 * steps.max() + 1


def test_shapes_face_outwards():
    light, rng = Light(), np.random.default_rng(0)
    parts = [*box((0, 0, 0), (1, 2, 3), light, heading_rad=0.4), blob((0, 1, 0), (1, 1, 1), light, (1, 1, 1), rng, 0.0)]
    for part in parts:
        corner = part.vertices[part.faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        outward = (normal * (corner.mean(1) - [0, 1, 0])).sum(1)
        assert (outward > -1e-9).all() and (outward > 1e-6).mean() > 0.8
    pole = post((0, 0, 0), 2, 0.1, light, (1, 1, 1))
    assert pole.vertices[:, 1].min() == 0 and pole.vertices[:, 1].max() == 2
