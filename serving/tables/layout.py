"""The layout of answers: the documents of one version, and the flat columns that a table has for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from contract.answers import Answers, ArrayAnswers
from contract.errors import PredictionFailed
from contract.signature import Field, Output, Scalar, as_key
from serving.loading import Served
from serving.rounding import Rounding
from serving.tables.chunk import Chunk

Kind = Literal["float", "integer", "unsigned", "boolean", "string"]
BETWEEN = "; "
"""What stands between several texts in one cell."""


class Column(NamedTuple):
    """One column of a table of answers."""

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    """Of nested lists: the length of each axis."""


@dataclass(frozen=True, slots=True)
class Picked:
    """The values of a column, each one of a few: n places among `choices`."""

    places: Any
    choices: Sequence[Scalar]

    def tolist(self) -> list[Scalar]:
        """The values."""
        return [self.choices[place] for place in self.places.tolist()]


class Layout:
    """How the answers of one version to one stream are written."""

    def __init__(self, served: Served, request_id: str, *, echo: bool) -> None:
        self.request_id = request_id
        self.max_rows = served.schema.max_rows
        self.origin = {"model": served.model, "version": served.version}
        self._echo = echo
        self._replies = served.replies
        self._signature = served.manifest.signature
        self._output = self._signature.output
        self._example = served.example
        self._place = {value: index for index, value in enumerate(self._output.classes)}

    def documents(self, chunk: Chunk, answers: Answers) -> list[dict[str, Any]]:
        """The answers as JSON has them.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        found = self._replies.documents(answers)
        for index, document in enumerate(found):
            document["id"] = f"{self.request_id}-{chunk.first + index}"
            document["warnings"] = chunk.unlike.get(index, ())
        if self._echo:
            for document, row in zip(found, chunk.rows(), strict=True):
                document["input"] = row
        return found

    @cached_property
    def columns(self) -> list[Column]:
        """All columns of a table, in order."""
        predictions = predicted(self._output, self._example)
        taken = {column.name for column in predictions} | {"id", "warnings", "error"}
        inputs = [self._input(field, taken) for field in self._signature.inputs] if self._echo else []
        return [*inputs, *predictions, *(Column(name, "string") for name in ("id", "warnings", "error"))]

    def values(self, chunk: Chunk, answers: Answers) -> list[Any]:
        """The values of all columns but the last three: lists, arrays of numpy, or `Picked`.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        try:
            found = self._answered(answers)
        except (LookupError, TypeError, ValueError):
            raise PredictionFailed("The model answered something that does not fit its signature.") from None
        return [*(chunk.columns[name] for name in self._signature.names if self._echo), *found]

    def warnings(self, chunk: Chunk) -> dict[int, str]:
        """The texts of the column `warnings` that are not empty, by place in the chunk."""
        return {i: BETWEEN.join(f"{w['field']} {w['kind']}" for w in found) for i, found in chunk.unlike.items()}

    def _input(self, field: Field, taken: set[str]) -> Column:
        name = f"input.{field.name}" if field.name in taken else field.name
        if field.type == "category":
            return Column(name, _kind(field.levels or ()))
        dtype = field.dtype.lower()
        kind: Kind = "string"
        if field.type == "integer":
            kind = "unsigned" if dtype == "uint64" else "integer"
        elif field.type == "tensor":
            kind = "boolean" if dtype == "bool" else "integer" if dtype.lstrip("u").startswith("int") else "float"
        elif field.type in ("float", "boolean"):
            kind = field.type
        return Column(name, kind, field.shape)

    def _answered(self, answers: Answers) -> list[Any]:
        """The values of the columns that are `predicted`."""
        output, example = self._output, self._example
        scores: Any = None
        if isinstance(answers, ArrayAnswers):
            places, scores = answers.array, answers.score_array
            if answers.classes:
                found: list[Any] = [Picked(places, self._choices)]
            else:
                found = [places] if output.width is None else list(places.T)
        else:
            if output.task == "multilabel":
                found = [[BETWEEN.join(map(as_key, labels)) for labels in answers.values]]
            elif output.width is not None:
                found = [spelled(values, output) for values in zip(*answers.values, strict=True)]
            else:
                found = [spelled(answers.values, output)]
            if "confidence" in example:
                places = np.array([self._place[value] for value in answers.values], dtype=np.intp)
            if answers.scores is not None:
                scores = np.array(answers.scores, dtype=np.float64)
        rounding = self._replies.rounding
        if "confidence" in example:
            confidence = scores[np.arange(len(scores)), places]
            found.append(confidence if rounding is None else [rounding.one(share) for share in confidence.tolist()])
        if example.keys() & {"score", "probabilities", "scores"}:
            found += list(scores.T) if rounding is None else _told(scores.tolist(), rounding)
        if len(found) != len(predicted(output, example)):
            raise ValueError("not a column for each number")
        return found

    @cached_property
    def _choices(self) -> list[Scalar]:
        return spelled(self._output.classes, self._output)


def predicted(output: Output, example: Mapping[str, Any]) -> list[Column]:
    """The columns of what is predicted; `example` is one answer as JSON has it."""
    kind: Kind = _kind(output.classes) if output.classes else output.type
    if output.task == "multilabel":
        found = [Column("prediction", "string")]
    elif output.width is not None:
        found = [Column(f"prediction.{name}", kind) for name in output.names or range(output.width)]
    else:
        found = [Column("prediction", kind)]
    found += [Column(name, "float") for name in ("confidence", "score") if name in example]
    for name in ("probabilities", "scores"):
        found += [Column(f"{name}.{as_key(value)}", "float") for value in output.classes if name in example]
    return found


def _told(scores: list[list[float]], rounding: Rounding) -> list[list[float | None]]:
    """What is told of scores, by column."""
    return [list(column) for column in zip(*map(rounding.all, scores), strict=True)]


def spelled(values: Sequence[Any], output: Output) -> list[Any]:
    """Answers as their column has them: where classes are of several kinds, as texts."""
    mixed = _kind(output.classes) == "string" and not all(isinstance(value, str) for value in output.classes)
    return [as_key(value) for value in values] if mixed else list(values)


def _kind(values: Sequence[Scalar]) -> Kind:
    """What a column must be to hold these; texts where they are of several kinds."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    return "float" if kinds and kinds <= {int, float} else "string"
