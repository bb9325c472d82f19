"""Inputs: how one row is asked for in a form. A table says which element each kind of field gets."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contract.signature import Field, Scalar, Signature
from serving.fields import described, limits
from serving.moments import Moments

Kind = Literal["number", "choice", "text", "date", "local", "zoned", "list", "image"]

MOST_INPUTS = 100
"""A signature with more fields is asked for as one text of JSON."""
_MOST_CHOICES = 200
"""Of so many levels the browser still shows a list; of more it takes a text."""
_MOST_HINTS = 100
_MOST_TOGETHER = 1_000
"""Of more levels in all fields together each field gets its share, else they would be most of the page."""
_CHANNELS = (1, 3, 4)
_STEPS = 100
"""How many steps a slider has, at least half of them."""
_LEAST_RANGE = 1e-290


@dataclass(frozen=True, slots=True)
class Slider:
    """A range to slide over: what the model saw, rounded outwards to whole steps."""

    low: str
    high: str
    step: str


@dataclass(frozen=True, slots=True)
class Image:
    """A tensor that a picture can stand for: h by w by channels."""

    height: int
    width: int
    channels: int
    channels_first: bool
    flat: bool
    """Whether there is no axis for the channel."""
    low: float
    high: float
    """Black and white."""
    whole: bool
    """Whether its numbers are whole."""


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the form."""

    id: str
    name: str
    kind: Kind
    value: str
    """What stands in it at first; of a choice the JSON of the level. Of tensors it is asked for, they are large."""
    nullable: bool
    unit: str
    hint: str
    slider: Slider | None = None
    choices: tuple[tuple[str, str], ...] = ()
    """Of a choice: the JSON of each level, and how it is shown. Of a text: what the model saw."""
    image: Image | None = None


def inputs(signature: Signature) -> list[Input]:
    """The form of a signature; empty where it has too many fields for one."""
    if len(signature.inputs) > MOST_INPUTS:
        return []
    levels = sum(len(field.levels or ()) for field in signature.inputs)
    most = _MOST_CHOICES if levels <= _MOST_TOGETHER else min(_MOST_CHOICES, _MOST_TOGETHER // len(signature.inputs))
    return [_input(f"field-{number}", field, most) for number, field in enumerate(signature.inputs)]


def _input(place: str, field: Field, most: int) -> Input:
    kind, facts = _kind(field, most)
    value = "" if field.example is None or field.type == "tensor" else _value(kind, field.example)
    hint = described(field.model_copy(update={"unit": ""}))  # which stands beside the name
    if kind == "zoned":
        hint = hint.replace("with an offset", "in your own time zone", 1)
    return Input(place, field.name, kind, value, field.nullable, field.unit, hint, **facts)


def _kind(field: Field, most: int) -> tuple[Kind, dict[str, Any]]:
    levels = field.levels or ()
    kinds = set(map(type, levels))
    match field.type:
        case "float" | "integer":
            return "number", {"slider": _slider(field)}
        case "boolean":
            return "choice", {"choices": (("true", "true"), ("false", "false"))}
        case "category" if len(levels) <= most or not (kinds == {str} or kinds <= {int, float}):
            return "choice", {"choices": _choices(levels)}
        case "category" if str not in kinds:
            return "number", {}
        case "category" | "string":
            seen = [str(level) for level in levels[: min(most, _MOST_HINTS)]]
            on_one_line = not any(set(text) & {"\n", "\r"} for text in (*seen, str(field.example)))
            return "text", {"choices": tuple((level, level) for level in seen if on_one_line)}
        case "date" | "datetime":
            return Moments(field).kind, {}
    image = _image(field)
    return ("image", {"image": image}) if image else ("list", {})


def _value(kind: Kind, example: Any) -> str:
    if kind in ("choice", "number"):
        return _json(example)
    text = str(example)
    return text[:23] if kind == "local" else text  # a browser's clock has milliseconds


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _choices(levels: Sequence[Scalar]) -> tuple[tuple[str, str], ...]:
    """The levels; a text stands there as it is, where it can be seen and is not taken for another level."""
    others = {_json(level) for level in levels if not isinstance(level, str)}

    def shown(level: Scalar) -> str:
        plain = isinstance(level, str) and level == " ".join(level.split()) and level not in {"", *others}
        return str(level) if plain else _json(level)

    return tuple((_json(level), shown(level)) for level in levels)


def _slider(field: Field) -> Slider | None:
    if field.observed is None:
        return None
    low, high = (float(end) for end in field.observed)
    if field.bounds:
        low, high = max(low, field.bounds[0]), min(high, field.bounds[1])
    if not _LEAST_RANGE < high - low < math.inf:
        return None
    step = _step((high - low) / _STEPS, whole=field.type == "integer")
    lowest, highest = (math.floor(low / step) * step, math.ceil(high / step) * step)
    if ends := limits(field):
        lowest, highest = max(lowest, ends[0]), min(highest, ends[1])
    found = Slider(*(f"{number:.15g}" for number in (lowest, highest, step)))
    return found if found.low != found.high else None  # so large that all of it looks the same


def _step(size: float, *, whole: bool) -> float:
    """The largest of 1, 2, 5, 10, … times a power of ten up to a size; of whole numbers at least 1."""
    power = 10.0 ** math.floor(math.log10(size))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= size * (1 + 1e-9))
    return max(1.0, step) if whole else step


def _image(field: Field) -> Image | None:
    shape = field.shape
    match shape:
        case (height, width):
            channels, first = 1, False
        case (height, width, channels) if channels in _CHANNELS:
            first = False
        case (channels, height, width) if channels in _CHANNELS:
            first = True
        case _:
            return None
    if min(height, width) < 4 or field.dtype.lower() == "bool":
        return None
    low, high = (float(end) for end in field.observed or (0, 255))
    whole = field.dtype.lower().startswith(("int", "uint"))
    return Image(height, width, channels, first, len(shape) == 2, low, high, whole)
