"""Cells: what the texts of one CSV column stand for. What stands for nothing stays a text, which the check refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pydantic_core import from_json

from contract.signature import Field, Signature, as_key

Parse = Callable[[Sequence[str]], Sequence[Any]]

_NUMERALS = re.compile(r"[-+.0-9eE,]*")
_NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "infinity": float("inf"), "-inf": -float("inf")}
_BOOLEANS = {"true": True, "false": False}


def parsers(signature: Signature, names: Sequence[str]) -> list[Parse]:
    """What reads each of these columns."""
    fields = {field.name: field for field in signature.inputs}
    return [_parser(fields[name]) for name in names]


def _parser(field: Field) -> Parse:
    match field.type:
        case "float" | "integer":
            return _numbers
        case "boolean":
            return partial(_each, _boolean)
        case "string":
            return partial(_each, _nothing if field.nullable else str)
        case "category":
            levels = {level if isinstance(level, str) else as_key(level): level for level in field.levels or ()}
            texts = {level: level for level in field.levels or () if isinstance(level, str)}  # they go before numbers
            if field.nullable:
                texts.pop("", None)
            return partial(_each, partial(_level, levels | texts))
        case "tensor":
            return partial(_each, _nested)
    return partial(_each, _nothing)


def _each(read: Callable[[str], Any], cells: Sequence[str]) -> list[Any]:
    return [read(cell) for cell in cells]


def _numbers(cells: Sequence[str]) -> list[Any]:
    """Numbers as JSON spells them."""
    joined = ",".join(cells)
    if _NUMERALS.fullmatch(joined):
        # one list of all is read much faster; what is no number alone is none in it, or one too many
        if "" in cells:
            joined = ",".join([cell or "null" for cell in cells])
        try:
            found: list[Any] = from_json(f"[{joined}]")
        except ValueError:
            pass
        else:
            if len(found) == len(cells):
                return found
    return _each(_number, cells)


def _number(cell: str) -> Any:
    if not cell:
        return None
    if _NUMERALS.fullmatch(cell) and "," not in cell:
        try:
            return from_json(cell)
        except ValueError:
            return cell
    return _NOT_FINITE.get(cell.lower(), cell)


def _boolean(cell: str) -> Any:
    return _BOOLEANS.get(cell.lower(), cell) if cell else None


def _nothing(cell: str) -> str | None:
    return cell or None


def _level(levels: dict[str, Any], cell: str) -> Any:
    """A level; 2 for 2.0 as JSON takes it, too."""
    found = levels.get(cell)
    if found is not None or not cell:
        return found
    return _BOOLEANS[cell.lower()] if cell.lower() in _BOOLEANS else _number(cell)


def _nested(cell: str) -> Any:
    """A tensor as JSON, in one cell."""
    if not cell:
        return None
    try:
        return from_json(cell)
    except ValueError:
        return cell
