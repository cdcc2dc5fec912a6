import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as tflite

from moviestrip.errors import ConfigError, StorageError
from moviestrip.features import backbones, residual
from moviestrip.features.efficient import random_efficientnet
from moviestrip.features.efficient_graph import litert_file
from moviestrip.parts import part_file
from moviestrip.pose.blazepose import Network


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """Three smooth random pictures, 256 px."""
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (3, 6, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(picture, (256, 256), interpolation=cv2.INTER_CUBIC) for picture in small])


@pytest.fixture(scope="module")
def blazepose() -> backbones.BlazePoseBackbone:
    return backbones.BlazePoseBackbone("full")


def constant(graph, maker, tensor: int, buffers) -> np.ndarray:
    """The value of a weight, which the file may hold in half precision."""
    source = maker[tensor].inputs[0] if tensor in maker else tensor
    kind = np.float16 if graph.tensors[source].type == tflite.TensorType.FLOAT16 else np.float32
    data = np.asarray(buffers[graph.tensors[source].buffer].data, np.uint8).tobytes()
    return np.frombuffer(data, kind).reshape(graph.tensors[source].shape).astype(np.float64)


def test_a_linear_map_of_phi_gives_blazeposes_own_3d_joints(blazepose, crops):
    """Computed here from the weights in the file: phi is all its 3D joints are read from."""
    content = part_file("blazepose-full").read_bytes()
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    maker = {output: operator for operator in graph.operators for output in operator.outputs}
    feature = backbones.feature_tensor(graph)
    layer = next(
        operator
        for operator in graph.operators
        if len(operator.inputs) == 3
        and operator.inputs[0] == feature
        and graph.tensors[operator.outputs[0]].shape[-1] == 117
    )
    weights, biases = (constant(graph, maker, tensor, model.buffers) for tensor in layer.inputs[1:])
    phi = blazepose(crops[:1])[0]
    expected = Network(content)(crops[0].astype(np.float32) / 255)[4]
    shaped = phi.reshape(graph.tensors[feature].shape[1:])
    np.testing.assert_allclose(np.tensordot(weights, shaped, 3) + biases, expected.reshape(-1), atol=1e-4)


def test_blazepose_features_have_their_contract(blazepose, crops):
    phi = blazepose(crops)
    assert phi.shape == (3, 1152) and phi.dtype == np.float32 and blazepose.dimension == 1152
    assert blazepose.digest == hashlib.sha256(part_file("blazepose-full").read_bytes()).hexdigest()
    assert blazepose(crops[1:2])[0].tobytes() == phi[1].tobytes()
    assert backbones.BlazePoseBackbone("full")(crops).tobytes() == phi.tobytes()
    assert blazepose(crops[:0]).shape == (0, 1152)


@pytest.mark.parametrize(("name", "dimension"), [("resnet50-random", 2048), ("efficientnet-lite0-random", 1280)])
def test_random_features_derive_from_the_seed_alone(crops, name, dimension):
    small = crops[:2, :224, :224]
    first, again = (backbones.load_backbone(name, seed=5)(small) for _ in range(2))
    other = backbones.load_backbone(name, seed=6)(small)
    assert first.shape == (2, dimension) and np.isfinite(first).all()
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_a_folded_network_is_the_same_function():
    network = random_efficientnet(3, 96)
    pixels = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network.folded()(pixels), network(pixels), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side_px", [96, 127])
def test_an_efficientnet_in_litert_is_the_same_function_of_each_crop(side_px):
    """Against the network as it was trained, in torch; an odd side is padded otherwise than an even one."""
    network = random_efficientnet(3, 96)
    crops = np.random.default_rng(0).integers(0, 255, (6, side_px, side_px, 3), np.uint8)
    backbone = backbones.EfficientNetBackbone("random", litert_file(network, side_px), "digest")
    phi = backbone(crops)
    mean, deviation = (torch.tensor(values) for values in backbones.IMAGENET)
    with torch.inference_mode():
        pixels = (torch.from_numpy(crops).float() / 255 - mean) / deviation
        expected = network(pixels.permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(phi, expected, atol=1e-5, rtol=1e-4)
    assert phi[:5].tobytes() == backbone(crops[:5]).tobytes() and backbone(crops[:0]).shape == (0, 1280)


def test_random_features_tell_pictures_apart(crops):
    phi = backbones.load_backbone("efficientnet-lite0-random", seed=0)(crops[:, :224, :224])
    assert 0.05 < phi.std() < 5
    assert np.abs(phi[0] - phi[1]).mean() > 0.01 * phi.std()


def test_efficientnet_gives_what_its_own_package_gives(crops):
    """Golden: 64 features of two pictures, from the `efficientnet-lite-pytorch` package with the same weights."""
    golden = np.load(Path(__file__).resolve().parents[1] / "data" / "features" / "efficientnet_lite0.npy")
    backbone = backbones.load_backbone("efficientnet-lite0")
    phi = backbone(crops[:2, :224, :224])
    assert phi.shape == (2, backbone.dimension) == (2, 1280)
    np.testing.assert_allclose(phi[:, :64], golden, atol=1e-4)


def spin_like(tmp_path, **changes):
    """A checkpoint of SPIN's layout: a ResNet-50 and a head under 'model'."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = residual.ResNet50()
    state = {**network.state_dict(), "fc1.weight": torch.zeros(4, 4), "init_pose": torch.zeros(1, 144), **changes}
    torch.save({"model": state, "epoch": 3}, tmp_path / "spin.pt")
    return tmp_path / "spin.pt", network


def test_spins_layout_is_loaded_and_its_head_left_aside(tmp_path, crops):
    path, network = spin_like(tmp_path)
    assert len(network.state_dict()) == 318
    loaded = backbones.load_backbone("resnet50-spin", path)
    pixels = torch.from_numpy(crops[:1, :224, :224]).float().permute(0, 3, 1, 2) / 255
    mean, deviation = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = network.eval()((pixels - mean) / deviation)
    np.testing.assert_allclose(loaded(crops[:1, :224, :224]), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path, _ = spin_like(tmp_path, **{"layer1.0.conv1.weight": torch.zeros(2, 2)})
    with pytest.raises(StorageError, match=r"spin\.pt: model\['layer1\.0\.conv1\.weight'\] has shape .*\[2, 2\]"):
        backbones.load_backbone("resnet50-spin", path)
    with pytest.raises(ConfigError, match=r"features\.checkpoints\.resnet50-spin: needed"):
        backbones.load_backbone("resnet50-spin")
    with pytest.raises(StorageError, match="there is no such file"):
        backbones.load_backbone("resnet50-spin", tmp_path / "none.pt")
    with pytest.raises(ConfigError, match=r"features\.backbone: 'resnet51' is not known"):
        backbones.load_backbone("resnet51")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.faults
def test_fault_19_a_malicious_checkpoint_is_not_run(tmp_path):
    torch.save({"model": Payload(str(tmp_path / "ran"))}, tmp_path / "spin.pt")
    with pytest.raises(StorageError, match=r"spin\.pt: not a checkpoint that is safe to load"):
        backbones.load_backbone("resnet50-spin", tmp_path / "spin.pt")
    assert not (tmp_path / "ran").exists()
