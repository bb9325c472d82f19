"""Describing: what a model takes and what it answers, as a table of its fields and in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from contract.showing import Table, cut, listed, one_line, shown

if TYPE_CHECKING:
    from contract.signature import Field, Output

_ALWAYS = ("field", "type", "example")
ONE = {"float": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a text"}
"""One value of each type in words."""
_MANY = {"float": "numbers", "integer": "whole numbers", "boolean": "times true or false", "string": "texts"}
_NOUN = {"classification": ("class", "classes"), "clustering": ("group", "groups"), "multilabel": ("label", "labels")}
_WITH = {"probabilities": ", with the probability of each", "decisions": ", with decision values", "": ""}
_LONGEST_VALUE = 40


def fields(inputs: Iterable[Field]) -> Table:
    """The fields of a model, one in a row; a column that would be empty is left out."""
    rows = [_row(field) for field in inputs]
    names = [name for name in rows[0] if name in _ALWAYS or any(row[name] for row in rows)]
    return Table.of({name: row[name] for name in names} for row in rows)


def answer(output: Output) -> str:
    """What a model answers for one row, in one sentence."""
    return one_line(f"Answers {_closed(output) if output.classes else _open(output)}.")


def _row(field: Field) -> dict[str, str]:
    levels = _some(field.levels or (), between=" < " if field.ordered else ", ")
    category = field.type == "category"
    return {
        "field": field.name,
        "type": f"{field.type} {'×'.join(map(str, field.shape))}".strip() + " or null" * field.nullable,
        "unit": field.unit,
        "allowed": levels if category else _range(field.bounds),
        "observed": _range(field.observed) or ("" if category else levels),
        "note": "sensitive" if field.sensitive else "",
        "example": "" if field.example is None else _plain(field.example),
    }


def _some(values: Iterable[object], between: str = ", ") -> str:
    return listed((cut(shown(value), _LONGEST_VALUE) for value in values), between=between)


def _range(limits: tuple[float | str, float | str] | None) -> str:
    return " to ".join(limit if isinstance(limit, str) else f"{limit:.10g}" for limit in limits or ())


def _plain(example: object) -> str:
    return cut(example if isinstance(example, str) else json.dumps(example, ensure_ascii=False), _LONGEST_VALUE)


def _closed(output: Output) -> str:
    """One or several of the classes that are known."""
    with_scores, cut_off = _WITH[output.scores], ""
    first, last = (cut(shown(output.classes[i]), _LONGEST_VALUE) for i in (0, -1))
    if output.threshold is not None:
        cut_off = f"; {'a label applies' if output.task == 'multilabel' else last} from {output.threshold:g} on"
    if output.task == "multilabel":
        said = f"any of {_counted(output)}"
    elif output.task == "outliers":  # the labels are -1 and 1, in this order
        said = f"{first} for an outlier, {last} for any other row"
    else:
        said = f"one of {_counted(output)}"
    return said + with_scores + cut_off


def _counted(output: Output) -> str:
    count = len(output.classes)
    return f"{count:,} {_NOUN[output.task][count != 1]} ({_some(output.classes)})"


def _open(output: Output) -> str:
    """Values of a type, of which any may come."""
    if output.width is not None:
        named = f": {listed(cut(name, _LONGEST_VALUE) for name in output.names)}" if output.names else ""
        return f"{output.width:,} {_MANY[output.type]}{named}"
    noun = f"a {_NOUN[output.task][0]}, " if output.task in _NOUN else ""
    return noun + ONE[output.type]
