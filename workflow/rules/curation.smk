# Clips: candidates with what every filter measured, in keypoints and in pictures, and the labels of every frame.


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
        shots=shots_of,
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


rule key_frames:
    input:
        videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
        tracks=f"{ROOT}/tracks/{{dataset}}/{{shard}}.parquet",
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
    output:
        f"{ROOT}/key_frames/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/key_frames/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    resources:
        runtime=shard_minutes("key_frames"),
    params:
        settings=settings("curation.key_frames", "curation.minimum_confidence"),
    shell:
        "moviestrip key-frames {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


def shard_before(wildcards):
    """Whatever an earlier shard holds is the original, so that videos added later change no verdict."""
    shards = SHARDS[wildcards.dataset]
    place = shards.index(wildcards.shard)
    return [str(RUN.originals(wildcards.dataset, shards[place - 1]))] if place else []


rule appearance:
    input:
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        attributes=f"{ROOT}/attributes/{{dataset}}/{{shard}}.parquet",
        key_frames=f"{ROOT}/key_frames/{{dataset}}/{{shard}}.parquet",
        before=shard_before,
    output:
        appearance=f"{ROOT}/appearance/{{dataset}}/{{shard}}.parquet",
        originals=f"{ROOT}/originals/{{dataset}}/{{shard}}.parquet",
    log:
        f"{ROOT}/logs/appearance/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/video.yaml"
    params:
        settings=settings("curation.minimum_sharpness", "curation.duplicate_bits"),
    shell:
        "moviestrip appearance {wildcards.dataset} {wildcards.shard} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule label:
    input:
        clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
        verdicts=lambda wildcards: verdicts_on(wildcards.dataset, wildcards.shard),
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


# Whoever reads a whole dataset names its mark, not the files of every shard: with hundreds of shards and dozens of
# models those lists would make most of the plan.
rule all_labels:
    input:
        clips=lambda wildcards: shard_files("clips", [wildcards.dataset]),
        verdicts=lambda wildcards: verdicts([wildcards.dataset]),
        labels=lambda wildcards: shard_files("labels", [wildcards.dataset]),
    output:
        touch(f"{ROOT}/complete/labels/{{dataset}}.done"),
    wildcard_constraints:
        dataset="|".join(DATASETS) or "-",
