"""Read official body files that are pickles, and say of what is wrong with one which key named it."""

from pathlib import Path
from typing import Any

from moviestrip.errors import ConfigError, StorageError
from moviestrip.unpickle import unpickle


def unpickle_body(path: Path, key: str = "body.path") -> dict[str, Any]:
    """The fields of an official body file, chumpy and sparse arrays as plain arrays."""
    try:
        return unpickle(path)
    except StorageError as error:
        raise ConfigError(f"{key}: {error}, or set `body.kind: free`") from error
