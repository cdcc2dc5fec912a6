"""Fixtures every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.tiny_run import TinyRun

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


@pytest.fixture(scope="session", autouse=True)
def under_way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun | None]:
    """The run of the tiny world that some tests ask for: made beside the others, which take one core at a time."""
    if not any("finished" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    request.getfixturevalue("free_body")  # or two processes would build it
    run = TinyRun(tmp_path_factory.mktemp("workflow") / "finished", request.getfixturevalue("repository"))
    yield run
    run.end()
