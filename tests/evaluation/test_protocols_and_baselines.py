"""The baselines do what their names say."""

import numpy as np
import pytest

from moviestrip.errors import FatalError
from moviestrip.evaluation.baselines import choose_sigma


def test_sigma_is_the_one_with_the_lowest_validation_error():
    sigma, scores = choose_sigma([2.0, 0.5, 1.0], lambda value: (value - 1.1) ** 2)
    assert sigma == 1.0 and list(scores) == [0.5, 1.0, 2.0]
    assert choose_sigma([3.0, 1.0], lambda _: 7.0)[0] == 1.0
    assert choose_sigma([1.0, 2.0], lambda value: np.nan if value == 1.0 else 9.0)[0] == 2.0
    with pytest.raises(FatalError, match="no sigma"):
        choose_sigma([1.0], lambda _: np.nan)
