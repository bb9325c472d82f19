"""The usual request, one row of numbers for a graph in this process: from its bytes to those of the answer.

It says the same as the long way, which takes over wherever a row is unusual.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

from contract.formats.bound import OneRow
from serving.replies import Reply, ReplySchema
from serving.requests import LARGEST, RequestSchema

Quick = Callable[[bytes, str], Reply | None]


def quick(one: OneRow, schema: RequestSchema, replies: ReplySchema, origin: dict[str, Any]) -> Quick:
    """What answers a JSON body and a request's id; None where it has to go the long way, to an answer or a refusal."""
    read, document = schema.read_one, replies.document
    names, ranges, quotes = schema.names, schema.ranges, schema.quotes
    values_of = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)

    def answer(body: bytes, request_id: str) -> Reply | None:
        if body.count(b'"') != quotes:  # a name stands twice, or is unknown
            return None
        try:
            row = read(body)
            values = values_of(row)
            warnings = []
            for value, (low, high, warning) in zip(values, ranges, strict=True):
                if value is not None and not low <= value <= high:
                    if abs(value) > LARGEST:
                        return None
                    warnings.append(warning)
            answers = one(values)
            if answers is None:
                return None
            found = document(answers.values[0], answers.scores and answers.scores[0])
        except Exception:  # noqa: BLE001  # the long way says what is wrong
            return None
        found["id"] = request_id
        found["warnings"] = warnings
        found |= origin
        return Reply(to_json(found), [row], answers, {0: warnings} if warnings else {}, request_id)

    return answer
