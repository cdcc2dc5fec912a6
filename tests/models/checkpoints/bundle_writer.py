"""Writes TensorFlow's checkpoints from the description of their format: what the tests damage and exaggerate."""

import struct
from pathlib import Path

import numpy as np
import pyarrow
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c

MAGIC = 0xDB4775248B80FB57
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def masked(data: bytes) -> int:
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Entries with their keys' shared prefixes left out; one restart, at the start."""
    content, last = b"", b""
    for key, value in entries:
        shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return content + struct.pack("<II", 0, 1)


def stored(content: bytes, compression: int = 0) -> bytes:
    if compression == 1:
        content = pyarrow.compress(content, codec="snappy", asbytes=True)
    body = content + bytes([compression])
    return body + struct.pack("<I", masked(body))


def table(entries: list[tuple[bytes, bytes]], block_size: int = 8, compression: int = 0) -> bytes:
    """A sorted table of blocks of a few entries each."""
    file, index = b"", []
    for start in range(0, len(entries), block_size):
        part = entries[start : start + block_size]
        written = stored(block(part), compression)
        index.append((part[-1][0], varint(len(file)) + varint(len(written) - 5)))
        file += written
    handles = b""
    for content in (block([]), block(index)):
        handles += varint(len(file)) + varint(len(content))
        file += stored(content)
    return file + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def header(shards: int = 1, big_endian: int = 0) -> bytes:
    return number_field(1, shards) + number_field(2, big_endian) + bytes_field(3, number_field(1, 1))


def entry(values: np.ndarray, offset: int, shard: int, claims: dict) -> bytes:
    """An entry of a variable; `claims` replace what is true of it."""
    shape = claims.get("shape", values.shape)
    dimensions = b"".join(bytes_field(2, number_field(1, size)) for size in shape)
    return (
        number_field(1, claims.get("type", TYPES[values.dtype.name]))
        + bytes_field(2, dimensions)
        + number_field(3, claims.get("shard", shard))
        + number_field(4, claims.get("offset", offset))
        + number_field(5, claims.get("size", values.nbytes))
        + varint(6 << 3 | 5)
        + struct.pack("<I", masked(values.tobytes()))
        + (bytes_field(7, b"") if claims.get("sliced") else b"")
    )


def write_bundle(
    prefix: Path,
    variables: dict[str, np.ndarray],
    shards: int = 1,
    compression: int = 0,
    claims: dict[str, dict] | None = None,
    big_endian: int = 0,
) -> Path:
    """A checkpoint of these variables, dealt over some data files; `claims` of a variable replace what is true."""
    data = [b""] * shards
    entries = [(b"", header(shards, big_endian))]
    for index, name in enumerate(sorted(variables)):
        values, shard = variables[name], index % shards
        claim = (claims or {}).get(name, {})
        entries.append((name.encode(), entry(values, len(data[shard]), shard, claim)))
        data[shard] += values.tobytes()
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries, compression=compression))
    for shard, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
    return prefix
