"""Where the free body is kept, and who builds it when it is not there yet."""

import contextlib
import fcntl
import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path

BUILDER_VERSION = 2  # raise it with any change of the result: a cached body of another version is not used


def ensure_free_body(cache: Path) -> Path:
    """The free body's file in the cache, built when it is not there yet (half a minute)."""
    path = cache / "bodies" / f"free-{BUILDER_VERSION}-anny-{importlib.metadata.version('anny')}.npz"
    if not path.is_file():
        with _one_builder(path):
            if not path.is_file():  # another process may have built it meanwhile
                from moviestrip.body.build import build_free_body  # a slow import, needed once a machine

                build_free_body(path)
    return path


@contextlib.contextmanager
def _one_builder(path: Path) -> Iterator[None]:
    """Let processes that want the same body wait for one of them to build it; a killed one frees the rest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in path.parent.glob(f"{scratch_prefix(path)}*"):  # by a builder that was killed
            shutil.rmtree(abandoned)
        yield


def scratch_prefix(path: Path) -> str:
    return f".{path.stem}.anny."
