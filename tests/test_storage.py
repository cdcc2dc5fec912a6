"""Atomic files and feature shards, with the faults injected for real."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from moviestrip import storage
from moviestrip.errors import StorageError

PHI = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)


def run_python(code: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, **options)


def test_features_come_back_as_written_and_are_contiguous(tmp_path: Path):
    path = tmp_path / "a" / "phi.h5"
    storage.write_features(path, PHI, {"backbone": "test"})
    phi, attributes = storage.read_features(path)
    np.testing.assert_array_equal(phi, PHI)
    assert attributes == {"backbone": "test"}
    with h5py.File(path) as file:
        assert file["phi"].chunks is None


def test_features_of_another_type_are_refused(tmp_path: Path):
    with pytest.raises(StorageError, match=r"float32 \(frames, dimension\), got float64 \(64, 32\)"):
        storage.write_features(tmp_path / "phi.h5", PHI.astype(np.float64), {})


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "note.txt"
    storage.write_text(path, "old")
    with pytest.raises(RuntimeError), storage.atomic_path(path) as partial:
        partial.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "videos"
    for name in ("first", "second"):
        with storage.atomic_directory(path) as partial:
            (partial / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_directory_digest_sees_names_and_contents(tmp_path: Path):
    (tmp_path / "a").write_text("x")
    first = storage.digest_of(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = storage.digest_of(tmp_path)
    (tmp_path / "b").write_text("y")
    assert len({first, second, storage.digest_of(tmp_path)}) == 3


WRITE_FOR_EVER = """
import sys, numpy as np
from pathlib import Path
from moviestrip.storage import write_features
phi = np.random.default_rng(0).standard_normal((4096, 256)).astype(np.float32)
print("ready", flush=True)
while True:
    write_features(Path(sys.argv[1]), phi, {})
"""


@pytest.mark.faults
@pytest.mark.parametrize("delay_s", [0.0, 0.013, 0.041, 0.11])
def test_fault_01_sigkill_never_leaves_a_half_written_final_file(tmp_path: Path, delay_s: float):
    path = tmp_path / "phi.h5"
    with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
    expected = np.random.default_rng(0).standard_normal((4096, 256)).astype(np.float32)
    if path.exists():
        np.testing.assert_array_equal(storage.read_features(path)[0], expected)
    storage.write_features(path, expected, {})
    first = storage.digest_file(path)
    storage.write_features(path, expected, {})
    assert storage.digest_file(path) == first


HALF_AN_HDF5 = """
import os, signal, sys, h5py, numpy as np
file = h5py.File(sys.argv[1], "w")
file.create_dataset("phi", data=np.zeros((1000, 32), "f4"))
file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.faults
def test_fault_02_a_killed_hdf5_writer_is_not_mistaken_for_a_shard(tmp_path: Path):
    path = tmp_path / "phi.h5"
    assert run_python(HALF_AN_HDF5, str(path)).returncode == -signal.SIGKILL
    assert path.exists()
    with pytest.raises(StorageError, match=r"phi\.h5: not a (finished feature shard|readable HDF5 file)"):
        storage.read_features(path)
    storage.write_features(path, PHI, {})
    np.testing.assert_array_equal(storage.read_features(path)[0], PHI)


WRITE_LARGE = """
import sys, numpy as np, pandas as pd
from pathlib import Path
from moviestrip import errors, storage, tables
path, kind = Path(sys.argv[1]), sys.argv[2]
values = np.random.default_rng(0).standard_normal((20_000, 75)).astype(np.float32)
try:
    if kind == "h5":
        storage.write_features(path, values, {})
    else:
        rows = {"video_id": "v", "frame": np.arange(20_000), "person": 0, "keypoints": list(values)}
        tables.write_table(path, pd.DataFrame(rows), tables.DETECTIONS)
except errors.StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, 2**18))


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["h5", "parquet"])
def test_fault_03_a_refused_write_names_the_path_and_the_bytes_needed(tmp_path: Path, kind: str):
    path = tmp_path / f"large.{kind}"
    result = run_python(WRITE_LARGE, str(path), kind, preexec_fn=limit_file_size)
    assert result.returncode == StorageError.exit_code, result.stderr
    assert result.stdout.startswith(f"{path}: no room for it: it needs up to ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_fault_03_a_disk_that_fills_up(tmp_path: Path):
    """A real 256 kB file system, in a mount namespace of its own."""
    enter = ["unshare", "--map-root-user", "--mount"] if os.getuid() else ["unshare", "--mount"]
    mount = f"mount -t tmpfs -o size=256k none {tmp_path}"
    if shutil.which("unshare") is None or subprocess.run([*enter, "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted on this machine")
    script = f'{mount} && "$0" -c "$1" {tmp_path}/large.parquet parquet; code=$?; ls -A {tmp_path}; exit $code'
    result = subprocess.run([*enter, "sh", "-c", script, sys.executable, WRITE_LARGE], capture_output=True, text=True)
    assert result.returncode == StorageError.exit_code, result.stderr
    assert result.stdout.splitlines()[0].startswith(f"{tmp_path}/large.parquet: no room for it")
    assert result.stdout.splitlines()[1:] == []


@pytest.mark.faults
def test_fault_17_a_flipped_bit_in_a_feature_shard_is_found(tmp_path: Path):
    path = tmp_path / "phi.h5"
    storage.write_features(path, PHI, {})
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(PHI[10].tobytes()) + 5] ^= 0b100
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match="no longer match their digest"):
        storage.read_features(path)


@pytest.mark.faults
def test_fault_18_a_feature_shard_that_promises_too_much_is_refused_unread(tmp_path: Path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:  # never written to: a few kilobytes on disk
        file.create_dataset("phi", shape=(2**28, 2048), dtype="f4", chunks=(1024, 2048))
        file.attrs.update(complete=True, phi_sha256="")
    assert path.stat().st_size < 2**20
    with pytest.raises(StorageError, match="above the limit of 64 GiB"):
        storage.read_features(path)
