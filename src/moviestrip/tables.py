"""Column schemas of every table, and the only reader and writer of Parquet.

A table is immutable and typed. A fixed-size list column holds one small array per row; `stack` gives
it back as one NumPy array. Readers reject wrong columns, other schema versions and files whose metadata
promise more than `MAXIMUM_TABLE_BYTES` before a single page is decoded; pages carry checksums.
"""

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from moviestrip.errors import StorageError
from moviestrip.storage import atomic_path

MAXIMUM_TABLE_BYTES = 8 * 2**30
MAXIMUM_EXPANSION = 500  # decoded bytes a byte on disk: real tables stay below 50, bombs are above 1,000

ROWS_A_GROUP = 2**17  # of a table written in parts: 40 MB of motion

TEXT, INTEGER, FLOAT, FLAG = pa.string(), pa.int32(), pa.float32(), pa.bool_()


def array_of(size: int) -> pa.DataType:
    return pa.list_(pa.float32(), size)


@dataclass(frozen=True)
class Column:
    """`default` stands in every row when a writer leaves the column out; without one it may not."""

    name: str
    type: pa.DataType
    meaning: str
    default: object = None


@dataclass(frozen=True)
class TableSchema:
    name: str
    version: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def arrow(self) -> pa.Schema:
        fields = [pa.field(column.name, column.type) for column in self.columns]
        metadata = {"moviestrip": json.dumps({"table": self.name, "version": self.version})}
        return pa.schema(fields, metadata=metadata)


KEYPOINTS_BODY_25 = Column("keypoints", array_of(75), "BODY_25: x_px, y_px, confidence")
KEYPOINTS_HMMR_25 = Column("keypoints_2d", array_of(75), "hmmr_25 in pixels of the source frame: x, y, confidence 0..1")
JOINTS_14 = Column("joints_3d_m", array_of(42), "common_14 from the H36M-style regressor, metres, camera frame")
POSE = Column("pose", array_of(72), "24 axis-angle rotations, radians; the root's in the camera frame")
BETAS = Column("betas", array_of(10), "shape coefficients")
TRANSLATION = Column("translation_m", array_of(3), "body translation in the camera frame, metres")
INTRINSICS = Column("intrinsics_px", array_of(4), "fx, fy, cx, cy in pixels")
TRUNK = Column(
    "trunk_3d_m",
    array_of(9),
    "pelvis, spine, head: with the 14 they are mpi_inf_3dhp_17; NaN if unknown",
    (np.nan,) * 9,
)
GENDER = Column("gender", TEXT, "whose body pose and betas are for: neutral, male, female or unknown", "neutral")
TRUSTED = Column("trusted", FLAG, "whether the dataset itself counts the frame in evaluation", True)
CAMERA = Column("camera", TEXT, "which camera filmed it, as its dataset names them; empty when unknown", "")
BURST = Column("burst", TEXT, "'none', or the transient fault drawn on this frame: 'occlusion' or 'blur'")

VIDEOS = TableSchema("videos", 3, ("video_id",), (
    Column("video_id", TEXT, "stable id, a hash of the source; file names derive from it alone"),
    Column("dataset", TEXT, "name in config/datasets"),
    Column("shard", TEXT, "unit of work the video belongs to"),
    Column("split", TEXT, "train, validation or test"),
    Column("subject", TEXT, "who is filmed, empty when unknown"),
    Column("action", TEXT, "what is done, empty when unknown"),
    Column("source", TEXT, "where the video came from"),
    Column("path", TEXT, "file, relative to results/<name>"),
    Column("sha256", TEXT, "digest of the file"),
    Column("status", TEXT, "ok, transient, permanent, bad_video or refused"),
    Column("reason", TEXT, "why it is not ok"),
    Column("width_px", INTEGER, "after rotation"),
    Column("height_px", INTEGER, "after rotation"),
    Column("fps", FLOAT, "frames a second"),
    Column("n_frames", INTEGER, "frames that decode"),
    CAMERA,
    Column("filmed_fps", FLOAT, "as a file says, or its dataset of a folder of images; 0 where unknown", 0.0),
    Column("start_s", FLOAT, "of the part of the file that is used", 0.0),
    Column("end_s", FLOAT, "of that part; 0 is the file's end", 0.0),
))  # fmt: skip

TRUTH = TableSchema("truth", 2, ("video_id", "frame", "person"), (
    Column("video_id", TEXT, ""),
    Column("frame", INTEGER, "index in the video"),
    Column("person", INTEGER, "0 is the one the camera follows"),
    Column("subject", TEXT, ""),
    Column("action", TEXT, ""),
    Column("motion_id", TEXT, "source motion: splits never share one"),
    KEYPOINTS_HMMR_25, JOINTS_14, POSE, BETAS, TRANSLATION, INTRINSICS, BURST,
    Column("has_3d", FLAG, "whether the 14 joints are known", True),
    Column("has_body", FLAG, "whether pose, betas and translation are known", True),
    TRUNK, GENDER, TRUSTED,
))  # fmt: skip

DETECTIONS = TableSchema("detections", 1, ("video_id", "frame", "person"), (
    Column("video_id", TEXT, ""),
    Column("frame", INTEGER, "index in the video"),
    Column("person", INTEGER, "order in the detector's output"),
    KEYPOINTS_BODY_25,
))  # fmt: skip

ANSWERS = TableSchema("answers", 1, ("video_id",), (
    Column("video_id", TEXT, ""),
    Column("status", TEXT, "ok; or bad_answer: the detector answered other frames than were shown, or nonsense"),
    Column("reason", TEXT, "why it is not ok"),
    Column("n_frames", INTEGER, "frames shown"),
    Column("frames_with_people", INTEGER, ""),
    Column("detections", INTEGER, "people in all frames together"),
))  # fmt: skip

SHOTS = TableSchema("shots", 1, ("video_id", "shot"), (
    Column("video_id", TEXT, ""),
    Column("shot", INTEGER, "from 0"),
    Column("first_frame", INTEGER, "in the video"),
    Column("n_frames", INTEGER, "shots follow one another without a gap"),
))  # fmt: skip

TRACKS = TableSchema("tracks", 1, ("video_id", "track", "frame"), (
    Column("video_id", TEXT, ""),
    Column("track", INTEGER, "one person within a video"),
    Column("frame", INTEGER, ""),
    KEYPOINTS_BODY_25,
))  # fmt: skip

CLIPS = TableSchema("clips", 2, ("clip_id",), (
    Column("clip_id", TEXT, "stable id: one person's tube of frames"),
    Column("dataset", TEXT, ""),
    Column("video_id", TEXT, ""),
    Column("track", INTEGER, "track, or the truth's person"),
    Column("split", TEXT, ""),
    Column("subject", TEXT, ""),
    Column("action", TEXT, ""),
    Column("motion_id", TEXT, "empty when unknown"),
    Column("supervision", TEXT, "full_3d, truth_2d or pseudo_2d"),
    Column("first_frame", INTEGER, "in the video"),
    Column("n_frames", INTEGER, "consecutive frames"),
    Column("fps", FLOAT, ""),
    CAMERA,
))  # fmt: skip

ATTRIBUTES = TableSchema("attributes", 1, ("clip_id", "filter"), (
    Column("clip_id", TEXT, ""),
    Column("filter", TEXT, "name of the curation filter"),
    Column("value", FLOAT, "what the filter measured"),
    Column("threshold", FLOAT, "what it was compared with"),
    Column("passed", FLAG, "a clip is used when all its filters passed"),
))  # fmt: skip

KEY_FRAMES = TableSchema("key_frames", 1, ("clip_id", "frame"), (
    Column("clip_id", TEXT, ""),
    Column("video_id", TEXT, ""),
    Column("frame", INTEGER, "index in the clip"),
    Column("sharpness", FLOAT, "of the person's picture, 0..1; NaN where nobody is seen"),
    Column("hash", TEXT, "PDQ of the whole frame: 64 hexadecimal digits"),
    Column("quality", INTEGER, "PDQ's own, 0..100: below 50 the frame is too plain to be told apart"),
))  # fmt: skip

LABELS = TableSchema("labels", 2, ("clip_id", "frame"), (
    Column("clip_id", TEXT, ""),
    Column("frame", INTEGER, "index in the clip"),
    Column("video_frame", INTEGER, "index in the video"),
    Column("box_center_px", array_of(2), "centre of the person's box in the source frame"),
    Column("box_scale", FLOAT, "source pixels times this are pixels of the 224 crop (person 150 px)"),
    KEYPOINTS_HMMR_25,
    Column("has_3d", FLAG, "whether the 14 joints are known"),
    JOINTS_14, POSE, BETAS, TRANSLATION, INTRINSICS, BURST,
    Column("has_body", FLAG, "whether pose and betas are known"),
    TRUNK, GENDER, TRUSTED,
))  # fmt: skip

MOTIONS = TableSchema("motions", 1, ("motion_id", "frame"), (
    Column("motion_id", TEXT, "one recorded clip, or one procedural family with one set of parameters"),
    Column("family", TEXT, "recorded source or procedural family"),
    Column("action", TEXT, "what is done"),
    Column("source", TEXT, "package and file, or 'procedural'"),
    Column("split", TEXT, "train, validation or test: no two splits share a source motion"),
    Column("cyclic", FLAG, "whether it may be looped"),
    Column("fps", FLOAT, ""),
    Column("frame", INTEGER, ""),
    Column("pose", array_of(72), "24 axis-angle rotations, y up, facing +z"),
    Column("translation_m", array_of(3), "root translation, y up, floor at 0"),
    Column("contacts", array_of(2), "left and right foot on the floor: 0 or 1"),
))  # fmt: skip

FEATURE_INDEX = TableSchema("feature_index", 1, ("clip_id",), (
    Column("clip_id", TEXT, ""),
    Column("start", INTEGER, "first row in phi"),
    Column("n_frames", INTEGER, "rows in phi"),
))  # fmt: skip

CROPS = TableSchema("crops", 1, ("clip_id", "frame"), (
    Column("clip_id", TEXT, "of a copy: the clip's id, '~' (occluded: '~o') and the copy's number"),
    Column("frame", INTEGER, "index in the clip"),
    Column("box_center_px", array_of(2), "centre of the crop the feature was computed from"),
    Column("box_scale", FLOAT, "its scale, as in labels"),
    Column("mirrored", FLAG, "whether left and right were swapped after cropping"),
))  # fmt: skip

PREDICTIONS = TableSchema("predictions", 1, ("clip_id", "frame"), (
    Column("clip_id", TEXT, ""),
    Column("frame", INTEGER, "index in the clip"),
    Column("camera", array_of(3), "weak-perspective scale, tx, ty in the 224 crop"),
    Column("pose", array_of(72), "24 axis-angle rotations, camera frame"),
    Column("betas", array_of(10), ""),
    JOINTS_14,
    Column("keypoints_2d", array_of(50), "hmmr_25 projected to the source frame: x_px, y_px"),
))  # fmt: skip

FORECASTS = TableSchema("forecasts", 1, ("clip_id", "kind", "start_frame", "horizon"), (
    Column("clip_id", TEXT, ""),
    Column("kind", TEXT, "'forecast' from the frames up to start_frame, or 'dynamics' hallucinated from it alone"),
    Column("start_frame", INTEGER, "index in the clip of the last frame that was looked at"),
    Column("horizon", INTEGER, "the row speaks of frame start_frame + horizon; 0 is the frame itself, -5 before it"),
    Column("pose", array_of(72), "24 axis-angle rotations, camera frame"),
    Column("betas", array_of(10), ""),
    JOINTS_14,
    Column("points_3d_m", array_of(75), "hmmr_25, metres, relative as joints_3d_m: no camera is predicted"),
))  # fmt: skip

TRAINING_LOG = TableSchema("training_log", 1, ("step", "loss"), (
    Column("step", INTEGER, ""),
    Column("loss", TEXT, "name of the term, or of a validation metric"),
    Column("value", FLOAT, ""),
))  # fmt: skip

SCORES_KEY = ("variant", "seed", "protocol", "dataset", "clip_id", "metric", "condition", "horizon", "dtw")
SCORES = TableSchema("scores", 2, SCORES_KEY, (
    Column("variant", TEXT, ""),
    Column("seed", INTEGER, ""),
    Column("protocol", TEXT, "what decided how it was measured: `moviestrip protocols show NAME`"),
    Column("dataset", TEXT, ""),
    Column("clip_id", TEXT, ""),
    Column("group", TEXT, "clips of one motion, or of one video, are drawn together for an interval"),
    Column("action", TEXT, ""),
    # of forecasts also pck_up_to_horizon, pa_mpjpe_up_to_horizon, motion_true, motion_predicted
    Column("metric", TEXT, "pck, mpjpe, pa_mpjpe, pck_3d, auc_3d, accel, accel_error, pve, mesh_posed, mesh_unposed"),
    Column("condition", TEXT, "'all', or 'burst' and 'clean' frames apart; of FORECASTS their kind"),
    Column("horizon", INTEGER, "future frames, past ones below 0; 0 is the current frame"),
    Column("dtw", FLAG, ""),
    Column("value", FLOAT, "mean over the clip's frames"),
    Column("unit", TEXT, ""),
    Column("frames", INTEGER, "frames the mean is over"),
    Column("degenerate_frames", INTEGER, "frames left out because the metric is undefined there"),
))  # fmt: skip

SCHEMAS = {
    schema.name: schema
    for schema in (
        VIDEOS, TRUTH, DETECTIONS, ANSWERS, SHOTS, TRACKS, CLIPS, ATTRIBUTES, KEY_FRAMES, LABELS,
        MOTIONS, FEATURE_INDEX, CROPS, PREDICTIONS,
        FORECASTS, TRAINING_LOG, SCORES,
    )
}  # fmt: skip


def write_table(path: Path, frame: pd.DataFrame, schema: TableSchema) -> None:
    """Write `frame` as the table `schema`, atomically, with its very columns; defaults fill those that are absent."""
    frame = with_defaults(frame, schema)
    _require_columns(path, list(frame.columns), schema)
    if frame.duplicated(list(schema.key)).any():
        raise StorageError(f"{path}: rows of '{schema.name}' repeat a key {schema.key}")
    table = _to_table(frame, schema)
    with atomic_path(path, table.nbytes) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


def with_defaults(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """The frame with the absent columns that have a default, in the schema's order if it then has all."""
    absent = [column for column in schema.columns if column.default is not None and column.name not in frame]
    if absent:
        filled = {column.name: pd.Series([column.default] * len(frame), frame.index, object) for column in absent}
        frame = pd.concat([frame, pd.DataFrame(filled)], axis=1)
        order = [column.name for column in schema.columns]
        frame = frame[order] if set(order) == set(frame.columns) else frame
    return frame


def write_table_in_parts(path: Path, parts: Iterable[pd.DataFrame], schema: TableSchema) -> None:
    """As `write_table`, of frames that come one after the other: no more than a row group is in memory.

    A table that fits in one row group has the same bytes as one written whole.
    """
    keys = []
    with (
        atomic_path(path) as partial,
        pq.ParquetWriter(partial, schema.arrow, compression="zstd", write_page_checksum=True) as writer,
    ):
        for frame in _row_groups(parts):
            _require_columns(path, list(frame.columns), schema)
            keys.append(pd.util.hash_pandas_object(frame[list(schema.key)], index=False).to_numpy())
            writer.write_table(_to_table(frame, schema))
        if keys and len(np.unique(np.concatenate(keys))) < sum(map(len, keys)):
            raise StorageError(f"{path}: rows of '{schema.name}' repeat a key {schema.key}")


def _row_groups(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    held: list[pd.DataFrame] = []
    for part in parts:
        if held and sum(map(len, held)) + len(part) > ROWS_A_GROUP:
            yield pd.concat(held, ignore_index=True)
            held = []
        held.append(part)
    if held:
        yield pd.concat(held, ignore_index=True)


def read_table(path: Path, schema: TableSchema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table after checking its name, version, columns and promised size; a bad page is an error."""
    return _read(path, schema, columns).to_pandas()


def _read(path: Path, schema: TableSchema, columns: Sequence[str] | None) -> pa.Table:
    with _checked(path, schema) as file:
        return file.read(columns=None if columns is None else list(columns))


def read_table_in_parts(path: Path, schema: TableSchema, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a table, one after the other, after the checks of `read_table`; see `values_of`."""
    with _checked(path, schema) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=None if columns is None else list(columns))


@contextlib.contextmanager
def _checked(path: Path, schema: TableSchema) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _require_modest_size(path, file.metadata)
            _require_columns(path, file.schema_arrow.names, schema)
            _require_version(path, file.schema_arrow.metadata or {}, schema)
            yield file
    except FileNotFoundError as error:
        raise StorageError(f"{path}: there is no such table; run the stage that makes '{schema.name}'") from error
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path}: damaged or not Parquet ({error}); delete it and run the stage again") from error


def read_tables(paths: Iterable[Path], schema: TableSchema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of several files of one schema, in the order given."""
    parts = [_read(path, schema, columns) for path in paths]
    # As one chunk: of a text in hundreds of chunks, a few rows take as long as all.
    return pa.concat_tables(parts).combine_chunks().to_pandas() if parts else empty(schema)


def empty(schema: TableSchema) -> pd.DataFrame:
    return schema.arrow.empty_table().to_pandas()


def stack(column: pd.Series, *shape: int) -> np.ndarray:
    """An array column as one array: (rows, *shape), or (rows, size) without a shape."""
    if len(column) == 0:
        return np.zeros((0, *shape), np.float32)
    values = np.stack(column.to_list()).astype(np.float32, copy=False)
    return values.reshape(len(column), *shape) if shape else values


def unstack(values: np.ndarray) -> list[np.ndarray]:
    """The inverse of `stack`: (rows, ...) to one flat float32 array per row."""
    size = math.prod(values.shape[1:])  # -1 would not be known of no rows
    return list(np.asarray(values, np.float32).reshape(len(values), size))


def values_of(table: pa.Table, name: str) -> np.ndarray:
    """A column of a part of a table: (rows, size) of an array column, otherwise (rows,)."""
    column = table[name]
    if pa.types.is_fixed_size_list(column.type):
        return column.combine_chunks().flatten().to_numpy().reshape(len(column), column.type.list_size)
    return column.to_numpy()


def _to_table(frame: pd.DataFrame, schema: TableSchema) -> pa.Table:
    arrays = [_to_arrow(frame[column.name], column.type) for column in schema.columns]
    return pa.Table.from_arrays(arrays, schema=schema.arrow)


def _to_arrow(column: pd.Series, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = stack(column, kind.list_size).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), kind.list_size)
    return pa.array(column, type=kind, from_pandas=True)


def _require_columns(path: Path, found: Sequence[str], schema: TableSchema) -> None:
    expected = [column.name for column in schema.columns]
    if list(found) != expected:
        missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        detail = f"missing {missing}, unexpected {extra}" if missing or extra else f"order is {list(found)}"
        raise StorageError(f"{path}: not a '{schema.name}' table of version {schema.version}: {detail}")


def _require_version(path: Path, metadata: dict[bytes, bytes], schema: TableSchema) -> None:
    found = json.loads(metadata.get(b"moviestrip", b"{}"))
    if found != {"table": schema.name, "version": schema.version}:
        raise StorageError(
            f"{path}: says it is {found or 'no moviestrip table'}, expected '{schema.name}' version {schema.version}; "
            f"delete it and run the stage again"
        )


def _require_modest_size(path: Path, metadata: pq.FileMetaData) -> None:
    """Refuse from the metadata alone: run-length encoding lets a few kilobytes decode to gigabytes."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    values = sum(group.column(index).num_values for group in groups for index in range(group.num_columns))
    decoded = max(4 * values, sum(group.total_byte_size for group in groups))
    on_disk = path.stat().st_size
    limit = min(MAXIMUM_TABLE_BYTES, MAXIMUM_EXPANSION * max(on_disk, 2**16))
    if decoded > limit:
        raise StorageError(
            f"{path}: {on_disk:,} bytes on disk promise {metadata.num_rows:,} rows and {decoded:,} bytes in memory; "
            f"refused above {limit:,} bytes"
        )
