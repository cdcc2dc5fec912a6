# Pictures, and one page that holds everything.
from moviestrip.papers.figures import figure_files, figure_named, figures_of
from moviestrip.papers.worlds import Setting


report: "../report/workflow.rst"


SETTING = Setting.of(CONFIG)
DRAWN = figures_of(SETTING)


rule contact_sheet:
    input:
        labels=lambda wildcards: shard_files("labels", [wildcards.dataset]),
        clips=lambda wildcards: shard_files("clips", [wildcards.dataset]),
        verdicts=lambda wildcards: verdicts([wildcards.dataset]),
        videos=lambda wildcards: shard_files("videos", [wildcards.dataset]),
    output:
        f"{ROOT}/figures/datasets/{{dataset}}.png",
    log:
        f"{ROOT}/logs/contact_sheet/{{dataset}}.log",
    wildcard_constraints:
        dataset="|".join(DATASETS) or "-",
    priority: -1  # later than what the first table counts
    conda:
        "../../envs/report.yaml"
    shell:
        "moviestrip dataset sheet {wildcards.dataset} --run {ROOT} 2> {log}"


rule people_sheet:
    input:
        tracks=lambda wildcards: shard_files("tracks", [wildcards.dataset]),
        videos=lambda wildcards: shard_files("videos", [wildcards.dataset]),
    output:
        f"{ROOT}/figures/people/{{dataset}}.png",
    log:
        f"{ROOT}/logs/people_sheet/{{dataset}}.log",
    wildcard_constraints:
        dataset="|".join(TRACKED) or "-",
    priority: -1  # later than what the first table counts
    conda:
        "../../envs/report.yaml"
    shell:
        "moviestrip dataset sheet {wildcards.dataset} --people --run {ROOT} 2> {log}"


rule funnel:
    input:
        videos=shard_files("videos", DATASETS),
        clips=shard_files("clips", DATASETS),
        verdicts=verdicts(DATASETS),
        people=[
            file
            for kind in ("answers", "tracks")
            for file in shard_files(kind, TRACKED)
        ],
    output:
        funnel=f"{ROOT}/funnel.csv",
        cards=expand(f"{ROOT}/cards/{{dataset}}.md", dataset=DATASETS),
    log:
        f"{ROOT}/logs/funnel.log",
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(
            "dataset_settings",
            "fetch.contact",
            "fetch.downloads",
            "detector",
            "shots",
            "tracking",
            "curation",
        ),
    shell:
        "moviestrip funnel --run {ROOT} --settings {params.settings:q} 2> {log}"


rule overlays:
    input:
        body=f"{ROOT}/body.json",
        predictions=expand(
            f"{ROOT}/predictions/{{variant}}/seed-{CONFIG.training_seeds[0]}/{{dataset}}.parquet",
            variant=VARIANTS,
            dataset=TEST_DATASETS,
        ),
        labels=shard_files("labels", TEST_DATASETS),
        videos=shard_files("videos", TEST_DATASETS),
    output:
        directory(f"{ROOT}/figures/overlays"),
    log:
        f"{ROOT}/logs/overlays.log",
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings("body", "report", "variants", "training_seeds"),
    shell:
        "moviestrip overlays {SCORED} --run {ROOT} --settings {params.settings:q} 2> {log}"


def figure_inputs(wildcards):
    """What `papers.figures` says a figure is drawn from."""
    figure = figure_named(wildcards.figure)
    return [str(path) for path in figure_files(figure, SETTING, RUN, VARIANTS).values()]


rule figure:
    input:
        figure_inputs,
    output:
        directory(f"{ROOT}/figures/papers/{{figure}}"),
    log:
        f"{ROOT}/logs/figure/{{figure}}.log",
    wildcard_constraints:
        figure="|".join(DRAWN) or "-",
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(*TABLE_SETTINGS, "variant_settings"),
    shell:
        "moviestrip figure {wildcards.figure} --run {ROOT} --settings {params.settings:q} 2> {log}"


rule report:
    input:
        tables=expand(f"{ROOT}/tables/{{table}}.html", table=CONFIG.tables),
        claims=f"{ROOT}/claims.csv",
        smoothing=SMOOTHING,
        difficulty=(
            [str(RUN.difficulty), str(RUN.difficulty_figures)]
            if any(map(is_rendered, DATASETS))
            else []
        ),
        real=[str(RUN.real_check), str(RUN.real_pictures)] if REAL_DATASETS else [],
        funnel=f"{ROOT}/funnel.csv",
        logs=expand(
            f"{ROOT}/models/{{variant}}/seed-{{seed}}/log.parquet",
            variant=TRAINED,
            seed=CONFIG.training_seeds,
        ),
        verdicts=verdicts(DATASETS),
        sheets=expand(f"{ROOT}/figures/datasets/{{dataset}}.png", dataset=DATASETS),
        people=expand(f"{ROOT}/figures/people/{{dataset}}.png", dataset=TRACKED),
        overlays=f"{ROOT}/figures/overlays",
        figures=expand(f"{ROOT}/figures/papers/{{figure}}", figure=DRAWN),
    output:
        report(
            f"{ROOT}/report/index.html",
            caption="../report/index.rst",
            category="Report",
            labels={"world": CONFIG.world},
        ),
    log:
        f"{ROOT}/logs/report.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(
            *type(CONFIG).model_fields, "dataset_settings", "variant_settings"
        ),
    shell:
        "moviestrip report --run {ROOT} --settings {params.settings:q} 2> {log}"
