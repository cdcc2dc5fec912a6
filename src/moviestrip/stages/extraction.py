"""phi of every frame."""

from moviestrip import tables
from moviestrip.config import FeatureSettings
from moviestrip.stages.job import Job, selected_in_shard
from moviestrip.storage import write_features
from moviestrip.tables import read_table


def features(job: Job, dataset: str, shard: str, occluded: bool = False, held_out_only: bool = False) -> None:
    """Compute phi for every frame of the clips that are used, or of occluded copies of those to train on.

    Args:
        held_out_only: leave out what could be trained on, where no model that reads these features does.
    """
    from moviestrip.features.backbones import load_backbone
    from moviestrip.features.extraction import extract_occluded, extract_shard
    from moviestrip.features.occlusion import occluders_of

    settings, seed = job.settings.section(FeatureSettings), job.settings.value("seed")
    clips, inputs = selected_in_shard(job, dataset, shard)
    if held_out_only:
        clips = clips[clips["split"] != "train"]
    inputs |= {"videos": job.run.videos(dataset, shard), "labels": job.run.labels(dataset, shard)}
    backbone = load_backbone(settings.backbone, settings.checkpoints.get(settings.backbone), seed)
    frames_of = job.frames_of(read_table(inputs["videos"], tables.VIDEOS))
    labels = read_table(inputs["labels"], tables.LABELS)
    if occluded:
        inputs |= {"occluders": settings.occluder_folder} if settings.occluder_folder else {}
        occluders = occluders_of(settings, seed)
        phi, index, crops = extract_occluded(frames_of, clips, labels, backbone, settings, occluders, seed)
    else:
        phi, index, crops = extract_shard(frames_of, clips, labels, backbone, settings, seed)
    attributes = {"backbone": backbone.name, "dimension": backbone.dimension, "backbone_sha256": backbone.digest}
    files = job.run.features(backbone.name, dataset, shard, occluded)
    write_features(files.phi, phi, attributes)
    job.record(files.phi, "features", inputs)
    job.save(files.index, index, tables.FEATURE_INDEX, inputs)
    job.save(files.crops, crops, tables.CROPS, inputs)
