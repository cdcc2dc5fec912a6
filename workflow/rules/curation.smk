# Clips: candidates with what every filter measured, and the labels of every frame.


rule annotate:
    input:
        plan=f"{ROOT}/plan/{{dataset}}/{{shard}}.json",
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        body=f"{ROOT}/body.json",
    output:
        f"{ROOT}/annotations/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/annotate/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("dataset", "body"),
    shell:
        "moviestrip annotate {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule curate:
    input:
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        people=truth_or_tracks,
    output:
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        attributes=f"{ROOT}/attributes/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/curate/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("dataset", "curation"),
    shell:
        "moviestrip curate {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule label:
    input:
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        attributes=f"{ROOT}/attributes/{{dataset}}/{{shard}}.parquet",
        people=truth_or_tracks,
    output:
        f"{ROOT}/labels/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/label/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("dataset", "curation"),
    shell:
        "moviestrip label {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"
