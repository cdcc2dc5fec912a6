# What every rule shares: the validated configuration, the planned shards, and the helpers that say which
# files a stage needs. A mistake in the configuration stops here, before any job, in one line.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from moviestrip.config import load_dataset, load_variant, validate_config
from moviestrip.datasets.plan import plan_shards
from moviestrip.errors import MoviestripError
from moviestrip.layout import RunFolder
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
    name: or_stop(load_dataset, name, CONFIG_FOLDER) for name in CONFIG.datasets
}
VARIANTS = {
    name: or_stop(load_variant, name, CONFIG_FOLDER) for name in CONFIG.variants
}
SHARDS = {
    name: or_stop(plan_shards, RUN, name, dataset, CONFIG.rendering, CONFIG.seed)
    for name, dataset in DATASETS.items()
}
TEST_DATASETS = [name for name, dataset in DATASETS.items() if dataset.is_scored]
SMOOTHED = [name for name, variant in VARIANTS.items() if variant.smoothing != "none"]
TRAINED = [name for name in VARIANTS if name not in SMOOTHED]

for name, variant in VARIANTS.items():
    if variant.start_from and variant.start_from not in VARIANTS:
        raise WorkflowError(
            f"variants: '{name}' starts from '{variant.start_from}', which is not listed in `variants`"
        )
    for dataset in variant.datasets:
        if dataset not in DATASETS:
            raise WorkflowError(
                f"variants: '{name}' trains on '{dataset}', which is not listed in `datasets`"
            )

# The environment this Snakemake runs in serves its jobs too; one thread a job, so that cores are not fought over.
shell.prefix(
    f'export PATH="{Path(sys.executable).parent}:$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1; '
)


wildcard_constraints:
    dataset="|".join(DATASETS) or "-",
    variant="|".join(VARIANTS) or "-",
    shard=r"[a-z0-9-]+-\d{4}",
    seed=r"\d+",
    table=r"[a-z]+-\d+",


def settings(*keys):
    """Parameter function: JSON of just these keys, so that changing any other reruns nothing."""

    def of(wildcards):
        names = {
            kind: getattr(wildcards, kind, None) for kind in ("dataset", "variant")
        }
        return StageSettings.from_config(CONFIG, CONFIG_FOLDER, **names).subset(keys)

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


def for_each_scored(kind):
    """Files of one kind that a variant and seed have, one for each scored dataset."""
    return expand(
        f"{ROOT}/{kind}/{{{{variant}}}}/seed-{{{{seed}}}}/{{dataset}}.parquet",
        dataset=TEST_DATASETS,
    )


def is_rendered(dataset):
    return DATASETS[dataset].source.kind == "rendered"


SCORED = " ".join(f"--dataset {name}" for name in TEST_DATASETS)


def everything():
    """Every table and feature file of the run, in the middle of the workflow as well as at its end."""
    tracked = [name for name, dataset in DATASETS.items() if dataset.tube == "tracks"]
    kinds = (
        "videos",
        "clips",
        "attributes",
        "labels",
        "features",
        "feature_index",
        "crops",
    )
    files = [file for kind in kinds for file in shard_files(kind, DATASETS)]
    files += shard_files("detections", tracked) + shard_files("tracks", tracked)
    scored = dict(variant=VARIANTS, seed=CONFIG.training_seeds, dataset=TEST_DATASETS)
    for kind in ("predictions", "scores"):
        files += expand(
            f"{ROOT}/{kind}/{{variant}}/seed-{{seed}}/{{dataset}}.parquet", **scored
        )
    return files


EVERYTHING = everything()


def truth_or_tracks(wildcards):
    """What says where people are: the annotation where the dataset's tube comes from it, else the tracks."""
    if DATASETS[wildcards.dataset].tube == "truth":
        return str(RUN.rendered(wildcards.dataset, wildcards.shard))
    return str(RUN.tracks(wildcards.dataset, wildcards.shard))
