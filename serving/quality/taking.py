"""Taking feedback: entries that could be true of their predictions are kept, all of a request or none of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from contract.signature import Output
from serving.problems import FieldError
from serving.quality import keeping
from serving.quality.keeping import Word
from serving.quality.reading import Feedback, microseconds, misfit, refusal, spelled
from serving.quality.truths import Unfit, fitted

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_UNKNOWN = 100
Outputs = Callable[[str, int], Output | None]
"""What a version of a model answers; None where that is not known any more."""


class Taken(BaseModel):
    """What became of feedback: each entry is in one of the first three."""

    new: int = Field(description="nothing was said of their predictions before")
    changed: int = Field(description="something else was said of their predictions before, and it was no newer")
    unchanged: int = Field(description="the same was said before, or something newer")
    unknown: int = Field(description="predictions that are not in the log; they may come, or were not meant for it")
    unknown_ids: list[str] = Field(description="the first of their ids", max_length=MOST_UNKNOWN)


def take(connection: Connection, entries: Sequence[Feedback], outputs: Outputs, *, many: bool) -> Taken:
    """Keep what is said of predictions; the newest word on each is believed, in whatever order they come.

    Raises:
        Problem: an entry cannot be true of its prediction; none is kept.
    """
    received = time.time_ns() // 1_000
    ids = list({entry.id: None for entry in entries})
    known = keeping.known(connection, ids)
    of = {origin: outputs(*origin) for origin in set(known.values())}
    words: list[tuple[str, Word]] = []
    errors: list[FieldError] = []
    for number, entry in enumerate(entries):
        truth, output = entry.truth, of.get(known.get(entry.id, ("", 0)))
        try:
            truth = truth if output is None else fitted(truth, output)
        except Unfit as error:
            errors.append(misfit("truth", number if many else None, "no_such_answer", f"must be {error}"))
        at = received if entry.at is None else min(received, microseconds(entry.at))  # else it would never be replaced
        words.append((entry.id, Word(at, spelled(truth))))
    if errors:
        raise refusal(errors)
    return _kept(connection, words, ids, known.keys(), received)


def _kept(
    connection: Connection, words: Sequence[tuple[str, Word]], ids: list[str], known: Collection[str], received: int
) -> Taken:
    before = keeping.said(connection, ids)
    now = dict(before)
    new = changed = 0
    for name, word in words:
        last = now.get(name)
        if last is None or word.at >= last.at:
            now[name] = word
            new += last is None
            changed += last is not None and last.truth != word.truth
    keeping.keep(connection, {name: word for name, word in now.items() if before.get(name) != word}, received)
    unknown = [name for name in ids if name not in known]
    return Taken(
        new=new,
        changed=changed,
        unchanged=len(words) - new - changed,
        unknown=len(unknown),
        unknown_ids=unknown[:MOST_UNKNOWN],
    )
