"""A card says what the settings and the tables say, and no address of a single video."""

import pytest

from moviestrip.config import DatasetSettings, validate_config
from moviestrip.datasets.card import card_of
from moviestrip.download.journal import Download, download_id_of, write_download
from moviestrip.errors import FatalError
from moviestrip.layout import RunFolder
from tests.datasets.write_run import clip_id, source_of, video_id, write_clips, write_found, write_plan, write_videos

LINKS = {
    "kind": "links",
    "lists": [
        {"kind": "table", "path": "/somewhere/private/posts.csv"},
        {"kind": "listing", "url": "https://video.example.com/@dancers", "collected": "lists/dancers.csv"},
    ],
}


def settings(**changed) -> DatasetSettings:
    values = {
        "role": "pseudo2d", "title": "Found | dances", "licence": "each its poster's", "supervision": "pseudo_2d",
        "tube": "tracks", "split": "train", "source": LINKS,
    }  # fmt: skip
    return DatasetSettings.model_validate({**values, **changed})


def config(**changed):
    values = {"name": "tiny", "world": "papers", "datasets": [], "variants": [], "tables": []}
    return validate_config({**values, **changed}, "test")


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "results" / "tiny")
    write_found(run)
    for number, date in ((0, "2026-02-03"), (8, "2026-02-09")):
        download_id = download_id_of(source_of(number))
        record = Download(download_id, source_of(number), "ok", "", "x.mp4", fetched=date, licence="CC BY 4.0")
        write_download(tmp_path / "results" / "downloads", record)
    return run


def test_counts_origin_dates_and_rights_are_on_it(run):
    card = card_of("found", settings(consent="nobody was asked"), run, config(fetch={"contact": "us@example.org"}))
    assert card.startswith("# Found | dances\n")
    for line in (
        "| licence | each its poster's |",
        "| consent | nobody was asked |",
        "- table: posts.csv",
        "- hosts: videos.example.org (11)",
        "- fetched: 2026-02-03 to 2026-02-09",
        "- licences that sites name: CC BY 4.0 (2)",
        "| train | 7 | 2 | 110 | 0.1 |",
        "| fetched | 7 |  |  | 420 | 1 bad video, 2 permanent, 1 transient |",
        "| used | 2 | 2 | 2 | 110 |  |",
        "- detector: BlazePose full, embedded",
        "- tracker: moviestrip",
        "- pictures: 320 x 240 px",
        "- clips: 2.0 to 2.4 s, half of them above 2.2 s",
        "| near duplicate | 1 | 80 % |",
        "- 4 of 11 listed videos could not be had: what is left is not a random part",
        "Write to us@example.org.",
        "moviestrip forget ID --reason TEXT",
    ):
        assert line in card, line


def test_it_names_no_single_video_and_no_folder_of_the_machine(run):
    card = card_of("found", settings(), run, config())
    assert "https://" not in card and "/somewhere" not in card and str(run.root) not in card
    assert not any(each in card for number in range(11) for each in (video_id(number), clip_id(number, 0)))
    assert "Not known." in card


def test_a_rendered_dataset_films_nobody(tmp_path):
    run = RunFolder(tmp_path)
    write_plan(run, "studio", "studio-0000", [1])
    write_videos(run, "studio", "studio-0000", {1: "ok"})
    write_clips(run, "studio", "studio-0000", {(1, 0): (60, "")})
    source = {"kind": "rendered", "scene": "studio", "videos": {"train": 1}, "subjects": {"train": ["a"]}}
    card = card_of(
        "studio", settings(source=source, tube="truth", supervision="full_3d", role="mocap3d"), run, config()
    )
    assert "Nobody real is filmed" in card and "as annotated" in card and "detector:" not in card
    assert "could not be had" not in card


def test_before_anything_is_fetched_there_is_no_card(tmp_path):
    with pytest.raises(FatalError, match="found: has no videos in"):
        card_of("found", settings(), RunFolder(tmp_path), config())
