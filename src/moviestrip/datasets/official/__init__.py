"""Adapters of the official releases, by the name that `source.release` gives them."""

from importlib import import_module

from moviestrip.datasets.official.base import People, Release, ReleasedVideo

__all__ = ["RELEASES", "People", "Release", "ReleasedVideo", "release_named"]

# Module and class of each, imported when needed.
RELEASES = {
    "h36m": ("h36m", "Human36M"),
    "3dpw": ("threedpw", "ThreeDPW"),
    "mpi-inf-3dhp": ("mpi_inf_3dhp", "MpiInf3dhp"),
    "penn-action": ("penn_action", "PennAction"),
    "posetrack18": ("posetrack", "PoseTrack18"),
    "nba": ("nba", "Nba"),
    "instavariety": ("instavariety", "InstaVariety"),
    "vlog-people": ("vlog_people", "VlogPeople"),
    "kinetics-400": ("kinetics", "Kinetics400"),
}


def release_named(name: str) -> type[Release]:
    module, class_name = RELEASES[name]
    return getattr(import_module(f"moviestrip.datasets.official.{module}"), class_name)
