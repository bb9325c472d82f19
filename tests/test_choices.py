"""pipeline.sweeping.choices: what a sweep tries."""

from __future__ import annotations

import math
from typing import Any

import pytest

from contract.errors import ParametersRefused
from pipeline.sweeping.choices import Range, combine, count, draw, grid, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50,100, 200", ["50", "100", "200"]),
        ("one", ["one"]),
        ("['a,b','c']", ["a,b", "c"]),
        ("[a, 'b,c', 1.5, null]", ["a", "b,c", 1.5, None]),
        ("[[64], [64, 32]]", [[64], [64, 32]]),
        ("1..100", Range(1, 100)),
        ("-1.5..1", Range(-1.5, 1)),
        ("1e-4..1e-1:log", Range(1e-4, 1e-1, log=True)),
        ("a..b", ["a..b"]),
        ("../data.csv", ["../data.csv"]),
    ],
)
def test_a_choice_is_read(text: str, expected: Any) -> None:
    assert repr(parse("x", text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,,2", r"^'x=1,,2' leaves a value empty; give values with commas between them, or a list such as"),
        ("", "leaves a value empty"),
        ("[]", "leaves a value empty"),
        ("[1,", "leaves a value empty"),
        ("5..1", r"^'x=5\.\.1' is no range: the first number must be the smaller one\.$"),
        ("1..1", "the first number must be the smaller one"),
        ("1..1e999", "is no range"),
        ("0..1:log", r"^'x=0\.\.1:log' is no range: with :log both numbers must be above 0\.$"),
    ],
)
def test_what_is_no_choice_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParametersRefused, match=message):
        parse("x", text)


def test_a_grid_is_every_combination() -> None:
    choices = {"a": parse("a", "1,2"), "b": parse("b", "x,y")}
    assert count(choices) == 4
    assert [tuple(found.values()) for found in grid(choices)] == [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]
    assert list(grid({})) == [{}]


def test_a_draw_is_the_same_for_a_seed_and_stays_in_its_ranges() -> None:
    choices = {
        "whole": parse("whole", "1..5"),
        "share": parse("share", "0.0..1"),
        "rate": parse("rate", "0.001..1000:log"),
        "kind": parse("kind", "a,b"),
    }
    drawn = draw(choices, 200, 7)
    assert (drawn, len(drawn)) == (draw(choices, 200, 7), 200)
    assert drawn != draw(choices, 200, 8)
    assert {found["whole"] for found in drawn} == {1, 2, 3, 4, 5}
    assert all(isinstance(found["whole"], int) and 0 <= found["share"] <= 1 for found in drawn)
    assert all(0.001 <= found["rate"] <= 1000 for found in drawn)
    small = sum(math.log10(found["rate"]) < 0 for found in drawn)
    assert 60 < small < 140, "half of the magnitudes lie below 1"
    assert {found["kind"] for found in drawn} == {"a", "b"}


def test_a_draw_gives_no_set_twice_and_no_more_than_there_are() -> None:
    drawn = draw({"a": parse("a", "1,2,3"), "b": parse("b", "1..2")}, 50, 0)
    assert len({tuple(found.values()) for found in drawn}) == len(drawn) == 6


def test_rows_are_crossed_with_choices() -> None:
    rows = [{"a": 1, "b": 0}, {"a": 2}]
    found = combine(rows, {"b": parse("b", "5,6")}, number=None, seed=0, unbounded=False)
    assert found == [{"a": 1, "b": "5"}, {"a": 1, "b": "6"}, {"a": 2, "b": "5"}, {"a": 2, "b": "6"}]
    assert combine(rows, {}, number=None, seed=0, unbounded=False) == rows


def test_a_range_needs_a_draw() -> None:
    with pytest.raises(ParametersRefused, match=r"^'a' is given as a range; --random N draws N sets of parameters"):
        combine([{}], {"a": parse("a", "1..5")}, number=None, seed=0, unbounded=True)


def test_too_many_runs_are_refused_unless_they_are_meant() -> None:
    choices = {name: parse(name, ",".join(map(str, range(11)))) for name in "abc"}
    message = r"^This sweep has 1,331 runs; --yes runs more than 1,000, --random N only N drawn ones\.$"
    with pytest.raises(ParametersRefused, match=message):
        combine([{}], choices, number=None, seed=0, unbounded=False)
    assert len(combine([{}], choices, number=None, seed=0, unbounded=True)) == 1331
    assert len(combine([{}], choices, number=30, seed=0, unbounded=False)) == 30
    with pytest.raises(ParametersRefused, match="This sweep has 2,000 runs"):
        combine([{}], choices, number=2000, seed=0, unbounded=False)
