# moviestrip: from videos to the papers' tables. The rules only wire files together; each calls one stage
# of the command line. `snakemake -n` shows what would run, `moviestrip why FILE` how a file came to be.
configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/world.smk"
include: "workflow/rules/video.smk"
include: "workflow/rules/curation.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/prepared.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/forecasting.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(
            f"{ROOT}/tables/{{table}}.{{suffix}}",
            table=CONFIG.tables,
            suffix=TABLE_SUFFIXES,
        ),
        f"{ROOT}/report/index.html",
        SMOOTHING,
        EVERYTHING,  # so that a file deleted in the middle is made again
