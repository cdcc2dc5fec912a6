"""What the real check says, in plain sentences made of its numbers."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from moviestrip.evaluation.real_check import BASELINE, DIFFERENCE, RANKS
from moviestrip.evaluation.real_videos import ALL_VIEWS, REFERENCE
from moviestrip.evaluation.reference import STATED_UNCERTAINTY_MM

GAINS = {"pa_mpjpe": "PA-MPJPE", "accel_error": "Acceleration error"}


def paragraphs(table: pd.DataFrame) -> list[str]:
    """One text a finding; none where the table lacks what it is made of."""
    found = []
    own = table[(table["variant"] == REFERENCE) & (table["view"] == ALL_VIEWS)]
    for dataset in own["dataset"].unique():
        said = {row.metric: row for row in own[own["dataset"] == dataset].itertuples()}
        models = table[(table["dataset"] == dataset) & (table["view"] == ALL_VIEWS) & (table["variant"] != REFERENCE)]
        found += [_of_reference(dataset, said), _of_errors(dataset, models, float(said["statue_pa_mpjpe"].value))]
    gains = [_of_gains(table, metric, name) for metric, name in GAINS.items()]
    ranks = [_of_rank(row) for row in table.itertuples() if str(row.metric).startswith(RANKS)]
    return [text for text in (*found, *gains, *ranks) if text]


def _of_reference(dataset: str, said: Mapping[str, Any]) -> str:
    low, high = STATED_UNCERTAINTY_MM
    return (
        f"{dataset}: {said['left_out'].note}. Its 3D reference is triangulated from detections, which is said to be "
        f"sure to {low:g}-{high:g} mm. Leaving out one camera moves a joint by {said['left_out'].value:.0f} mm in "
        f"the mean and {said['left_out_median'].value:.0f} mm in the median: some joints hang on one camera, and in "
        f"{said['sides_exchanged'].value:.0f} % of the pictures the detector takes left for right. "
        f"{said['confirmed_joints'].value:.0f} % of the joints are confirmed by every camera, and these move by "
        f"{said['left_out_confirmed'].value:.0f} mm."
    )


def _of_errors(dataset: str, models: pd.DataFrame, statue_mm: float) -> str:
    errors = models[models["metric"] == "pa_mpjpe"].sort_values("value")
    if errors.empty:
        return ""
    best, closer = errors.iloc[0], int((errors["high"] < statue_mm).sum())
    nearer = f"{closer or 'none'} of the models {'are' if closer > 1 else 'is'} closer than it"
    return (
        f"On {dataset}, PA-MPJPE of {len(errors)} models lies between {best['value']:.0f} mm ({best['title']}) and "
        f"{errors['value'].iloc[-1]:.0f} mm. A statue in the clip's mean pose, which sees the reference, has "
        f"{statue_mm:.0f} mm; {nearer} with intervals clear of that."
    )


def _of_gains(table: pd.DataFrame, metric: str, name: str) -> str:
    """Of what is gained on the baseline in the miniature world, how much is gained on real video."""
    rows = table[(table["metric"] == metric + DIFFERENCE) & (table["view"] == ALL_VIEWS)]
    real = {str(row.dataset) for row in table.itertuples() if row.variant == REFERENCE}
    ours, theirs = rows[~rows["dataset"].isin(real)], rows[rows["dataset"].isin(real)]
    if ours.empty or theirs.empty:
        return ""
    world = ours["dataset"].iloc[0]
    gained = set(ours.loc[(ours["dataset"] == world) & (ours["high"] < 0), "variant"])
    kept = theirs[theirs["variant"].isin(gained)]
    better, worse = int((kept["high"] < 0).sum()), int((kept["low"] > 0).sum())
    return (
        f"{name}: {len(gained)} models are better than {BASELINE} on {world}, with intervals clear of zero. On "
        f"{theirs['dataset'].iloc[0]}, {better} of these are better too, {worse} worse, {len(kept) - better - worse} "
        f"undecided."
    )


def _of_rank(row: Any) -> str:
    verdict = "carries over" if row.low > 0 else "is reversed" if row.high < 0 else "may or may not carry over"
    return f"The {row.note}: Spearman {row.value:.2f} [{row.low:.2f}, {row.high:.2f}], so the order {verdict}."
