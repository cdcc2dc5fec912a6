"""The README's pictures from a finished run, and what may not be among them."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moviestrip.errors import ConfigError, FatalError
from moviestrip.figures.gallery import browser, overlay_strip, photograph, write_small
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.provenance import provenance_path, read_record
from moviestrip.stages.gallery import gallery
from moviestrip.storage import write_json


@pytest.mark.workflow
def test_a_run_becomes_small_pictures_of_what_was_rendered(finished: Path, tmp_path: Path):
    program = str(Path(sys.executable).with_name("moviestrip"))
    command = [program, "gallery", "--run", str(finished / "results/tiny"), "--to", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": ""}).stdout
    files = sorted(path.name for path in tmp_path.iterdir())
    datasets = ["court", "gym", "insta-mini", "studio"]
    assert files == ["overlay.webp", *(f"world-{name}.webp" for name in datasets)]
    assert said.count("no browser is installed") == 3
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= 150_000
        picture = Image.open(path)
        assert picture.width > 150 and np.asarray(picture.convert("RGB")).std() > 20  # not empty paper
    assert getattr(Image.open(tmp_path / "overlay.webp"), "n_frames", 1) > 8


@pytest.mark.workflow
def test_pictures_of_videos_that_were_not_rendered_here_are_refused(finished: Path, tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    record = read_record(finished / "results/tiny/claims.csv")
    source = {"kind": "folder", "path": "videos", "people": 1}
    record["settings"]["dataset_settings"]["gym"]["source"] = source
    write_json(provenance_path(run.claims), record)
    with pytest.raises(ConfigError, match=r"--dataset gym: its videos are not rendered here \(folder\)"):
        gallery(run, tmp_path / "pictures", ["studio", "gym"])
    with pytest.raises(ConfigError, match="--dataset street is not in this run; known: "):
        gallery(run, tmp_path / "pictures", ["street"])
    write_json(provenance_path(run.claims), record | {"settings": record["settings"] | {"world": "papers"}})
    with pytest.raises(ConfigError, match="is of the papers world; a gallery shows the miniature world only"):
        gallery(run, tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()


def test_a_picture_is_made_as_small_as_asked_or_not_at_all(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = tmp_path / "noise.webp"
    write_small(path, [noise], maximum=30_000)
    assert path.stat().st_size <= 30_000
    write_small(path, [noise, 255 - noise], maximum=30_000)
    animation = Image.open(io.BytesIO(path.read_bytes()))
    assert animation.n_frames == 2 and path.stat().st_size <= 30_000
    with pytest.raises(FatalError, match="cannot be made smaller than 100 bytes"):
        write_small(path, [noise], maximum=100)


def test_an_overlay_keeps_every_third_frame_of_its_beginning(tmp_path: Path):
    file = tmp_path / "clip.mp4"
    write_video(file, (np.full((64, 96, 3), 5 * index, np.uint8) for index in range(40)), quality=18)
    shown = overlay_strip(file, frames=16, pace=3)
    assert len(shown) == 14 and shown[0].shape == (64, 96, 3)
    assert [frame.mean() for frame in shown] == pytest.approx([15 * index for index in range(14)], abs=3)


@pytest.mark.skipif(browser() is None, reason="no chromium is installed")
def test_a_page_is_photographed_without_the_paper_around_it(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text("<body style='margin:0'><div style='margin:40px;width:200px;height:90px;background:#a00'></div>")
    program = browser()
    assert program is not None and shutil.which(program)
    picture = photograph(page, 640, 480, program, trimmed=True)
    assert picture.shape == (90 + 24, 200 + 24, 3)
    assert tuple(picture[57, 112]) == (170, 0, 0)
