"""Typed tables: what is written comes back, what is wrong is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moviestrip import tables
from moviestrip.errors import StorageError


def detections(rows: int = 3) -> pd.DataFrame:
    keypoints = np.random.default_rng(0).standard_normal((rows, 75)).astype(np.float32)
    columns = {"video_id": "v", "frame": np.arange(rows), "person": 0, "keypoints": tables.unstack(keypoints)}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_table_comes_back_as_written(tmp_path: Path, rows: int):
    path = tmp_path / "detections.parquet"
    frame = detections(rows) if rows else tables.empty(tables.DETECTIONS)
    tables.write_table(path, frame, tables.DETECTIONS)
    back = tables.read_table(path, tables.DETECTIONS)
    np.testing.assert_array_equal(
        tables.stack(back["keypoints"], 25, 3), tables.stack(frame["keypoints"], 25, 3), strict=True
    )
    assert list(back["frame"]) == list(range(rows))


@pytest.mark.parametrize("schema", tables.SCHEMAS.values(), ids=lambda schema: schema.name)
def test_every_schema_has_documented_unique_columns_and_a_key_among_them(schema: tables.TableSchema):
    names = [column.name for column in schema.columns]
    assert len(set(names)) == len(names)
    assert set(schema.key) <= set(names)


def test_missing_and_unexpected_columns_are_named(tmp_path: Path):
    frame = detections().rename(columns={"person": "human"})
    with pytest.raises(StorageError, match=r"missing \['person'\], unexpected \['human'\]"):
        tables.write_table(tmp_path / "x.parquet", frame, tables.DETECTIONS)


def test_repeated_keys_are_refused(tmp_path: Path):
    frame = pd.concat([detections(1), detections(1)])
    with pytest.raises(StorageError, match="repeat a key"):
        tables.write_table(tmp_path / "x.parquet", frame, tables.DETECTIONS)


def test_another_table_or_version_is_refused(tmp_path: Path):
    path = tmp_path / "x.parquet"
    tables.write_table(path, detections(), tables.DETECTIONS)
    with pytest.raises(StorageError, match="not a 'tracks' table"):
        tables.read_table(path, tables.TRACKS)
    old = tables.TableSchema("detections", 0, tables.DETECTIONS.key, tables.DETECTIONS.columns)
    tables.write_table(path, detections(), old)
    with pytest.raises(StorageError, match=r"'version': 0.*expected 'detections' version 1"):
        tables.read_table(path, tables.DETECTIONS)


def test_an_absent_table_says_which_stage_is_missing(tmp_path: Path):
    with pytest.raises(StorageError, match="run the stage that makes 'tracks'"):
        tables.read_table(tmp_path / "none.parquet", tables.TRACKS)


@pytest.mark.faults
def test_fault_17_a_flipped_bit_in_a_table_is_found(tmp_path: Path):
    path = tmp_path / "detections.parquet"
    tables.write_table(path, detections(500), tables.DETECTIONS)
    intact = path.read_bytes()
    data_end = len(intact) - 8 - int.from_bytes(intact[-8:-4], "little")
    for position in np.random.default_rng(1).integers(2000, data_end - 2000, 5):
        damaged = bytearray(intact)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="damaged or not Parquet"):
            tables.read_table(path, tables.DETECTIONS)


@pytest.mark.faults
def test_fault_18_a_small_file_that_decodes_to_gigabytes_is_refused_unread(tmp_path: Path):
    path = tmp_path / "bomb.parquet"
    rows = 20_000_000
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([""])).cast(pa.string())
        if column.type == pa.string()
        else pa.array(np.zeros(rows, np.int32))
        for column in tables.DETECTIONS.columns[:3]
    ]
    fields = [pa.field(column.name, column.type) for column in tables.DETECTIONS.columns[:3]]
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), path, compression="zstd")
    assert path.stat().st_size < 400_000
    with pytest.raises(StorageError, match=r"promise 20,000,000 rows and 240,000,000 bytes in memory; refused above"):
        tables.read_table(path, tables.DETECTIONS)
