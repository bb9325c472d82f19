"""What is measured of each task, against figures worked out by hand and scikit-learn's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from contract.answers import Answers
from contract.signature import Output
from pipeline.measuring import metrics

TWO = Output(task="classification", labels=(0, 1), classes=("no", "yes"), scores="probabilities")
DECIDED = Output(task="classification", labels=(0, 1), classes=("no", "yes"), scores="decisions")
THREE = Output(task="classification", labels=("a", "b", "c"), classes=("a", "b", "c"), scores="probabilities")
TEXTS = Output(task="classification", type="string")
PAIRS = Output(task="classification", type="string", width=2, names=("colour", "size"))
TAGS = Output(task="multilabel", labels=(0, 1, 2), classes=("x", "y", "z"), scores="probabilities")
NUMBER = Output(task="regression")
NUMBERS = Output(task="regression", width=2, names=("height", "weight"))
GROUPS = Output(task="clustering", labels=(0, 1), classes=(0, 1))
OUTLIERS = Output(task="outliers", labels=(-1, 1), classes=("odd", "normal"), scores="decisions")
TRANSFORM = Output(task="transform", width=2)


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
            "average_precision": 1.0,
            "brier": (0.2**2 + 0.6**2 + 0.3**2 + 0.1**2) / 4,
        }
    )
    assert all(type(value) is float for value in found.values())


def test_scores_count_pairs_and_finds_in_the_right_order() -> None:
    shares = [[1 - share, share] for share in (0.1, 0.7, 0.5, 0.6)]
    found = metrics.measure(Answers(["no", "yes", "yes", "yes"], shares), ["no", "no", "yes", "yes"], TWO)
    assert found["roc_auc"] == pytest.approx(2 / 4)
    assert found["average_precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize(
    "decisions",
    [[[-3.0], [0.7], [0.5], [0.6]], [[3.0, 0.0], [-0.5, 0.2], [0.5, 1.0], [0.0, 0.6]]],
    ids=["one in all", "one for each class"],
)
def test_decision_values_of_two_classes_are_ranked_and_are_no_probabilities(decisions: list[list[float]]) -> None:
    found = metrics.measure(Answers(["no", "yes", "yes", "yes"], decisions), ["no", "no", "yes", "yes"], DECIDED)
    assert found["roc_auc"] == pytest.approx(2 / 4)
    assert not {"log_loss", "brier", "average_precision"} & found.keys()


def test_with_a_threshold_the_second_decision_value_is_what_counts() -> None:
    output = DECIDED.model_copy(update={"rule": "threshold", "threshold": 0.0})
    answers = Answers(["no", "yes"], [[-9.0, -1.0], [0.0, 1.0]])
    assert metrics.measure(answers, ["no", "yes"], output)["roc_auc"] == 1.0
    assert metrics.measure(answers, ["no", "yes"], DECIDED)["roc_auc"] == 0.0


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
            "roc_auc": reference.roc_auc_score(true, shares, multi_class="ovr"),
        }
    )


def test_shares_that_are_one_in_sum_but_for_rounding_are_probabilities() -> None:
    found = metrics.measure(Answers(["no", "yes"], [[0.9004, 0.1], [0.2, 0.8]]), ["no", "yes"], TWO)
    assert found["log_loss"] == pytest.approx(-(math.log(0.9004 / 1.0004) + math.log(0.8)) / 2)


@pytest.mark.parametrize("output", [TWO, THREE], ids=["two", "three"])
def test_a_class_without_any_row_costs_nothing(output: Output) -> None:
    name = output.classes[1]
    shares = [[0.1, 0.9, 0.0][: len(output.classes)]] * 4
    found = metrics.measure(Answers([name] * 4, shares), [name] * 4, output)
    wanted = {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0, "log_loss": -math.log(0.9)}
    assert found == pytest.approx(wanted | ({"brier": 0.01} if output is TWO else {}))


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


def test_a_true_class_that_the_model_does_not_know_is_never_found() -> None:
    found = metrics.measure(Answers(["no", "yes"], [[0.9, 0.1], [0.1, 0.9]]), ["no", "maybe"], TWO)
    assert found == pytest.approx({"accuracy": 1 / 2, "balanced_accuracy": 1 / 2, "f1_macro": (1 + 0 + 0) / 3})


@pytest.mark.parametrize(
    "shares",
    [None, [[-3.0, 3.0], [2.0, -2.0]], [[0.4, 0.4], [0.5, 0.4]], [[-0.5, 1.5], [0.5, 0.5]]],
    ids=["none", "scores", "not one in sum", "negative"],
)
def test_what_is_no_probability_is_not_scored_as_one(shares: list[list[float]] | None) -> None:
    found = metrics.measure(Answers(["yes", "no"], shares), ["yes", "no"], TWO)
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0}


def test_of_one_class_there_is_nothing_to_rank() -> None:
    one = Output(task="classification", labels=("a",), classes=("a",), scores="probabilities")
    found = metrics.measure(Answers(["a", "a"], [[1.0], [1.0]]), ["a", "a"], one)
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "f1_macro": 1.0}


def test_of_open_classes() -> None:
    found = metrics.measure(Answers(["b", "b", "a"]), ["b", "a", "c"], TEXTS)
    assert found == pytest.approx({"accuracy": 1 / 3, "balanced_accuracy": 1 / 3, "f1_macro": (2 / 3 + 0 + 0) / 3})


def test_of_several_classes_a_row() -> None:
    said = [["red", "s"], ["red", "m"], ["blue", "m"], ["blue", "m"]]
    true = [["red", "s"], ["red", "s"], ["red", "s"], ["blue", "m"]]
    assert metrics.measure(Answers(said), true, PAIRS) == pytest.approx(
        {"accuracy": 5 / 8, "subset_accuracy": 2 / 4, "accuracy_colour": 3 / 4, "accuracy_size": 2 / 4}
    )


def test_of_labels_that_apply() -> None:
    said, true = [["x"], ["x", "y"], ["y"], []], [["x"], ["x"], ["x", "y"], []]
    scores = [[0.9, 0.2, 0.1], [0.8, 0.7, 0.1], [0.4, 0.6, 0.1], [0.5, 0.1, 0.1]]
    x, y = 2 * 2 / (2 + 3), 2 * 1 / (2 + 1)
    assert metrics.measure(Answers(said, scores), true, TAGS) == pytest.approx(
        {
            "f1_micro": 2 * 3 / (4 + 4),
            "f1_macro": (x + y + 0) / 3,
            "subset_accuracy": 2 / 4,
            "hamming_loss": 2 / 12,
            "roc_auc_macro": (2 / 3 + 2 / 3) / 2,  # no row has z
        }
    )


def test_labels_without_scores_have_no_area() -> None:
    found = metrics.measure(Answers([["x"], ["new"]]), [["x"], ["other"]], TAGS.model_copy(update={"scores": ""}))
    assert "roc_auc_macro" not in found
    assert found["subset_accuracy"] == 1 / 2


def test_of_numbers() -> None:
    found = metrics.measure(Answers([1.0, 2.0, 6.0]), [1, 3, 5], NUMBER)
    assert found == pytest.approx(
        {"r2": 1 - 2 / 8, "mae": 2 / 3, "rmse": math.sqrt(2 / 3), "mape": (0 + 1 / 3 + 1 / 5) / 3}
    )


@pytest.mark.parametrize(
    "true", [[1.0, -3.0, 5.0], [0.0, 3.0, 5.0], [0.001, 3.0, 5.0]], ids=["signs", "zero", "next to zero"]
)
def test_there_is_no_relative_error_around_zero(true: list[float]) -> None:
    assert metrics.measure(Answers([1.0, 2.0, 6.0]), true, NUMBER).keys() == {"r2", "mae", "rmse"}


def test_below_zero_errors_are_relative_too() -> None:
    assert metrics.measure(Answers([-1.0, -2.0]), [-2.0, -2.0], NUMBER)["mape"] == 1 / 4


def test_of_several_numbers_a_row() -> None:
    said, true = [[1.0, 0.0], [2.0, 20.0], [6.0, 0.0]], [[1, 0], [3, 10], [5, -10]]
    height, weight = 1 - 2 / 8, 1 - 200 / 200
    assert metrics.measure(Answers(said), true, NUMBERS) == pytest.approx(
        {
            "r2": (height + weight) / 2,
            "mae": (2 / 3 + 20 / 3) / 2,
            "rmse": (math.sqrt(2 / 3) + math.sqrt(200 / 3)) / 2,
            "r2_height": height,
            "r2_weight": weight,
        }
    )


def test_outputs_without_names_are_told_by_their_place_unless_they_are_many() -> None:
    rows = np.arange(39.0).reshape(3, 13).tolist()
    few = [row[:12] for row in rows]
    assert "r2_11" in metrics.measure(Answers(few), few, Output(task="regression", width=12))
    assert metrics.measure(Answers(rows), rows, Output(task="regression", width=13)).keys() == {
        "r2",
        "mae",
        "rmse",
    }


@pytest.mark.parametrize(("said", "r2"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_of_a_target_that_never_changes(said: list[float], r2: float) -> None:
    assert metrics.measure(Answers(list(said)), [2.0, 2.0], NUMBER)["r2"] == r2


def test_of_one_row_the_share_explained_is_left_out() -> None:
    assert metrics.measure(Answers([2.5]), [2.0], NUMBER) == {"mae": 0.5, "rmse": 0.5, "mape": 0.25}


def test_of_groups_and_their_truth() -> None:
    found = metrics.measure(Answers([0, 0, 1, 1]), ["b", "b", "a", "a"], GROUPS)
    assert found == pytest.approx({"adjusted_rand_score": 1.0, "normalized_mutual_info": 1.0})
    mixed = metrics.measure(Answers([0, 0, 1, 1, 1]), ["b", 1, 1, "a", "a"], GROUPS)
    assert mixed == pytest.approx(
        {
            "adjusted_rand_score": reference.adjusted_rand_score([0, 1, 1, 2, 2], [0, 0, 1, 1, 1]),
            "normalized_mutual_info": reference.normalized_mutual_info_score([0, 1, 1, 2, 2], [0, 0, 1, 1, 1]),
        }
    )


def test_of_groups_alone_their_distance_is_told() -> None:
    found = metrics.measure(Answers([0, 0, 1, 1]), None, GROUPS, [[0.0], [1.0], [10.0], [11.0]])
    outer, inner = (10.5 - 1) / 10.5, (9.5 - 1) / 9.5
    assert found == pytest.approx({"silhouette": (outer + inner) / 2})


@pytest.mark.parametrize(
    ("said", "rows"),
    [([0, 0, 0], [[1], [2], [3]]), ([0, 1, 0], [["a"], ["b"], ["c"]]), ([0, 1, 0], [[1.0], [math.nan], [2.0]])],
    ids=["one group", "texts", "gaps"],
)
def test_groups_whose_distance_is_not_defined(said: list[int], rows: list[Any]) -> None:
    assert metrics.measure(Answers(said), None, GROUPS, rows) == {}


def test_the_distance_of_many_rows_is_that_of_a_sample_and_the_same_each_time() -> None:
    rows = np.random.default_rng(1).normal(size=(5_000, 2)) + np.repeat([[0.0], [3.0]], 2_500, axis=0)
    answers = Answers([0] * 2_500 + [1] * 2_500)
    first = metrics.measure(answers, None, GROUPS, rows)
    assert first == metrics.measure(answers, None, GROUPS, rows)
    assert first["silhouette"] == pytest.approx(reference.silhouette_score(rows, answers.values), abs=0.03)


@pytest.mark.parametrize("true", [["odd", "odd", "normal", "normal"], [-1, -1, 1, 1]], ids=["names", "labels"])
def test_of_outliers(true: list[Any]) -> None:
    answers = Answers(["odd", "normal", "odd", "normal"], [[-0.5], [0.1], [-0.1], [0.4]])
    assert metrics.measure(answers, true, OUTLIERS) == pytest.approx({"f1_outliers": 1 / 2, "roc_auc": 3 / 4})


@pytest.mark.parametrize("true", [None, ["?", "odd", "odd", "odd"]], ids=["unknown", "of other names"])
def test_of_outliers_without_truth_their_share_is_told(true: list[str] | None) -> None:
    answers = Answers(["odd", "normal", "normal", "normal"], [[-0.5], [0.1], [0.1], [0.4]])
    assert metrics.measure(answers, true, OUTLIERS) == {"outlier_share": 1 / 4}


@pytest.mark.parametrize("output", [TWO, PAIRS, TAGS, NUMBER, GROUPS, TRANSFORM], ids=lambda output: output.task)
def test_without_truth_nothing_is_told(output: Output) -> None:
    assert metrics.measure(Answers([output.classes[0] if output.classes else 1.0]), None, output) == {}
    assert metrics.measure(Answers([]), [], output) == {}
