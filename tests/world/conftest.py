"""Fixtures shared by the tests of the miniature world."""

from pathlib import Path

import pytest

from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.motions import MotionLibrary, motion_library


@pytest.fixture(scope="session")
def rest(free_body: Path) -> RestSkeleton:
    """The free body's skeleton at rest."""
    return RestSkeleton.from_body(free_body)


@pytest.fixture(scope="session")
def library(rest: RestSkeleton) -> MotionLibrary:
    """Every source motion that pip alone brings."""
    return motion_library(rest, 0)
