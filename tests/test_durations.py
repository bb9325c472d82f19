"""contract.durations: durations as people write them."""

from __future__ import annotations

import pytest

from contract.durations import seconds
from contract.errors import SettingsRefused


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), (" 0.5d ", 43_200), ("2w", 1_209_600)],
)
def test_a_number_and_its_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1e3s", "0d", "0.0h", "1y", "1d 2h", "٣d", "9" * 20 + "s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsRefused, match="is no duration; write a number and its unit, as 90s, 30m"):
        seconds(text)
