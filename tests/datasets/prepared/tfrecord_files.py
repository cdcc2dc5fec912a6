"""TFRecord files as TensorBoard's writer and Google's protobuf make them, with nothing of this project's."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorboard.summary.writer.record_writer import RecordWriter

FIELD = descriptor_pb2.FieldDescriptorProto


def write_records(path: Path, records: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)
        writer.flush()


def serialised(features: Mapping[str, Any], packed: bool = True) -> bytes:
    """A tf.train.Example: floats from an array of floats, integers from one of integers, bytes from a list."""
    example = _message("Example", packed)()
    for name, values in features.items():
        feature = example.features.feature[name]
        if isinstance(values, list):
            feature.bytes_list.value.extend(values)
        elif np.issubdtype(np.asarray(values).dtype, np.integer):
            feature.int64_list.value.extend(np.ravel(values).tolist())
        else:
            feature.float_list.value.extend(np.asarray(values, np.float32).ravel().tolist())
    return example.SerializeToString()


@cache
def _message(name: str, packed: bool) -> Any:
    """Of tensorflow/core/example/example.proto and feature.proto."""
    package = f"reference{int(packed)}"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for kind, number in (("Bytes", FIELD.TYPE_BYTES), ("Float", FIELD.TYPE_FLOAT), ("Int64", FIELD.TYPE_INT64)):
        field = file.message_type.add(name=f"{kind}List").field.add(
            name="value", number=1, type=number, label=FIELD.LABEL_REPEATED
        )
        if kind != "Bytes":
            field.options.packed = packed
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("Bytes", "Float", "Int64"), start=1):
        feature.field.add(
            name=f"{kind.lower()}_list", number=number, type=FIELD.TYPE_MESSAGE, label=FIELD.LABEL_OPTIONAL,
            type_name=f".{package}.{kind}List", oneof_index=0,
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=FIELD.TYPE_MESSAGE, label=FIELD.LABEL_OPTIONAL, type_name=f".{package}.Feature"
    )
    features.field.add(
        name="feature", number=1, type=FIELD.TYPE_MESSAGE, label=FIELD.LABEL_REPEATED,
        type_name=f".{package}.Features.FeatureEntry",
    )  # fmt: skip
    file.message_type.add(name="Example").field.add(
        name="features", number=1, type=FIELD.TYPE_MESSAGE, label=FIELD.LABEL_OPTIONAL, type_name=f".{package}.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
