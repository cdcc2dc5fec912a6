"""How many different motions and people are there, and is nobody and nothing in two splits?"""

from collections.abc import Iterator, Mapping

import pandas as pd

from moviestrip.evaluation.findings import Band, Finding, counted

ENOUGH_SOURCES = Band("30 or more", above=29.5)
NONE_SHARED = Band("0", below=0.5)


def diversity(sources: pd.DataFrame, seen: Mapping[str, pd.DataFrame]) -> Iterator[Finding]:
    """Distinct motions that exist and that were filmed, and what splits share.

    Args:
        sources: a row a source motion: motion_id, family, split.
        seen: of each dataset, a row a person of a video: video_id, split, subject, motion_id.
    """
    by_split = sources.groupby("split")["motion_id"].nunique()
    families = sources.groupby("split")["family"].nunique()
    note = "; ".join(f"{split}: {by_split[split]} of {families[split]} families" for split in by_split.index)
    question = "How many source motions may training show?"
    yield counted("motions-train", question, int(by_split.get("train", 0)), "motions", ENOUGH_SOURCES, 0, note)
    people = pd.concat([rows.assign(dataset=name) for name, rows in seen.items()], ignore_index=True)
    filmed = people.groupby("split")["motion_id"].nunique()
    note = ", ".join(f"{split}: {count}" for split, count in filmed.items())
    question = "How many of them do training videos show?"
    videos = people["video_id"].nunique()
    train = int(filmed.get("train", 0))
    yield counted("motions-filmed", question, train, "motions", ENOUGH_SOURCES, videos, f"{note}; videos, not clips")
    for column, what in (("motion_id", "motions"), ("subject", "people")):
        splits = people[people[column] != ""].groupby(column)["split"].nunique()
        question = f"How many {what} are in two splits?"
        note = f"of {len(splits)}, passers-by among them; videos, not clips"
        yield counted(f"shared-{what}", question, int((splits > 1).sum()), what, NONE_SHARED, videos, note)
