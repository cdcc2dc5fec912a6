"""Atomic files and digests: the only way a stage puts bytes on disk.

A final name always means a finished file: everything is written beside its destination, flushed to
the disk, and renamed. Feature shards are contiguous HDF5, because random clips are read from them a
hundred times faster than from compressed chunks; a contiguous dataset cannot carry a checksum of its
own, so a digest of the values is stored with it and checked when the shard is opened.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moviestrip.errors import StorageError

MAXIMUM_FEATURE_BYTES = 64 * 2**30


@contextlib.contextmanager
def atomic_path(path: Path, expected_bytes: int | None = None) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it is fsynced and renamed, otherwise removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    partial = Path(name)
    try:
        with disk_full_named(path, expected_bytes):
            yield partial
            _fsync(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
        _fsync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """As `atomic_path`, for a whole directory; an older directory of that name is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
    try:
        with disk_full_named(path):
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    _fsync(file)
        partial.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
        _fsync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def disk_full_named(path: Path, expected_bytes: int | None = None) -> Iterator[None]:
    """Turn 'no space left' into an error that names the file, what it needs and what is free."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # Arrow and HDF5 put the system's words into the message of whatever they raise.
        out_of_space = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
            os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        )
        if not out_of_space:
            raise
        needed = f"up to {expected_bytes:,}" if expected_bytes else f"more than {_bytes_beside(path):,}"
        free = shutil.disk_usage(path.parent).free
        raise StorageError(
            f"{path}: no room for it: it needs {needed} bytes, {free:,} are free on its disk (or a quota is spent); "
            f"free some space or point `results` elsewhere, then run again"
        ) from error


def _bytes_beside(path: Path) -> int:
    partials = path.parent.glob(f".{path.name}.*.partial")
    files = [file for partial in partials for file in ([partial] if partial.is_file() else partial.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file())


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_array(values: np.ndarray) -> str:
    contiguous = np.ascontiguousarray(values)
    return hashlib.sha256(contiguous.reshape(-1).view(np.uint8).data if contiguous.size else b"").hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the sorted names and digests of a directory's files; Snakemake's marks do not count."""
    if path.is_file():
        return digest_file(path)
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            whole.update(f"{file.relative_to(path)}\0{digest_file(file)}\n".encode())
    return whole.hexdigest()


def write_features(path: Path, phi: np.ndarray, attributes: Mapping[str, Any]) -> None:
    """Write per-frame features, (frames, dimension) float32, as one contiguous dataset with its digest."""
    if phi.ndim != 2 or phi.dtype != np.float32:
        raise StorageError(f"{path}: features must be float32 (frames, dimension), got {phi.dtype} {phi.shape}")
    with atomic_path(path, phi.nbytes) as partial, h5py.File(partial, "w") as file:
        file.create_dataset("phi", data=phi)  # no chunks: contiguous
        file.attrs.update(attributes)
        file.attrs["phi_sha256"] = digest_array(phi)
        file.attrs["complete"] = True


def read_features(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read a feature shard, refusing an unfinished, oversize or altered one: ((frames, dimension), attributes)."""
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            if not attributes.get("complete", False) or "phi" not in file:
                raise StorageError(f"{path}: not a finished feature shard; delete it and run the stage again")
            dataset = file["phi"]
            if dataset.size * dataset.dtype.itemsize > MAXIMUM_FEATURE_BYTES:
                raise StorageError(f"{path}: declares {dataset.shape} {dataset.dtype}, above the limit of 64 GiB")
            phi = dataset[:]
    except OSError as error:
        raise StorageError(f"{path}: not a readable HDF5 file ({error}); delete it and run the stage again") from error
    if digest_array(phi) != attributes.pop("phi_sha256"):
        raise StorageError(f"{path}: its values no longer match their digest; delete it and run the stage again")
    attributes.pop("complete")
    return phi, attributes
