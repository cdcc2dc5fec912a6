"""The releases of which no outputs are stored, against their descriptions written out plainly from official names.

Nothing here uses our networks: PyTorch's or NumPy's own operations on tensors under official names, scipy's rotations.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.nn import functional

from moviestrip.models import official
from tests.models.official import seeded

Weights = dict[str, Tensor]


def as_torch(tensors: seeded.Tensors) -> Weights:
    return {name: torch.from_numpy(values) for name, values in tensors.items()}


def layer(weights: Weights, name: str, values: Tensor) -> Tensor:
    return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])


def torch_gru(weights: Weights, name: str, frames: Tensor) -> Tensor:
    """(time, batch, features) through PyTorch's GRU with the tensors below `name`."""
    own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
    size, hidden = own["weight_ih_l0"].shape[1], own["weight_hh_l0"].shape[1]
    gru = nn.GRU(size, hidden, 2, bidirectional="weight_ih_l0_reverse" in own)
    gru.load_state_dict(own)
    with torch.no_grad():
        return gru(frames)[0]


def spin_theta(weights: Weights, prefix: str, features: Tensor) -> np.ndarray:
    """Three corrections of pose, shape and camera by three heads; then 6D columns to axis-angle."""
    pose, shape, camera = (
        weights[f"{prefix}init_{part}"].expand(len(features), -1) for part in ("pose", "shape", "cam")
    )
    for _ in range(3):
        state = torch.cat([features, pose, shape, camera], dim=1)
        hidden = layer(weights, f"{prefix}fc2", layer(weights, f"{prefix}fc1", state))
        pose = pose + layer(weights, f"{prefix}decpose", hidden)
        shape = shape + layer(weights, f"{prefix}decshape", hidden)
        camera = camera + layer(weights, f"{prefix}deccam", hidden)
    columns = pose.reshape(-1, 3, 2).double()
    first = functional.normalize(columns[..., 0], dim=-1)
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdim=True) * first
    second = functional.normalize(second, dim=-1)
    matrices = torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)
    axis_angle = Rotation.from_matrix(matrices.numpy()).as_rotvec().reshape(len(features), 72)
    return np.concatenate([camera.numpy(), axis_angle, shape.numpy()], axis=1)


@pytest.fixture(scope="module")
def tcmr():
    tensors = seeded.seeded(seeded.tcmr())
    return as_torch(tensors), official.build("tcmr", tensors)


@pytest.mark.parametrize("windows", [1, 3])
def test_tcmr_integrates_what_past_all_and_future_say_of_the_ninth_frame(tcmr, windows):
    weights, module = tcmr
    phi = torch.from_numpy(seeded.features("tcmr", 3, 16, 2048))[:windows]
    time_major = phi.transpose(0, 1)
    past = torch_gru(weights, "encoder.gru_bef", time_major[:8])[-1]
    every = torch_gru(weights, "encoder.gru_cur", time_major)[8]
    future = torch_gru(weights, "encoder.gru_aft", time_major[9:].flip(0))[-1]
    past, every, future = (
        layer(weights, f"encoder.linear_{name}", state.clamp(min=0))
        for name, state in (("bef", past), ("cur", every), ("aft", future))
    )
    scores = torch.cat([layer(weights, "encoder.attention.fc", strip) for strip in (past, every, future)], dim=1)
    for place in (0, 2, 4):
        scores = layer(weights, f"encoder.attention.attention.{place}", scores).tanh()
    attention = scores.exp() / scores.exp().sum(1, keepdim=True)
    integrated = attention[:, :1] * past + attention[:, 1:2] * every + attention[:, 2:] * future

    answers = module(phi)
    np.testing.assert_allclose(answers["attention"], attention, atol=2e-6)
    np.testing.assert_allclose(answers["features"], integrated, atol=1e-5)
    for name, strip in (("theta", integrated), ("theta_past", past), ("theta_future", future)):
        assert answers[name].shape == (windows, 85)
        np.testing.assert_allclose(answers[name], spin_theta(weights, "regressor.", strip), atol=1e-5)


def test_the_three_thetas_of_tcmr_differ(tcmr):
    answers = tcmr[1](torch.from_numpy(seeded.features("tcmr", 1, 16, 2048)))
    assert (answers["theta"] - answers["theta_past"]).abs().max() > 1e-3
    assert (answers["theta_past"] - answers["theta_future"]).abs().max() > 1e-3


def test_vibe_as_printed_reads_in_both_directions():
    tensors = seeded.seeded(seeded.vibe(64, 16, both_ways=True))
    weights, phi = as_torch(tensors), torch.from_numpy(seeded.features("vibe", 2, 7, 64))
    states = torch_gru(weights, "encoder.gru", phi.transpose(0, 1)).transpose(0, 1)
    strip = phi + layer(weights, "encoder.linear", states.clamp(min=0))
    answers = official.build("vibe", tensors)(phi)
    np.testing.assert_allclose(answers["features"], strip, atol=1e-6)
    theta = spin_theta(weights, "regressor.", strip.flatten(0, 1)).reshape(2, 7, 85)
    np.testing.assert_allclose(answers["theta"], theta, atol=1e-5)


def attend(weights: Weights, states: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    scores = states
    for place in range(layers + 1):
        scores = layer(weights, f"attention.attention.{3 * place}", scores).tanh()
    attention = scores[..., 0].softmax(dim=0)
    return (attention[..., None] * states).sum(0), attention.T


@pytest.fixture(
    scope="module",
    params=[("attention", 2, 1024), ("attention", 3, 512), ("concat", 0, 512), ("last", 0, 512)],
    ids=lambda case: "-".join(map(str, case)),
)
def motion_discriminator(request):
    pooling, layers, hidden = request.param
    tensors = seeded.seeded(seeded.vibe_discriminator(pooling, hidden, layers))
    return pooling, layers, as_torch(tensors), official.build("vibe-discriminator", tensors)


@pytest.mark.parametrize("motions", [1, 2, 3])
def test_vibes_discriminator_pools_as_its_tensors_say(motion_discriminator, motions):
    pooling, layers, weights, module = motion_discriminator
    pose = torch.from_numpy(seeded.standard_normals("pose", (motions, 16, 69)))
    states = torch_gru(weights, "gru", pose.transpose(0, 1))
    attention = None
    if pooling == "attention":
        pooled, attention = attend(weights, states, layers)
    elif pooling == "concat":
        pooled = torch.cat([states.clamp(min=0).mean(0), states.clamp(min=0).max(0).values], dim=1)
    else:
        pooled = states[-1]
    answers = module(pose)
    assert answers["score"].shape == (motions, 1)
    np.testing.assert_allclose(answers["score"], layer(weights, "fc", pooled), atol=2e-6)
    assert ("attention" in answers) == (attention is not None)
    if attention is not None:
        np.testing.assert_allclose(answers["attention"], attention, atol=2e-6)


@pytest.mark.parametrize("poses", [1, 2, 3])
@pytest.mark.parametrize("scope", ["D_pose/", "D/"])
def test_the_pose_prior_judges_joints_and_the_whole(scope, poses):
    tensors = seeded.seeded(seeded.hmr_discriminator(scope, shape=scope == "D/"))
    draw = np.random.default_rng(0)
    rotations = Rotation.random(23 * poses, rng=draw).as_matrix().reshape(poses, 23, 3, 3).astype(np.float32)
    betas = draw.standard_normal((poses, 10)).astype(np.float32)

    def dense(name: str, values: np.ndarray) -> np.ndarray:
        kernel = tensors[f"{scope}{name}/weights"]
        return values @ kernel.reshape(kernel.shape[-2:]) + tensors[f"{scope}{name}/biases"]

    features = rotations.reshape(poses, 23, 9)
    for name in ("D_conv1", "D_conv2"):
        features = np.maximum(dense(name, features), 0)
    expected = [dense(f"pose_out_j{joint}", features[:, joint]) for joint in range(23)]
    whole = features.reshape(poses, 23 * 32)
    for name in ("D_alljoints_fc1", "D_alljoints_fc2"):
        whole = np.maximum(dense(name, whole), 0)
    expected.append(dense("D_alljoints_out", whole))

    module = official.build("hmr-discriminator", tensors)
    score = module(torch.from_numpy(rotations))["score"]
    assert score.shape == (poses, 24)
    np.testing.assert_allclose(score, np.concatenate(expected, axis=1), atol=5e-6)
    if scope == "D/":
        shape = np.maximum(dense("shape_fc1/shape_fc1_2", np.maximum(dense("shape_fc1/shape_fc1_1", betas), 0)), 0)
        with_shape = module(torch.from_numpy(rotations), torch.from_numpy(betas))["score"]
        np.testing.assert_allclose(with_shape[:, 24:], dense("shape_final", shape), atol=5e-6)


def resnet_50(weights: Weights, pixels: Tensor) -> Tensor:
    def norm(name: str, values: Tensor) -> Tensor:
        leaves = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(values, *(weights[f"{name}.{leaf}"] for leaf in leaves))

    def convolve(name: str, values: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        return functional.conv2d(values, weights[f"{name}.weight"], None, stride, padding)

    values = norm("bn1", convolve("conv1", pixels, 2, 3)).relu()
    values = functional.max_pool2d(values, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = norm(f"{name}.bn1", convolve(f"{name}.conv1", values)).relu()
            inner = norm(f"{name}.bn2", convolve(f"{name}.conv2", inner, stride, 1)).relu()
            inner = norm(f"{name}.bn3", convolve(f"{name}.conv3", inner))
            if block == 0:
                values = norm(f"{name}.downsample.1", convolve(f"{name}.downsample.0", values, stride))
            values = (values + inner).relu()
    return functional.avg_pool2d(values, 7, 1).flatten(1)


@pytest.fixture(scope="module")
def spin():
    tensors = seeded.seeded(seeded.spin())
    assert len(tensors) == 331
    return as_torch(tensors), official.build("spin", tensors)


@pytest.mark.parametrize("images", [1, 2])
def test_spin_is_a_resnet_50_and_its_regressor(spin, images):
    weights, module = spin
    pixels = torch.from_numpy(seeded.standard_normals("images", (images, 3, 224, 224)))
    features = resnet_50(weights, pixels)
    answers = module(pixels)
    np.testing.assert_allclose(answers["features"], features, atol=1e-5 * float(features.abs().max()))
    assert answers["theta"].shape == (images, 85)
    theta = spin_theta(weights, "", features)
    np.testing.assert_allclose(answers["theta"], theta, atol=1e-5 * max(1, np.abs(theta).max()))


def group_norm_over_time(strip: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """(frames, width), 32 groups of neighbouring channels, one mean and variance a group for all frames."""
    normal = np.empty_like(strip)
    for group in np.split(np.arange(strip.shape[1]), 32):
        values = strip[:, group]
        normal[:, group] = (values - values.mean()) / np.sqrt(values.var() + 1e-6)
    return normal * gamma + beta


def causal_stack(tensors: seeded.Tensors, prefix: str, strip: np.ndarray) -> np.ndarray:
    """Three blocks over (frames, width); each output frame reads itself and two before it, the first frame repeated."""
    for block in range(3):
        values = strip
        for half in (1, 2):
            norm = f"{prefix}AZ_FC_causal_block_preact_gn{half}block_{block}"
            convolution = f"{prefix}AZ_FC_causal_block2_conv{half}block_{block}"
            values = np.maximum(group_norm_over_time(values, tensors[f"{norm}/gamma"], tensors[f"{norm}/beta"]), 0)
            kernel = tensors[f"{convolution}/weights"][:, 0]
            padded = np.concatenate([values[:1], values[:1], values])
            windows = (padded[: len(values)], padded[1 : 1 + len(values)], padded[2:])
            values = sum(window @ tap for window, tap in zip(windows, kernel, strict=True))
            values = values + tensors[f"{convolution}/biases"]
        strip = strip + values
    return strip


def hmr_theta(tensors: seeded.Tensors, strip: np.ndarray) -> np.ndarray:
    theta = np.repeat(tensors["mean_param"], len(strip), axis=0)
    for _ in range(3):
        values = np.concatenate([strip, theta], axis=1)
        for name in ("fc1", "fc2", "fc3"):
            scope = f"single_view_ief/3D_module/{name}"
            values = values @ tensors[f"{scope}/weights"] + tensors[f"{scope}/biases"]
            values = values if name == "fc3" else np.maximum(values, 0)
        theta = theta + values
    return theta


def roll_out(tensors: seeded.Tensors, strips: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        following = causal_stack(tensors, "pred_", strips[-13:])[-1:]
        strips = np.concatenate([strips, following])
    return strips[-steps:]


def compare_phd(width: int, hidden: int, clips: int, frames: int, steps: int, tolerance: float) -> None:
    tensors = seeded.seeded(seeded.phd(width, hidden))
    phi = seeded.features("phd", clips, frames, width)
    module = official.build("phd", tensors)
    answers = module(torch.from_numpy(phi))
    forecast = module.forecast(torch.from_numpy(phi), steps, 15)
    assert forecast["movie_strip"].shape == (clips, steps, width)
    assert forecast["theta"].shape == (clips, steps, 85)
    for clip in range(clips):
        strip = causal_stack(tensors, "", phi[clip])
        later = roll_out(tensors, causal_stack(tensors, "", phi[clip, :15]), steps)
        checks: list[tuple[Tensor, np.ndarray]] = [
            (answers["movie_strip"][clip], strip),
            (answers["theta"][clip], hmr_theta(tensors, strip)),
            (forecast["movie_strip"][clip], later),
            (forecast["theta"][clip], hmr_theta(tensors, later)),
        ]
        for ours, expected in checks:
            np.testing.assert_allclose(ours, expected, atol=tolerance * max(1, np.abs(expected).max()), rtol=0)


@pytest.mark.parametrize("clips", [1, 3])
def test_phd_encodes_causally_and_forecasts_from_its_last_thirteen_strips(clips):
    compare_phd(64, 32, clips, frames=18, steps=4, tolerance=1e-5)


@pytest.mark.slow
def test_phd_at_its_published_width():
    compare_phd(2048, 1024, 2, frames=16, steps=3, tolerance=1e-5)


@pytest.mark.parametrize("images", [1, 3])
def test_hmr_corrects_its_mean_three_times(images):
    tensors = seeded.seeded(seeded.hmr())
    features = seeded.features("hmr", images, 2048)
    renamed = {name.replace("3D_module", "single_view_ief/3D_module"): values for name, values in tensors.items()}
    theta = official.build("hmr", tensors)(torch.from_numpy(features))["theta"]
    np.testing.assert_allclose(theta, hmr_theta(renamed, features), atol=1e-5)


@pytest.mark.parametrize("change", [lambda phi: phi * 0, lambda phi: phi.flip(1)])
def test_forecasts_of_the_release_see_nothing_after_the_condition(change: Callable[[Tensor], Tensor]):
    module = official.build("phd", seeded.seeded(seeded.phd(64, 32)))
    phi = torch.from_numpy(seeded.features("phd", 2, 30, 64))
    other = torch.cat([phi[:, :15], change(phi)[:, 15:]], dim=1)
    ours, theirs = module.forecast(phi, 5, 15), module.forecast(other, 5, 15)
    assert torch.equal(ours["movie_strip"], theirs["movie_strip"]) and torch.equal(ours["theta"], theirs["theta"])
