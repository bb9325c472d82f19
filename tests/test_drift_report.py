"""serving.drift.evaluating, report and page: when there is an alarm, and what is said of a window."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contract.baseline import measure
from contract.signature import Field, FieldType, Output, Signature
from serving.drift.counting import Key
from serving.drift.evaluating import LEAST_ROWS, MOST_PAST, Evaluation, evaluate, past
from serving.drift.page import HEIGHT, MOST_BARS, MOST_FIELDS, WIDTH, facts
from serving.drift.reference import Reference
from serving.drift.report import DriftDocument, labels, report
from serving.drift.slices import Slice
from serving.settings import ServeSettings
from tests.samples import manifest

KEY = Key("iris", 3)
NUMBER = Output(task="regression")
RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=4_000).tolist()


def reference(field: Field, values: list[Any], *, output: Output = NUMBER, times: int = 1) -> Reference:
    """What a version is held against that takes a field (so many times) with these values."""
    fields = [field.model_copy(update={"name": f"{field.name}{number or ''}"}) for number in range(times)]
    signature = Signature(container="frame", inputs=tuple(fields), output=output)
    answers = ["no", "yes"] * 100 if output.classes else NORMAL
    return Reference(measure(((one.name, values) for one in fields), answers, signature), manifest(signature=signature))


def field(kind: FieldType = "float", *levels: Any, **facts: Any) -> Field:
    return Field(name="x", type=kind, dtype="object", levels=levels or None, **facts)


def window(found: Reference, values: list[Any], answers: list[Any] | None = None, **others: list[Any]) -> Slice:
    columns = {part.name: others.get(part.name, values) for part in found.parts if part.kind == "input"}
    said = RNG.normal(size=len(values)).tolist() if answers is None else answers
    return Slice(1.7e9, 1.7e9 + 60, len(values), found.count(columns, said))


def read(found: Reference, some: Slice | None, **settings: Any) -> Evaluation:
    return evaluate(KEY, found, some, ServeSettings(**settings))


def moved(rows: int, deviations: float) -> list[float]:
    """Rows whose mean moved, and nothing else."""
    numbers = np.random.default_rng(1).normal(size=rows)
    found: list[float] = ((numbers - numbers.mean()) / numbers.std() + deviations).tolist()
    return found


# --- the rule


def test_an_alarm_takes_an_index_and_a_p_value() -> None:
    found = reference(field(), NORMAL)
    for rows, deviations, index, sure in (
        (20_000, 0.15, False, True),  # surely there, and of no weight
        (1_000, 0.5, True, True),
        (1_000, 0.0, False, False),
    ):
        evaluation = read(found, window(found, moved(rows, deviations)))
        reading = evaluation.readings[0]
        assert (reading.psi >= 0.1, reading.p_value < evaluation.alarm_below) == (index, sure)
        assert reading.alarm == (index and sure)
    few = reference(field(), NORMAL[:40])
    reading = read(few, window(few, moved(200, 0.3))).readings[0]
    assert (reading.psi >= 0.1, reading.alarm) == (True, False)  # it may be chance, with a baseline of forty


def test_the_level_is_shared_by_all_parts() -> None:
    alone, many = reference(field(), NORMAL), reference(field(), NORMAL, times=19)
    assert read(alone, None).alarm_below == pytest.approx(0.005)
    assert read(many, None, drift_level=0.02).alarm_below == pytest.approx(0.001)
    values = moved(1_000, 0.1)
    p_value = read(alone, window(alone, values)).readings[0].p_value
    assert 0.001 < p_value < 0.005
    for found, expected in ((alone, True), (many, False)):
        some = window(found, moved(1_000, 0.0), x=values)
        assert read(found, some, drift_psi=0).readings[0].alarm is expected


def test_below_some_rows_nothing_is_said() -> None:
    found = reference(field(), NORMAL)
    assert read(found, window(found, moved(LEAST_ROWS - 1, 3))).readings == ()
    assert len(read(found, window(found, moved(LEAST_ROWS, 3))).alarms) == 1
    assert read(found, window(found, moved(100, 3)), drift_window_rows=100).alarms
    assert (read(found, None).rows, read(found, None).readings) == (0, ())


def test_the_index_over_time_has_one_number_for_each_part_and_window() -> None:
    found = reference(field(), NORMAL)
    slices = []
    for number in range(100):
        one = window(found, moved(50, number / 50))
        slices.append(Slice(float(number), float(number), one.rows, one.counts))
    over_time = past(found, slices)
    assert len(over_time) == 25 <= MOST_PAST
    psis = [psis[0] for _, psis in over_time]
    assert psis[0] < 0.2 < 1 < psis[-1]
    assert [moment for moment, _ in over_time] == [*range(3, 100, 4)]
    assert past(found, slices[:3]) == []


# --- the document


@pytest.mark.parametrize(
    ("one", "values", "expected"),
    [
        (field(), [0.25] * 50 + [0.75] * 50, ["less than 0.25", "0.25", "0.25 to 0.75", "0.75", "more than 0.75"]),
        (field("integer"), [1] * 30 + [2] * 30 + [7] * 40, ["less than 1", "1", "2", "3 to 6", "7", "more than 7"]),
        (field("integer"), [*range(20)], ["less than 0", "0 to 9", "10 to 19", "more than 19"]),
        (field("boolean"), [True, False], ["false", "true", "others"]),
        (field("category", "a", ""), ["a", ""], ["a", "(empty)", "others"]),
        (field("string"), ["", "abc"] * 5, ["less than 0", "0", "1 to 2", "3", "more than 3"]),
        (
            field("date"),
            ["2026-01-01"] * 5 + ["2026-03-01"] * 5,
            ["before 2026-01-01", "2026-01-01", "2026-01-02 to 2026-02-28", "2026-03-01", "after 2026-03-01"],
        ),
        (field("tensor", shape=(9, 9, 99)), [[[[0] * 99] * 9] * 9], ["all"]),
        (field(), [None, None], ["all"]),
    ],
)
def test_bins_are_called_as_who_reads_expects_it(one: Field, values: list[Any], expected: list[str]) -> None:
    said = labels(reference(one, values).parts[0])
    assert [text.replace(" characters", "") for text in said] == expected


def test_bins_of_times_are_called_by_date_and_time() -> None:
    times = [f"2026-11-21T{hour:02}:30:00" for hour in range(24)]
    said = labels(reference(field("datetime"), times).parts[0])
    assert said[1].startswith("2026-11-21 00:")
    assert (said[0][:17], said[-1][:16]) == ("before 2026-11-21", "after 2026-11-21")


def test_what_is_missing_unseen_or_out_of_range_is_told_then_and_now() -> None:
    numbers = reference(field(), [*NORMAL, *[None] * 1_000])
    one = report(read(numbers, window(numbers, [99.0] * 100 + [None] * 50 + NORMAL[:50])), "rows", 0.1).fields[0]
    assert (one.missing.then, one.missing.now) == (0.2, 0.25)
    assert one.out_of_range is not None
    assert (one.out_of_range.then, one.out_of_range.now, one.unseen) == (0, 0.5, None)
    texts = reference(field("string", "a", "b"), ["a", "b"] * 100)
    one = report(read(texts, window(texts, ["a", "c"] * 100)), "rows", 0.1).fields[0]
    assert one.unseen is not None
    assert (one.unseen.then, one.unseen.now, one.out_of_range) == (0, 0.5, None)
    assert [(each.label, each.expected, each.count) for each in one.bins] == [
        ("a", 0.5, 100),
        ("b", 0.5, 0),
        ("others", 0, 100),
    ]


def document(times: int = 1, rows: int = 1_000, deviations: float = 0.0, **others: list[Any]) -> DriftDocument:
    found = reference(field(), NORMAL, times=times)
    return report(read(found, window(found, moved(rows, deviations), **others)), "rows", 0.1)


def test_what_moved_furthest_comes_first() -> None:
    found = document(times=4, x2=moved(1_000, 1.0), x1=moved(1_000, 0.5))
    assert [one.name for one in found.fields][:2] == ["x2", "x1"]
    assert [one.alarm for one in found.fields] == [True, True, False, False, False]
    assert (found.state, found.model, found.version, found.rows, found.baseline_rows) == (
        *("drifted", "iris", 3),
        *(1_000, 4_000),
    )
    assert found.since is not None
    assert found.since.isoformat() == "2023-11-14T22:13:20+00:00"


# --- the page


def test_bars_stand_side_by_side_within_the_drawing() -> None:
    found = facts(document(deviations=1.0), [(1.0, [0.0, 0.1]), (2.0, [0.5, 0.1])], ["x", "prediction"])
    moved_one, other = found["cards"]
    assert (moved_one.field.name, other.field.name, found["alarms"]) == ("x", "prediction", 1)
    bars = moved_one.bars
    assert 9 < len(bars) <= MOST_BARS
    assert max(max(bar.expected_height, bar.now_height) for bar in bars) == pytest.approx(HEIGHT)
    for left, right in pairwise(bars):
        assert left.x + left.width < right.x
    assert bars[-1].x + bars[-1].width <= WIDTH
    assert sum(bar.now for bar in bars) == pytest.approx(1)
    assert moved_one.line.points.startswith("0.0,44.0 ")
    assert (moved_one.line.most, other.line.most, other.line.limit) == (0.5, 0.1, 0.0)
    assert moved_one.said.endswith("p less than 0.001")
    assert moved_one.spoken.startswith("x, share of rows expected and now: ")


def test_of_many_fields_and_bins_the_page_shows_those_that_moved_furthest() -> None:
    found = facts(document(times=MOST_FIELDS + 10), [], [])
    assert (len(found["cards"]), found["more"]) == (MOST_FIELDS, 11)
    assert found["cards"][0].line is None
    levels = [f"level {number}" for number in range(90)]
    many = reference(field("category", *levels), levels * 10)
    shown = facts(report(read(many, window(many, [levels[7]] * 100 + levels * 2)), "rows", 0.1), [], [])
    assert len(shown["cards"][0].bars) == MOST_BARS
    assert shown["cards"][0].bars[0].label == "level 7"


def test_as_long_as_there_are_too_few_rows_nothing_is_drawn() -> None:
    found = facts(document(rows=100), [], [])
    assert (found["found"].state, found["cards"]) == ("waiting", [])
