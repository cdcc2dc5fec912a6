"""Datasets that need a module of their own, by name; every other one is the plain `Dataset`."""

from moviestrip.config import DatasetSettings
from moviestrip.datasets.base import Dataset
from moviestrip.datasets.pose2sim import CalibratedCameras

MODULES: dict[str, type[Dataset]] = {"pose2sim": CalibratedCameras}


def dataset_named(name: str, settings: DatasetSettings) -> Dataset:
    """The dataset of that name, ready to make its tables."""
    return MODULES.get(name, Dataset)(name, settings)
