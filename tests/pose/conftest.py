"""Three rendered people with the true places of their SMPL joints."""

from pathlib import Path

import cv2
import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[1] / "data" / "pose"


@pytest.fixture(scope="session")
def people() -> tuple[np.ndarray, np.ndarray]:
    """RGB frames (3, 256, 256, 3) and joints (3, 24, 2) in pixels."""
    frames = [cv2.cvtColor(cv2.imread(str(DATA / f"person_{index}.jpg")), cv2.COLOR_BGR2RGB) for index in range(3)]
    return np.array(frames), np.load(DATA / "joints_px.npy")
