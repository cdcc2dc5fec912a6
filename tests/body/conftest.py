"""A made-up body in SMPL's layout and size: nothing in it looks human, everything in it counts."""

from pathlib import Path

import numpy as np
import pytest

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.skeleton import SMPL_PARENTS


@pytest.fixture(scope="session")
def made_up_fields() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    vertices = 6890
    weights = draw.random((vertices, 24)) * (draw.random((vertices, 24)) < 0.15) + 1e-3
    regressor = draw.random((24, vertices)) * (draw.random((24, vertices)) < 0.002)
    parents = np.array(SMPL_PARENTS, np.int64) % 2**32
    return {
        "v_template": draw.normal(0, 0.4, (vertices, 3)),
        "shapedirs": draw.normal(0, 0.01, (vertices, 3, 10)),
        "posedirs": draw.normal(0, 0.003, (vertices, 3, 207)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": draw.integers(0, vertices, (13776, 3)).astype(np.uint32),
        "kintree_table": np.stack([parents, np.arange(24)]).astype(np.uint32),
    }


@pytest.fixture(scope="session")
def made_up_regressor(made_up_fields) -> np.ndarray:
    draw = np.random.default_rng(1)
    rows = draw.random((17, 6890)) * (draw.random((17, 6890)) < 0.002)
    rows /= rows.sum(1, keepdims=True)
    order = np.argsort(made_up_fields["v_template"][:, 0])
    rows[[1, 4]] = 0
    rows[1, order[-1]] = rows[4, order[0]] = 1  # the left hip at +x, the right hip at -x
    return rows


@pytest.fixture(scope="module", params=["free", "made up, with pose blend shapes"])
def body(request, cache, tmp_path_factory, made_up_fields, made_up_regressor) -> Body:
    if request.param == "free":
        return load_body(BodySettings(), cache)
    folder: Path = tmp_path_factory.mktemp("body")
    np.savez(folder / "body.npz", **made_up_fields)
    np.save(folder / "regressor.npy", made_up_regressor)
    settings = BodySettings(kind="smpl", path=folder / "body.npz", joint_regressor=folder / "regressor.npy")
    return load_body(settings, cache)
