"""LevelDB's sorted table: the file in which TensorFlow lists what a checkpoint holds.

Blocks of ascending keys (each stored without the prefix it shares with the one before), an index block that says where
they lie, and a footer that says where the index lies. Every length is checked against the bytes that are there before
anything of that length is made.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow

from moviestrip.checksum import masked_crc32c
from moviestrip.errors import StorageError

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER_BYTES = 48
TRAILER_BYTES = 5  # the kind of compression, and a checksum
PLAIN, SNAPPY = 0, 1
MAXIMUM_FILE_BYTES = 64 * 2**20
MAXIMUM_BLOCK_BYTES = 16 * 2**20
MAXIMUM_KEY_BYTES = 1024
MAXIMUM_ENTRIES = 100_000


class FormatError(Exception):
    """Bytes that do not keep to the format; whoever knows the file's name says so."""


def read_table(path: Path) -> dict[str, bytes]:
    """Every key of the file with its value, in order."""
    try:
        if path.stat().st_size > MAXIMUM_FILE_BYTES:
            raise StorageError(f"{path}: an index of more than {MAXIMUM_FILE_BYTES // 2**20} MiB; fetch it again")
        return dict(entries(path.read_bytes()))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
    except FormatError as error:
        raise StorageError(f"{path}: not a readable checkpoint index ({error}); fetch it again") from error


def entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) < FOOTER_BYTES or not data.endswith(MAGIC):
        raise FormatError("its last bytes are not those of a sorted table")
    last, count = None, 0
    for _, handle in block_entries(block(data, *index_handle(data[-FOOTER_BYTES:]))):
        offset, position = varint(handle, 0)
        size, _ = varint(handle, position)
        for key, value in block_entries(block(data, offset, size)):
            count += 1
            if last is not None and key <= last:
                raise FormatError(f"its keys are out of order at {key!r}")
            if count > MAXIMUM_ENTRIES:
                raise FormatError(f"it lists more than {MAXIMUM_ENTRIES} entries")
            last = key
            yield name_of(key), value


def index_handle(footer: bytes) -> tuple[int, int]:
    """Offset and size of the index block; the handle before it is of a block that TensorFlow leaves empty."""
    _, position = varint(footer, 0)
    _, position = varint(footer, position)
    offset, position = varint(footer, position)
    return offset, varint(footer, position)[0]


def block(data: bytes, offset: int, size: int) -> bytes:
    """A block's content, its checksum verified."""
    end = offset + size + TRAILER_BYTES
    if end > len(data) - FOOTER_BYTES:
        raise FormatError(f"a block ends at byte {end}, the file has {len(data)}")
    stored = int.from_bytes(data[end - 4 : end], "little")
    if masked_crc32c(data[offset : end - 4]) != stored:
        raise FormatError(f"the checksum of the block at byte {offset} does not match")
    content, compression = data[offset : offset + size], data[offset + size]
    if compression == PLAIN:
        return content
    if compression == SNAPPY:
        return decompressed(content)
    raise FormatError(f"a block is compressed by method {compression}, which is not known")


def decompressed(content: bytes) -> bytes:
    size, _ = varint(content, 0)
    if size > MAXIMUM_BLOCK_BYTES:
        raise FormatError(f"a block unpacks to {size} bytes, above the limit of {MAXIMUM_BLOCK_BYTES}")
    try:
        return pyarrow.decompress(content, size, codec="snappy", asbytes=True)
    except (OSError, ValueError) as error:
        raise FormatError(f"a block does not unpack: {error}") from error


def block_entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(content) < 4:
        raise FormatError("a block is shorter than its own count of restarts")
    restarts = int.from_bytes(content[-4:], "little")
    end = len(content) - 4 * (restarts + 1)
    if end < 0:
        raise FormatError(f"a block of {len(content)} bytes claims {restarts} restarts")
    key, position = b"", 0
    while position < end:
        shared, position = varint(content, position)
        added, position = varint(content, position)
        size, position = varint(content, position)
        if shared > len(key) or shared + added > MAXIMUM_KEY_BYTES or position + added + size > end:
            raise FormatError("an entry is longer than its block")
        key = key[:shared] + content[position : position + added]
        position += added
        yield key, content[position : position + size]
        position += size


def varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, the lowest first, and the position after it."""
    value = 0
    for index in range(10):
        if position + index >= len(data):
            break
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise FormatError("a number does not end")


def name_of(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"the key {key!r} is not text") from error
