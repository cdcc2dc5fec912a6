"""What copies of a clip's features are called: `CLIP~1` is jittered, `CLIP~o1` has objects pasted over it."""

from typing import TypeVar

import pandas as pd

COPY_MARK = "~"
OCCLUDED_MARK = f"{COPY_MARK}o"

Ids = TypeVar("Ids", str, pd.Series)


def jittered_id(clip_id: str, number: int) -> str:
    return f"{clip_id}{COPY_MARK}{number}"


def occluded_id(clip_id: str, number: int) -> str:
    return f"{clip_id}{OCCLUDED_MARK}{number}"


def is_occluded_copy(clip_id: str) -> bool:
    return OCCLUDED_MARK in clip_id


def source_of(clip_ids: Ids) -> Ids:
    """The clip that a copy was made of, itself for a clip; of one id or of a column of them."""
    if isinstance(clip_ids, str):
        return clip_ids.split(COPY_MARK)[0]
    return clip_ids.str.split(COPY_MARK).str[0]
