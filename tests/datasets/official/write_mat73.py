"""MATLAB files of version 7.3 as MATLAB writes them: HDF5 after its own header, axes reversed, cells referred to."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2018 HDF5 schema 1.00 ."
_NAMES = itertools.count()
CLASSES = {"f8": "double", "f4": "single", "u1": "uint8", "i4": "int32", "b1": "logical"}


def write_mat73(path: Path, variables: Mapping[str, Any]) -> None:
    """Arrays with MATLAB's axes, lists as row cells, lists of dicts as struct arrays, dicts as structs, str as char."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _write(file, file, name, value)
    with path.open("r+b") as raw:
        raw.write(HEADER.ljust(124) + b"\x00\x02IM")


def _write(file: h5py.File, group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, dict):
        made = group.create_group(name)
        for field, content in value.items():
            _write(file, made, field, content)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        made = group.create_group(name)
        for field in value[0]:
            made.create_dataset(field, data=_references(file, [item[field] for item in value]), dtype=h5py.ref_dtype)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
    elif isinstance(value, list) and value:
        made = group.create_dataset(name, data=_references(file, value), dtype=h5py.ref_dtype)
        made.attrs["MATLAB_class"] = np.bytes_("cell")
    else:
        _write_array(group, name, value)


def _write_array(group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, str):
        array, kind = np.array([[ord(letter) for letter in value]], np.uint16), "char"
    elif isinstance(value, list):
        array, kind = np.zeros((0, 0), np.uint64), "cell"
    else:
        array = np.asarray(value)
        kind = CLASSES[array.dtype.str[1:]]
    if array.size:
        data = group.create_dataset(name, data=array.astype(np.uint8 if kind == "logical" else array.dtype).T)
    else:
        data = group.create_dataset(name, data=np.array(array.shape, np.uint64))
        data.attrs["MATLAB_empty"] = np.uint8(1)
    data.attrs["MATLAB_class"] = np.bytes_(kind)


def _references(file: h5py.File, values: list[Any]) -> np.ndarray:
    """A column in HDF5, which is a row in MATLAB."""
    kept = file.require_group("#refs#")
    references = np.empty((len(values), 1), h5py.ref_dtype)
    for number, value in enumerate(values):
        name = f"r{next(_NAMES)}"
        _write(file, kept, name, value)
        references[number, 0] = kept[name].ref
    return references
