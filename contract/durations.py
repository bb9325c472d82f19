"""Durations as people write them: `90s`, `30m`, `12h`, `7d`, `2w`."""

from __future__ import annotations

import re

from contract.errors import SettingsRefused

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])")


def seconds(text: str) -> float:
    """How many seconds a duration has.

    Raises:
        SettingsRefused: it is none, or no time at all.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise SettingsRefused(f"'{text[:40]}' is no duration; write a number and its unit, as 90s, 30m, 12h, 7d or 2w.")
    return float(found[1]) * _SECONDS[found[2]]
