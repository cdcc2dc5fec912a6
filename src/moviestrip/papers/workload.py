"""Every job of a run, with the files it leaves and its log: the workflow's plan, without Snakemake.

The rules under workflow/ say what each job needs; here is only what there will be in the end, for those who count.
A test holds both lists against each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from moviestrip.config import (
    Config,
    DatasetSettings,
    OfficialSource,
    PreparedSource,
    RenderedSource,
    VariantSettings,
)
from moviestrip.layout import RunFolder
from moviestrip.papers.figures import figure_named, figures_of, seeds_of
from moviestrip.papers.forecasts import forecasts_of
from moviestrip.papers.layout import counts_data
from moviestrip.papers.smoothing import smoothed_baselines
from moviestrip.papers.worlds import BASELINES, MOTIONS, Setting

TABLE_SUFFIXES = ("csv", "md", "tex", "html")

# In the order in which a run goes through them.
STAGES = (
    "body", "motions", "render", "fetch", "annotate", "detect", "shots", "track", "curate", "key-frames", "appearance",
    "label", "import-features", "features", "occluded-features", "motion-prior", "train", "predict",
    "forecast", "real-check", "statistics", "tables", "claims", "smoothing", "difficulty", "contact-sheet",
    "people-sheet", "funnel", "overlays", "figure", "report",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job.

    Attributes:
        stage: one of STAGES, a rule of the workflow and mostly a command of the same name.
        backbone: of features, whose.
        subject: the dataset, variant, forecasting row, table or figure; empty of what a run has once.
        name: what tells it apart from the subject's other jobs: a shard, or a training seed.
    """

    stage: str
    backbone: str
    subject: str
    name: str
    outputs: tuple[Path, ...]
    log: Path


@dataclass(frozen=True)
class Workload:
    """What a configuration asks for, and the run's folder with the planned shards.

    Attributes:
        variants: as `load_variants` gives them.
    """

    config: Config
    datasets: Mapping[str, DatasetSettings]
    variants: Mapping[str, VariantSettings]
    run: RunFolder

    def jobs(self) -> list[PlannedJob]:
        """All jobs, stage by stage."""
        found = [*self._once(), *self._of_shards(), *self._of_features(), *self._of_models(), *self._of_pages()]
        return sorted(found, key=lambda job: STAGES.index(job.stage))

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        return {name: self.run.shards(name) for name in self.datasets}

    @cached_property
    def scored(self) -> list[str]:
        return [name for name, dataset in self.datasets.items() if dataset.is_scored]

    @cached_property
    def predicted(self) -> list[str]:
        """Scored, or only looked at."""
        return self.scored + [name for name, dataset in self.datasets.items() if dataset.is_real_check]

    @cached_property
    def trained(self) -> list[str]:
        return [name for name, variant in self.variants.items() if variant.is_trained]

    def backbone_of(self, variant: str) -> str:
        return self.variants[variant].backbone or self.config.features.backbone

    def trained_on(self, variant: str) -> list[str]:
        """Datasets a variant learns from, and those its validation clips come from."""
        every = (name for name, dataset in self.datasets.items() if dataset.is_trained_on)
        return list(self.variants[variant].datasets or every)

    def motion_priors(self) -> list[str]:
        """Those asked for, and those that variants learn with."""
        used = [prior for name in self.trained if (prior := self.variants[name].motion_prior)]
        return list(dict.fromkeys((*self.config.motion_priors, *used)))

    def steps_of(self, name: str) -> int:
        """Optimiser steps of the training of a variant, or of a motion prior."""
        if name not in self.variants:
            return self.config.motion_prior.steps
        scale = self.config.scale
        return scale.steps if self.variants[name].start_from is None else scale.temporal_steps

    def _job(self, stage: str, subject: str, name: str, outputs: Sequence[Path], backbone: str = "") -> PlannedJob:
        parts = [stage.replace("-", "_"), backbone, subject, name]
        log = "/".join(part for part in parts if part)
        return PlannedJob(stage, backbone, subject, name, tuple(outputs), self.run.root / "logs" / f"{log}.log")

    def _once(self) -> Iterator[PlannedJob]:
        """The body, and motions where something is filmed or learnt from them."""
        yield self._job("body", "", "", [self.run.body])
        rendered = any(isinstance(dataset.source, RenderedSource) for dataset in self.datasets.values())
        judged = any(self.variants[name].motion_discriminator for name in self.trained)
        if rendered or judged or self.motion_priors():
            yield self._job("motions", "", "", [self.run.motions])

    def _of_shards(self) -> Iterator[PlannedJob]:
        for name, dataset in self.datasets.items():
            for shard in self.shards[name]:
                if isinstance(dataset.source, PreparedSource):
                    yield self._imported(name, shard, dataset.source.backbone)
                else:
                    for stage, outputs in _files_of_shard(self.run, name, shard, dataset).items():
                        yield self._job(stage, name, shard, outputs)

    def _imported(self, name: str, shard: str, backbone: str) -> PlannedJob:
        run = self.run
        tables = (run.videos, run.clips, run.attributes, run.labels)
        features = vars(run.features(backbone, name, shard)).values()
        return self._job("import-features", name, shard, [*(table(name, shard) for table in tables), *features])

    def _of_features(self) -> Iterator[PlannedJob]:
        """Of each backbone the datasets that some variant learns from or is tested on."""
        plain = {(self.backbone_of(name), dataset): None for name in self.variants for dataset in self.predicted}
        plain |= {(self.backbone_of(name), dataset): None for name in self.trained for dataset in self.trained_on(name)}
        hidden = [name for name in self.trained if self.variants[name].occluded_copies]
        occluded = {(self.backbone_of(name), dataset): None for name in hidden for dataset in self.trained_on(name)}
        for stage, wanted in (("features", plain), ("occluded-features", occluded)):
            for backbone, dataset in wanted:
                if stage == "features" and isinstance(self.datasets[dataset].source, PreparedSource):
                    continue
                for shard in self.shards[dataset]:
                    files = self.run.features(backbone, dataset, shard, stage == "occluded-features")
                    yield self._job(stage, dataset, shard, list(vars(files).values()), backbone)

    def _of_models(self) -> Iterator[PlannedJob]:
        run = self.run
        for seed in self.config.training_seeds:
            name = f"seed-{seed}"
            for prior in self.motion_priors():
                files = [run.checkpoint(prior, seed), run.training_log(prior, seed), run.reconstruction(prior, seed)]
                yield self._job("motion-prior", prior, name, [*files, run.scores(prior, seed, MOTIONS)])
            for variant in self.trained:
                files = [run.checkpoint(variant, seed), run.training_log(variant, seed)]
                yield self._job("train", variant, name, files)
            for variant in self.variants:
                predictions = [run.predictions(variant, seed, dataset) for dataset in self.predicted]
                scores = [run.scores(variant, seed, dataset) for dataset in self.scored]
                yield from [self._job("predict", variant, name, predictions + scores)] if predictions else []
        for row, seed, dataset in self._forecasts():
            files = [run.forecasts(row, seed, dataset), run.forecast_scores(row, seed, dataset)]
            yield self._job("forecast", row, f"seed-{seed}/{dataset}", files)

    def _forecasts(self) -> list[tuple[str, int, str]]:
        """The (row, seed, dataset) that tables and figures read, and those that these are made from."""
        config = self.config
        wanted = forecasts_of(config.tables, config.world, self.scored, self.variants, config.training_seeds)
        for name in self.figures():
            figure = figure_named(name)
            if {"forecasts", "forecast_scores"} & set(figure.reads):
                rows = [(row, seed) for row in figure.rows_in(self.setting) for seed in seeds_of(row, self.setting)]
                wanted += [(*row, dataset) for row in rows for dataset in figure.datasets_in(self.setting)]
        repeated = [each for each in wanted if each[0] == "constant-hallucinated"]
        wanted += [(BASELINES[row] or row, seed, dataset) for row, seed, dataset in repeated]
        return list(dict.fromkeys(wanted))

    @cached_property
    def setting(self) -> Setting:
        return Setting.of(self.config)

    def figures(self) -> list[str]:
        return figures_of(self.setting)

    def _of_pages(self) -> Iterator[PlannedJob]:
        run = self.run
        counting = [name for name in self.config.tables if counts_data(*name.rsplit("-", 1))]
        comparing = [name for name in self.config.tables if name not in counting]
        for stage, tables in (("statistics", counting), ("tables", comparing)):
            files = [run.table(table, suffix) for table in tables for suffix in TABLE_SUFFIXES]
            yield from [self._job(stage, "", "", files)] if files else []
        yield self._job("claims", "", "", [run.claims])
        if self.scored and smoothed_baselines(self.variants):
            yield self._job("smoothing", "", "", [run.smoothing])
        if any(isinstance(dataset.source, RenderedSource) for dataset in self.datasets.values()):
            yield self._job("difficulty", "", "", [run.difficulty, run.difficulty_figures])
        if set(self.predicted) - set(self.scored):
            yield self._job("real-check", "", "", [run.real_check, run.real_pictures])
        for name, dataset in self.datasets.items():
            yield self._job("contact-sheet", name, "", [run.sheet(name)])
            if dataset.tube == "tracks":
                yield self._job("people-sheet", name, "", [run.sheet(name, people=True)])
        yield self._job("funnel", "", "", [run.funnel, *(run.card(name) for name in self.datasets)])
        yield self._job("overlays", "", "", [run.figures / "overlays"])
        for name in self.figures():
            yield self._job("figure", name, "", [run.figure(name)])
        yield self._job("report", "", "", [run.report])


def _files_of_shard(run: RunFolder, name: str, shard: str, dataset: DatasetSettings) -> dict[str, list[Path]]:
    """What each stage leaves of a shard of videos."""
    found = {"render": [run.rendered(name, shard)]} if isinstance(dataset.source, RenderedSource) else {}
    found["fetch"] = [run.videos(name, shard)]
    if isinstance(dataset.source, OfficialSource):
        found["annotate"] = [run.annotations(name, shard)]
    if dataset.tube == "tracks":
        found["detect"] = [run.detections(name, shard), run.answers(name, shard)]
        found["shots"], found["track"] = [run.shots(name, shard)], [run.tracks(name, shard)]
    found["curate"] = [run.clips(name, shard), run.attributes(name, shard)]
    if dataset.is_screened:
        found["key-frames"] = [run.key_frames(name, shard)]
        found["appearance"] = [run.appearance(name, shard), run.originals(name, shard)]
    found["label"] = [run.labels(name, shard)]
    return found
