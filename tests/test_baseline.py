"""contract.baseline: the counts that later rows are compared with."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from contract.baseline import Baseline, Counts, count, measure
from contract.signature import Field, FieldType, Output, Signature


def signature(levels: tuple[str, ...] | None = None, **types: FieldType) -> Signature:
    fields = (
        Field(name=name, type=kind, dtype="object", levels=levels, shape=(2,) if kind == "tensor" else ())
        for name, kind in types.items()
    )
    return Signature(container="frame", inputs=tuple(fields), output=Output(task="regression"))


def measured(kind: FieldType, values: list[Any], *levels: str) -> Counts:
    return measure([("x", values)], signature(levels or None, x=kind)).fields["x"]


def test_numbers_are_counted_between_their_deciles() -> None:
    values = np.random.default_rng(0).permutation(1000).tolist()
    found = measured("integer", values)
    assert found.edges == pytest.approx([99.9, 199.8, 299.7, 399.6, 499.5, 599.4, 699.3, 799.2, 899.1])
    assert found.counts == (100,) * 10
    assert (found.values, found.missing) == ((), 0)


def test_a_number_on_an_edge_belongs_to_the_right() -> None:
    assert count([0.9, 1.0, 1.5, 2.0, 99.0], edges=(1.0, 2.0)).counts == (1, 2, 2)


def test_few_distinct_numbers_have_few_edges() -> None:
    assert measured("float", [0.0] * 50 + [1.0] * 50) == Counts(edges=(0.0, 0.5, 1.0), counts=(0, 50, 0, 50), missing=0)
    assert measured("float", [7.0] * 5) == Counts(edges=(7.0,), counts=(0, 5), missing=0)


def test_missing_values_are_counted_apart() -> None:
    assert measured("float", [None, 7.0, None]) == Counts(edges=(7.0,), counts=(0, 1), missing=2)
    assert measured("string", ["a", None, "a"], "a") == Counts(values=("a",), counts=(2, 0), missing=1)
    assert measured("float", [None, None]) == Counts(counts=(0,), missing=2)
    assert measured("float", []) == Counts(counts=(0,), missing=0)


def test_what_is_no_number_is_counted_by_value() -> None:
    assert measured("string", ["b", "a", "b"], "a", "b") == Counts(values=("a", "b"), counts=(1, 2, 0), missing=0)
    assert measured("category", ["b"], "b", "c") == Counts(values=("b", "c"), counts=(1, 0, 0), missing=0)
    assert measured("boolean", [True, False, True]) == Counts(values=("False", "True"), counts=(1, 2, 0), missing=0)


def test_of_a_free_text_no_value_is_kept() -> None:
    assert measured("string", ["Ada Lovelace", None, "Alan Turing"]) == Counts(counts=(2,), missing=1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("date", ["2026-11-21", None, "1912-06-23"]),
        ("datetime", ["2026-11-21T10:00:00", None, "2026-11-22T10:00:00"]),
        ("tensor", [[1.0, 2.0], None, [3.0, 4.0]]),
    ],
)
def test_of_what_has_no_levels_only_the_gaps_are_counted(kind: FieldType, values: list[Any]) -> None:
    assert measured(kind, values) == Counts(counts=(2,), missing=1)


def test_what_is_not_counted_by_value_is_not_written_out() -> None:
    class Image(list[float]):
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __str__

    assert measured("tensor", [Image([1.0, 2.0]), None]) == Counts(counts=(1,), missing=1)


def test_whole_numbers_are_levels_of_a_category_as_texts_are() -> None:
    field = Field(name="x", type="category", dtype="category", levels=(1, 2, 10))
    fields = Signature(container="frame", inputs=(field,), output=Output(task="regression"))
    found = measure([("x", [10, 1, 10, None])], fields).fields["x"]
    assert found == Counts(values=("1", "2", "10"), counts=(1, 0, 2, 0), missing=1)


def test_columns_are_measured_one_by_one_in_the_order_of_the_signature() -> None:
    def columns() -> Iterator[tuple[str, list[Any]]]:
        yield "a", [1.0]
        yield "b", ["x"]

    assert list(measure(columns(), signature(a="float", b="string")).fields) == ["a", "b"]
    with pytest.raises(AssertionError):
        measure(columns(), signature(b="string", a="float"))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        measure(columns(), signature(a="float", b="string", c="float"))


def test_later_rows_are_counted_alike() -> None:
    before = measured("string", ["a", "b"], "a", "b")
    assert count(["b", "c", None, "d"], values=before.values) == Counts(values=("a", "b"), counts=(0, 1, 2), missing=1)
    numbers = measured("float", [float(number) for number in range(100)])
    after = count([-1e9, 1e9, None], edges=numbers.edges)
    assert (after.counts[0], after.counts[-1], sum(after.counts), after.missing) == (1, 1, 2, 1)
    assert count([], edges=numbers.edges).counts == (0,) * 10


def test_a_baseline_has_all_fields_and_comes_back_as_it_was() -> None:
    columns: dict[str, list[Any]] = {"n": [0.1, None, 0.3], "s": ["a", "b", None], "b": [True, None, False]}
    found = measure(columns.items(), signature(n="float", s="string", b="boolean"))
    assert found.rows == 3
    assert list(found.fields) == ["n", "s", "b"]
    assert Baseline.model_validate_json(found.model_dump_json()) == found
