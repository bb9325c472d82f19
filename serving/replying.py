"""Replying: the body of the reply to rows that came as JSON, written by column where there are many."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import to_json

from contract.answers import Answers
from serving.loading import Served
from serving.problems import FieldError
from serving.replies import Reply, ReplySchema
from serving.sifting import Read
from serving.writing import interleaved, spelled


def replied(served: Served, found: Read, answers: Answers, request_id: str, echo: bool) -> Reply:
    """The reply to rows that were read and answered; with the input where an `echo` is asked for.

    Raises:
        PredictionFailed: the answers are not what the version's output says.
    """
    unlike, misfits = served.schema.unlike(found.columns), found.misfits
    numbers = [n for n in range(len(found.rows) + len(misfits)) if n not in misfits] if misfits else None
    reply = Reply(b"", found.rows, answers, unlike, request_id, found.many, numbers)
    return reply._replace(body=_written(served, reply, misfits, echo=echo))


def _written(served: Served, reply: Reply, misfits: Mapping[int, FieldError], *, echo: bool) -> bytes:
    origin = {"model": served.model, "version": served.version}
    if reply.many:
        return _written_by_column(served.replies, reply, misfits, to_json(origin), echo=echo)
    [document] = served.replies.documents(reply.answers)
    document |= {"id": reply.request_id, "warnings": reply.unlike.get(0, ())}
    if echo:
        document["input"] = reply.rows[0]
    return to_json(document | origin)


def _written_by_column(
    replies: ReplySchema, reply: Reply, misfits: Mapping[int, FieldError], origin: bytes, *, echo: bool
) -> bytes:
    rows, unlike, name = len(reply.rows), reply.unlike, reply.request_id.encode()
    numbers = reply.numbers or [*range(rows)]
    parts = [*replies.parts(reply.answers), b',"id":"%b-' % name, spelled(numbers), b'","warnings":']
    parts.append([to_json(unlike.get(row, ())) for row in range(rows)] if unlike else b"[]")
    if echo:
        parts += [b',"input":', spelled(reply.rows)]
    begin, ends = _told(misfits, numbers, name) if misfits else (b"", b"},")
    documents = begin + interleaved([*parts, ends], rows)
    return b'{"predictions":[%b],%b' % (documents[:-1], origin[1:])


def _told(misfits: Mapping[int, FieldError], numbers: list[int], name: bytes) -> tuple[bytes, list[bytes]]:
    """What comes before the rows of these numbers, and what ends each of them: with it come those that do not fit."""
    told = {
        number: b'{"error":%b,"id":"%b-%d"},' % (error.model_dump_json(exclude_none=True).encode(), name, number)
        for number, error in misfits.items()
    }
    nexts = [*numbers[1:], len(numbers) + len(misfits)]
    ends = [
        b"}," + b"".join(map(told.__getitem__, range(n + 1, after))) for n, after in zip(numbers, nexts, strict=True)
    ]
    return b"".join(map(told.__getitem__, range(numbers[0]))), ends
