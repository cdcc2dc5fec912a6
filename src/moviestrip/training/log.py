"""The training log: one table, and the same numbers as a TensorBoard event file.

The event file is rewritten whole from the table, with steps for times and a fixed name, so that it can be watched
during training and is still the same bytes after any two equal runs.
"""

from pathlib import Path

import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from moviestrip.storage import atomic_path
from moviestrip.tables import TRAINING_LOG, write_table

EVENTS = "events.out.tfevents.0.moviestrip"
LogRow = tuple[int, str, float]  # step, name, value


def write_log(out_folder: Path, rows: list[LogRow]) -> None:
    """log.parquet and tensorboard/ of a run."""
    write_table(out_folder / "log.parquet", pd.DataFrame(rows, columns=["step", "loss", "value"]), TRAINING_LOG)
    write_events(out_folder / "tensorboard" / EVENTS, rows)


def write_events(path: Path, rows: list[LogRow]) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
        for step, name, value in rows:
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
            writer.write(Event(wall_time=float(step), step=step, summary=summary).SerializeToString())
        writer.flush()
