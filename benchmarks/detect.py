"""The embedded detector: frames a second with one person, three, and pedestrians, and how many it finds.

    python -m benchmarks.detect [--pedestrians vtest.avi]

Frames are put together from the rendered people of the tests, so that nothing has to be fetched but the weights.
`vtest.avi` (768 x 576, 2 to 9 people of 50 to 130 px) is in Debian's package opencv-doc: give its path for real
pedestrians. One process, one thread, processor time: a busy machine changes it less than the wall time. No peer
runs beside it: OpenPose and RTMPose have no weights that install by pip, so what their authors say is printed.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from moviestrip.pose.people import PeopleDetector

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "pose"
PUBLISHED = (
    "OpenPose on a CPU: about 0.1 frames/s with BODY_25, 0.3 with COCO (its doc/06_maximizing_openpose_speed.md)",
    "RTMPose-m: more than 90 crops/s on an i7-11700 with ONNX Runtime, after its person detector (arXiv 2303.07399)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pedestrians", type=Path, help="vtest.avi of Debian's opencv-doc")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    people = [_picture(f"person_{index}.jpg") for index in range(3)]
    alone, row, crowd = people[0], np.concatenate(people, axis=1), _embedded(_picture("crowd_0.jpg"), 768, 576)
    print("| frames | people asked for | finder | people found | processor ms a frame | frames/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, frames, maximum, finder in (
        ("one person, 256 x 256", [alone], 1, "blazepose"),
        ("three people, 768 x 256", [row], 3, "blazepose"),
        ("three people, 768 x 256", [row], 3, "movenet"),
        ("seven people of 80 px, 768 x 576", [crowd], 30, "blazepose"),
        ("seven people of 80 px, 768 x 576", [crowd], 30, "movenet"),
        ("the same, 1920 x 1080", [_embedded(crowd, 1920, 1080)], 30, "movenet"),
    ):
        print(
            _line(name, frames, PeopleDetector("full", finder, maximum), maximum, finder, options.repeats), flush=True
        )
    if options.pedestrians:
        frames = _spread_frames(options.pedestrians, 8)
        for finder in ("blazepose", "movenet"):
            print(_line("vtest.avi", frames, PeopleDetector("full", finder, 30), 30, finder, 1), flush=True)
    print("\nPublished, not run here:", *PUBLISHED, sep="\n")


def _line(
    name: str, frames: Sequence[np.ndarray], detector: PeopleDetector, maximum: int, finder: str, repeats: int
) -> str:
    detector(frames[0])
    start, found = time.process_time(), 0
    for _ in range(repeats):
        found += sum(len(detector(frame)) for frame in frames)
    seconds = (time.process_time() - start) / repeats / len(frames)
    count = found / repeats / len(frames)
    return f"| {name} | {maximum} | {finder} | {count:.1f} | {seconds * 1e3:.0f} | {1 / seconds:.1f} |"


def _picture(name: str) -> np.ndarray:
    return np.array(Image.open(DATA / name).convert("RGB"))


def _embedded(picture: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """The picture in the middle of a grey frame."""
    frame = np.full((height_px, width_px, 3), 128, np.uint8)
    height, width = picture.shape[:2]
    top, left = (height_px - height) // 2, (width_px - width) // 2
    frame[top : top + height, left : left + width] = picture
    return frame


def _spread_frames(path: Path, count: int) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    places = np.linspace(20, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) - 20, count).astype(int)
    frames = []
    for index in range(int(places[-1]) + 1):
        read, frame = video.read()
        if not read:
            raise SystemExit(f"{path}: ends at frame {index}; is it the whole file?")
        if index in places:
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return frames


if __name__ == "__main__":
    main()
