# Per-frame features phi, one contiguous HDF5 file a shard.


rule features:
    input:
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        attributes=f"{ROOT}/attributes/{{dataset}}/{{shard}}.parquet",
        labels=f"{ROOT}/labels/{{dataset}}/{{shard}}.parquet",
    output:
        phi=f"{ROOT}/features/{{dataset}}/{{shard}}.h5",
        index=f"{ROOT}/features/{{dataset}}/{{shard}}.index.parquet",
        crops=f"{ROOT}/features/{{dataset}}/{{shard}}.crops.parquet",
    log:
        f"{ROOT}/logs/features/{{dataset}}/{{shard}}.log",
    priority: -1  # later than what the first table counts
    conda:
        "../../envs/features.yaml"
    params:
        settings=settings("features", "seed"),
    shell:
        "moviestrip features {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"
