# Per-frame features phi, one contiguous HDF5 file a shard and backbone; only those that a listed variant reads.


rule features:
    input:
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        verdicts=lambda wildcards: verdicts_on(wildcards.dataset, wildcards.shard),
        labels=f"{ROOT}/labels/{{dataset}}/{{shard}}.parquet",
    output:
        phi=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.h5",
        index=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.index.parquet",
        crops=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.crops.parquet",
    log:
        f"{ROOT}/logs/features/{{backbone}}/{{dataset}}/{{shard}}.log",
    priority: -1  # later than what the first table counts
    conda:
        "../../envs/features.yaml"
    params:
        settings=settings(
            "features.backbone",
            "features.checkpoints",
            "features.augmented_copies",
            "features.jitter_translation_px",
            "features.jitter_scale_octaves",
            "seed",
        ),
        clips=lambda wildcards: (
            " --held-out-only"
            if is_tested_on_only(wildcards.backbone, wildcards.dataset)
            else ""
        ),
    shell:
        "moviestrip features {wildcards.dataset} {wildcards.shard}{params.clips} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


rule occluded_features:
    input:
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        verdicts=lambda wildcards: verdicts_on(wildcards.dataset, wildcards.shard),
        labels=f"{ROOT}/labels/{{dataset}}/{{shard}}.parquet",
    output:
        phi=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.occluded.h5",
        index=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.occluded.index.parquet",
        crops=f"{ROOT}/features/{{backbone}}/{{dataset}}/{{shard}}.occluded.crops.parquet",
    log:
        f"{ROOT}/logs/occluded_features/{{backbone}}/{{dataset}}/{{shard}}.log",
    priority: -1  # later than what the first table counts
    conda:
        "../../envs/features.yaml"
    params:
        settings=settings(
            "features.backbone",
            "features.checkpoints",
            "features.occluded_copies",
            "features.occluder_folder",
            "seed",
        ),
    shell:
        "moviestrip features {wildcards.dataset} {wildcards.shard} --occluded --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


# As `all_labels`.
rule all_features:
    input:
        lambda wildcards: feature_files(
            wildcards.backbone, [wildcards.dataset], bool(wildcards.occluded)
        ),
    output:
        touch(f"{ROOT}/complete/features/{{backbone}}/{{dataset}}{{occluded}}.done"),
    wildcard_constraints:
        dataset="|".join(DATASETS) or "-",
        occluded=r"(\.occluded)?",
