"""Choices: the sets of parameters that a sweep tries, from what was written on the command line or in a file.

`a=1,2` are two values, and so are `a=['x,y', 'z']`, in Python's or YAML's words, for values that hold commas; `a=1..9`
is a range to draw from, `a=0.001..1:log` one whose magnitudes are as likely. A grid takes every combination, a draw
some of them.
"""

from __future__ import annotations

import ast
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from contract.errors import ParametersRefused

MAX_RUNS = 1_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?P<log>:log)?")
_DRAWS_PER_RUN = 100


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from `low` to `high`, both included; whole ones if both are whole."""

    low: int | float
    high: int | float
    log: bool = False

    def draw(self, source: random.Random) -> int | float:
        """A number, each as likely as any other; with `log`, its logarithm is."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if self.log:
            drawn = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
            return round(drawn) if whole else min(max(drawn, self.low), self.high)
        return source.randint(int(self.low), int(self.high)) if whole else source.uniform(self.low, self.high)


Choice: TypeAlias = list[Any] | Range
"""The values that one parameter may take."""


def parse(name: str, text: str) -> Choice:
    """The choice that is written as `name=text`.

    Raises:
        ParametersRefused: it is no list, no range and no values with commas between them.
    """
    text = text.strip()
    if found := _RANGE.fullmatch(text):
        return _range(name, found)
    values = _list(text) if text.startswith("[") else [part.strip() for part in text.split(",")]
    if not values or "" in values:
        raise ParametersRefused(
            f"'{name}={text[:60]}' leaves a value empty; give values with commas between them, "
            "or a list such as \"['a,b', 'c']\"."
        )
    return values


def count(choices: Mapping[str, Choice]) -> int:
    """How many combinations there are.

    Raises:
        ParametersRefused: one of the choices is a range, which has no end of them.
    """
    for name, choice in choices.items():
        if isinstance(choice, Range):
            raise ParametersRefused(f"'{name}' is given as a range; --random N draws N sets of parameters from it.")
    return math.prod(len(choice) for choice in choices.values() if isinstance(choice, list))


def grid(choices: Mapping[str, Choice]) -> Iterator[dict[str, Any]]:
    """Every combination, the last name varying fastest."""
    lists = [choice for choice in choices.values() if isinstance(choice, list)]
    return (dict(zip(choices, values, strict=True)) for values in itertools.product(*lists))


def draw(choices: Mapping[str, Choice], number: int, seed: int) -> list[dict[str, Any]]:
    """`number` different combinations, or as many as a fair number of draws finds; the same for the same seed."""
    source = random.Random(seed)
    found: dict[str, dict[str, Any]] = {}
    for _ in range(number * _DRAWS_PER_RUN):
        drawn = {
            name: choice.draw(source) if isinstance(choice, Range) else source.choice(choice)
            for name, choice in choices.items()
        }
        found.setdefault(json.dumps(drawn, sort_keys=True, default=str), drawn)
        if len(found) == number:
            break
    return list(found.values())


def combine(
    rows: Sequence[Mapping[str, Any]], choices: Mapping[str, Choice], *, number: int | None, seed: int, unbounded: bool
) -> list[dict[str, Any]]:
    """The sets of a sweep: each of `rows` with every combination of the choices, or with `number` drawn ones.

    Raises:
        ParametersRefused: they are more than a sweep should have and not meant to be `unbounded`, or a choice is a
            range and nothing is drawn.
    """
    runs = len(rows) * (count(choices) if number is None else number)
    if runs > MAX_RUNS and not unbounded:
        raise ParametersRefused(
            f"This sweep has {runs:,} runs; --yes runs more than {MAX_RUNS:,}, --random N only N drawn ones."
        )
    combinations = list(grid(choices)) if number is None else draw(choices, number, seed)
    return [{**row, **combination} for row in rows for combination in combinations]


def _range(name: str, found: re.Match[str]) -> Range:
    low, high = (int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text) for text in found.group("low", "high"))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ParametersRefused(f"'{name}={found[0]}' is no range: the first number must be the smaller one.")
    if found["log"] and low <= 0:
        raise ParametersRefused(f"'{name}={found[0]}' is no range: with :log both numbers must be above 0.")
    return Range(low, high, log=bool(found["log"]))


def _list(text: str) -> list[Any]:
    import yaml

    try:
        found = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            found = None
    return found if isinstance(found, list) else []
