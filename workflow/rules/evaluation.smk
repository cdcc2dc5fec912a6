# Scores a clip, and the papers' tables beside the printed numbers.


rule evaluate:
    input:
        predictions=for_each_scored("predictions"),
        labels=all_labels(TEST_DATASETS),
        body=f"{ROOT}/body.json",
    output:
        for_each_scored("scores"),
    log:
        f"{ROOT}/logs/evaluate/{{variant}}/seed-{{seed}}.log",
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=settings(
            "evaluation.protocol",
            "body",
            *(f"dataset_settings.{name}" for name in TEST_DATASETS),
            "variant.frame_stride",
        ),
    shell:
        "moviestrip evaluate {wildcards.variant} {wildcards.seed} {SCORED} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


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


def table_inputs(wildcards):
    """HMMR's first table counts data; every other table compares models."""
    if wildcards.table == "hmmr-1":
        return shard_files("clips", DATASETS) + verdicts(DATASETS)
    return scores_behind([wildcards.table])


def scores_behind(names):
    """Scores of every variant, and of the forecasts in some tables."""
    compared = [name for name in names if name != "hmmr-1"]
    scores = expand(
        f"{ROOT}/scores/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
        variant=VARIANTS if compared else [],
        seed=CONFIG.training_seeds,
        dataset=TEST_DATASETS,
    )
    return scores + forecast_files("forecast_scores", compared)


def table_settings(wildcards):
    """TCMR's fourth table also says how many frames each model is shown."""
    shown = ("variant_settings", "scale.clip_frames")
    return settings(*TABLE_SETTINGS, *(shown if wildcards.table == "tcmr-4" else ()))(
        wildcards
    )


rule table:
    input:
        table_inputs,
    output:
        expand(f"{ROOT}/tables/{{{{table}}}}.{{suffix}}", suffix=TABLE_SUFFIXES),
    log:
        f"{ROOT}/logs/table/{{table}}.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=table_settings,
    shell:
        "moviestrip table {wildcards.table} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule claims:
    input:
        tables=expand(f"{ROOT}/tables/{{table}}.csv", table=CONFIG.tables),
        scores=scores_behind(CONFIG.tables),
        priors=expand(
            f"{ROOT}/scores/{{prior}}/seed-{{seed}}/motions.parquet",
            prior=CONFIG.motion_priors,
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
        settings=settings(*TABLE_SETTINGS),
    shell:
        "moviestrip claims --run {ROOT} --settings {params.settings:q} 2> {log}"
