"""A film of coloured blocks that stand for people, and a detector that finds them by their colour."""

import sys
from pathlib import Path

import numpy as np

WIDTH_PX, HEIGHT_PX, FRAMES = 160, 120, 30
SIZE_PX = (24, 60)  # of a person, width and height
RED, BLUE, GREEN = (220, 30, 30), (30, 30, 220), (30, 200, 30)

# OpenPose's command line as far as it is used; 25 keypoints spread evenly over each block.
DETECTOR = """
import argparse, json, pathlib, cv2, numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("--image_dir", type=pathlib.Path)
parser.add_argument("--write_json", type=pathlib.Path)
options, _ = parser.parse_known_args()
for path in options.image_dir.iterdir():
    image = cv2.imread(str(path)).astype(int)
    people = []
    for channel in range(3):
        others = np.delete(image, channel, axis=2).max(2)
        rows, columns = np.nonzero((image[..., channel] > 150) & (others < 90))
        if len(rows):
            x, y = np.meshgrid(np.linspace(columns.min(), columns.max(), 5), np.linspace(rows.min(), rows.max(), 5))
            points = np.stack([x.ravel(), y.ravel(), np.full(25, 0.9)], 1)
            people.append({"pose_keypoints_2d": points.ravel().tolist()})
    answer = {"version": 1.3, "people": people}
    (options.write_json / f"{path.stem}_keypoints.json").write_text(json.dumps(answer))
"""


def detector_command(folder: Path) -> str:
    program = folder / "detector.py"
    program.write_text(DETECTOR)
    return f"{sys.executable} {program}"


def centre_of_red(frame: int) -> tuple[float, float]:
    return 30.0 + 2 * frame, 60.0


def picture(frame: int) -> np.ndarray:
    """Red walks throughout; blue stands from frame 5 on; green is there for four frames only."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8)
    _block(image, centre_of_red(frame), RED)
    if frame >= 5:
        _block(image, (130.0, 60.0), BLUE)
    if 10 <= frame < 14:
        _block(image, (10.0, 90.0), GREEN, (8, 20))
    return image


def _block(
    image: np.ndarray, centre: tuple[float, float], colour: tuple[int, int, int], size: tuple[int, int] = SIZE_PX
) -> None:
    left, top = (round(middle - side / 2) for middle, side in zip(centre, size, strict=True))
    image[top : top + size[1], left : left + size[0]] = colour


class MeanColour:
    """A backbone whose features are eight numbers of the crop's colours."""

    name, dimension, digest, input_px, crop_share = "mean-colour", 8, "", 32, 1.0

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        colours = crops.reshape(len(crops), -1, 3).astype(np.float32) / 255
        return np.concatenate([colours.mean(1), colours.std(1), colours.mean(1)[:, :2] ** 2], 1)
