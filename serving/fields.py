"""Fields: one input of a signature as the type that requests are held to, and in words."""

from __future__ import annotations

import math
import re
from html import escape
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import Field as Limits
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from contract import describing
from contract.showing import listed, shown
from contract.signature import Field, FieldType, Scalar
from serving.moments import Moments

_TYPES: dict[FieldType, Any] = {"float": float, "integer": int, "boolean": bool}
_LARGEST = {"float16": 65504.0, "float32": 3.4028234663852886e38}
_ELEMENTS: dict[str, Any] = {
    "int": (int, "whole number"),
    "bool": (bool, "true or false value"),
    "float": (float, "number"),
    # a column of lists keeps 1 and 1.0 apart, as the rows of the fit did
    "list": (
        Annotated[int | Annotated[float, Limits(allow_inf_nan=False)], WithJsonSchema({"type": "number"})],
        "number",
    ),
}


def annotation(field: Field, max_text_chars: int | None = None) -> Any:
    """The type of one field, strictly, with its bounds and what callers are told of it."""
    match field.type:
        case "date" | "datetime":
            kind = Moments(field).annotation
        case "category":
            kind = _one_of(field.levels or ())
        case "tensor":
            kind = _nested(field)
        case "string":
            kind = Annotated[str, Limits(max_length=max_text_chars)]
        case _:
            kind = _limited(_TYPES[field.type], field)
    if field.nullable:
        kind = kind | None
    # the example of a tensor would be most of the document; that of the row has it
    examples = None if field.type == "tensor" else [field.example]
    return Annotated[kind, Limits(description=escape(described(field), quote=False) or None, examples=examples)]


def limits(field: Field) -> tuple[int | float, int | float] | None:
    """The lowest and the highest number: as declared, and no more than the fitted object's type holds."""
    dtype = field.dtype.lower()  # numpy's names, and pandas' with a capital
    if _is_whole(field):
        sized = re.match(r"(u?)int(\d+)", dtype)
        unsigned, bits = (sized[1], int(sized[2])) if sized else ("", 64)
        low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if field.bounds:
            low, high = max(low, math.ceil(field.bounds[0])), min(high, math.floor(field.bounds[1]))
        return low, high
    if field.type in ("float", "tensor") and dtype in _LARGEST:
        least, most = field.bounds or (-math.inf, math.inf)
        return max(least, -_LARGEST[dtype]), min(most, _LARGEST[dtype])
    return field.bounds


def wanted(field: Field, code: str) -> str:
    """What a field must be, for who sent something else."""
    match field.type:
        case "date" | "datetime":
            moments = Moments(field)
            told = moments.noun
            if code == "out_of_range":
                low, high = moments.limits or ("0001-01-01", "9999-12-31")
                told = f"{told.partition(' such as ')[0].rstrip(',')} {between(low, high)}"
        case "category":
            told = f"one of {listed([shown(level) for level in field.levels or ()])}"
        case _:
            told = _shape(field) if field.type == "tensor" else describing.ONE[field.type]
            found = limits(field) if field.bounds or code == "out_of_range" else None
            told += f" {between(*found, field.unit)}" if found else ""
    return told + (", or null" if field.nullable else "")


def observed(field: Field) -> tuple[Any, Any] | None:
    """The least and the greatest value that the model saw, to be compared with what requests hold."""
    if field.observed is None or field.type not in ("date", "datetime"):
        return field.observed
    low, high = (Moments(field).canonical(str(moment)) for moment in field.observed)
    return low, high


def extremes(tensor: list[Any], axes: int) -> tuple[Any, Any]:
    """The least and the greatest number of a nested list."""
    for _ in range(axes - 1):
        tensor = list(chain.from_iterable(tensor))
    return min(tensor), max(tensor)


def between(low: float | str, high: float | str, unit: str = "") -> str:
    """A range in words."""
    first, last = (end if isinstance(end, str) else f"{end:.10g}" for end in (low, high))
    return f"from {first} to {last}{' ' + unit if unit else ''}"


def described(field: Field) -> str:
    """What callers should know of a field beside its type: its unit, and what the model saw."""
    found = [field.unit] if field.unit else []
    if field.type == "tensor":
        found.append(_shape(field))
    if field.type == "datetime":
        found.append("with an offset" if Moments(field).kind == "zoned" else "without an offset")
    if field.type == "category" and field.ordered:
        found.append(f"from low to high: {listed([shown(level) for level in field.levels or ()])}")
    if seen := observed(field):
        found.append(f"the model saw {between(*seen, field.unit)}")
    if field.type == "string" and field.levels:
        found.append(f"the model saw {listed([shown(level) for level in field.levels])}")
    if field.sensitive:
        found.append("sensitive: what is sent is not kept")
    return "; ".join(found)


def _limited(kind: Any, field: Field) -> Any:
    found = limits(field)
    return Annotated[kind, Limits(ge=found[0], le=found[1])] if found else kind


def _one_of(levels: tuple[Scalar, ...]) -> Any:
    if levels and all(isinstance(level, str) for level in levels):
        return Literal[levels]
    # Literal takes true and 1.0 for 1
    known = {(type(level), level): level for level in levels}
    for level in levels:
        if isinstance(level, float) and level.is_integer():
            known.setdefault((int, int(level)), level)

    def one(value: Any) -> Scalar:
        if isinstance(value, Scalar) and (type(value), value) in known:
            return known[type(value), value]
        raise PydanticCustomError("unknown_category", "none of the levels")

    return Annotated[Any, PlainValidator(one), WithJsonSchema({"enum": list(levels)})]


def _nested(field: Field) -> Any:
    kind: Any = _limited(_element(field)[0], field)
    for length in reversed(field.shape):
        kind = Annotated[list[kind], Limits(min_length=length, max_length=length, fail_fast=True)]
    return kind


def _element(field: Field) -> tuple[Any, str]:
    return _ELEMENTS[(re.match(r"u?(int|bool|list)", field.dtype.lower()) or ["", "float"])[1]]  # type: ignore[no-any-return]


def _is_whole(field: Field) -> bool:
    return field.type == "integer" or (field.type == "tensor" and _element(field)[0] is int)


def _shape(field: Field) -> str:
    """Such as "28 lists of 28 numbers"."""
    *outer, last = field.shape
    words = [f"{length} list{'s' * (length != 1)}" for length in outer] or ["a list"]
    return " of ".join([*words, f"{last} {_element(field)[1]}{'s' * (last != 1)}"])
