# Models, one a variant and seed, their predictions and the scores of these. A variant with `weights_of` predicts with
# another's model.


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


def gpus(wildcards):
    """GPUs of all nodes together."""
    variant = VARIANTS[wildcards.variant]
    return variant.gpus * variant.nodes if CONFIG.compute.device != "cpu" else 0


def training_cores(wildcards):
    """Of one node: as many as processes share the training, whether it has GPUs or not."""
    of_cpu = CONFIG.compute.processes if CONFIG.compute.device != "cuda" else 1
    return max(of_cpu, gpus(wildcards) // VARIANTS[wildcards.variant].nodes)


def on_several_nodes(value):
    """What only a training on several nodes has."""

    def of(wildcards):
        nodes = VARIANTS[wildcards.variant].nodes
        return value(nodes) if nodes > 1 else None

    return of


def start_on_nodes(wildcards):
    """Slurm starts one launcher a node, each of which starts a process a GPU."""
    nodes = VARIANTS[wildcards.variant].nodes
    each = f"--ntasks-per-node=1 --cpus-per-task={training_cores(wildcards)}"
    return f"srun --nodes={nodes} {each} " if nodes > 1 else ""


def rendezvous(wildcards):
    """Where launchers meet: on the first node, at a port that no other job of it has."""
    place = '"$(hostname):$((20000 + SLURM_JOB_ID % 20000))"'
    return f" --rendezvous {place}" if VARIANTS[wildcards.variant].nodes > 1 else ""


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
        labels=lambda wildcards: all_labels(trained_on(wildcards.variant)),
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
    threads: training_cores
    resources:
        gpu=lambda wildcards: gpus(wildcards) or None,
        nodes=on_several_nodes(lambda nodes: nodes),
        tasks=on_several_nodes(lambda nodes: nodes),
        tasks_per_gpu=on_several_nodes(lambda nodes: 0),  # it is tasks a node
        mpi=on_several_nodes(lambda nodes: "srun"),  # Snakemake leaves spreading over nodes to the command
    params:
        settings=settings(
            "variant", "scale", "body", "seed", "compute", "features.backbone"
        ),
        datasets=lambda wildcards: " ".join(
            f"--dataset {name}" for name in trained_on(wildcards.variant)
        ),
        nodes=start_on_nodes,
        rendezvous=rendezvous,
    shell:
        # `exec`: a scheduler's request to stop reaches the training, and no shell dies of it meanwhile.
        "exec {params.nodes}moviestrip train {wildcards.variant} {wildcards.seed} {params.datasets} --run {ROOT}"
        " --settings {params.settings:q}{params.rendezvous} 2> {log}"


rule predict:
    input:
        body=f"{ROOT}/body.json",
        checkpoint=predicting_checkpoint,
        labels=all_labels(PREDICTED_DATASETS),
        features=lambda wildcards: predicted_features(wildcards.variant),
    output:
        predictions=for_each("predictions", PREDICTED_DATASETS),
        scores=for_each("scores", TEST_DATASETS),
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
            "evaluation.smoothing_metric",
            "evaluation.gaussian_sigma_frames",
            "evaluation.one_euro_minimum_cutoff_hz",
            "evaluation.one_euro_beta",
            *(f"dataset_settings.{name}" for name in TEST_DATASETS),
        ),
    shell:
        "moviestrip predict {wildcards.variant} {wildcards.seed} {PREDICTED} {SCORE} --run {ROOT}"
        " --settings {params.settings:q} 2> {log}"
