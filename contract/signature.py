"""A signature: the ordered input fields of a model and what it answers, as typed data that travels in the manifest."""

from __future__ import annotations

from html import escape
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from contract import describing
from contract.showing import as_printed

Scalar = bool | int | float | str
FieldType = Literal["float", "integer", "boolean", "string", "category", "date", "datetime", "tensor"]
Container = Literal["frame", "polars", "array", "sparse", "column", "list", "series", "records"]
Task = Literal["classification", "multilabel", "regression", "clustering", "outliers", "transform"]


class Record(BaseModel):
    """Part of the manifest: never changed after it was made, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, defer_build=True)


class Field(Record):
    """One input.

    `bounds` and the `levels` of a category are what the author declared: a value outside is refused.
    `observed` and the `levels` of a string are what the rows held: a value outside is answered with a warning.
    """

    name: str
    type: FieldType
    dtype: str
    """How the fitted object had the column (numpy's or pandas' name)."""
    column: int | None = None
    """The column's own label where it is a number."""
    nullable: bool = False
    unit: str = ""
    shape: tuple[int, ...] = ()
    """Of a tensor: the length of each axis."""
    ordered: bool = False
    """Of a category: whether its levels go from low to high."""
    bounds: tuple[int | float, int | float] | None = None
    observed: tuple[int | float, int | float] | tuple[str, str] | None = None
    """The least and the greatest value seen; of dates and times in ISO 8601, of a tensor over all its elements."""
    levels: tuple[Scalar, ...] | None = None
    sensitive: bool = False
    """Whether its values never leave the request: none is kept, logged, counted or shown; the example is drawn."""
    example: JsonValue = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.type == "tensor") != bool(self.shape) or any(length < 1 for length in self.shape):
            raise ValueError("a tensor, and nothing else, has axes, each of at least one element")
        if self.type == "category" and not self.levels:
            raise ValueError("a category has levels")
        if self.observed and isinstance(self.observed[0], str) != (self.type in ("date", "datetime")):
            raise ValueError("dates and times, and nothing else, are observed between texts")
        if self.sensitive and (self.observed or (self.type == "string" and self.levels)):
            raise ValueError("of a sensitive field nothing is kept that the rows held")
        return self


class Output(Record):
    """What the model answers for one row."""

    task: Task
    labels: tuple[Scalar, ...] = ()
    """What the fitted object can answer, in the order of its scores; empty where that is open, as for numbers."""
    classes: tuple[Scalar, ...] = ()
    """The same as callers know them."""
    type: Literal["float", "integer", "boolean", "string"] = "float"
    """Of one value, where `classes` does not say."""
    width: int | None = None
    """How many values an answer has, where it is not just one."""
    names: tuple[str, ...] = ()
    """What these values are called, where that is known."""
    scores: Literal["", "probabilities", "decisions"] = ""
    """What comes with the labels: a share of one for each, or decision values: one for each, or one in all."""
    rule: Literal["predict", "largest", "threshold"] = "predict"
    """How a label is chosen: by `predict`, as that of the largest score, or the second one from `threshold` on."""
    threshold: float | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(self.labels) != len(self.classes) or len(set(map(as_key, self.classes))) != len(self.classes):
            raise ValueError("each label has one class of its own, also where they are keys of an object")
        if self.labels and self.task in ("regression", "transform"):
            raise ValueError("numbers have no labels")
        if self.task == "multilabel" and not self.labels:
            raise ValueError("a row's labels are some of those that are known")
        if (self.scores == "probabilities" or self.rule != "predict") and not self.labels:
            raise ValueError("probabilities and a choice between scores are for known labels")
        if self.rule != "predict" and not self.scores:
            raise ValueError("a choice between scores needs them")
        if (self.rule == "threshold") != (self.threshold is not None):
            raise ValueError("a threshold is what the rule of that name needs")
        if self.threshold is not None and self.task != "multilabel" and len(self.labels) != 2:
            raise ValueError("a threshold decides between two classes")
        if self.names and not len(self.names) == len(set(self.names)) == self.width:
            raise ValueError("each of several values has a name of its own, or none has")
        return self

    @property
    def numeric(self) -> bool:
        """Whether answers are measured quantities, which may differ by a rounding, not labels."""
        return not self.labels and self.type == "float"


def as_key(name: Scalar) -> str:
    """A class as the key of a JSON object."""
    return str(name).lower() if isinstance(name, bool) else str(name)


class Signature(Record):
    """The inputs in the order the fitted object takes them, and the output."""

    container: Container
    """What the fitted object takes: a DataFrame, an array of n rows, a list of n values, …"""
    inputs: tuple[Field, ...]
    output: Output

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if not 0 < len(set(self.names)) == len(self.inputs):
            raise ValueError("there is at least one input, and no two have the same name")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(field.name for field in self.inputs)

    @property
    def example(self) -> dict[str, JsonValue]:
        """One row that the model can answer."""
        return {field.name: field.example for field in self.inputs}

    def __str__(self) -> str:
        return f"{describing.fields(self.inputs)}\n{describing.answer(self.output)}"

    _repr_pretty_ = as_printed

    def _repr_html_(self) -> str:
        return f"<div>{describing.fields(self.inputs).html()}<p>{escape(describing.answer(self.output))}</p></div>"
