"""Read the official body files, which are Python 2 pickles, without ever running what a pickle asks for.

A pickle is a program. Here it may name only the handful of types that the official files are made of;
any other name ends the reading before it is looked up. The sparse matrix and the arrays of chumpy (a
package that no longer installs) are rebuilt from stand-ins that are made anew for each file, so a pickle
cannot even change a class that outlives its reading.
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

from moviestrip.errors import ConfigError

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


class _BodyUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, path: Path):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._path = path
        self._allowed = _allowed_names()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise ConfigError(
                f"body.path: {self._path} asks for {module}.{name}, which no body file needs: it was not run; "
                f"fetch SMPL_NEUTRAL.pkl again from smpl.is.tue.mpg.de, or set `body.kind: free`"
            )
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise ConfigError(f"body.path: {self._path} refers to an outside object {pid!r}; no body file does")


def _allowed_names() -> dict[tuple[str, str], Any]:
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("copy_reg", "_reconstructor"): copyreg._reconstructor,  # type: ignore[attr-defined]
        ("copyreg", "_reconstructor"): copyreg._reconstructor,  # type: ignore[attr-defined]
        ("__builtin__", "object"): object,
        ("builtins", "object"): object,
        ("__builtin__", "set"): set,  # chumpy's arrays keep one
        ("builtins", "set"): set,
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("_codecs", "encode"): _encode_latin1,
    }
    for module in _NUMPY_MODULES:
        allowed[module, "_reconstruct"] = multiarray._reconstruct
        allowed[module, "scalar"] = multiarray.scalar
    stood_for = [(module, "csc_matrix") for module in _SPARSE_MODULES] + [_CHUMPY_ARRAY, _CHUMPY_SELECTION]
    for kind in stood_for:
        allowed[kind] = type(kind[1], (_StandIn,), {"stands_for": kind})
    return allowed


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles; only in this one encoding."""
    if encoding != "latin1":
        raise ConfigError(f"body.path: bytes in the encoding {encoding!r}; body files use latin1")
    return text.encode("latin1")


def unpickle_body(path: Path) -> dict[str, Any]:
    """The fields of an official body file, chumpy and sparse arrays as plain arrays."""
    try:
        fields = _BodyUnpickler(path.read_bytes(), path).load()
    except ConfigError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise ConfigError(
            f"body.path: {path} is not a readable body pickle ({type(error).__name__}: {error}); fetch it again"
        ) from error
    if not isinstance(fields, dict):
        raise ConfigError(f"body.path: {path} holds a {type(fields).__name__}, a body file holds named fields")
    return {str(name): _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if not isinstance(value, _StandIn):
        return value
    if value.kind == _CHUMPY_ARRAY:
        return np.asarray(value.state["x"])
    if value.kind == _CHUMPY_SELECTION:
        chosen = np.asarray(_plain(value.state["a"])).ravel()[np.asarray(value.state["idxs"])]
        return chosen.reshape(value.state["preferred_shape"])
    state = {name.lstrip("_"): part for name, part in value.state.items()}
    parts = (state["data"], state["indices"], state["indptr"])
    return scipy.sparse.csc_matrix(parts, shape=state["shape"]).toarray()
