"""serving.pages.inputs: what a form asks with, for each kind of field."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signature import Field, Output, Signature
from serving.pages.inputs import Input, inputs


def asked(*fields: Field) -> list[Input]:
    return inputs(Signature(container="frame", inputs=fields, output=Output(task="regression")))


def field(kind: Any, dtype: str = "", **facts: Any) -> Field:
    return Field(name="f", type=kind, dtype=dtype, **facts)


@pytest.mark.parametrize(
    ("wanted", "kind", "value", "choices"),
    [
        (field("float", "float64", example=0.1), "number", "0.1", ()),
        (field("float", "float64", example=1e-7), "number", "1e-07", ()),
        (field("integer", "int64", example=2**53 + 1), "number", "9007199254740993", ()),
        (field("boolean", "bool", example=True), "choice", "true", (("true", "true"), ("false", "false"))),
        (field("category", "str", levels=("a", "ü"), example="ü"), "choice", '"ü"', (('"a"', "a"), ('"ü"', "ü"))),
        (field("category", "str", levels=("", "x"), example=""), "choice", '""', (('""', '""'), ('"x"', "x"))),
        (
            field("category", "object", levels=("1", 1, True, "true"), example=1),
            "choice",
            "1",
            (('"1"', '"1"'), ("1", "1"), ("true", "true"), ('"true"', '"true"')),
        ),
        (field("string", "str", example="two\nlines"), "text", "two\nlines", ()),
        (field("string", "str", levels=("a", "b"), example="b"), "text", "b", (("a", "a"), ("b", "b"))),
        (field("date", "datetime64[us]", example="2026-11-21"), "date", "2026-11-21", ()),
        (
            field("datetime", "datetime64[ns]", example="2026-11-21T01:02:03.123456"),
            "local",
            "2026-11-21T01:02:03.123",
            (),
        ),
        (
            field("datetime", "datetime64[us, UTC]", example="2026-11-21T01:02:03+00:00"),
            "zoned",
            "2026-11-21T01:02:03+00:00",
            (),
        ),
        (field("tensor", "float64", shape=(3,), example=[1.0, 2.0, 3.0]), "list", "", ()),
        (field("tensor", "uint8", shape=(8, 8)), "image", "", ()),
        (field("float", "float64"), "number", "", ()),
    ],
)
def test_each_kind_of_field_has_its_element(wanted: Field, kind: str, value: str, choices: Any) -> None:
    (found,) = asked(wanted)
    assert (found.kind, found.value, found.choices) == (kind, value, choices)


def test_a_field_says_what_it_is_and_whether_it_may_be_empty() -> None:
    wanted = field("float", "float64", unit="cm", nullable=True, observed=(1, 9), example=None)
    found, other = asked(wanted, field("float", "float64").model_copy(update={"name": "g"}))
    assert (found.id, found.name, found.unit, found.nullable, found.value) == ("field-0", "f", "cm", True, "")
    assert found.hint == "the model saw from 1 to 9"
    assert (other.id, other.name, other.nullable, other.hint) == ("field-1", "g", False, "")


NUMBERS = {"float": "float64", "integer": "int64"}


@pytest.mark.parametrize(
    ("kind", "observed", "bounds", "slider"),
    [
        ("float", (4.3, 7.9), None, ("4.3", "7.9", "0.02")),
        ("float", (0.13, 0.91), None, ("0.13", "0.91", "0.005")),
        ("float", (12, 240.5), None, ("12", "242", "2")),
        ("float", (-0.5, 1000), None, ("-10", "1000", "10")),
        ("float", (0, 1), (0.2, 0.4), ("0.2", "0.4", "0.002")),
        ("float", (0, 1), (0.203, 2), ("0.203", "1", "0.005")),
        ("float", (1e-300, 1e-299), None, None),
        ("float", (1e15, 1e15 + 50), None, ("1e+15", "1.00000000000005e+15", "0.5")),
        ("float", (0.0, 1e300), None, ("0", "1.01e+300", "1e+298")),
        ("integer", (1, 9), None, ("1", "9", "1")),
        ("integer", (0, 1234), None, ("0", "1240", "10")),
        ("integer", (0, 100), (3, 50), ("3", "50", "1")),
        ("integer", (-(2**62), 2**62), None, ("-4.65e+18", "4.65e+18", "5e+16")),
        ("float", (3, 3), None, None),
        ("float", (-1.7e308, 1.7e308), None, None),
        ("float", (1.7e18, 1.7e18 + 1024), None, None),
        ("float", (0, 5e-324), None, None),
        ("float", (0, 1), (2, 3), None),
        ("float", None, None, None),
        ("float", None, (0, 1), None),
    ],
)
def test_a_slider_goes_over_what_the_model_saw_and_not_beyond_what_is_allowed(
    kind: Any, observed: Any, bounds: Any, slider: Any
) -> None:
    (found,) = asked(field(kind, NUMBERS[kind], observed=observed, bounds=bounds))
    shown = found.slider and (found.slider.low, found.slider.high, found.slider.step)
    assert shown == slider


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.sampled_from(["float", "integer"]))
def test_every_slider_has_round_steps_and_reaches_all_that_was_seen(low: float, width: float, kind: Any) -> None:
    high = low + width
    (found,) = asked(field(kind, NUMBERS[kind], observed=(low, high)))
    assert found.slider is not None
    first, last, step = map(float, (found.slider.low, found.slider.high, found.slider.step))
    slack = 1e-9 * max(abs(low), abs(high), step)
    assert low - step - slack <= first <= low + slack
    assert high - slack <= last <= high + step + slack
    assert round(step / 10.0 ** math.floor(math.log10(step) + 1e-9), 9) in (1, 2, 5)
    assert kind == "float" or step >= 1
    assert width / step <= 250.0001
    assert step == 1 or width / step >= 99.9999


def levels(count: int, *of: Any) -> Field:
    return field("category", "str", levels=(*(f"level {n}" for n in range(count)), *of), example="level 1")


def test_many_levels_are_typed_and_not_chosen() -> None:
    assert [found.kind for found in asked(levels(200))] == ["choice"]
    (found,) = asked(levels(201))
    assert (found.kind, found.value, len(found.choices)) == ("text", "level 1", 100)
    assert [found.kind for found in asked(levels(201, 5))] == ["choice"]  # nobody could type which 5 it is
    numbers = field("category", "int64", levels=tuple(range(201)), example=7)
    assert [(found.kind, found.value) for found in asked(numbers)] == [("number", "7")]


def test_levels_of_many_fields_share_the_room() -> None:
    few = [levels(50).model_copy(update={"name": f"f{n}"}) for n in range(20)]
    assert {(found.kind, len(found.choices)) for found in asked(*few)} == {("choice", 50)}
    many = [levels(60).model_copy(update={"name": f"f{n}"}) for n in range(20)]
    assert {(found.kind, len(found.choices)) for found in asked(*many, levels(9))} == {("text", 47), ("choice", 9)}


def test_a_hundred_fields_are_a_form_and_more_are_one_text() -> None:
    fields = [field("float", "float64").model_copy(update={"name": f"f{n}"}) for n in range(101)]
    assert len(asked(*fields[:100])) == 100
    assert asked(*fields) == []


@pytest.mark.parametrize(
    ("shape", "dtype", "observed", "image"),
    [
        ((8, 6), "uint8", (0, 16), (8, 6, 1, False, True, 0.0, 16.0, True)),
        ((8, 6, 1), "float32", (0, 1), (8, 6, 1, False, False, 0.0, 1.0, False)),
        ((8, 6, 3), "float32", None, (8, 6, 3, False, False, 0.0, 255.0, False)),
        ((3, 8, 6), "int64", (-1, 1), (8, 6, 3, True, False, -1.0, 1.0, True)),
        ((4, 8, 4), "float64", None, (4, 8, 4, False, False, 0.0, 255.0, False)),
        ((3, 6), "float64", None, None),
        ((3, 8, 3), "float64", None, None),
        ((8, 6, 2), "float64", None, None),
        ((2, 8, 6), "float64", None, None),
        ((2, 8, 6, 3), "float64", None, None),
        ((64,), "float64", None, None),
    ],
)
def test_a_tensor_is_a_picture_where_it_can_be_one(shape: Any, dtype: str, observed: Any, image: Any) -> None:
    (found,) = asked(field("tensor", dtype, shape=shape, observed=observed))
    assert found.kind == ("image" if image else "list")
    if image and found.image:
        i = found.image
        assert (i.height, i.width, i.channels, i.channels_first, i.flat, i.low, i.high, i.whole) == image
