"""Building by name: recognition, names there and back, sizes read off the tensors, and what is refused."""

import numpy as np
import pytest
import torch

from moviestrip.errors import ConfigError, FatalError
from moviestrip.models import official
from moviestrip.models.model import MotionModel
from tests.models.official import seeded

SMALL = seeded.small_of_every_kind()
CASES = [(kind, case) for kind, cases in SMALL.items() for case in cases]
INPUTS = {
    "vibe": (5, 64),
    "vibe-discriminator": (5, 69),
    "tcmr": (16, 64),
    "spin": (3, 224, 224),
    "spin-regressor": (2048,),
    "hmr": (64,),
    "hmmr": (5, 64),
    "phd": (15, 64),
    "hmr-discriminator": (23, 3, 3),
}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: " ".join(case))
def built(request):
    kind, case = request.param
    tensors = seeded.seeded(SMALL[kind][case])
    return kind, tensors, official.build(kind, tensors)


def every_tensor(outputs) -> list[torch.Tensor]:
    tensors = []
    for value in outputs.values():
        tensors += every_tensor(value) if isinstance(value, dict) else [value]
    return tensors


def test_every_kind_is_tried():
    assert set(SMALL) == set(official.KINDS) == set(INPUTS)


def test_a_release_is_recognised_by_its_names(built):
    kind, tensors, _ = built
    assert official.recognise(tensors) == kind
    assert official.recognise([f"{name}:0" for name in tensors]) == kind


def test_every_value_goes_there_and_back(built):
    kind, tensors, module = built
    back = official.export(kind, module)
    assert set(back) == set(tensors)
    for name, values in tensors.items():
        assert back[name].dtype == values.dtype and np.array_equal(back[name], values), name
        assert back[name].flags.c_contiguous


def test_every_weight_has_one_official_name(built):
    _, tensors, module = built
    assert sum(weight.numel() for weight in module.state_dict().values()) == sum(
        np.asarray(values).size for values in tensors.values()
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_the_batch_stays_in_every_output_and_nothing_carries_a_gradient(built, batch):
    kind, _, module = built
    assert not module.training
    inputs = torch.from_numpy(seeded.features("batches", 2, *INPUTS[kind]))
    answers = every_tensor(module(inputs[:batch]))
    assert answers and all(len(answer) == batch and not answer.requires_grad for answer in answers)


def test_a_built_module_does_not_share_the_arrays(built):
    kind, tensors, module = built
    name = max(tensors, key=lambda name: tensors[name].size)
    before = official.export(kind, module)[name].copy()
    tensors[name] += 1
    np.testing.assert_array_equal(official.export(kind, module)[name], before)
    tensors[name][...] = before


def test_tensors_that_belong_elsewhere_are_left_aside():
    vibe = seeded.seeded(SMALL["vibe"]["released"])
    official.build("vibe", vibe | {"regressor.smpl.betas": np.zeros((1, 10), np.float32)})
    hmmr = seeded.seeded(SMALL["hmmr"]["released"]) | seeded.seeded(SMALL["hmr-discriminator"]["of HMMR"])
    others = ("mean_param/Adam_1", "beta1_power", "global_step", "resnet_v2_50/conv1/weights", "D_delta/x/weights")
    checkpoint = {f"{name}:0": values for name, values in hmmr.items()} | {name: np.zeros(1) for name in others}
    assert official.recognise(checkpoint) == "hmmr"
    assert set(official.export("hmmr", official.build("hmmr", checkpoint))) == set(SMALL["hmmr"]["released"])
    assert official.build("hmr-discriminator", checkpoint)(torch.zeros(1, 23, 3, 3))["score"].shape == (1, 24)


def test_counters_may_be_lacking():
    tensors = {name: values for name, values in seeded.seeded(seeded.spin()).items() if "num_batches" not in name}
    module = official.build("spin", tensors)
    assert set(official.export("spin", module)) == set(tensors)
    assert not any(value.is_meta for value in module.state_dict().values())


def test_a_release_wraps_our_model_at_the_sizes_of_its_tensors():
    model = official.build("vibe", seeded.seeded(seeded.vibe(64, 16, both_ways=True))).model
    assert isinstance(model, MotionModel)
    assert (model.design.width, model.design.recurrent_width, model.design.bidirectional) == (64, 16, True)
    fresh = MotionModel(model.design)
    fresh.load_state_dict(model.state_dict())
    one_layer = gru_of_one_layer()
    assert official.build("vibe", one_layer).model.design.recurrent_layers == 1


def gru_of_one_layer() -> dict[str, np.ndarray]:
    return {name: values for name, values in seeded.seeded(seeded.vibe(64, 16)).items() if "_l1" not in name}


def test_dynamics_of_phd_are_those_in_the_file():
    module = official.build("phd", seeded.seeded(SMALL["phd"]["with dynamics"]))
    assert module.model.design.delta_frames == (-10, -5, 5)
    assert set(module(torch.zeros(1, 4, 64))["deltas"]) == {-10, -5, 5}


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown kind 'vibes'; the nearest is 'vibe'"):
        official.build("vibes", {})


def test_another_kind_than_built_is_refused():
    module = official.build("spin-regressor", seeded.seeded(seeded.spin_regressor()))
    with pytest.raises(ConfigError, match="SpinRegressor is not vibe"):
        official.export("vibe", module)


@pytest.mark.parametrize("kind", official.KINDS)
def test_nothing_at_all_is_missing_tensors(kind):
    with pytest.raises(FatalError, match=f"not the released {kind}: missing: "):
        official.build(kind, {})


def test_missing_and_unknown_tensors_are_named():
    tensors = seeded.seeded(SMALL["tcmr"]["released"])
    del tensors["encoder.gru_bef.bias_hh_l1"]
    tensors["encoder.gru_past.bias_hh_l1"] = np.zeros(48, np.float32)
    with pytest.raises(FatalError, match=r"missing: encoder\.gru_bef\.bias_hh_l1, unknown: encoder\.gru_past\.bias"):
        official.build("tcmr", tensors)


def test_tensors_of_different_sizes_are_refused_with_both_shapes():
    tensors = seeded.seeded(SMALL["hmmr"]["released"])
    tensors["fc2_res/fc2/weights"] = np.zeros((64, 63), np.float32)
    with pytest.raises(FatalError, match=r"fc2_res/fc2/weights is \(64, 63\).*\(64, 64\)"):
        official.build("hmmr", tensors)
    tensors["AZ_FC_block2_conv1block_0/weights"] = np.zeros(64, np.float32)
    with pytest.raises(FatalError, match=r"AZ_FC_block2_conv1block_0/weights is \(64,\).*4 axes"):
        official.build("hmmr", tensors)


def test_names_of_nothing_known_are_answered_with_what_was_looked_for():
    with pytest.raises(FatalError, match=r"none of the released models.*vibe: .*hmr-discriminator: ") as error:
        official.recognise(["model.layer.weight"])
    assert "\n" not in str(error.value)


def test_tcmr_refuses_other_windows():
    module = official.build("tcmr", seeded.seeded(SMALL["tcmr"]["released"]))
    with pytest.raises(FatalError, match=r"\(1, 17, 64\), TCMR reads \(windows, 16, features\)"):
        module(torch.zeros(1, 17, 64))
