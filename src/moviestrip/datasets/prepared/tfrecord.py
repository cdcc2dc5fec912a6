"""TFRecord files of tf.train.Example messages, read without TensorFlow.

A file is a row of records: 8 bytes of length, a masked CRC-32C of them, the content and a masked CRC-32C of it, all of
them little-endian (TensorFlow's guide "TFRecord and tf.train.Example"). An Example is a protobuf message of named lists
of bytes, floats or integers (tensorflow/core/example/example.proto and feature.proto). One record is held at a
time, and of pictures only where they lie in the file is handed over.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from moviestrip.checksum import masked_crc32c
from moviestrip.errors import StorageError

MAXIMUM_RECORD_BYTES = 2 * 2**30
_HEADER_BYTES, _LENGTH_BYTES, _CHECKSUM_BYTES = 12, 8, 4
_GZIP = b"\x1f\x8b"
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # protobuf's kinds of fields
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # the fields of a Feature


class MessageError(Exception):
    """Bytes that are no such message; whoever knows the file's name says so."""


# float32 or int64, or bytes.
Values = np.ndarray | list[bytes]
Example = Mapping[str, Values]


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Content of every record and where it begins, its checksums verified."""
    try:
        whole = path.stat().st_size
        with path.open("rb") as file:
            position = 0
            while position < whole:
                content = _record(path, file.read(_HEADER_BYTES), position, whole)
                position += _HEADER_BYTES
                data, stored = file.read(content), file.read(_CHECKSUM_BYTES)
                if len(stored) < _CHECKSUM_BYTES or masked_crc32c(data) != int.from_bytes(stored, "little"):
                    raise _damaged(path, f"the checksum of the record at byte {position} does not match")
                yield position, data
                position += content + _CHECKSUM_BYTES
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
    if not whole:
        raise _damaged(path, "it is empty")


def _record(path: Path, header: bytes, position: int, whole: int) -> int:
    """Bytes of content that a record's header promises, and the file can hold."""
    if position == 0 and header.startswith(_GZIP):
        raise StorageError(f"{path}: is compressed; unpack it with gzip first")
    length, stored = header[:_LENGTH_BYTES], header[_LENGTH_BYTES:]
    if len(header) < _HEADER_BYTES:
        raise _damaged(path, f"it ends within the record at byte {position}")
    if masked_crc32c(length) != int.from_bytes(stored, "little"):
        what = "is no TFRecord file" if position == 0 else f"the length of the record at byte {position} is wrong"
        raise _damaged(path, what)
    content = int.from_bytes(length, "little")
    if content > MAXIMUM_RECORD_BYTES:
        raise _damaged(path, f"the record at byte {position} has {content:,} bytes, above {MAXIMUM_RECORD_BYTES:,}")
    if position + _HEADER_BYTES + content + _CHECKSUM_BYTES > whole:
        raise _damaged(path, f"it ends at byte {whole:,}, within the record at byte {position:,}")
    return content


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(f"{path}: damaged: {what}; fetch or make it again")


def read_examples(path: Path, placed: Collection[str] = ()) -> Iterator[Example]:
    """The features of every record.

    Args:
        placed: names of features of which not the bytes are wanted but their places in the file, (values, 2): the
            offset and the size of each.
    """
    for number, (offset, data) in enumerate(read_records(path)):
        try:
            yield parse_example(data, placed, offset)
        except MessageError as error:
            raise StorageError(f"{path}: record {number} (at byte {offset}) is no tf.train.Example: {error}") from error


def parse_example(data: bytes, placed: Collection[str] = (), offset: int = 0) -> dict[str, Values]:
    """The features of a message by their names; places count from `offset`."""
    found: dict[str, Values] = {}
    for entry in _parts(data, 1, (0, len(data)), 1):
        parts = {number: (start, end) for number, wire, start, end in _fields(data, *entry) if wire == _LENGTH}
        name = _text(data[slice(*parts.get(1, (0, 0)))])
        found[name] = _values(data, *parts.get(2, (0, 0)), offset if name in placed else None)
    return found


def _parts(data: bytes, outer: int, span: tuple[int, int], inner: int) -> Iterator[tuple[int, int]]:
    """Where each field `inner` of each field `outer` of a message begins and ends."""
    for number, wire, start, end in _fields(data, *span):
        if (number, wire) == (outer, _LENGTH):
            yield from (
                (first, last)
                for part, kind, first, last in _fields(data, start, end)
                if (part, kind) == (inner, _LENGTH)
            )


def _values(data: bytes, start: int, end: int, placed_from: int | None) -> Values:
    """The list of a Feature, which is of one of three kinds; a Feature without one has no values."""
    values: Values = np.zeros(0, np.float32)
    for number, wire, first, last in _fields(data, start, end):
        if wire != _LENGTH:
            continue
        if number == _BYTES_LIST:
            places = [(begin, finish) for _, _, begin, finish in _fields(data, first, last)]
            if placed_from is None:
                values = [data[begin:finish] for begin, finish in places]
            else:
                values = np.array([(placed_from + begin, finish - begin) for begin, finish in places], np.int64)
        elif number == _FLOAT_LIST:
            values = _floats(data, first, last)
        elif number == _INT64_LIST:
            values = _integers(data, first, last)
    return values


def _floats(data: bytes, start: int, end: int) -> np.ndarray:
    """Packed, as TensorFlow writes them, or one by one."""
    parts = []
    for _, wire, first, last in _fields(data, start, end):
        if wire not in (_LENGTH, _FOUR_BYTES) or (last - first) % 4:
            raise MessageError(f"a list of floats with {last - first} bytes of kind {wire}")
        parts.append(np.frombuffer(data, "<f4", (last - first) // 4, first))
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _integers(data: bytes, start: int, end: int) -> np.ndarray:
    parts = []
    for _, wire, first, last in _fields(data, start, end):
        if wire not in (_LENGTH, _VARINT):
            raise MessageError(f"a list of integers with a field of kind {wire}")
        parts.append(_varints(data, first, last))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _varints(data: bytes, start: int, end: int) -> np.ndarray:
    """Integers of seven bits a byte, the lowest first; negative ones are written as 64 bits."""
    octets = np.frombuffer(data, np.uint8, end - start, start)
    if not (octets & 0x80).any():
        return octets.astype(np.int64)
    values = []
    while start < end:
        value, start = _varint(data, start, end)
        values.append(value)
    return np.array(values, np.uint64).view(np.int64)


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, kind, start and end of the value of each field of a message."""
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, last = _varint(data, position, end)
        elif wire == _LENGTH:
            size, position = _varint(data, position, end)
            last = position + size
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            last = position + (8 if wire == _EIGHT_BYTES else 4)
        else:
            raise MessageError(f"a field of the unknown kind {wire}")
        if last > end:
            raise MessageError("a field is longer than its message")
        yield number, wire, position, last
        position = last


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : min(position + 10, end)]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise MessageError("a number does not end")


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"the name {name[:40]!r} is not text") from error
