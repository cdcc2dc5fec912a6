"""Weights made from official names, as the stored outputs of the releases were, and those names with their shapes."""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
HEADS = ("decpose", "decshape", "deccam", "3D_module/fc3")  # a tenth, as after their initialisation
Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, np.ndarray]


def standard_normals(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)


def seeded_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normals from the name's CRC-32, shifted and scaled by kind."""
    values = standard_normals(name, shape)
    leaf = name.replace("/", ".").split(".")[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        return np.float32(1) + np.float32(0.1) * np.abs(values)
    if (start := starting_values(leaf)) is not None:
        return start + np.float32(0.01 if leaf == "init_cam" else 0.1) * values
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.1) * values if leaf in ("weight", "gamma") else np.float32(0.01) * values
    inputs = np.prod(shape[:-1] if leaf == "weights" else shape[1:])
    gain = 0.1 if any(head in name for head in HEADS) else 1.0
    return values * np.float32(gain / np.sqrt(float(inputs)))


def starting_values(leaf: str) -> np.ndarray | None:
    """What a release's regressor starts from, before the normals are added."""
    starts = {
        "init_pose": [1, 0, 0, 1, 0, 0] * 24,
        "init_shape": [0] * 10,
        "init_cam": [0.9, 0, 0],
        "mean_param": [0.9, 0, 0, np.pi] + [0] * 81,
    }
    return np.array([starts[leaf]], np.float32) if leaf in starts else None


def seeded(shapes: Shapes) -> Tensors:
    return {name: seeded_tensor(name, shape) for name, shape in shapes.items()}


@cache
def facts(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def golden_tensors(name: str) -> Tensors:
    """The weights behind stored outputs, checked against the checksums stored with them."""
    tensors = {}
    for tensor, shape, checksum in facts(name)["parameters"]:
        tensors[tensor] = seeded_tensor(tensor, tuple(shape))
        assert zlib.crc32(np.ascontiguousarray(tensors[tensor]).tobytes()) == checksum, tensor
    return tensors


def golden_input(name: str) -> np.ndarray:
    wanted = facts(name)["input"]
    values = np.abs(standard_normals(wanted["name"], tuple(wanted["shape"])))
    assert zlib.crc32(values.tobytes()) == wanted["crc32"]
    return values


def features(name: str, *shape: int) -> np.ndarray:
    return np.abs(standard_normals(name, shape))


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def gru(name: str, inputs: int, hidden: int, layers: int = 2, both_ways: bool = False) -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        size = inputs if layer == 0 else hidden * (1 + both_ways)
        for end in ("", "_reverse")[: 1 + both_ways]:
            shapes[f"{name}.weight_ih_l{layer}{end}"] = (3 * hidden, size)
            shapes[f"{name}.weight_hh_l{layer}{end}"] = (3 * hidden, hidden)
            shapes[f"{name}.bias_ih_l{layer}{end}"] = shapes[f"{name}.bias_hh_l{layer}{end}"] = (3 * hidden,)
    return shapes


def spin_regressor(prefix: str = "regressor.", width: int = 2048, hidden: int = 1024) -> Shapes:
    shapes: Shapes = {f"{prefix}init_pose": (1, 144), f"{prefix}init_shape": (1, 10), f"{prefix}init_cam": (1, 3)}
    shapes |= linear(f"{prefix}fc1", width + 157, hidden) | linear(f"{prefix}fc2", hidden, hidden)
    for head, size in (("decpose", 144), ("decshape", 10), ("deccam", 3)):
        shapes |= linear(f"{prefix}{head}", hidden, size)
    return shapes


def vibe(width: int = 2048, hidden: int = 1024, both_ways: bool = False) -> Shapes:
    encoder = gru("encoder.gru", width, hidden, both_ways=both_ways)
    return encoder | linear("encoder.linear", hidden * (1 + both_ways), width) | spin_regressor(width=width)


def tcmr(width: int = 2048, hidden: int = 1024) -> Shapes:
    shapes = gru("encoder.gru_cur", width, hidden, both_ways=True) | linear("encoder.linear_cur", 2 * hidden, width)
    for side in ("bef", "aft"):
        shapes |= gru(f"encoder.gru_{side}", width, hidden) | linear(f"encoder.linear_{side}", hidden, width)
    shapes |= linear("encoder.attention.fc", width, 256)
    for layer, inputs, outputs in ((0, 768, 256), (2, 256, 256), (4, 256, 3)):
        shapes |= linear(f"encoder.attention.attention.{layer}", inputs, outputs)
    return shapes | spin_regressor(width=width)


def vibe_discriminator(pooling: str, hidden: int = 1024, attention_layers: int = 2) -> Shapes:
    shapes = gru("gru", 69, hidden) | linear("fc", hidden * (2 if pooling == "concat" else 1), 1)
    if pooling == "attention":
        for layer in range(attention_layers):
            shapes |= linear(f"attention.attention.{3 * layer}", hidden, hidden)
        shapes |= linear(f"attention.attention.{3 * attention_layers}", hidden, 1)
    return shapes


def spin() -> Shapes:
    """torchvision's names of a ResNet-50 and the regressor's: 331."""
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7)} | batch_norm("bn1", 64)
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for layer, inputs, outputs, kernel in (
                (1, channels, width, 1),
                (2, width, width, 3),
                (3, width, 4 * width, 1),
            ):
                shapes[f"{name}.conv{layer}.weight"] = (outputs, inputs, kernel, kernel)
                shapes |= batch_norm(f"{name}.bn{layer}", outputs)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                shapes |= batch_norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return shapes | spin_regressor("")


def batch_norm(name: str, channels: int) -> Shapes:
    vectors = {f"{name}.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": ()}


def tensorflow_layer(name: str, *shape: int) -> Shapes:
    return {f"{name}/weights": shape, f"{name}/biases": shape[-1:]}


def three_layers(name: str, inputs: int, hidden: int, outputs: int) -> Shapes:
    layers = tensorflow_layer(f"{name}/fc1", inputs, hidden) | tensorflow_layer(f"{name}/fc2", hidden, hidden)
    return layers | tensorflow_layer(f"{name}/fc3", hidden, outputs)


def strip_encoder(name: str, width: int) -> Shapes:
    shapes: Shapes = {}
    for block in range(3):
        for half in (1, 2):
            norm = f"{name}_preact_gn{half}block_{block}"
            shapes[f"{norm}/gamma"] = shapes[f"{norm}/beta"] = (width,)
            shapes |= tensorflow_layer(f"{name}2_conv{half}block_{block}", 3, 1, width, width)
    return shapes


def hmr(width: int = 2048, hidden: int = 1024) -> Shapes:
    return {"mean_param": (1, 85)} | three_layers("3D_module", width + 85, hidden, 85)


def hmmr(width: int = 2048, hidden: int = 1024) -> Shapes:
    shapes = {"mean_param": (1, 85)} | strip_encoder("AZ_FC_block", width)
    shapes |= three_layers("single_view_ief/3D_module", width + 85, hidden, 85)
    for delta in ("past5", "future5"):
        shapes |= three_layers(f"single_view_ief_{delta}/3D_module", width + 72, hidden, 72)
    return shapes | three_layers("fc2_res", width, width, width)


def phd(width: int = 2048, hidden: int = 1024, deltas: tuple[str, ...] = ()) -> Shapes:
    shapes = {"mean_param": (1, 85)} | strip_encoder("AZ_FC_causal_block", width)
    shapes |= strip_encoder("pred_AZ_FC_causal_block", width)
    shapes |= three_layers("single_view_ief/3D_module", width + 85, hidden, 85)
    for delta in deltas:
        shapes |= three_layers(f"single_view_ief_{delta}/3D_module", width + 72, hidden, 72)
    return shapes


def hmr_discriminator(scope: str = "D_pose/", shape: bool = False, hidden: int = 1024) -> Shapes:
    shapes = tensorflow_layer(f"{scope}D_conv1", 1, 1, 9, 32) | tensorflow_layer(f"{scope}D_conv2", 1, 1, 32, 32)
    for joint in range(23):
        shapes |= tensorflow_layer(f"{scope}pose_out_j{joint}", 32, 1)
    for layer, inputs, outputs in (("fc1", 736, hidden), ("fc2", hidden, hidden), ("out", hidden, 1)):
        shapes |= tensorflow_layer(f"{scope}D_alljoints_{layer}", inputs, outputs)
    if shape:
        for layer, inputs, outputs in (("fc1/shape_fc1_1", 10, 10), ("fc1/shape_fc1_2", 10, 5), ("final", 5, 1)):
            shapes |= tensorflow_layer(f"{scope}shape_{layer}", inputs, outputs)
    return shapes


def small_of_every_kind() -> dict[str, dict[str, Shapes]]:
    """Kind -> name of a case -> its tensors, at widths that cost nothing."""
    return {
        "vibe": {"released": vibe(64, 16), "as printed": vibe(64, 16, both_ways=True)},
        "vibe-discriminator": {pooling: vibe_discriminator(pooling, 16) for pooling in ("attention", "concat", "last")},
        "tcmr": {"released": tcmr(64, 16)},
        "spin": {"released": spin()},
        "spin-regressor": {"of VIBE": spin_regressor(), "of SPIN": spin_regressor("")},
        "hmr": {"released": hmr(64, 16)},
        "hmmr": {"released": hmmr(64, 16)},
        "phd": {"released": phd(64, 16), "with dynamics": phd(64, 16, ("past5", "past10", "future5"))},
        "hmr-discriminator": {
            "of HMMR": hmr_discriminator(hidden=16),
            "of HMR": hmr_discriminator("D/", shape=True, hidden=16),
            "without a scope": hmr_discriminator("", hidden=16),
        },
    }
