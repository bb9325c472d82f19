"""Refusals: what is said of rows that do not fit a signature, in the same words for whatever form they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from contract.showing import listed
from contract.signature import Signature
from serving.fields import wanted
from serving.problems import MAX_ERRORS, FieldError, Problem, shortened

Place = tuple[int | str, ...]
"""Of what is wrong: the number of a row in a list, and the name of a field."""
_LONGEST_NAME = 80


class Refusals:
    """Words the problems of rows for one signature."""

    def __init__(self, signature: Signature, max_rows: int, max_text_chars: int | None = None) -> None:
        self._names = signature.names
        self._fields = {field.name: field for field in signature.inputs}
        self._max_rows, self._max_text_chars = max_rows, max_text_chars

    @property
    def hint(self) -> str:
        """What to send."""
        return f"send rows with {listed(self._names)}"

    def check_names(self, names: Sequence[str]) -> Problem | None:
        """What is wrong with names that stand above all rows, in whatever order."""
        times = Counter(names)
        twice = [name for name in self._names if times[name] > 1]
        missing = [name for name in self._names if name not in times]
        unknown = [name for name in times if name not in self._fields]
        if not (twice or missing or unknown):
            return None
        found = [FieldError(field=n[:_LONGEST_NAME], code="duplicate_field", message=_twice(n)) for n in twice]
        details = [("missing", name) for name in missing] + [("unknown_field", name) for name in unknown]
        found += [self._field_error({"type": kind, "loc": (name,)}) for kind, name in details[:MAX_ERRORS]]
        return _refusal_of(found[:MAX_ERRORS], len(twice) + len(details))

    def empty(self) -> Problem:
        """The refusal of a body that holds nothing."""
        told = f"The body is empty; {self._hint()}."
        return Problem(422, "invalid_rows", told, errors=[FieldError(field="", code="no_rows", message=told)])

    def misfits(
        self, details: Sequence[ErrorDetails], *, in_list: bool, first: int = 0, beyond: Sequence[Place] = ()
    ) -> Problem:
        """What is wrong with rows, of which the `first` has that number.

        Args:
            details: what pydantic says.
            in_list: whether its places begin with the number of a row.
            first: what is added to that.
            beyond: the places of what is no field.
        """
        # of an element of a tensor that may be of two types each says what is wrong
        errors: list[Mapping[str, Any]] = [
            *reversed({detail["loc"][: 2 if in_list else 1]: detail for detail in reversed(details)}.values()),
            *({"type": "unknown_field", "loc": place} for place in beyond[:MAX_ERRORS]),
        ]
        found = [self._field_error(detail, first) for detail in errors[:MAX_ERRORS]]
        return _refusal_of(found, len(errors) + len(beyond[MAX_ERRORS:]))

    def _field_error(self, detail: Mapping[str, Any], first: int = 0) -> FieldError:
        place = list(detail["loc"])
        row = first + place.pop(0) if place and isinstance(place[0], int) else None
        field = self._fields.get(str(place[0])) if place else None
        name = str(place[0])[:_LONGEST_NAME] if place else ""
        code = (_TENSOR_CODES if place else _CODES).get(detail["type"]) or _CODES.get(detail["type"], "invalid")
        if code == "out_of_bounds" and field and not field.bounds:
            code = "out_of_range"
        where = "" if row is None else f" in row {row}"
        quoted = f"'{name}'"
        if code == "too_many_rows":
            message = f"The body is a list of more than {self._max_rows:,} rows; send fewer at a time."
        elif not place:
            shape = "an empty list" if code == "no_rows" else "no object"
            message = f"{'The body' if row is None else f'Row {row}'} is {shape}; {self._hint()}."
        elif code == "unknown_field":
            message = f"The model has no field {quoted}{where}; its fields are {listed(self._names)}."
        elif code == "missing":
            message = f"The field {quoted} is missing{where}."
        elif code == "too_long":
            message = f"{quoted}{where} must have no more than {self._max_text_chars:,} characters."
        else:
            message = f"{quoted}{where} must be {wanted(field, code) if field else 'otherwise'}."
        return FieldError(field=name, code=code, message=shortened(message), row=row)

    def _hint(self) -> str:
        return f"send an object with {listed(self._names)}, or a list of such objects"


_CODES = {
    "missing": "missing",
    "unknown_field": "unknown_field",
    "float_type": "wrong_type",
    "int_type": "wrong_type",
    "bool_type": "wrong_type",
    "string_type": "wrong_type",
    "string_too_long": "too_long",
    "list_type": "wrong_type",
    "dict_type": "wrong_type",
    "greater_than_equal": "out_of_bounds",
    "less_than_equal": "out_of_bounds",
    "out_of_range": "out_of_range",
    "finite_number": "not_finite",
    "literal_error": "unknown_category",
    "unknown_category": "unknown_category",
    "invalid_date": "invalid_date",
    "too_short": "no_rows",
    "too_long": "too_many_rows",
}
_TENSOR_CODES = {"too_short": "wrong_shape", "too_long": "wrong_shape"}


def _refusal_of(errors: Sequence[FieldError], number: int) -> Problem:
    detail, more = errors[0].message, number - 1
    if more:
        detail += f" There {'is 1 more error' if more == 1 else f'are {more} more errors'}."
    return Problem(422, "invalid_rows", detail, errors=errors)


def _twice(name: str) -> str:
    return shortened(f"The column '{name[:_LONGEST_NAME]}' stands there twice.")
