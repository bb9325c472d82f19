"""serving.quality.taking and keeping: the newest word on each prediction is kept, or nothing of a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from contract.signature import Output
from serving.prediction_log.database.engine import Database
from serving.prediction_log.database.tables import FEEDBACK, PREDICTIONS
from serving.problems import Problem
from serving.quality import keeping
from serving.quality.keeping import Word
from serving.quality.reading import Feedback
from serving.quality.report import MOST_ROWS
from serving.quality.taking import MOST_UNKNOWN, take
from tests.logged import DATABASES, database, schema

SPECIES = Output(task="classification", labels=(0, 1), classes=("fern", "moss"))
OUTPUTS = {("plants", 1): SPECIES, ("rents", 1): Output(task="regression")}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module", params=DATABASES)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("feedback")
    place = schema() if request.param == "postgresql" else nullcontext(str(folder / "log.sqlite"))
    with place as address, database(address, folder) as found:
        yield found


@pytest.fixture(autouse=True)
def empty(log: Database) -> None:
    with log.writing() as connection:
        connection.execute(delete(FEEDBACK))
        connection.execute(delete(PREDICTIONS))


def name(number: int) -> str:
    return f"ccea8eb3ff29{number:08x}"


def predicted(log: Database, model: str, *numbers: int, version: int = 1, prediction: str = '"moss"') -> None:
    facts = {"model": model, "version": version, "alias": "", "latency_us": 1, "prediction": prediction, "gone": False}
    with log.writing() as connection:
        connection.execute(insert(PREDICTIONS), [{"id": name(n), "at": n, **facts} for n in numbers])


def say(log: Database, *entries: tuple[int, Any, int | None], many: bool = True) -> tuple[int, int, int, int]:
    """Say the truth of predictions by number, as known so many minutes after noon, or now."""
    some = [
        Feedback(id=name(n), truth=truth, at=None if at is None else (NOON + timedelta(minutes=at)).isoformat())
        for n, truth, at in entries
    ]
    with log.writing() as connection:
        found = take(connection, some, lambda *origin: OUTPUTS.get(origin), many=many)
    return found.new, found.changed, found.unchanged, found.unknown


def kept(log: Database) -> dict[str, str]:
    with log.reading() as connection:
        return {row.prediction_id: row.truth for row in connection.execute(select(FEEDBACK))}


def test_the_newest_word_is_believed_in_whatever_order_they_come(log: Database) -> None:
    predicted(log, "plants", 1, 2)
    assert say(log, (1, "fern", 5), (2, "moss", 5)) == (2, 0, 0, 0)
    assert say(log, (1, "fern", 5), (2, "moss", 5)) == (0, 0, 2, 0)  # the same again
    assert say(log, (1, "moss", 4)) == (0, 0, 1, 0)  # late, and out of date
    assert say(log, (1, "fern", 9)) == (0, 0, 1, 0)  # the same, known for longer than what comes next
    assert say(log, (1, "moss", 7)) == (0, 0, 1, 0)
    assert say(log, (1, "moss", 9)) == (0, 1, 0, 0)
    assert kept(log) == {name(1): '"moss"', name(2): '"moss"'}
    assert say(log, (1, "fern", None)) == (0, 1, 0, 0)  # now
    assert say(log, (1, "moss", 60 * 24 * 365 * 1_000)) == (0, 1, 0, 0)  # which is no later than now
    assert say(log, (1, "fern", None)) == (0, 1, 0, 0)
    assert say(log, (2, "fern", 8), (2, "moss", 6), (2, "fern", 8)) == (0, 1, 2, 0)
    assert kept(log) == {name(1): '"fern"', name(2): '"fern"'}


@given(st.lists(st.tuples(st.sampled_from(["fern", "moss"]), st.integers(0, 99)), min_size=1, unique_by=lambda e: e[1]))
def test_any_order_in_any_parts_ends_the_same(log: Database, said: list[tuple[str, int]]) -> None:
    with log.writing() as connection:
        connection.execute(delete(FEEDBACK))
    for truth, at in said[::2]:
        say(log, (1, truth, at))
    totals = say(log, *((1, truth, at) for truth, at in said), *((1, truth, at) for truth, at in reversed(said)))
    assert sum(totals[:3]) == 2 * len(said)
    assert kept(log)[name(1)] == f'"{max(said, key=lambda entry: entry[1])[0]}"'


def test_what_somebody_else_said_meanwhile_is_replaced_only_by_what_is_newer(log: Database) -> None:
    for at, truth, left in ((5, "1", "1"), (4, "2", "1"), (5, "3", "3"), (6, "4", "4")):
        with log.writing() as connection:
            keeping.keep(connection, {name(1): Word(at, truth)}, received=7)
        assert kept(log) == {name(1): left}


def test_it_may_come_before_the_prediction(log: Database) -> None:
    assert say(log, (1, "fern", None), (2, 3.5, None)) == (2, 0, 0, 2)
    predicted(log, "plants", 1)
    assert say(log, (1, "fern", None), (2, 3.5, None)) == (0, 0, 2, 1)
    with log.reading() as connection:
        [row] = keeping.judged(connection, "plants", 0, None, MOST_ROWS)
    assert (row.prediction, row.truth) == ('"moss"', '"fern"')


def test_of_many_ids_that_are_unknown_the_first_are_named(log: Database) -> None:
    entries = [Feedback(id=name(n), truth=1) for n in range(1_200)]
    predicted(log, "rents", *range(0, 1_200, 2), prediction="1.0")
    with log.writing() as connection:
        found = take(connection, entries, lambda *_: None, many=True)
    assert (found.new, found.unknown, len(found.unknown_ids)) == (1_200, 600, MOST_UNKNOWN)
    assert found.unknown_ids[:2] == [name(1), name(3)]
    assert len(kept(log)) == 1_200


def test_a_truth_that_cannot_be_one_is_refused_with_all_that_came_with_it(log: Database) -> None:
    predicted(log, "plants", 1)
    predicted(log, "rents", 2, prediction="1.0")
    predicted(log, "gone", 3)
    for entries, many, message in (
        ([(9, "x", 1), (1, "tree", 1)], True, r"^'truth' in row 1 must be one of fern, moss\.$"),
        ([(1, "tree", 1)], False, r"^'truth' must be one of fern, moss\.$"),
        ([(2, "tree", 1), (1, 3, 1)], True, r"^'truth' in row 0 must be a number\. There is 1 more error\.$"),
    ):
        with pytest.raises(Problem, match=message) as refused:
            say(log, *entries, many=many)
        assert "tree" not in str(refused.value.body("id"))
    assert kept(log) == {}
    assert say(log, (1, "fern", 1), (2, "3.50", 1), (3, "anything", 1)) == (3, 0, 0, 0)
    assert kept(log) == {name(1): '"fern"', name(2): "3.5", name(3): '"anything"'}


def test_the_newest_predictions_of_one_model_are_read(log: Database) -> None:
    predicted(log, "plants", 1, 2, 3)
    predicted(log, "plants", 4, version=2)
    predicted(log, "rents", 5, prediction="1.0")
    say(log, *((n, "moss", 1) for n in (1, 2, 4)), (5, 1, 1))

    def read(since: int = 0, version: int | None = None, most: int = MOST_ROWS) -> list[int]:
        with log.reading() as connection:
            return [row.at for row in keeping.judged(connection, "plants", since, version, most)]

    assert read() == [4, 2, 1]
    assert read(since=2) == [4, 2]
    assert read(version=1) == [2, 1]
    assert read(most=2) == [4, 2]
