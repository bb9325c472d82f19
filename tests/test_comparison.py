"""serving.comparison: what is better, what differs, and what the gate said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request

from contract.metric_names import direction
from contract.promotions import Promotion
from serving.comparison import compare
from serving.pages.rendering import page
from tests import gallery
from tests.promoting import promotion
from tests.samples import manifest


def compared(one: Any, two: Any, *entries: Promotion, **changes: Any) -> Any:
    return compare("m", Shown(1, metrics=one), Shown(2, metrics=two, **changes), list(entries))  # type: ignore[arg-type]


class Shown:
    """As much of an artifact as a comparison reads."""

    def __init__(self, number: int, **changes: Any) -> None:
        self.folder, self.manifest = Path(str(number)), manifest(**changes)


@pytest.mark.parametrize(
    ("name", "was", "now", "better"),
    [
        ("accuracy", 0.8, 0.9, True),
        ("accuracy", 0.9, 0.8, False),
        ("rmse", 2.0, 1.0, True),
        ("rmse", 1.0, 2.0, False),
        ("rmse", 1.0, 1.0, None),
        ("oddity", 1.0, 2.0, None),
        ("accuracy", None, 2.0, None),
        ("accuracy", 1.0, None, None),
    ],
)
def test_better_is_said_where_it_is_known(name: str, was: float | None, now: float | None, better: bool | None) -> None:
    one, two = ({} if value is None else {name: value} for value in (was, now))
    (line,) = compared(one, two).metrics
    assert (line.metric, line.first, line.second, line.better) == (name, was, now, better)
    assert name != "oddity" or direction(name) is None


def test_what_differs_is_listed_and_what_is_the_same_is_not() -> None:
    found = compared({}, {}, parameters={"a": 1}, environment={"python": "3.11"}, signature=gallery.rents())
    assert [(one.name, one.first, one.second) for one in found.parameters] == [("a", None, 1)]
    assert [(one.name, one.first, one.second) for one in found.environment] == [("python", None, "3.11")]
    assert "'area' is new" in found.callers
    assert "'x0' is not taken any more" in found.callers
    same = compared({}, {})
    assert (same.parameters, same.environment, same.callers, same.gate) == ([], [], [], None)


@pytest.mark.parametrize(
    "gate", [None, {}, {"verdict": "promoted"}, gallery.GATE | {"table": "<b>"}, gallery.GATE | {"rows": "many"}]
)
def test_a_gate_that_another_hand_wrote_is_passed_over(gate: Any) -> None:
    ours = promotion(version=2, before=1, gate=gallery.GATE)
    strange = promotion(version=2, before=1, gate=gate)
    assert compared({}, {}, strange).gate is None
    assert compared({}, {}, ours, strange).gate.reason == gallery.GATE["reason"]
    turned = promotion(version=1, before=2, gate=gallery.GATE)
    assert compared({}, {}, turned).gate is None


def test_the_last_gate_counts() -> None:
    entries = [promotion(version=2, before=1, gate=gallery.GATE | {"reason": reason}) for reason in ("old", "new")]
    assert compared({}, {}, *entries).gate.reason == "new"


def test_figures_and_values_are_short() -> None:
    asked = Request({"type": "http", "method": "GET", "path": "/models/m/compare", "headers": []})

    def shown(**metrics: float) -> list[str]:
        text = bytes(page(asked, "compare.html", found=compared(metrics, {})).body).decode()
        return re.findall(r'<td class="number">([^<]+)</td>', text)

    found = shown(a=0.0, b=1 / 3, c=1e-7, d=123456.789, e=1e9, f=-0.0004)
    assert found == ["0.0000", "0.3333", "1e-07", "123456.7890", "1e+09", "-0.0004"]
