"""What a stage is handed: a run's folder and its settings; and the reading that several stages share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import BodySettings, DatasetSettings, FeatureSettings, VariantSettings
from moviestrip.layout import RunFolder
from moviestrip.parts import cache_folder
from moviestrip.provenance import write_provenance
from moviestrip.settings import StageSettings
from moviestrip.tables import TableSchema, read_table, write_table

if TYPE_CHECKING:
    from moviestrip.body.load import Body
    from moviestrip.body.points import PosedPoints
    from moviestrip.datasets.base import Dataset
    from moviestrip.datasets.official.base import Gender
    from moviestrip.training.data import ShardFiles


@dataclass(frozen=True)
class Job:
    """A run's folder and the settings handed to one stage of it."""

    run: RunFolder
    settings: StageSettings

    def save(self, path: Path, frame: pd.DataFrame, schema: TableSchema, inputs: Mapping[str, Path]) -> None:
        write_table(path, frame, schema)
        self.record(path, schema.name, inputs)

    def record(self, outputs: Path | Sequence[Path], stage: str, inputs: Mapping[str, Path]) -> None:
        write_provenance(outputs, stage, inputs, self.settings.read)

    def frames_of(self, videos: pd.DataFrame) -> Callable[[str], Iterator]:
        """From a video's id to its decoded frames."""
        from moviestrip.video.fetch import frames_of

        rows = videos.set_index("video_id", drop=False)
        open_video = frames_of(self.run.root)
        return lambda video_id: open_video({str(key): value for key, value in rows.loc[video_id].items()})

    def dataset(self, name: str) -> "Dataset":
        from moviestrip.datasets.registry import dataset_named

        return dataset_named(name, self.settings.section(DatasetSettings))

    def datasets_of(self, variant: VariantSettings) -> list[str]:
        """What a variant learns from: the datasets it names, or all that have training videos."""
        known = self.settings.datasets() if not variant.datasets else {}
        return list(variant.datasets) or [name for name, dataset in known.items() if dataset.is_trained_on]

    def backbone_of(self, variant: VariantSettings) -> str:
        """The backbone whose features a variant reads."""
        return variant.backbone or self.settings.section(FeatureSettings).backbone

    def scored_datasets(self) -> list[str]:
        return [name for name, dataset in self.settings.datasets().items() if dataset.is_scored]

    def body(self) -> "Body":
        from moviestrip.body.load import load_body

        return load_body(self.settings.section(BodySettings), cache_folder())

    def body_for(self, gender: "Gender") -> "Body":
        """The body of one sex, where the configuration names its file; of the free body there is only one."""
        from moviestrip.body.load import load_body

        return load_body(self.settings.section(BodySettings).for_gender(gender), cache_folder())


def selected_clips(job: Job, datasets: Sequence[str], splits: Sequence[str] | None = None) -> pd.DataFrame:
    """Clips of some datasets that passed every filter, sorted by id, so that no result depends on the sharding."""
    from moviestrip.curate.clips import selected

    shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
    clips = tables.read_tables([job.run.clips(*shard) for shard in shards], tables.CLIPS)
    attributes = tables.read_tables([file for shard in shards for file in job.run.verdicts(*shard)], tables.ATTRIBUTES)
    chosen = selected(clips, attributes)
    if splits is not None:
        chosen = chosen[chosen["split"].isin(splits)]
    return chosen.sort_values("clip_id", ignore_index=True)


def labels_of(job: Job, dataset: str) -> pd.DataFrame:
    """Labels of a whole dataset."""
    return tables.read_tables([job.run.labels(dataset, shard) for shard in job.run.shards(dataset)], tables.LABELS)


def shard_files(job: Job, datasets: Sequence[str], variant: VariantSettings) -> "list[ShardFiles]":
    """The features a variant reads of some datasets, with their labels."""
    return feature_files(job, datasets, job.backbone_of(variant))


def feature_files(job: Job, datasets: Sequence[str], backbone: str, occluded: bool = False) -> "list[ShardFiles]":
    """One backbone's features of some datasets, or of their occluded copies, with their labels."""
    from moviestrip.training.data import ShardFiles

    shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
    found = [(job.run.features(backbone, *shard, occluded), job.run.labels(*shard)) for shard in shards]
    return [ShardFiles(features.phi, features.index, features.crops, labels) for features, labels in found]


def feature_inputs(files: "Sequence[ShardFiles]") -> dict[str, Path]:
    """Inputs by kind and shard, as provenance lists them."""
    features = {f"features:{shard.features.stem}": shard.features for shard in files}
    return features | {f"labels:{shard.labels.stem}": shard.labels for shard in files}


def keypoints_of(body: "Body") -> "PosedPoints":
    from moviestrip.body.points import PosedPoints, keypoint_regressor

    return PosedPoints(body, keypoint_regressor(body))


def selected_in_shard(job: Job, dataset: str, shard: str) -> tuple[pd.DataFrame, dict[str, Path]]:
    """Clips of one shard that passed every filter, and the files that say so."""
    from moviestrip.curate.clips import selected

    path, verdicts = job.run.clips(dataset, shard), job.run.verdicts(dataset, shard)
    clips = selected(read_table(path, tables.CLIPS), tables.read_tables(verdicts, tables.ATTRIBUTES))
    return clips, {"clips": path, **{file.parent.parent.name: file for file in verdicts}}
