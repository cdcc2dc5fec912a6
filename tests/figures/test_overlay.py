import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.errors import FatalError
from moviestrip.figures import overlay
from moviestrip.world.rasterise import render_mesh

CAMERAS = st.tuples(st.floats(0.5, 1.5), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))


@settings(max_examples=30, deadline=None)
@given(camera=CAMERAS, point=st.tuples(*[st.floats(-1, 1)] * 3))
def test_perspective_agrees_with_the_weak_camera(camera, point):
    scale, x, y = camera
    placed = np.array(point) + overlay.camera_translation(np.array(camera))
    fx, fy, cx, cy = overlay.panel_intrinsics(overlay.CROP_PX)
    seen = np.array([fx * placed[0] / placed[2] + cx, fy * placed[1] / placed[2] + cy])
    weak = (np.array([scale * (point[0] + x), scale * (point[1] + y)]) + 1) * overlay.CROP_PX / 2
    assert np.abs(seen - weak).max() < 0.035 * np.abs(weak - overlay.CROP_PX / 2).max() + 1e-6  # 1 m of depth in 33


def test_a_camera_without_size_is_refused():
    with pytest.raises(FatalError, match="must be positive"):
        overlay.camera_translation(np.array([[0.9, 0, 0], [-0.1, 0, 0]]))


@pytest.mark.parametrize("box_scale", [0.1, 0.45, 1.0, 1.7])
@pytest.mark.parametrize("size_px", [96, 224])
def test_crops_and_keypoints_agree(box_scale, size_px):
    rows, columns = np.mgrid[:400, :600].astype(np.float64)
    place, centre = np.array([322.0, 190.0]), np.array([300.0, 200.0])
    sigma = 6 / box_scale
    blob = 255 * np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * sigma**2))
    frame = np.repeat(blob[..., None], 3, -1).astype(np.uint8)
    crop = overlay.crop_frame(frame, centre, box_scale, size_px)[..., 0].astype(np.float64)
    crop[crop == overlay.BEYOND_THE_FRAME[0]] = 0
    crop[crop < 110] = 0
    rows, columns = np.mgrid[:size_px, :size_px]
    found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    expected = overlay.keypoints_in_panel(np.array([[*place, 1.0]]), centre, box_scale, size_px)[0, :2]
    assert np.abs(found - expected).max() < 0.35


def test_keypoints_follow_the_crop_convention():
    keypoints = overlay.keypoints_in_panel(np.array([[310.0, 190.0, 0.7]]), np.array([300.0, 200.0]), 0.5, 224)
    assert np.allclose(keypoints, [[(310 - 300) * 0.5 + 112, (190 - 200) * 0.5 + 112, 0.7]])


def test_the_mesh_covers_what_it_should(box):
    camera = np.array([0.9, 0.1, 0.0])
    vertices, _ = box.forward(None, None, overlay.camera_translation(camera))
    background = np.full((224, 224, 3), 255, np.uint8)
    covered = (overlay.lay_mesh(background, vertices, box.faces) != 255).any(-1)
    rows, columns = np.nonzero(covered)
    weak = (0.9 * (np.array([-0.25, 0.25]) + 0.1) + 1) * 112
    assert (columns.min(), columns.max()) == pytest.approx(weak, abs=1.2)
    assert (rows.min(), rows.max()) == pytest.approx((0.9 * np.array([-0.8, 0.8]) + 1) * 112, abs=1.2)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.9, 0.1), (-0.8, -0.7), (3.0, 0.0)])
def test_nothing_of_a_mesh_lies_outside_its_window(box, place):
    vertices, _ = box.forward(None, None, overlay.camera_translation(np.array([0.9, *place])))
    grey = np.full((64, 64, 3), 120, np.uint8)
    colours = np.broadcast_to([0.6, 0.7, 0.8], vertices.shape)
    _, coverage, _ = render_mesh(vertices, box.faces, colours, overlay.panel_intrinsics(64), 64, 64)
    left, top, right, bottom = overlay.window_of(vertices, 64)
    changed = (overlay.lay_mesh(grey, vertices, box.faces) != grey).any(-1)
    assert np.array_equal(changed, coverage > 0)
    assert coverage[top:bottom, left:right].sum() == coverage.sum()
    assert (right - left) * (bottom - top) < 64 * 64 / 2


def test_a_mesh_that_reaches_behind_the_camera_may_touch_the_whole_panel(box):
    vertices, _ = box.forward(None, None, np.zeros(3))
    assert overlay.window_of(vertices, 64) == (0, 0, 64, 64)


def test_from_the_side_depth_becomes_width(box):
    camera = np.array([0.9, 0.3, 0.1])
    vertices, _ = box.forward(None, None, overlay.camera_translation(camera))
    side = overlay.seen_from_side(vertices)
    assert np.ptp(side, axis=0) == pytest.approx((0.2, 1.6, 0.5), abs=1e-4)
    assert (side[:, 0].min() + side[:, 0].max()) / 2 == pytest.approx(0, abs=1e-5)
    edges = np.linalg.norm(side[:, None] - side, axis=-1)
    assert edges == pytest.approx(np.linalg.norm(vertices[:, None] - vertices, axis=-1), abs=1e-4)
    signed = np.linalg.det((side[[1, 2, 4]] - side[0]).astype(np.float64))
    assert np.sign(signed) == np.sign(np.linalg.det((vertices[[1, 2, 4]] - vertices[0]).astype(np.float64)))


def test_frames_have_four_panels(box):
    vertices, _ = box.forward(None, None, overlay.camera_translation(np.tile([0.9, 0, 0], (2, 1))))
    frames = np.full((2, 256, 256, 3), 90, np.uint8)
    boxes = (np.full((2, 2), 128.0), np.ones(2))
    seen = overlay.seen_frames(frames, *boxes, np.zeros((2, 25, 3)), panel_px=64)
    pictures = list(overlay.overlay_frames(seen, vertices, box.faces))
    assert [picture.shape for picture in pictures] == [(64, 256, 3)] * 2
    assert (pictures[0][:, :128] == 90).all()
    assert (pictures[0][32, 160] != 90).any()
    assert np.array_equal(pictures[0], pictures[1])
    assert len(overlay.PANELS) == 4
