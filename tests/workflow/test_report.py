"""`snakemake --report` carries our page as it is, with what it is."""

import zipfile
from pathlib import Path

import pytest

from tests.workflow.conftest import Run


@pytest.mark.slow
@pytest.mark.workflow
def test_snakemakes_own_report_holds_our_page(finished: Path, snakemake: Run, tmp_path: Path):
    archive = tmp_path / "report.zip"
    result = snakemake(finished, "--report", str(archive))
    assert result.returncode == 0, result.stderr[-4000:]
    with zipfile.ZipFile(archive) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    page = (finished / "results" / "tiny" / "report" / "index.html").read_bytes()
    assert page in contents.values()
    frame = next(text.decode() for name, text in contents.items() if name.endswith("report.html"))
    assert "HMMR, VIBE, PHD and TCMR, from video files to tables" in frame
    assert "One page that loads nothing" in frame
