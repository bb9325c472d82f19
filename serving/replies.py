"""Replies: answers as callers get them. What the output of a version asks for is prepared once, when it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NamedTuple

from pydantic_core import to_json

from contract.answers import Answers
from contract.errors import PredictionFailed
from contract.signature import Output, as_key
from serving.requests import Row, Unlike
from serving.rounding import Rounding
from serving.writing import Part, flat, members, spelled

Document = dict[str, Any]


class Reply(NamedTuple):
    """The reply to one request, and what it says: the rows, the answers, the rows' warnings by number."""

    body: bytes
    rows: list[Row]
    answers: Answers
    unlike: Unlike
    request_id: str
    many: bool = False
    """Whether the rows came in a list."""
    numbers: list[int] | None = None
    """Which rows of the list they are; None: all."""

    @property
    def ids(self) -> list[str]:
        """The names of the predictions, one a row."""
        if not self.many:
            return [self.request_id]
        return [f"{self.request_id}-{number}" for number in self.numbers or range(len(self.rows))]


_MISFIT = "The model answered something that does not fit its signature."
_TYPES = {"float": "number", "integer": "integer", "boolean": "boolean", "string": "string"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_WARNING = {
    "type": "object",
    "properties": {"field": {"type": "string"}, "kind": {"type": "string"}, "message": {"type": "string"}},
    "required": ["field", "kind", "message"],
}


class ReplySchema:
    """Turns answers into documents for one output, and says what is in them."""

    def __init__(self, output: Output, answers: Answers, rounding: Rounding | None = None) -> None:
        """Prepare the replies.

        Args:
            output: what the version answers.
            answers: one or more of its answers; they tell one decision value from several.
            rounding: how much of the scores is told; None: all.
        """
        self.output = output
        self.rounding = rounding if output.scores else None
        self._keys: tuple[str, ...] = ()
        """What the values of an answer or its scores are called."""
        self._place = {name: index for index, name in enumerate(output.classes)}
        self._scores = "probabilities" if output.scores == "probabilities" else "scores"
        self._form: Callable[[Any, Any], Document] = self._plain
        if output.width is not None and output.task != "multilabel":
            if output.names:
                self._keys, self._form = output.names, self._named
        elif output.scores == "decisions" and output.task != "multilabel" and _is_single(answers):
            self._form = self._single
        elif output.scores:
            self._keys = tuple(map(as_key, output.classes))
            with_confidence = output.scores == "probabilities" and output.task != "multilabel"
            self._form = self._with_confidence if with_confidence else self._scored
        self.document: Callable[[Any, Any], Document] = self._form if self.rounding is None else self._rounded
        """Of the value and the scores of one answer; raises whatever Python raises where they are of another output."""

    def documents(self, answers: Answers) -> list[Document]:
        """The answers as callers get them, one a row.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        try:
            scores: Iterable[Any] = repeat(None, len(answers.values)) if answers.scores is None else answers.scores
            return [self.document(*pair) for pair in zip(answers.values, scores, strict=True)]
        except (LookupError, TypeError, ValueError):
            raise PredictionFailed(_MISFIT) from None

    def parts(self, answers: Answers) -> list[Part]:
        """The documents as JSON, without their last brace: many are written faster by column than by row.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        try:
            return self._parts(answers.values, answers.scores)
        except (LookupError, TypeError, ValueError):
            raise PredictionFailed(_MISFIT) from None

    def _parts(self, values: list[Any], scores: Any) -> list[Part]:
        if self.rounding is not None:
            if self.rounding.leaves_out(len(self._keys)):
                return [[to_json(self._rounded(*pair))[:-1] for pair in zip(values, scores, strict=True)]]
            scores = [self.rounding.all(row) for row in scores]
        if self._form == self._named:
            return [b'{"prediction":', *members(self._keys, flat(values, len(self._keys), len(values)))]
        parts: list[Part] = [b'{"prediction":', spelled(values)]
        if self._form == self._plain:
            return parts
        if self._form == self._single:
            return [*parts, b',"score":', flat(scores, 1, len(values))]
        width = len(self._keys)
        texts = flat(scores, width, len(values))
        if self._form == self._with_confidence:
            begins = range(0, len(texts), width)
            confidence = [texts[i + self._place[value]] for i, value in zip(begins, values, strict=True)]
            parts += [b',"confidence":', confidence]
        return [*parts, b',"%b":' % self._scores.encode(), *members(self._keys, texts)]

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of one document."""
        properties = {"prediction": self._prediction()}
        scores, several = self.output.scores, self._form in (self._with_confidence, self._scored)
        if self._form == self._with_confidence:
            properties["confidence"] = _SHARE | {"description": "the probability of the predicted class"}
        if self._form == self._single:
            properties["score"] = {"type": "number", "description": "the model's decision value"}
        elif several and scores == "probabilities":
            properties["probabilities"] = _object(self._keys, _SHARE)
        elif several:
            properties["scores"] = _object(self._keys, {"type": "number"}) | {
                "description": "the model's decision value for each class"
            }
        for name in ("confidence", "score", "probabilities", "scores"):
            if self.rounding is not None and name in properties:
                properties[name] = _told(properties[name], self.rounding)
        properties["id"] = {"type": "string", "description": "names this prediction"}
        properties["warnings"] = {
            "type": "array",
            "items": _WARNING,
            "description": "fields in which the row is unlike all that the model saw",
        }
        return {"type": "object", "properties": properties, "required": list(properties)}

    def _prediction(self) -> dict[str, Any]:
        output = self.output
        one: dict[str, Any] = {"enum": list(output.classes)} if output.classes else {"type": _TYPES[output.type]}
        if output.task == "multilabel":
            return {"type": "array", "items": one, "uniqueItems": True, "description": "the labels that apply"}
        if output.names:
            return _object(output.names, one)
        if output.width is not None:
            return {"type": "array", "items": one, "minItems": output.width, "maxItems": output.width}
        if not output.classes:
            return one
        cut = f", {output.classes[-1]!r} from {output.threshold:g} on" if output.threshold is not None else ""
        return one | {"description": f"the class{cut}"}

    def _rounded(self, value: Any, scores: list[float]) -> Document:
        assert self.rounding is not None  # chosen only then
        found, told = self._form(value, scores), self.rounding.all(scores)
        for name in found.keys() & {"confidence", "score"}:
            found[name] = self.rounding.one(found[name])
        if self._scores in found:
            found[self._scores] = {key: score for key, score in zip(self._keys, told, strict=True) if score is not None}
        return found

    def _plain(self, value: Any, _: Any) -> Document:
        return {"prediction": value}

    def _named(self, values: Any, _: Any) -> Document:
        return {"prediction": dict(zip(self._keys, values, strict=True))}

    def _single(self, value: Any, scores: list[float]) -> Document:
        (score,) = scores
        return {"prediction": value, "score": score}

    def _scored(self, value: Any, scores: list[float]) -> Document:
        return {"prediction": value, self._scores: dict(zip(self._keys, scores, strict=True))}

    def _with_confidence(self, value: Any, scores: list[float]) -> Document:
        shares = dict(zip(self._keys, scores, strict=True))
        return {"prediction": value, "confidence": scores[self._place[value]], "probabilities": shares}


def _is_single(answers: Answers) -> bool:
    return answers.scores is not None and all(len(scores) == 1 for scores in answers.scores)


def _told(schema: dict[str, Any], rounding: Rounding) -> dict[str, Any]:
    """The schema of what is told of scores."""
    found = dict(schema)
    said = [schema["description"]] if "description" in schema else []
    if "properties" not in schema:
        rounding = Rounding(rounding.places)
    elif rounding.leaves_out(len(schema["properties"])):
        del found["required"]
        found["minProperties"] = found["maxProperties"] = rounding.most
    said += [str(rounding)] if str(rounding) else []
    return found | ({"description": ", ".join(said)} if said else {})


def _object(keys: Iterable[str], values: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has just these keys."""
    required = list(keys)
    properties = dict.fromkeys(required, values)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
