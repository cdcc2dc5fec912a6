"""The funnel of curation: how many clips each filter leaves, so that nobody has to wonder where the data went."""

from collections.abc import Mapping

import pandas as pd

from moviestrip.figures.draw import SERIES
from moviestrip.figures.svg import drawing, to_svg


def funnel_figure(funnels: Mapping[str, pd.DataFrame], name: str = "funnel") -> str:
    """SVG of the clips left after each stage, one colour a dataset; `funnels` maps it to (stage, clips, frames) rows.

    Stages keep the order of their first appearance; a dataset without a stage passes it unchanged.
    """
    stages = list(dict.fromkeys(stage for funnel in funnels.values() for stage in funnel.stage))
    clips, frames = (pd.DataFrame(_filled(funnels, stages, column)) for column in ("clips", "frames"))
    with drawing(9.2, 0.9 + 0.42 * len(stages)) as (figure, (axis,)):
        left = pd.Series(0.0, index=clips.index)
        for position, dataset in enumerate(clips.columns):
            axis.barh(
                range(len(stages)), clips[dataset], left=left, height=0.68, label=dataset,
                color=SERIES[position % len(SERIES)], alpha=1.0 if position < len(SERIES) else 0.55,
            )  # fmt: skip
            left += clips[dataset]
        for row, stage in enumerate(stages):
            total, kept = (int(table.loc[stage].to_numpy().sum()) for table in (clips, frames))
            text = f"{total:,} clips · {kept:,} frames"
            axis.annotate(text, (total, row), (6, 0), textcoords="offset points", va="center")
        axis.set_yticks(range(len(stages)), [stage.replace("_", " ") for stage in stages])
        axis.set_xlim(0, max(1.0, 1.32 * float(left.max()) if stages else 1.0))
        axis.invert_yaxis()
        axis.grid(visible=False)
        axis.set_xlabel("clips")
        if len(funnels) > 0:
            figure.legend(loc="outside lower left", ncols=min(6, len(funnels)))
        return to_svg(figure, name, _description(clips, stages))


def _filled(funnels: Mapping[str, pd.DataFrame], stages: list[str], column: str) -> dict[str, pd.Series]:
    series = {
        dataset: funnel.drop_duplicates("stage").set_index("stage")[column] for dataset, funnel in funnels.items()
    }
    return {dataset: values.reindex(stages).ffill().fillna(0).astype(float) for dataset, values in series.items()}


def _description(clips: pd.DataFrame, stages: list[str]) -> str:
    steps = [f"{stage.replace('_', ' ')} {int(clips.loc[stage].to_numpy().sum())}" for stage in stages]
    return f"Clips left after each stage of curation: {', '.join(steps)}"
