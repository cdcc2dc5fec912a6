"""The page as a browser shows it: a real Chromium opens it, without a network.

`make browser` also looks at a page of full size and leaves screenshots in results/screenshots to be looked at.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moviestrip.layout import RunFolder
from moviestrip.report import build_report
from tests.report.full_size import full_config, write_full_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LAPTOP, PHONE = (1280, 800), (390, 844)
PATIENCE_MS = 90_000  # on a machine whose cores are all taken
SCREENSHOTS = os.environ.get("MOVIESTRIP_SCREENSHOTS", "")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e .[dev]")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: no chromium or google-chrome on the PATH"),
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Without a sandbox of its own, which a container's user may not make; it opens nothing but our page.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file; when the test ends, what the page complained of or asked the network for fails it."""
    complaints: list[str] = []
    contexts = []

    def opened(file: Path, size: tuple[int, int] = LAPTOP, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _is_own(request.url) or complaints.append(f"asked for {request.url[:80]}"))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _is_own(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))


def shown(page: Any, rows: str) -> list[str]:
    """Heads of the rows that can be seen."""
    return page.eval_on_selector_all(
        rows, "rows => rows.filter(r => r.checkVisibility()).map(r => r.cells[0].innerText)"
    )


def test_no_link_leads_nowhere(open_page: Open, page_file: Path):
    page = open_page(page_file)
    lost = page.eval_on_selector_all(
        "a[href]", "links => links.filter(a => !document.getElementById(a.hash.slice(1))).map(a => a.outerHTML)"
    )
    assert page.locator("a[href]").count() > 20 and lost == []


def test_the_policy_of_the_page_refuses_scripts_and_requests(browser: Any, page_file: Path):
    page = browser.new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(page_file.as_uri())
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=data: onerror=\"window.entered = 1\">')")
    assert page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')") == "refused"
    assert page.evaluate("window.entered") is None
    assert [url for url in sent if not _is_own(url)] == []
    page.close()


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_columns_sort_as_numbers(open_page: Open, page_file: Path, by: str):
    page = open_page(page_file)
    button = page.locator("#table-hmmr-2 thead tr:last-child th:nth-child(2) button.sort")
    head = page.locator("#table-hmmr-2 thead tr:last-child th:nth-child(2)")
    rows = "#table-hmmr-2 tbody tr"

    def press() -> None:
        if by == "mouse":
            button.click()
        else:
            button.focus()
            page.keyboard.press("Enter")

    assert shown(page, rows) == ["Single-view", "Contextual"]
    press()
    assert (head.get_attribute("aria-sort"), shown(page, rows)) == (
        "ascending",
        ["Contextual", "Single-view"],
    )  # 9.7, 112.4
    press()
    assert (head.get_attribute("aria-sort"), shown(page, rows)) == ("descending", ["Single-view", "Contextual"])
    press()
    assert head.get_attribute("aria-sort") is None


def test_claims_are_filtered_by_verdict_paper_and_words(open_page: Open, page_file: Path):
    page = open_page(page_file)
    rows = "#claims tbody tr"
    everything = ["hmmr-01", "hmmr-04", "phd-01"]
    assert shown(page, rows) == everything
    page.locator('#claims [data-key="verdict"] button[data-value="fails"]').click()
    assert shown(page, rows) == ["hmmr-04"]
    page.locator('#claims [data-key="paper"] button[data-value="phd"]').click()
    assert shown(page, rows) == [] and page.locator("#claims .found").inner_text() == "0 of 3 claims shown"
    page.locator('.answers a[data-filter="paper=hmmr"]').click()  # from the first screen
    assert shown(page, rows) == ["hmmr-01", "hmmr-04"]
    page.locator("#claims-search").fill("Acceleration ENCODER")
    assert shown(page, rows) == ["hmmr-01"]
    for button in page.locator('#claims button[data-value=""]').all():
        button.click()
    page.locator("#claims-search").fill("")
    page.locator('#claims [data-key="cause"] button[data-value="too few clips"]').click()
    assert shown(page, rows) == ["phd-01"]
    page.locator('#claims [data-key="cause"] button[data-value=""]').click()
    assert shown(page, rows) == everything


def test_a_link_to_a_row_that_is_filtered_away_brings_it_back(open_page: Open, page_file: Path):
    page = open_page(page_file)
    page.locator('#claims [data-key="verdict"] button[data-value="fails"]').click()
    page.evaluate("location.hash = 'claim-phd-01'")
    page.locator("#claim-phd-01").wait_for(state="visible")


def plays(page: Any, video: Any) -> None:
    page.wait_for_function("v => !v.paused && v.currentTime > 0.02", arg=video.element_handle())


def test_a_strip_plays_while_it_is_pointed_at_or_focused(open_page: Open, page_file: Path):
    page = open_page(page_file)
    strip = page.locator("#clips .strip").first
    video = strip.locator("video")
    assert video.evaluate("v => v.paused && v.currentTime === 0")
    strip.hover()
    plays(page, video)
    page.mouse.move(0, 0)
    page.wait_for_function("v => v.paused", arg=video.element_handle())
    page.locator("#clips .together").first.focus()
    video.evaluate("v => { v.currentTime = 0 }")
    page.keyboard.press("Tab")
    assert strip.locator("button.toggle").evaluate("b => b === document.activeElement")
    plays(page, video)
    page.keyboard.press("Tab")
    page.wait_for_function("v => v.paused", arg=video.element_handle())


def test_who_wants_less_motion_must_ask_for_it(open_page: Open, page_file: Path):
    page = open_page(page_file, reduced_motion="reduce")
    strip = page.locator("#clips .strip").first
    strip.hover()
    page.wait_for_timeout(150)
    assert strip.locator("video").evaluate("v => v.paused")
    strip.locator("button.toggle").click()
    plays(page, strip.locator("video"))


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_nothing_sticks_out_and_what_scrolls_says_so(open_page: Open, page_file: Path, size: tuple[int, int]):
    page = open_page(page_file, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.wait_for_function("document.querySelector('#overview .scroll').dataset.more !== undefined")
    silent = page.eval_on_selector_all(
        ".scroll",
        "frames => frames.filter(f => f.checkVisibility() && f.scrollWidth > f.clientWidth + 2)"
        ".filter(f => !f.dataset.more.includes('after') || !f.nextElementSibling.checkVisibility())"
        ".map(f => f.getAttribute('aria-label'))",
    )
    assert silent == []
    small = page.eval_on_selector_all(
        "p, td, th, li, dt, dd, figcaption",
        "all => all.filter(e => e.checkVisibility() && e.innerText.trim() && e.innerText.trim() !== '–'"
        " && parseFloat(getComputedStyle(e).fontSize) < 10"
        " && ![...e.children].length).map(e => e.outerHTML.slice(0, 80))",
    )
    assert small == []


def test_the_keyboard_starts_with_a_way_past_the_head(open_page: Open, page_file: Path):
    page = open_page(page_file)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("e => e === document.activeElement && e.getBoundingClientRect().left >= 0")
    assert skip.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_paper_shows_what_the_screen_folds(open_page: Open, page_file: Path, tmp_path: Path):
    page = open_page(page_file)
    content = page.pdf(prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 4 <= pages < 40 and len(content) > 50_000
    assert page.locator("details[open]").count() == 0  # the screen is as it was
    page.emulate_media(media="print")
    hidden = (".contents", ".controls", ".skip", ".scrolls", ".toggle")
    seen = "all => all.filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))"
    assert page.eval_on_selector_all(", ".join(hidden), seen) == []
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_dark_is_dark_everywhere(open_page: Open, page_file: Path):
    page = open_page(page_file, color_scheme="dark")
    light = page.eval_on_selector_all(
        ".card, .plain th, .plain td, .filters button:not([aria-pressed=true]), input, body",
        "all => all.filter(e => { const c = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);"
        " return c.length === 3 && c[0] + c[1] + c[2] > 380 }).map(e => e.outerHTML.slice(0, 80))",
    )
    assert light == []


def test_without_scripts_everything_can_be_read(open_page: Open, page_file: Path):
    page = open_page(page_file, java_script_enabled=False)
    assert page.locator("#claims tbody tr").count() == 3
    assert page.locator("#clips video").first.is_visible()
    assert not page.locator("#claims .controls").is_visible()


@pytest.mark.slow
def test_a_page_of_full_size_is_light_fast_and_looked_at(open_page: Open, repository: Path, tmp_path: Path):
    """All variants and tables; `MOVIESTRIP_SCREENSHOTS` names a folder for what it looks like."""
    run = RunFolder(tmp_path / "results" / "miniature")
    write_full_run(run, repository, clips=2)
    build_report(run.root, *full_config(repository))
    assert run.report.stat().st_size < 25_000_000
    folder = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path / "screenshots"
    for size in (LAPTOP, PHONE):
        page = open_page(run.report, size, reduced_motion="reduce")  # jumps to a section, does not glide
        assert page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 3000
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.screenshot(path=folder / f"first-{size[0]}.png")
        for section in page.eval_on_selector_all("main > section", "all => all.map(e => e.id)"):
            page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
            page.wait_for_timeout(300)  # pictures decode when they come into view
            page.screenshot(path=folder / f"{section}-{size[0]}.png")
    content = page.pdf(path=folder / "printed.pdf", prefer_css_page_size=True)
    assert 20 < len(re.findall(rb"/Type\s*/Page\b", content)) < 150
