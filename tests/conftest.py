"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's cache of third-party parts and of the built body; filled on first use."""
    from moviestrip.parts import cache_folder

    return cache_folder()


@pytest.fixture(scope="session")
def free_body(cache: Path) -> Path:
    """The free body's file, built once a machine."""
    from moviestrip.body.cached import ensure_free_body

    return ensure_free_body(cache)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]
