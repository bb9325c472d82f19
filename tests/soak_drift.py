"""What chance does to drift's tests, in twenty thousand windows of each kind of field; `make soak` runs it.

The level of a window is shared by its fields, so it is the far tail that matters: one in ten thousand.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from contract.drift import compare
from tests.test_drift import KINDS, counted

WINDOWS, ROWS = 20_000, 1_000
LEVELS = (0.05, 0.01, 0.001, 0.0001)
SLACK = 1.5
"""Counts of small samples are not quite as the tests take them: in the far tail so many times the level."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [40, 112, 442, 5_000])
def test_chance_is_below_a_level_as_often_as_the_level_says(kind: str, size: int) -> None:
    rng, draw = np.random.default_rng(0), KINDS[kind]
    found = []
    for _ in range(WINDOWS):
        baseline = counted(draw(rng, size))
        found.append(compare(baseline.array, baseline.count(draw(rng, ROWS)), ordered=True))
    for level in LEVELS:
        below = [shift for shift in found if shift.p_value < level]
        alarms = sum(shift.psi >= 0.1 for shift in below)
        print(f"{kind}, {size:,} rows: {len(below) / WINDOWS:.5f} below {level:g}, {alarms / WINDOWS:.5f} alarms")
        assert len(below) <= stats.binom.ppf(0.9999, WINDOWS, SLACK * level)
