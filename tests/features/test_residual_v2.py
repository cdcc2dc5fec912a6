"""HMR's image network against slim's, by values and by what its paddings and strides must do."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from moviestrip.errors import ConfigError, FatalError, StorageError
from moviestrip.features import backbones
from moviestrip.features.residual_v2 import BLOCKS, BottleneckV2, ResNet50V2, names, network_of, pool_same

# From TensorFlow 2.15 and tf-slim 1.1.0 (resnet_v2_50, is_training=False) with the variables and pictures drawn below.
GOLDEN = np.load(Path(__file__).resolve().parents[1] / "data" / "features" / "resnet_v2_50.npz")


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A variable in slim's layout that depends on its name and shape alone."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    leaf = name.split("/")[-1]
    if leaf == "moving_variance":
        return 1 + np.float32(0.1) * np.abs(values)
    if leaf == "gamma":
        return 1 + np.float32(0.1) * values
    if len(shape) == 1:
        return np.float32(0.01) * values
    return values / np.sqrt(np.float32(np.prod(shape[:-1])))


@pytest.fixture(scope="module")
def variables() -> dict[str, np.ndarray]:
    with torch.device("meta"):
        state = ResNet50V2().state_dict()
    named = {}
    for ours, theirs in names():
        shape = tuple(state[ours].shape)
        named[theirs] = drawn(theirs, shape if len(shape) == 1 else (*shape[2:], shape[1], shape[0]))
    return named


@pytest.fixture(scope="module")
def network(variables) -> ResNet50V2:
    return network_of(variables)


@pytest.mark.parametrize(("key", "height", "width"), [("square", 224, 224), ("odd", 97, 75)])
def test_it_gives_what_slim_gives(network: ResNet50V2, key: str, height: int, width: int):
    pictures = np.random.default_rng(height).uniform(-1, 1, (1, height, width, 3)).astype(np.float32)
    with torch.inference_mode():
        phi = network(torch.from_numpy(pictures).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(phi, GOLDEN[key], atol=2e-5)


def test_every_number_has_one_name_of_slims(network: ResNet50V2):
    ours, theirs = zip(*names(), strict=True)
    assert len(set(theirs)) == len(theirs) == 270  # what slim makes
    counted = {name for name in network.state_dict() if name.endswith("num_batches_tracked")}
    assert set(ours) == set(network.state_dict()) - counted
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_519_360
    assert "resnet_v2_50/block3/unit_6/bottleneck_v2/conv2/BatchNorm/moving_variance" in theirs


def test_the_last_unit_of_a_block_strides_and_the_first_widens():
    with torch.device("meta"):
        network = ResNet50V2()
    for index, (_, units, stride) in enumerate(BLOCKS, start=1):
        block = getattr(network, f"block{index}")
        assert [unit.conv2.stride[0] for unit in block] == [1] * (units - 1) + [stride]
        assert [unit.shortcut is not None for unit in block] == [True] + [False] * (units - 1)


def test_a_strided_unit_keeps_every_second_pixel_from_the_first():
    unit = BottleneckV2(16, 4, 2).eval()
    torch.nn.init.zeros_(unit.conv3.weight)
    torch.nn.init.zeros_(unit.conv3.bias)
    values = torch.randn(1, 16, 7, 6)
    torch.testing.assert_close(unit(values), values[:, :, ::2, ::2])


@pytest.mark.parametrize(("length", "windows"), [(6, [(0, 3), (2, 5), (4, 6)]), (5, [(0, 2), (1, 4), (3, 5)])])
def test_the_pool_pads_at_the_end_first(length: int, windows: list[tuple[int, int]]):
    values = torch.randn(2, 3, length, length)
    expected = [[values[:, :, a:b, c:d].amax((2, 3)) for c, d in windows] for a, b in windows]
    stacked = torch.stack([torch.stack(row, dim=-1) for row in expected], dim=-2)
    torch.testing.assert_close(pool_same(values), stacked, rtol=0, atol=0)


def test_variables_that_do_not_fit_are_named(variables):
    name = "resnet_v2_50/block1/unit_1/bottleneck_v2/preact/gamma"
    with pytest.raises(FatalError, match=f"lacks the variable '{name}'"):
        network_of({key: value for key, value in variables.items() if key != name})
    with pytest.raises(FatalError, match=rf"'{name}' is \(3,\), ResNet-50 needs \(64,\)"):
        network_of({**variables, name: np.zeros(3, np.float32)})


def test_the_backbone_reads_what_was_imported_and_sees_pixels_from_minus_one_to_one(tmp_path: Path, network):
    path = tmp_path / "hmr-features.pt"
    torch.save({"model": network.state_dict()}, path)
    backbone = backbones.load_backbone("resnet50-hmr", path)
    crops = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = network(torch.from_numpy(crops / 127.5 - 1).float().permute(0, 3, 1, 2))
    phi = backbone(crops)
    assert (backbone.name, backbone.dimension, phi.shape) == ("resnet50-hmr", 2048, (1, 2048))
    np.testing.assert_allclose(phi, expected.numpy(), atol=1e-5)


def test_the_backbone_says_what_it_needs(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"features\.checkpoints\.resnet50-hmr: needed; give what"):
        backbones.load_backbone("resnet50-hmr")
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(StorageError, match=r"model\['conv1\.weight'\] .* is it what `moviestrip import-checkpoint`"):
        backbones.load_backbone("resnet50-hmr", tmp_path / "other.pt")
