"""A mesh in parts is the mesh."""

import pytest
import torch

from moviestrip.body.load import Body
from moviestrip.body.mesh import posed_parts
from moviestrip.geometry import axis_angle_to_matrix


@pytest.mark.parametrize("vertices_at_once", [256, 1000])
def test_parts_together_are_the_mesh(body: Body, vertices_at_once: int) -> None:
    draw = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(0.6 * torch.randn(5, 24, 3, generator=draw))
    betas = torch.randn(5, 10, generator=draw)
    parts = list(posed_parts(body, rotations, betas, vertices_at_once))
    assert max(map(len, parts)) == vertices_at_once
    torch.testing.assert_close(torch.cat(parts).permute(2, 0, 1), body.forward(rotations, betas)[0], atol=1e-5, rtol=0)
