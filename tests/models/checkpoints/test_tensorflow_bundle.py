"""TensorFlow's checkpoints: one that TensorFlow wrote, and ones that lie."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as tensorboards_checksum

from moviestrip.checksum import crc32c, masked_crc32c
from moviestrip.errors import StorageError
from moviestrip.models.checkpoints.sorted_table import FormatError, entries
from moviestrip.models.checkpoints.tensorflow_bundle import is_tensorflow_bundle, read_tensorflow_bundle
from tests.models.checkpoints.bundle_writer import (
    block,
    bytes_field,
    header,
    number_field,
    stored,
    table,
    varint,
    write_bundle,
)

WRITTEN_BY_TENSORFLOW = Path(__file__).parent / "data" / "hmmr_tiny.ckpt-1200"


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)


def variables() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    named = {f"scope/layer_{i}/weights": random.standard_normal((3, i + 1)).astype(np.float32) for i in range(20)}
    return {**named, "scope/scalar": np.float32([2.5]).reshape(()), "wide": np.linspace(0, 1, 5)}


def test_the_checksum_is_the_standard_one():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    for data in (b"", b"\0" * 32, b"\xff" * 32, bytes(range(256)) * 3):
        assert masked_crc32c(data) == tensorboards_checksum(data)
    values = np.arange(7, dtype=np.float32)
    assert crc32c(values) == crc32c(values.tobytes())


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00001-of-00003", ".meta"])
def test_a_checkpoint_of_tensorflow_is_read_bit_for_bit(suffix: str):
    path = WRITTEN_BY_TENSORFLOW.with_name(WRITTEN_BY_TENSORFLOW.name + suffix)
    assert is_tensorflow_bundle(path)
    bundle = read_tensorflow_bundle(path)
    assert bundle.steps == 1200 and bundle.shards == 3 and len(bundle) == 51
    assert {entry.shard for entry in bundle.entries.values()} == {0, 1, 2}
    values = dict(bundle)
    np.testing.assert_array_equal(values.pop("count32"), np.arange(-2, 3, dtype=np.int32), strict=True)
    np.testing.assert_array_equal(values.pop("wide"), np.linspace(0, 1, 6).reshape(2, 3), strict=True)
    assert values["AZ_FC_block2_conv1block_0/weights"].shape == (3, 1, 4, 4)
    assert values["single_view_ief_past5/3D_module/fc1/weights"].shape == (4 + 72, 6)
    for name, value in values.items():
        np.testing.assert_array_equal(value, drawn(name, value.shape), strict=True)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("compression", [0, 1])
def test_what_is_written_is_read(tmp_path: Path, shards: int, compression: int):
    written = variables()
    bundle = read_tensorflow_bundle(write_bundle(tmp_path / "model.ckpt-37", written, shards, compression))
    assert list(bundle) == sorted(written) and bundle.steps == 37
    for name, value in written.items():
        np.testing.assert_array_equal(bundle[name], value, strict=True)


def test_what_only_training_needs_is_left_aside(tmp_path: Path):
    extra = {
        "a/Adam": np.ones(2),
        "a/Adam_1": np.ones(2),
        "beta1_power": np.float64([0.9]),
        "global_step": np.int64([12]).reshape(()),
        "_CHECKPOINTABLE_OBJECT_GRAPH": np.zeros(3, np.int32),
    }
    claims = {"_CHECKPOINTABLE_OBJECT_GRAPH": {"type": 7}}  # a string, of which nothing is read
    bundle = read_tensorflow_bundle(write_bundle(tmp_path / "m", {"a": np.ones(2), **extra}, claims=claims))
    assert list(bundle) == ["a"] and bundle.steps == 12


@pytest.mark.faults
@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"shape": (3, 2**40)}, "its shape .* needs"),
        ({"shape": (2**63, 2**63), "size": 2**63}, "its shape"),
        ({"shape": (0, 2**62)}, "is empty"),
        ({"shape": (1,) * 9 + (3,)}, "10 dimensions"),
        ({"size": 2**50}, "takes"),
        ({"shape": (2**30,), "size": 2**32}, "its data file has"),
        ({"offset": 10**12}, "its data file has"),
        ({"shard": 7}, "data file 7 of 1"),
        ({"sliced": True}, "slices"),
        ({"type": 7}, "'scope/layer_0/weights' is of string"),
        ({"type": 99}, "type 99"),
    ],
)
def test_fault_18_a_checkpoint_that_claims_too_much_is_not_read(tmp_path: Path, claim: dict, said: str):
    prefix = write_bundle(tmp_path / "m.ckpt", variables(), claims={"scope/layer_0/weights": claim})
    with pytest.raises(StorageError, match=rf"m\.ckpt\.index: .*{said}") as caught:
        read_tensorflow_bundle(prefix)
    assert "\n" not in str(caught.value)


@pytest.mark.faults
def test_fault_18_the_same_bytes_listed_many_times_are_refused(tmp_path: Path):
    same = {"offset": 0, "shape": (1000,), "size": 4000, "type": 1}
    named = {"a": np.zeros(1000, np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(StorageError, match="lists 8000 bytes of variables, its data files hold 4004"):
        read_tensorflow_bundle(write_bundle(tmp_path / "m", named, claims={"b": same}))


@pytest.mark.faults
def test_fault_18_a_block_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked():
    content = varint(2**34) + b"\0" * 20  # the first number is how much it would unpack to
    body = content + b"\x01"
    data = body + masked_crc32c(body).to_bytes(4, "little")
    footer = (varint(0) * 3 + varint(len(content))).ljust(40, b"\0")  # an empty metaindex, and the block as the index
    with pytest.raises(FormatError, match="unpacks to 17179869184 bytes"):
        list(entries(data + footer + bytes.fromhex("57fb808b247547db")))


def damaged(prefix: Path, suffix: str, change) -> Path:
    path = prefix.with_name(prefix.name + suffix)
    path.write_bytes(change(path.read_bytes()))
    return prefix


@pytest.mark.faults
def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path):
    """In the data, and in every byte of the index that means something."""
    prefix = write_bundle(tmp_path / "m", variables())
    damaged(prefix, ".data-00000-of-00001", lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:])
    bundle = read_tensorflow_bundle(prefix)
    with pytest.raises(StorageError, match=r"m\.data-00000-of-00001: the checksum of the variable '.*' does not match"):
        dict(bundle)
    index = (tmp_path / "m.index").read_bytes()
    unused = index.index(stored(block([])))  # the metaindex, which no one looks at
    read = set(range(len(index) - 48)) - set(range(unused, unused + len(stored(block([])))))
    for position in sorted(read)[::5]:
        flipped = index[:position] + bytes([index[position] ^ 0x10]) + index[position + 1 :]
        (tmp_path / "m.index").write_bytes(flipped)
        with pytest.raises(StorageError, match=r"the checksum of the block at byte \d+ does not match"):
            read_tensorflow_bundle(prefix)


@pytest.mark.faults
def test_a_truncated_checkpoint_is_refused_at_any_length(tmp_path: Path):
    prefix = write_bundle(tmp_path / "m", variables())
    index = (tmp_path / "m.index").read_bytes()
    for length in range(0, len(index), 7):
        (tmp_path / "m.index").write_bytes(index[:length])
        with pytest.raises(StorageError, match=r"m\.index: not a readable checkpoint index"):
            read_tensorflow_bundle(prefix)
    (tmp_path / "m.index").write_bytes(index)
    damaged(prefix, ".data-00000-of-00001", lambda data: data[:-4])
    with pytest.raises(StorageError, match="'wide' ends at byte 2564, its data file has 2560"):
        read_tensorflow_bundle(prefix)


@pytest.mark.faults
def test_random_bytes_in_a_well_signed_index_never_do_more_than_be_refused(tmp_path: Path):
    """Checksums that fit and content that does not: what a person who means harm would write."""
    random = np.random.default_rng(4)
    (tmp_path / "m.data-00000-of-00001").write_bytes(b"\0" * 100)
    for size in random.integers(0, 60, 200):
        rows = [(b"", header()), (b"a", random.bytes(int(size)))]
        (tmp_path / "m.index").write_bytes(table(rows))
        with pytest.raises(StorageError):
            dict(read_tensorflow_bundle(tmp_path / "m"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(b"", header()), (b"b", b""), (b"a", b"")], "out of order at b'a'"),
        ([(b"", header()), (b"\xff\xfe", b"")], "is not text"),
        ([(b"", header(shards=2**40))], "its header counts 1099511627776 data files"),
        ([(b"", header(big_endian=1))], "big-endian"),
        ([(b"a", number_field(1, 1))], "its header counts 0 data files"),
        ([(b"", header()), (b"k" * 2000, b"")], "longer than its block"),
        ([(b"", header()), (b"a", bytes_field(2, b"\x80" * 11))], "a number does not end"),
    ],
)
def test_an_index_that_does_not_keep_to_the_format_is_refused(tmp_path: Path, rows: list, said: str):
    (tmp_path / "m.index").write_bytes(table(rows))
    with pytest.raises(StorageError, match=rf"m\.index: not a readable checkpoint index \(.*{said}"):
        read_tensorflow_bundle(tmp_path / "m")


def test_what_is_not_a_checkpoint_is_told_apart(tmp_path: Path):
    with pytest.raises(StorageError, match=r"there is no such checkpoint \(m\.index is not there\)"):
        read_tensorflow_bundle(tmp_path / "m")
    (tmp_path / "m").write_bytes(table([(b"", b"")]))
    with pytest.raises(StorageError, match="TensorFlow's first checkpoint format"):
        read_tensorflow_bundle(tmp_path / "m")
    (tmp_path / "n").write_bytes(b"words")
    with pytest.raises(StorageError, match=r"n\.index is not beside it"):
        read_tensorflow_bundle(tmp_path / "n")
    prefix = write_bundle(tmp_path / "o", variables(), shards=2)
    (tmp_path / "o.data-00001-of-00002").unlink()
    with pytest.raises(StorageError, match=r"o\.data-00001-of-00002: cannot be read .*belongs beside its \.index"):
        read_tensorflow_bundle(prefix)
