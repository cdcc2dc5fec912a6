"""A network without the branches that nobody reads says what it said before."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from moviestrip.errors import FatalError
from moviestrip.parts import part_file
from moviestrip.pose.blazepose import LANDMARK_OUTPUTS, Network
from moviestrip.pose.litert_graph import outputs_named, reduced


def operators(model: bytes) -> int:
    return tflite.Model.GetRootAsModel(model, 0).Subgraphs(0).OperatorsLength()


@pytest.mark.parametrize("variant", ["lite", "full"])
def test_what_is_left_has_the_same_bits(variant: str):
    weights = part_file(f"blazepose-{variant}").read_bytes()
    small = reduced(weights, outputs_named(*LANDMARK_OUTPUTS))
    assert operators(small) < operators(weights)
    picture = np.random.default_rng(0).random((256, 256, 3), dtype=np.float32)
    landmarks, presence, _, heat_maps, _ = Network(weights)(picture)
    for expected, found in zip((landmarks, presence, heat_maps), Network(small)(picture), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_output_that_is_not_there_is_named():
    with pytest.raises(FatalError, match="no output 'Mask', only Identity, "):
        reduced(part_file("blazepose-lite").read_bytes(), outputs_named("Mask"))
