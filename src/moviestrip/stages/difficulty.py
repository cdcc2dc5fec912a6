"""Is the miniature world hard where reality is hard? The checks of one run, with plots of two of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import BackboneName, CurationSettings, DatasetSettings, RenderedSource
from moviestrip.errors import ConfigError
from moviestrip.stages.job import Job, labels_of, selected_clips
from moviestrip.storage import atomic_directory, atomic_path, read_features
from moviestrip.tables import read_table, stack

if TYPE_CHECKING:
    from moviestrip.evaluation.detector_noise import Detected
    from moviestrip.evaluation.difficulty import Sequences
    from moviestrip.evaluation.findings import Finding, Sampling
    from moviestrip.figures.drawn import Drawn
    from moviestrip.training.data import ShardFiles

SINGLE, SMOOTHED, FORECASTER = "single-view", "single-view-gaussian", "ar-phi"
ESTIMATED = ["clip_id", "frame", "joints_3d_m"]
TRAINED_HORIZONS = (10, 20, 30)
ERROR_PLACES = np.linspace(0, 0.25, 101)
PLOTS = {
    "predictability": "Which motions can be foreseen",
    "detector": "How far off pseudo-labels are",
}
CAPTIONS = {
    "predictability": "Error of a forecast from 15 true frames (solid: by the most similar windows of training "
    "motions) and of standing still (dashed), of the miniature world's test motions. Root-relative, "
    "mean over 24 joints.",
    "detector": "Share of visible joints that the detector places within a distance of the truth, on the miniature "
    "world's pseudo-labelled videos. What it misses never arrives.",
}


def difficulty(job: Job) -> pd.DataFrame:
    """Run every check that the run has the files for, and write difficulty.csv and the plots."""
    from moviestrip.papers.difficulty import as_table

    checks = _Checks(job)
    found = as_table(list(checks.findings()))
    with atomic_path(job.run.difficulty) as partial:
        found.to_csv(partial, index=False, float_format="%.6g")
    job.record(job.run.difficulty, "difficulty", checks.inputs)
    folder = job.run.difficulty_figures
    with atomic_directory(folder) as partial:
        for name, drawn in checks.plots():
            drawn.write(partial / name, {"title": PLOTS[name], "source": "", "caption": CAPTIONS[name]})
    job.record(folder, "difficulty", checks.inputs)
    return found


@dataclass
class _Checks:
    """The checks of one run, and what several of them read."""

    job: Job

    def __post_init__(self) -> None:
        self.inputs: dict[str, Path] = {}
        self.variants = self.job.settings.variants()
        self.seeds = tuple(self.job.settings.value("training_seeds"))

    @cached_property
    def sampling(self) -> "Sampling":
        from moviestrip.evaluation.findings import Sampling

        chosen = self.job.settings.value("evaluation")
        return Sampling(chosen["bootstrap_samples"], chosen["interval_percent"], self.job.settings.value("seed"))

    @cached_property
    def rendered(self) -> dict[str, DatasetSettings]:
        known = self.job.settings.datasets().items()
        found = {name: dataset for name, dataset in known if isinstance(dataset.source, RenderedSource)}
        if not found:
            raise ConfigError("datasets: none is rendered; the checks are of the miniature world")
        return found

    def findings(self) -> Iterator["Finding"]:
        if SINGLE in self.variants and self.scored:
            yield from self._of_models()
        if self.has_pseudo_labels:
            yield from self._of_detector()
        yield from self._of_motions()
        yield from self._of_people()

    def plots(self) -> Iterator[tuple[str, "Drawn"]]:
        from moviestrip.figures.difficulty import draw_detector, draw_predictability

        yield "predictability", draw_predictability(self.true_forecasts)
        if self.has_pseudo_labels:
            yield "detector", draw_detector(self.detected, ERROR_PLACES)

    # What trained models say.

    @cached_property
    def scored(self) -> list[str]:
        """Rendered datasets with 3D truth that models are tested on, the one in the wild first."""
        roles = ("wild3d", "mocap3d")
        found = [name for name, dataset in self.rendered.items() if dataset.role in roles and dataset.is_scored]
        return sorted(found, key=lambda name: roles.index(self.rendered[name].role))

    @cached_property
    def labels(self) -> dict[str, pd.DataFrame]:
        return {name: labels_of(self.job, name) for name in self.scored}

    def sequences(self, variant: str, dataset: str, split: str = "test") -> "Sequences":
        from moviestrip.evaluation.difficulty import join_sequences

        paths = {
            f"predictions:{variant}/{seed}": self.job.run.predictions(variant, seed, dataset) for seed in self.seeds
        }
        self.inputs |= {f"{name}/{dataset}": path for name, path in paths.items()}
        predictions = [read_table(path, tables.PREDICTIONS, ESTIMATED) for path in paths.values()]
        clips = selected_clips(self.job, [dataset], [split])
        return join_sequences(predictions, self.labels[dataset], clips)

    def best_temporal(self) -> str | None:
        """The trained temporal model with the lowest PA-MPJPE on validation clips, of those that never saw the wild."""
        from moviestrip.evaluation.difficulty import errors_mm

        wild = {name for name, dataset in self.rendered.items() if dataset.role == "wild3d"}
        candidates = [
            name
            for name, variant in self.variants.items()
            if variant.is_trained and variant.encoder != "none" and not variant.causal and variant.frame_stride == 1
            and wild.isdisjoint(self.job.datasets_of(variant))
        ]  # fmt: skip
        errors = {}
        for name in candidates:
            sides = [self.sequences(name, dataset, "validation") for dataset in self.scored]
            values = np.concatenate([errors_mm(side, "pa_mpjpe").ravel() for side in sides])
            if np.isfinite(values).any():
                errors[name] = float(np.nanmean(values))
        return min(errors, key=lambda name: (errors[name], name)) if errors else None

    def _of_models(self) -> Iterator["Finding"]:
        from moviestrip.evaluation import difficulty as checks

        single = {name: self.sequences(SINGLE, name) for name in self.scored}
        others: dict[str, tuple[str, Mapping[str, Sequences]]] = {}
        if SMOOTHED in self.variants:
            others["smoothing"] = "Gaussian smoothing", {name: self.sequences(SMOOTHED, name) for name in self.scored}
        models = {SINGLE: ("the single-view model", single)}
        if best := self.best_temporal():
            models["temporal"] = best, {name: self.sequences(best, name) for name in self.scored}
            others["time"] = models["temporal"]
        yield from checks.jitter(single, self._named("wild3d"), others, self.sampling)
        for model, (who, estimates) in models.items():
            pair = self._named("wild3d"), self._named("mocap3d")
            yield from checks.harder(estimates, *pair, model, who, self.sampling)
        for dataset in self.scored:
            yield from self._of_frames(dataset, models)

    def _named(self, role: str) -> str:
        return next((name for name in self.scored if self.rendered[name].role == role), "")

    def _of_frames(
        self, dataset: str, models: Mapping[str, tuple[str, Mapping[str, "Sequences"]]]
    ) -> Iterator["Finding"]:
        """Bursts, depth, the mean pose and the features of one dataset."""
        from moviestrip.evaluation import difficulty as checks

        single = models[SINGLE][1][dataset]
        if dataset == self._named("wild3d"):
            yield from checks.burst_shares(single, dataset, self.sampling)
        clips = selected_clips(self.job, [dataset], ["test"])
        yield from checks.hidden_joints(self.labels[dataset], clips, dataset, self.sampling)
        for model, (who, estimates) in models.items():
            yield from checks.bursts(estimates[dataset], dataset, model, who, self.sampling)
        yield checks.depth(single, dataset, self.sampling)
        known = self.mean_pose
        for model, (who, estimates) in models.items():
            yield checks.range_used(estimates[dataset], known, dataset, model, who, self.sampling)
        yield checks.feature_noise(self.features(dataset, single), single, dataset, self.sampling)

    @cached_property
    def mean_pose(self) -> np.ndarray:
        """Of the training frames with 3D truth that the single-view model learns from."""
        from moviestrip.evaluation.difficulty import mean_pose

        learned = set(self.job.datasets_of(self.variants[SINGLE])) & set(self.rendered)
        poses = [np.zeros((0, 14, 3), np.float32)]
        for name in sorted(learned):
            if self.rendered[name].supervision == "full_3d":
                labels = self.labels[name] if name in self.labels else labels_of(self.job, name)
                clips = selected_clips(self.job, [name], ["train"])
                chosen = labels["clip_id"].isin(clips["clip_id"]) & labels["has_3d"]
                poses.append(stack(labels.loc[chosen, "joints_3d_m"], 14, 3))
        return mean_pose(np.concatenate(poses).astype(np.float64))

    def features(self, dataset: str, sequences: "Sequences") -> np.ndarray:
        """phi of the frames of some sequences, in their order."""
        from moviestrip.stages.job import feature_files

        backbone: BackboneName = self.variants[SINGLE].backbone or self.job.settings.value("features")["backbone"]
        by_clip: dict[str, np.ndarray] = {}
        for shard in feature_files(self.job, [dataset], backbone):
            self.inputs[f"features:{shard.features.stem}"] = shard.features
            by_clip |= _phi_of_clips(shard, set(sequences.clips["clip_id"]))
        return np.concatenate([by_clip[clip_id] for clip_id in sequences.clips["clip_id"]])

    # What the detector says.

    @cached_property
    def pseudo_labelled(self) -> list[str]:
        return [name for name, dataset in self.rendered.items() if dataset.tube == "tracks"]

    @property
    def has_pseudo_labels(self) -> bool:
        """Whether curation left any clip: of a very small world it may leave none."""
        return bool(self.pseudo_labelled) and len(self._pseudo[1]) > 0

    @cached_property
    def _pseudo(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Labels and clips of all pseudo-labelled datasets, and the truth of their pictures."""
        run = self.job.run
        clips = selected_clips(self.job, self.pseudo_labelled)
        labels = pd.concat([labels_of(self.job, name) for name in self.pseudo_labelled], ignore_index=True)
        shards = [(name, shard) for name in self.pseudo_labelled for shard in run.shards(name)]
        self.inputs |= {f"truth:{shard}": run.rendered(name, shard) for name, shard in shards}
        truth = tables.read_tables([run.truth(*shard) for shard in shards], tables.TRUTH)
        return labels[labels["clip_id"].isin(clips["clip_id"])], clips, truth

    @cached_property
    def detected(self) -> "Detected":
        from moviestrip.evaluation.detector_noise import join_detected

        return join_detected(*self._pseudo)

    def _of_detector(self) -> Iterator["Finding"]:
        from moviestrip.evaluation.detector_noise import detector_noise, labels_are_detections

        names = " and ".join(self.pseudo_labelled)
        yield from detector_noise(self.detected, names, self.sampling)
        labels, clips, _ = self._pseudo
        yield labels_are_detections(labels, self._from_tracks(labels, clips), len(clips), names)

    def _from_tracks(self, labels: pd.DataFrame, clips: pd.DataFrame) -> np.ndarray:
        """What the tracker alone makes of the labelled frames; a frame without a detection holds nothing."""
        from moviestrip.datasets.labels import pseudo_keypoints

        shards = [(name, shard) for name in self.pseudo_labelled for shard in self.job.run.shards(name)]
        tracks = tables.read_tables([self.job.run.tracks(*shard) for shard in shards], tables.TRACKS)
        whose = labels[["clip_id", "video_frame"]].merge(clips[["clip_id", "video_id", "track"]], on="clip_id")
        key = ["video_id", "track", "frame"]
        rows = pd.MultiIndex.from_frame(tracks[key]).get_indexer(
            pd.MultiIndex.from_frame(whose.rename(columns={"video_frame": "frame"})[key])
        )
        keypoints = np.where((rows >= 0)[:, None, None], stack(tracks["keypoints"], 25, 3)[rows], 0)
        settings = self.job.settings.section(CurationSettings)
        return pseudo_keypoints(keypoints.astype(np.float32), settings.minimum_confidence)

    # What moves, and who.

    @cached_property
    def motions(self) -> pd.DataFrame:
        self.inputs["motions"] = self.job.run.motions
        return read_table(self.job.run.motions, tables.MOTIONS)

    @cached_property
    def true_forecasts(self) -> pd.DataFrame:
        from moviestrip.evaluation.predictability import true_forecasts
        from moviestrip.world.kinematics import RestSkeleton

        return true_forecasts(self.motions, RestSkeleton.from_body(self.job.body()))

    def _of_motions(self) -> Iterator["Finding"]:
        from moviestrip.evaluation.predictability import trained_predictability, true_predictability

        yield from true_predictability(self.true_forecasts, self.sampling)
        scored = [name for name, dataset in self.rendered.items() if dataset.is_scored]
        for name in [name for name in scored if self.rendered[name].role == "sports2d"]:
            if paths := self._trained_forecasts(name, scored):
                self.inputs |= {f"forecast scores:{path.parent.name}/{name}": path for path in paths}
                scores = tables.read_tables(paths, tables.SCORES)
                yield from trained_predictability(scores, FORECASTER, "pck", name, TRAINED_HORIZONS, self.sampling)

    def _trained_forecasts(self, dataset: str, scored: Sequence[str]) -> list[Path]:
        """Scores of the trained forecaster, where some table of the run prints them."""
        from moviestrip.papers.forecasts import forecasts_of

        world, asked = self.job.settings.value("world"), self.job.settings.value("tables")
        wanted = forecasts_of(asked, world, scored, self.variants, self.seeds)
        return [self.job.run.forecast_scores(*each) for each in wanted if each[::2] == (FORECASTER, dataset)]

    def _of_people(self) -> Iterator["Finding"]:
        from moviestrip.evaluation.diversity import diversity

        sources = self.motions.drop_duplicates("motion_id")[["motion_id", "family", "split"]]
        yield from diversity(sources, {name: self._seen(name) for name in self.rendered})

    def _seen(self, dataset: str) -> pd.DataFrame:
        """Everyone in the truth of a dataset's videos, with the video's split."""
        run, shards = self.job.run, self.job.run.shards(dataset)
        truth = [read_table(run.truth(dataset, shard), tables.TRUTH, _WHO) for shard in shards]
        videos = tables.read_tables([run.videos(dataset, shard) for shard in shards], tables.VIDEOS, _SPLIT)
        return pd.concat(truth, ignore_index=True).drop_duplicates(_WHO).merge(videos, on="video_id")


_WHO = ["video_id", "person", "subject", "motion_id"]
_SPLIT = ["video_id", "split"]


def _phi_of_clips(shard: "ShardFiles", wanted: set[str]) -> dict[str, np.ndarray]:
    index = read_table(shard.index, tables.FEATURE_INDEX)
    index = index[index["clip_id"].isin(wanted)]
    if len(index) == 0:
        return {}
    phi, _ = read_features(shard.features)
    rows: Sequence[tuple[str, int, int]] = list(index.itertuples(index=False, name=None))
    return {clip_id: phi[start : start + n_frames] for clip_id, start, n_frames in rows}
