"""Leaderboard and plot of a sweep: which run is the best, and what is shown of them all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.running.records import RunRecord
from pipeline.sweeping import sweep_plot
from pipeline.sweeping.leaderboard import Leaderboard, is_low_good


def record(name: str, *, status: Any = "completed", parameters: Any = None, **metrics: float) -> RunRecord:
    return RunRecord(
        id=name,
        notebook="n.ipynb",
        status=status,
        started=datetime(2026, 11, 21, tzinfo=UTC),
        duration_s=1.0,
        digest=name,
        parameters=parameters or {},
        metrics=metrics,
    )


def board(*records: RunRecord, **options: Any) -> Leaderboard:
    found = Leaderboard(**options)
    for one in records:
        found.add(one)
    return found


@pytest.mark.parametrize("metric", ["mae", "rmse", "log_loss", "hinge_loss", "mean_squared_error", "loss", "brier"])
def test_errors_and_losses_are_best_when_low(metric: str) -> None:
    assert is_low_good(metric)
    assert (
        board(record("a", **{metric: 2.0}), record("b", **{metric: 1.0}), metric=metric).best or record("")
    ).id == "b"


@pytest.mark.parametrize("metric", ["r2", "accuracy", "roc_auc", "profit", "f1_macro"])
def test_the_others_are_best_when_high_unless_it_is_said(metric: str) -> None:
    runs = [record("a", **{metric: 2.0}), record("b", **{metric: 1.0})]
    assert (board(*runs, metric=metric).best or record("")).id == "a"
    assert (board(*runs, metric=metric, lowest=True).best or record("")).id == "b"


def test_the_usual_metric_of_the_task_decides_when_none_is_named() -> None:
    assert board(record("a", mae=1.0, r2=0.5)).metric == "r2"
    assert board(record("a", log_loss=1.0, accuracy=0.5)).metric == "accuracy"
    nothing = board(record("a", cost=1.0))
    assert (nothing.metric, nothing.best) == (None, None)


def test_runs_without_a_value_come_last_and_are_never_best() -> None:
    found = board(record("a", status="failed", r2=9.0), record("b", cost=1.0), record("c", r2=-5.0), metric="r2")
    assert [one.id for one in found.ranked()] == ["c", "a", "b"]
    assert [row["rank"] for row in found.rows()] == [1, None, None]
    assert board(record("a", status="failed"), metric="r2").best is None


def test_among_equals_a_version_goes_first_then_the_one_planned_first() -> None:
    found = Leaderboard("r2")
    found.planned = {"a": 0, "b": 1, "c": 2}
    found.add(record("c", r2=1.0))
    found.add(record("b", r2=1.0))
    assert found.best is found.records[1]
    found.add(record("a", r2=1.0))
    assert found.best is found.records[2]
    found.versions["c"] = 4
    assert found.best is found.records[0]


def test_rows_show_what_was_varied() -> None:
    found = board(
        record("a", parameters={"trees": 1, "kind": "x", "token": "***", "same": [1]}, r2=0.1),
        record("b", parameters={"trees": 2, "kind": "y", "token": "***", "same": [1]}, r2=0.2),
    )
    assert found.varied == ["trees", "kind"]
    assert [(row["rank"], row["run"], row["r2"], row["trees"], row["kind"]) for row in found.rows()] == [
        (1, "b", 0.2, 2, "y"),
        (2, "a", 0.1, 1, "x"),
    ]


@pytest.mark.parametrize("values", [[1, 1000], ["x", "y"], [None, 3], [[1], [2]], [True, False], [0.0, -1.0], [1]])
def test_a_plot_is_drawn_of_any_values(values: list[Any], tmp_path: Path) -> None:
    found = board(*(record(str(place), parameters={"x": value}, r2=place / 9) for place, value in enumerate(values)))
    sweep_plot.draw(found, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<?xml")
    assert "</svg>" in drawn


def test_a_plot_of_nothing_is_drawn_too(tmp_path: Path) -> None:
    sweep_plot.draw(board(record("a", status="failed")), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").exists()
