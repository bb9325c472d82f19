"""Truths: what may be true of a prediction, in the form of the model's answers."""

from __future__ import annotations

import math
from typing import Any

from contract.showing import cut, listed, shown
from contract.signature import Output, Scalar, as_key
from serving.tables.layout import BETWEEN

_WORDS = {"float": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a text"}
_MOST_NAMED, _LONGEST_NAME = 20, 40


class Unfit(ValueError):
    """It cannot be true of such a prediction; says what could."""


def fitted(truth: Any, output: Output) -> Any:
    """A truth in the form of the model's answers, so that the two can be compared.

    A text may spell what is no text, as a table of CSV does: `3.5`, `true`, the labels `a; b`. Of labels an object may
    say which apply.

    Raises:
        Unfit: it is none that this output could have.
    """
    if output.task == "transform":  # of which nothing is ever true
        return truth
    if output.task == "multilabel":
        return _labels(truth, output)
    if output.width is None:
        return _one(truth, output)
    values = truth
    if isinstance(truth, dict) and output.names and truth.keys() == set(output.names):
        values = [truth[name] for name in output.names]
    if not isinstance(values, list) or len(values) != output.width:
        named = f" or an object with {listed(output.names)}" if output.names else ""
        raise Unfit(f"a list of {output.width} values{named}")
    return [_one(value, output) for value in values]


def _labels(truth: Any, output: Output) -> list[Scalar]:
    entries = truth
    if isinstance(truth, str):
        entries = truth.split(BETWEEN) if truth else []
    elif isinstance(truth, dict) and all(flag in (0, 1) for flag in truth.values()):
        entries = [name for name, applies in truth.items() if applies]
    if not isinstance(entries, list):
        raise Unfit(f"a list of {_named(output)}")
    found = [_class(entry, output) for entry in entries]
    return [name for name in output.classes if name in found]


def _one(truth: Any, output: Output) -> Scalar:
    return _class(truth, output) if output.classes else _open(truth, output.type)


def _class(truth: Any, output: Output) -> Scalar:
    """The class that is meant: 1 and true are two, 1 and 1.0 are one."""
    for name in output.classes:
        if isinstance(truth, str) and truth == as_key(name):
            return name
        if name == truth and isinstance(name, bool) == isinstance(truth, bool):
            return name
    raise Unfit(f"one of {_named(output)}")


def _open(truth: Any, kind: str) -> Scalar:
    text = truth if isinstance(truth, str) else None
    if kind == "string" and text is not None:
        return text
    if kind == "boolean" and (isinstance(truth, bool) or text in ("true", "false")):
        return truth if text is None else text == "true"
    if kind in ("float", "integer") and isinstance(truth, int | float | str) and not isinstance(truth, bool):
        try:
            number = float(truth)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and (kind == "float" or number.is_integer()):
            return number if kind == "float" else int(truth if text is None else number)
    raise Unfit(_WORDS[kind])


def _named(output: Output) -> str:
    return listed((cut(shown(name), _LONGEST_NAME) for name in output.classes), _MOST_NAMED)
