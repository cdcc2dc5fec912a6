"""Lists of links: what they name, what they may not, and what a page lists."""

import json
import time
from pathlib import Path

import pytest

from moviestrip.config import DatasetSettings, FetchSettings
from moviestrip.datasets.forgotten import add_forgotten, read_forgotten
from moviestrip.datasets.link_table import Link, read_links
from moviestrip.datasets.links import collect, linked_videos
from moviestrip.errors import ConfigError, StorageError
from moviestrip.video.fetch import video_id_of


def linked(*lists: dict, split: str | None = "train") -> DatasetSettings:
    return DatasetSettings.model_validate({
        "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks",
        "split": split, "source": {"kind": "links", "lists": lists},
    })  # fmt: skip


def listed(*lists: dict, split: str | None = "train") -> list[dict]:
    return linked_videos("mine", linked(*lists, split=split))


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_tables_say_the_same_in_every_format(tmp_path: Path, suffix: str):
    rows = [
        {"url": "https://host/a.mp4", "title": "any, \"thing\"", "action": "walking", "split": "test"},
        {"url": "https://host/a.mp4", "title": "", "action": "", "split": "", "start_s": 10, "end_s": 20.5},
    ]  # fmt: skip
    texts = {
        ".csv": "\ufeffurl,title,action,split,start_s,end_s\r\n"
        'https://host/a.mp4,"any, ""thing""",walking,test,,\r\n\r\nhttps://host/a.mp4,,,,10,20.5\r\n',
        ".json": json.dumps(rows),
        ".jsonl": "\n".join(map(json.dumps, rows)) + "\n\n",
    }
    path = written(tmp_path / f"mine{suffix}", texts[suffix])
    whole, part = listed({"kind": "table", "path": path}, split="validation")
    assert (whole["source"], whole["split"], whole["action"]) == ("https://host/a.mp4", "test", "walking")
    assert whole["start_s"] == whole["end_s"] == 0
    assert part["source"] == "https://host/a.mp4#t=10,20.5"
    assert (part["url"], part["split"], part["start_s"], part["end_s"]) == (
        "https://host/a.mp4", "validation", 10, 20.5,
    )  # fmt: skip
    assert part["video_id"] == video_id_of(part["source"]) != whole["video_id"]


def test_a_source_in_a_table_is_the_same_video_again(tmp_path: Path):
    for link in (
        Link("https://h/a", start_s=10, end_s=20.125), Link("https://h/a", end_s=3), Link("https://h/a#x", start_s=2.5),
    ):  # fmt: skip
        (found,) = read_links(Path(written(tmp_path / "t.jsonl", json.dumps({"url": link.source}))))
        assert found == link
        assert found.source == link.source


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("link\nhttps://h/a\n", "line 1: lacks the column 'url'; its first line is link"),
        ("url,start\nhttps://h/a,3\n", "line 1: the column 'start' is called 'start_s' here"),
        ("URL\nhttps://h/a\n", "line 1: the column 'URL' is called 'url' here"),
        ("url\nhttps://h/a\nftp://h/a\n", "line 3: url 'ftp://h/a' is not an address"),
        ("url\nfile:///etc/passwd\n", "line 2: url 'file:///etc/passwd' is not an address"),
        ("url\nhttps://h/a b\n", "holds spaces"),
        ("url\nhttps://[h/a\n", "line 2: .* is not an address"),
        ("url\nhttps://me:secret@h/a\n", "holds a user's name or password"),
        ("url,title\n,nothing\n", "line 2: url '' is empty"),
        ("url\nhttps://h/" + "a" * 5000 + "\n", "letters, more than 4,096"),
        ("url,start_s,end_s\nhttps://h/a,20,10\n", "line 2: end_s 10 is not after start_s 20"),
        ("url,start_s\nhttps://h/a,-1\n", "line 2: start_s is '-1', expected seconds"),
        ("url,start_s\nhttps://h/a,nan\n", "line 2: start_s is 'nan', expected seconds"),
        ("url,start_s\n\"https://h/a#t=1,2\",3\n", "line 2: both the url and start_s"),
        ("url,split\nhttps://h/a,training\n", "line 2: split 'training' is not known; known: train, validation, test"),
        ("url,action\nhttps://h/a,run, fast\n", "line 2: more or fewer values than columns"),
        (b"url\nhttps://h/\xff.mp4\n", "line 2: .* what is not UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_table_names_its_line(tmp_path: Path, content: str | bytes, message: str):
    path = written(tmp_path / "mine.csv", content)
    with pytest.raises(StorageError, match=message) as found:
        listed({"kind": "table", "path": path})
    assert str(found.value).startswith(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"url": "https://h/a"}', "is a dict, expected a list of objects"),
        ("a.json", '[{"url": "https://h/a"}, {"link": 1}]', "row 2: expected an object with 'url', found link"),
        ("a.json", '[{"url": 7}]', "row 1: url is 7, expected text"),
        ("a.json", "[" * 100_000, "damaged, or not JSON"),
        ("a.jsonl", '{"url": "https://h/a"}\n{"url": ', "line 2: damaged, or not JSON"),
        ("a.jsonl", '{"url": "https://h/a", "start_s": true}', "line 1: start_s is 'True'"),
        ("a.jsonl", '{"url": "https://h/a", "start_s": 1e999}', "line 1: start_s is 'inf'"),
        ("a.txt", "https://h/a", r"ends in '.txt', expected .csv, .json or .jsonl"),
    ],
)
def test_wrong_json_names_its_row(tmp_path: Path, name: str, content: str, message: str):
    with pytest.raises(StorageError, match=message):
        listed({"kind": "table", "path": written(tmp_path / name, content)})


@pytest.mark.faults
def test_fault_12_titles_of_any_bytes_pass_by_and_ids_come_from_addresses_alone(tmp_path: Path):
    titles = [b"../../etc/passwd", b"\xff\xfe", b"a\x00b", "ü🏃".encode() * 80, b'"line\nbreak"', b"=cmd()"]
    rows = [b"https://host/%d/..%%2f..%%2f%s.mp4,%s" % (n, b"x" * 300, title) for n, title in enumerate(titles)]
    path = written(tmp_path / "mine.csv", b"url,title\n" + b"\n".join(rows) + b"\n")
    found = listed({"kind": "table", "path": path})
    assert len(found) == len(titles)
    assert all(set(entry["video_id"]) <= set("0123456789abcdef") and len(entry["video_id"]) == 16 for entry in found)
    assert "passwd" not in json.dumps(found)
    (halved,) = listed(
        {"kind": "table", "path": written(tmp_path / "a.json", '[{"url":"https://h/a","action":"\\ud800"}]')}
    )
    json.dumps(halved, ensure_ascii=False).encode()  # a lone surrogate fits into no table


def test_released_lists_of_ids(tmp_path: Path):
    insta = written(tmp_path / "insta.txt", "deadlift/44782930_2743_n\ngolf/45291523_4655_n\n")
    vlog = written(tmp_path / "vlog.txt", "X_I_4_v_mozQXWErXI4_016_\n1_o_w_v_DpHpjH61_ow_007_\n")
    plain = written(tmp_path / "plain.txt", "one\ntwo&three\n")
    found = listed(
        {"kind": "ids", "path": insta, "url": "http://host/{tag}/v/{name}.mp4"},
        {"kind": "ids", "path": vlog, "url": "http://host/{path}/clip.mp4", "split": "test"},
        {"kind": "ids", "path": vlog, "url": "https://www.youtube.com/watch?v={youtube_id}"},
        {"kind": "ids", "path": plain, "url": "http://host/{id}"},
    )
    assert [entry["url"] for entry in found] == [
        "http://host/deadlift/v/44782930_2743_n.mp4",
        "http://host/golf/v/45291523_4655_n.mp4",
        "http://host/X/I/4/v_mozQXWErXI4/016/clip.mp4",
        "http://host/1/o/w/v_DpHpjH61_ow/007/clip.mp4",
        "https://www.youtube.com/watch?v=mozQXWErXI4",
        "https://www.youtube.com/watch?v=DpHpjH61_ow",
        "http://host/one",
        "http://host/two%26three",
    ]
    assert [(entry["action"], entry["subject"]) for entry in found[:3]] == [
        ("deadlift", "44782930_2743_n"), ("golf", "45291523_4655_n"), ("", "v_mozQXWErXI4"),
    ]  # fmt: skip
    assert [entry["split"] for entry in found[1:5]] == ["train", "test", "test", "train"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/video.mp4", r"source.lists.0.url: .* holds no name in braces; known: \{id\}"),
        ("http://host/{nmae}", r"holds \{nmae\}; known"),
        ("http://host/{tag", "is not an address with names in braces"),
        ("http://host/{tag}/{path}", r"VLOG's; use one"),
    ],
)
def test_a_wrong_address_of_ids_names_the_key(tmp_path: Path, url: str, message: str):
    path = written(tmp_path / "ids.txt", "golf/1\n")
    with pytest.raises(ConfigError, match=message):
        listed({"kind": "ids", "path": path, "url": url})


def test_ids_must_be_of_the_form_that_the_address_asks_for(tmp_path: Path):
    path = written(tmp_path / "ids.txt", "golf\n")
    for url, example in (("http://host/{tag}", "deadlift/4478"), ("http://host/{path}", "X_I_4_v_moz")):
        with pytest.raises(StorageError, match=f"'golf' is no video's name; a line is like '{example}"):
            listed({"kind": "ids", "path": path, "url": url})


def test_posts_of_instavariety(tmp_path: Path):
    path = tmp_path / "InstaVariety.json"
    posts = [
        {"download_tag": tag, "urls": [f"4478_{number}_n.mp4"], "shortcode": f"Bp{number}", "tags": [tag, "fit"]}
        for number, tag in enumerate(["deadlift", "golf"])
    ]
    path.write_text(json.dumps(posts))
    with pytest.raises(StorageError, match="post 0: video_link '' is empty"):
        listed({"kind": "instavariety", "path": str(path)})
    for post in posts:
        post["video_link"] = f"https://www.instagram.com/p/{post['shortcode']}"
    path.write_text(json.dumps([*posts, {**posts[0], "download_tag": "another"}]))
    found = listed({"kind": "instavariety", "path": str(path)})
    assert [entry["url"] for entry in found] == [post["video_link"] for post in posts]  # of two tags, the first
    assert [entry["action"] for entry in found] == ["deadlift", "golf"]
    assert [entry["subject"] for entry in found] == ["4478_0_n", "4478_1_n"]


def test_a_list_of_kinetics_names_parts_of_videos(tmp_path: Path):
    path = written(
        tmp_path / "val.csv",
        'label,youtube_id,time_start,time_end,split\n"bench pressing",-3B32lodo2M,59,69,val\n'
        "archery,0123456789a,0,10,val\narchery,0123456789a,10,20,val\n",
    )
    found = listed({"kind": "kinetics", "path": path, "split": "validation"})
    assert [(entry["source"], entry["action"]) for entry in found] == [
        ("https://www.youtube.com/watch?v=-3B32lodo2M#t=59,69", "bench pressing"),
        ("https://www.youtube.com/watch?v=0123456789a#t=0,10", "archery"),
        ("https://www.youtube.com/watch?v=0123456789a#t=10,20", "archery"),
    ]
    assert {entry["split"] for entry in found} == {"validation"}
    assert (found[0]["start_s"], found[0]["end_s"]) == (59, 69)


def test_lists_of_all_kinds_stand_one_after_another_and_the_first_wins(tmp_path: Path):
    folder = tmp_path / "videos"
    folder.mkdir()
    written(folder / "b.MP4", "x")
    written(folder / "notes.txt", "x")
    table = written(tmp_path / "a.csv", "url,action\nhttps://h/1,first\nhttps://h/2,first\n")
    again = written(tmp_path / "b.csv", "url,action\nhttps://h/2,second\nhttps://h/3,second\n")
    package = {
        "kind": "package", "requirement": "name==1.0", "sha256": "0" * 64,
        "files": [{"path": "name/a.mp4", "sha256": "1" * 64}],
    }  # fmt: skip
    found = listed(
        {"kind": "table", "path": table}, {"kind": "folder", "path": str(folder)}, package,
        {"kind": "table", "path": again},
    )  # fmt: skip
    assert [(entry["source"], entry["action"]) for entry in found] == [
        ("https://h/1", "first"), ("https://h/2", "first"), (str(folder / "b.MP4"), ""), ("name==1.0/name/a.mp4", ""),
        ("https://h/3", "second"),
    ]  # fmt: skip
    assert [(entry["url"], entry["file"], entry["package"]) for entry in found[1:4]] == [
        ("https://h/2", "", ""), ("", str(folder / "b.MP4"), ""), ("", "name/a.mp4", "name==1.0"),
    ]  # fmt: skip
    assert len({tuple(entry) for entry in found}) == 1  # every entry has the same keys


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (
            {"kind": "table", "path": "/nowhere/a.csv"},
            r"mine.yaml: source.lists.0.path: there is no file",
        ),
        ({"kind": "folder", "path": "/nowhere"}, r"source.lists.0.path: there is no folder /nowhere"),
        (
            {"kind": "listing", "url": "https://h/tag", "collected": "/nowhere/c.csv"},
            r"source.lists.0.collected: there is no file /nowhere/c.csv; run `moviestrip collect mine`",
        ),
    ],
)
def test_what_is_not_there_is_named(each: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        listed(each)


def test_as_many_as_instavariety_has_are_listed_in_less_than_a_second(tmp_path: Path):
    ids = [f"tag{number % 92}/{44_000_000 + number}_{number:015d}_7225259367065452544_n" for number in range(28_272)]
    path = written(tmp_path / "ids.txt", "\n".join(ids))
    each = {"kind": "ids", "path": path, "url": "http://127.0.0.1:9/{tag}/{name}.mp4"}
    start_s = time.process_time()
    found = listed(each)
    assert time.process_time() - start_s < 1
    assert len({entry["video_id"] for entry in found}) == len(ids)


def test_a_tombstone_is_added_once_and_keeps_its_date(tmp_path: Path):
    path = tmp_path / "config" / "forgotten.csv"
    assert read_forgotten(path) == frozenset()
    assert add_forgotten(path, ["a", "b", "a"], "asked\nby mail, twice", "2026-01-02") == ["a", "b"]
    assert add_forgotten(path, ["b", "c"], "another", "2026-02-03") == ["c"]
    assert read_forgotten(path) == {"a", "b", "c"}
    assert path.read_text() == (
        'video_id,forgotten,reason\na,2026-01-02,"asked by mail, twice"\nb,2026-01-02,"asked by mail, twice"\n'
        "c,2026-02-03,another\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [("a,b\n", "its first line is 'a,b'"), ("video_id,forgotten,reason\n,2026-01-02,x\n", "line 2: expected an id"),
     (b"\xff\xfe\x00", "cannot be read"), ("", "its first line is ''")],
)  # fmt: skip
def test_a_damaged_list_of_tombstones_stops_everything(tmp_path: Path, content: str | bytes, message: str):
    path = tmp_path / "forgotten.csv"
    written(path, content)
    with pytest.raises(StorageError, match=message):
        read_forgotten(path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=message):
        add_forgotten(path, ["a"], "x", "2026-01-02")
    assert path.read_bytes() == before


def test_collecting_without_a_listing_says_what_is_missing(tmp_path: Path):
    path = written(tmp_path / "a.csv", "url\nhttps://h/1\n")
    with pytest.raises(ConfigError, match="holds no list of `kind: listing` to collect"):
        collect("mine", linked({"kind": "table", "path": path}), FetchSettings(), tmp_path)
