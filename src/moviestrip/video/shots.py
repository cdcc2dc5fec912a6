"""Shot boundaries: nobody is tracked across a cut.

PySceneDetect's scores propose cuts: the change of hue, saturation and lightness between neighbouring frames,
against the changes around it (`adaptive`) or against a threshold (`content`). A proposal is a cut if the
picture stays another one: where a frame shortly after it is like one shortly before, it was a flash, a
glitch, or a shot too short to count. Fades and dissolves are no cuts: no two neighbouring frames differ
much, and whoever is tracked through them may be tracked on.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from scenedetect.common import FrameTimecode
from scenedetect.detector import SceneDetector
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from moviestrip.config import ShotSettings
from moviestrip.progress import track
from moviestrip.tables import SHOTS, empty
from moviestrip.video.decode import Image

SCORED_WIDTH_PX = 256  # PySceneDetect's own: wider frames are shrunk to it, which is faster and less noisy
REMEMBERED_PX = (32, 18)  # width and height of the pictures by which a flash is told from a cut
ANY_FPS = 25.0  # detectors are asked for frames, never for seconds
ALIKE = 0.5  # two frames are, when they differ by less than this share of the proposed cut's change

FramesOf = Callable[[str], Iterator[Image]]  # from a video's id
Small = Float[np.ndarray, "height width 3"]


def shots_of(videos: pd.DataFrame, frames_of: FramesOf, settings: ShotSettings) -> pd.DataFrame:
    """The shots of every usable video: (tables.SHOTS); `frames_of` gives a video's frames by its id."""
    usable = videos[videos["status"] == "ok"]
    rows = []
    for video in track(usable.to_dict("records"), "shots", len(usable)):
        frames = frames_of(video["video_id"]) if settings.detector != "none" else iter(())
        starts = shot_starts(frames, settings)
        ends = [*starts[1:], video["n_frames"]]
        rows += [
            {"video_id": video["video_id"], "shot": shot, "first_frame": start, "n_frames": end - start}
            for shot, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]
    return pd.DataFrame(rows, columns=empty(SHOTS).columns)


def shot_starts(frames: Iterable[Image], settings: ShotSettings) -> list[int]:
    """The first frame of each shot: 0, and every cut that leaves no shot shorter than `minimum_frames`."""
    detector = _detector(settings)
    if detector is None:
        return [0]
    proposals, remembered = deque[int](), Remembered(settings.minimum_frames, detector.event_buffer_length)
    starts, n_frames = [0], 0
    for n_frames, frame in enumerate(frames, 1):
        scored = _scored(frame)
        remembered.add(scored)
        proposals += [cut.frame_num for cut in detector.process_frame(FrameTimecode(n_frames - 1, ANY_FPS), scored)]
        while proposals and n_frames - proposals[0] >= settings.minimum_frames:
            cut = proposals.popleft()
            if cut - starts[-1] >= settings.minimum_frames and remembered.changes_at(cut):
                starts.append(cut)
    return starts  # a cut closer to the end would leave too short a shot


def _detector(settings: ShotSettings) -> SceneDetector | None:
    """Proposes cuts without regard to the length of shots, which depends on which of them are cuts."""
    match settings.detector:
        case "adaptive":
            return AdaptiveDetector(adaptive_threshold=settings.adaptive_threshold, min_scene_len=1)
        case "content":
            return ContentDetector(threshold=settings.content_threshold, min_scene_len=0)
        case "none":
            return None


def _scored(frame: Image) -> UInt8[np.ndarray, "height width 3"]:
    """The frame as detectors want it: small, blue first."""
    height_px, width_px = frame.shape[:2]
    if width_px > SCORED_WIDTH_PX:
        size = (SCORED_WIDTH_PX, max(1, round(height_px * SCORED_WIDTH_PX / width_px)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)


class Remembered:
    """The last frames, small, to look at both sides of a proposed cut."""

    def __init__(self, reach: int, delay: int) -> None:
        """`reach`: frames looked at on either side; `delay`: how late a proposal may come."""
        self.reach = reach
        self.pictures: deque[Small] = deque(maxlen=2 * reach + delay + 1)
        self.n_frames = 0

    def add(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        four_times = cv2.resize(
            frame, (4 * REMEMBERED_PX[0], 4 * REMEMBERED_PX[1])
        )  # from there it is four times faster
        self.pictures.append(cv2.resize(four_times, REMEMBERED_PX, interpolation=cv2.INTER_AREA).astype(np.float32))
        self.n_frames += 1

    def changes_at(self, cut: int) -> bool:
        """Whether no frame from `cut` on is like one before it."""
        before, after = self._between(cut - self.reach, cut), self._between(cut, cut + self.reach)
        differences = [[float(np.abs(early - late).mean()) for late in after] for early in before]
        return min(map(min, differences)) >= ALIKE * differences[-1][0]

    def _between(self, first: int, end: int) -> Sequence[Small]:
        oldest = self.n_frames - len(self.pictures)
        return [self.pictures[index - oldest] for index in range(max(first, oldest), end)]
