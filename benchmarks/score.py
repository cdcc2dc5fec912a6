"""`moviestrip score` at the papers' size: time and peak memory of the whole command, in a process of its own.

    python -m benchmarks.score [--frames 35515] [--windows 22000]

Predictions are as many frames as 3DPW's test set, as pose and shape. Forecasts are of Human3.6M's test set for PHD's
Table 2: S9 and S11, 15 actions of 2 takes and 4 cameras, 25 frames a second, a start at every 25th frame, 30 frames
each, with and without time warping. Poses are random: only how many there are matters here.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLIPS_3DPW, FRAMES_3DPW = 37, 35_515
CLIPS_HUMAN36M = 2 * 15 * 2 * 4
WINDOWS_HUMAN36M = 22_000
HORIZON_FRAMES, CONDITION_FRAMES, START_EVERY_FRAMES = 30, 15, 25
CONFIGURATION = Path(__file__).resolve().parents[1] / "config.yaml"
MIB = 2**10  # of the KiB that the kernel counts in


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def cost_of(command: list[str], folder: Path) -> Cost:
    """Wall and processor time and the largest resident set of one command; it must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed, so it is not timed:\n{output}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MIB)


def score(folder: Path, protocol: str, *options: str) -> Cost:
    module = [sys.executable, "-m", "moviestrip.cli"]
    files = ["score", "guess.npz", "--truth", "truth.npz", "--protocol", protocol, "--run", ".", *options]
    return cost_of([*module, *files, "--config", str(CONFIGURATION)], folder)


def write_predictions(folder: Path, frames: int) -> None:
    generator = np.random.default_rng(0)
    shared = {
        "clip_id": np.sort(np.arange(frames) % CLIPS_3DPW).astype("U2"),
        "frame": np.arange(frames),
        "betas": generator.normal(0, 1, (frames, 10)).astype(np.float32),
    }
    pose = generator.normal(0, 0.3, (frames, 72)).astype(np.float32)
    np.savez(folder / "truth.npz", pose=pose, **shared)
    noisy = pose + generator.normal(0, 0.05, pose.shape).astype(np.float32)
    np.savez(folder / "guess.npz", pose=noisy, **shared)


def write_forecasts(folder: Path, windows: int) -> tuple[int, int]:
    """Truth and forecasts as joints; returns how many forecasts there are, and frames of the truth."""
    generator = np.random.default_rng(0)
    windows_a_clip = -(-windows // CLIPS_HUMAN36M)
    frames_a_clip = CONDITION_FRAMES + START_EVERY_FRAMES * (windows_a_clip - 1) + HORIZON_FRAMES
    names = np.arange(CLIPS_HUMAN36M).astype("U3")
    true = generator.normal(0, 0.3, (CLIPS_HUMAN36M, frames_a_clip, 14, 3)).astype(np.float32)
    np.savez(
        folder / "truth.npz",
        clip_id=np.repeat(names, frames_a_clip),
        frame=np.tile(np.arange(frames_a_clip), CLIPS_HUMAN36M),
        joints3d=true.reshape(-1, 14, 3),
    )
    starts = CONDITION_FRAMES - 1 + START_EVERY_FRAMES * np.arange(windows_a_clip)
    told = true[:, starts[:, None] + 1 + np.arange(HORIZON_FRAMES)]
    told = told + generator.normal(0, 0.05, told.shape).astype(np.float32)
    np.savez(
        folder / "guess.npz",
        clip_id=np.repeat(names, windows_a_clip),
        start_frame=np.tile(starts, CLIPS_HUMAN36M),
        joints3d=told.reshape(-1, HORIZON_FRAMES, 14, 3),
    )
    return CLIPS_HUMAN36M * windows_a_clip, CLIPS_HUMAN36M * frames_a_clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=FRAMES_3DPW, help="of predictions")
    parser.add_argument(
        "--windows", type=int, default=WINDOWS_HUMAN36M, help="of forecasts, made up to as many in every clip"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_predictions(folder, arguments.frames)
        for protocol in ("vibe", "spin"):
            cost = score(folder, protocol)
            print(f"{arguments.frames:,} predicted frames, {protocol}: {cost.seconds:.1f} s, {cost.peak_mib:,.0f} MiB")
        windows, frames = write_forecasts(folder, arguments.windows)
        cost = score(folder, "phd", "--forecast")
        said = f"{windows:,} forecasts of {HORIZON_FRAMES} in {frames:,} frames, phd, both ways"
        print(f"{said}: {cost.seconds:.1f} s, {cost.peak_mib:,.0f} MiB")


if __name__ == "__main__":
    main()
