"""What is measured of each task, and what answering always the same would reach."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from contract.answers import Answers
from contract.metric_names import PRIMARY
from contract.signature import Output
from pipeline.measuring import metrics
from tests.test_scoring import GROUPS, NUMBER, NUMBERS, OUTLIERS, PAIRS, TAGS, TRANSFORM, TWO

CASES: list[tuple[Output, list[Any], list[Any]]] = [
    (TWO, ["no"], ["no"]),
    (TAGS, [["x"]], [["x"]]),
    (NUMBER, [1.0, 2.0], [1.0, 2.0]),
    (OUTLIERS, ["odd"], ["odd"]),
]


@pytest.mark.parametrize(("output", "said", "true"), CASES, ids=lambda value: getattr(value, "task", ""))
def test_each_task_has_the_metric_that_stands_for_it(output: Output, said: list[Any], true: list[Any]) -> None:
    assert next(iter(metrics.measure(Answers(said), true, output))) == PRIMARY[output.task]


def test_the_best_constant_answer() -> None:
    assert metrics.constant(["no", "yes", "no", "no"], TWO) == 3 / 4
    assert metrics.constant([["red", "s"], ["red", "m"], ["red", "l"]], PAIRS) == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.constant([1.0, 2.0, 9.0], NUMBER) == 0
    assert metrics.constant([-1, 1, 1, 1], OUTLIERS) == pytest.approx(2 * 1 / (1 + 4))


def test_the_best_constant_labels_are_those_that_a_search_finds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        true = [[name for name in TAGS.classes if rng.random() < share] for share in rng.random(6)]
        every = [list(some) for size in range(4) for some in combinations(TAGS.classes, size)]
        each = [metrics.measure(Answers([some] * 6), true, TAGS)["f1_micro"] for some in every]
        assert (metrics.constant(true, TAGS) or 0) == pytest.approx(max(each))


@pytest.mark.parametrize(
    ("true", "output"),
    [
        (None, TWO),
        ([], TWO),
        ([2.0, 2.0], NUMBER),
        ([[1.0, 2.0], [2.0, 2.0]], NUMBERS),
        ([[], []], TAGS),
        ([0, 1], GROUPS),
        (["?"], OUTLIERS),
        ([[1.0, 2.0]], TRANSFORM),
    ],
)
def test_where_no_constant_answer_is_to_be_beaten(true: list[Any] | None, output: Output) -> None:
    assert metrics.constant(true, output) is None
    assert metrics.worse_than_constant({PRIMARY[output.task]: -9.0}, true, output) == ""


def worse(said: list[Any], true: list[Any], output: Output) -> str:
    return metrics.worse_than_constant(metrics.measure(Answers(said), true, output), true, output)


def test_it_says_what_is_worse_than_a_constant_answer() -> None:
    true = [1.0, 2.0, 3.0, 4.0]
    assert worse([10.0, 20.0, 30.0, 40.0], true, NUMBER) == (
        "r2 is -485: worse than always answering the mean; are targets on another scale than the answers?"
    )
    assert worse([2.0, 1.0, 4.0, 1.0], true, NUMBER) == (
        "r2 is -1.4: worse than always answering the mean; are targets in the same order as inputs?"
    )
    assert worse(["yes", "yes", "no", "yes"], ["no", "no", "yes", "no"], TWO) == (
        "accuracy is 0: worse than always answering 'no' (0.75); are targets in the same order as inputs, and do they "
        "name the same classes?"
    )
    assert worse([["x"], ["y"]], [["y"], ["y"]], TAGS) == (
        "f1_micro is 0.5: worse than always answering the same (1); are targets in the same order as inputs?"
    )
    assert worse([["red", "s"], ["red", "s"]], [["blue", "s"], ["blue", "s"]], PAIRS) == (
        "accuracy is 0.5: worse than always answering the same (1); are targets in the same order as inputs?"
    )
    assert worse(["normal", "odd"], ["odd", "normal"], OUTLIERS) == (
        "f1_outliers is 0: worse than calling every row an outlier (0.667); do targets say -1 of an outlier, else 1?"
    )


def test_it_says_nothing_of_what_is_as_good_or_tells_the_classes_apart() -> None:
    assert worse([2.5, 2.5, 2.5, 2.5], [1.0, 2.0, 3.0, 4.0], NUMBER) == ""
    assert worse(["no"] * 4, ["no", "no", "no", "yes"], TWO) == ""
    rare = ["yes"] * 2 + ["no"] * 18
    assert worse(["yes"] * 5 + ["no"] * 15, rare, TWO) == ""  # 17 of 20 right, 18 if it always said no
    assert worse(["no", "yes"], ["no", "no"], TWO) == ""
    assert metrics.worse_than_constant({}, ["no", "yes"], TWO) == ""
