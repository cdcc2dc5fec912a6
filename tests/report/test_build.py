"""The page is whole: it parses, loads nothing, every id resolves, and what is inside it decodes."""

import base64
import io
import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import av
import pytest
from PIL import Image

from moviestrip.config import Config, DatasetSettings, validate_config
from moviestrip.errors import StorageError
from moviestrip.layout import RunFolder
from moviestrip.papers.worlds import Setting
from moviestrip.report import build_report, sources

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ADDRESSES = {"src", "href", "poster", "action", "data", "srcset", "xlink:href"}


class Page(HTMLParser):
    """Collects elements, and fails when tags do not close in order."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="session")
def page(page_file: Path) -> Page:
    return Page(page_file.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(page: Page, page_file: Path):
    for _, attributes in page.elements:
        for name in ADDRESSES & set(attributes):
            assert re.match(r"(data:|#)", attributes[name] or ""), (name, attributes[name])
    styles = re.findall(r"url\(([^)]*)\)", page_file.read_text(encoding="utf-8"))
    assert all(address.startswith("#") for address in styles)
    policy = next(item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_ids_are_unique_and_every_reference_resolves(page: Page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("href", "xlink:href"):
            if (attributes.get(name) or "").startswith("#"):
                assert attributes[name][1:] in ids
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for identifier in (attributes.get(name) or "").split():
                assert identifier in ids
        for identifier in re.findall(r"url\(#([^)]*)\)", " ".join(str(value) for value in attributes.values())):
            assert identifier in ids


def test_videos_and_pictures_decode(page: Page):
    videos = page.all("video")
    assert len(videos) == 2 * 3 + 2  # and the one at the top, and a real one
    for video in videos:
        content = base64.b64decode(video["src"].partition("base64,")[2], validate=True)
        with av.open(io.BytesIO(content)) as file:
            frames = list(file.decode(video=0))
        assert (frames[0].width, frames[0].height) == (int(video["width"]), int(video["height"]))
        assert "muted" in video and "loop" in video and "controls" in video
        assert video["aria-label"]
        poster = Image.open(io.BytesIO(base64.b64decode(video["poster"].partition("base64,")[2])))
        assert poster.size == (frames[0].width, frames[0].height)
    for picture in page.all("img"):
        assert picture["alt"]
        assert Image.open(io.BytesIO(base64.b64decode(picture["src"].partition("base64,")[2]))).width == 256


def test_the_page_says_what_it_is(page: Page):
    for words in (
        "Our numbers are not the papers’ numbers",
        "free body (not SMPL)",
        "BlazePose full (embedded)",
        "HMMR Table 2: Local & temporal context",
        "76.7",
        "[108.0, 117.2]",
        "The same gains read on Procrustes-aligned error <of 3DPW>.",
        "sitting down",
        "Ours: a=51.5",
        "Note: Fails as printed.",
        "What no number here says",
        "Does single-view tremble?",
        "Two <cameras>.",
        "width: 256",
        "moviestrip 0.1.0",
    ):
        assert words in page.text
    assert page.all("html")[0]["lang"] == "en"
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(headings))


def test_a_table_takes_the_style_of_the_page(run: RunFolder):
    fragment = sources.read_table_fragments(run, ["hmmr-2"])[0]
    assert fragment.title == "HMMR Table 2: Local & temporal context"
    assert "<style>" not in fragment.html and "<strong>" not in fragment.html
    assert "miniature world" in fragment.html


def test_the_numbers_of_a_claim_lead_to_their_cells(page: Page):
    led = [item["href"] for item in page.all("a") if (item.get("href") or "").startswith("#cell-")]
    both = ["#cell-hmmr-2-contextual-3dpw-pa_mpjpe", "#cell-hmmr-2-single-view-3dpw-pa_mpjpe"]
    assert led[:4] == both * 2  # printed and ours; the claim on a table that is not here leads nowhere
    assert led[4:] == both[:1]  # from the comparison with smoothing, where its table has the cell
    assert "Printed: pa_mpjpe(contextual)[3dpw] =80.1, pa_mpjpe(single-view)[3dpw] =76.7" in page.text
    assert "=109.7 (103.9 to 113.8)," in page.text and "Printed: c=1" in page.text


def test_configured_tables_come_first_and_in_order(page: Page):
    articles = [item["id"] for item in page.all("article") if (item.get("id") or "").startswith("table-")]
    assert articles == ["table-hmmr-2", "table-hmmr-1"]


def test_the_same_files_give_the_same_bytes(run: RunFolder, config: Config, tmp_path):
    build_report(run.root, config)
    first = run.report.read_bytes()
    build_report(run.root, config)
    assert run.report.read_bytes() == first
    copy = RunFolder(tmp_path / "elsewhere" / "tiny")
    shutil.copytree(run.root, copy.root)
    build_report(copy.root, config)
    assert copy.report.read_bytes() == first


def test_clips_that_failed_a_filter_are_not_counted(run: RunFolder, config: Config):
    rows = sources.dataset_rows(sources.read_clips(run, config.datasets), {})
    assert [row["title"] for row in rows] == ["studio", "street"]
    assert rows[0]["train"] + rows[0]["validation"] + rows[0]["test"] == 11
    assert rows[0]["frames"] == 11 * 64


def test_overlays_stop_at_the_limit_with_whole_clips(run: RunFolder):
    everything, none_left = sources.read_overlays(run, {}, 10**9)
    assert none_left == 0
    one_clip = sum(overlay["video"].n_bytes for overlay in everything[0].overlays)
    clips, left = sources.read_overlays(run, {}, one_clip)
    assert [clip.clip_id for clip in clips] == ["street-003"]
    assert left == 3
    assert len(clips[0].overlays) == 3


def test_of_the_first_clip_as_many_models_as_fit_are_shown(run: RunFolder):
    everything, _ = sources.read_overlays(run, {}, 10**9)
    two = sum(overlay["video"].n_bytes for overlay in everything[0].overlays[:2])
    clips, left = sources.read_overlays(run, {}, two)
    assert [[overlay["name"] for overlay in clip.overlays] for clip in clips] == [["single-view", "contextual"]]
    assert left == 4


def test_a_page_above_the_limit_is_refused(run: RunFolder, config: Config):
    (run.root / "tables" / "hmmr-1.html").write_text("x" * 25_000_001)
    with pytest.raises(StorageError, match=r"index\.html: the page would have .* bytes.*report\.overlay_clips"):
        build_report(run.root, config)
    assert not run.report.exists()


def test_an_empty_run_still_has_a_page(tmp_path, config: Config):
    build_report(tmp_path / "empty", config)
    page = Page((tmp_path / "empty" / "report" / "index.html").read_text(encoding="utf-8"))
    assert "No table has been made yet." in page.text
    assert page.all("video") == []


def test_the_papers_world_has_no_banner(run: RunFolder, config: Config):
    values = {**config.model_dump(mode="json"), "world": "papers", "body": {"kind": "smpl", "path": "a.pkl"}}
    build_report(run.root, validate_config(values, "test"))
    page = Page(run.report.read_text(encoding="utf-8"))
    assert "not the papers’ numbers" not in page.text
    assert "own datasets" in page.text


def test_names_from_settings_are_escaped(run: RunFolder, config: Config):
    source = {"kind": "folder", "path": "videos"}
    settings = DatasetSettings.model_validate(
        {
            "role": "mocap3d", "title": "<b>Studio</b> & more", "plays": "Human3.6M", "licence": "free",
            "supervision": "full_3d", "tube": "truth", "source": source,
        }
    )  # fmt: skip
    build_report(run.root, config, {"studio": settings})
    text = run.report.read_text(encoding="utf-8")
    assert "<b>Studio</b>" not in text
    assert "<b>Studio</b> & more" in Page(text).text


def test_figures_stand_in_the_papers_order_with_what_they_show(page: Page):
    cards = [item["id"] for item in page.all("article") if (item.get("id") or "").startswith("figure-")]
    assert cards == ["figure-trade-off", "figure-hmmr-4", "figure-phd-horizons"]
    for words in (
        "Title of <hmmr-4> PHD, Figure 1", "Caption of hmmr-4 & more. One clip.",
        "Miniature world, trade-off. Its numbers: figures/papers/trade-off/data.csv",
    ):  # fmt: skip
        assert words in page.text
    assert {"plot of trade-off", "plot of phd-horizons"} <= {item.get("aria-label") for item in page.all("svg")}
    assert "Title of <hmmr-4>, drawn from this run" in [item["alt"] for item in page.all("img")]
    assert all(item["decoding"] == "async" for item in page.all("img"))


def test_figures_that_are_not_there_are_listed_with_why(page: Page):
    missing = page.text.partition("Not on this page")[2].partition("Clips")[0]
    assert "Statue moments PHD, Figures 5 and 7 : needs 1 of its rows; not trained: ar-phi" in missing
    assert "Title of" not in missing


def test_a_run_that_could_draw_a_figure_says_that_it_did_not(run: RunFolder, config: Config):
    shutil.rmtree(run.figure("trade-off"))
    _, missing = sources.read_figures(run, Setting.of(config), 10**9)
    assert next(figure.reason for figure in missing if figure.source == "all papers") == "not drawn yet"


def test_figures_stop_at_the_limit(run: RunFolder, config: Config):
    everything, _ = sources.read_figures(run, Setting.of(config), 10**9)
    first, _, last = (card.n_bytes for card in everything)
    cards, missing = sources.read_figures(run, Setting.of(config), first + last)
    assert sum(card.n_bytes for card in cards) <= first + last and len(cards) == 2
    left = [figure.reason for figure in missing if "no room" in figure.reason]
    assert left == ["no room on this page; it lies in figures/papers/phd-horizons"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("caption.json", '{"title": "x"}', r"trade-off/caption\.json: lacks source, caption, note, picture"),
        ("caption.json", "{", r"trade-off/caption\.json: not JSON"),
        ("picture.svg", "<html></html>", r"trade-off/picture\.svg: not one <svg> element"),
    ],
)
def test_a_damaged_figure_names_its_file(run: RunFolder, config: Config, file, content, message):
    (run.figure("trade-off") / file).write_text(content)
    with pytest.raises(StorageError, match=message):
        build_report(run.root, config)


def test_a_damaged_overlay_names_its_file(run: RunFolder, config: Config):
    (run.figures / "overlays" / "street-003-contextual.mp4").write_bytes(b"<html>not a video</html>")
    with pytest.raises(StorageError, match=r"street-003-contextual\.mp4: not a readable video"):
        build_report(run.root, config)


def test_a_ledger_without_its_columns_is_refused(run: RunFolder):
    run.claims.write_text("claim_id,statement\nhmmr-01,x\n")
    with pytest.raises(StorageError, match=r"claims\.csv: .*'verdict'"):
        sources.read_claims(run)


def test_the_funnel_is_drawn_wide_and_narrow(page: Page):
    drawings = [each for name, each in page.elements if name == "svg" and "Funnel" in (each.get("aria-label") or "")]
    assert len(drawings) == 2
    wide, narrow = (float((each["width"] or "").removesuffix("pt")) for each in drawings)
    assert wide > 600 and narrow < 300  # points: 800 px and 400
    assert "out: 2 too short" in page.text
