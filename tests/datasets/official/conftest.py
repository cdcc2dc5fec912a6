"""What the tests of all releases share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied(written, tmp_path: Path) -> Path:
    """The release that the module's `written` wrote, again, to be spoilt."""
    return Path(shutil.copytree(written.folder, tmp_path / "release"))
