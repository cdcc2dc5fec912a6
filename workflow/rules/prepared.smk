# Datasets that come with features and labels, and without pictures: one rule in the place of six.


def prepared_with(backbone):
    return [name for name in PREPARED if DATASETS[name].source.backbone == backbone]


def prepared_files(wildcards):
    """The user's own files behind a shard."""
    videos = read_shard(RUN, wildcards.dataset, wildcards.shard)["videos"]
    return sorted({video["file"] for video in videos})


for backbone in sorted({DATASETS[name].source.backbone for name in PREPARED}):

    rule:
        name:
            f"import_features_of_{backbone.replace('-', '_')}"
        input:
            plan=f"{ROOT}/plan/{{dataset}}/{{shard}}.json",
            files=prepared_files,
        output:
            videos=f"{ROOT}/videos/{{dataset}}/{{shard}}.parquet",
            clips=f"{ROOT}/clips/{{dataset}}/{{shard}}.parquet",
            attributes=f"{ROOT}/attributes/{{dataset}}/{{shard}}.parquet",
            labels=f"{ROOT}/labels/{{dataset}}/{{shard}}.parquet",
            phi=f"{ROOT}/features/{backbone}/{{dataset}}/{{shard}}.h5",
            index=f"{ROOT}/features/{backbone}/{{dataset}}/{{shard}}.index.parquet",
            crops=f"{ROOT}/features/{backbone}/{{dataset}}/{{shard}}.crops.parquet",
        log:
            f"{ROOT}/logs/import_features/{{dataset}}/{{shard}}.log",
        wildcard_constraints:
            dataset="|".join(prepared_with(backbone)),
        conda:
            "../../envs/features.yaml"
        params:
            settings=settings("dataset", "curation"),
        shell:
            "moviestrip import-features {wildcards.dataset} {wildcards.shard} --run {ROOT}"
            " --settings {params.settings:q} 2> {log}"
