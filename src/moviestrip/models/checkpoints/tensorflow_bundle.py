"""TensorFlow's checkpoints (NAME.index beside NAME.data-00000-of-00001), read without TensorFlow.

The index says of each variable what it is and where it lies; a variable is read when it is asked for, and its checksum
is verified. Nothing in these files can run, and nothing is made that is larger than the files themselves.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moviestrip.checksum import masked_crc32c
from moviestrip.errors import StorageError
from moviestrip.models.checkpoints.sorted_table import FOOTER_BYTES, MAGIC, FormatError, read_table, varint

DTYPES: dict[int, np.dtype] = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
DATA_TYPE_NAMES = {7: "string", 10: "bool", 14: "bfloat16", 19: "half", 20: "resource", 21: "variant"}
LITTLE_ENDIAN = 0
MAXIMUM_SHARDS = 1000
MAXIMUM_DIMENSIONS = 8
HEADER = ""
STEP_COUNTER = "global_step"
SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# What training leaves beside the weights: the optimiser's memory, its counters, TensorFlow 2's own description.
BOOKKEEPING = re.compile(
    r"(^|/)(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|ExponentialMovingAverage|beta[12]_power(_\d+)?|"
    r"_CHECKPOINTABLE_OBJECT_GRAPH|save_counter)$"
)


@dataclass(frozen=True)
class Entry:
    """Where a variable lies, and what it must look like."""

    data_type: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool = False


@dataclass(frozen=True)
class TensorFlowBundle(Mapping[str, np.ndarray]):
    """The variables of a checkpoint by name, without what only training needs."""

    prefix: Path
    shards: int
    entries: dict[str, Entry]
    steps: int | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        return read_entry(self.shard(self.entries[name].shard), name, self.entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def shard(self, index: int) -> Path:
        return shard_path(self.prefix, index, self.shards)


def is_tensorflow_bundle(path: Path) -> bool:
    """Whether the path names a checkpoint by any of its files, or by what their names have in common."""
    return with_suffix(bundle_prefix(path), ".index").is_file()


def is_first_format(path: Path) -> bool:
    """Whether a file is a whole checkpoint of TensorFlow's first format, which is not read here."""
    if not path.is_file() or SUFFIX.search(path.name):
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - FOOTER_BYTES))
        return file.read().endswith(MAGIC)


def bundle_prefix(path: Path) -> Path:
    return path.with_name(SUFFIX.sub("", path.name))


def with_suffix(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def shard_path(prefix: Path, index: int, shards: int) -> Path:
    return with_suffix(prefix, f".data-{index:05d}-of-{shards:05d}")


def read_tensorflow_bundle(path: Path) -> TensorFlowBundle:
    """The checkpoint that a path names; the index is read and checked now, each variable when it is asked for.

    Args:
        path: NAME.index, any other of its files, or NAME alone.
    """
    prefix = bundle_prefix(path)
    index = with_suffix(prefix, ".index")
    if not index.is_file():
        raise StorageError(f"{path}: {why_not_a_bundle(path, index)}")
    table = read_table(index)
    try:
        shards = shard_count(table.pop(HEADER, b""))
        entries = {name: entry_of(value) for name, value in table.items()}
    except FormatError as error:
        raise StorageError(f"{index}: not a readable checkpoint index ({error}); fetch it again") from error
    kept = {name: entry for name, entry in entries.items() if not BOOKKEEPING.search(name)}
    bundle = TensorFlowBundle(prefix, shards, kept)
    check_entries(bundle, index)
    weights = {name: entry for name, entry in kept.items() if name != STEP_COUNTER}
    return replace(bundle, entries=weights, steps=training_steps(bundle))


def why_not_a_bundle(path: Path, index: Path) -> str:
    if not path.is_file():
        return f"there is no such checkpoint ({index.name} is not there)"
    if is_first_format(path):
        return "TensorFlow's first checkpoint format, one file; save it again with the second (write_version=V2)"
    return f"{index.name} is not beside it; a TensorFlow checkpoint is an .index and its .data files"


def shard_count(header: bytes) -> int:
    numbers = {number: value for number, value in protobuf_fields(header) if isinstance(value, int)}
    shards, order = numbers.get(1, 0), numbers.get(2, LITTLE_ENDIAN)
    if not 1 <= shards <= MAXIMUM_SHARDS:
        raise FormatError(f"its header counts {shards} data files")
    if order != LITTLE_ENDIAN:
        raise FormatError("it was written on a big-endian machine")
    return shards


def entry_of(message: bytes) -> Entry:
    """BundleEntryProto: 1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices."""
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: tuple[int, ...] = ()
    sliced = False
    for number, value in protobuf_fields(message):
        if number == 2 and isinstance(value, bytes):
            shape = shape_of(value)
        elif number == 7:
            sliced = True
        elif isinstance(value, int):
            numbers[number] = value
    return Entry(numbers[1], shape, numbers[3], numbers[4], numbers[5], numbers[6], sliced)


def shape_of(message: bytes) -> tuple[int, ...]:
    """TensorShapeProto: each of its fields 2 is a dimension, whose field 1 is the size."""
    sizes = []
    for number, value in protobuf_fields(message):
        if number == 2 and isinstance(value, bytes):
            sizes.append(next((size for part, size in protobuf_fields(value) if part == 1), 0))
    if len(sizes) > MAXIMUM_DIMENSIONS:
        raise FormatError(f"a variable has {len(sizes)} dimensions")
    return tuple(size for size in sizes if isinstance(size, int))


def protobuf_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message: numbers as they are, anything with a length as bytes."""
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = varint(message, position)
            yield number, value
            continue
        if wire == 2:
            length, position = varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise FormatError(f"a field of the unknown kind {wire}")
        content = message[position : position + length]
        if len(content) < length:
            raise FormatError("a field is longer than its message")
        position += length
        yield number, content if wire == 2 else int.from_bytes(content, "little")


def check_entries(bundle: TensorFlowBundle, index: Path) -> None:
    """Refuse entries that the data files cannot hold, before any of them is read."""
    file_bytes = [data_file_bytes(bundle.shard(shard)) for shard in range(bundle.shards)]
    for name, entry in bundle.entries.items():
        problem = problem_of(entry, file_bytes)
        if problem:
            raise StorageError(f"{index}: the variable '{name}' {problem}; fetch the checkpoint again")
    claimed = sum(entry.size for entry in bundle.entries.values())
    if claimed > sum(file_bytes):
        raise StorageError(f"{index}: lists {claimed} bytes of variables, its data files hold {sum(file_bytes)}")


def problem_of(entry: Entry, file_bytes: list[int]) -> str:
    dtype = DTYPES.get(entry.data_type)
    if dtype is None:
        found = DATA_TYPE_NAMES.get(entry.data_type, f"type {entry.data_type}")
        return f"is of {found}, not of float32, float64, int32 or int64"
    if entry.sliced:
        return "is stored in slices, which no released model is"
    if 0 in entry.shape:
        return f"is empty, of shape {list(entry.shape)}"
    needed = math.prod(entry.shape) * dtype.itemsize
    if entry.size != needed:
        return f"takes {entry.size} bytes, its shape {list(entry.shape)} needs {needed}"
    if entry.shard >= len(file_bytes):
        return f"lies in data file {entry.shard} of {len(file_bytes)}"
    if entry.offset + entry.size > file_bytes[entry.shard]:
        return f"ends at byte {entry.offset + entry.size}, its data file has {file_bytes[entry.shard]}"
    return ""


def data_file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); it belongs beside its .index file") from error


def training_steps(bundle: TensorFlowBundle) -> int | None:
    """How long the model was trained: the saved counter, else the number at the end of the name."""
    if STEP_COUNTER in bundle and bundle.entries[STEP_COUNTER].shape == ():
        return int(bundle[STEP_COUNTER])
    number = re.search(r"-(\d+)$", bundle.prefix.name)
    return int(number[1]) if number else None


def read_entry(path: Path, name: str, entry: Entry) -> np.ndarray:
    dtype = DTYPES[entry.data_type]
    try:
        values = np.fromfile(path, dtype, math.prod(entry.shape), offset=entry.offset)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    if values.nbytes != entry.size or masked_crc32c(values) != entry.checksum:
        raise StorageError(f"{path}: the checksum of the variable '{name}' does not match; fetch the checkpoint again")
    return values.reshape(entry.shape)
