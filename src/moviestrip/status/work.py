"""What is asked of which run, and the answer at a moment."""

from dataclasses import dataclass
from pathlib import Path

from moviestrip.config import Config, LinksSource, load_dataset, load_variants, suggestion
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.papers.workload import STAGES, Workload
from moviestrip.status.count import Status, status_of
from moviestrip.video.fetch import downloads_folder


@dataclass(frozen=True)
class Question:
    """A run, whole or one stage or dataset of it."""

    workload: Workload
    stage: str | None
    dataset: str | None
    downloads: Path | None

    @classmethod
    def of(cls, config: Config, folder: Path, run: RunFolder, stage: str | None, dataset: str | None) -> "Question":
        """
        Args:
            folder: config/.
        """
        if stage is not None and stage not in STAGES:
            raise ConfigError(f"--stage {stage}: there is no such stage{suggestion(stage, STAGES)}")
        if dataset is not None and dataset not in config.datasets:
            raise ConfigError(f"--dataset {dataset}: not of this configuration{suggestion(dataset, config.datasets)}")
        if not (run.root / "plan").is_dir():
            raise ConfigError(f"{run.root}: no run has been planned there; run `snakemake -n`, or give another --run")
        places = config.data_folders, config.dataset_files
        datasets = {name: load_dataset(name, folder, *places) for name in config.datasets}
        variants = load_variants(config, folder, datasets)
        linked = any(isinstance(found.source, LinksSource) for found in datasets.values())
        downloads = downloads_folder(config.fetch, run.root) if linked else None
        return cls(Workload(config, datasets, variants, run), stage, dataset, downloads)

    def answer(self) -> Status:
        return status_of(self.workload, self.stage, self.dataset, self.downloads)
