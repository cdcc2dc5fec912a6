"""Each protocol explains each of its choices; the baselines do what their names say."""

from dataclasses import fields

import numpy as np
import pytest

from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation.baselines import choose_sigma, constant_pose, mean_pose
from moviestrip.evaluation.protocols import HMMR, PROTOCOLS, describe, protocol_named


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=str)
def test_every_choice_has_a_source(protocol):
    lines = describe(protocol).splitlines()
    assert lines[0].startswith(f"{protocol.name}: ")
    assert len(lines) == len(fields(protocol)) - 1  # name and title share the first
    for line in lines[1:]:
        assert len(line.split(": ", 1)[1]) > 20


def test_hmmrs_threshold_is_a_twentieth_of_the_crop():
    assert HMMR.pck_threshold_px == pytest.approx(11.2)
    assert protocol_named("hmmr") is HMMR
    with pytest.raises(ConfigError, match=r"evaluation.protocol: 'hmr' is not known; known: hmmr"):
        protocol_named("hmr")


def test_sigma_is_the_one_with_the_lowest_validation_error():
    sigma, scores = choose_sigma([2.0, 0.5, 1.0], lambda value: (value - 1.1) ** 2)
    assert sigma == 1.0 and list(scores) == [0.5, 1.0, 2.0]
    assert choose_sigma([3.0, 1.0], lambda _: 7.0)[0] == 1.0
    assert choose_sigma([1.0, 2.0], lambda value: np.nan if value == 1.0 else 9.0)[0] == 2.0
    with pytest.raises(FatalError, match="no sigma"):
        choose_sigma([1.0], lambda _: np.nan)


def test_constant_and_mean_poses_repeat_one_pose():
    joints = np.random.default_rng(0).random((2, 7, 14, 3))
    np.testing.assert_array_equal(constant_pose(joints, 3)[:, 6], joints[:, 3])
    np.testing.assert_allclose(mean_pose(joints[0], 5)[4], joints[0].mean(0))
