"""Keeping: feedback in the database of the prediction log, whoever said it last is believed.

Each function works in the transaction of the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Connection

_AT_ONCE = 500
"""Ids in one question: a database takes only so many."""


class Word(NamedTuple):
    """What was said last of a prediction: when (microseconds since 1970), and the truth as JSON."""

    at: int
    truth: str


class Judged(NamedTuple):
    """A prediction of the log and what was true of it, both as JSON."""

    version: int
    at: int
    prediction: str
    scores: str | None
    truth: str


def known(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """The model and the version of those predictions that the log has, by id."""
    from sqlalchemy import select

    from serving.prediction_log.database.tables import PREDICTIONS

    columns = PREDICTIONS.c
    found: dict[str, tuple[str, int]] = {}
    for some in _batches(ids):
        wanted = select(columns.id, columns.model, columns.version).where(columns.id.in_(some))
        found |= {one.id: (one.model, one.version) for one in connection.execute(wanted)}
    return found


def said(connection: Connection, ids: Sequence[str]) -> dict[str, Word]:
    """What was said of predictions until now, by id."""
    from sqlalchemy import select

    from serving.prediction_log.database.tables import FEEDBACK

    columns = FEEDBACK.c
    found: dict[str, Word] = {}
    for some in _batches(ids):
        wanted = select(columns.prediction_id, columns.at, columns.truth).where(columns.prediction_id.in_(some))
        found |= {one.prediction_id: Word(one.at, one.truth) for one in connection.execute(wanted)}
    return found


def keep(connection: Connection, words: Mapping[str, Word], received: int) -> None:
    """Keep what is said of predictions, unless something newer was said of them meanwhile."""
    from sqlalchemy.dialects import postgresql, sqlite

    from serving.prediction_log.database.tables import FEEDBACK

    if not words:
        return
    dialects: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
    insert = dialects[connection.dialect.name].insert(FEEDBACK)
    changed = {name: insert.excluded[name] for name in ("at", "received", "truth")}
    newer = insert.excluded.at >= FEEDBACK.c.at
    connection.execute(
        insert.on_conflict_do_update(index_elements=["prediction_id"], set_=changed, where=newer),
        [{"prediction_id": name, "received": received} | word._asdict() for name, word in words.items()],
    )


def judged(connection: Connection, model: str, since: int, version: int | None, most: int) -> Iterator[Judged]:
    """The newest predictions of a model whose truth is known, up to `most`, one after the other."""
    from sqlalchemy import select

    from serving.prediction_log.database.tables import FEEDBACK, PREDICTIONS

    of = PREDICTIONS.c
    wanted = (
        select(of.version, of.at, of.prediction, of.scores, FEEDBACK.c.truth)
        .join(FEEDBACK, FEEDBACK.c.prediction_id == of.id)
        .where(of.model == model, of.at >= since)
        .order_by(of.at.desc())
        .limit(most)
    )
    wanted = wanted if version is None else wanted.where(of.version == version)
    for row in connection.execution_options(yield_per=1_000).execute(wanted):
        yield Judged(*row)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + _AT_ONCE] for begin in range(0, len(ids), _AT_ONCE))
