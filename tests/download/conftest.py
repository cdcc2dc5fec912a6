from collections.abc import Iterator

import pytest

from tests.download.server import MisbehavingServer, serving, small_video


@pytest.fixture(scope="session")
def served_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_video(tmp_path_factory.mktemp("served"))


@pytest.fixture
def server(served_video: bytes) -> Iterator[MisbehavingServer]:
    with serving(served_video) as running:
        yield running
