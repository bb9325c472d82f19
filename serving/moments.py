"""Moments: dates and times as requests write them and as models get them, in ISO 8601.

A text that a caller sent → checked → the one spelling of that moment, in which texts sort as the moments do.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from contract.signature import Field

Kind = Literal["date", "local", "zoned"]

_DAY = "-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_REST = {
    "date": _DAY,
    "local": f"{_DAY}([Tt ]{_TIME})?",
    "zoned": f"{_DAY}[Tt ]{_TIME}([Zz]|[+-][0-9]{{2}}:?[0-5][0-9])",
}
"""What follows the year."""
_MIDNIGHT = r"([Tt ]00:00(:00(\.0{1,9})?)?)?"
"""How DataFrames write days as JSON: taken as well, for it says no more than the day."""
_ANY_YEAR = "[0-9]{4}"
_YEARS_OF_NANOSECONDS = "(16(7[89]|[89][0-9])|1[7-9][0-9]{2}|2[01][0-9]{2}|22([0-5][0-9]|6[01]))"
"""Those that fit as a whole."""
_LIMITS_OF_NANOSECONDS = {
    "date": ("1677-09-22", "2262-04-11"),
    "local": ("1677-09-22T00:00:00", "2262-04-11T23:47:16.854775"),
    "zoned": ("1677-09-22T00:00:00+00:00", "2262-04-11T00:00:00+00:00"),  # in whichever zone it is shown
}
"""What fits into 64 bits of them."""
_FORMATS = {"date": "date", "local": "date-time-local", "zoned": "date-time"}
_NOUNS = {
    "date": "a date such as 2026-11-21",
    "local": "a date and time without an offset, such as 2026-11-21T14:30:00",
    "zoned": "a date and time with its offset, such as 2026-11-21T14:30:00+01:00",
}


class Moments:
    """What texts one field of dates or times takes."""

    def __init__(self, field: Field) -> None:
        zoned = "," in field.dtype  # datetime64[ns, Europe/Berlin]
        self.kind: Kind = "date" if field.type == "date" else "zoned" if zoned else "local"
        self.noun = _NOUNS[self.kind]
        nanoseconds = field.dtype.startswith("datetime64[ns")
        self.limits = _LIMITS_OF_NANOSECONDS[self.kind] if nanoseconds else None
        self._pattern = re.compile(_ANY_YEAR + _REST[self.kind] + (_MIDNIGHT if self.kind == "date" else ""))
        self._years = _YEARS_OF_NANOSECONDS if nanoseconds else _ANY_YEAR

    @property
    def annotation(self) -> Any:
        """The type of such a text."""
        shown = {
            "type": "string",
            "format": _FORMATS[self.kind],
            "pattern": f"^{self._years}{_REST[self.kind]}$",
        }
        return Annotated[str, AfterValidator(self.read), WithJsonSchema(shown)]

    def read(self, text: str) -> str:
        """The one spelling of the moment that a text names: a time with an offset in UTC, a day as its midnight.

        Raises:
            PydanticCustomError: it names none, or one that the fitted object's type cannot hold.
        """
        try:
            if not self._pattern.fullmatch(text):
                raise ValueError
            moment = self._parsed(text.upper())
        except OverflowError:
            raise PydanticCustomError("out_of_range", "beyond the years 1 to 9999") from None
        except ValueError:
            raise PydanticCustomError("invalid_date", "no such date or time") from None
        if self.limits and not self.limits[0] <= moment <= self.limits[1]:
            raise PydanticCustomError("out_of_range", "beyond what the type holds")
        return moment

    def canonical(self, observed: str) -> str:
        """The one spelling of a moment that a signature names."""
        return self._parsed(observed)

    def _parsed(self, text: str) -> str:
        if self.kind == "date":
            return date.fromisoformat(text[:10]).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if self.kind == "zoned" else moment).isoformat()
