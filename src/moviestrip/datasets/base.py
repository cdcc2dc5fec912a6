"""The contract every dataset meets: `videos()`, `clips()` and `labels()`, each for one shard.

A YAML file in config/datasets is enough for videos that are rendered, packaged or lie in a folder, with
annotation in the truth table's layout or with none. Only a dataset whose labels come from elsewhere needs
a module: a subclass that overrides what differs, named in `moviestrip.datasets.registry`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from moviestrip.config import CurationSettings, DatasetSettings, FetchSettings
from moviestrip.curate.clips import curate_shard
from moviestrip.datasets.labels import label_shard
from moviestrip.video.fetch import PlannedVideo, fetch_shard


@dataclass(frozen=True)
class Dataset:
    """One dataset, by its name and settings; tables in, tables out."""

    name: str
    settings: DatasetSettings

    def videos(
        self,
        shard: str,
        planned: Sequence[Mapping[str, Any]],
        results_folder: Path,
        fetching: FetchSettings | None = None,
        retry: bool = False,
    ) -> pd.DataFrame:
        """Bring in and validate a shard's videos, given the entries of its plan: (tables.VIDEOS)."""
        entries = [PlannedVideo.from_plan(entry) for entry in planned]
        return fetch_shard(self.name, self.settings, shard, entries, results_folder, fetching, retry)

    def clips(
        self,
        videos: pd.DataFrame,
        people: pd.DataFrame,
        curation: CurationSettings,
        shots: pd.DataFrame | None = None,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Candidate clips and filter verdicts: (tables.CLIPS, tables.ATTRIBUTES)."""
        return curate_shard(self.name, self.settings, videos, people, curation, shots)

    def labels(self, clips: pd.DataFrame, people: pd.DataFrame, curation: CurationSettings) -> pd.DataFrame:
        """Labels of every frame of the given clips: (tables.LABELS)."""
        return label_shard(self.settings, clips, people, curation)
