"""Official body files are pickles from Python 2: theirs are read, and no other pickle gets to do anything."""

import copyreg
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moviestrip.body.unpickle import unpickle_body
from moviestrip.errors import ConfigError, StorageError
from moviestrip.unpickle import unpickle


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
        with pytest.raises(ConfigError, match=rf"SMPL_NEUTRAL.pkl: asks for .*{function.__name__}.*it was not run"):
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
        b"cmoviestrip.unpickle\nPath\n.",
        b"Psecret\n.",
    ],
)
def test_fault_19_names_beside_the_allowed_ones_are_refused(tmp_path: Path, data: bytes) -> None:
    body = tmp_path / "body.pkl"
    body.write_bytes(data)
    with pytest.raises(ConfigError, match=r"body.path: .*body.pkl: (asks for|refers to)"):
        unpickle_body(body)


@pytest.mark.parametrize("data", [b"", b"\x80\x02}", b"not a pickle at all", pickle.dumps([1, 2])])
def test_a_damaged_or_foreign_pickle_is_named(tmp_path: Path, data: bytes) -> None:
    body = tmp_path / "body.pkl"
    body.write_bytes(data)
    with pytest.raises(ConfigError, match=r"body.path: .*body.pkl: (is not a readable pickle|holds a list)"):
        unpickle_body(body)


def recursive() -> bytes:
    inside: list = []
    inside.append(inside)
    return pickle.dumps({"a": inside})


@pytest.mark.faults
@pytest.mark.parametrize(
    "data",
    [
        recursive(),
        b"cchumpy.ch\nCh\n(tR}bs.",  # an array without its numbers
        pickle.dumps({"a": b"\x00\xff"}, 2).replace(b"latin1", b"utf-16"),
        b"\x80\x02cnumpy\nndarray\n(\x8a\x07\x00\x00\x00\x00\x00\x00\x01t\x85R.",  # 2^48 numbers
    ],
    ids=["recursive", "empty", "encoding", "huge"],
)
def test_fault_18_a_pickle_made_to_exhaust_or_confuse_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "sequence.pkl"
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"sequence.pkl: (is not a readable pickle|holds a)") as caught:
        unpickle(path)
    assert "\n" not in str(caught.value)


@pytest.mark.faults
def test_fault_19_a_pickle_cannot_change_what_outlives_its_reading(tmp_path: Path) -> None:
    path = tmp_path / "sequence.pkl"
    # BUILD with a pair of states sets attributes, here of the function that makes objects.
    path.write_bytes(b"\x80\x02ccopy_reg\n_reconstructor\nN}X\x05\x00\x00\x00ownedK\x01s\x86b.")
    with pytest.raises(StorageError, match="holds a function"):
        unpickle(path)
    assert not hasattr(copyreg._reconstructor, "owned")
    for kind in (b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c__builtin__\nset\n"):
        path.write_bytes(b"\x80\x02" + kind + b"N}X\x05\x00\x00\x00ownedK\x01s\x86b.")
        with pytest.raises(StorageError, match="is not a readable pickle"):
            unpickle(path)


def test_a_file_that_is_not_there_or_too_large_is_named(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "sequence.pkl"
    with pytest.raises(StorageError, match=r"sequence.pkl: there is no such file"):
        unpickle(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    monkeypatch.setattr("moviestrip.unpickle.MAXIMUM_BYTES", 4)
    with pytest.raises(StorageError, match=r"sequence.pkl: [0-9]+ bytes, refused above 4"):
        unpickle(path)


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
fields["each"] = [Ch(values["v_template"][:5]), values["weights"][:2]]
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
    each = read.pop("each")
    np.testing.assert_array_equal(each[0], made_up_fields["v_template"][:5])
    np.testing.assert_array_equal(each[1], made_up_fields["weights"][:2])
    assert set(read) == set(made_up_fields)
    for name, expected in made_up_fields.items():
        np.testing.assert_array_equal(read[name], expected, err_msg=name)
