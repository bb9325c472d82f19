"""Requests: what rows a version takes, what it says of others, and what it warns of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict

from contract import signature as contract
from contract.answers import Columns
from contract.signature import Signature
from serving.fields import annotation, between, extremes, listed, observed, wanted
from serving.problems import MAX_ERRORS, FieldError, Problem, shortened

Row = dict[str, Any]

_LONGEST_NAME = 80


class RequestSchema:
    """Reads the rows of a request for one signature: values as JSON has them, each moment in one spelling."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self.signature = signature
        self.names = signature.names
        self.max_rows = max_rows
        row = row_type(signature)
        self._one: TypeAdapter[Row] = TypeAdapter(row)
        self._many: TypeAdapter[list[Row]] = TypeAdapter(
            Annotated[list[row], FailFast(), Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type, arg-type]  # built at run time
        )
        self._fields = {field.name: field for field in signature.inputs}
        seen = [(field, *found) for field in signature.inputs if (found := observed(field)) and 0 not in field.shape]
        self._ranges = [(f.name, low, high, _outside(f, low, high)) for f, low, high in seen if f.type != "tensor"]
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

    def columns(self, rows: list[Row]) -> Columns:
        """The rows by column."""
        return {name: [row[name] for row in rows] for name in self.names}

    def warnings(self, row: Row) -> list[dict[str, str]]:
        """The fields of a row in which it is unlike all rows that the model saw."""
        found = []
        for name, low, high, warning in self._ranges:
            value = row[name]
            if value is not None and not low <= value <= high:
                found.append(warning)
        for name, low, high, axes, warning in self._tensors:
            if row[name] is not None:
                least, greatest = extremes(row[name], axes)
                if least < low or greatest > high:
                    found.append(warning)
        for name, levels, warning in self._seen:
            if row[name] is not None and row[name] not in levels:
                found.append(warning)
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
        # of an element of a tensor that may be of two types each says what is wrong
        errors = {detail["loc"][: 2 if body.lstrip()[:1] == b"[" else 1]: detail for detail in reversed(details)}
        found = [self._field_error(detail) for detail in [*reversed(errors.values())][:MAX_ERRORS]]
        detail = found[0].message
        if len(errors) > 1:
            detail += f" There {'is 1 more error' if len(errors) == 2 else f'are {len(errors) - 1} more errors'}."
        return Problem(422, "invalid_rows", detail, errors=found)

    def _field_error(self, detail: ErrorDetails) -> FieldError:
        place = list(detail["loc"])
        row = place.pop(0) if place and isinstance(place[0], int) else None
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
