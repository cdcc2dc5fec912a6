"""MATLAB files of both kinds (version 5 and the HDF5-based 7.3) as plain Python values, with typed failures."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from moviestrip.errors import StorageError

MAXIMUM_MAT_BYTES = 4 * 2**30
HDF5_OFFSETS = (0, 512)  # MATLAB writes its own header of 512 bytes before HDF5's


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The named variables of a MATLAB file: numbers as arrays with MATLAB's axes, cells as lists, structs as dicts.

    Dimensions of size 1 are kept of numbers and dropped of cells.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    if path.stat().st_size > MAXIMUM_MAT_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_MAT_BYTES:,}")
    try:
        found = _read_hdf5(path, names) if _is_hdf5(path) else _read_version_5(path, names)
    except Exception as error:  # a damaged file may raise anything
        raise StorageError(f"{path}: damaged, or not a MATLAB file ({error})") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise StorageError(
            f"{path}: has no variable {', '.join(missing)}; it holds {', '.join(sorted(found)) or 'none'}"
        )
    return found


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HDF5_OFFSETS[-1] + 8)
    return any(head[offset : offset + 8] == b"\x89HDF\r\n\x1a\n" for offset in HDF5_OFFSETS)


def _read_version_5(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    found = scipy.io.loadmat(path, variable_names=list(names) or None, squeeze_me=False, struct_as_record=False)
    return {name: _plain(value) for name, value in found.items() if not name.startswith("__")}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        cells = [_plain(cell) for cell in value.ravel(order="F")]
        return cells[0] if len(cells) == 1 and isinstance(cells[0], dict) else cells
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.ravel()[0]) if value.size == 1 else [str(text) for text in value.ravel()]
    return value


def _read_hdf5(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        chosen = names or tuple(name for name in file if not name.startswith("#"))
        return {name: _from_hdf5(file[name], file) for name in chosen if name in file}


def _from_hdf5(node: Any, file: h5py.File) -> Any:
    """HDF5 holds MATLAB's arrays with their axes reversed, and cells as references."""
    if isinstance(node, h5py.Group):
        return {name: _from_hdf5(child, file) for name, child in node.items()}
    if node.dtype == h5py.ref_dtype:
        return [_from_hdf5(file[reference], file) for reference in node[()].T.ravel(order="F")]
    value = node[()].T
    if node.attrs.get("MATLAB_class") == b"char":
        return "".join(map(chr, value.ravel(order="F")))
    return value
