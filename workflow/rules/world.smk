# The body, and the miniature world: motions, and videos with their truth.


rule body:
    output:
        f"{ROOT}/body.json",
    params:
        settings=settings("body", "seed"),
    log:
        f"{ROOT}/logs/body.log",
    conda:
        "../../envs/world.yaml"
    shell:
        "moviestrip body --run {ROOT} --settings {params.settings:q} 2> {log}"


rule motions:
    input:
        f"{ROOT}/body.json",
    output:
        f"{ROOT}/world/motions.parquet",
    params:
        settings=settings("body", "seed"),
    log:
        f"{ROOT}/logs/motions.log",
    conda:
        "../../envs/world.yaml"
    shell:
        "moviestrip motions --run {ROOT} --settings {params.settings:q} 2> {log}"


rule render:
    input:
        plan=f"{ROOT}/plan/{{dataset}}/{{shard}}.json",
        body=f"{ROOT}/body.json",
        motions=f"{ROOT}/world/motions.parquet",
    output:
        directory(f"{ROOT}/world/{{dataset}}/{{shard}}"),
    params:
        settings=settings("body"),
    log:
        f"{ROOT}/logs/render/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/world.yaml"
    shell:
        "moviestrip render {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"
