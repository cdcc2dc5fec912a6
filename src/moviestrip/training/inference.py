"""What a model says about every frame of a clip of any length, in bounded memory.

A clip is cut into windows, and of each window the frames are kept that are told best there. How it is cut is a
named rule:

- `whole`: the clip at once or, when it is longer than a call may be, in pieces with as much context on both sides as
  the model reaches. What comes out is what the whole clip would have given, but where the reach has no end (a GRU;
  group normalisation over time): there the context is 64 frames.
- `papers`: as the releases do. HMMR slides windows of 20 and keeps the 8 in the middle, which see all their 13
  frames; VIBE cuts chunks of 16 that know nothing of each other; PHD's convolutions run over the whole clip, and TCMR
  takes one window of 16 a frame, which is what `whole` computes too.

Both keep every frame. At a clip's ends HMMR's release surrounds it with black images, which features alone cannot
repeat: here the first and the last window speak of the ends. VIBE's evaluation drops what remains of a clip after its
last full chunk: here it is a shorter chunk.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.config import InferenceRule
from moviestrip.errors import FatalError
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.models.movie_strip import receptive_field_frames

FRAMES_AT_ONCE = 480  # in one call of a model: what bounds its memory
FADED_FRAMES = 64  # context of a model whose reach has no end: four windows of training
SLIDING_FRAMES = 20  # HMMR
CHUNK_FRAMES = 16  # VIBE

Item = TypeVar("Item")


class Window(NamedTuple):
    """Frames `start` to `stop` are seen together; what is said of frames `first` to `last` is kept."""

    start: int
    stop: int
    first: int
    last: int


def present_of_clip(
    model: MotionModel,
    phi: Float[Tensor, "frames features"],
    rule: InferenceRule = "whole",
    frame_stride: int = 1,
    frames_at_once: int = FRAMES_AT_ONCE,
) -> Float[Tensor, "frames theta"]:
    """Theta of every frame of a clip, on the CPU.

    Args:
        frame_stride: n takes the clip apart into n interleaved sequences and predicts each by itself, as if it had
            been filmed at an n-th of the rate (TCMR's Table 8).
        frames_at_once: the model is never given more frames than these in one call.
    """

    def present(sequence: Tensor) -> Tensor:
        windows = windows_of(model.design, len(sequence), rule, frames_at_once)
        return read_windows(lambda seen: model.present(seen).theta, model, sequence, windows, frames_at_once)

    return interleaved([present(phi[first::frame_stride]) for first in range(min(frame_stride, len(phi)))])


def hallucination_of_clip(
    model: MotionModel, phi: Float[Tensor, "frames features"], frames_at_once: int = FRAMES_AT_ONCE
) -> Float[Tensor, "frames theta"]:
    """Theta of every frame from that frame alone, on the CPU."""
    windows = apart(len(phi), frames_at_once)
    return read_windows(lambda seen: model.hallucinate(seen).theta, model, phi, windows, frames_at_once)


def windows_of(design: ModelDesign, frames: int, rule: InferenceRule, frames_at_once: int) -> list[Window]:
    """How a clip of some length is cut for a model."""
    if rule == "papers" and design.encoder == "gru":
        return apart(frames, CHUNK_FRAMES)
    if rule == "papers" and design.encoder == "movie-strip" and not design.causal:
        margin = receptive_field_frames(design.residual_blocks) // 2
        return sliding(frames, SLIDING_FRAMES, margin, margin)
    before, after = reach_frames(design) or (FADED_FRAMES, FADED_FRAMES)
    return sliding(frames, frames_at_once, before, after)


def reach_frames(design: ModelDesign) -> tuple[int, int] | None:
    """How many frames before and after a frame its estimate depends on; None where there is no end to it."""
    if design.encoder == "none":
        return 0, 0
    if design.encoder == "pose-forecast":
        before = design.window_frames // 2
        return before, design.window_frames - 1 - before
    if design.encoder == "movie-strip" and design.norm == "group-norm-per-frame":
        others = receptive_field_frames(design.residual_blocks) - 1
        return (others, 0) if design.causal else (others // 2, others // 2)
    return None


def sliding(frames: int, length: int, before: int, after: int) -> list[Window]:
    """Windows of one length, each keeping what has `before` and `after` frames of context in it.

    The first and the last also keep what lies at the clip's ends; the last ends with the clip. A clip that is no
    longer than a window is one window.
    """
    step = length - before - after
    if step < 1:
        raise FatalError(
            f"windows of {length} frames leave none to keep after {before} frames of context before and {after} after; "
            f"take windows of {before + after + 1} or more"
        )
    if frames <= length:
        return [Window(0, frames, 0, frames)]
    starts = [*range(0, frames - length, step), frames - length]
    bounds = [0, *(start + length - after for start in starts[:-1]), frames]
    return [Window(start, start + length, *kept) for start, *kept in zip(starts, bounds, bounds[1:], strict=False)]


def apart(frames: int, length: int) -> list[Window]:
    """Windows that touch and do not overlap; the last may be shorter."""
    stops = [(start, min(start + length, frames)) for start in range(0, frames, length)]
    return [Window(start, stop, start, stop) for start, stop in stops]


def read_windows(
    reading: Callable[[Tensor], Tensor],
    model: nn.Module,
    phi: Float[Tensor, "frames features"],
    windows: list[Window],
    frames_at_once: int,
) -> Float[Tensor, "frames theta"]:
    """What `reading` says about the kept frames of windows that cover a clip in order.

    Windows of one length go through the model together, as many as `frames_at_once` allows.
    """
    device, kept = device_of(model), []
    for length, alike in groupby(windows, lambda window: window.stop - window.start):
        for together in in_batches(list(alike), frames_at_once // length):
            theta = reading(torch.stack([phi[window.start : window.stop] for window in together]).to(device)).cpu()
            kept += [
                each[window.first - window.start : window.last - window.start]
                for each, window in zip(theta, together, strict=True)
            ]
    return torch.cat(kept)


def interleaved(sequences: list[Float[Tensor, "_ theta"]]) -> Float[Tensor, "frames theta"]:
    """The clip whose every n-th frames the n sequences are."""
    clip = sequences[0].new_empty(sum(map(len, sequences)), *sequences[0].shape[1:])
    for first, sequence in enumerate(sequences):
        clip[first :: len(sequences)] = sequence
    return clip


def in_batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Items in their order, `size` at a time (at least one)."""
    return [items[first : first + max(1, size)] for first in range(0, len(items), max(1, size))]


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
