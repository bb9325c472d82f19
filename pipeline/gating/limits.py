"""Limits: what a candidate has to reach by itself, over all rows or in slices of them.

accuracy>=0.9              over all rows
sex=F: accuracy>=0.8       over the rows with one value of a column
sex: accuracy>=0.8         over the rows of each value of it
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract.errors import PromotionRefused, SettingsRefused
from pipeline.gating import slices
from pipeline.gating.rows import Held

_FORM = re.compile(r"(?:(?P<column>.+?)(?:=(?P<value>.*))?:\s+)?(?P<metric>\w+)\s*(?P<sign>>=|<=|>|<)\s*(?P<least>\S+)")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

Measure = Callable[[Sequence[int] | None], Mapping[str, float]]
"""The metrics of the candidate over some of the rows, or over all."""


@dataclass(frozen=True, slots=True)
class Check:
    """A limit held against one set of rows."""

    rows: str
    """Which rows; empty for all."""
    limit: str
    value: float | None
    """None where these rows do not define the metric."""
    held: bool

    def __str__(self) -> str:
        where = f"{self.rows}: " if self.rows else ""
        found = "is not defined there" if self.value is None else f"is {self.value:.4g}"
        return f"{where}{self.limit.split(maxsplit=1)[0]} {found}, {self.limit.split(maxsplit=1)[1]} is asked for"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit."""

    metric: str
    sign: str
    bound: float
    column: str = ""
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit.

        Raises:
            ValueError: it has not the form of one.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"'{text}' is no limit; write 'accuracy>=0.9', 'sex=F: accuracy>=0.8' or 'sex: accuracy>=0.8'."
            )
        try:
            bound = float(found["least"])
        except ValueError:
            raise ValueError(f"'{found['least']}' in '{text}' is no number.") from None
        return cls(found["metric"], found["sign"], bound, found["column"] or "", found["value"])

    @classmethod
    def parse_all(cls, text: str) -> list[Limit]:
        """Read the limits of a setting, between which are semicolons.

        Raises:
            SettingsRefused: one of them has not the form of one.
        """
        try:
            return [cls.parse(part.strip()) for part in text.split(";") if part.strip()]
        except ValueError as error:
            raise SettingsRefused(f"LECTERN_TRAIN_LIMITS does not do: {error}") from None

    def checks(self, held: Held, measure: Measure) -> Iterator[Check]:
        """Hold the limit against the rows.

        Raises:
            PromotionRefused: there is no such metric, column or value.
        """
        if self.metric not in (known := measure(None)):
            raise PromotionRefused(f"No metric '{self.metric}' can be computed of these rows; there is {_all(known)}.")
        for name, rows in self._rows(held).items():
            value = measure(rows).get(self.metric)
            reached = value is not None and _SIGNS[self.sign](value, self.bound)
            yield Check(name, f"{self.metric} {self.sign} {self.bound:g}", value, reached)

    def _rows(self, held: Held) -> dict[str, list[int] | None]:
        if not self.column:
            return {"": None}
        if self.value is not None:
            return {f"{self.column}={self.value}": slices.having(held, self.column, self.value)}
        return {f"{self.column}={name}": rows for name, rows in slices.slices(held, self.column).items()}


def _all(names: Mapping[str, float]) -> str:
    return ", ".join(names) or "none"
