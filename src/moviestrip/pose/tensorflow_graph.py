"""Write a TensorFlow.js graph model in LiteRT's file format.

MoveNet's several-people model is published only in TensorFlow.js' form inside a package: a list of nodes with plain
operations. Each becomes one operation of LiteRT. Only what lies between a picture and MoveNet's maps is known: another
graph fails with the name of what is missing.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moviestrip.errors import FatalError
from moviestrip.pose.litert_writer import NO_ACTIVATION, RELU, RELU6, NetworkWriter

Attributes = Mapping[str, Any]
# What a node gives: a tensor's number in the network being written, or what is known before it runs.
Value = int | np.ndarray
ACTIVATIONS = {(): NO_ACTIVATION, ("Relu",): RELU, ("Relu6",): RELU6}


class TensorFlowGraph:
    """A graph with one input, whose sides are open, and its constants."""

    def __init__(self, graph: Path, weights: Path):
        model = json.loads(graph.read_text("utf-8"))
        self._path = graph
        self._nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self._constants = read_weights(model["weightsManifest"], weights.read_bytes())
        self._input = _producer(next(iter(model["signature"]["inputs"].values()))["name"])

    def litert_file(self, shape: tuple[int, ...], outputs: Sequence[str]) -> bytes:
        """The network from an input of that shape to the nodes named, with only the nodes they are computed from."""
        if unknown := [name for name in outputs if name not in self._nodes]:
            raise FatalError(
                f"{self._path}: there is no node '{unknown[0]}' in this graph; it is not the expected model"
            )
        writer = NetworkWriter()
        known: dict[str, Value] = {self._input: writer.tensor(shape)}
        for name in execution_order(self._nodes, outputs):
            if name not in known:
                known[name] = self._written(writer, self._nodes[name], known)
        return writer.file(_tensor(writer, known[self._input]), [_tensor(writer, known[name]) for name in outputs])

    def _written(self, writer: NetworkWriter, node: Mapping[str, Any], known: Mapping[str, Value]) -> Value:
        name = node["name"]
        if node["op"] == "Const":
            return self._constants[name]
        operation = OPERATIONS.get(node["op"])
        if operation is None:
            raise FatalError(f"{self._path}: node '{name}': the operation '{node['op']}' is not known")
        inputs = [known[_producer(given)] for given in node["input"]]
        attributes = {key: attribute_value(value) for key, value in node.get("attr", {}).items()}
        try:
            return operation(writer, attributes, *inputs)
        except _UnknownUseError as error:
            raise FatalError(f"{self._path}: node '{name}': {node['op']}: {error}") from error


class _UnknownUseError(Exception):
    """An operation that is known, used in a way that is not."""


def read_weights(manifest: Sequence[Mapping[str, Any]], content: bytes) -> dict[str, np.ndarray]:
    """Constants by name; half-precision ones become single precision."""
    constants = {}
    place = 0
    for weight in (weight for group in manifest for weight in group["weights"]):
        stored = np.dtype(weight.get("quantization", weight)["dtype"])
        count = int(np.prod(weight["shape"]))
        values = np.frombuffer(content, stored, count, place).reshape(weight["shape"])
        place += count * stored.itemsize
        constants[weight["name"]] = values.astype(weight["dtype"])
    if place != len(content):
        raise FatalError(f"the graph's manifest describes {place} bytes of weights, the file has {len(content)}")
    return constants


def execution_order(nodes: Mapping[str, Attributes], outputs: Sequence[str]) -> list[str]:
    """Names of the nodes the outputs need, each after its inputs."""
    order: dict[str, None] = {}
    waiting = list(reversed(outputs))
    while waiting:
        name = waiting[-1]
        missing = [maker for maker in map(_producer, nodes[name].get("input", [])) if maker not in order]
        if name in order or not missing:
            order.setdefault(waiting.pop())
        else:
            waiting += reversed(missing)
    return list(order)


def _producer(reference: str) -> str:
    """The node of a reference; only first outputs are known."""
    name, _, index = reference.partition(":")
    if index not in ("", "0"):
        raise FatalError(f"the graph reads '{reference}': only a node's first output is known")
    return name


def attribute_value(attribute: Mapping[str, Any]) -> Any:
    """A node's attribute as a Python value: text, number, flag, type name or list of these."""
    kind, value = next(iter(attribute.items()))
    if kind == "list":
        kind, values = next(iter(value.items()), ("none", []))
        return [attribute_value({kind: one}) for one in values]
    if kind == "s":
        return base64.b64decode(value).decode()
    return int(value) if kind == "i" else value


def _tensor(writer: NetworkWriter, value: Value) -> int:
    return value if isinstance(value, int) else writer.tensor(value.shape, value)


def _of(value: Value, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _UnknownUseError("expected what is computed where a constant is, or the other way round")
    return value


def _stride(attributes: Attributes, kernel: Sequence[int]) -> int:
    """Of a window that is padded as everything that is written."""
    _, down, across, _ = attributes["strides"]
    if down != across or set(attributes.get("dilations", [1])) != {1}:
        raise _UnknownUseError(f"strides {attributes['strides']} with dilations {attributes.get('dilations')}")
    if attributes["padding"] != "SAME" and tuple(kernel) != (1, 1):
        raise _UnknownUseError(f"padding {attributes['padding']} of a window of {tuple(kernel)}")
    return int(down)


def _activation(attributes: Attributes) -> int:
    fused = tuple(name for name in attributes.get("fused_ops", []) if name != "BiasAdd")
    if fused not in ACTIVATIONS:
        raise _UnknownUseError(f"fused with {', '.join(fused)}")
    return int(ACTIVATIONS[fused])


def _convolution(writer: NetworkWriter, attributes: Attributes, values: Value, weights: Value, *bias: Value) -> int:
    kernel = _of(weights, np.ndarray)
    offsets = _of(bias[0], np.ndarray) if bias else np.zeros(kernel.shape[3], np.float32)
    stride, activation = _stride(attributes, kernel.shape[:2]), _activation(attributes)
    return writer.convolution(_of(values, int), kernel.transpose(3, 0, 1, 2), offsets, stride, activation)


def _depthwise(writer: NetworkWriter, attributes: Attributes, values: Value, weights: Value, *bias: Value) -> int:
    kernel = _of(weights, np.ndarray)
    if kernel.shape[3] != 1:
        raise _UnknownUseError(f"{kernel.shape[3]} outputs of each channel")
    offsets = _of(bias[0], np.ndarray) if bias else np.zeros(kernel.shape[2], np.float32)
    stride, activation = _stride(attributes, kernel.shape[:2]), _activation(attributes)
    return writer.depthwise(_of(values, int), kernel.transpose(3, 0, 1, 2), offsets, stride, activation)


def _arithmetic(operation: str, at_once: Callable[..., np.ndarray]) -> Callable[..., Value]:
    def written(writer: NetworkWriter, attributes: Attributes, first: Value, second: Value) -> Value:
        if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
            return at_once(first, second)
        return writer.arithmetic(operation, _of(first, int), _tensor(writer, second))

    return written


def _max_pool(writer: NetworkWriter, attributes: Attributes, values: Value) -> int:
    _, height, width, _ = attributes["ksize"]
    if height != width or _stride(attributes, (height, width)) != 1:
        raise _UnknownUseError(f"windows {attributes['ksize']} with strides {attributes['strides']}")
    return writer.highest_around(_of(values, int), height)


def _resize(writer: NetworkWriter, attributes: Attributes, values: Value, size: Value) -> int:
    if not attributes["half_pixel_centers"]:
        raise _UnknownUseError("only half-pixel centres are known")
    height, width = _of(size, np.ndarray).tolist()
    return writer.resized(_of(values, int), height, width)


def _shape(writer: NetworkWriter, attributes: Attributes, values: Value) -> np.ndarray:
    return np.array(writer.shape(_of(values, int)), np.int32)


def _part(writer: NetworkWriter, attributes: Attributes, values: Value, *bounds: Value) -> np.ndarray:
    """Of a shape: its numbers from one place to another."""
    if masks := [name for name, value in attributes.items() if name.endswith("_mask") and value]:
        raise _UnknownUseError(f"with {masks[0]}")
    (first,), (last,), (step,) = (_of(bound, np.ndarray).tolist() for bound in bounds)
    return np.asarray(_of(values, np.ndarray)[first:last:step])


# Operation -> what it writes with (writer, attributes, *inputs).
OPERATIONS: dict[str, Callable[..., Value]] = {
    "_FusedConv2D": _convolution,
    "FusedDepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNative": _depthwise,
    "AddV2": _arithmetic("add", np.add),
    "Sub": _arithmetic("subtract", np.subtract),
    "Mul": _arithmetic("multiply", np.multiply),
    "Cast": lambda writer, attributes, values: values,  # of whole numbers: everything is written as single precision
    "Sigmoid": lambda writer, attributes, values: writer.sigmoid(_of(values, int)),
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
    "Shape": _shape,
    "StridedSlice": _part,
}
