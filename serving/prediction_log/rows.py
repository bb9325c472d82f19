"""Rows: what was answered, as the log keeps it; no value of a field that is sensitive gets this far.

Texts are JSON of at most 16 KiB. What is longer is cut, and says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from contract.signature import as_key
from serving.access.caller import caller_of
from serving.loading import Served
from serving.observed import GONE, Observed
from serving.prediction_log.privacy import Privacy
from serving.requests import Row

LoggedRow = tuple[str | int | bool | None, ...]
"""The values of a row in the order of COLUMNS."""
COLUMNS: tuple[str, ...] = (
    *("id", "at", "model", "version", "alias", "latency_us", "prediction", "scores", "inputs", "inputs_hash"),
    *("warnings", "caller", "subject", "gone"),
)
AT, SUBJECT = COLUMNS.index("at"), COLUMNS.index("subject")
SUBJECT_HEADER = b"x-subject-id"
"""The header that says whom a request is about; only its hash is kept."""
LONGEST_BYTES = 16 << 10
_BEGINNING_BYTES = LONGEST_BYTES // 2 - 64
"""Of what is cut: written as a text in JSON it may take twice as much."""


class Rows:
    """Makes the rows of the log out of what is observed."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._versions: dict[tuple[str, int], _Version] = {}

    def of(self, one: Observed, most: int, began_at: float) -> list[LoggedRow]:
        """The first rows of a request, or of a part of a stream, that was answered.

        Args:
            one: what was observed.
            most: how many rows, at most.
            began_at: when `time.perf_counter` was 0, in seconds since 1970.
        """
        reply, served, privacy = one.reply, one.served, self._privacy
        assert reply is not None  # asked only where there is one
        model, number, alias = served.model, served.version, one.alias
        version = self._versions.get((model, number)) or self._prepared(served)
        named, client = one.header(SUBJECT_HEADER), one.scope.get("client")
        subject = privacy.subject(named.encode("latin-1")) if named else None
        caller = privacy.name(known) if (known := caller_of(one.scope)) and known.name else None
        caller = caller or (privacy.caller(client[0]) if client else None)
        at, latency_us = int((began_at + one.ended) * 1e6), int(one.seconds * 1e6)
        ids, rows, values, scores = reply.ids, reply.rows, reply.answers.values, reply.answers.scores
        inputs, hashed, unlike, gone = version.inputs, version.hashed, reply.unlike, one.status == GONE
        return [
            (
                ids[n],
                at,
                model,
                number,
                alias,
                latency_us,
                written(values[n]),
                None if scores is None else version.scores(scores[n]),
                inputs and inputs(rows[n]),
                hashed and hashed(rows[n]),
                _kinds(unlike[n]) if n in unlike else None,
                caller,
                subject,
                gone,
            )
            for n in range(min(most, len(values)))
        ]

    def _prepared(self, served: Served) -> _Version:
        found = self._versions[served.model, served.version] = _Version(served, self._privacy)
        return found


class _Version:
    """What is prepared for the rows of one version."""

    def __init__(self, served: Served, privacy: Privacy) -> None:
        signature = served.manifest.signature
        names = sorted(field.name for field in signature.inputs if not field.sensitive)
        self._classes = tuple(map(as_key, signature.output.classes))
        self._form = f"{{{','.join(f'{_text(name)}:%r' for name in self._classes)}}}"
        self._rounding = served.replies.rounding
        self.inputs: Callable[[Row], str] | None = None
        self.hashed: Callable[[Row], str] | None = None
        if privacy.policy == "full":
            self.inputs = lambda row: _inputs({name: row[name] for name in names})
        elif privacy.policy == "hash" and names:
            values, hashed = itemgetter(*names), privacy.rows(to_json(names))
            self.hashed = lambda row: hashed(_json(values(row)))

    def scores(self, scores: list[float]) -> str:
        """What was told of the scores of a row, by class; as they are where there is one in all."""
        if self._rounding is not None:
            told = self._rounding.all(scores)
            by_class = {name: score for name, score in zip(self._classes, told, strict=False) if score is not None}
            return written(by_class if len(scores) == len(self._classes) else told)
        if len(scores) != len(self._classes):
            return written(scores)
        text = self._form % tuple(scores)
        if math.isfinite(sum(scores)) and len(text) <= LONGEST_BYTES and text.isascii():
            return text
        return written(dict(zip(self._classes, scores, strict=True)))


def written(value: Any) -> str:
    """A value as the log keeps it: JSON, or if that is too long the beginning of it as a text in JSON."""
    content = _json(value)
    if len(content) <= LONGEST_BYTES:
        return content.decode()
    beginning = content[:_BEGINNING_BYTES].decode(errors="ignore")
    return to_json(f"{beginning}… [cut: {len(content):,} bytes]").decode()


def _inputs(row: Row) -> str:
    """A row; where it is too long, without what is too long in it."""
    content = _json(row)
    if len(content) <= LONGEST_BYTES:
        return content.decode()
    return written({name: json.loads(written(value)) for name, value in row.items()})


def _kinds(warnings: list[dict[str, str]]) -> str:
    """The fields that are unlike all that the model saw, and in which way."""
    return written({warning["field"]: warning["kind"] for warning in warnings})


def _text(name: str) -> str:
    """A name in JSON, where % is about to be something else."""
    return _json(name).decode().replace("%", "%%")


def _json(value: Any) -> bytes:
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError):  # a lone surrogate, which only \ud800 can spell
        return json.dumps(_finite(value), ensure_ascii=True).encode()


def _finite(value: Any) -> Any:
    """A value without what JSON has no word for."""
    match value:
        case dict():
            return {str(key): _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
    return value
