"""Rules: how much is allowed in how long a time, as settings spell it: `100/second; 5000 per 2 hours`."""

from __future__ import annotations

import re
from typing import NamedTuple

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 30 * 86_400}
_RULE = re.compile(
    rf"\s*([0-9]{{1,15}})\s*(?:/|\bper\b)\s*([0-9]{{1,4}})?\s*({'|'.join(_SECONDS)})s?\s*", re.IGNORECASE
)
_BETWEEN = re.compile("[;,|]")


class Rule(NamedTuple):
    """So much in any period of this length."""

    amount: int
    period_s: int
    period: str
    """The period in words, as in `100 requests per …`."""


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of a text, in the spelling of the library `limits`.

    Raises:
        ValueError: it is none.
    """
    return tuple(map(_rule, _BETWEEN.split(text)))


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None or not int(found[1]) or found[2] == "0":
        raise ValueError(f"'{text.strip()}' is no limit: give one such as 100/second, 5000/hour or 20 per 5 minutes")
    several, unit = int(found[2] or 1), found[3].lower()
    return Rule(int(found[1]), several * _SECONDS[unit], unit if several == 1 else f"{several} {unit}s")
