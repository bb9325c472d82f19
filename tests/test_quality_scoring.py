"""serving.quality.scoring and truths: metrics as scikit-learn defines them; truths in the form of the answers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring.metrics import measure as measured_in_training
from serving.quality.scoring import Pair, measure
from serving.quality.truths import Unfit, fitted

SPECIES = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="probabilities")
FEW = Output(task="classification", type="integer", width=2)
TAGS = Output(task="multilabel", labels=(0, 1, 2), classes=("a", "b", "c"))
NUMBER = Output(task="regression")
NUMBERS = Output(task="regression", width=2, names=("low", "high"))
ODD = Output(task="outliers", labels=(-1, 1), classes=("odd", "usual"))
rng = np.random.default_rng(0)


def drawn(output: Output, rows: int) -> tuple[Answers, list[Any]]:
    """Answers, and what was true; about half of it right."""
    kept = rng.random(rows) < 0.5
    match output.task:
        case "classification" if output.width:
            true = rng.integers(3, size=(rows, 2)).tolist()
            return Answers(np.where(kept[:, None], true, rng.integers(3, size=(rows, 2))).tolist()), true
        case "classification" | "outliers":
            true = rng.choice(output.classes, rows).tolist()
            shares = rng.dirichlet(np.ones(len(output.classes)), rows).tolist() if output.scores else None
            return Answers(np.where(kept, true, rng.choice(output.classes, rows)).tolist(), shares), true
        case "multilabel":
            flags = rng.random((2, rows, 3)) < 0.4
            said, applying = ([[n for n, on in zip("abc", row, strict=True) if on] for row in side] for side in flags)
            return Answers(said), applying
    numbers = rng.normal(5, 2, size=(rows, output.width or 1))
    return Answers(_as_given(numbers + rng.normal(size=numbers.shape), output)), _as_given(numbers, output)


def _as_given(values: Any, output: Output) -> list[Any]:
    found: list[Any] = values.tolist() if output.width else values[:, 0].tolist()
    return found


@pytest.mark.parametrize("rows", [2, 7, 300])
@pytest.mark.parametrize("output", [SPECIES, FEW, TAGS, NUMBER, NUMBERS, ODD], ids=lambda o: f"{o.task}-{o.width}")
def test_metrics_are_what_scikit_learn_says(output: Output, rows: int) -> None:
    answers, true = drawn(output, rows)
    chances: list[float | None] = [None] * rows
    if answers.scores:
        chances = [shares[output.classes.index(name)] for shares, name in zip(answers.scores, true, strict=True)]
    found = measure([Pair(*each) for each in zip(answers.values, true, chances, strict=True)], output)
    expected = measured_in_training(answers, true, output)
    assert found == pytest.approx({name: expected[name] for name in found})
    usual = {
        "classification": {"accuracy", "subset_accuracy"}
        if output.width
        else {"accuracy", "balanced_accuracy", "log_loss"},
        "multilabel": {"f1_micro", "subset_accuracy", "hamming_loss"},
        "regression": {"mae", "rmse", "r2"},
        "outliers": {"f1_outliers"},
    }
    assert set(found) == usual[output.task]


def test_what_is_not_defined_is_left_out() -> None:
    assert measure([], SPECIES) == {}
    assert measure([Pair("a", "a", 0.5), Pair("a", "b")], SPECIES).keys() == {"accuracy", "balanced_accuracy"}
    assert "r2" not in measure([Pair(1.0, 2.0), Pair(3.0, 2.0)], NUMBER)  # there is nothing to explain
    assert measure([Pair(1, 1)], Output(task="clustering", type="integer")) == {}
    assert measure([Pair([], [])], TAGS) == {"f1_micro": 0.0, "subset_accuracy": 1.0, "hamming_loss": 0.0}
    assert measure([Pair("a", "a", 0.0)], SPECIES)["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps))


MIXED = Output(task="classification", labels=(0, 1, 2), classes=(1, "2", 3.5))
YES = Output(task="classification", labels=(0, 1), classes=(False, True))


@pytest.mark.parametrize(
    ("truth", "output", "expected"),
    [
        ("b", SPECIES, "b"),
        (1.0, MIXED, 1),
        ("1", MIXED, 1),
        ("3.5", MIXED, 3.5),
        (True, YES, True),
        ("true", YES, True),
        (3, NUMBER, 3.0),
        ("-3.5e1", NUMBER, -35.0),
        ([1, "2"], NUMBERS, [1.0, 2.0]),
        ({"high": 2, "low": 1}, NUMBERS, [1.0, 2.0]),
        (["c", "a", "a"], TAGS, ["a", "c"]),
        ("c; a", TAGS, ["a", "c"]),
        ("", TAGS, []),
        ([], TAGS, []),
        ({"a": 0, "b": True, "c": 1.0}, TAGS, ["b", "c"]),
        ([1, 2.0], FEW, [1, 2]),
        (9007199254740993, Output(task="classification", type="integer"), 9007199254740993),
        ("7", Output(task="classification", type="integer"), 7),
        ("free", Output(task="classification", type="string"), "free"),
        ("false", Output(task="classification", type="boolean"), False),
        ("odd", ODD, "odd"),
        ({"any": ["thing"]}, Output(task="transform", width=2), {"any": ["thing"]}),
    ],
)
def test_a_truth_takes_the_form_of_the_answers(truth: Any, output: Output, expected: Any) -> None:
    found = fitted(truth, output)
    assert (found, type(found)) == (expected, type(expected))
    assert fitted(found, output) == expected


@pytest.mark.parametrize(
    ("truth", "output", "wanted"),
    [
        ("d", SPECIES, "one of a, b, c"),
        (None, SPECIES, "one of a, b, c"),
        (["a"], SPECIES, "one of a, b, c"),
        (True, MIXED, 'one of 1, "2", 3.5'),
        (1, YES, "one of false, true"),
        ("three", NUMBER, "a number"),
        (True, NUMBER, "a number"),
        ("nan", NUMBER, "a number"),
        ("9" * 400, NUMBER, "a number"),
        (10**400, NUMBER, "a number"),
        (1.5, Output(task="classification", type="integer"), "a whole number"),
        (1, Output(task="classification", type="string"), "a text"),
        (1, Output(task="classification", type="boolean"), "true or false"),
        ([1.0], NUMBERS, "a list of 2 values or an object with low, high"),
        ({"low": 1, "height": 2}, NUMBERS, "a list of 2 values or an object with low, high"),
        ([1, "x"], NUMBERS, "a number"),
        ([1, 2, 3], FEW, "a list of 2 values"),
        ("d; a", TAGS, "one of a, b, c"),
        (0, TAGS, "a list of a, b, c"),
        ({"a": 2}, TAGS, "a list of a, b, c"),
    ],
)
def test_a_truth_that_cannot_be_one_is_refused_with_what_could(truth: Any, output: Output, wanted: str) -> None:
    with pytest.raises(Unfit, match=f"^{re.escape(wanted)}$"):
        fitted(truth, output)
