"""A run of full size without its hours: all variants, all tables, every claim, with made-up numbers of our own.

Nothing here measures anything. Its tables, ledger and logs are laid out by the code that lays out real ones, so that
the page has the size, the widths and the lengths of text of a real run.
"""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import Config, DatasetSettings, VariantSettings, load_config, load_dataset, load_variants
from moviestrip.figures.contact_sheet import write_picture
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.svg import drawing, to_svg
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.papers.claims import judge_claims
from moviestrip.papers.figures import FIGURES
from moviestrip.papers.render import render_table
from moviestrip.papers.table import build_table
from moviestrip.papers.worlds import Setting
from moviestrip.provenance import write_provenance
from moviestrip.report.findings import DIFFICULTY_COLUMNS, REAL_COLUMNS, SMOOTHING_COLUMNS
from tests.report.conftest import caption_of, clip_rows

STRIP_PX = (256, 1024)
FRAMES = 48


def full_config(repository: Path) -> tuple[Config, dict[str, DatasetSettings], dict[str, VariantSettings]]:
    """The default world with all variants and tables, and the settings behind their names."""
    config = load_config([repository / "config.yaml"])
    datasets = {name: load_dataset(name, repository / "config") for name in config.datasets}
    return config, datasets, load_variants(config, repository / "config", datasets)


def write_full_run(run: RunFolder, repository: Path, clips: int = 1) -> None:
    """Every file that the report reads, in the sizes of a real run."""
    config, _, variants = full_config(repository)
    random = np.random.default_rng(0)
    cells = _write_tables(run, config, random)
    _write_findings(run, cells, random)
    for name in (name for name, variant in variants.items() if variant.is_trained):
        _write_log(run, name, random)
    for dataset in config.datasets:
        rows = clip_rows(dataset, 40)
        passed = pd.DataFrame(
            {"clip_id": rows.clip_id, "filter": "length", "value": 64.0, "threshold": 40.0, "passed": True}
        )
        tables.write_table(run.clips(dataset, "000"), rows, tables.CLIPS)
        tables.write_table(run.attributes(dataset, "000"), passed, tables.ATTRIBUTES)
        write_picture(run.sheet(dataset), _frame(random, 900, 1400, 0))
    _write_overlays(run, list(variants), random, clips)
    _write_figures(run, random)


def _write_tables(run: RunFolder, config: Config, random: np.random.Generator) -> pd.DataFrame:
    """Tables whose own numbers lie near the printed ones, and the ledger judged on them."""
    setting = Setting.of(config)
    built = []
    for name in config.tables:
        table = build_table(*name.split("-"), None, None, setting)
        printed = pd.to_numeric(table["printed"], errors="coerce")
        own = printed * random.uniform(0.9, 1.4, len(table))
        table = table.assign(ours=own, low=own * 0.95, high=own * 1.06, clips=16, frames=768, seeds=1, note="")
        built.append(table)
        for suffix, text in render_table(table, setting).items():
            path = run.table(name, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            write_provenance(path, "table", {}, {"name": name})
    cells = pd.concat(built, ignore_index=True)
    judge_claims(cells).to_csv(run.claims, index=False)
    return cells


def _write_findings(run: RunFolder, cells: pd.DataFrame, random: np.random.Generator) -> None:
    cells = cells[cells["metric"].isin(["pa_mpjpe", "mpjpe", "accel_error", "pck"])]
    compared = cells.drop_duplicates(["row_id", "dataset", "metric"]).head(120).reset_index(drop=True)
    signs = ["better", "worse", "undecided"]
    smoothing = [
        {
            "table": f"{cell.paper}-{cell.table}", "row": cell.row_id, "title": cell.row,
            "baseline": "single-view-gaussian", "dataset": cell.dataset, "metric": cell.metric, "unit": "mm",
            "learned": f"{80 + 40 * random.random():.4f}",
            "smoothed": "95.1234", "difference": f"{random.normal(0, 9):.4f}", "low": "-3.2", "high": "4.8",
            "verdict": signs[index % 3], "clips": 16, "seeds": 1, "cell": "",
        }
        for index, cell in enumerate(compared.itertuples())
    ]  # fmt: skip
    difficulty = [
        {
            "check": name, "question": question, "measured": "12.34", "low": "10.1", "high": "15.2", "unit": unit,
            "reference": "about 14", "source": "a paper's Table 2", "expected": "above 5", "verdict": verdict,
            "clips": 16, "seeds": 1, "note": "",
        }
        for name, question, unit, verdict in (
            ("jitter", "Does the single-view model tremble as on real video?", "mm/frame^2", "present"),
            ("pseudo-2d", "Is pseudo-2D as noisy as the detector that makes it?", "px", "present"),
            ("street", "Is the street harder than the studio?", "mm", "present"),
            ("periodic", "Are periodic actions easier to foresee than ballistic ones?", "mm", "undecided"),
        )
    ]  # fmt: skip
    real = [
        {
            "dataset": "pose2sim", "variant": variant, "title": variant, "view": view, "metric": metric, "unit": "mm",
            "value": f"{95 + 10 * random.random():.3f}", "low": "88", "high": "109", "uncertainty_mm": "25", "clips": 4,
            "people": 1, "seeds": 1, "note": "",
        }
        for variant in ("single-view", "contextual", "vibe", "tcmr-baseline")
        for view in ("all", "1", "2")
        for metric in ("pa_mpjpe", "accel_error")
    ]  # fmt: skip
    for name, columns, rows in (
        ("smoothing", SMOOTHING_COLUMNS, smoothing),
        ("difficulty", DIFFICULTY_COLUMNS, difficulty),
        ("real_check", REAL_COLUMNS, real),
    ):
        _write_csv(run.root / f"{name}.csv", columns, rows)
    folder = run.figures / "real"
    write_picture(folder / "pose2sim.png", _frame(random, 500, 1500, 0))
    write_video(folder / "sports2d.mp4", (_frame(random, *STRIP_PX, shift) for shift in range(24)))
    captions = {
        "pose2sim.png": "Four cameras, and the body that is found.",
        "sports2d.mp4": "A sprinter, as estimated.",
    }
    (folder / "captions.json").write_text(json.dumps(captions))


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_log(run: RunFolder, variant: str, random: np.random.Generator) -> None:
    steps = np.arange(100, 1001, 100)
    loss = 30 * np.exp(-steps / 300) + random.uniform(4, 9) + random.normal(0, 0.3, len(steps))
    error = 70 + 40 * np.exp(-steps / 250) + random.uniform(0, 15) + random.normal(0, 1.5, len(steps))
    rows = [
        pd.DataFrame({"step": steps, "loss": "total", "value": loss}),
        pd.DataFrame({"step": steps, "loss": "validation_pa_mpjpe_mm", "value": error}),
    ]
    tables.write_table(run.training_log(variant, 0), pd.concat(rows), tables.TRAINING_LOG)


def _frame(random: np.random.Generator, height_px: int, width_px: int, shift: int) -> np.ndarray:
    """Stripes that move, with a little noise, so that a codec has something to do."""
    columns = (np.arange(width_px) + 4 * shift) % 256
    ramp = np.tile(columns.astype(np.int16), (height_px, 1))
    noise = random.integers(-6, 7, (height_px, width_px), dtype=np.int16)
    return np.stack([ramp, 255 - ramp, np.full_like(ramp, 90)], -1).clip(0, 255).astype(np.uint8) + (
        noise[..., None].clip(0, 6).astype(np.uint8)
    )


def _write_overlays(run: RunFolder, variants: Sequence[str], random: np.random.Generator, clips: int) -> None:
    folder = run.figures / "overlays"
    shown = [_frame(random, *STRIP_PX, shift) for shift in range(FRAMES)]
    entries = []
    write_video(folder / "one.mp4", iter(shown), quality=27)
    for clip in range(clips):
        for variant in variants:
            file = f"clip{clip}-{variant}.mp4"
            shutil.copy(folder / "one.mp4", folder / file)
            entries.append(
                {
                    "clip_id": f"street-{clip:03d}", "dataset": "street", "action": "sitting_down", "variant": variant,
                    "file": file, "fps": 25.0, "n_frames": FRAMES,
                }
            )  # fmt: skip
    (folder / "overlays.json").write_text(json.dumps(entries))


def _write_figures(run: RunFolder, random: np.random.Generator) -> None:
    for position, figure in enumerate(FIGURES):
        if position % 2:
            with drawing(8, 4) as (canvas, axes):
                axes[0].plot(random.random((300, 6)).cumsum(0))
                picture: str | np.ndarray = to_svg(canvas, figure.name, f"plot of {figure.name}")
        else:
            picture = _frame(random, 600, 2000, 0)
        Drawn(picture, "Made up.").write(run.figure(figure.name), caption_of(figure.name))
