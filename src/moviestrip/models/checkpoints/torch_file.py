"""PyTorch's checkpoints (.pth.tar, .pt, of either of its formats), read without running what a pickle asks for.

Of a file only the networks are returned, and two plain numbers that say how far it was trained. Besides tensors and
plain values a pickle may name one thing, the NumPy number in which VIBE and TCMR keep their validation score; even
that is rebuilt here, from eight bytes, and not by NumPy.
"""

import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moviestrip.errors import StorageError

SECTIONS = ("gen_state_dict", "disc_motion_state_dict", "model")
FACTS = ("epoch", "performance")
DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
SCALAR_FORMATS = {"f8": "<d", "f4": "<f"}


@dataclass(frozen=True)
class TorchFile:
    """The networks of a file, each by its tensors' names, and what the file says of their training."""

    sections: dict[str, dict[str, np.ndarray]]
    facts: dict[str, float]


class ScalarType:
    """Stands for numpy.dtype in a pickle: the name of a kind of number and the order of its bytes."""

    def __init__(self, name: str, *_flags: Any):
        self.name = name
        self.byte_order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byte_order = state[1]


def scalar(kind: ScalarType, data: bytes) -> float:
    """Stands for NumPy's maker of scalars; only floating-point numbers of this machine's byte order."""
    if not isinstance(kind, ScalarType) or kind.name not in SCALAR_FORMATS or kind.byte_order != "<":
        raise ValueError("a NumPy number that is not a little-endian float")
    return struct.unpack(SCALAR_FORMATS[kind.name], data)[0]


ALLOWED = [
    (ScalarType, "numpy.dtype"),
    (scalar, "numpy.core.multiarray.scalar"),
    (scalar, "numpy._core.multiarray.scalar"),
]


def read_torch_file(path: Path) -> TorchFile:
    """The networks in a checkpoint of VIBE, TCMR or SPIN; everything else in it is left aside."""
    stored = load_plain(path)
    sections = {name: tensors_of(path, name, stored[name]) for name in SECTIONS if name in stored}
    if not sections:
        found = ", ".join(map(str, list(stored)[:5])) or "nothing"
        raise StorageError(
            f"{path}: holds {found}, none of {', '.join(SECTIONS)}; is it VIBE's, TCMR's or SPIN's file?"
        )
    claimed = sum(values.nbytes for section in sections.values() for values in section.values())
    if claimed > path.stat().st_size:
        raise StorageError(f"{path}: its tensors claim {claimed} bytes, more than the file has; fetch it again")
    numbers = {name: stored[name] for name in FACTS if isinstance(stored.get(name), int | float)}
    return TorchFile(sections, {name: float(value) for name, value in numbers.items()})


def load_plain(path: Path) -> Mapping[str, Any]:
    """The file's top level, of tensors and plain values only."""
    if not path.is_file():
        raise StorageError(f"{path}: there is no such checkpoint")
    refuse_bomb(path)
    try:
        with torch.serialization.safe_globals(ALLOWED):  # type: ignore[arg-type]
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise StorageError(f"{path}: not a checkpoint that is safe to load ({reason_of(error)})") from error
    if not isinstance(stored, Mapping):
        raise StorageError(f"{path}: holds a {type(stored).__name__}, a checkpoint holds named parts")
    return stored


def refuse_bomb(path: Path) -> None:
    """PyTorch writes its archives without compression; one that unpacks to more than it is was made to harm."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise StorageError(f"{path}: a damaged archive ({error}); fetch it again") from error
    if unpacked > path.stat().st_size:
        raise StorageError(f"{path}: unpacks to {unpacked} bytes, more than it has; PyTorch does not write such files")


def reason_of(error: Exception) -> str:
    """What PyTorch met, without its advice to trust it."""
    unknown = re.search(r"GLOBAL (\S+)", str(error))
    if unknown:
        return f"it asks for {unknown[1]}, which no checkpoint needs: it was not run"
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def tensors_of(path: Path, section: str, stored: Any) -> dict[str, np.ndarray]:
    if not isinstance(stored, Mapping):
        raise StorageError(f"{path}: its {section} is a {type(stored).__name__}, not named tensors")
    limit = path.stat().st_size
    tensors = {}
    for name, value in stored.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.dtype not in DTYPES:
            what = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise StorageError(f"{path}: {section}['{name}'] is {what}, not a tensor of plain numbers")
        if value.numel() * value.element_size() > limit:
            raise StorageError(f"{path}: {section}['{name}'] claims to be {tuple(value.shape)}, more than the file has")
        tensors[str(name)] = value.detach().numpy()
    return tensors
