"""Where every file of a run lies under results/<name>: the one place that knows the folder structure."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FeatureFiles:
    """phi of a shard, which of its rows are whose, and the crop behind every row."""

    phi: Path
    index: Path
    crops: Path


@dataclass(frozen=True)
class RunFolder:
    """The outputs of one configuration. A shard is a fixed list of one dataset's videos."""

    root: Path

    def plan(self, dataset: str, shard: str) -> Path:
        return self.root / "plan" / dataset / f"{shard}.json"

    @property
    def body(self) -> Path:
        return self.root / "body.json"

    @property
    def motions(self) -> Path:
        return self.root / "world" / "motions.parquet"

    def rendered(self, dataset: str, shard: str) -> Path:
        return self.root / "world" / dataset / shard

    def truth(self, dataset: str, shard: str) -> Path:
        return self.rendered(dataset, shard) / "truth.parquet"

    def videos(self, dataset: str, shard: str) -> Path:
        return self.root / "videos" / dataset / f"{shard}.parquet"

    def detections(self, dataset: str, shard: str) -> Path:
        return self.root / "detections" / dataset / f"{shard}.parquet"

    def answers(self, dataset: str, shard: str) -> Path:
        """What became of each video at the detector."""
        return self.root / "answers" / dataset / f"{shard}.parquet"

    def shots(self, dataset: str, shard: str) -> Path:
        return self.root / "shots" / dataset / f"{shard}.parquet"

    def tracks(self, dataset: str, shard: str) -> Path:
        return self.root / "tracks" / dataset / f"{shard}.parquet"

    def annotations(self, dataset: str, shard: str) -> Path:
        """People annotated in an official release, canonical and at the dataset's rate."""
        return self.root / "annotations" / dataset / f"{shard}.parquet"

    def clips(self, dataset: str, shard: str) -> Path:
        return self.root / "clips" / dataset / f"{shard}.parquet"

    def attributes(self, dataset: str, shard: str) -> Path:
        return self.root / "attributes" / dataset / f"{shard}.parquet"

    def verdicts(self, dataset: str, shard: str) -> list[Path]:
        """What all filters say of the shard's clips; those that look at pictures have judged found videos only."""
        appearance = self.appearance(dataset, shard)
        return [self.attributes(dataset, shard), *([appearance] if appearance.is_file() else [])]

    def unfinished(self, dataset: str, shard: str) -> Path:
        """In how many runs a host was too busy for some of the shard's videos: the next run asks again."""
        return self.root / "videos" / dataset / f"{shard}.unfinished"

    def key_frames(self, dataset: str, shard: str) -> Path:
        """What a few frames of each clip look like."""
        return self.root / "key_frames" / dataset / f"{shard}.parquet"

    def appearance(self, dataset: str, shard: str) -> Path:
        """What the filters that look at pictures say of each clip."""
        return self.root / "appearance" / dataset / f"{shard}.parquet"

    def originals(self, dataset: str, shard: str) -> Path:
        """Key frames of the shard's clips that are no duplicates: later shards are compared with them."""
        return self.root / "originals" / dataset / f"{shard}.parquet"

    def labels(self, dataset: str, shard: str) -> Path:
        return self.root / "labels" / dataset / f"{shard}.parquet"

    def features(self, backbone: str, dataset: str, shard: str, occluded: bool = False) -> FeatureFiles:
        """Of a shard's clips and their jittered copies, or of the occluded copies."""
        folder, name = self.root / "features" / backbone / dataset, f"{shard}.occluded" if occluded else shard
        return FeatureFiles(*(folder / f"{name}.{suffix}" for suffix in ("h5", "index.parquet", "crops.parquet")))

    def complete(self, kind: str, dataset: str) -> Path:
        """An empty file: every shard of the dataset has its `labels`, or its `features/<backbone>`."""
        return self.root / "complete" / kind / f"{dataset}.done"

    def model(self, variant: str, seed: int) -> Path:
        return self.root / "models" / variant / f"seed-{seed}"

    def checkpoint(self, variant: str, seed: int) -> Path:
        return self.model(variant, seed) / "checkpoint.pt"

    def training_log(self, variant: str, seed: int) -> Path:
        return self.model(variant, seed) / "log.parquet"

    def reconstruction(self, motion_prior: str, seed: int) -> Path:
        """What a motion prior makes of motions it has not seen; it lies beside its checkpoint, among the models."""
        return self.model(motion_prior, seed) / "reconstruction.csv"

    def predictions(self, variant: str, seed: int, dataset: str) -> Path:
        return self.root / "predictions" / variant / f"seed-{seed}" / f"{dataset}.parquet"

    def scores(self, variant: str, seed: int, dataset: str) -> Path:
        return self.root / "scores" / variant / f"seed-{seed}" / f"{dataset}.parquet"

    def forecasts(self, row: str, seed: int, dataset: str) -> Path:
        """Of a variant, or of a baseline that the papers compare forecasts with."""
        return self.root / "forecasts" / row / f"seed-{seed}" / f"{dataset}.parquet"

    def forecast_scores(self, row: str, seed: int, dataset: str) -> Path:
        return self.root / "forecast_scores" / row / f"seed-{seed}" / f"{dataset}.parquet"

    def table(self, name: str, suffix: str = "csv") -> Path:
        return self.root / "tables" / f"{name}.{suffix}"

    @property
    def claims(self) -> Path:
        """The ledger: a verdict on each of the papers' claims."""
        return self.root / "claims.csv"

    @property
    def difficulty(self) -> Path:
        """Whether the miniature world is hard where reality is hard, a check a row."""
        return self.root / "difficulty.csv"

    @property
    def difficulty_figures(self) -> Path:
        """A folder for each plot of these checks: the picture, its caption, the numbers behind it."""
        return self.figures / "difficulty"

    @property
    def smoothing(self) -> Path:
        """Learned models against static ones that are smoothed over time."""
        return self.root / "smoothing.csv"

    @property
    def funnel(self) -> Path:
        """Where videos, people and clips went, by dataset, stage and reason."""
        return self.root / "funnel.csv"

    def card(self, dataset: str) -> Path:
        """What anyone who uses a dataset should know of it."""
        return self.root / "cards" / f"{dataset}.md"

    @property
    def real_check(self) -> Path:
        """What the models measure on videos of real people."""
        return self.root / "real_check.csv"

    @property
    def real_pictures(self) -> Path:
        """What they look like there, with `captions.json`."""
        return self.figures / "real"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    def sheet(self, dataset: str, people: bool = False) -> Path:
        """A dataset's labels on the frames, or everyone that is tracked in them."""
        return self.figures / ("people" if people else "datasets") / f"{dataset}.png"

    def figure(self, name: str) -> Path:
        """Folder of one of the papers' figures: the picture, its caption, the numbers behind it."""
        return self.figures / "papers" / name

    @property
    def report(self) -> Path:
        return self.root / "report" / "index.html"

    def shards(self, dataset: str) -> list[str]:
        """Shards planned for a dataset, in order."""
        return sorted(path.stem for path in (self.root / "plan" / dataset).glob("*.json"))
