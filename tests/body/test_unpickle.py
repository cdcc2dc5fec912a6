"""Official body files are pickles from Python 2: theirs are read, and no other pickle gets to do anything."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moviestrip.body.unpickle import unpickle_body
from moviestrip.errors import ConfigError


class Payload:
    """Runs a call of its choice when it is unpickled carelessly."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], tuple(self.call[1:])


@pytest.mark.faults
@pytest.mark.parametrize("function", [os.system, eval, os.mkdir], ids=["os.system", "eval", "os.mkdir"])
def test_fault_19_a_malicious_body_pickle_never_runs_its_payload(tmp_path: Path, function) -> None:
    mark = tmp_path / "owned"
    argument = {
        os.system: f"touch {mark}",
        eval: f"__import__('pathlib').Path({str(mark)!r}).touch()",
        os.mkdir: str(mark),
    }[function]
    body = tmp_path / "SMPL_NEUTRAL.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        body.write_bytes(pickle.dumps({"v_template": Payload(function, argument)}, protocol))
        with pytest.raises(ConfigError, match=rf"SMPL_NEUTRAL.pkl asks for .*{function.__name__}.*it was not run"):
            unpickle_body(body)
        assert not mark.exists()
    pickle.loads(body.read_bytes())
    assert mark.exists(), "the payload is a real one"


@pytest.mark.faults
@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nload\n.",
        b"cnumpy\nndarray.tofile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",  # a dotted name, as protocol 4 allows
        b"cmoviestrip.body.unpickle\nPath\n.",
        b"Psecret\n.",
    ],
)
def test_fault_19_names_beside_the_allowed_ones_are_refused(tmp_path: Path, data: bytes) -> None:
    body = tmp_path / "body.pkl"
    body.write_bytes(data)
    with pytest.raises(ConfigError, match=r"body.path: .*body.pkl (asks for|refers to)"):
        unpickle_body(body)


@pytest.mark.parametrize("data", [b"", b"\x80\x02}", b"not a pickle at all", pickle.dumps([1, 2])])
def test_a_damaged_or_foreign_pickle_is_named(tmp_path: Path, data: bytes) -> None:
    body = tmp_path / "body.pkl"
    body.write_bytes(data)
    with pytest.raises(ConfigError, match=r"body.path: .*body.pkl (is not a readable|holds a list)"):
        unpickle_body(body)


CHUMPY = {
    "__init__.py": "",
    "ch.py": "class Ch(object):\n    def __init__(self, x):\n        self.x, self._dirty_vars = x, set()\n",
    "reordering.py": "from chumpy.ch import Ch\n\nclass Select(Ch):\n    def __init__(self, a, idxs, shape):\n"
    "        self.a, self.idxs, self.preferred_shape = a, idxs, shape\n",
}
WRITE = """
import pickle, sys
import numpy as np, scipy.sparse
from chumpy.ch import Ch
from chumpy.reordering import Select
values = dict(np.load(sys.argv[1]))
fields = dict(values)
fields["v_template"] = Ch(values["v_template"])
whole = Ch(np.concatenate([values["shapedirs"].ravel(), np.zeros(5)]))
fields["shapedirs"] = Select(whole, np.arange(values["shapedirs"].size), values["shapedirs"].shape)
fields["J_regressor"] = scipy.sparse.csc_matrix(values["J_regressor"])
fields["bs_style"] = "lbs"
data = pickle.dumps(fields, 2)
for module in (b"numpy._core.multiarray", b"scipy.sparse._csc"):  # as older releases named them
    data = data.replace(b"c" + module, b"c" + module.replace(b"._core", b".core").replace(b"._csc", b".csc"))
open(sys.argv[2], "wb").write(data)
"""


def test_chumpy_and_sparse_arrays_become_plain_ones(tmp_path: Path, made_up_fields) -> None:
    package = tmp_path / "chumpy"
    package.mkdir()
    for name, text in CHUMPY.items():
        (package / name).write_text(text)
    arrays, body = tmp_path / "arrays.npz", tmp_path / "SMPL_NEUTRAL.pkl"
    np.savez(arrays, **made_up_fields)
    subprocess.run(
        [sys.executable, "-c", WRITE, str(arrays), str(body)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert b"chumpy.ch" in body.read_bytes()
    read = unpickle_body(body)
    assert "chumpy" not in sys.modules
    assert read.pop("bs_style") == "lbs"
    assert set(read) == set(made_up_fields)
    for name, expected in made_up_fields.items():
        np.testing.assert_array_equal(read[name], expected, err_msg=name)
