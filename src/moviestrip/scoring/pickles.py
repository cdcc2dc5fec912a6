"""Read the output files of VIBE, TCMR and HMMR, which are pickles, without running what a pickle asks for.

A pickle is a program. Here it may name only what arrays in dictionaries are made of. Arrays that joblib wrote stay on
disk until they are used: of 3DPW's test set the meshes alone are 3 GB, and the score needs none of them.
"""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler
from numpy._core import multiarray, numeric

from moviestrip.errors import StorageError

WRAPPERS = ("joblib.numpy_pickle",)
PICKLE_START = b"\x80"


class _PlainArray(NumpyArrayWrapper):
    """joblib's note of an array that follows in the file; one of objects would be a pickle of its own."""

    def read(self, unpickler: Any, ensure_native_byte_order: bool) -> np.ndarray:
        if self.dtype.hasobject:
            raise pickle.UnpicklingError("an array of Python objects")
        return super().read(unpickler, ensure_native_byte_order)


ALLOWED: dict[tuple[str, str], Any] = {
    **{(module, "NumpyArrayWrapper"): _PlainArray for module in WRAPPERS},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "memmap"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): dict,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): multiarray._reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): multiarray.scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): numeric._frombuffer for core in ("core", "_core")},  # type: ignore[attr-defined]
}


class _ArrayUnpickler(NumpyUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which was not run")
        return ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """What a pickle of numbers, texts, arrays, lists and dictionaries holds, written by joblib or by pickle."""
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The memmapped array")  # of older joblibs, not aligned
        if file.peek(1)[:1] != PICKLE_START:
            raise StorageError(f"{path}: not a pickle, or a compressed one; write it by joblib.dump without `compress`")
        try:
            return _ArrayUnpickler(str(path), file, ensure_native_byte_order=False, mmap_mode="r").load()
        except Exception as error:  # a damaged pickle may raise anything
            raise StorageError(
                f"{path}: not a file of plain arrays ({error}); write it anew, or give its arrays as .npz"
            ) from error
