"""serving.quality.report and drawing: metrics by version and by time, and where they are drawn."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.signature import Output
from serving.pages.charts import HEIGHT, WIDTH
from serving.quality.drawing import MOST_LINES, facts
from serving.quality.keeping import Judged
from serving.quality.report import QualityDocument, report
from tests.live import X
from tests.samples import manifest

HOUR = 3_600_000_000
START = datetime(1970, 1, 1, tzinfo=UTC)
SPECIES = Output(task="classification", labels=(0, 1), classes=("fern", "moss"), scores="probabilities")


def of(output: Output, **metrics: float) -> Any:
    return manifest(signature=X.model_copy(update={"output": output}), metrics=metrics)


PLANTS = {1: of(SPECIES, accuracy=0.75, f1_macro=0.7), 2: of(SPECIES)}


def row(at: int, said: Any, true: Any, version: int = 1, scores: Any = None) -> Judged:
    return Judged(version, at, json.dumps(said), None if scores is None else json.dumps(scores), json.dumps(true))


def found(*rows: Judged, buckets: int = 4, manifests: Any = PLANTS) -> QualityDocument:
    return report("plants", rows, manifests.get, buckets)


def test_metrics_are_told_by_version_and_by_time() -> None:
    shares = {"fern": 0.25, "moss": 0.75}
    document = found(
        row(10 * HOUR, "moss", "moss", 2, shares),
        row(9 * HOUR, "fern", "fern", scores=shares),
        row(9 * HOUR, "fern", "moss", scores=shares),
        row(2 * HOUR, "moss", "moss", scores=shares),
        row(7, "moss", "moss", 3),  # a version that was deleted
    )
    assert (document.rows, document.complete, document.metric) == (5, True, "accuracy")
    assert (document.begin, document.end) == (START + timedelta(hours=2), START + timedelta(hours=10))
    second, first = document.versions
    assert (first.version, first.rows, first.unfit, second.version) == (1, 3, 0, 2)
    assert first.metrics["accuracy"] == pytest.approx(2 / 3)
    assert first.trained == {"accuracy": 0.75}
    parts = [
        ((span.begin - START) / timedelta(hours=1), span.rows, span.metrics["accuracy"]) for span in first.over_time
    ]
    assert parts == [(2, 1, 1.0), (pytest.approx(8, abs=1e-6), 2, 0.5)]
    assert sum(span.rows for span in second.over_time) == 1
    assert all(a.end <= b.begin for a, b in zip(first.over_time, first.over_time[1:], strict=False))
    assert found(row(5, "moss", "moss"), buckets=1).versions[0].over_time[0].rows == 1


def test_the_loss_needs_the_probability_of_what_was_true() -> None:
    shares = {"fern": 0.2, "moss": 0.2}  # which are taken to be one in sum
    for scores in (None, "cut: …", {"fern": 1.0}, [0.5, 0.5], {"fern": 0, "moss": 0}):
        assert "log_loss" not in found(row(1, "moss", "moss", scores=scores)).versions[0].metrics
    assert found(row(1, "moss", "moss", scores=shares)).versions[0].metrics["log_loss"] == pytest.approx(
        0.693147, rel=1e-5
    )


def test_what_cannot_be_compared_is_counted_and_left_out() -> None:
    cut = Judged(1, 3, '"moss… [cut: 20,000 bytes]"', None, '"moss"')
    document = found(cut, row(2, "moss", "tree"), row(2, "moss", 7), row(1, "fern", "fern"))
    [version] = document.versions
    assert (version.rows, version.unfit, version.metrics["accuracy"]) == (1, 3, 1.0)
    nothing = found(cut)
    assert (nothing.begin, nothing.versions[0].metrics, facts(nothing)["lines"]) == (None, {}, [])
    assert found().versions == []


def test_a_report_says_when_there_is_more() -> None:
    rows = [row(at, "moss", "moss") for at in range(3)]
    assert [report("plants", rows, PLANTS.get, 4, most).complete for most in (3, 4)] == [False, True]


def test_versions_are_drawn_on_the_same_scales() -> None:
    versions = {n: of(Output(task="regression"), r2=0.5, mae=1.0) for n in range(1, 9)}
    rows = [row((n * 10 + i) * HOUR, 1.0 + i, 2.0 + 3 * i, n) for n in versions for i in range(4)]
    document = found(*rows, manifests=versions)
    shown = facts(document)
    assert [line.version for line in shown["lines"]] == [8, 7, 6, 5, 4, 3][:MOST_LINES]
    points = [point for line in shown["lines"] for point in line.points]
    assert all(0 <= point.x <= WIDTH and 0 <= point.y <= HEIGHT for point in points)
    assert {line.level for line in shown["lines"]} == {shown["lines"][0].level}
    assert [p.x for p in shown["lines"][-1].points] < [p.x for p in shown["lines"][0].points]
    assert shown["lines"][0].path.count(",") == len(shown["lines"][0].points)
    assert shown["heads"] == [("mae", True), ("rmse", False), ("r2", True)]
    _, cells = shown["rows"][0]
    assert cells[0] == (document.versions[0].metrics["mae"], 1.0, False)
    assert cells[1] == (document.versions[0].metrics["rmse"], None, None)
