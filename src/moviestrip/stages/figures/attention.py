"""What TCMR's integration attends to, in the slowest and in the fastest test clip, and whether it follows speed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from moviestrip.figures.drawn import Drawn
from moviestrip.figures.time_series import AttendedClip, attention_plot, correlation
from moviestrip.papers.figures import PaperFigure
from moviestrip.papers.worlds import Setting
from moviestrip.stages.figures.moving import MovingClip, moving_clips
from moviestrip.stages.figures.notes import certainty, where
from moviestrip.stages.job import Job, feature_files

PARTS = ("past", "current", "future")  # `current` is what the whole window says of its middle frame
PAPERS_RANGE_PERCENT = 20.0  # TCMR, supplementary section 9: each value varies by this much

Attention = Float[np.ndarray, "frames 3"]


def draw_attention(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    (dataset,), (row,) = figure.datasets_in(setting), figure.rows_in(setting)
    clips = moving_clips(job, dataset)
    by_seed = {seed: _attention(job, row, seed, dataset, clips, setting) for seed in setting.seeds}
    first = setting.seeds[0]
    shown = [clips[0], clips[-1]] if len(clips) > 1 else clips
    svg = attention_plot([_attended(clip, by_seed[first][clip.clip_id]) for clip in shown])
    summary = pd.concat([_summary(found, clips, seed, setting) for seed, found in by_seed.items()], ignore_index=True)
    frames = sum(len(clip.frames) for clip in clips)
    texts = [
        where(setting, dataset),
        f"{row}, training seed {first}, in the test clips whose true joints move slowest and fastest, hips held in "
        f"place: {' and '.join(f'{clip.title} (clip {clip.clip_id})' for clip in shown)}",
        "current is the weight of what the whole window says of its middle frame; grey: transient occlusion or blur",
        f"over all {len(clips)} test clips known in 3D, {frames} frames: "
        + ", ".join(_range_text(part) for part in _of_seed(summary, first)),
        _as_in_the_paper(summary[summary["seed"] == first]),
        "correlation with the speed: "
        + ", ".join(
            f"{part.part} {part.correlation:+.2f} [{part.low:+.2f}, {part.high:+.2f}]"
            for part in _of_seed(summary, first)
        )
        + f" ({certainty(setting, 'clips')})",
    ]
    data = _data([_rows(clip, by_seed[first][clip.clip_id], first) for clip in clips], summary)
    return Drawn(svg, "; ".join(text for text in texts if text) + ".", data)


def _attention(
    job: Job, row: str, seed: int, dataset: str, clips: Sequence[MovingClip], setting: Setting
) -> dict[str, Attention]:
    """Of every frame of some clips, by clip."""
    from moviestrip.training.data import read_clips
    from moviestrip.training.inference import FRAMES_AT_ONCE, read_windows, windows_of
    from moviestrip.training.predict import checkpoint_for

    variant = job.settings.variants()[row]
    files = feature_files(job, [dataset], variant.backbone or setting.backbone)
    features = read_clips(files, [clip.clip_id for clip in clips], copies=False)
    model = checkpoint_for(job.run.checkpoint(variant.weights_of or row, seed), features).model()
    found = {}
    with torch.inference_mode():
        for clip in features.clips:
            phi = features.phi[features.rows_of(clip)]
            windows = windows_of(model.design, len(phi), "whole", FRAMES_AT_ONCE)
            found[clip.clip_id] = read_windows(model.attention, model, phi, windows, FRAMES_AT_ONCE).numpy()
    return found


def _attended(clip: MovingClip, attention: Attention) -> AttendedClip:
    parts = dict(zip(PARTS, attention.T, strict=True))
    return AttendedClip(clip.title, clip.frames, parts, clip.speed_m_per_s, clip.spans)


def _summary(found: Mapping[str, Attention], clips: list[MovingClip], seed: int, setting: Setting) -> pd.DataFrame:
    """Of each part over all frames: its mean, its range, and how it goes with the speed of the person."""
    rows = []
    for position, part in enumerate(PARTS):
        series = [found[clip.clip_id][:, position] for clip in clips]
        values = np.concatenate(series).astype(np.float64)
        ends = correlation(
            series,
            [clip.speed_m_per_s for clip in clips],
            [clip.group for clip in clips],
            setting.bootstrap_samples,
            setting.interval_percent,
            setting.seed,
        )
        described = {"mean_attention": values.mean(), "least": values.min(), "most": values.max()}
        rows.append(
            {"seed": seed, "part": part, **described, "correlation": ends.mean, "low": ends.low, "high": ends.high}
        )
    return pd.DataFrame(rows)


def _of_seed(summary: pd.DataFrame, seed: int) -> list:
    return list(summary[summary["seed"] == seed].itertuples())


def _range_text(part) -> str:
    return f"{part.part} {part.mean_attention:.3f} ({part.least:.3f} to {part.most:.3f})"


def _as_in_the_paper(summary: pd.DataFrame) -> str:
    """Whether past and future outweigh the current frame and vary by 20 %, as TCMR says of its own."""
    mean = summary.set_index("part")["mean_attention"]
    outweigh = [part for part in ("past", "future") if mean[part] > mean["current"]]
    away = np.maximum(summary["most"] - summary["mean_attention"], summary["mean_attention"] - summary["least"])
    percent = float((away / summary["mean_attention"]).max()) * 100
    weights = {
        0: "neither past nor future outweighs the current",
        1: f"only the {''.join(outweigh)} outweighs the current",
        2: "past and future each outweigh the current",
    }[len(outweigh)]
    points, inside = float(away.max()) * 100, "within" if percent <= PAPERS_RANGE_PERCENT else "beyond"
    return (
        f"TCMR says that past and future are weighted more than the current and that each varies by "
        f"± {PAPERS_RANGE_PERCENT:g} %: here {weights}, and a value strays from its mean by up to {percent:.1f} % "
        f"of it ({points:.1f} points), {inside} that range"
    )


def _rows(clip: MovingClip, attention: Attention, seed: int) -> pd.DataFrame:
    columns = dict(zip(PARTS, attention.T, strict=True))
    return pd.DataFrame(
        {"seed": seed, "clip_id": clip.clip_id, "frame": clip.frames, **columns, "speed_m_per_s": clip.speed_m_per_s}
    )


def _data(clips: list[pd.DataFrame], summary: pd.DataFrame) -> pd.DataFrame:
    """Every frame of every clip; then, without a frame, how each part goes with the speed over all of them."""
    whole = summary.assign(clip_id="all")
    table = pd.concat([*clips, whole], ignore_index=True)
    return table.assign(frame=table["frame"].astype("Int64"))
