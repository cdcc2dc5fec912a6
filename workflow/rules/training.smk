# Models, one a variant and seed, and their predictions. A variant with `weights_of` predicts with another's model.


def checkpoint_of(name, seed):
    return f"{ROOT}/models/{name}/seed-{seed}/checkpoint.pt"


def start_checkpoint(wildcards):
    start = VARIANTS[wildcards.variant].start_from
    return [checkpoint_of(start, wildcards.seed)] if start else []


def real_motions(wildcards):
    """What a motion discriminator takes for real."""
    judged = VARIANTS[wildcards.variant].motion_discriminator is not None
    return [str(RUN.motions)] if judged else []


def prior_checkpoint(wildcards):
    prior = VARIANTS[wildcards.variant].motion_prior
    return [checkpoint_of(prior, wildcards.seed)] if prior else []


def predicting_checkpoint(wildcards):
    name = VARIANTS[wildcards.variant].weights_of or wildcards.variant
    return checkpoint_of(name, wildcards.seed)


def learning_files(kind):
    return lambda wildcards: shard_files(kind, trained_on(wildcards.variant))


# One training in several processes: one a GPU, or cores of a CPU.
TOGETHER = (
    f"torchrun --standalone --nproc-per-node {CONFIG.compute.processes} --no-python "
    if CONFIG.compute.processes > 1
    else ""
)


rule motion_prior:
    input:
        body=f"{ROOT}/body.json",
        motions=f"{ROOT}/world/motions.parquet",
    output:
        checkpoint=f"{ROOT}/models/{{prior}}/seed-{{seed}}/checkpoint.pt",
        log=f"{ROOT}/models/{{prior}}/seed-{{seed}}/log.parquet",
        reconstruction=f"{ROOT}/models/{{prior}}/seed-{{seed}}/reconstruction.csv",
        scores=f"{ROOT}/scores/{{prior}}/seed-{{seed}}/motions.parquet",
    log:
        f"{ROOT}/logs/motion_prior/{{prior}}/seed-{{seed}}.log",
    wildcard_constraints:
        prior="mposer|vposer",
    conda:
        "../../envs/training.yaml"
    params:
        settings=settings(
            "motion_prior",
            "scale.width",
            "body",
            "seed",
            "evaluation.bootstrap_samples",
            "evaluation.interval_percent",
        ),
    shell:
        "moviestrip motion-prior {wildcards.prior} {wildcards.seed} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


rule train:
    input:
        body=f"{ROOT}/body.json",
        start=start_checkpoint,
        motions=real_motions,
        prior=prior_checkpoint,
        clips=learning_files("clips"),
        attributes=learning_files("attributes"),
        labels=learning_files("labels"),
        features=lambda wildcards: learning_features(wildcards.variant),
    output:
        checkpoint=f"{ROOT}/models/{{variant}}/seed-{{seed}}/checkpoint.pt",
        log=f"{ROOT}/models/{{variant}}/seed-{{seed}}/log.parquet",
    log:
        f"{ROOT}/logs/train/{{variant}}/seed-{{seed}}.log",
    wildcard_constraints:
        variant="|".join(TRAINED) or "-",
    conda:
        "../../envs/training.yaml"
    threads: CONFIG.compute.processes
    params:
        settings=settings(
            "variant", "scale", "body", "seed", "compute", "features.backbone"
        ),
        datasets=lambda wildcards: " ".join(
            f"--dataset {name}" for name in trained_on(wildcards.variant)
        ),
        together=TOGETHER,
    shell:
        "{params.together}moviestrip train {wildcards.variant} {wildcards.seed} {params.datasets} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"


rule predict:
    input:
        body=f"{ROOT}/body.json",
        checkpoint=predicting_checkpoint,
        clips=shard_files("clips", TEST_DATASETS),
        verdicts=verdicts(TEST_DATASETS),
        labels=shard_files("labels", TEST_DATASETS),
        features=lambda wildcards: scored_features(wildcards.variant),
    output:
        for_each_scored("predictions"),
    log:
        f"{ROOT}/logs/predict/{{variant}}/seed-{{seed}}.log",
    conda:
        "../../envs/training.yaml"
    params:
        settings=settings(
            "variant",
            "body",
            "compute.device",
            "features.backbone",
            "evaluation.inference",
            "evaluation.protocol",
            "evaluation.gaussian_sigma_frames",
        ),
    shell:
        "moviestrip predict {wildcards.variant} {wildcards.seed} {SCORED} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"
