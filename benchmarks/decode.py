"""Speed of decoding, of parts of long videos and of shots against their peers, both in this run.

    python -m benchmarks.decode [--video FILE]

Without a video one is made: 40 s of 640 x 360 px, a cut every two seconds. Only ratios mean anything. Before anything
is timed both sides have agreed on frames and cuts.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import scenedetect

from benchmarks.run import Result, rate, require_agreement
from moviestrip.config import ShotSettings
from moviestrip.video.decode import frames, probe
from moviestrip.video.shots import shot_starts

SCENES, SCENE_FRAMES, SIZE_PX = 20, 50, (640, 360)


def write_film(path: Path) -> Path:
    """Textures that drift, joined by hard cuts."""
    width_px, height_px = SIZE_PX
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.codec_context.thread_count = 1
        for index in range(SCENES * SCENE_FRAMES):
            seed, shift = divmod(index, SCENE_FRAMES)
            small = np.random.default_rng(seed).integers(0, 256, (18, 40, 3), np.uint8)
            place = cv2.resize(small, (width_px + 2 * SCENE_FRAMES, height_px), interpolation=cv2.INTER_CUBIC)
            image = np.ascontiguousarray(place[:, 2 * shift : 2 * shift + width_px])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decoding(path: Path) -> Iterator[Result]:
    """Validation decodes strictly in one thread; OpenCV hides what is damaged."""
    n_frames = probe(path).n_frames
    require_agreement("frames", np.array(n_frames), np.array(_frames_with_opencv(path)), 0)
    peer = rate(lambda: _frames_with_opencv(path), n_frames)
    yield Result("validation of every frame", "frames", "OpenCV", rate(lambda: probe(path), n_frames), peer)
    yield Result("RGB frames", "frames", "OpenCV", rate(lambda: sum(1 for _ in frames(path)), n_frames), peer)


def _frames_with_opencv(path: Path) -> int:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def parts(path: Path) -> Iterator[Result]:
    """The last second, from the key frame before it or from the beginning."""
    facts = probe(path)
    start_s = int(facts.n_frames / facts.fps) - 1

    def part() -> list[np.ndarray]:
        return list(frames(path, None, start_s, start_s + 1))

    def end_of_whole() -> list[np.ndarray]:
        first = round(start_s * facts.fps)
        return [image for index, image in enumerate(frames(path)) if first <= index < first + len(part())]

    require_agreement("a part", np.stack(part()), np.stack(end_of_whole()), 0)
    whole = rate(lambda: sum(1 for _ in frames(path)), 1)
    yield Result("the last second of a video", "parts", "decoding all of it", rate(part, 1), whole)


def shots(path: Path) -> Iterator[Result]:
    """Decoding included, on both sides."""
    n_frames = probe(path).n_frames

    def theirs() -> list[int]:
        found = scenedetect.detect(str(path), scenedetect.AdaptiveDetector(min_scene_len=ShotSettings().minimum_frames))
        return [start.frame_num for start, _ in found] or [0]

    def ours() -> list[int]:
        return shot_starts(frames(path), ShotSettings())

    require_agreement("number of shots", np.array(len(ours())), np.array(len(theirs())), 0)
    require_agreement("shots", np.array(ours()), np.array(theirs()), 0)
    yield Result("shots", "frames", "scenedetect", rate(ours, n_frames), rate(theirs, n_frames))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="measure on this one")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.video or write_film(Path(folder) / "film.mp4")
        for results in (decoding(path), parts(path), shots(path)):
            for result in results:
                ours, peer = f"{result.ours_per_s:,.1f} {result.unit} a second", f"{result.peer_per_s:,.1f}"
                ratio = result.ours_per_s / result.peer_per_s
                print(f"{result.work}: {ours}; {result.peer}: {peer}; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
