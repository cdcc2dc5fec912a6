# What variants and baselines say of frames they have not seen, for PHD's tables and HMMR's fifth.
from moviestrip.papers.forecasts import forecasts_of
from moviestrip.papers.worlds import BASELINES


def forecast_files(kind, tables):
    """Files of one kind for every row, seed and dataset of which some tables print forecasts."""
    wanted = forecasts_of(
        tables, CONFIG.world, TEST_DATASETS, VARIANTS, CONFIG.training_seeds
    )
    return [str(getattr(RUN, kind)(*each)) for each in wanted]


def forecast_settings(*keys):
    """As `settings`, with the variant that is behind a row; the oracle has none."""

    def of(wildcards):
        behind = BASELINES.get(wildcards.row, wildcards.row)
        return WHOLE.of(None, behind).subset((*keys, *(["variant"] if behind else [])))

    return of


def forecast_inputs(wildcards):
    """What a row's forecasts are made from: a model and features, a model's own forecasts, or labels alone."""
    row, seed, dataset = wildcards.row, wildcards.seed, wildcards.dataset
    behind = BASELINES.get(row, row)
    if behind is None:
        return []
    if row == "constant-hallucinated":
        return [str(RUN.forecasts(behind, seed, dataset))]
    weights = checkpoint_of(VARIANTS[behind].weights_of or behind, seed)
    return [weights, *all_features(BACKBONE_OF[behind], [dataset])]


rule forecast:
    input:
        forecast_inputs,
        body=f"{ROOT}/body.json",
        labels=lambda wildcards: all_labels([wildcards.dataset]),
    output:
        forecasts=f"{ROOT}/forecasts/{{row}}/seed-{{seed}}/{{dataset}}.parquet",
        scores=f"{ROOT}/forecast_scores/{{row}}/seed-{{seed}}/{{dataset}}.parquet",
    log:
        f"{ROOT}/logs/forecast/{{row}}/seed-{{seed}}/{{dataset}}.log",
    wildcard_constraints:
        row="|".join([*VARIANTS, *BASELINES]),
        dataset="|".join(DATASETS) or "-",
    conda:
        "../../envs/training.yaml"
    params:
        settings=forecast_settings(
            "world",
            "body",
            "compute.device",
            "features.backbone",
            "evaluation.protocol",
            "evaluation.dtw",
        ),
    shell:
        "moviestrip forecast {wildcards.row} {wildcards.seed} --dataset {wildcards.dataset} --score --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"
