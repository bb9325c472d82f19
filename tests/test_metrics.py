"""The metrics, against figures worked out by hand and scikit-learn's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from contract.answers import Answers
from contract.signature import Output
from pipeline import metrics

TWO = Output(task="classification", labels=(0, 1), classes=("no", "yes"), probabilities=True)
THREE = Output(task="classification", labels=("a", "b", "c"), classes=("a", "b", "c"), probabilities=True)
NUMBER = Output(task="regression")


def test_of_two_classes() -> None:
    shares = [[0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]]
    found = metrics.measure(Answers(["no", "yes", "yes", "yes"], shares), ["no", "no", "yes", "yes"], TWO)
    assert found == pytest.approx(
        {
            "accuracy": 3 / 4,
            "balanced_accuracy": (1 / 2 + 1) / 2,
            "f1_macro": (2 / 3 + 4 / 5) / 2,
            "log_loss": -sum(math.log(share) for share in (0.8, 0.4, 0.7, 0.9)) / 4,
            "roc_auc": 1.0,
        }
    )
    assert all(type(value) is float for value in found.values())


def test_the_area_counts_pairs_in_the_right_order() -> None:
    shares = [[1 - share, share] for share in (0.1, 0.7, 0.5, 0.6)]
    found = metrics.measure(Answers(["no", "yes", "yes", "yes"], shares), ["no", "no", "yes", "yes"], TWO)
    assert found["roc_auc"] == pytest.approx(2 / 4)


def test_of_three_classes() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1], size=60)
    said, true = rng.integers(3, size=60), rng.integers(3, size=60)
    found = metrics.measure(
        Answers([THREE.classes[i] for i in said], shares.tolist()), [THREE.classes[i] for i in true], THREE
    )
    assert found == pytest.approx(
        {
            "accuracy": np.mean(said == true),
            "balanced_accuracy": np.mean([np.mean(said[true == i] == i) for i in range(3)]),
            "f1_macro": reference.f1_score(true, said, average="macro"),
            "log_loss": -np.log(shares[range(60), true]).mean(),
            "roc_auc": np.mean([reference.roc_auc_score(true == i, shares[:, i]) for i in range(3)]),
        }
    )


@pytest.mark.parametrize("output", [TWO, THREE], ids=["two", "three"])
def test_a_class_without_any_row_costs_nothing(output: Output) -> None:
    name = output.classes[1]
    shares = [[0.1, 0.9, 0.0][: len(output.classes)]] * 4
    found = metrics.measure(Answers([name] * 4, shares), [name] * 4, output)
    assert found == pytest.approx(
        {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0, "log_loss": -math.log(0.9)}
    )


def test_a_class_without_a_true_row_has_no_area_and_counts_as_never_found() -> None:
    shares = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    found = metrics.measure(Answers(["a", "b", "c"], shares), ["a", "b", "b"], THREE)
    assert found == pytest.approx(
        {
            "accuracy": 2 / 3,
            "balanced_accuracy": (1 + 1 / 2) / 2,
            "f1_macro": (1 + 2 / 3 + 0) / 3,
            "log_loss": -(math.log(0.7) + math.log(0.8) + math.log(0.2)) / 3,
        }
    )


@pytest.mark.parametrize(
    "shares",
    [None, [[-3.0, 3.0], [2.0, -2.0]], [[0.4, 0.4], [0.5, 0.4]], [[-0.5, 1.5], [0.5, 0.5]]],
    ids=["none", "scores", "not one in sum", "negative"],
)
def test_what_is_no_probability_is_not_scored_as_one(shares: list[list[float]] | None) -> None:
    found = metrics.measure(Answers(["yes", "no"], shares), ["yes", "no"], TWO)
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0}


def test_of_one_class_there_is_nothing_to_rank() -> None:
    one = Output(task="classification", labels=("a",), classes=("a",), probabilities=True)
    found = metrics.measure(Answers(["a", "a"], [[1.0], [1.0]]), ["a", "a"], one)
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0}


def test_of_numbers() -> None:
    found = metrics.measure(Answers([1.0, 2.0, 6.0]), [1, 3, 5], NUMBER)
    assert found == pytest.approx({"r2": 1 - 2 / 8, "mae": 2 / 3, "rmse": math.sqrt(2 / 3)})


@pytest.mark.parametrize(("said", "r2"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_of_a_target_that_never_changes(said: list[float], r2: float) -> None:
    assert metrics.measure(Answers(list(said)), [2.0, 2.0], NUMBER)["r2"] == r2


def test_of_one_row_the_share_explained_is_left_out() -> None:
    assert metrics.measure(Answers([2.5]), [2.0], NUMBER) == {"mae": 0.5, "rmse": 0.5}


def test_each_task_has_the_metric_that_stands_for_it() -> None:
    assert metrics.PRIMARY["regression"] in metrics.measure(Answers([1.0, 2.0]), [1.0, 2.0], NUMBER)
    assert metrics.PRIMARY["classification"] in metrics.measure(Answers(["no"]), ["no"], TWO)
