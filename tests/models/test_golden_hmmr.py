"""Parity with the released HMMR, under weights that both sides build from the variables' names."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.hmmr import Branch, Hmmr, HmmrDesign, HmmrOutput
from moviestrip.models.official import hmmr_names, import_hmmr

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
HEADS_GAIN = 0.1


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def seeded_variable(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The stored outputs were made with these: standard normals from the name's CRC-32, scaled by kind."""
    values = seeded(name).standard_normal(shape, dtype=np.float32)
    leaf = name.split("/")[-1]
    if leaf == "mean_param":
        start = np.zeros(85, np.float32)
        start[0], start[3] = 0.9, np.pi
        return start[None] + np.float32(0.1) * values
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.1) * values if leaf == "gamma" else np.float32(0.01) * values
    gain = HEADS_GAIN if "3D_module/fc3" in name else 1.0
    return values * np.float32(gain / np.sqrt(float(np.prod(shape[:-1]))))


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads((GOLDEN / "hmmr.json").read_text())


@pytest.fixture(scope="module")
def released(facts: dict) -> Hmmr:
    """HMMR at its published width, with the seeded weights."""
    variables = {}
    for name, shape, checksum in facts["parameters"]:
        variables[name] = seeded_variable(name, tuple(shape))
        assert zlib.crc32(np.ascontiguousarray(variables[name]).tobytes()) == checksum, name
    with torch.device("meta"):
        model = Hmmr(HmmrDesign(feature_size=2048))
    model.load_state_dict(import_hmmr(variables), assign=True)
    return model.eval()


@pytest.fixture(scope="module")
def phi(facts: dict) -> torch.Tensor:
    values = np.abs(seeded(facts["input"]["name"]).standard_normal(facts["input"]["shape"], dtype=np.float32))
    assert zlib.crc32(values.tobytes()) == facts["input"]["crc32"]
    return torch.from_numpy(values)


def named_outputs(output: HmmrOutput) -> dict[str, torch.Tensor]:
    def of(branch: Branch, prefix: str) -> dict[str, torch.Tensor]:
        return {
            f"{prefix}strip": branch.strip,
            f"{prefix}theta": branch.theta,
            f"{prefix}delta_past5": branch.deltas[-5],
            f"{prefix}delta_future5": branch.deltas[5],
        }

    assert output.hallucinated is not None
    return of(output.contextual, "") | of(output.hallucinated, "hal_")


@pytest.mark.filterwarnings("error")
def test_every_output_of_the_released_model_is_reproduced(facts, released, phi):
    golden = np.load(GOLDEN / "hmmr.npz")
    with torch.inference_mode():
        ours = named_outputs(released(phi))
        ours["strip_small_batch0"] = released.encoder(phi[:1] * np.float32(0.01))
    assert set(ours) == set(golden.files)
    for name, values in ours.items():
        difference = np.abs(values.numpy() - golden[name]).max()
        assert difference <= facts["atol"][name], (name, difference)


def test_every_variable_of_the_release_is_used_once(facts):
    theirs = [name for name, _ in hmmr_names().values()]
    assert sorted(theirs) == sorted(name for name, _, _ in facts["parameters"])


def test_a_checkpoint_that_lacks_variables_is_refused():
    with pytest.raises(FatalError, match="variables are missing"):
        import_hmmr({"mean_param": np.zeros((1, 85), np.float32)})
