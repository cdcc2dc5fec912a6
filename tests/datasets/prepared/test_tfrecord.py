"""Records and messages are read as TensorBoard and Google's protobuf write them, and refused when damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moviestrip.checksum import masked_crc32c
from moviestrip.datasets.prepared.tfrecord import MessageError, parse_example, read_examples, read_records
from moviestrip.errors import StorageError
from tests.datasets.prepared.tfrecord_files import serialised, write_records

FEATURES = {
    "floats": np.array([1.5, -2.25, np.inf, 1e-30], np.float32),
    "integers": np.array([0, 127, 128, -1, 2**63 - 1, -(2**63)]),
    "small": np.arange(14),
    "pictures": [b"\xff\xd8first", b"", b"\xff\xd8" + bytes(300)],
    "nichts äußeres": [b"\x00"],
}


def test_a_record_by_hand(tmp_path: Path):
    # 8 bytes of length 0 and their masked checksum, no content, and the masked checksum of nothing.
    path = tmp_path / "empty.tfrecord"
    path.write_bytes(bytes.fromhex("000000000000000029039807d8ea82a2"))
    assert list(read_records(path)) == [(12, b"")]


def test_records_that_tensorboard_wrote(tmp_path: Path):
    path, records = tmp_path / "some.tfrecord", [b"", b"abc", bytes(range(256)) * 40]
    write_records(path, records)
    content = path.read_bytes()
    found = list(read_records(path))
    assert [data for _, data in found] == records
    assert all(content[offset : offset + len(data)] == data for offset, data in found)


@pytest.mark.parametrize("packed", [True, False])
def test_messages_that_protobuf_wrote(tmp_path: Path, packed: bool):
    path = tmp_path / "some.tfrecord"
    write_records(path, [serialised({}), serialised(FEATURES, packed)])
    empty, found = read_examples(path)
    assert empty == {} and found.keys() == FEATURES.keys()
    for name, values in FEATURES.items():
        if isinstance(values, list):
            assert found[name] == values
        else:
            assert found[name].dtype == values.dtype and np.array_equal(found[name], values)


def test_bytes_by_their_places(tmp_path: Path):
    path = tmp_path / "some.tfrecord"
    write_records(path, [b"", serialised(FEATURES)])
    _, found = read_examples(path, placed=("pictures",))
    content = path.read_bytes()
    assert [content[offset : offset + size] for offset, size in found["pictures"].tolist()] == FEATURES["pictures"]


def test_a_feature_without_a_kind_has_no_values():
    feature = b"\x0a\x03one" + b"\x12\x00"
    entry = b"\x0a" + bytes([len(feature)]) + feature
    assert parse_example(b"\x0a" + bytes([len(entry)]) + entry)["one"].size == 0


def refuses(path: Path, said: str) -> None:
    with pytest.raises(StorageError) as caught:
        list(read_examples(path))
    assert str(path) in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_damaged(tmp_path: Path):
    path = tmp_path / "some.tfrecord"
    write_records(path, [serialised(FEATURES)] * 2)
    content = path.read_bytes()
    length = len(content) // 2
    for spoilt, said in (
        (b"", "it is empty"),
        (b"<html>Please sign in to Drive</html>", "is no TFRecord file"),
        (gzip.compress(content), "is compressed; unpack it"),
        (content[:-1], f"it ends at byte {2 * length - 1}, within the record at byte {length}"),
        (content[: length + 5], f"it ends within the record at byte {length}"),
        (content[:100] + b"!" + content[101:], "the checksum of the record at byte 12 does not match"),
        (content[:-2] + b"!!", f"the checksum of the record at byte {length + 12} does not match"),
        (content[:length] + b"!" + content[length + 1 :], f"the length of the record at byte {length} is wrong"),
        (struct.pack("<QI", 2**60, masked_crc32c(struct.pack("<Q", 2**60))), "above 2,147,483,648"),
    ):
        path.write_bytes(spoilt)
        refuses(path, said)
    refuses(tmp_path / "nowhere.tfrecord", "cannot be read (No such file")


def test_records_that_are_no_examples(tmp_path: Path):
    path = tmp_path / "some.tfrecord"
    for record, said in (
        (b"\x0a\x7f", "a field is longer than its message"), (b"\x0b", "a field of the unknown kind 3"),
        (b"\xff" * 11, "a number does not end"), (b"\x0a\x05\x0a\x03\x0a\x01\xff", "is not text"),
    ):  # fmt: skip
        write_records(path, [serialised(FEATURES), record])
        refuses(path, "record 1 (at byte ")
        refuses(path, said)


@given(st.binary(max_size=200))
def test_random_messages_are_read_or_refused(data: bytes):
    try:
        parse_example(data)
    except MessageError:
        return


@given(st.integers(0, 500), st.integers(0, 255))
def test_altered_messages_are_read_or_refused(place: int, byte: int):
    data = bytearray(serialised(FEATURES))
    data[place % len(data)] = byte
    try:
        parse_example(bytes(data))
    except MessageError:
        return
