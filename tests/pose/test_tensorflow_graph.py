"""A TensorFlow.js graph gives in LiteRT what its operations mean, and says what it cannot be."""

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float32

from moviestrip.errors import FatalError
from moviestrip.pose.blazepose import Network
from moviestrip.pose.tensorflow_graph import TensorFlowGraph, attribute_value

Picture = Float32[np.ndarray, "height width channels"]
WINDOW = {"padding": {"s": base64.b64encode(b"SAME").decode()}, "strides": {"list": {"i": ["1", "2", "2", "1"]}}}
STEP_1 = {"strides": {"list": {"i": ["1", "1", "1", "1"]}}}


def fused(*names: str) -> dict:
    return {"fused_ops": {"list": {"s": [base64.b64encode(name.encode()).decode() for name in names]}}}


def graph_of(folder: Path, nodes: list[dict], constants: dict[str, np.ndarray], extra: bytes = b"") -> TensorFlowGraph:
    """A graph from `x`, its nodes stored in the wrong order."""
    nodes = [{"name": "x", "op": "Placeholder"}, *({"name": name, "op": "Const"} for name in constants), *nodes]
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)} for name, value in constants.items()
    ]
    signature = {"inputs": {"input": {"name": "x:0"}}, "outputs": {"output": {"name": f"{nodes[-1]['name']}:0"}}}
    manifest = [{"weights": weights}]
    model = {"modelTopology": {"node": nodes[::-1]}, "signature": signature, "weightsManifest": manifest}
    (folder / "graph.json").write_text(json.dumps(model))
    (folder / "weights.bin").write_bytes(b"".join(value.tobytes() for value in constants.values()) + extra)
    return TensorFlowGraph(folder / "graph.json", folder / "weights.bin")


def result(graph: TensorFlowGraph, picture: Picture, node: str = "y") -> np.ndarray:
    return Network(graph.litert_file((1, *picture.shape), [node]))(picture)[0]


def picture(*shape: int) -> Picture:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_convolutions_pad_as_tensorflow_does(tmp_path):
    """SAME padding of stride 2: the odd pixel goes to the end, so output i sees inputs 2i, 2i + 1, 2i + 2."""
    weights = np.array([0, 0, 0, 1, 10, 100, 0, 0, 0], np.float32).reshape(3, 3, 1, 1)
    values = np.zeros((2, 6, 1), np.float32)
    values[1, :, 0] = range(6)
    for operation in ("_FusedConv2D", "DepthwiseConv2dNative"):
        node = {"name": "y", "op": operation, "input": ["x", "weights"], "attr": WINDOW}
        assert result(graph_of(tmp_path, [node], {"weights": weights}), values).flatten().tolist() == [210, 432, 54]


@pytest.mark.parametrize(
    ("activation", "limits"), [("Relu", (0, np.inf)), ("Relu6", (0, 6)), (None, (-np.inf, np.inf))]
)
def test_convolutions_are_those_of_torch(tmp_path, activation, limits):
    values, kernel, bias = 3 * picture(7, 9, 4), picture(3, 3, 4, 5), picture(5)
    attributes = WINDOW | STEP_1 | fused("BiasAdd", *([activation] if activation else []))
    node = {"name": "y", "op": "_FusedConv2D", "input": ["x", "kernel", "bias"], "attr": attributes}
    found = result(graph_of(tmp_path, [node], {"kernel": kernel, "bias": bias}), values)
    plain = torch.nn.functional.conv2d(
        torch.tensor(values).permute(2, 0, 1), torch.tensor(kernel).permute(3, 2, 0, 1), torch.tensor(bias), padding=1
    )
    expected = plain.permute(1, 2, 0).numpy().clip(*limits)
    assert (expected > 6).any() == (activation != "Relu6")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_picture_grows_between_the_centres_of_its_pixels(tmp_path):
    """To twice its sides, which the graph computes from its own shape, as MoveNet's does."""
    nodes = [
        {"name": "shape", "op": "Shape", "input": ["x"]},
        {"name": "sides", "op": "StridedSlice", "input": ["shape", "one", "three", "one"]},
        {"name": "twice", "op": "Mul", "input": ["sides", "two"]},
        {"name": "y", "op": "ResizeBilinear", "input": ["x", "twice"], "attr": {"half_pixel_centers": {"b": True}}},
    ]
    constants = {name: np.array([value], np.int32) for name, value in (("one", 1), ("two", 2), ("three", 3))}
    values = picture(4, 6, 2)
    grown = torch.nn.functional.interpolate(
        torch.tensor(values).permute(2, 0, 1)[None], scale_factor=2, mode="bilinear"
    )
    found = result(graph_of(tmp_path, nodes, constants), values)
    np.testing.assert_allclose(found, grown[0].permute(1, 2, 0).numpy(), atol=1e-6)


def test_values_are_taken_one_by_one(tmp_path):
    nodes = [
        {"name": "less", "op": "Sub", "input": ["x", "two"]},
        {"name": "times", "op": "Mul", "input": ["less", "two"]},
        {"name": "sum", "op": "AddV2", "input": ["x", "times"]},
        {"name": "y", "op": "Sigmoid", "input": ["sum"]},
    ]
    found = result(graph_of(tmp_path, nodes, {"two": np.array(2, np.float32)}), values := picture(3, 4, 2))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(values + 2 * (values - 2)))), atol=1e-6)


def test_the_highest_around_does_not_see_beyond_the_picture(tmp_path):
    attributes = WINDOW | STEP_1 | {"ksize": {"list": {"i": ["1", "5", "5", "1"]}}}
    graph = graph_of(tmp_path, [{"name": "y", "op": "MaxPool", "input": ["x"], "attr": attributes}], {})
    values = -np.arange(6, dtype=np.float32).reshape(1, 6, 1)
    assert result(graph, values).flatten().tolist() == [0, 0, 0, -1, -2, -3]


def test_attributes_are_read():
    assert attribute_value({"s": base64.b64encode(b"SAME").decode()}) == "SAME"
    assert attribute_value({"list": {"i": ["1", "2"]}}) == [1, 2]
    assert attribute_value({"list": {}}) == [] and attribute_value({"b": False}) is False


def test_half_precision_weights_become_single_ones(tmp_path):
    weights = [{"name": "two", "shape": [], "dtype": "float32", "quantization": {"dtype": "float16"}}]
    graph_of(tmp_path, [{"name": "y", "op": "Mul", "input": ["x", "two"]}], {"two": np.array(2, np.float32)})
    model = json.loads((tmp_path / "graph.json").read_text())
    (tmp_path / "graph.json").write_text(json.dumps(model | {"weightsManifest": [{"weights": weights}]}))
    (tmp_path / "weights.bin").write_bytes(struct.pack("<e", 2.5))
    graph = TensorFlowGraph(tmp_path / "graph.json", tmp_path / "weights.bin")
    assert result(graph, np.array([[[2]]], np.float32)).item() == 5


@pytest.mark.parametrize(
    ("operation", "attributes", "message"),
    [
        ("MatMul", {}, "node 'y': the operation 'MatMul' is not known"),
        ("_FusedConv2D", WINDOW | fused("BiasAdd", "Elu"), "node 'y': _FusedConv2D: fused with Elu"),
        ("_FusedConv2D", WINDOW | {"strides": {"list": {"i": ["1", "1", "2", "1"]}}}, r"strides \[1, 1, 2, 1\] with"),
        (
            "_FusedConv2D",
            WINDOW | {"padding": {"s": base64.b64encode(b"VALID").decode()}},
            r"padding VALID of .*\(3, 3\)",
        ),
        ("DepthwiseConv2dNative", WINDOW, "2 outputs of each channel"),
        ("ResizeBilinear", {"half_pixel_centers": {"b": False}}, "only half-pixel centres"),
        ("Sigmoid", {}, "expected what is computed"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path, operation, attributes, message):
    inputs = ["weights"] if operation == "Sigmoid" else ["x", "weights"]
    node = {"name": "y", "op": operation, "input": inputs, "attr": attributes}
    graph = graph_of(tmp_path, [node], {"weights": picture(3, 3, 1, 2)})
    with pytest.raises(FatalError, match=message):
        graph.litert_file((1, 8, 8, 1), ["y"])


def test_files_that_do_not_belong_together_are_told(tmp_path):
    node = {"name": "y", "op": "Mul", "input": ["x", "two"]}
    with pytest.raises(FatalError, match="describes 4 bytes of weights, the file has 8"):
        graph_of(tmp_path, [node], {"two": np.array(2, np.float32)}, extra=bytes(4))
    graph = graph_of(tmp_path, [node], {"two": np.array(2, np.float32)})
    with pytest.raises(FatalError, match="there is no node 'heat' in this graph"):
        graph.litert_file((1, 8, 8, 1), ["heat"])
