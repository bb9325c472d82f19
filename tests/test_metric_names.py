"""Which metric stands for a task, and which direction is better."""

from __future__ import annotations

import pytest

from contract.metric_names import PRIMARY, better, direction, higher_is_better
from contract.signature import Output


def test_every_task_is_known() -> None:
    tasks = set(Output.model_fields["task"].annotation.__args__)  # type: ignore[union-attr]  # a Literal
    assert PRIMARY.keys() == tasks


@pytest.mark.parametrize(
    "name", ["log_loss", "brier", "mae", "rmse", "mape", "hamming_loss", "val_loss", "Test MAE", "error_score"]
)
def test_of_errors_less_is_better(name: str) -> None:
    assert not higher_is_better(name)


@pytest.mark.parametrize("name", [*PRIMARY.values(), "roc_auc", "r2_loss", "val_f1", "neg_log_loss", "accuracy_x"])
def test_of_other_metrics_more_is_better(name: str) -> None:
    assert higher_is_better(name)
    assert direction(name)


@pytest.mark.parametrize("name", ["outlier_share", "rows"])
def test_of_some_the_name_does_not_tell(name: str) -> None:
    assert direction(name) is None
    assert higher_is_better(name)


def test_better_is_more_of_what_is_good_and_no_rounding() -> None:
    assert [better("accuracy", 0.1, 0.2), better("mae", 0.1, 0.2), better("mae", 0.2, 0.1)] == [True, False, True]
    assert better("accuracy", 0.3, 0.1 + 0.2) is None
    assert better("rows", 1.0, 2.0) is None
    assert better("accuracy", None, 2.0) is None
    assert better("accuracy", 2.0, None) is None
