"""Drift of the example models: rows of their own data raise no alarm, rows that moved do."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from contract.store import Store
from tests.conftest import trained_once
from tests.drifting import Example, example, moved
from tests.test_example_models import NAMES

ROWS, WINDOWS = 1_000, 100
RARE = {"alcohol", "smoking"}
"""Yes or no, and yes in a row of twelve or twenty: of a thousand rows the index is 0.15, or by chance below 0.1."""

Find = Callable[[str], Example]


@pytest.fixture(scope="module")
def find(example_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Find:
    """The examples by name."""
    others = trained_once(tmp_path_factory, "example-models", NAMES)

    @cache
    def found(name: str) -> Example:
        with contextlib.redirect_stdout(io.StringIO()):
            return example(others if name in NAMES else example_store, name)

    return found


@pytest.mark.parametrize("name", ["iris", "cardio", *NAMES])
def test_rows_of_the_data_raise_no_more_alarms_than_the_level_allows(find: Find, name: str) -> None:
    one, rng = find(name), np.random.default_rng(0)
    assert one.reference.parts[-1].name == "prediction"
    found = [one.evaluate(*one.drawn(ROWS, rng)) for _ in range(WINDOWS)]
    assert all(len(evaluation.readings) == len(one.signature.inputs) + 1 for evaluation in found)
    assert sum(bool(evaluation.alarms) for evaluation in found) <= stats.binom.ppf(0.999, WINDOWS, 0.01)


@pytest.mark.parametrize("name", ["iris", "cardio", "diabetes", "churn"])
def test_every_number_that_moved_by_half_a_deviation_is_found(find: Find, name: str) -> None:
    one, rng = find(name), np.random.default_rng(1)
    for field in one.numeric:
        found = 0
        for _ in range(10):
            columns, values = one.drawn(ROWS, rng)
            columns[field.name] = moved(columns[field.name], field, 0.5, rng)
            evaluation = one.evaluate(columns, values)
            reading = next(reading for reading in evaluation.readings if reading.part.name == field.name)
            found += reading.alarm
            assert reading.p_value < evaluation.alarm_below, f"{field.name}: {reading.psi:.3f}, {reading.p_value:.2g}"
            others = {reading.part.name for reading in evaluation.alarms} - {field.name}
            assert not others, f"{others} with {field.name}"
        assert found >= (6 if field.name in RARE else 10), f"{field.name}: {found}"


def test_what_is_no_number_is_found_as_well(find: Find) -> None:
    rng = np.random.default_rng(2)
    churn, digits, reviews = find("churn"), find("digits"), find("reviews")
    changes: dict[str, Callable[[Any], Any]] = {
        "payment": lambda payment: "crypto" if rng.random() < 0.1 else payment,
        "contract": lambda contract: "monthly" if rng.random() < 0.5 else contract,
        "signup date": lambda date: f"{int(date[:4]) + 1}{date[4:7]}-01",
        "family plan?": lambda family: family or rng.random() < 0.3,
        "data used, GB": lambda gigabytes: None if rng.random() < 0.2 else gigabytes,
    }
    for name, change in changes.items():
        columns, values = churn.drawn(ROWS, rng)
        columns[name] = [change(value) for value in columns[name]]
        assert [reading.part.name for reading in churn.evaluate(columns, values).alarms] == [name]
    columns, values = digits.drawn(ROWS, rng)
    darker = [[[min(16.0, pixel + 2) for pixel in line] for line in image] for image in columns["image"]]
    sevens = [7 if rng.random() < 0.3 else value for value in values]
    assert [reading.part.name for reading in digits.evaluate({"image": darker}, values).alarms] == ["image"]
    assert [reading.part.name for reading in digits.evaluate(columns, sevens).alarms] == ["prediction"]
    columns, values = reviews.drawn(ROWS, rng)
    longer = [text * 2 if rng.random() < 0.5 else text for text in columns["text"]]
    assert [reading.part.name for reading in reviews.evaluate({"text": longer}, values).alarms] == ["text"]
