"""Which videos belong to which shard, decided once and written down.

A shard is the unit of work: 28,000 videos become a few hundred jobs. A planned shard is never rewritten
while its videos are still wanted, so adding videos appends shards and reruns nothing; a shard that
holds a video which is no longer wanted, or is wanted differently, is dissolved and planned anew.
A video that is to be forgotten is no longer wanted.
Results do not depend on the sharding: whoever joins shards sorts by clip. A shard holds what its stages get through in
`shards.minutes`; one of features that come ready, as many frames as fit well into memory.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from moviestrip.config import (
    DatasetSettings,
    FetchSettings,
    FolderSource,
    LinksSource,
    OfficialSource,
    PackageSource,
    PreparedSource,
    RenderedSource,
    ShardSettings,
    WorldSettings,
)
from moviestrip.datasets.durations import videos_a_shard
from moviestrip.datasets.links import linked_videos, videos_in
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.storage import write_json
from moviestrip.video.fetch import source_in_package, video_id_of
from moviestrip.world.plan import plan_videos

FRAMES_A_SHARD = 2**15  # of imported features: 268 MB of 2,048 numbers


def wanted_videos(name: str, dataset: DatasetSettings, rendering: WorldSettings, seed: int) -> list[dict[str, Any]]:
    """Every video of a dataset as a plain mapping with `video_id` and `source`, in a stable order."""
    source = dataset.source
    match source:
        case RenderedSource():
            specs = plan_videos(name, dataset, rendering, seed)
            return [{"source": f"rendered:{spec.video_id}", **spec.model_dump(mode="json")} for spec in specs]
        case PackageSource():
            places = [(source_in_package(source.requirement, file.path), file.path) for file in source.files]
        case FolderSource():
            key = f"config/datasets/{name}.yaml: source.path"
            places = [(str(file), str(file)) for file in videos_in(source.path, key)]
        case LinksSource():
            return linked_videos(name, dataset)
        case OfficialSource():
            from moviestrip.datasets.official.annotate import open_release, planned_videos  # torch takes seconds

            return planned_videos(open_release(name, dataset), dataset)
        case PreparedSource():
            from moviestrip.datasets.prepared.planned import planned_features

            return planned_features(name, dataset)
    return [
        {"video_id": video_id_of(place), "source": place, "file": file, "split": dataset.split or "train"}
        for place, file in places
    ]


def plan_shards(
    run: RunFolder,
    name: str,
    dataset: DatasetSettings,
    rendering: WorldSettings,
    seed: int,
    fetching: FetchSettings | None = None,
    forgotten: frozenset[str] = frozenset(),
    shards: ShardSettings | None = None,
) -> list[str]:
    """Write the shard files that are missing, remove the ones that no longer hold, and name all of them."""
    videos = wanted_videos(name, dataset, rendering, seed)
    wanted = {video["video_id"]: video for video in videos if video["video_id"] not in forgotten}
    kept, planned = [], set()
    for shard in run.shards(name):
        path = run.plan(name, shard)
        videos = json.loads(path.read_text())["videos"]
        if all(wanted.get(video["video_id"]) == video for video in videos):
            kept.append(shard)
            planned |= {video["video_id"] for video in videos}
        else:
            path.unlink()
    fresh = [video for video in wanted.values() if video["video_id"] not in planned]
    if isinstance(dataset.source, PreparedSource):
        size = len(fresh)  # their frames are known, and counted
    else:
        size = videos_a_shard(name, dataset, rendering, fetching or FetchSettings(), shards or ShardSettings())
    return sorted(kept + _write_shards(run, name, _parts(fresh, size), kept))


def _parts(videos: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Videos one after another, at most `size` together; where their frames are known, until there are enough."""
    part: list[dict[str, Any]] = []
    frames = 0
    for video in videos:
        full = frames >= FRAMES_A_SHARD if "frames" in video else len(part) == size
        if full:
            yield part
            part, frames = [], 0
        part.append(video)
        frames += video.get("frames", 0)
    if part:
        yield part


def _write_shards(run: RunFolder, name: str, parts: Iterator[list[dict[str, Any]]], taken: Sequence[str]) -> list[str]:
    first = 1 + max((int(shard.rsplit("-", 1)[1]) for shard in taken), default=-1)
    shards = []
    for number, videos in enumerate(parts, first):
        shard = f"{name}-{number:04d}"
        write_json(run.plan(name, shard), {"dataset": name, "shard": shard, "videos": videos})
        shards.append(shard)
    return shards


def read_shard(run: RunFolder, dataset: str, shard: str) -> dict[str, Any]:
    path = run.plan(dataset, shard)
    if not path.is_file():
        known = ", ".join(run.shards(dataset)) or "none; run `moviestrip plan` first"
        raise ConfigError(f"{path}: there is no such shard; planned for {dataset}: {known}")
    return json.loads(path.read_text())
