# What every rule shares: the validated configuration, the planned shards, and the helpers that say which
# files a stage needs. A mistake in the configuration stops here, before any job, in one line.
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from moviestrip.config import (
    check_variants,
    load_dataset,
    load_variants,
    validate_config,
)
from moviestrip.datasets.durations import images_mb, limit_minutes
from moviestrip.datasets.forgotten import read_forgotten
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.errors import MoviestripError
from moviestrip.layout import RunFolder
from moviestrip.papers.readiness import require_ready
from moviestrip.settings import StageSettings

CONFIG_FOLDER = Path(workflow.basedir) / "config"
TABLE_SUFFIXES = ("csv", "md", "tex", "html")


def or_stop(function, *arguments):
    """Call a function of the library, turning its error into one line without a traceback."""
    try:
        return function(*arguments)
    except MoviestripError as error:
        raise WorkflowError(str(error)) from None


CONFIG = or_stop(validate_config, config, "configuration")
ROOT = str(CONFIG.results / CONFIG.name)
RUN = RunFolder(Path(ROOT))
DATASETS = {
    name: or_stop(
        load_dataset, name, CONFIG_FOLDER, CONFIG.data_folders, CONFIG.dataset_files
    )
    for name in CONFIG.datasets
}
VARIANTS = or_stop(load_variants, CONFIG, CONFIG_FOLDER, DATASETS)
or_stop(require_ready, CONFIG, DATASETS, VARIANTS, CONFIG_FOLDER)
FORGOTTEN = or_stop(read_forgotten, CONFIG.forgotten)
SHARDS = {
    name: or_stop(
        plan_shards,
        RUN,
        name,
        dataset,
        CONFIG.rendering,
        CONFIG.seed,
        CONFIG.fetch,
        FORGOTTEN,
        CONFIG.shards,
    )
    for name, dataset in DATASETS.items()
}
PREPARED = [
    name for name, dataset in DATASETS.items() if dataset.source.kind == "prepared"
]
FILMED = [name for name in DATASETS if name not in PREPARED]
TRACKED = [name for name, dataset in DATASETS.items() if dataset.tube == "tracks"]
TEST_DATASETS = [name for name, dataset in DATASETS.items() if dataset.is_scored]
REAL_DATASETS = [name for name, dataset in DATASETS.items() if dataset.is_real_check]
PREDICTED_DATASETS = TEST_DATASETS + REAL_DATASETS
TRAINED = [name for name, variant in VARIANTS.items() if variant.is_trained]
or_stop(check_variants, VARIANTS, CONFIG.features.backbone, DATASETS)
BACKBONE_OF = {
    name: variant.backbone or CONFIG.features.backbone
    for name, variant in VARIANTS.items()
}

WHOLE = StageSettings.from_config(CONFIG, CONFIG_FOLDER)  # read once, for every job

# The environment this Snakemake runs in serves its jobs too; one thread a job, so that cores are not fought over.
shell.prefix(
    f'export PATH="{Path(sys.executable).parent}:$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1; '
)


wildcard_constraints:
    backbone="|".join(set(BACKBONE_OF.values())) or "-",
    dataset="|".join(FILMED) or "-",  # rules that need no pictures name all DATASETS
    variant="|".join(VARIANTS) or "-",
    shard=r"[a-z0-9-]+-\d{4}",
    seed=r"\d+",


def settings(*keys):
    """Parameter function: JSON of just these keys, so that changing any other reruns nothing."""

    def of(wildcards):
        named = (getattr(wildcards, kind, None) for kind in ("dataset", "variant"))
        found = WHOLE.of(*named)
        backbone = getattr(wildcards, "backbone", None)
        return (found.with_backbone(backbone) if backbone else found).subset(keys)

    return of


def shard_files(kind, datasets):
    """Files of one kind for all shards of some datasets."""
    return [
        str(getattr(RUN, kind)(dataset, shard))
        for dataset in datasets
        for shard in SHARDS[dataset]
    ]


def trained_on(variant):
    """Datasets a variant learns from, and those its validation clips come from."""
    named = VARIANTS[variant].datasets or tuple(
        name for name, dataset in DATASETS.items() if dataset.is_trained_on
    )
    return list(named)


def feature_files(backbone, datasets, occluded=False):
    """phi, index and crops of all shards of some datasets."""
    return [
        str(file)
        for dataset in datasets
        for shard in SHARDS[dataset]
        for file in vars(RUN.features(backbone, dataset, shard, occluded)).values()
    ]


def all_labels(datasets):
    """Marks that all shards of some datasets have clips, verdicts and labels."""
    return [str(RUN.complete("labels", dataset)) for dataset in datasets]


def all_features(backbone, datasets, occluded=False):
    """Marks that all shards of some datasets have features."""
    suffix = ".occluded" if occluded else ""
    kind = f"features/{backbone}"
    return [str(RUN.complete(kind, f"{dataset}{suffix}")) for dataset in datasets]


def is_tested_on_only(backbone, dataset):
    """Whether no model that reads a backbone's features is trained on a dataset that holds clips out for tests."""
    return dataset in TEST_DATASETS and not any(
        BACKBONE_OF[name] == backbone and dataset in trained_on(name)
        for name in TRAINED
    )


def learning_features(variant):
    """Features that a variant learns from, occluded copies among them where it wants them."""
    backbone, datasets = BACKBONE_OF[variant], trained_on(variant)
    marks = all_features(backbone, datasets)
    if VARIANTS[variant].occluded_copies:
        marks += all_features(backbone, datasets, occluded=True)
    return marks


def predicted_features(variant):
    """Features that a variant is tested on, or looked at on."""
    return all_features(BACKBONE_OF[variant], PREDICTED_DATASETS)


def for_each(kind, datasets):
    """Files of one kind that a variant and seed have, one for each of some datasets."""
    return expand(
        f"{ROOT}/{kind}/{{{{variant}}}}/seed-{{{{seed}}}}/{{dataset}}.parquet",
        dataset=datasets,
    )


@cache
def videos_in_shard(dataset, shard):
    return len(or_stop(read_shard, RUN, dataset, shard)["videos"])


def shard_minutes(stage):
    """Resource function: after how long a job on a shard is taken for stuck, by its videos."""

    def of(wildcards, attempt):
        videos = videos_in_shard(wildcards.dataset, wildcards.shard)
        dataset = DATASETS[wildcards.dataset]
        return attempt * limit_minutes(dataset, CONFIG.rendering, stage, videos)

    return of


def shard_images_mb(wildcards, attempt):
    """Resource function: what a shard's frames take as images on the node's disk."""
    videos = videos_in_shard(wildcards.dataset, wildcards.shard)
    return attempt * images_mb(DATASETS[wildcards.dataset], CONFIG.rendering, videos)


def is_rendered(dataset):
    return DATASETS[dataset].source.kind == "rendered"


def is_official(dataset):
    return DATASETS[dataset].source.kind == "official"


SCORED = " ".join(f"--dataset {name}" for name in TEST_DATASETS)
PREDICTED = " ".join(f"--dataset {name}" for name in PREDICTED_DATASETS)
SCORE = (
    "--score" if TEST_DATASETS else ""
)  # real videos alone have no truth to score by


def features_read():
    """phi, index and crops of every shard whose features a variant reads, and of its occluded copies."""
    read = [(name, PREDICTED_DATASETS, False) for name in VARIANTS]
    read += [(name, trained_on(name), False) for name in TRAINED]
    hidden = [name for name in TRAINED if VARIANTS[name].occluded_copies]
    read += [(name, trained_on(name), True) for name in hidden]
    wanted = {
        (BACKBONE_OF[name], dataset, occluded)
        for name, datasets, occluded in read
        for dataset in datasets
    }
    return [
        file
        for backbone, dataset, occluded in sorted(wanted)
        for file in feature_files(backbone, [dataset], occluded)
    ]


def everything():
    """Every file of the run, in the middle of the workflow as well as at its end: marks alone would not miss one."""
    files = features_read() + all_labels(DATASETS)
    for kind in ("videos", "clips", "attributes", "labels"):
        files += shard_files(kind, DATASETS)
    for kind in ("detections", "answers", "shots", "tracks"):
        files += shard_files(kind, TRACKED)
    screened = [name for name, dataset in DATASETS.items() if dataset.is_screened]
    for kind in ("key_frames", "appearance", "originals"):
        files += shard_files(kind, screened)
    files += shard_files("annotations", filter(is_official, DATASETS))
    for kind, datasets in (
        ("predictions", PREDICTED_DATASETS),
        ("scores", TEST_DATASETS),
    ):
        files += expand(
            f"{ROOT}/{kind}/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
            variant=VARIANTS,
            seed=CONFIG.training_seeds,
            dataset=datasets,
        )
    if REAL_DATASETS:
        files += [str(RUN.real_check), str(RUN.real_pictures)]
    if any(map(is_rendered, DATASETS)):
        files += [str(RUN.difficulty), str(RUN.difficulty_figures)]
    files += expand(
        f"{ROOT}/models/{{prior}}/seed-{{seed}}/reconstruction.csv",
        prior=CONFIG.motion_priors,
        seed=CONFIG.training_seeds,
    )
    return files


EVERYTHING = everything()


def verdicts_on(dataset, shard):
    """What every filter says of a shard's clips: of found videos, those that look at pictures too."""
    screened = DATASETS[dataset].is_screened
    appearance = [str(RUN.appearance(dataset, shard))] if screened else []
    return [str(RUN.attributes(dataset, shard)), *appearance]


def verdicts(datasets):
    """The same of all shards of some datasets."""
    return [
        file
        for dataset in datasets
        for shard in SHARDS[dataset]
        for file in verdicts_on(dataset, shard)
    ]


def shots_of(wildcards):
    """Where the camera cuts, of videos in which people are tracked."""
    is_tracked = DATASETS[wildcards.dataset].tube == "tracks"
    return [str(RUN.shots(wildcards.dataset, wildcards.shard))] if is_tracked else []


def unfinished(wildcards):
    """In how many runs hosts were too busy for some of the shard's videos: after another, they are asked again."""
    path = RUN.unfinished(wildcards.dataset, wildcards.shard)
    return int(path.read_text()) if path.is_file() else 0


def truth_or_tracks(wildcards):
    """What says where people are: the annotation where the dataset's tube comes from it, else the tracks."""
    if is_official(wildcards.dataset) and DATASETS[wildcards.dataset].tube == "truth":
        return str(RUN.annotations(wildcards.dataset, wildcards.shard))
    if DATASETS[wildcards.dataset].tube == "truth":
        return str(RUN.rendered(wildcards.dataset, wildcards.shard))
    return str(RUN.tracks(wildcards.dataset, wildcards.shard))
