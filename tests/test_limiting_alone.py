"""serving.limiting.shared where there is no Redis: each worker counts by itself, and nobody waits for long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serving.access.caller import Caller
from serving.limiting import shared
from serving.limiting.rates import Rates, network
from serving.limiting.rules import parse
from serving.limiting.shared import Shared
from serving.limiting.windows import Ask, Limit, Refused, Windows
from serving.metrics import Sheet
from serving.settings import ServeSettings

MANY = 300
"""More than are asked for in one call."""


def limit(text: str) -> Limit:
    [rule] = parse(text)
    return Limit("caller", rule)


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/nowhere"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "AGAIN_S", 0.01)


def test_all_that_wait_are_counted_here(nowhere: str, hasty: None) -> None:
    one, alone = limit("100/day"), list[int]()

    async def ask() -> tuple[int, str]:
        worker = Shared(nowhere, alone.append)
        found = await asyncio.wait_for(asyncio.gather(*(worker.take([Ask(one, "a", 1)]) for _ in range(MANY))), 30)
        trouble = worker.trouble
        await worker.close()
        return found.count(None), trouble

    says = "Limits are counted by each worker alone, as Redis cannot be asked; the log says why."
    assert asyncio.run(ask()) == (100, says)
    assert sum(alone) == MANY


def test_it_is_tried_again_and_said_once(nowhere: str, hasty: None, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        worker = Shared(nowhere, lambda _: None)
        await worker.take([Ask(limit("1/day"), "a", 1)])
        await asyncio.sleep(0.2)  # some tries
        assert worker.trouble
        await worker.close()

    asyncio.run(ask())
    [told] = [record.getMessage() for record in caplog.records if record.name == "lectern.limiting"]
    assert told.startswith("Limits are counted by each worker alone, as Redis cannot be asked: ")
    assert "No such file or directory" in told
    assert told.endswith(".")
    assert not told.endswith("..")


def test_it_is_tried_once_a_second_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rest, rested, tried = asyncio.sleep, list[float](), list[str]()

    async def rest_less(seconds: float) -> None:
        rested.append(seconds)
        await rest(0.001)

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.append("again")
        writer.close()

    async def ask() -> None:
        async with asyncio.timeout(30), await asyncio.start_unix_server(hang_up, tmp_path / "redis"):
            worker = Shared(f"unix://{tmp_path}/redis", lambda _: None)
            await worker.take([Ask(limit("1/day"), "a", 1)])
            while len(tried) < 5:
                await rest(0.001)
            await worker.close()
            while len(asyncio.all_tasks()) > 1:
                await rest(0.001)

    monkeypatch.setattr("asyncio.sleep", rest_less)
    asyncio.run(ask())
    assert set(rested) == {1.0}
    assert len(rested) <= len(tried) <= len(rested) + 1


def test_who_hangs_up_keeps_nobody_waiting(nowhere: str, hasty: None) -> None:
    one = limit("1000/day")

    async def ask() -> int:
        worker = Shared(nowhere, lambda _: None)
        asking = [asyncio.ensure_future(worker.take([Ask(one, "a", 1)])) for _ in range(MANY)]
        await asyncio.sleep(0)
        for number in (0, 1, MANY - 1):
            asking[number].cancel()
        found = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 30)
        await worker.close()
        return found.count(None)

    assert asyncio.run(ask()) == MANY - 3


def test_the_service_says_how_many_were_counted_apart(nowhere: str, hasty: None) -> None:
    sheet = Sheet()
    rates = Rates.of(ServeSettings(limit_per_caller="2/day", limits_store=nowhere), sheet)
    assert rates is not None

    async def ask() -> str:
        for _ in range(2):
            await rates.enter(Caller("ada", "", {}), "iris")
        trouble = rates.trouble
        await rates.close()
        return trouble

    assert asyncio.run(ask()).startswith("Limits are counted by each worker alone")
    assert sheet.counted_apart == 2


@pytest.mark.parametrize("what", ["limit_per_caller", "limit_per_address", "quota_rows"])
def test_a_request_for_one_row_counts_for_each_limit_once(what: str) -> None:
    rates, ada = Rates.of(ServeSettings(**{what: "2/day"})), Caller("ada", "192.0.2.7", {})
    assert rates is not None
    assert [rates.admits(ada) for _ in range(3)] == [True, True, False]


def test_what_was_never_asked_is_closed(nowhere: str) -> None:
    asyncio.run(Shared(nowhere, lambda _: None).close())
    alone = Rates.of(ServeSettings(limit_per_caller="2/day"))
    assert alone is not None
    asyncio.run(alone.close())


def test_those_who_asked_last_are_remembered_and_as_many_as_may_be() -> None:
    windows, one = Windows(most=2), limit("1/day")

    def taken(who: str) -> bool:
        return windows.take([Ask(one, who, 1)], 0.0) is None

    assert [taken(who) for who in ("ada", "bob", "ada", "bob")] == [True, True, False, False]
    assert taken("eve")  # ada goes, who asked before bob
    assert [taken(who) for who in ("bob", "eve", "ada")] == [False, False, True]


def test_scores_and_their_places_have_their_bounds() -> None:
    assert ServeSettings(top_scores=1).top_scores == 1
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        ServeSettings(top_scores=0)
    assert [ServeSettings(round_scores=places).round_scores for places in (0, 15)] == [0, 15]
    with pytest.raises(ValueError, match="less than or equal to 15"):
        ServeSettings(round_scores=16)


def test_who_asks_for_more_than_there_ever_is_need_not_wait() -> None:
    one = limit("3/day")
    assert Windows().take([Ask(one, "ada", 4)], 0.0) == Refused(one, 3, 0.0)


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix:", "unix:"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_an_address_of_version_6_stands_for_its_network(address: str, who: str) -> None:
    assert network(address) == who
