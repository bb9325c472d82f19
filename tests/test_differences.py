"""contract.answers: how far two answers for the same rows are apart."""

import math

import pytest

from contract.answers import Answers, apart, difference


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        (Answers([1.0, 2.0]), Answers([1.0, 2.0]), 0.0),
        (Answers([]), Answers([]), 0.0),
        (Answers([0.0]), Answers([0.0]), 0.0),
        (Answers([1.0, 2.5]), Answers([1.0, 2.0]), 0.25),
        (Answers([2.5e-9]), Answers([2e-9]), 0.25),  # whatever the unit
        (Answers([1100.0]), Answers([1000.0]), 0.1),
        (Answers([-1100.0]), Answers([-1000.0]), 0.1),
        (Answers([100.0, 1.5]), Answers([100.0, 0.0]), 1.5),  # next to zero a hundredth of the largest number counts
        (Answers([100.0, 1.5]), Answers([100.0, 0.5]), 1.0),
        (Answers([100.0, 3.0]), Answers([100.0, 2.0]), 0.5),
        (Answers([1.0]), Answers([0.0]), math.inf),
        (Answers([1.0]), Answers([1.0, 2.0]), math.inf),
        (Answers([1e308]), Answers([-1e308]), math.inf),
    ],
)
def test_numbers_are_compared_in_parts_of_what_is_expected(left: Answers, right: Answers, apart: float) -> None:
    assert difference(left, right, relative=True) == pytest.approx(apart)


def test_how_small_a_number_still_counts_may_be_said() -> None:
    left, right = Answers([100.0, 0.75]), Answers([100.0, 0.5])
    assert difference(left, right, relative=True, floor=0.001) == pytest.approx(0.5)
    assert difference(left, right, relative=True, floor=1.0) == pytest.approx(0.0025)


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        (Answers(["a"]), Answers(["a"]), 0.0),
        (Answers(["a"]), Answers(["b"]), math.inf),
        (Answers(["a"]), Answers(["a", "a"]), math.inf),
        (Answers(["a"], [[0.5, 0.5]]), Answers(["a"]), math.inf),
        (Answers(["a"], [[0.5, 0.5]]), Answers(["a"], [[0.25, 0.75]]), 0.25),
        (Answers(["a", "a"], [[1.0, 0.0], [0.5, 0.5]]), Answers(["a", "a"], [[1.0, 0.0], [0.5, 0.75]]), 0.25),
    ],
)
def test_classes_are_the_same_or_not_and_scores_are_compared_as_they_are(
    left: Answers, right: Answers, apart: float
) -> None:
    assert difference(left, right, relative=False) == pytest.approx(apart)


@pytest.mark.parametrize(
    ("left", "right", "relative", "difference_of_them"),
    [
        (Answers([[1.0, 2.0]]), Answers([[1.0, 1.5]]), True, 0.5 / 1.5),
        (Answers([[1.0, 2.0]]), Answers([[1.0]]), True, math.inf),
        (Answers([1.0]), Answers([[1.0]]), True, math.inf),
        (Answers([[100.0, 1.5], [100.0, 1.0]]), Answers([[100.0, 0.0], [100.0, 1.0]]), True, 1.5),
        (Answers([["a"]]), Answers([["a"]]), False, 0.0),
        (Answers([["a"]]), Answers([["a", "b"]]), False, math.inf),
        (Answers([["a", "b"]]), Answers([["b", "a"]]), False, math.inf),
        (Answers(["a"], [[1000.0]]), Answers(["a"], [[1001.0]]), False, 1 / 1001),  # decision values have any size
        (Answers(["a"], [[1.0]]), Answers(["a"], [[0.5, 0.5]]), False, math.inf),
    ],
)
def test_several_values_and_decision_values_are_compared_alike(
    left: Answers, right: Answers, relative: bool, difference_of_them: float
) -> None:
    assert difference(left, right, relative=relative) == pytest.approx(difference_of_them)


def test_the_rows_that_differ_are_found() -> None:
    left = Answers(["a", "a", "b", "b"], [[1.0], [1.0], [1.0], [1.0]])
    right = Answers(["a", "b", "b", "b"], [[1.0], [1.0], [0.5], [1.0001]])
    assert apart(left, right, relative=False, tolerance=1e-3) == [1, 2]
    assert apart(left, right, relative=False, tolerance=1e-6) == [1, 2, 3]
    assert apart(left, left, relative=False, tolerance=0.0) == []
    assert apart(Answers([1000.0, 20.0]), Answers([1000.5, 30.0]), relative=True, tolerance=0.01) == [1]
    # next to zero all rows count, not only the one that is looked at
    assert apart(Answers([1000.0, 1e-9]), Answers([1000.0, 0.0]), relative=True, tolerance=1e-6) == []
