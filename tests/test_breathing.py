"""serving.breathing: threads beside the event loop leave it most of the time, and hurry where more comes."""

from __future__ import annotations

import pytest

from serving.breathing import rest_s


@pytest.mark.parametrize(
    ("worked_s", "urgent", "rest"),
    [
        (0.003, False, 0.009),
        (0.0, False, 0.005),
        (1.0, False, 0.02),
        (0.003, True, 0.003),
        (0.0, True, 0.001),
        (1.0, True, 0.02),
    ],
    ids=[
        *("three times as long", "at least so that more gathers", "never for long"),
        *("as long where it is urgent", "at least so that others begin", "never for long, where it is urgent"),
    ],
)
def test_it_rests_in_proportion_to_its_work(worked_s: float, urgent: bool, rest: float) -> None:
    assert rest_s(worked_s, urgent=urgent) == pytest.approx(rest)
