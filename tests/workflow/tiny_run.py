"""A world so small that all its stages pass in about a minute, run by Snakemake beside the tests before those of it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml

RECORDER = Path(__file__).with_name("recorder")
TINY = {
    "name": "tiny",
    "datasets": ["studio", "gym", "court", "insta-mini"],
    "variants": ["single-view", "single-view-gaussian", "contextual"],
    "motion_priors": [],
    "tables": ["hmmr-1", "hmmr-2"],
    "rendering": {"frames_scale": 0.01, "clip_frames": 40},
    "curation": {"minimum_frames": 24},
    "detector": {"finder": "blazepose"},
    "features": {"augmented_copies": 0},
    "scale": {
        "width": 32, "regressor_width": 32, "steps": 8, "temporal_steps": 4, "batch_clips": 2, "validate_every_steps": 4
    },
    "evaluation": {"bootstrap_samples": 50},
    "report": {"overlay_clips": 1},
}  # fmt: skip


def workplace(folder: Path, repository: Path) -> Path:
    """A folder with the configuration, as a user's would be."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(repository / "config.yaml", folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def command(repository: Path, folder: Path, *arguments: str) -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    return [*snakemake, "--directory", str(folder), "--configfile", str(folder / "tiny.yaml"), *arguments]


class TinyRun:
    """The tiny world in the making.

    It yields to whatever else runs, so that tests that measure time or start programs have a core of their own.
    """

    def __init__(self, folder: Path, repository: Path):
        self.folder = workplace(folder, repository)
        self.imports = folder.with_suffix(".imports")  # what each command imported: `recorder/sitecustomize.py`
        self.imports.mkdir()
        recorder = {"PYTHONPATH": os.pathsep.join(filter(None, (str(RECORDER), os.environ.get("PYTHONPATH"))))}
        self._said = folder.with_suffix(".said")
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                ["nice", *command(repository, folder, "--cores", "2")],
                cwd=folder,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MOVIESTRIP_IMPORTS": str(self.imports), **recorder},
                stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        assert self._process.wait() == 0, self._said.read_text()[-4000:]

    def end(self) -> None:
        """With all that it started, if nobody has waited for it: the tests were broken off."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
