"""One small training of the stick world, shared by the tests that look at what it left."""

from pathlib import Path

import pytest

from moviestrip.config import VariantSettings, load_variant
from moviestrip.training.loop import Training, train_variant
from moviestrip.training.state import state_file
from tests.training.stick_world import StickBody, small_scale, stick_data

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="session")
def single_view() -> VariantSettings:
    return load_variant("single-view", CONFIG)


@pytest.fixture(scope="session")
def contextual() -> VariantSettings:
    return load_variant("contextual", CONFIG)


@pytest.fixture(scope="session")
def static_run(tmp_path_factory: pytest.TempPathFactory, single_view: VariantSettings) -> Path:
    """Folder of a finished single-view training."""
    folder = tmp_path_factory.mktemp("models") / "single-view"
    train_variant(Training(single_view, small_scale(), stick_data(), StickBody()), "single-view", 0, folder)
    state_file(folder).unlink()
    return folder
