"""Schemas: a signature as the types that requests are held to, as what callers are told of them, and as answers."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict

from contract import signature as contract
from contract.answers import Answers, Columns
from contract.signature import Signature
from serving.problems import MAX_ERRORS, FieldError, Problem, shortened

Row = dict[str, Any]

_TYPES: dict[contract.FieldType, Any] = {"float": float, "integer": int, "boolean": bool, "string": str}
_NOUNS: dict[contract.FieldType, str] = {
    "float": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "category": "one of the known texts",
}


class RequestSchema:
    """Reads the rows of a request for one signature."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self.signature = signature
        self.names = signature.names
        self.max_rows = max_rows
        row = row_type(signature)
        self._one: TypeAdapter[Row] = TypeAdapter(row)
        self._many: TypeAdapter[list[Row]] = TypeAdapter(
            Annotated[list[row], FailFast(), Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type, arg-type]  # built at run time
        )
        self._ranges = [(f.name, *f.observed, f.unit) for f in signature.inputs if f.observed]
        self._seen = [(f.name, frozenset(f.levels)) for f in signature.inputs if f.type == "string" and f.levels]

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
        for name, low, high, unit in self._ranges:
            value = row[name]
            if value is not None and not low <= value <= high:
                message = f"'{name}' lies outside the range the model saw, {_between(low, high, unit)}."
                found.append({"field": name, "kind": "out_of_range", "message": message})
        for name, levels in self._seen:
            if row[name] is not None and row[name] not in levels:
                found.append(
                    {"field": name, "kind": "unseen", "message": f"The model never saw this value of '{name}'."}
                )
        return found

    def _refusal(self, body: bytes, error: ValidationError) -> Problem:
        if not body.strip():
            empty = FieldError(field="", code="no_rows", message=f"The body is empty; {self._hint()}.")
            return Problem(422, "invalid_rows", empty.message, errors=[empty])
        details = error.errors(include_url=False, include_input=False)
        broken = details[0]["ctx"]["error"] if details[0]["type"] == "json_invalid" else _stray_constant(body)
        if broken:
            return Problem(400, "invalid_json", f"The body is not JSON: {broken}.")
        found = [self._field_error(detail) for detail in details[:MAX_ERRORS]]
        detail = found[0].message
        if len(details) > 1:
            detail += f" There {'is 1 more error' if len(details) == 2 else f'are {len(details) - 1} more errors'}."
        return Problem(422, "invalid_rows", detail, errors=found)

    def _field_error(self, detail: ErrorDetails) -> FieldError:
        place = list(detail["loc"])
        row = place.pop(0) if place and isinstance(place[0], int) else None
        name = str(place[0])[:80] if place else ""
        field = next((field for field in self.signature.inputs if field.name == name), None)
        code = _CODES.get(detail["type"], "invalid")
        if code == "out_of_bounds" and field and not field.bounds:
            code = "out_of_range"
        where = "" if row is None else f" in row {row}"
        shown = f"'{name}'"
        if code == "too_many_rows":
            message = f"The body is a list of more than {self.max_rows:,} rows; send fewer at a time."
        elif not place:
            shape = "an empty list" if code == "no_rows" else "no object"
            message = f"{'The body' if row is None else f'Row {row}'} is {shape}; {self._hint()}."
        elif code == "unknown_field":
            message = f"The model has no field {shown}{where}; its fields are {self._listed()}."
        elif code == "missing":
            message = f"The field {shown} is missing{where}."
        else:
            message = f"{shown}{where} must be {_wanted(field, code) if field else 'otherwise'}."
        return FieldError(field=name, code=code, message=shortened(message), row=row)

    def _hint(self) -> str:
        return f"send an object with {self._listed()}, or a list of such objects"

    def _listed(self) -> str:
        return ", ".join(self.names[:12]) + (", …" if len(self.names) > 12 else "")


_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "float_type": "wrong_type",
    "int_type": "wrong_type",
    "bool_type": "wrong_type",
    "string_type": "wrong_type",
    "dict_type": "wrong_type",
    "greater_than_equal": "out_of_bounds",
    "less_than_equal": "out_of_bounds",
    "finite_number": "not_finite",
    "literal_error": "unknown_category",
    "too_short": "no_rows",
    "too_long": "too_many_rows",
}


def row_type(signature: Signature) -> Any:
    """The type of one row: every field present, none unknown, each strictly of its type and within its bounds."""
    row = TypedDict("Row", {field.name: _annotation(field) for field in signature.inputs})  # type: ignore[misc]
    row.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return row


def input_schema(signature: Signature) -> dict[str, Any]:
    """The JSON schema of one row, with a real example."""
    schema = TypeAdapter(row_type(signature)).json_schema()
    return schema | {"title": "Row", "examples": [signature.example]}


def output_schema(signature: Signature) -> dict[str, Any]:
    """The JSON schema of the answer for one row."""
    output = signature.output
    warning = {
        "type": "object",
        "properties": {"field": {"type": "string"}, "kind": {"type": "string"}, "message": {"type": "string"}},
        "required": ["field", "kind", "message"],
    }
    if output.task == "regression":
        properties: dict[str, Any] = {"prediction": {"type": "number"}}
    else:
        properties = {"prediction": {"enum": list(output.classes), "description": "the class"}}
    if output.probabilities:
        share = {"type": "number", "minimum": 0, "maximum": 1}
        properties["confidence"] = share | {"description": "the probability of the predicted class"}
        names = [_key(name) for name in output.classes]
        properties["probabilities"] = {
            "type": "object",
            "properties": dict.fromkeys(names, share),
            "required": names,
            "additionalProperties": False,
        }
    properties["id"] = {"type": "string", "description": "names this prediction"}
    properties["warnings"] = {
        "type": "array",
        "items": warning,
        "description": "fields in which the row is unlike all that the model saw",
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def documents(answers: Answers, signature: Signature) -> list[dict[str, Any]]:
    """The answers as callers get them, one a row."""
    if answers.probabilities is None:
        return [{"prediction": value} for value in answers.values]
    names = [_key(name) for name in signature.output.classes]
    place = {name: index for index, name in enumerate(signature.output.classes)}
    return [
        {
            "prediction": value,
            "confidence": shares[place[value]],
            "probabilities": dict(zip(names, shares, strict=True)),
        }
        for value, shares in zip(answers.values, answers.probabilities, strict=True)
    ]


def _annotation(field: contract.Field) -> Any:
    kind: Any = Literal[field.levels] if field.type == "category" else _TYPES[field.type]
    limits = _limits(field)
    annotation: Any = Annotated[kind, Field(ge=limits[0], le=limits[1])] if limits else kind
    if field.nullable:
        annotation = annotation | None
    told = [field.unit] if field.unit else []
    if field.observed:
        told.append(f"the model saw {_between(*field.observed, field.unit)}")
    if field.type == "string" and field.levels:
        told.append(f"the model saw {', '.join(map(str, field.levels))}")
    return Annotated[annotation, Field(description="; ".join(told) or None, examples=[field.example])]


def _stray_constant(body: bytes) -> str:
    """Where a body holds NaN or Infinity, which pydantic reads and JSON does not have."""
    if b"NaN" in body or b"Infinity" in body:
        try:
            from_json(body, allow_inf_nan=False)
        except ValueError as error:
            return str(error)
    return ""


def _limits(field: contract.Field) -> tuple[int | float, int | float] | None:
    """The lowest and the highest value: as declared, and for an integer no more than the fitted object's type holds."""
    if field.type != "integer":
        return field.bounds
    sized = re.match(r"(u?)int(\d+)", field.dtype.lower())  # numpy's names, and pandas' with a capital
    unsigned, bits = (sized[1], int(sized[2])) if sized else ("", 64)
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if field.bounds:
        low, high = max(low, math.ceil(field.bounds[0])), min(high, math.floor(field.bounds[1]))
    return low, high


def _wanted(field: contract.Field, code: str) -> str:
    wanted = _NOUNS[field.type]
    if (field.bounds or code == "out_of_range") and (limits := _limits(field)):
        wanted += f" {_between(*limits, field.unit)}"
    if field.type == "category":
        levels = field.levels or ()
        wanted = f"one of {', '.join(map(str, levels[:12]))}{', …' if len(levels) > 12 else ''}"
    return wanted + (", or null" if field.nullable else "")


def _between(low: float, high: float, unit: str) -> str:
    return f"from {low:.10g} to {high:.10g}{' ' + unit if unit else ''}"


def _key(name: contract.Scalar) -> str:
    """A class as the key of a JSON object."""
    return str(name).lower() if isinstance(name, bool) else str(name)
