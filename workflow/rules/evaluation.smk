# Scores a clip, and the papers' tables beside the printed numbers.


rule evaluate:
    input:
        predictions=f"{ROOT}/predictions/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
        clips=lambda wildcards: shard_files("clips", [wildcards.dataset]),
        labels=lambda wildcards: shard_files("labels", [wildcards.dataset]),
    output:
        f"{ROOT}/scores/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
    params:
        settings=settings("evaluation"),
    log:
        f"{ROOT}/logs/evaluate/{{variant}}/seed-{{seed}}/{{dataset}}.log",
    conda:
        "../../envs/evaluation.yaml"
    shell:
        "moviestrip evaluate {wildcards.variant} {wildcards.seed} {wildcards.dataset} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


def table_inputs(wildcards):
    """HMMR's first table counts data; every other table compares models."""
    if wildcards.table == "hmmr-1":
        return shard_files("clips", DATASETS) + shard_files("attributes", DATASETS)
    return expand(
        f"{ROOT}/scores/{{variant}}/seed-{{seed}}/{{dataset}}.parquet",
        variant=VARIANTS,
        seed=CONFIG.training_seeds,
        dataset=TEST_DATASETS,
    )


rule table:
    input:
        table_inputs,
    output:
        expand(f"{ROOT}/tables/{{{{table}}}}.{{suffix}}", suffix=TABLE_SUFFIXES),
    params:
        settings=settings(
            "world", "seed", "datasets", "variants", "training_seeds", "body", "detector", "features", "evaluation"
        ),
    log:
        f"{ROOT}/logs/table/{{table}}.log",
    conda:
        "../../envs/evaluation.yaml"
    shell:
        "moviestrip table {wildcards.table} --run {ROOT} --settings {params.settings:q} 2> {log}"
