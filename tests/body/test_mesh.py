"""A mesh in parts is the mesh."""

from pathlib import Path

import numpy as np
import pytest
import torch

from moviestrip.body.load import Body, load_body
from moviestrip.body.mesh import posed_parts
from moviestrip.config import BodySettings
from moviestrip.geometry import axis_angle_to_matrix


@pytest.fixture(scope="module", params=["free", "made up, with pose blend shapes"])
def body(request, cache, tmp_path_factory, made_up_fields, made_up_regressor) -> Body:
    if request.param == "free":
        return load_body(BodySettings(), cache)
    folder: Path = tmp_path_factory.mktemp("body")
    np.savez(folder / "body.npz", **made_up_fields)
    np.save(folder / "regressor.npy", made_up_regressor)
    settings = BodySettings(kind="smpl", path=folder / "body.npz", joint_regressor=folder / "regressor.npy")
    return load_body(settings, cache)


@pytest.mark.parametrize("vertices_at_once", [256, 1000])
def test_parts_together_are_the_mesh(body: Body, vertices_at_once: int) -> None:
    draw = torch.Generator().manual_seed(0)
    rotations = axis_angle_to_matrix(0.6 * torch.randn(5, 24, 3, generator=draw))
    betas = torch.randn(5, 10, generator=draw)
    parts = list(posed_parts(body, rotations, betas, vertices_at_once))
    assert max(map(len, parts)) == vertices_at_once
    torch.testing.assert_close(torch.cat(parts).permute(2, 0, 1), body.forward(rotations, betas)[0], atol=1e-5, rtol=0)
