"""The z-buffer against geometry worked out by hand, ray casting in NumPy, and itself."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.errors import FatalError
from moviestrip.world.rasterise import (
    Canvas,
    Light,
    cast_shadow,
    mip_chain,
    render_mesh,
    shade,
    vertex_normals,
)

LENS = np.array([100.0, 100.0, 31.5, 31.5])
QUAD = np.array([(0, 2, 1), (0, 3, 2)])  # seen from the front with the corners of `quad`


def quad(left: float, top: float, right: float, bottom: float, z: float) -> np.ndarray:
    return np.array([(left, top, z), (right, top, z), (right, bottom, z), (left, bottom, z)])


def sphere(rows: int = 24, columns: int = 32) -> tuple[np.ndarray, np.ndarray]:
    latitude, longitude = np.meshgrid(
        np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    points = np.stack(
        [np.sin(latitude) * np.cos(longitude), np.cos(latitude), np.sin(latitude) * np.sin(longitude)], -1
    ).reshape(-1, 3)
    row, column = np.divmod(np.arange(rows * columns), columns)
    a, b = row * columns + column, row * columns + (column + 1) % columns
    return points, np.concatenate([np.stack([a, b, a + columns], 1), np.stack([b, b + columns, a + columns], 1)])


def test_a_square_covers_exactly_the_pixels_it_should():
    # 0.2 m at 1 m under a focal length of 100 px: from pixel 21.5 to 41.5, that is pixels 22 to 41
    rgb, coverage, depth = render_mesh(quad(-0.1, -0.1, 0.1, 0.1, 1.0), QUAD, np.ones((4, 3)), LENS, 64, 64)
    expected = np.zeros((64, 64))
    expected[22:42, 22:42] = 1
    np.testing.assert_array_equal(coverage, expected)
    assert (rgb[expected == 1] == 255).all() and (rgb[expected == 0] == 0).all()
    assert np.isinf(depth[expected == 0]).all()
    np.testing.assert_allclose(depth[expected == 1], 1.0, rtol=1e-6)


def test_coverage_counts_the_samples_of_an_edge_pixel():
    _, coverage, _ = render_mesh(quad(-0.1, -0.1, 0.105, 0.1, 1.0), QUAD, np.ones((4, 3)), LENS, 64, 64)
    np.testing.assert_array_equal(coverage[30, 40:44], [1, 1, 0.5, 0])  # half a pixel wider than the square above


def test_the_nearer_of_two_meshes_wins_whatever_the_order():
    near, far = quad(-0.1, -0.1, 0.0, 0.1, 1.0), quad(-0.2, -0.2, 0.2, 0.2, 2.0)
    pictures = []
    for order in ((near, far), (far, near)):
        canvas = Canvas(64, 64)
        for vertices in order:
            canvas.draw(vertices, QUAD, np.full((4, 3), 1.0 if vertices is near else 0.2), LENS, owner=len(pictures))
        pictures.append(canvas.resolve()[0])
    np.testing.assert_array_equal(*pictures)
    assert pictures[0][30, 26, 0] == 255 and pictures[0][30, 36, 0] == 51


def test_attributes_are_perspective_correct():
    vertices = np.array([(-1, -1, 1.5), (1, -1, 4.0), (1, 1, 4.0), (-1, 1, 1.5)])
    colours = np.column_stack([[0, 1, 1, 0], np.zeros(4), np.zeros(4)]).astype(float)
    rgb, _, depth = render_mesh(vertices, QUAD, colours, LENS, 64, 64, supersample=1)
    x = np.arange(25, 50)  # along the middle row: the point of the slanted plane behind each pixel
    ray = (x - LENS[2]) / LENS[0]
    z = 2.75 / (1 - 1.25 * ray)  # z = 2.75 + 1.25 x and x = ray z
    np.testing.assert_allclose(depth[32, x], z, rtol=1e-5)
    np.testing.assert_allclose(rgb[32, x, 0], 255 * (1 + ray * z) / 2, atol=0.6)


def test_depth_agrees_with_ray_casting_a_sphere():
    points, faces = sphere(64, 96)
    _, coverage, depth = render_mesh(points + np.array([0.2, -0.1, 4.0]), faces, np.ones_like(points), LENS, 64, 64, 1)
    y, x = np.mgrid[:64, :64]
    rays = np.stack([(x - LENS[2]) / LENS[0], (y - LENS[3]) / LENS[1], np.ones_like(x)], -1)
    centre = np.array([0.2, -0.1, 4.0])
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - 1
    discriminant = b**2 - a * c
    hit = discriminant > 0
    assert (hit != (coverage > 0)).mean() < 0.01
    inner = (discriminant > 0.5) & hit
    np.testing.assert_allclose(depth[inner], ((b - np.sqrt(np.maximum(discriminant, 0))) / a)[inner], atol=0.01)


def test_what_lies_behind_the_camera_is_cut_off_at_the_near_plane():
    floor = np.array([(-5, 1, -5), (5, 1, -5), (5, 1, 20), (-5, 1, 20)], float)
    _, coverage, depth = render_mesh(floor, np.array([(0, 1, 2), (0, 2, 3)]), np.ones((4, 3)), LENS, 64, 64)
    below = coverage[40:, 32]  # below the far edge at 31.5 + 100 / 20
    assert (below == 1).all() and (coverage[:34] == 0).all()
    np.testing.assert_allclose(depth[60, 32], 1 / ((60.25 - 31.5) / 100), rtol=1e-2)


def test_faces_seen_from_behind_are_left_out_unless_asked_for():
    canvas = Canvas(64, 64)
    canvas.draw(quad(-0.1, -0.1, 0.1, 0.1, 1), QUAD[:, ::-1], np.ones((4, 3)), LENS)
    assert np.isinf(canvas.depth_m).all()
    canvas.draw(quad(-0.1, -0.1, 0.1, 0.1, 1), QUAD[:, ::-1], np.ones((4, 3)), LENS, cull=False)
    assert np.isfinite(canvas.depth_m).any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9))
def test_any_triangle_draws_finite_colours_and_no_depth_before_the_near_plane(numbers):
    vertices = np.array(numbers).reshape(3, 3) + np.array([0, 0, 1])
    canvas = Canvas(48, 48)
    canvas.draw(vertices, np.array([(0, 1, 2)]), np.ones((3, 3)), np.array([40.0, 40, 24, 24]), cull=False)
    drawn = np.isfinite(canvas.depth_m)
    assert (canvas.depth_m[drawn] > 0.099).all()
    assert (canvas.colour[drawn] >= 254).all()


def test_two_triangles_leave_no_crack_between_them():
    rng = np.random.default_rng(3)
    for _ in range(20):
        corners = np.column_stack([rng.uniform(-0.6, 0.6, (4, 2)), rng.uniform(1.5, 2.5, 4)])
        middle = np.array([[0.0, 0.0, 2.0]])
        fan = np.array([(4, 0, 1), (4, 1, 2), (4, 2, 3), (4, 3, 0)])
        canvas = Canvas(64, 64)
        order = np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))
        canvas.draw(np.concatenate([corners[order], middle]), fan, np.ones((5, 3)), LENS, cull=False)
        covered = np.isfinite(canvas.depth_m)
        holes = ~covered[1:-1, 1:-1] & covered[:-2, 1:-1] & covered[2:, 1:-1] & covered[1:-1, :-2] & covered[1:-1, 2:]
        assert not holes.any()


def test_textures_repeat_and_blur_with_distance():
    checks = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))[..., None] * np.full(3, 255)
    texture = mip_chain(checks.astype(np.uint8))
    assert len(texture) == 256 + 64 + 16 + 4 + 1
    assert (texture[-1] == 128).all()

    def draw(z: float) -> np.ndarray:
        canvas = Canvas(64, 64, 1)
        uv = np.array([(0, 0, 1), (64, 0, 1), (64, 64, 1), (0, 64, 1)], float)
        canvas.draw(quad(-0.25 * z, -0.25 * z, 0.25 * z, 0.25 * z, z), QUAD, uv, LENS, texture=texture)
        return canvas.colour[10:54, 10:54, 0]

    assert set(np.unique(draw(0.4))) == {0, 255}
    assert np.ptp(draw(30.0).astype(int)) <= 1


def test_normals_of_a_sphere_are_its_points():
    points, faces = sphere()
    normals = vertex_normals(points, faces)
    away_from_poles = np.abs(points[:, 1]) < 0.98
    assert ((normals * points).sum(1)[away_from_poles] > 0.99).all()


def test_light_from_above_brightens_what_faces_up():
    light = Light(towards=(0, 1, 0), key=(0.5, 0.5, 0.5), sky=(0.3, 0.3, 0.3), ground=(0.1, 0.1, 0.1))
    up, down = shade(np.array([(0, 1.0, 0), (0, -1.0, 0)]), np.ones((2, 3)), light)
    np.testing.assert_allclose(up, 0.8)
    np.testing.assert_allclose(down, 0.1)
    flipped = np.diag([1.0, -1, -1])  # a camera whose y points down sees the same light
    np.testing.assert_allclose(shade(np.array([(0, -1.0, 0)]), np.ones((1, 3)), light, flipped)[0], 0.8)


def test_a_shadow_falls_on_the_floor_and_nowhere_else():
    canvas = Canvas(64, 64, 1)
    rotation, translation = np.diag([1.0, -1, -1]), np.array([0, 1.0, 5.0])  # one metre up, five metres back
    floor = np.array([(-3, 0, 3), (3, 0, 3), (3, 0, -9), (-3, 0, -9)], float) @ rotation.T + translation
    canvas.draw(floor, np.array([(0, 1, 2), (0, 2, 3)]), np.ones((4, 3)), LENS, cull=False)
    canvas.draw(quad(-0.3, -0.6, 0.3, 0.2, 4.5), QUAD, np.full((4, 3), 0.9), LENS)
    before = canvas.colour.copy()
    shadow = np.zeros((40, 40))
    shadow[10:30, 10:30] = 0.5
    cast_shadow(canvas, shadow, np.array([-1.0, -1.0]), 0.05, rotation, translation, LENS)
    changed = (canvas.colour != before).any(-1)
    assert changed.any()
    np.testing.assert_array_equal(canvas.colour[20:35, 28:35], before[20:35, 28:35])
    assert canvas.colour[changed].min() >= 126


def test_wrong_shapes_are_named():
    with pytest.raises(FatalError, match=r"vertices \(4, 3\) and attributes \(3, 3\)"):
        Canvas(8, 8).draw(quad(0, 0, 1, 1, 1), QUAD, np.ones((3, 3)), LENS)
    with pytest.raises(FatalError, match="power of two"):
        mip_chain(np.zeros((12, 12, 3), np.uint8))


def test_another_process_draws_the_same_bits():
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]); from test_rasterise import *; "
        "p, f = sphere(); print(hashlib.sha256(render_mesh(p + [0, 0, 3], f, abs(p), LENS, 64, 64)[0]).hexdigest())"
    )
    points, faces = sphere()
    here = hashlib.sha256(render_mesh(points + np.array([0, 0, 3]), faces, abs(points), LENS, 64, 64)[0]).hexdigest()
    folder = str(Path(__file__).parent)
    there = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
