"""Run a TensorFlow.js graph model with torch.

MoveNet's several-people model is published only in this form inside a package. Its graph is a list of nodes
with plain operations; here each becomes one torch call, in NHWC as the graph has it. Only the operations that
model needs are known: another graph fails with the name of what is missing.
"""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from moviestrip.errors import FatalError

Attributes = Mapping[str, Any]
TYPES = {"DT_FLOAT": torch.float32, "DT_INT32": torch.int64, "DT_BOOL": torch.bool}


class TensorFlowGraph:
    """A graph with one input: call it with a tensor, get the tensors of its outputs, or of the nodes named."""

    def __init__(self, graph: Path, weights: Path, nodes: Sequence[str] = ()):
        model = json.loads(graph.read_text("utf-8"))
        self._nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self._constants = read_weights(model["weightsManifest"], weights.read_bytes())
        self._input = _producer(next(iter(model["signature"]["inputs"].values()))["name"])[0]
        outputs = nodes or [output["name"] for output in model["signature"]["outputs"].values()]
        if unknown := [name for name in outputs if _producer(name)[0] not in self._nodes]:
            raise FatalError(f"{graph}: there is no node '{unknown[0]}' in this graph; it is not the expected model")
        self._outputs = [_producer(name) for name in outputs]
        self._order = execution_order(self._nodes, [name for name, _ in self._outputs])
        self._inputs = {
            name: [_producer(given) for given in self._nodes[name].get("input", [])] for name in self._order
        }
        self._attributes = {name: attributes_of(self._nodes[name]) for name in self._order}

    def __call__(self, values: Tensor) -> list[Tensor]:
        known: dict[str, Sequence[Tensor]] = {self._input: [values]}
        with torch.inference_mode(), one_thread():
            for name in self._order:
                node = self._nodes[name]
                if node["op"] == "Const":
                    known[name] = [self._constants[name]]
                elif name != self._input:
                    inputs = [known[producer][index] for producer, index in self._inputs[name]]
                    known[name] = _applied(node, self._attributes[name], inputs)
        return [known[name][index] for name, index in self._outputs]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums over several threads differ in their last bits with the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def read_weights(manifest: Sequence[Mapping[str, Any]], content: bytes) -> dict[str, Tensor]:
    """Constants by name; half-precision ones become single precision, integers 64-bit."""
    constants = {}
    place = 0
    for weight in (weight for group in manifest for weight in group["weights"]):
        stored = np.dtype(weight.get("quantization", weight)["dtype"])
        count = int(np.prod(weight["shape"]))
        values = np.frombuffer(content, stored, count, place).reshape(weight["shape"])
        place += count * stored.itemsize
        kind = torch.float32 if weight["dtype"] == "float32" else torch.int64
        constants[weight["name"]] = torch.tensor(values).to(kind)
    if place != len(content):
        raise FatalError(f"the graph's manifest describes {place} bytes of weights, the file has {len(content)}")
    return constants


def execution_order(nodes: Mapping[str, Attributes], outputs: Sequence[str]) -> list[str]:
    """Names of the nodes the outputs need, each after its inputs."""
    order: dict[str, None] = {}
    waiting = list(reversed(outputs))
    while waiting:
        name = waiting[-1]
        missing = [maker for maker, _ in map(_producer, nodes[name].get("input", [])) if maker not in order]
        if name in order or not missing:
            order.setdefault(waiting.pop())
        else:
            waiting += reversed(missing)
    return list(order)


def _producer(reference: str) -> tuple[str, int]:
    name, _, index = reference.lstrip("^").partition(":")
    return name, int(index or 0)


def _applied(node: Mapping[str, Any], attributes: Attributes, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    operation = OPERATIONS.get(node["op"])
    if operation is None:
        raise FatalError(f"node '{node['name']}': the operation '{node['op']}' is not known")
    result = operation(attributes, *inputs)
    return [result] if isinstance(result, Tensor) else result


def attributes_of(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: attribute_value(value) for key, value in node.get("attr", {}).items()}


def attribute_value(attribute: Mapping[str, Any]) -> Any:
    """A node's attribute as a Python value: text, number, flag, type name or list of these."""
    kind, value = next(iter(attribute.items()))
    if kind == "list":
        kind, values = next(iter(value.items()), ("none", []))
        return [attribute_value({kind: one}) for one in values]
    if kind == "s":
        return base64.b64decode(value).decode()
    return int(value) if kind == "i" else value


def _padded(values: Tensor, attributes: Attributes, kernel: Sequence[int], fill: float = 0.0) -> Tensor:
    """NHWC to NCHW with TensorFlow's SAME padding: the odd pixel goes to the end."""
    values = values.permute(0, 3, 1, 2)
    if attributes["padding"] == "VALID":
        return values
    margins: list[int] = []
    for length, size, stride in zip(values.shape[:1:-1], kernel[::-1], attributes["strides"][2:0:-1], strict=True):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        margins += [total // 2, total - total // 2]
    return functional.pad(values, margins, value=fill)


def _convolution(attributes: Attributes, values: Tensor, weights: Tensor, *bias: Tensor) -> Tensor:
    if weights.shape[:2] == (1, 1) and attributes["strides"] == [1, 1, 1, 1]:
        # A product over channels: on one thread several times faster than torch's convolution.
        return _activated(attributes, functional.linear(values, weights[0, 0].T, *bias))
    return _convolved(attributes, values, weights.permute(3, 2, 0, 1).contiguous(), 1, bias)


def _depthwise(attributes: Attributes, values: Tensor, weights: Tensor, *bias: Tensor) -> Tensor:
    height, width, channels, multiplier = weights.shape
    kernel = weights.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _convolved(attributes, values, kernel, channels, bias)


def _convolved(attributes: Attributes, values: Tensor, kernel: Tensor, groups: int, bias: tuple[Tensor, ...]) -> Tensor:
    padded = _padded(values, attributes, kernel.shape[2:])
    stride = tuple(attributes["strides"][1:3])
    result = functional.conv2d(padded, kernel, bias[0] if bias else None, stride, groups=groups)
    return _activated(attributes, result.permute(0, 2, 3, 1))


def _activated(attributes: Attributes, values: Tensor) -> Tensor:
    fused = attributes.get("fused_ops", [])
    if "Relu6" in fused:
        return values.clamp_(0, 6)
    return values.clamp_(min=0) if "Relu" in fused else values


def _max_pool(attributes: Attributes, values: Tensor) -> Tensor:
    size = attributes["ksize"][1:3]
    padded = _padded(values, attributes, size, fill=-torch.inf)
    return functional.max_pool2d(padded, size, attributes["strides"][1:3]).permute(0, 2, 3, 1)


def _resize(attributes: Attributes, values: Tensor, size: Tensor) -> Tensor:
    if not attributes["half_pixel_centers"]:
        raise FatalError("ResizeBilinear: only half-pixel centres are known")
    grown = functional.interpolate(values.permute(0, 3, 1, 2), size.tolist(), mode="bilinear", align_corners=False)
    return grown.permute(0, 2, 3, 1)


def _strided_slice(attributes: Attributes, values: Tensor, begin: Tensor, end: Tensor, step: Tensor) -> Tensor:
    def flagged(mask: str, axis: int) -> bool:
        return bool(attributes.get(mask, 0) >> axis & 1)

    picks: list[slice | int | None] = []
    for axis, (first, last, stride) in enumerate(zip(begin.tolist(), end.tolist(), step.tolist(), strict=True)):
        if flagged("new_axis_mask", axis):
            picks.append(None)
        elif flagged("shrink_axis_mask", axis):
            picks.append(first)
        else:
            start = None if flagged("begin_mask", axis) else first
            picks.append(slice(start, None if flagged("end_mask", axis) else last, stride))
    return values[tuple(picks)]


def _top(attributes: Attributes, values: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    ordered, places = values.sort(dim=-1, descending=True, stable=True)
    return ordered[..., : int(count)], places[..., : int(count)]


def _divided(attributes: Attributes, first: Tensor, second: Tensor) -> Tensor:
    return torch.div(first, second, rounding_mode="floor")


# Operation -> what it does with (attributes, *inputs).
OPERATIONS: dict[str, Callable[..., Tensor | Sequence[Tensor]]] = {
    "_FusedConv2D": _convolution,
    "FusedDepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNative": _depthwise,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
    "StridedSlice": _strided_slice,
    "TopKV2": _top,
    "FloorDiv": _divided,
    "Identity": lambda attributes, values: values,
    "Cast": lambda attributes, values: values.to(TYPES[attributes["DstT"]]),
    "Mul": lambda attributes, first, second: first * second,
    "AddV2": lambda attributes, first, second: first + second,
    "AddN": lambda attributes, *values: sum(values[1:], start=values[0]),
    "Sub": lambda attributes, first, second: first - second,
    "RealDiv": lambda attributes, first, second: first / second,
    "SquaredDifference": lambda attributes, first, second: (first - second) ** 2,
    "Maximum": lambda attributes, first, second: torch.maximum(first, second),
    "Minimum": lambda attributes, first, second: torch.minimum(first, second),
    "Less": lambda attributes, first, second: first < second,
    "Greater": lambda attributes, first, second: first > second,
    "GreaterEqual": lambda attributes, first, second: first >= second,
    "Equal": lambda attributes, first, second: first == second,
    "LogicalAnd": lambda attributes, first, second: first & second,
    "Select": lambda attributes, condition, first, second: torch.where(condition, first, second),
    "Sigmoid": lambda attributes, values: values.sigmoid(),
    "Abs": lambda attributes, values: values.abs(),
    "Exp": lambda attributes, values: values.exp(),
    "Reciprocal": lambda attributes, values: values.reciprocal(),
    "Shape": lambda attributes, values: torch.tensor(values.shape),
    "Size": lambda attributes, values: torch.tensor(values.numel()),
    "Range": lambda attributes, start, end, step: torch.arange(start.item(), end.item(), step.item()),
    "Fill": lambda attributes, shape, value: value.expand(shape.tolist()),
    "Reshape": lambda attributes, values, shape: values.reshape(shape.tolist()),
    "Squeeze": lambda attributes, values: values.squeeze(tuple(attributes.get("squeeze_dims", range(values.ndim)))),
    "ExpandDims": lambda attributes, values, axis: values.unsqueeze(int(axis)),
    "Tile": lambda attributes, values, times: values.repeat(times.tolist()),
    "Pack": lambda attributes, *values: torch.stack(values, dim=attributes["axis"]),
    "Unpack": lambda attributes, values: values.unbind(attributes["axis"]),
    "ConcatV2": lambda attributes, *values: torch.cat(values[:-1], dim=int(values[-1])),
    "Split": lambda attributes, axis, values: values.tensor_split(attributes["num_split"], dim=int(axis)),
    "GatherNd": lambda attributes, values, places: values[places.unbind(-1)],
    "ArgMax": lambda attributes, values, axis: values.argmax(int(axis)),
    "Max": lambda attributes, values, axes: values.amax(axes.flatten().tolist(), attributes["keep_dims"]),
    "Sum": lambda attributes, values, axes: values.sum(axes.flatten().tolist(), attributes["keep_dims"]),
}
