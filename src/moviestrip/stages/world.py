"""The body and the miniature world: motions, and videos with their truth."""

import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import MotionSettings
from moviestrip.stages.job import Job
from moviestrip.storage import atomic_directory, write_json
from moviestrip.tables import read_table, write_table, write_table_in_parts

if TYPE_CHECKING:
    from moviestrip.body.load import Body
    from moviestrip.world.kinematics import RestSkeleton


def body(job: Job) -> None:
    """Build or find the body once, and write down which one it is."""
    found = job.body()
    job.settings.value("seed")
    write_json(job.run.body, {"name": found.name, "sha256": found.digest, "vertices": found.n_vertices})
    job.record(job.run.body, "body", {})


def _rest_skeleton(body: "Body") -> "RestSkeleton":
    from moviestrip.world.kinematics import RestSkeleton

    _, joints = body.forward(np.zeros(72, np.float32), np.zeros(10, np.float32))
    return RestSkeleton(joints.astype(np.float64), tuple(body.parents))


def motions(job: Job) -> None:
    """Collect every motion source: recorded clips, procedural families, and the motion capture that is given."""
    from moviestrip.world.motions import motion_to_rows, source_motions, split_of

    settings, seed = job.settings.section(MotionSettings), job.settings.value("seed")
    found = source_motions(_rest_skeleton(job.body()), seed, settings, lambda line: print(line, file=sys.stderr))
    parts = (motion_to_rows(motion, split_of(motion.motion_id)) for motion in found)
    write_table_in_parts(job.run.motions, parts, tables.MOTIONS)
    job.record(job.run.motions, tables.MOTIONS.name, {"body": job.run.body})


def render(job: Job, dataset: str, shard: str) -> None:
    """Make the shard's videos and write down the truth of every person in them."""
    from moviestrip.datasets.plan import read_shard
    from moviestrip.progress import track
    from moviestrip.world.motions import motions_from_table
    from moviestrip.world.plan import VideoSpec
    from moviestrip.world.render import render_video

    body = job.body()
    library = motions_from_table(read_table(job.run.motions, tables.MOTIONS), _rest_skeleton(body))
    specs = [VideoSpec.model_validate(video) for video in read_shard(job.run, dataset, shard)["videos"]]
    folder = job.run.rendered(dataset, shard)
    with atomic_directory(folder) as partial:
        truth = [
            render_video(spec, library, body, partial / f"{spec.video_id}.mp4")
            for spec in track(specs, f"render {shard}")
        ]
        write_table(partial / "truth.parquet", pd.concat(truth, ignore_index=True), tables.TRUTH)
    inputs = {"plan": job.run.plan(dataset, shard), "body": job.run.body, "motions": job.run.motions}
    job.record(folder, "render", inputs)
