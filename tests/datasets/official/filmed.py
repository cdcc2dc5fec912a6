"""Small rendered videos of people who can be detected, with the keypoints that are true of them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from moviestrip.body.load import load_body
from moviestrip.config import BodySettings, Split
from moviestrip.parts import cache_folder
from moviestrip.world.kinematics import RestSkeleton
from moviestrip.world.motions import MotionLibrary
from moviestrip.world.plan import VideoSpec
from moviestrip.world.procedural import procedural_motion
from moviestrip.world.render import render_video

FRAMES, FPS, SIDE_PX = 48, 25, 160
FAMILIES = ("discussion", "squats", "walking", "greeting")
SPLITS: tuple[Split, ...] = ("train",) * len(FAMILIES)


@dataclass(frozen=True)
class Filmed:
    video: bytes  # H.264 in mp4
    keypoints_px: tuple[np.ndarray, ...]  # of each person: frames, 25, 3; what is hidden has confidence 0


@cache
def film(index: int, seed: int = 0) -> Filmed:
    """One of any number of videos; the even ones have two people in them."""
    body = load_body(BodySettings(), cache_folder())
    rest = RestSkeleton.from_body(body)
    motions = MotionLibrary(
        tuple(procedural_motion(family, seed, FRAMES + 20, FPS, rest=rest) for family in FAMILIES), SPLITS, rest
    )
    spec = VideoSpec(
        video_id=f"{seed:08x}{index:08x}", dataset="filmed", scene="insta", split="train", subject="somebody",
        action="", seed=100 * seed + index, n_frames=FRAMES, fps=FPS, image_size_px=SIDE_PX, people=2 - index % 2,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        truth = render_video(spec, motions, body, Path(folder) / "video.mp4")
        video = (Path(folder) / "video.mp4").read_bytes()
    people = [rows.sort_values("frame") for _, rows in truth.groupby("person")]
    return Filmed(video, tuple(np.stack(rows["keypoints_2d"]).reshape(-1, 25, 3) for rows in people))
