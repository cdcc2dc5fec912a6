"""Arrays that lie in a file of joblib or in an HDF5 file, found without reading them and without running anything.

joblib writes a pickle, which is a program, and puts the bytes of each array behind the place that names it. Here the
program may name nothing but arrays: what it says about one becomes a `StoredArray`, checked against the size of the
file, and its bytes are passed over until rows are asked for. Layout: joblib's own numpy_pickle.py (NumpyArrayWrapper,
since 0.10; since 1.2 a byte that counts padding, and the padding, precede the array's bytes).
"""

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import h5py
import numpy as np

from moviestrip.errors import StorageError

MAXIMUM_PROGRAM_BYTES = 2**18  # of the pickle less its arrays: real ones have some two hundred an array
MAXIMUM_READ_BYTES = 4 * 2**30  # at once
MAXIMUM_EXPANSION = 500  # decoded bytes a byte on disk, as of tables
FETCH_AGAIN = "fetch it again from where its authors distribute it"
HDF5_START, PICKLE_START = b"\x89HDF\r\n\x1a\n", b"\x80"
NUMBERS_AND_TEXT = "biufSU"
MAXIMUM_TEXT_BYTES = 2**16  # of one text


class Stored(Protocol):
    """An array on disk, read by rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def rows(self, first: int, stop: int) -> np.ndarray: ...


@dataclass(frozen=True)
class StoredArray:
    """The raw bytes of an array within a file."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    columns_first: bool  # Fortran's order: NumPy keeps it, and the boxes of real files have it

    def rows(self, first: int, stop: int) -> np.ndarray:
        each = math.prod(self.shape[1:])
        require_modest(self.path, (stop - first) * each * self.dtype.itemsize)
        if self.columns_first:
            whole = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, "F")
            return np.array(whole[first:stop], order="C")
        with self.path.open("rb") as file:
            file.seek(self.offset + first * each * self.dtype.itemsize)
            values = np.fromfile(file, self.dtype, (stop - first) * each)
        if values.size != (stop - first) * each:
            raise StorageError(f"{self.path}: ends amid its rows {first} to {stop}; {FETCH_AGAIN}")
        return values.reshape(stop - first, *self.shape[1:])


@dataclass(frozen=True)
class StoredDataset:
    """A dataset of an HDF5 file."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, first: int, stop: int) -> np.ndarray:
        require_modest(self.path, (stop - first) * math.prod(self.shape[1:]) * self.dtype.itemsize)
        try:
            with h5py.File(self.path, "r") as file:
                return file[self.name][first:stop]
        except OSError as error:
            raise StorageError(f"{self.path}: {self.name}: not readable ({error}); {FETCH_AGAIN}") from error


def require_modest(path: Path, size: int) -> None:
    if size > MAXIMUM_READ_BYTES:
        raise StorageError(f"{path}: {size:,} bytes would be read at once, refused above {MAXIMUM_READ_BYTES:,}")


def open_arrays(path: Path) -> dict[str, Stored]:
    """The arrays of a file by their names; none of them is read."""
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(len(HDF5_START))
    if start == HDF5_START:
        return _hdf5_arrays(path)
    if start[:1] == PICKLE_START:
        return _joblib_arrays(path)
    raise StorageError(
        f"{path}: neither a file of joblib nor HDF5; a compressed one must be loaded and dumped again without "
        f"`compress`, so that it can be read in parts"
    )


def _hdf5_arrays(path: Path) -> dict[str, Stored]:
    try:
        with h5py.File(path, "r") as file:
            return {name: _dataset(path, name, file) for name in file}
    except OSError as error:
        raise StorageError(f"{path}: not a readable HDF5 file ({error}); {FETCH_AGAIN}") from error


def _dataset(path: Path, name: str, file: h5py.File) -> StoredDataset:
    link = file.get(name, getlink=True)
    dataset = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise StorageError(f"{path}: {name}: not an array in this very file; {FETCH_AGAIN}")
    _require_plain(path, dataset.shape, dataset.dtype)
    on_disk = max(dataset.id.get_storage_size(), 2**16)
    if dataset.size * dataset.dtype.itemsize > MAXIMUM_EXPANSION * on_disk:
        raise StorageError(f"{path}: {name}: {on_disk:,} bytes on disk promise {dataset.shape}: not as any real file")
    return StoredDataset(path, name, dataset.shape, dataset.dtype)


def _joblib_arrays(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file:
        try:
            fields = _ArrayFinder(path, file).load()
        except StorageError:
            raise
        except Exception as error:  # a damaged pickle may raise anything
            reason = " ".join(str(error).split())
            raise StorageError(
                f"{path}: not a readable file of joblib ({type(error).__name__}: {reason}); {FETCH_AGAIN}"
            ) from error
    if not isinstance(fields, Mapping):
        raise StorageError(f"{path}: holds a {type(fields).__name__}, expected arrays by their names; {FETCH_AGAIN}")
    for name, value in fields.items():
        if not isinstance(value, StoredArray):
            raise StorageError(f"{path}: '{name}' is no array of joblib; write the file anew by joblib.dump")
    return {str(name): value for name, value in fields.items()}


class _Note:
    """Keeps the arguments and the state that a pickle gives it; it never is what the pickle asks for."""

    arguments: tuple[Any, ...] = ()  # of the class too: a pickle may make one without calling it
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


class _ArrayNote(_Note):
    pass


class _TypeNote(_Note):
    pass


class _KindNote(_Note):
    pass


ALLOWED: dict[tuple[str, str], type[_Note]] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _ArrayNote,
    ("numpy", "dtype"): _TypeNote,
    ("numpy", "ndarray"): _KindNote,
    ("numpy", "memmap"): _KindNote,
    ("numpy.core.memmap", "memmap"): _KindNote,
    ("numpy._core.memmap", "memmap"): _KindNote,
}


class _Counted:
    """A file whose reads are counted; passing over is not reading."""

    def __init__(self, path: Path, file: BinaryIO):
        self._path, self._file, self._left = path, file, MAXIMUM_PROGRAM_BYTES

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise StorageError(f"{self._path}: is mostly a pickle and not arrays: not as any real file; {FETCH_AGAIN}")
        self._left -= size
        return self._file.read(size)

    def readline(self) -> bytes:
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        return line


_Unpickler: Any = pickle._Unpickler  # the one in Python, whose steps can be replaced


class _ArrayFinder(_Unpickler):
    """Runs a pickle that may name nothing but joblib's notes of arrays, each of which becomes a `StoredArray`."""

    dispatch = _Unpickler.dispatch.copy()
    for _step in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        del dispatch[_step[0]]  # no such file needs these

    def __init__(self, path: Path, file: BinaryIO):
        super().__init__(_Counted(path, file))
        self._path, self._bytes = path, file

    def find_class(self, module: str, name: str) -> type[_Note]:
        if (module, name) not in ALLOWED:
            raise StorageError(
                f"{self._path}: asks for {module}.{name}, which no file of arrays needs: it was not run; {FETCH_AGAIN}"
            )
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise StorageError(f"{self._path}: refers to an outside object {pid!r}, as no such file does; {FETCH_AGAIN}")

    def load_build(self) -> None:
        state = self.stack.pop()
        note = self.stack[-1]
        if not isinstance(note, _Note):
            raise StorageError(f"{self._path}: changes a {type(note).__name__}, as no such file does; {FETCH_AGAIN}")
        note.state = state
        if isinstance(note, _ArrayNote):
            self.stack[-1] = self._found(state)

    dispatch[pickle.BUILD[0]] = load_build

    def _found(self, state: Mapping[str, Any]) -> StoredArray:
        """What the note says, with the file moved behind the array's bytes."""
        dtype, shape = _type_of(self._path, state["dtype"]), tuple(state["shape"])
        _require_plain(self._path, shape, dtype)
        if state.get("numpy_array_alignment_bytes") is not None:
            self._bytes.seek(self._bytes.read(1)[0], 1)
        offset, size = self._bytes.tell(), self._path.stat().st_size
        end = offset + math.prod(shape) * dtype.itemsize
        if end > size:
            raise StorageError(
                f"{self._path}: cut short, or no such file: {size:,} bytes on disk, an array of {shape} {dtype} would "
                f"end at {end:,}; {FETCH_AGAIN}"
            )
        self._bytes.seek(end)
        return StoredArray(self._path, offset, shape, dtype, state["order"] == "F")


def _type_of(path: Path, note: Any) -> np.dtype:
    """A plain type of numbers or text out of its code, such as 'f4', and the byte order in its state."""
    code = note.arguments[0] if isinstance(note, _TypeNote) and note.arguments else None
    if not isinstance(code, str) or code[:1] not in NUMBERS_AND_TEXT or not code[1:].isdecimal():
        raise StorageError(f"{path}: an array of type {code!r}, expected numbers or text; {FETCH_AGAIN}")
    return np.dtype(code).newbyteorder(">" if note.state and note.state[1] == ">" else "<")


def _require_plain(path: Path, shape: tuple[Any, ...], dtype: np.dtype) -> None:
    if dtype.kind not in NUMBERS_AND_TEXT or dtype.itemsize > MAXIMUM_TEXT_BYTES:
        raise StorageError(f"{path}: an array of type {dtype}, expected numbers or text; {FETCH_AGAIN}")
    if not shape or not all(type(length) is int and length >= 0 for length in shape):
        raise StorageError(f"{path}: an array of shape {shape}; {FETCH_AGAIN}")
