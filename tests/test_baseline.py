"""contract.baseline: the counts that later rows and answers are compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.baseline import BASELINE, MAX_BYTES, MOST_OUTPUTS, MOST_VALUES, Baseline, Counts, answered, measure, read
from contract.errors import BaselineNotFound
from contract.signature import Field, FieldType, Output, Signature
from tests.samples import REGRESSION, artifact

NUMBER = Output(task="regression")
COUNTS: dict[str, Any] = {"by": "number", "edges": [0.0, 1.0], "counts": [0, 1, 0], "missing": 0}


def field(kind: FieldType, *levels: Any, name: str = "x", **facts: Any) -> Field:
    shape = facts.pop("shape", (2,) if kind == "tensor" else ())
    return Field(name=name, type=kind, dtype="object", levels=levels or None, shape=shape, **facts)


def signature(*fields: Field, output: Output = NUMBER) -> Signature:
    return Signature(container="frame", inputs=fields, output=output)


def measured(kind: FieldType, values: list[Any], *levels: Any, **facts: Any) -> Counts:
    return measure([("x", values)], [], signature(field(kind, *levels, **facts))).fields["x"]


def said(output: Output, *values: Any) -> dict[str, Counts]:
    return measure([("x", [1.0])], values, signature(field("float"), output=output)).outputs


# --- numbers


def test_numbers_are_counted_between_their_deciles_and_beyond_all_that_were_seen() -> None:
    values = np.random.default_rng(0).permutation(1000).tolist()
    found = measured("integer", values)
    assert found.edges == pytest.approx([100 * n - 0.5 for n in range(11)])
    assert found.counts == (0, *[100] * 10, 0)
    assert (found.by, found.values, found.missing, found.rows) == ("number", (), 0, 1000)


def test_no_number_that_was_seen_is_near_an_edge() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32).astype(float).tolist()
    found = measured("float", values)
    for moved in (1 - 1e-8, 1 + 1e-8):
        assert found.count([value * moved for value in values]).tolist() == [*found.counts, 0]


def test_a_number_on_an_edge_belongs_to_the_right() -> None:
    found = Counts(by="number", edges=(1.0, 2.0), counts=(0, 0, 0), missing=0)
    assert found.count([0.9, 1.0, 1.5, 2.0, 99.0]).tolist() == [1, 2, 2, 0]


def test_what_is_often_the_same_has_a_bin_of_its_own() -> None:
    found = measured("float", [0.0] * 80 + [1 + n / 100 for n in range(20)])
    assert found.counts == (0, 80, 10, 10, 0)
    assert found.count([0.001, 0.6]).tolist() == [0, 0, 2, 0, 0, 0]
    tens = measured("float", [70.0] * 30 + [80.0] * 50 + [90.0] * 20)
    assert tens.counts == (0, 30, 0, 50, 0, 20, 0)
    assert tens.count([84.0, 80 + 1e-7]).tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert measured("integer", [1] * 30 + [2] * 50 + [3] * 20).counts == (0, 30, 50, 20, 0)
    assert measured("float", [7.0] * 5).counts == (0, 5, 0)


def test_few_rows_have_few_bins() -> None:
    assert [len(measured("integer", [*range(n)]).counts) - 2 for n in (4, 20, 50, 112)] == [2, 2, 5, 10]


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1.0, 1.7e308])
def test_numbers_of_any_size_are_counted(size: float) -> None:
    found = measured("float", [-size, 0.0, size, size])
    assert sum(found.counts) == 4
    assert found.count([-size, size / 2]).sum() == 2


def test_missing_values_are_counted_apart() -> None:
    assert measured("float", [None, 7.0, None]).missing == 2
    assert measured("string", ["a", None, "a"], "a") == Counts(by="value", values=("a",), counts=(2, 0), missing=1)
    assert measured("float", [None, None]) == Counts(by="number", counts=(0,), missing=2)
    assert measured("float", []) == Counts(by="number", counts=(0,), missing=0)


# --- what is no number


def test_what_has_levels_is_counted_by_value() -> None:
    assert measured("string", ["b", "a", "c"], "a", "b").counts == (1, 1, 1)
    assert measured("category", ["b"], "b", "c") == Counts(by="value", values=("b", "c"), counts=(1, 0, 0), missing=0)
    assert measured("category", [10, 1, 10, None], 1, 2, 10).values == ("1", "2", "10")
    found = measured("boolean", [True, False, True])
    assert found == Counts(by="value", values=("false", "true"), counts=(1, 2, 0), missing=0)


def test_of_many_levels_the_most_frequent_are_counted() -> None:
    levels = [f"level {number}" for number in range(500)]
    found = measured("category", [*levels, *levels[400:]], *levels)
    assert len(found.values) == MOST_VALUES
    assert found.counts == (*[2] * 100, 400)


def test_of_a_free_text_only_the_length_is_counted() -> None:
    found = measured("string", ["Ada Lovelace", None, "Alan Turing", "Emmy Noether"])
    assert (found.by, sum(found.counts), found.missing) == ("length", 3, 1)
    assert found.count(["", "Grace Hopper" * 100]).tolist()[0] == found.count(["", "x" * 99]).tolist()[-2] == 1
    assert not any(name in found.model_dump_json() for name in ("Ada", "Turing", "Emmy"))


def test_moments_are_counted_as_numbers_are() -> None:
    days = measured("date", [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)])
    assert (days.by, days.counts[0], days.counts[-1], sum(days.counts)) == ("moment", 0, 0, 336)
    assert days.count(["2025-12-31", "2026-06-15", None, "2027-01-01"]).tolist()[:1] == [1]
    assert days.count(["2027-01-01", None]).tolist()[-2:] == [1, 1]
    zoned = [f"2026-11-21T{hour:02}:00:00+00:00" for hour in range(24)]
    local = [text[:19] for text in zoned]
    assert measured("datetime", zoned) == measured("datetime", local)
    assert measured("datetime", [None, None]).missing == 2


def test_of_a_tensor_the_mean_is_counted_and_of_a_large_one_that_it_is_there() -> None:
    found = measured("tensor", [[n, n + 1.0] for n in range(100)] + [None])
    assert (found.by, len(found.counts), found.missing) == ("mean", 12, 1)
    assert found.count([[50.0, 50.0], [1e9, 0.0], None]).tolist()[-2:] == [1, 1]
    assert found.count(np.full((7, 2), -1.0)).tolist()[0] == 7

    class Image(list[float]):
        def __iter__(self) -> Iterator[float]:
            raise AssertionError

        __str__ = __repr__ = __hash__ = __iter__  # type: ignore[assignment]

    large = measured("tensor", [Image([1.0]), None], shape=(224, 224, 3))
    assert large == Counts(by="value", counts=(1,), missing=1)


def test_of_a_sensitive_field_there_is_nothing() -> None:
    fields = (field("float", name="age"), field("string", name="name", sensitive=True))
    found = measure([("age", [1.0]), ("name", ["Ada"])], [], signature(*fields))
    assert list(found.fields) == ["age"]
    assert "name" not in found.model_dump_json()


# --- answers


def test_answers_are_counted_by_class_or_between_deciles() -> None:
    classes = Output(task="classification", labels=(0, 1), classes=("no", "yes"))
    assert said(classes, "no", "yes", "no")["prediction"] == Counts(
        by="value", values=("no", "yes"), counts=(2, 1, 0), missing=0
    )
    truth = Output(task="classification", labels=(0, 1), classes=(False, True))
    assert said(truth, True, True)["prediction"].counts == (0, 2, 0)
    assert said(NUMBER, *map(float, range(200)))["prediction"].counts == (0, *[20] * 10, 0)
    groups = Output(task="clustering", type="integer")
    assert said(groups, 0, 1, 1, 2)["prediction"].count([7]).tolist()[-2] == 1
    assert said(Output(task="regression", type="boolean"), True)["prediction"].values == ("false", "true")
    assert said(Output(task="transform", type="string"), "Ada") == {}


def test_of_several_labels_each_applies_or_not() -> None:
    labels = Output(task="multilabel", labels=("a", "b"), classes=("a", "b"))
    found = said(labels, ["a"], ["a", "b"], [])
    assert {name: counts.counts for name, counts in found.items()} == {
        "prediction.a": (1, 2, 0),
        "prediction.b": (2, 1, 0),
    }


def test_of_several_values_each_is_counted() -> None:
    named = Output(task="regression", width=2, names=("low", "high"))
    assert list(said(named, [1.0, 2.0], [3.0, 4.0])) == ["prediction.low", "prediction.high"]
    plain = Output(task="transform", width=MOST_OUTPUTS + 1)
    found = said(plain, [float(n) for n in range(MOST_OUTPUTS + 1)])
    assert (len(found), found["prediction[99]"].count([99.0])[1]) == (MOST_OUTPUTS, 1)
    assert answered([], named).keys() == {"prediction.low", "prediction.high"}


# --- as a whole


def test_columns_are_measured_one_by_one_in_the_order_of_the_signature() -> None:
    def columns() -> Iterator[tuple[str, list[Any]]]:
        yield "a", [1.0]
        yield "b", ["x"]

    a, b, c = field("float", name="a"), field("string", name="b"), field("float", name="c")
    assert list(measure(columns(), [], signature(a, b)).fields) == ["a", "b"]
    with pytest.raises(AssertionError):
        measure(columns(), [], signature(b, a))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        measure(columns(), [], signature(a, b, c))


def test_what_was_counted_apart_adds_up() -> None:
    found = measured("float", [float(number) for number in range(100)])
    rows = [-1e9, 1e9, None, 3.0, 50.0]
    assert (found.count(rows[:2]) + found.count(rows[2:])).tolist() == found.count(rows).tolist()
    assert (found.array + found.array).tolist() == found.count([float(n) for n in range(100)] * 2).tolist()
    assert found.count([]).sum() == 0
    assert found.count(np.arange(100.0)).tolist() == found.array.tolist()
    assert measured("boolean", [True]).count(np.array([True, False])).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"edges": [1.0, 1.0]}, "ascending edges"),
        ({"values": ["a"]}, "ascending edges"),
        ({"by": "value"}, "ascending edges"),
        ({"counts": [1, 2]}, "one more"),
        ({"counts": [1, 2, -1]}, "one more"),
        ({"missing": -1}, "one more"),
    ],
)
def test_counts_that_cannot_be_are_none(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Counts.model_validate_json(json.dumps(COUNTS | changes))


def document(**changes: Any) -> bytes:
    found = {"rows": 1, "fields": {"x0": COUNTS}, "outputs": {"prediction": COUNTS}}
    return json.dumps(found | changes).encode()


def test_the_baseline_of_a_version_is_read(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"x0": [0.1, None, 0.3], "x1": [1.0, 2.0, 3.0]}
    made = measure(columns.items(), [1.0, 2.0], REGRESSION)
    assert (made.rows, made.outputs["prediction"].rows) == (3, 2)
    assert read(artifact(tmp_path, {BASELINE: made.model_dump_json().encode()})) == made
    assert isinstance(made, Baseline)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "without counts of the rows"),
        ({BASELINE: b"[]"}, "not a document of counts"),
        ({BASELINE: b'{"rows": 1, "fields": {}}'}, "not a document of counts"),
        ({BASELINE: document(fields={"age": COUNTS})}, "other fields than the version takes and gives"),
        ({BASELINE: document(outputs={"prediction[0]": COUNTS})}, "other fields than the version takes and gives"),
        ({BASELINE: b" " * (MAX_BYTES + 1)}, r"has 16,777,217 bytes; 16,777,216 are allowed"),
    ],
)
def test_why_there_is_no_baseline_is_told(tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    with pytest.raises(BaselineNotFound, match=told):
        read(artifact(tmp_path, files))


def test_a_damaged_artifact_has_no_baseline(tmp_path: Path) -> None:
    found = artifact(tmp_path, {BASELINE: document()})
    (found.folder / BASELINE).write_bytes(document(rows=2))
    with pytest.raises(BaselineNotFound, match="SHA-256 differs"):
        read(found)
