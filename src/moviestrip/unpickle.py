"""Read the pickles that official files are (of Python 2, most of them), without running what a pickle asks for.

A pickle is a program. Here it may name only the handful of types that bodies and datasets are made of; any other name
ends the reading before it is looked up. The sparse matrix and the arrays of chumpy (a package that no longer installs)
are rebuilt from stand-ins. Whatever Python code a pickle may name is made anew for each file, so that it cannot even
change something that outlives its reading.
"""

import collections
import copyreg
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy._core import multiarray

from moviestrip.errors import StorageError

MAXIMUM_BYTES = 2 * 2**30
FETCH_AGAIN = "fetch it again from where its authors distribute it"
_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_SPARSE_MODULES = ("scipy.sparse.csc", "scipy.sparse._csc")
_CHUMPY_ARRAY, _CHUMPY_SELECTION = ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")


class _StandIn:
    """Keeps the state a pickle gives it, whatever class it stands for."""

    def __init__(self, *_arguments: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state)

    @property
    def kind(self) -> tuple[str, str]:
        return type(self).stands_for  # type: ignore[attr-defined]


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, path: Path):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._path = path
        self._allowed = _allowed_names()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise StorageError(
                f"{self._path}: asks for {module}.{name}, which no such file needs: it was not run; {FETCH_AGAIN}"
            )
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise StorageError(f"{self._path}: refers to an outside object {pid!r}, as no such file does; {FETCH_AGAIN}")


def _allowed_names() -> dict[tuple[str, str], Any]:
    def reconstructor(kind: type, base: type, state: Any) -> Any:
        return copyreg._reconstructor(kind, base, state)  # type: ignore[attr-defined]

    def encode(text: str, encoding: str) -> bytes:
        """How Python 3 writes bytes into old pickles; only in this one encoding."""
        if encoding != "latin1":
            raise ValueError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin1")

    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("copy_reg", "_reconstructor"): reconstructor,
        ("copyreg", "_reconstructor"): reconstructor,
        ("__builtin__", "object"): object,
        ("builtins", "object"): object,
        ("__builtin__", "set"): set,  # chumpy's arrays keep one
        ("builtins", "set"): set,
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("_codecs", "encode"): encode,
    }
    for module in _NUMPY_MODULES:
        allowed[module, "_reconstruct"] = multiarray._reconstruct
        allowed[module, "scalar"] = multiarray.scalar
    stood_for = [(module, "csc_matrix") for module in _SPARSE_MODULES] + [_CHUMPY_ARRAY, _CHUMPY_SELECTION]
    for kind in stood_for:
        allowed[kind] = type(kind[1], (_StandIn,), {"stands_for": kind})
    return allowed


def unpickle(path: Path) -> dict[str, Any]:
    """The named fields of a pickle, chumpy and sparse arrays as plain arrays, also within lists."""
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_BYTES:,}")
    try:
        fields = _plain(_PlainUnpickler(path.read_bytes(), path).load())
    except StorageError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        reason = " ".join(str(error).split())
        raise StorageError(
            f"{path}: is not a readable pickle ({type(error).__name__}: {reason}); {FETCH_AGAIN}"
        ) from error
    if not isinstance(fields, dict):
        raise StorageError(f"{path}: holds a {type(fields).__name__}, expected named fields; {FETCH_AGAIN}")
    return {str(name): value for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if not isinstance(value, _StandIn):
        return value
    if value.kind == _CHUMPY_ARRAY:
        return np.asarray(_plain(value.state["x"]))
    if value.kind == _CHUMPY_SELECTION:
        chosen = np.asarray(_plain(value.state["a"])).ravel()[np.asarray(value.state["idxs"])]
        return chosen.reshape(value.state["preferred_shape"])
    state = {name.lstrip("_"): part for name, part in value.state.items()}
    parts = (state["data"], state["indices"], state["indptr"])
    return scipy.sparse.csc_matrix(parts, shape=state["shape"]).toarray()
