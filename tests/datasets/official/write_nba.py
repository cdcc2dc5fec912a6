"""A miniature NBA in HMMR's format of evaluation, made from people whose bodies are known.

The records are written by TensorBoard's writer and Google's protobuf, not by anything of this project's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorboard.summary.writer.record_writer import RecordWriter

from moviestrip.skeleton import HMMR_25
from tests.datasets.official.stick_figures import FRAMES, HEIGHT_PX, WIDTH_PX, filmed_keypoints, write_pictures

VIDEOS = (  # folder of the split, name, family of the motion
    ("train", "game01_shot003", "throw"),
    ("train", "game02_shot010", "reach"),
    ("val", "game03_shot001", "throw"),
    ("val", "game03_shot007", "jumping_jacks"),
    ("test", "game04_shot002", "throw"),
    ("test", "game05_shot011", "baseball_pitch"),
)
CROP_PX = 224
FIRST_FRAME = 2  # HMMR's boxes begin where the first joint is visible


@dataclass(frozen=True)
class TruePeople:
    frame: np.ndarray
    keypoints_px: np.ndarray  # rows, 25, 3


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


def write_nba(folder: Path, seed: int = 0) -> Written:
    """Six videos of 48 pictures and a record file for each; the first two frames have no label."""
    people = {}
    for number, (part, name, family) in enumerate(VIDEOS):
        keypoints = filmed_keypoints(family, seed * len(VIDEOS) + number)
        pictures = [f"{frame + 1:06d}.jpg" for frame in range(FRAMES)]
        write_pictures(folder / "frames" / name, pictures, [keypoints])
        frames = np.arange(FIRST_FRAME, FRAMES)
        rows = np.concatenate([keypoints, np.ones((FRAMES, 25, 1))], axis=-1)[frames]
        rows[:, [HMMR_25.index(f"{side}_{part}") for side in ("left", "right") for part in ("heel", "small_toe")]] = 0
        rows[10:14, HMMR_25.index("right_elbow")] = 0
        paths = [f"/scratch1/nba/frames/{name}/{pictures[frame]}" for frame in frames]
        write_record(folder / part / f"{name}.tfrecord", [example(paths, rows, (FIRST_FRAME, FRAMES))])
        people[f"{part}/{name}"] = TruePeople(frames, rows)
    return Written(folder, people)


def example(paths: list[str], rows: np.ndarray, ends: tuple[int, int]) -> dict[str, Any]:
    """The fields of one person's tracklet, in pixels of 224 x 224 crops that hold the person at 150 px."""
    points = rows[..., :2]
    seen = rows[..., 2] > 0
    low = np.where(seen[..., None], points, np.inf).min(axis=1)
    high = np.where(seen[..., None], points, -np.inf).max(axis=1)
    scales = 150 / np.linalg.norm(high - low, axis=-1)
    # The factor of the height comes first, though x does: so HMMR's resize_img has it, and so it is used.
    factors = np.floor(np.array([HEIGHT_PX, WIDTH_PX]) * scales[:, None]) / [HEIGHT_PX, WIDTH_PX]
    corners = np.round((low + high) / 2 * factors).astype(int) + CROP_PX - CROP_PX // 2
    cropped = points * factors[:, None] + CROP_PX - corners[:, None]
    labels = np.concatenate([cropped, rows[..., 2:]], axis=-1).transpose(0, 2, 1)  # frames, 3, 25
    black = cv2.imencode(".jpg", np.zeros((CROP_PX, CROP_PX, 3), np.uint8))[1].tobytes()
    frames = len(rows)
    return {
        "meta/N": [frames], "meta/time_pts": list(ends), "meta/has_3d": [0], "meta/has_3d_joints": [0],
        "image/filenames": [path.encode() for path in paths], "image/encoded": [black] * frames,
        "image/heightwidths": [CROP_PX] * (2 * frames), "image/centers": [CROP_PX // 2] * (2 * frames),
        "image/xys": labels[:, :2, :14], "image/visibilities": labels[:, 2, :14].astype(int).ravel().tolist(),
        "image/face_pts": labels[:, :, 14:19], "image/toe_pts": labels[:, :, 19:],
        "image/scale_factors": scales, "image/crop_pts": corners.ravel().tolist(),
        "mosh/shape": -np.ones(10), "mosh/poses": -np.ones((frames, 72)), "mosh/gt3ds": np.zeros((frames, 14, 3)),
        "image/cams": np.zeros(0),
    }  # fmt: skip


def write_record(path: Path, examples: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for fields in examples:
            writer.write(serialized(fields))
        writer.flush()


def serialized(fields: dict[str, Any]) -> bytes:
    """A tf.train.Example of lists of bytes, of whole numbers, and of float32."""
    message = _example_class()()
    for name, values in fields.items():
        feature = message.features.feature[name]
        if isinstance(values, np.ndarray):
            feature.float_list.value.extend(values.astype(np.float32).ravel().tolist())
        elif isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        else:
            feature.int64_list.value.extend(int(value) for value in values)
    return message.SerializeToString()


def _example_class() -> Any:
    """Made from what tensorflow/core/example/{feature,example}.proto declare."""
    file = descriptor_pb2.FileDescriptorProto(name="example_of_tests.proto", package="of_tests", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for list_name, kind in (
        ("BytesList", kinds.TYPE_BYTES),
        ("FloatList", kinds.TYPE_FLOAT),
        ("Int64List", kinds.TYPE_INT64),
    ):
        message = file.message_type.add(name=list_name)
        message.field.add(name="value", number=1, type=kind, label=kinds.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        kind_name = "".join(word.capitalize() for word in name.split("_"))
        feature.field.add(
            name=name, number=number, type=kinds.TYPE_MESSAGE, type_name=f".of_tests.{kind_name}",
            label=kinds.LABEL_OPTIONAL, oneof_index=0,
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=kinds.TYPE_MESSAGE, type_name=".of_tests.Feature", label=kinds.LABEL_OPTIONAL
    )
    features.field.add(
        name="feature", number=1, type=kinds.TYPE_MESSAGE, type_name=".of_tests.Features.FeatureEntry",
        label=kinds.LABEL_REPEATED,
    )  # fmt: skip
    example_message = file.message_type.add(name="Example")
    example_message.field.add(
        name="features", number=1, type=kinds.TYPE_MESSAGE, type_name=".of_tests.Features", label=kinds.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("of_tests.Example"))
