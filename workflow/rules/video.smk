# Videos: fetched and checked, people detected in them, detections linked into tracks within each shot.


# How politely hosts are asked changes no result: it is handed over beside the settings that reruns depend on.
FETCHING = WHOLE.subset(("fetch",))


POLICY = [
    f"fetch.{key}"
    for key in (
        "terms_accepted",
        "robots",
        "private_addresses",
        "maximum_megabytes",
        "maximum_seconds",
    )
]


def fetch_settings(wildcards):
    """Of videos on the internet, also what decides which are taken."""
    is_linked = DATASETS[wildcards.dataset].source.kind == "links"
    return settings("dataset", *(POLICY if is_linked else ()))(wildcards)


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
    resources:
        runtime=shard_minutes("fetch"),
    params:
        settings=fetch_settings,
        unfinished=unfinished,
    shell:
        "moviestrip fetch {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q}"
        " --fetching {FETCHING:q} 2> {log}"


rule detect:
    input:
        f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
    output:
        detections=f"{ROOT}/detections/{{dataset}}/{{shard}}.parquet",
        answers=f"{ROOT}/answers/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/detect/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    threads: CONFIG.detector.processes
    resources:
        runtime=shard_minutes("detect"),
        disk_mb=shard_images_mb,
    params:
        settings=settings("dataset", "detector"),
    shell:
        "moviestrip detect {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule shots:
    input:
        f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
    output:
        f"{ROOT}/shots/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/shots/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    resources:
        runtime=shard_minutes("shots"),
    params:
        settings=settings("shots"),
    shell:
        "moviestrip shots {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule track:
    input:
        detections=f"{ROOT}/detections/{{dataset}}/{{shard}}.parquet",
        shots=f"{ROOT}/shots/{{dataset}}/{{shard}}.parquet",
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
