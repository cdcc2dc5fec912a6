# Videos: fetched and checked, people detected in them, detections linked into tracks.


rule fetch:
    input:
        plan=f"{ROOT}/plan/{{dataset}}/{{shard}}.json",
        rendered=lambda wildcards: (
            [f"{ROOT}/world/{wildcards.dataset}/{wildcards.shard}"]
            if is_rendered(wildcards.dataset)
            else []
        ),
    output:
        f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/fetch/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("dataset"),
    shell:
        "moviestrip fetch {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule detect:
    input:
        f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
    output:
        f"{ROOT}/detections/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/detect/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("dataset", "detector"),
    shell:
        "moviestrip detect {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule track:
    input:
        f"{ROOT}/detections/{{dataset}}/{{shard}}.parquet",
    output:
        f"{ROOT}/tracks/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/track/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("tracking"),
    shell:
        "moviestrip track {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"
