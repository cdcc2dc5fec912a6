"""What a sequence of an import may hold, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.errors import FatalError, StorageError

FRAMES = 5


def a_sequence(**changed: Any) -> PreparedSequence:
    random = np.random.default_rng(0)
    given = {
        "name": "walk",
        "split": "train",
        "fps": 25.0,
        "phi": random.normal(size=(FRAMES, 8)).astype(np.float32),
        "keypoints_px": random.random((FRAMES, 25, 3)).astype(np.float32),
        "box_center_px": np.full((FRAMES, 2), 100, np.float32),
        "box_scale": np.ones(FRAMES, np.float32),
    }
    return PreparedSequence.of(**(given | changed))


def test_what_is_not_given_is_absent_and_trusted():
    sequence = a_sequence()
    assert sequence.n_frames == FRAMES
    assert not sequence.has_3d.any() and not sequence.has_body.any() and sequence.trusted.all()
    assert np.isnan(sequence.trunk_m).all() and not sequence.joints_m.any()
    assert sequence.crop_scale is None and sequence.gender == "unknown"


def test_a_crop_may_stand_without_a_box():
    crop = {"crop_center_px": np.full((FRAMES, 2), 9, np.float32), "crop_scale": np.ones(FRAMES, np.float32)}
    assert a_sequence(box_center_px=None, box_scale=None, **crop).box_scale is None


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("phi", np.zeros((0, 8), np.float32), r"\(0, 8\)"),
        ("phi", np.zeros((FRAMES, 8), np.float16), "float16"),
        ("phi", np.full((FRAMES, 8), np.nan, np.float32), "not finite in 5 frames"),
        ("keypoints_px", np.zeros((FRAMES, 14, 3), np.float32), r"\(5, 14, 3\)"),
        ("keypoints_px", np.zeros((FRAMES, 25, 3), np.float64), "float64"),
        ("keypoints_px", np.full((FRAMES, 25, 3), 2, np.float32), "2 to 2"),
        ("has_3d", np.zeros(FRAMES), "float64"),
        ("box_scale", None, "absent"),
        ("box_scale", np.zeros(FRAMES, np.float32), "not above 0"),
        ("fps", 0.0, "0.0"),
        ("gender", "m", "'m'"),
        ("person", -1, "-1"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, found: str):
    with pytest.raises(FatalError, match=f"'walk': .*{field}.*{found}"):
        a_sequence(**{field: value})


def test_known_joints_are_finite():
    joints_m = np.full((FRAMES, 14, 3), np.nan, np.float32)
    a_sequence(joints_m=joints_m)
    with pytest.raises(FatalError, match="joints_m: not finite in 1 frames, the first of them 2"):
        a_sequence(joints_m=joints_m, has_3d=np.arange(FRAMES) == 2)


def test_neither_box_nor_crop_is_refused():
    with pytest.raises(FatalError, match="neither"):
        a_sequence(box_center_px=None, box_scale=None)


def test_what_a_file_holds_is_its_own_fault():
    with pytest.raises(StorageError, match=r"^some\.pt: sequence 'walk': fps"):
        a_sequence(fps=float("nan"), source="some.pt")
