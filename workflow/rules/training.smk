# Models, one a variant and seed, and their predictions. Smoothed variants are another's predictions, filtered.


def start_checkpoint(wildcards):
    start = VARIANTS[wildcards.variant].start_from
    return (
        [f"{ROOT}/models/{start}/seed-{wildcards.seed}/checkpoint.pt"] if start else []
    )


def learning_files(kind):
    return lambda wildcards: shard_files(kind, trained_on(wildcards.variant))


rule train:
    input:
        body=f"{ROOT}/body.json",
        start=start_checkpoint,
        clips=learning_files("clips"),
        attributes=learning_files("attributes"),
        labels=learning_files("labels"),
        phi=learning_files("features"),
        index=learning_files("feature_index"),
        crops=learning_files("crops"),
    output:
        checkpoint=f"{ROOT}/models/{{variant}}/seed-{{seed}}/checkpoint.pt",
        log=f"{ROOT}/models/{{variant}}/seed-{{seed}}/log.parquet",
    log:
        f"{ROOT}/logs/train/{{variant}}/seed-{{seed}}.log",
    wildcard_constraints:
        variant="|".join(TRAINED) or "-",
    conda:
        "../../envs/training.yaml"
    params:
        settings=settings("variant", "scale", "body", "seed"),
        datasets=lambda wildcards: " ".join(
            f"--dataset {name}" for name in trained_on(wildcards.variant)
        ),
    shell:
        "moviestrip train {wildcards.variant} {wildcards.seed} {params.datasets} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


rule predict:
    input:
        body=f"{ROOT}/body.json",
        checkpoint=f"{ROOT}/models/{{variant}}/seed-{{seed}}/checkpoint.pt",
        clips=shard_files("clips", TEST_DATASETS),
        attributes=shard_files("attributes", TEST_DATASETS),
        labels=shard_files("labels", TEST_DATASETS),
        phi=shard_files("features", TEST_DATASETS),
        index=shard_files("feature_index", TEST_DATASETS),
        crops=shard_files("crops", TEST_DATASETS),
    output:
        for_each_scored("predictions"),
    log:
        f"{ROOT}/logs/predict/{{variant}}/seed-{{seed}}.log",
    wildcard_constraints:
        variant="|".join(TRAINED) or "-",
    conda:
        "../../envs/training.yaml"
    params:
        settings=settings("body"),
    shell:
        "moviestrip predict {wildcards.variant} {wildcards.seed} {SCORED} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


def unsmoothed(wildcards):
    """The predictions to filter."""
    base = VARIANTS[wildcards.variant].start_from
    return [
        f"{ROOT}/predictions/{base}/seed-{wildcards.seed}/{dataset}.parquet"
        for dataset in TEST_DATASETS
    ]


rule smooth:
    input:
        body=f"{ROOT}/body.json",
        predictions=unsmoothed,
        clips=shard_files("clips", TEST_DATASETS),
        attributes=shard_files("attributes", TEST_DATASETS),
        labels=shard_files("labels", TEST_DATASETS),
        phi=shard_files("features", TEST_DATASETS),
        index=shard_files("feature_index", TEST_DATASETS),
        crops=shard_files("crops", TEST_DATASETS),
    output:
        for_each_scored("predictions"),
    log:
        f"{ROOT}/logs/smooth/{{variant}}/seed-{{seed}}.log",
    wildcard_constraints:
        variant="|".join(SMOOTHED) or "-",
    conda:
        "../../envs/training.yaml"
    params:
        settings=settings("variant", "body", "evaluation"),
    shell:
        "moviestrip smooth {wildcards.variant} {wildcards.seed} {SCORED} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"
