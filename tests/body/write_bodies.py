"""Body files as SMPL's authors distribute them: a pickle of Python 2 with arrays of chumpy, or an .npz."""

import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.sparse


def write_body(path: Path, fields: Mapping[str, np.ndarray]) -> Path:
    """The file of one sex, with fields beside those a body needs; the suffix says which kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **fields)
        return path
    with _chumpy() as (array, selection):
        whole = array(np.concatenate([fields["shapedirs"].ravel(), np.zeros(5)]))
        stored = {
            **fields,
            "v_template": array(fields["v_template"]),
            "shapedirs": selection(whole, np.arange(fields["shapedirs"].size), fields["shapedirs"].shape),
            "J_regressor": scipy.sparse.csc_matrix(fields["J_regressor"]),
            "J": array(fields["J_regressor"] @ fields["v_template"]),
            "bs_style": "lbs",
            "pose_training_info": {"gender": path.stem.rsplit("_", 1)[-1].lower()},
        }
        data = pickle.dumps(stored, 2)
    for ours, theirs in ((b"numpy._core", b"numpy.core"), (b"scipy.sparse._csc", b"scipy.sparse.csc")):
        data = data.replace(b"c" + ours, b"c" + theirs)  # as the releases of those years named them
    path.write_bytes(data)
    return path


@contextmanager
def _chumpy() -> Iterator[tuple[type, type]]:
    """Stands for the package while a file is written: its array, and its selection from one."""

    class Ch:
        def __init__(self, x: np.ndarray):
            self.x, self._dirty_vars = x, set()

    class Select(Ch):
        def __init__(self, a: Ch, idxs: np.ndarray, shape: tuple[int, ...]):
            self.a, self.idxs, self.preferred_shape = a, idxs, shape

    modules = {"chumpy": (), "chumpy.ch": (Ch,), "chumpy.reordering": (Select,)}
    for name, classes in modules.items():
        sys.modules[name] = types.ModuleType(name)
        for each in classes:
            each.__module__, each.__qualname__ = name, each.__name__
            setattr(sys.modules[name], each.__name__, each)
    try:
        yield Ch, Select
    finally:
        for name in modules:
            del sys.modules[name]
