# Models, one a variant and seed, and their predictions. Smoothed variants are another's predictions, filtered.


def start_checkpoint(wildcards):
    start = VARIANTS[wildcards.variant].start_from
    return [f"{ROOT}/models/{start}/seed-{wildcards.seed}/checkpoint.pt"] if start else []


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
    params:
        settings=settings("variant", "scale", "body", "seed"),
        datasets=lambda wildcards: " ".join(f"--dataset {name}" for name in trained_on(wildcards.variant)),
    wildcard_constraints:
        variant="|".join(TRAINED) or "-",
    log:
        f"{ROOT}/logs/train/{{variant}}/seed-{{seed}}.log",
    conda:
        "../../envs/training.yaml"
    shell:
        "moviestrip train {wildcards.variant} {wildcards.seed} {params.datasets} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


rule predict:
    input:
        body=f"{ROOT}/body.json",
        checkpoint=f"{ROOT}/models/{{variant}}/seed-{{seed}}/checkpoint.pt",
        clips=lambda wildcards: shard_files("clips", [wildcards.dataset]),
        attributes=lambda wildcards: shard_files("attributes", [wildcards.dataset]),
        labels=lambda wildcards: shard_files("labels", [wildcards.dataset]),
        phi=lambda wildcards: shard_files("features", [wildcards.dataset]),
        index=lambda wildcards: shard_files("feature_index", [wildcards.dataset]),
        crops=lambda wildcards: shard_files("crops", [wildcards.dataset]),
    output:
        f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
    params:
        settings=settings("variant", "scale", "body"),
    wildcard_constraints:
        variant="|".join(TRAINED) or "-",
    log:
        f"{ROOT}/logs/predict/{{variant}}/seed-{{seed}}/{{dataset}}.log",
    conda:
        "../../envs/training.yaml"
    shell:
        "moviestrip predict {wildcards.variant} {wildcards.seed} {wildcards.dataset} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


def unsmoothed(wildcards):
    """The predictions to filter, and all others of that model: the filter's width is chosen on validation clips."""
    base = VARIANTS[wildcards.variant].start_from
    return [f"{ROOT}/predictions/{base}/seed-{wildcards.seed}/{dataset}.parquet" for dataset in TEST_DATASETS]


rule smooth:
    input:
        body=f"{ROOT}/body.json",
        predictions=unsmoothed,
        clips=shard_files("clips", TEST_DATASETS),
        labels=shard_files("labels", TEST_DATASETS),
    output:
        f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
    params:
        settings=settings("variant", "body", "evaluation"),
        datasets=" ".join(f"--chosen-on {name}" for name in TEST_DATASETS),
    wildcard_constraints:
        variant="|".join(SMOOTHED) or "-",
    log:
        f"{ROOT}/logs/smooth/{{variant}}/seed-{{seed}}/{{dataset}}.log",
    conda:
        "../../envs/training.yaml"
    shell:
        "moviestrip smooth {wildcards.variant} {wildcards.seed} {wildcards.dataset} {params.datasets} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"
