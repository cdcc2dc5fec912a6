"""Parity with stored outputs of the releases, under weights that both sides build from the official names."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from moviestrip.models import official
from moviestrip.models.model import parameter_count
from tests.models.official import seeded

GOLDEN = seeded.GOLDEN


@pytest.fixture(scope="module", params=["hmmr", "vibe_generator", "spin_regressor"])
def release(request) -> tuple[str, dict[str, np.ndarray], nn.Module]:
    """Name of the stored outputs, seeded weights and the module built from them, at the published width."""
    kind = {"vibe_generator": "vibe", "spin_regressor": "spin-regressor"}.get(request.param, request.param)
    tensors = seeded.golden_tensors(request.param)
    return request.param, tensors, official.build(kind, tensors)


def outputs_under_stored_names(name: str, module: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    answers = module(inputs)
    if name == "spin_regressor":
        return {key: value for key, value in answers.items() if key != "theta"}
    if name == "vibe_generator":
        return {
            "gru": module.model.encoder.gru(inputs)[0],
            "feature": answers["features"],
            "theta": answers["theta"],
        }
    return {
        "strip": answers["movie_strip"],
        "theta": answers["theta"],
        "delta_past5": answers["deltas"][-5],
        "delta_future5": answers["deltas"][5],
        "hal_strip": answers["hallucinated"],
        "hal_theta": answers["hallucinated_theta"],
        "hal_delta_past5": answers["hallucinated_deltas"][-5],
        "hal_delta_future5": answers["hallucinated_deltas"][5],
        "strip_small_batch0": module.model.encoder(inputs[:1] * np.float32(0.01)),
    }


@pytest.mark.filterwarnings("error")
def test_every_stored_output_is_reproduced(release):
    name, _, module = release
    stored = np.load(GOLDEN / f"{name}.npz")
    ours = outputs_under_stored_names(name, module, torch.from_numpy(seeded.golden_input(name)))
    assert set(ours) == set(stored.files)
    for key, values in ours.items():
        difference = np.abs(values.numpy() - stored[key]).max()
        assert difference <= seeded.facts(name)["atol"][key], (key, difference)


def test_the_last_correction_is_the_answer(release):
    name, _, module = release
    if name == "spin_regressor":
        answers = module(torch.from_numpy(seeded.golden_input(name)))
        assert torch.equal(answers["theta"], answers["theta_iter3"])


def test_the_model_has_as_many_parameters_as_the_release(release):
    _, tensors, module = release
    assert parameter_count(module) == sum(values.size for values in tensors.values())


def test_what_is_stored_beside_the_outputs_is_complete():
    for name in ("hmmr", "vibe_generator", "spin_regressor"):
        facts = json.loads((GOLDEN / f"{name}.json").read_text())
        assert set(facts["atol"]) == set(np.load(GOLDEN / f"{name}.npz").files)
