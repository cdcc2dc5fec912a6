"""MATLAB files of both kinds (version 5 and the HDF5-based 7.3) as plain Python values, with typed failures."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from moviestrip.errors import StorageError

MAXIMUM_MAT_BYTES = 4 * 2**30
HDF5_OFFSETS = (0, 512)  # MATLAB writes its own header of 512 bytes before HDF5's
LOGICAL = b"logical"  # of bytes; the other kinds of number are called as in numpy


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The named variables of a MATLAB file: numbers as arrays with MATLAB's axes, cells as lists, structs as dicts.

    Dimensions of size 1 are kept of numbers and dropped of cells. Text is a str, of several rows a list of them; an
    array of structs is a list of dicts, and one of a single struct is that struct.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    if path.stat().st_size > MAXIMUM_MAT_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_MAT_BYTES:,}")
    try:
        held, found = _read_hdf5(path, names) if _is_hdf5(path) else _read_version_5(path, names)
    except Exception as error:  # a damaged file may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StorageError(f"{path}: damaged, or not a MATLAB file ({reason})") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise StorageError(
            f"{path}: has no variable {', '.join(missing)}; it holds {', '.join(sorted(held)) or 'none'}"
        )
    return found


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HDF5_OFFSETS[-1] + 8)
    return any(head[offset : offset + 8] == b"\x89HDF\r\n\x1a\n" for offset in HDF5_OFFSETS)


def _read_version_5(path: Path, names: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """Names of all variables, and the values of those named."""
    found = scipy.io.loadmat(path, variable_names=list(names) or None, squeeze_me=False, struct_as_record=False)
    plain = {name: _plain(value) for name, value in found.items() if not name.startswith("__")}
    whole = all(name in plain for name in names)
    held = list(plain) if whole else [name for name, _, _ in scipy.io.whosmat(path)]
    return held, plain


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        cells = [_plain(cell) for cell in value.ravel(order="F")]
        return cells[0] if len(cells) == 1 and isinstance(cells[0], dict) else cells
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return _text([str(text) for text in value.ravel()])
    return value


def _text(rows: list[str]) -> str | list[str]:
    return rows if len(rows) > 1 else "".join(rows)


def _read_hdf5(path: Path, names: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """Names of all variables, and the values of those named."""
    with h5py.File(path, "r") as file:
        held = [name for name in file if not name.startswith("#")]
        return held, {name: _from_hdf5(_child(file, name), file) for name in names or held if name in held}


def _child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """A member of the file itself: HDF5 can name members of other files, MATLAB never does."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link, not a variable")
    return group[name]


def _from_hdf5(node: h5py.Group | h5py.Dataset, file: h5py.File) -> Any:
    """HDF5 holds MATLAB's arrays with their axes reversed, and cells as references."""
    if isinstance(node, h5py.Group):
        return _struct({name: _child(node, name) for name in node}, file)
    kind = node.attrs.get("MATLAB_class", b"")
    if node.nbytes > MAXIMUM_MAT_BYTES or node.is_virtual or node.external:
        raise ValueError(f"{node.name} promises {node.nbytes:,} bytes that are not in the file")
    if node.attrs.get("MATLAB_empty", 0):
        return _empty(kind, tuple(int(size) for size in node[()]))
    if _is_references(node):
        cells = [_from_hdf5(file[reference], file) for reference in node[()].T.ravel(order="F")]
        return cells[0] if len(cells) == 1 and isinstance(cells[0], dict) else cells
    value = node[()].T
    return _text(["".join(map(chr, row)) for row in value]) if kind == b"char" else value


def _is_references(node: h5py.Group | h5py.Dataset) -> bool:
    return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is h5py.Reference


def _struct(fields: dict[str, h5py.Group | h5py.Dataset], file: h5py.File) -> Any:
    """A struct; where every field is references without a class of their own, an array of structs."""
    if fields and all(_is_references(node) and "MATLAB_class" not in node.attrs for node in fields.values()):
        columns = {name: node[()].T.ravel(order="F") for name, node in fields.items()}
        rows = zip(*columns.values(), strict=True)
        return [{name: _from_hdf5(file[cell], file) for name, cell in zip(columns, row, strict=True)} for row in rows]
    return {name: _from_hdf5(node, file) for name, node in fields.items()}


def _empty(kind: bytes, shape: tuple[int, ...]) -> Any:
    """Of an array without elements the file holds the axes alone, in MATLAB's order."""
    if kind in (b"cell", b"struct"):
        return []
    return "" if kind == b"char" else np.zeros(shape, "uint8" if kind == LOGICAL else kind.decode())
