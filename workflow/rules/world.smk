# The body, and the miniature world: motions, and videos with their truth.


rule body:
    output:
        f"{ROOT}/body.json",
    log:
        f"{ROOT}/logs/body.log",
    localrule: True
    conda:
        "../../envs/world.yaml"
    params:
        settings=settings("body", "seed"),
    shell:
        "moviestrip body --run {ROOT} --settings {params.settings:q} 2> {log}"


rule motions:
    input:
        f"{ROOT}/body.json",
    output:
        f"{ROOT}/world/motions.parquet",
    log:
        f"{ROOT}/logs/motions.log",
    conda:
        "../../envs/world.yaml"
    params:
        settings=settings("body", "motions", "seed"),
    shell:
        "moviestrip motions --run {ROOT} --settings {params.settings:q} 2> {log}"


rule render:
    input:
        plan=f"{ROOT}/plan/{{dataset}}/{{shard}}.json",
        body=f"{ROOT}/body.json",
        motions=f"{ROOT}/world/motions.parquet",
    output:
        directory(f"{ROOT}/world/{{dataset}}/{{shard}}"),
    log:
        f"{ROOT}/logs/render/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/world.yaml"
    resources:
        runtime=shard_minutes("render"),
    params:
        settings=settings("body"),
    shell:
        "moviestrip render {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"
