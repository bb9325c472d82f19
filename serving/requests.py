"""Requests: what rows a version takes, what it says of others, and what it warns of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict

from contract import signature as contract
from contract.answers import Columns
from contract.showing import listed
from contract.signature import Signature
from serving.fields import annotation, between, extremes, observed, wanted
from serving.problems import MAX_ERRORS, FieldError, Problem, shortened

Row = dict[str, Any]
Unlike = dict[int, list[dict[str, str]]]
"""Warnings by number of a row."""

LARGEST = 3.4028234663852886e38
"""The largest number that fits every type of a graph."""
_LONGEST_NAME = 80


class RequestSchema:
    """Reads the rows of a request for one signature: values as JSON has them, each moment in one spelling."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self.signature = signature
        self.names = signature.names
        self.max_rows = max_rows
        row = self._row = row_type(signature)
        self._one: TypeAdapter[Row] = TypeAdapter(row)
        self._many: TypeAdapter[list[Row]] = TypeAdapter(
            Annotated[list[row], FailFast(), Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type, arg-type]  # built at run time
        )
        self._fields = {field.name: field for field in signature.inputs}
        seen = [(field, *found) for field in signature.inputs if (found := observed(field)) and 0 not in field.shape]
        self._ranges = [(f.name, low, high, _outside(f, low, high)) for f, low, high in seen if f.type != "tensor"]
        known = {name: (low, high, warning) for name, low, high, warning in self._ranges}
        self.ranges = [known.get(name, (-LARGEST, LARGEST, {})) for name in self.names]
        """Of each field the lowest and the highest number that the model saw, and the warning beyond them."""
        self.read_one = self._one.validator.validate_json
        """Reads a body of one row; raises pydantic's own errors."""
        self._tensors = [
            (f.name, low, high, len(f.shape), _outside(f, low, high)) for f, low, high in seen if f.type == "tensor"
        ]
        self._seen = [
            (field.name, frozenset(field.levels), _unseen(field.name))
            for field in signature.inputs
            if field.type == "string" and field.levels
        ]

    def read(self, body: bytes) -> tuple[list[Row], bool]:
        """The rows of a JSON body, and whether it was a list of them.

        Raises:
            Problem: it is no JSON, or a row does not fit the signature.
        """
        many = body.lstrip()[:1] == b"["
        try:
            return (self._many.validate_json(body), True) if many else ([self._one.validate_json(body)], False)
        except ValidationError as error:
            raise self._refusal(body, error) from None

    @property
    def hint(self) -> str:
        """What to send."""
        return f"send rows with {listed(self.names)}"

    def check_names(self, names: Sequence[str]) -> Problem | None:
        """What is wrong with names that stand above all rows, in whatever order."""
        times = Counter(names)
        twice = [name for name in self.names if times[name] > 1]
        missing = [name for name in self.names if name not in times]
        unknown = [name for name in times if name not in self._fields]
        if not (twice or missing or unknown):
            return None
        found = [FieldError(field=n[:_LONGEST_NAME], code="duplicate_field", message=_twice(n)) for n in twice]
        details = [("missing", name) for name in missing] + [("extra_forbidden", name) for name in unknown]
        found += [self._field_error({"type": kind, "loc": (name,)}) for kind, name in details[:MAX_ERRORS]]
        return _refusal_of(found[:MAX_ERRORS], len(twice) + len(details))

    def check(self, rows: Sequence[Any], first: int) -> tuple[list[Row], Problem | None]:
        """The rows before one that does not fit, and what is wrong with that one; `first` is the first one's number."""
        try:
            return self._any_number.validate_python(rows), None
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            place = int(details[0]["loc"][0])
            return self._any_number.validate_python(rows[:place]), self._refused(details, in_list=True, first=first)

    def check_lines(self, lines: Sequence[bytes], first: int) -> tuple[list[Row], Problem | None]:
        """The same for rows that are still JSON, each one a line."""
        # as one list they are read much faster; lines that are not whole objects could make rows across the commas
        if all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
            try:
                rows = self._any_number.validate_json(b"[" + b"\n,".join(lines) + b"]")
            except ValidationError:
                pass
            else:
                if len(rows) == len(lines):
                    return rows, None
        rows = []
        for number, line in enumerate(lines, first):
            try:
                rows.append(self._one.validate_json(line))
            except ValidationError as error:
                return rows, self._refused_line(line, number, error)
        return rows, None

    @cached_property
    def _any_number(self) -> TypeAdapter[list[Row]]:
        return TypeAdapter(Annotated[list[self._row], FailFast()])  # type: ignore[name-defined, arg-type]  # built at run time

    def columns(self, rows: list[Row]) -> Columns:
        """The rows by column."""
        return {name: [row[name] for row in rows] for name in self.names}

    def unlike(self, columns: Columns) -> Unlike:
        """By number, the rows that are unlike all that the model saw, each with the fields in which they are."""
        found: dict[int, list[dict[str, str]]] = {}
        for name, low, high, warning in self._ranges:
            for i, value in enumerate(columns[name]):
                if value is not None and not low <= value <= high:
                    found.setdefault(i, []).append(warning)
        for name, low, high, axes, warning in self._tensors:
            for i, value in enumerate(columns[name]):
                if value is not None:
                    least, greatest = extremes(value, axes)
                    if least < low or greatest > high:
                        found.setdefault(i, []).append(warning)
        for name, levels, warning in self._seen:
            for i, value in enumerate(columns[name]):
                if value is not None and value not in levels:
                    found.setdefault(i, []).append(warning)
        return found

    def json_schema(self) -> dict[str, Any]:
        """What callers are told of one row, with a real example."""
        return _untitled(self._one.json_schema()) | {"title": "Row", "examples": [self.signature.example]}

    def _refusal(self, body: bytes, error: ValidationError) -> Problem:
        if not body.strip():
            empty = FieldError(field="", code="no_rows", message=f"The body is empty; {self._hint()}.")
            return Problem(422, "invalid_rows", empty.message, errors=[empty])
        details = error.errors(include_url=False, include_input=False)
        broken = details[0]["ctx"]["error"] if details[0]["type"] == "json_invalid" else _stray_constant(body)
        if broken:
            return Problem(400, "invalid_json", f"The body is not JSON: {broken}.")
        return self._refused(details, in_list=body.lstrip()[:1] == b"[")

    def _refused(self, details: Sequence[ErrorDetails], *, in_list: bool, first: int = 0) -> Problem:
        # of an element of a tensor that may be of two types each says what is wrong
        errors = {detail["loc"][: 2 if in_list else 1]: detail for detail in reversed(details)}
        found = [self._field_error(detail, first) for detail in [*reversed(errors.values())][:MAX_ERRORS]]
        return _refusal_of(found, len(errors))

    def _refused_line(self, line: bytes, number: int, error: ValidationError) -> Problem:
        details = error.errors(include_url=False, include_input=False)
        broken = details[0]["ctx"]["error"] if details[0]["type"] == "json_invalid" else _stray_constant(line)
        if broken:
            return Problem(400, "invalid_json", f"Row {number} is not JSON: {broken}.")
        for detail in details:
            detail["loc"] = (number, *detail["loc"])
        return self._refused(details, in_list=True)

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
            message = f"The body is a list of more than {self.max_rows:,} rows; send fewer at a time."
        elif not place:
            shape = "an empty list" if code == "no_rows" else "no object"
            message = f"{'The body' if row is None else f'Row {row}'} is {shape}; {self._hint()}."
        elif code == "unknown_field":
            message = f"The model has no field {quoted}{where}; its fields are {listed(self.names)}."
        elif code == "missing":
            message = f"The field {quoted} is missing{where}."
        else:
            message = f"{quoted}{where} must be {wanted(field, code) if field else 'otherwise'}."
        return FieldError(field=name, code=code, message=shortened(message), row=row)

    def _hint(self) -> str:
        return f"send an object with {listed(self.names)}, or a list of such objects"


_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "float_type": "wrong_type",
    "int_type": "wrong_type",
    "bool_type": "wrong_type",
    "string_type": "wrong_type",
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


def row_type(signature: Signature) -> Any:
    """The type of one row: every field present, none unknown, each strictly of its type and within its bounds."""
    row = TypedDict("Row", {field.name: annotation(field) for field in signature.inputs})  # type: ignore[misc]
    row.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return row


def _refusal_of(errors: Sequence[FieldError], number: int) -> Problem:
    detail, more = errors[0].message, number - 1
    if more:
        detail += f" There {'is 1 more error' if more == 1 else f'are {more} more errors'}."
    return Problem(422, "invalid_rows", detail, errors=errors)


def _twice(name: str) -> str:
    return shortened(f"The column '{name[:_LONGEST_NAME]}' stands there twice.")


def _outside(field: contract.Field, low: Any, high: Any) -> dict[str, str]:
    lies = "holds numbers" if field.type == "tensor" else "lies"
    message = f"'{field.name}' {lies} outside the range the model saw, {between(low, high, field.unit)}."
    return {"field": field.name, "kind": "out_of_range", "message": message}


def _unseen(name: str) -> dict[str, str]:
    return {"field": name, "kind": "unseen", "message": f"The model never saw this value of '{name}'."}


def _stray_constant(body: bytes) -> str:
    """Where a body holds NaN or Infinity, which pydantic reads and JSON does not have."""
    if b"NaN" in body or b"Infinity" in body:
        try:
            from_json(body, allow_inf_nan=False)
        except ValueError as error:
            return str(error)
    return ""


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a row without the titles that pydantic makes of names: they change how units are spelled."""
    fields = {name: {k: v for k, v in field.items() if k != "title"} for name, field in schema["properties"].items()}
    return schema | {"properties": fields}
