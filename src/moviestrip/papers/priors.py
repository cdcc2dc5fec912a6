"""What motion priors make of motions they have not seen, as scores that a claim can be judged by."""

import pandas as pd

from moviestrip.papers.protocols import PROTOCOL_OF_MOTIONS
from moviestrip.papers.worlds import MOTIONS
from moviestrip.tables import SCORES


def reconstruction_scores(errors: pd.DataFrame, name: str, seed: int) -> pd.DataFrame:
    """SCORES of a prior from its error on each motion: a motion is a clip, and a group of its own.

    Args:
        errors: motion_id, frames, pve_mm, a row a motion.
    """
    named = errors.rename(columns={"motion_id": "clip_id", "pve_mm": "value"})
    scores = named.assign(
        variant=name, seed=seed, protocol=PROTOCOL_OF_MOTIONS, dataset=MOTIONS, group=errors["motion_id"], action="",
        metric="pve", condition="all", horizon=0, dtw=False, unit="mm", degenerate_frames=0,
    )  # fmt: skip
    return scores[[column.name for column in SCORES.columns]]
