"""What a released tensor is called and how its values lie, against ours.

A `Weight` is one of our tensors and the official ones that hold its values; its `Layout` takes them there and back
without loss. PyTorch's fully connected layers are (out, in) as ours; TensorFlow's are (in, out), its convolutions over
time (3, 1, in, out), and its group norms call their factors gamma and beta.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from moviestrip.errors import FatalError
from moviestrip.models.parameters import BETAS_SIZE, CAMERA_SIZE, ThetaLayout

SIXD_SIZE = ThetaLayout("6d").pose_size
GRU_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
COUNTER = "num_batches_tracked"
NAMED_IN_ERRORS = 3


@dataclass(frozen=True)
class Layout:
    """From the official tensors to ours, and back."""

    join: Callable[[Sequence[np.ndarray]], np.ndarray]
    split: Callable[[np.ndarray], Sequence[np.ndarray]]


def one_to_one(there: Callable[[np.ndarray], np.ndarray], back: Callable[[np.ndarray], np.ndarray]) -> Layout:
    return Layout(lambda parts: there(parts[0]), lambda ours: [back(ours)])


def side_by_side(axis: int, sizes: Sequence[int]) -> Layout:
    """Several official tensors, one after the other along an axis."""
    ends = np.cumsum(sizes)[:-1]
    return Layout(lambda parts: np.concatenate(parts, axis), lambda ours: np.split(ours, ends, axis))


def _spin_columns_to_ours(weight: np.ndarray) -> np.ndarray:
    features, pose, betas, camera = np.split(weight, [-SIXD_SIZE - 13, -BETAS_SIZE - CAMERA_SIZE, -CAMERA_SIZE], 1)
    return np.concatenate([features, camera, pose, betas], 1)


def _our_columns_to_spin(weight: np.ndarray) -> np.ndarray:
    features, camera, pose, betas = np.split(weight, [-SIXD_SIZE - 13, -SIXD_SIZE - BETAS_SIZE, -BETAS_SIZE], 1)
    return np.concatenate([features, pose, betas, camera], 1)


SAME = one_to_one(lambda values: values, lambda values: values)
FULLY_CONNECTED = one_to_one(lambda values: values.T, lambda values: values.T)
POINTWISE = one_to_one(lambda values: values[0, 0].T, lambda values: values.T[None, None])
CONVOLUTION = one_to_one(
    lambda values: values[:, 0].transpose(2, 1, 0), lambda values: values.transpose(2, 1, 0)[:, None]
)
SPIN_COLUMNS = one_to_one(_spin_columns_to_ours, _our_columns_to_spin)
SPIN_ESTIMATE_SIZES = (CAMERA_SIZE, SIXD_SIZE, BETAS_SIZE)
ONE_COLUMN_EACH = Layout(lambda parts: np.concatenate(parts, 1).T, lambda ours: [row[:, None] for row in ours])
ONE_NUMBER_EACH = Layout(lambda parts: np.concatenate(parts), lambda ours: np.split(ours, len(ours)))


@dataclass(frozen=True)
class Weight:
    """One of our tensors, by its name in the module, and the official tensors with its values."""

    ours: str
    official: tuple[str, ...]
    layout: Layout = SAME


def renamed(pairs: Mapping[str, str], leaves: Iterable[str] = ("weight", "bias")) -> Iterator[Weight]:
    """Whole layers that differ in their name alone: ours -> official."""
    return (Weight(f"{ours}.{leaf}", (f"{official}.{leaf}",)) for ours, official in pairs.items() for leaf in leaves)


def gru(ours: str, official: str, names: Collection[str]) -> Iterator[Weight]:
    """As many layers and directions as the release has; at least one, so that a lost GRU is missed."""
    ends = ["_l0"]
    for name in names:
        if name.startswith(f"{official}.weight_ih_l"):
            ends.append(name.removeprefix(f"{official}.weight_ih"))
    leaves = [f"{part}{end}" for end in sorted(set(ends)) for part in GRU_PARTS]
    return renamed({ours: official}, leaves)


def gru_layers(official: str, names: Collection[str]) -> int:
    return sum(1 for name in names if re.fullmatch(re.escape(official) + r"\.weight_ih_l\d+", name))


def spin_regressor(ours: str, official: str) -> Iterator[Weight]:
    """SPIN's regressor has a head each for pose, shape and camera; ours has one for all, in the papers' order.

    Args:
        ours: the `ThetaRegressor` in our module.
        official: prefix of the official names, empty or with its dot.
    """
    feedback = f"{ours}.feedback"
    heads = [f"{official}{head}" for head in ("deccam", "decpose", "decshape")]
    starts = tuple(f"{official}{start}" for start in ("init_cam", "init_pose", "init_shape"))
    yield Weight(f"{ours}.mean", starts, side_by_side(1, SPIN_ESTIMATE_SIZES))
    yield Weight(f"{feedback}.fc1.weight", (f"{official}fc1.weight",), SPIN_COLUMNS)
    yield Weight(f"{feedback}.fc1.bias", (f"{official}fc1.bias",))
    yield from renamed({f"{feedback}.fc2": f"{official}fc2"})
    for leaf in ("weight", "bias"):
        official_parts = tuple(f"{head}.{leaf}" for head in heads)
        yield Weight(f"{feedback}.fc3.{leaf}", official_parts, side_by_side(0, SPIN_ESTIMATE_SIZES))


def tensorflow_layers(pairs: Mapping[str, str], layout: Layout = FULLY_CONNECTED) -> Iterator[Weight]:
    """Layers of TensorFlow's: ours -> official scope."""
    for ours, official in pairs.items():
        yield Weight(f"{ours}.weight", (f"{official}/weights",), layout)
        yield Weight(f"{ours}.bias", (f"{official}/biases",))


def strip_encoder(ours: str, official: str, blocks: int) -> Iterator[Weight]:
    """f_movie, or f_AR, whose names differ in a prefix: `official` is what comes before `_preact_gn1block_0`."""
    for block in range(blocks):
        for half in (1, 2):
            place = f"{ours}.blocks.{block}"
            norm = f"{official}_preact_gn{half}block_{block}"
            yield Weight(f"{place}.norm{half}.weight", (f"{norm}/gamma",))
            yield Weight(f"{place}.norm{half}.bias", (f"{norm}/beta",))
            convolution = f"{official}2_conv{half}block_{block}"
            yield from tensorflow_layers({f"{place}.conv{half}": convolution}, CONVOLUTION)


def strip_encoder_blocks(official: str, names: Collection[str]) -> int:
    """How many residual blocks there are; at least one, so that a lost encoder is missed."""
    pattern = re.escape(official) + r"_preact_gn1block_\d+/gamma"
    return max(1, sum(1 for name in names if re.fullmatch(pattern, name)))


def three_layers(ours: str, official: str) -> Iterator[Weight]:
    """fc1, fc2 and fc3 of a regressor or of the hallucinator."""
    return tensorflow_layers({f"{ours}.{layer}": f"{official}/{layer}" for layer in ("fc1", "fc2", "fc3")})


def check_names(kind: str, weights: Sequence[Weight], names: Collection[str], elsewhere: re.Pattern[str]) -> None:
    """Every official tensor is there, and nothing that has no place."""
    wanted = {name for weight in weights for name in weight.official}
    missing = sorted(wanted - set(names))
    extra = sorted(name for name in set(names) - wanted if not elsewhere.search(name))
    if missing or extra:
        raise FatalError(
            f"not the released {kind}: {_listed('missing', missing)}, {_listed('unknown', extra)}; "
            f"give every tensor under its official name"
        )


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"none {what}"
    more = f" and {len(names) - NAMED_IN_ERRORS} more" if len(names) > NAMED_IN_ERRORS else ""
    return f"{what}: {', '.join(names[:NAMED_IN_ERRORS])}{more}"


def size(tensors: Mapping[str, np.ndarray], name: str, axis: int) -> int:
    """A size read off an official tensor."""
    shape = tensors[name].shape
    if axis >= len(shape):
        raise FatalError(f"{name} is {shape}, it should have at least {axis + 1} axes; is this the official tensor?")
    return shape[axis]


def fill(module: nn.Module, weights: Sequence[Weight], tensors: Mapping[str, np.ndarray]) -> None:
    """Put copies of the official values into a module that may have been built without storage."""
    expected = module.state_dict()
    state = {}
    for weight in weights:
        _check_shapes(weight, tuple(expected[weight.ours].shape), tensors)
        values = weight.layout.join([tensors[name] for name in weight.official])
        state[weight.ours] = torch.from_numpy(np.array(values, order="C"))
    counters = {name: torch.zeros((), dtype=torch.long) for name in expected if name.endswith(COUNTER)}
    module.load_state_dict(counters | state, assign=True)


def _check_shapes(weight: Weight, our_shape: tuple[int, ...], tensors: Mapping[str, np.ndarray]) -> None:
    shapes = [part.shape for part in weight.layout.split(np.broadcast_to(np.float32(0), our_shape))]
    for name, shape in zip(weight.official, shapes, strict=True):
        if tensors[name].shape != shape:
            raise FatalError(f"{name} is {tensors[name].shape}, beside the other tensors it should be {shape}")


def official_values(module: nn.Module, weights: Sequence[Weight]) -> dict[str, np.ndarray]:
    """The module's values under their official names, in the official layout."""
    state = module.state_dict()
    values: dict[str, np.ndarray] = {}
    for weight in weights:
        parts = weight.layout.split(state[weight.ours].cpu().numpy())
        values |= {name: np.array(part, order="C") for name, part in zip(weight.official, parts, strict=True)}
    return values
