# The papers' tables beside the printed numbers, and what follows from them.
from moviestrip.papers.layout import counts_data
from moviestrip.papers.smoothing import smoothed_baselines, tables_beside_smoothing

# HMMR's first table counts what is in the datasets; the others compare models.
COUNTING = [name for name in CONFIG.tables if counts_data(*name.rsplit("-", 1))]
COMPARING = [name for name in CONFIG.tables if name not in COUNTING]
SMOOTHED = smoothed_baselines(VARIANTS)
SMOOTHING = [f"{ROOT}/smoothing.csv"] if SMOOTHED and TEST_DATASETS else []


TABLE_SETTINGS = (
    "name",
    "world",
    "seed",
    "datasets",
    "variants",
    "train_without",
    "motion_priors",
    "training_seeds",
    "tables",
    "body",
    "detector",
    "features",
    "evaluation",
    "dataset_settings",
)


def scores_behind(names):
    """Scores of every variant, and of the forecasts in some tables."""
    compared = [name for name in names if name not in COUNTING]
    scores = expand(
        f"{ROOT}/scores/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
        variant=VARIANTS if compared else [],
        seed=CONFIG.training_seeds,
        dataset=TEST_DATASETS,
    )
    return scores + forecast_files("forecast_scores", compared)


def table_files(names):
    return [str(RUN.table(name, suffix)) for name in names for suffix in TABLE_SUFFIXES]


rule statistics:
    input:
        shard_files("clips", DATASETS) + verdicts(DATASETS),
    output:
        table_files(COUNTING),
    log:
        f"{ROOT}/logs/statistics.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=settings(*TABLE_SETTINGS),
    shell:
        "moviestrip table {COUNTING} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule tables:
    input:
        scores_behind(COMPARING),
    output:
        table_files(COMPARING),
    log:
        f"{ROOT}/logs/tables.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        # TCMR's fourth table also says how many frames each model is shown.
        settings=settings(
            *TABLE_SETTINGS,
            *(
                ("variant_settings", "scale.clip_frames")
                if "tcmr-4" in COMPARING
                else ()
            ),
        ),
    shell:
        "moviestrip table {COMPARING} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule claims:
    input:
        tables=expand(f"{ROOT}/tables/{{table}}.csv", table=CONFIG.tables),
        scores=scores_behind(CONFIG.tables),
        priors=expand(
            f"{ROOT}/scores/{{prior}}/seed-{{seed}}/motions.parquet",
            prior=CONFIG.motion_priors,
            seed=CONFIG.training_seeds,
        ),
        logs=expand(
            f"{ROOT}/models/{{variant}}/seed-{{seed}}/log.parquet",
            variant=TRAINED,
            seed=CONFIG.training_seeds,
        ),
    output:
        f"{ROOT}/claims.csv",
    log:
        f"{ROOT}/logs/claims.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=settings(*TABLE_SETTINGS, "variant_settings"),
    shell:
        "moviestrip claims --run {ROOT} --settings {params.settings:q} 2> {log}"


rule real_check:
    input:
        body=f"{ROOT}/body.json",
        predictions=expand(
            f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
            variant=VARIANTS,
            seed=CONFIG.training_seeds,
            dataset=REAL_DATASETS,
        ),
        scores=scores_behind(["hmmr-2"]),
        labels=shard_files("labels", REAL_DATASETS),
        tracks=shard_files("tracks", REAL_DATASETS),
        videos=shard_files("videos", REAL_DATASETS),
    output:
        table=f"{ROOT}/real_check.csv",
        pictures=directory(f"{ROOT}/figures/real"),
    log:
        f"{ROOT}/logs/real_check.log",
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(
            "name",
            "seed",
            "body",
            "training_seeds",
            "evaluation",
            "dataset_settings",
            "variant_settings",
        ),
    shell:
        "moviestrip real-check --run {ROOT} --settings {params.settings:q} 2> {log}"


rule smoothing:
    input:
        tables=expand(
            f"{ROOT}/tables/{{table}}.csv",
            table=tables_beside_smoothing(CONFIG.tables),
        ),
        scores=expand(
            f"{ROOT}/scores/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
            variant=VARIANTS,
            seed=CONFIG.training_seeds,
            dataset=TEST_DATASETS,
        ),
        predictions=expand(
            f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
            variant=SMOOTHED,
            seed=CONFIG.training_seeds,
            dataset=TEST_DATASETS,
        ),
        labels=all_labels(TEST_DATASETS),
    output:
        f"{ROOT}/smoothing.csv",
    log:
        f"{ROOT}/logs/smoothing.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=settings(*TABLE_SETTINGS, "variant_settings"),
    shell:
        "moviestrip smoothing --run {ROOT} --settings {params.settings:q} 2> {log}"


RENDERED = [name for name in DATASETS if is_rendered(name)]
LOOKED_AT = [name for name in TEST_DATASETS if name in RENDERED]


rule difficulty:
    input:
        body=f"{ROOT}/body.json",
        motions=f"{ROOT}/world/motions.parquet",
        truth=shard_files("rendered", RENDERED),
        videos=shard_files("videos", RENDERED),
        clips=shard_files("clips", RENDERED) + verdicts(RENDERED),
        labels=shard_files("labels", RENDERED),
        tracks=shard_files("tracks", [name for name in RENDERED if name in TRACKED]),
        features=lambda wildcards: (
            all_features(BACKBONE_OF["single-view"], LOOKED_AT)
            if "single-view" in VARIANTS
            else []
        ),
        predictions=expand(
            f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
            variant=VARIANTS,
            seed=CONFIG.training_seeds,
            dataset=LOOKED_AT,
        ),
        forecasts=[
            path
            for path in forecast_files("forecast_scores", CONFIG.tables)
            if "/ar-phi/" in path
        ],
    output:
        table=f"{ROOT}/difficulty.csv",
        figures=directory(f"{ROOT}/figures/difficulty"),
    log:
        f"{ROOT}/logs/difficulty.log",
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(
            "world",
            "seed",
            "training_seeds",
            "tables",
            "body",
            "features.backbone",
            "curation.minimum_confidence",
            "evaluation.bootstrap_samples",
            "evaluation.interval_percent",
            "dataset_settings",
            "variant_settings",
        ),
    shell:
        "moviestrip difficulty --run {ROOT} --settings {params.settings:q} > {log} 2>&1"
