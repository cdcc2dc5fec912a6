"""What a family of motions draws its parameters from."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from moviestrip.world.posture import Score

Choice = TypeVar("Choice")
Repetition = Callable[[], None]
Family = Callable[["Dice", Score], Repetition]


class Dice:
    """Parameters of one source motion, and the small differences between its repetitions."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng

    def between(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def about(self, value: float, share: float = 0.08) -> float:
        """`value`, as the next repetition has it."""
        return value * float(1 + np.clip(self._rng.normal(), -2, 2) * share)

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self._rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)
