"""Replies: answers as callers get them. What the output of a version asks for is prepared once, when it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contract.answers import Answers
from contract.errors import PredictionFailed
from contract.signature import Output, as_key

Document = dict[str, Any]

_TYPES = {"float": "number", "integer": "integer", "boolean": "boolean", "string": "string"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_WARNING = {
    "type": "object",
    "properties": {"field": {"type": "string"}, "kind": {"type": "string"}, "message": {"type": "string"}},
    "required": ["field", "kind", "message"],
}


class ReplySchema:
    """Turns answers into documents for one output, and says what is in them."""

    def __init__(self, output: Output, answers: Answers) -> None:
        """Prepare the replies.

        Args:
            output: what the version answers.
            answers: one or more of its answers; they tell one decision value from several.
        """
        self.output = output
        self._keys: tuple[str, ...] = ()
        """What the values of an answer or its scores are called."""
        self._place = {name: index for index, name in enumerate(output.classes)}
        self._document: Callable[[Answers], list[Document]] = self._plain
        if output.width is not None and output.task != "multilabel":
            if output.names:
                self._keys, self._document = output.names, self._named
        elif output.scores == "decisions" and output.task != "multilabel" and _is_single(answers):
            self._document = self._single
        elif output.scores:
            self._keys = tuple(map(as_key, output.classes))
            with_confidence = output.scores == "probabilities" and output.task != "multilabel"
            self._document = self._with_confidence if with_confidence else self._scored

    def documents(self, answers: Answers) -> list[Document]:
        """The answers as callers get them, one a row.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        try:
            return self._document(answers)
        except (LookupError, TypeError, ValueError):
            raise PredictionFailed("The model answered something that does not fit its signature.") from None

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of one document."""
        properties = {"prediction": self._prediction()}
        scores, several = self.output.scores, self._document in (self._with_confidence, self._scored)
        if self._document == self._with_confidence:
            properties["confidence"] = _SHARE | {"description": "the probability of the predicted class"}
        if self._document == self._single:
            properties["score"] = {"type": "number", "description": "the model's decision value"}
        elif several and scores == "probabilities":
            properties["probabilities"] = _object(self._keys, _SHARE)
        elif several:
            properties["scores"] = _object(self._keys, {"type": "number"}) | {
                "description": "the model's decision value for each class"
            }
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

    def _plain(self, answers: Answers) -> list[Document]:
        return [{"prediction": value} for value in answers.values]

    def _named(self, answers: Answers) -> list[Document]:
        return [{"prediction": dict(zip(self._keys, values, strict=True))} for values in answers.values]

    def _single(self, answers: Answers) -> list[Document]:
        pairs = zip(answers.values, answers.scores or [], strict=True)
        return [{"prediction": value, "score": score} for value, (score,) in pairs]

    def _scored(self, answers: Answers) -> list[Document]:
        name = "probabilities" if self.output.scores == "probabilities" else "scores"
        keys, pairs = self._keys, zip(answers.values, answers.scores or [], strict=True)
        return [{"prediction": value, name: dict(zip(keys, scores, strict=True))} for value, scores in pairs]

    def _with_confidence(self, answers: Answers) -> list[Document]:
        keys, place = self._keys, self._place
        pairs = zip(answers.values, answers.scores or [], strict=True)
        return [
            {
                "prediction": value,
                "confidence": shares[place[value]],
                "probabilities": dict(zip(keys, shares, strict=True)),
            }
            for value, shares in pairs
        ]


def _is_single(answers: Answers) -> bool:
    return answers.scores is not None and all(len(scores) == 1 for scores in answers.scores)


def _object(keys: Iterable[str], values: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has just these keys."""
    required = list(keys)
    properties = dict.fromkeys(required, values)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
