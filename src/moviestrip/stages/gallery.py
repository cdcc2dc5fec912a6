"""The README's pictures, from a finished run of the miniature world."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moviestrip.config import DatasetSettings
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.provenance import read_record

SHOWN_VARIANTS = ("tcmr-3dpw-train", "contextual")  # the first that has an overlay
SHOWN_TABLES = ("tcmr-1", "hmmr-2")  # the first that there is; narrow ones can be read in a README
SHOWN_FIGURE = "trade-off"
REPORT_PX, PAGE_PX = (1280, 860), (1100, 1400)


def gallery(run: RunFolder, folder: Path, datasets: Sequence[str] = ()) -> tuple[list[Path], list[str]]:
    """Write small pictures of a run into a folder: what was written, and what was left out and why."""
    from moviestrip.figures.gallery import browser, dataset_strip, overlay_strip, photograph, write_small

    rendered = _rendered(run, datasets)
    written, left_out = [], []
    for name in rendered:
        written.append(folder / f"world-{name}.webp")
        write_small(written[-1], [dataset_strip(run, name)])
    overlay = _overlay(run, rendered)
    if overlay is None:
        left_out.append("overlay: the run has none of a rendered dataset")
    else:
        written.append(folder / "overlay.webp")
        write_small(written[-1], overlay_strip(overlay))
    program = browser()
    for name, page, size, trimmed in _pages(run):
        if program is None:
            left_out.append(f"{name}: no browser is installed (chromium)")
        elif page is None or not page.is_file():
            left_out.append(f"{name}: not made yet")
        else:
            written.append(folder / f"{name}.webp")
            write_small(written[-1], [photograph(page, *size, program, trimmed)])
    return written, left_out


def _pages(run: RunFolder) -> list[tuple[str, Path | None, tuple[int, int], bool]]:
    """What a browser draws: a name, the file, the window, and whether the paper around is cut."""
    figure = next(iter(sorted(run.figure(SHOWN_FIGURE).glob("*.svg"))), None)
    tables = [path for name in SHOWN_TABLES if (path := run.table(name, "html")).is_file()]
    return [
        ("trade-off", figure, PAGE_PX, True),
        ("table", next(iter(tables), None), PAGE_PX, True),
        ("report", run.report, REPORT_PX, False),
    ]


def _rendered(run: RunFolder, asked: Sequence[str]) -> list[str]:
    """The datasets to show: all that were rendered, or those that are asked for, which must be."""
    record = read_record(run.claims)
    if record is None:
        raise ConfigError(f"{run.claims}: not made yet; finish the run first")
    settings: Mapping[str, Any] = record["settings"]
    if settings["world"] != "miniature":
        raise ConfigError(f"{run.root}: is of the {settings['world']} world; a gallery shows the miniature world only")
    known = {name: DatasetSettings.model_validate(found) for name, found in settings["dataset_settings"].items()}
    for name in asked:
        if name not in known:
            raise ConfigError(f"--dataset {name} is not in this run; known: {', '.join(known)}")
        if known[name].source.kind != "rendered":
            raise ConfigError(
                f"--dataset {name}: its videos are not rendered here ({known[name].source.kind}), and frames of other "
                f"videos are not published; leave it out"
            )
    return list(asked) or [name for name, each in known.items() if each.source.kind == "rendered"]


def _overlay(run: RunFolder, datasets: Sequence[str]) -> Path | None:
    """The overlay clip of the best known variant that has one; of what it is tested on in the wild, if it can be."""
    folder = run.figures / "overlays"
    index = folder / "overlays.json"
    shown = json.loads(index.read_text()) if index.is_file() else []
    shown = [each for each in shown if each["dataset"] in datasets]
    ranked = sorted(shown, key=lambda each: (_rank(each["variant"]), each["dataset"] != "street", each["file"]))
    return folder / ranked[0]["file"] if ranked else None


def _rank(variant: str) -> int:
    return SHOWN_VARIANTS.index(variant) if variant in SHOWN_VARIANTS else len(SHOWN_VARIANTS)
