"""What the notes under plots say alike: where numbers come from, of how many clips, and how sure they are."""

import pandas as pd

from moviestrip.papers.worlds import PAPER_DATASETS, Setting, stand_in


def where(setting: Setting, *datasets: str) -> str:
    """The world and the datasets: 'Miniature world: street plays 3DPW'."""
    played = {stand_in(paper, setting.world): known.title for paper, known in PAPER_DATASETS.items()}
    if setting.world != "miniature":
        return ", ".join(played.get(name, name) for name in datasets)
    return "Miniature world: " + ", ".join(f"{name} plays {played.get(name, 'no dataset')}" for name in datasets)


def counted(means: pd.DataFrame, moments: str = "frames") -> str:
    """Clips, frames and seeds of `means_of`: '6 test clips, 276 to 288 frames, 1 training seed'.

    Args:
        moments: what its `frames` are.
    """
    clips, frames = (_span(means[column]) for column in ("clips", "frames"))
    return f"{clips} test clips, {frames} {moments}, {seeds(int(means['seeds'].max()))}"


def seeds(count: int) -> str:
    return f"{count} training seed{'s' if count > 1 else ''}"


def certainty(setting: Setting, resampled: str = "clips and seeds") -> str:
    """What an interval is."""
    return (
        f"{setting.interval_percent:g} % intervals of {setting.bootstrap_samples:,} bootstrap resamples of {resampled}"
    )


def _span(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
