"""A signature: the ordered input fields of a model and what it answers, as typed data that travels in the manifest."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Scalar = bool | int | float | str
FieldType = Literal["float", "integer", "boolean", "string", "category"]


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
    nullable: bool = False
    unit: str = ""
    bounds: tuple[int | float, int | float] | None = None
    observed: tuple[int | float, int | float] | None = None
    levels: tuple[Scalar, ...] | None = None
    example: Scalar | None = None


class Output(Record):
    """What the model answers for one row."""

    task: Literal["classification", "regression"]
    labels: tuple[Scalar, ...] = ()
    """The classes as the fitted object calls them, in the order of its probabilities."""
    classes: tuple[Scalar, ...] = ()
    """The same classes as callers know them."""
    probabilities: bool = False

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.labels) != len(self.classes) or (self.task == "classification") != bool(self.labels):
            raise ValueError("each label has one class, and a regression has neither")
        return self


class Signature(Record):
    """The inputs in the order the fitted object takes them, and the output."""

    container: Literal["frame", "array"]
    """Whether the fitted object takes a DataFrame or a two-dimensional array."""
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
    def example(self) -> dict[str, Scalar | None]:
        """One row that the model can answer."""
        return {field.name: field.example for field in self.inputs}
