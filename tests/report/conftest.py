"""A small run folder with one file of every kind that the report reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip import tables
from moviestrip.config import Config, validate_config
from moviestrip.figures.contact_sheet import write_picture
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.svg import drawing, to_svg
from moviestrip.figures.video import write_video
from moviestrip.layout import RunFolder
from moviestrip.provenance import write_provenance
from moviestrip.report import build_report

VARIANTS = ("single-view", "contextual", "single-view-gaussian")
FRAGMENT = """
<figure class="paper-table" id="hmmr-2"><style>.paper-table{color:red}</style>
<figcaption><strong>HMMR Table 2: Local &amp; temporal context</strong> <span class="world">miniature world</span><br>
Printed: the paper's own numbers. 12 clips, 768 frames.</figcaption>
<table><thead>
<tr><th></th><th colspan="2">3DPW</th></tr>
<tr><th><span class="printed">printed</span> | <span class="ours">ours</span></th><th>PA-MPJPE</th><th>Accel.</th></tr>
</thead>
<tbody>
<tr><th>Single-view</th>
<td id="cell-hmmr-2-single-view-3dpw-pa_mpjpe"><span class="printed">76.7</span> | <span class="ours">112.4</span>
<span class="interval">[108.0, 117.2]</span></td><td><span class="printed">37.4</span> | –</td></tr>
<tr><th>Contextual</th>
<td id="cell-hmmr-2-contextual-3dpw-pa_mpjpe"><span class="printed">80.1</span> | <span class="ours">9.7</span>
<span class="interval">[103.9, 113.8]</span></td><td><span class="printed">16.4</span> | –</td></tr>
</tbody></table></figure>
"""
CLAIMS = "\n".join(
    [
        "claim_id,paper,where,statement,verdict_printed,values_printed,"
        "verdict,effect,low,high,unit,values,tables,reason,note,cells,cause,evidence",
        "hmmr-01,hmmr,Table 2,The temporal encoder lowers the acceleration error.,holds,a=16.4,"
        "holds,4.7,1.1,9,mm/frame^2,a=51.5,hmmr-2,,,",
        "hmmr-04,hmmr,Table 2,The same gains read on Procrustes-aligned error <of 3DPW>.,fails,"
        '"pa_mpjpe(contextual)[3dpw]=80.1, pa_mpjpe(single-view)[3dpw]=76.7",'
        'fails,-5,-8,-2,mm,"pa_mpjpe(contextual)[3dpw]=109.7 (103.9 to 113.8), '
        'pa_mpjpe(single-view)[3dpw]=112.4 (108 to 117.2)",hmmr-2,,Fails as printed.,'
        '"pa_mpjpe(contextual)[3dpw]=cell-hmmr-2-contextual-3dpw-pa_mpjpe, '
        'pa_mpjpe(single-view)[3dpw]=cell-hmmr-2-single-view-3dpw-pa_mpjpe",'
        "contradicted by its own table,the printed numbers break it by 3.4 mm",
        "phd-01,phd,Sec. 6,Forecasts from the movie strip beat those from poses.,holds,c=1,"
        "undecided,,,,,,phd-1,phd-1 is not built,,c=cell-phd-1-causal-h36m-pa_mpjpe,too few clips,an effect of 1 mm",
        "",
    ]
)


@pytest.fixture(scope="session")
def config() -> Config:
    values = {
        "name": "tiny",
        "world": "miniature",
        "datasets": ["studio", "street"],
        "variants": list(VARIANTS),
        "tables": ["hmmr-2", "hmmr-1"],
    }
    return validate_config(values, "test")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Shared by all tests: to be read only."""
    run = RunFolder(tmp_path_factory.mktemp("report") / "results" / "tiny")
    _write_tables(run)
    _write_logs(run)
    _write_clips(run)
    _write_pictures(run)
    _write_figures(run)
    _write_findings(run)
    table = run.table("hmmr-2")
    write_provenance(table, "tables", {"log": run.training_log("contextual", 0)}, {"name": "tiny"})
    return run


@pytest.fixture
def run(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy that a test may change."""
    return RunFolder(shutil.copytree(finished_run.root, tmp_path / "results" / "tiny"))


@pytest.fixture(scope="session")
def page_file(finished_run: RunFolder, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the finished run."""
    copy = RunFolder(shutil.copytree(finished_run.root, tmp_path_factory.mktemp("page") / "tiny"))
    build_report(copy.root, config)
    return copy.report


def _write_tables(run: RunFolder) -> None:
    folder = run.root / "tables"
    folder.mkdir(parents=True)
    (folder / "hmmr-1.html").write_text("<table><tbody><tr><td>frames</td><td>1</td></tr></tbody></table>")
    (folder / "hmmr-2.html").write_text(FRAGMENT, encoding="utf-8")
    (folder / "hmmr-2.csv").write_text("paper,table\nhmmr,2\n")
    run.claims.write_text(CLAIMS)


def _write_logs(run: RunFolder) -> None:
    for position, variant in enumerate(VARIANTS[:2]):
        steps = np.arange(0, 400, 10)
        total = pd.DataFrame({"step": steps, "loss": "total", "value": 30 * np.exp(-steps / 150) + 5 + position})
        held = pd.DataFrame({"step": steps[::10], "loss": "validation_pa_mpjpe_mm", "value": 120 - steps[::10] / 20})
        tables.write_table(run.training_log(variant, 0), pd.concat([total, held]), tables.TRAINING_LOG)


def clip_rows(dataset: str, count: int) -> pd.DataFrame:
    rows = [
        {
            "clip_id": f"{dataset}-{index:03d}", "dataset": dataset, "video_id": f"{dataset}-video-{index}", "track": 0,
            "split": ("train", "train", "validation", "test")[index % 4], "subject": "S1",
            "action": ("walking", "sitting_down")[index // 4 % 2], "motion_id": "", "supervision": "full_3d",
            "first_frame": 0, "n_frames": 64, "fps": 25.0,
        }
        for index in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _write_clips(run: RunFolder) -> None:
    for dataset, count in (("studio", 12), ("street", 8)):
        clips = clip_rows(dataset, count)
        attributes = pd.DataFrame(
            {"clip_id": clips.clip_id, "filter": "length", "value": 64.0, "threshold": 40.0, "passed": True}
        )
        attributes.loc[0, "passed"] = False
        tables.write_table(run.clips(dataset, "000"), clips, tables.CLIPS)
        tables.write_table(run.attributes(dataset, "000"), attributes, tables.ATTRIBUTES)


def caption_of(name: str) -> dict[str, str]:
    return {"title": f"Title of <{name}>", "source": "PHD, Figure 1", "caption": f"Caption of {name} & more."}


def _write_figures(run: RunFolder) -> None:
    """Two plots and a picture, made in another order than they are listed."""
    strip = np.tile(np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None], (64, 1, 3))
    Drawn(strip, "One clip.").write(run.figure("hmmr-4"), caption_of("hmmr-4"))
    for name in ("trade-off", "phd-horizons"):
        with drawing(4, 2) as (figure, axes):
            axes[0].plot([0, 1], [1, 2])
            picture = to_svg(figure, name, f"plot of {name}")
        data = pd.DataFrame({"x": [0, 1], "y": [1, 2]})
        Drawn(picture, f"Miniature world, {name}.", data).write(run.figure(name), caption_of(name))


SMOOTHING = """table,row,title,baseline,dataset,metric,unit,learned,smoothed,difference,low,high,verdict,clips,seeds,\
cell
hmmr-2,contextual,Contextual,single-view-gaussian,3dpw,pa_mpjpe,mm,109.7,112.1,-2.4,-6,1.2,undecided,12,1,\
cell-hmmr-2-contextual-3dpw-pa_mpjpe
hmmr-2,contextual,Contextual,single-view-gaussian,3dpw,accel_error,mm/frame^2,9.5,14.1,-4.6,-6,-3,better,12,1,
"""
DIFFICULTY = """check,question,measured,low,high,unit,reference,source,expected,verdict,clips,seeds,note
jitter,Does single-view tremble?,91.5,80,99,mm/frame^2,about 37,HMMR Table 2,above 20,present,12,1,
street,Is the street harder than the studio?,2.1,-3,8,mm,,,above 0,undecided,12,1,few clips
"""
REAL_CHECK = """dataset,variant,title,view,metric,unit,value,low,high,uncertainty_mm,clips,people,seeds,note
pose2sim,single-view,Single-view,all,pa_mpjpe,mm,98.7,90,110,25,4,1,1,
pose2sim,contextual,Contextual,all,pa_mpjpe,mm,97.1,88,109,25,4,1,1,
"""


def _write_findings(run: RunFolder) -> None:
    run.smoothing.write_text(SMOOTHING)
    (run.root / "difficulty.csv").write_text(DIFFICULTY)
    (run.root / "real_check.csv").write_text(REAL_CHECK)
    folder = run.figures / "real"
    write_picture(folder / "views.png", ramps())
    write_video(folder / "sprint.mp4", (np.roll(ramps(), shift, 1) for shift in range(0, 24, 3)))
    (folder / "captions.json").write_text(json.dumps({"views.png": "Two <cameras>.", "sprint.mp4": "A sprinter."}))


def ramps() -> np.ndarray:
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)
    return np.stack([np.tile(ramp, (64, 1)), np.full((64, 256), 120, np.uint8), np.tile(ramp[::-1], (64, 1))], -1)


def _write_pictures(run: RunFolder) -> None:
    picture = ramps()
    for dataset in ("studio", "street"):
        write_picture(run.figures / "datasets" / f"{dataset}.png", picture)
    entries = []
    for clip in ("street-003", "studio-003"):
        for variant in VARIANTS:
            file = f"{clip}-{variant}.mp4"
            write_video(run.figures / "overlays" / file, (np.roll(picture, shift, 1) for shift in range(0, 24, 3)))
            entries.append(
                {
                    "clip_id": clip, "dataset": clip.split("-")[0], "action": "sitting_down", "variant": variant,
                    "file": file, "fps": 25.0, "n_frames": 8,
                }
            )  # fmt: skip
    (run.figures / "overlays" / "overlays.json").write_text(json.dumps(entries))
