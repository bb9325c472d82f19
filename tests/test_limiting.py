"""serving.limiting: what a limit is, that no period has more than it allows, and how a refusal is told."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import SettingsRefused
from serving.access.caller import Caller
from serving.limiting.rates import Rates, check, network, refusal
from serving.limiting.rules import Rule, parse
from serving.limiting.windows import PARTS, Ask, Limit, Refused, Windows
from serving.metrics import Sheet
from serving.problems import Problem
from serving.settings import ServeSettings

SOMEBODY = Caller("sales", "192.0.2.7", {})


def limit(text: str) -> Limit:
    [rule] = parse(text)
    return Limit("caller", rule)


def rates(sheet: Sheet | None = None, *, keyed: bool = False, **settings: Any) -> Rates:
    found = Rates.of(ServeSettings(**settings), sheet, keyed=keyed)
    assert found is not None
    return found


async def refused(asked: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await asked
    return caught.value


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("100/second", [Rule(100, 1, "second")]),
        ("100/second; 5000/day", [Rule(100, 1, "second"), Rule(5000, 86_400, "day")]),
        ("10 per 2 hours", [Rule(10, 7200, "2 hours")]),
        (" 3/5Minutes , 7 per month", [Rule(3, 300, "5 minutes"), Rule(7, 2_592_000, "month")]),
    ],
)
def test_rules_are_spelled_as_the_library_limits_spells_them(text: str, rules: list[Rule]) -> None:
    assert [*parse(text)] == rules


@pytest.mark.parametrize("text", ["", "100", "0/second", "5/0 hours", "-1/day", "5/fortnight", "1/second;", "١/second"])
def test_what_is_no_rule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit: give one such as 100/second"):
        parse(text)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), max_size=60), st.integers(1, 12))
def test_no_period_has_more_than_is_allowed_and_what_is_there_is_given(
    steps: Sequence[tuple[float, int]], amount: int
) -> None:
    windows, one, taken = Windows(), limit(f"{amount}/10 seconds"), list[tuple[float, int]]()
    for now, cost in zip(itertools.accumulate(step for step, _ in steps), (cost for _, cost in steps), strict=True):
        said = windows.take([Ask(one, "a", cost)], now)
        if said is None:
            taken.append((now, cost))
        elif cost <= amount:
            assert 0 < said.wait_s <= 10 * (1 + 1 / PARTS)
            assert said.left < cost
        lately = sum(cost for then, cost in taken if then > now - 10)
        just_before = sum(cost for then, cost in taken if then > now - 10 * (1 + 1 / PARTS) - 1e-6)
        assert lately <= amount
        assert said is None or just_before + cost > amount


def test_what_was_refused_is_there_when_it_was_told_and_not_before() -> None:
    windows, one = Windows(), limit("2/minute")
    assert not any(windows.take([Ask(one, "a", 1)], now) for now in (100.0, 110.2))
    said = windows.take([Ask(one, "a", 1)], 111.0)
    assert said is not None
    assert said.wait_s == pytest.approx(50)
    assert windows.take([Ask(one, "a", 1)], 111 + said.wait_s - 0.01) is not None
    assert windows.take([Ask(one, "a", 1)], 111 + said.wait_s) is None


def test_all_that_is_asked_for_is_taken_or_nothing() -> None:
    windows, wide, narrow = Windows(), limit("5/minute"), limit("1/minute")
    both = [Ask(wide, "a", 1), Ask(narrow, "a", 1)]
    assert windows.take(both, 1.0) is None
    for _ in range(9):
        found = windows.take(both, 1.0)
        assert found is not None
        assert found.limit is narrow
    assert not any(windows.take([Ask(wide, "a", 1)], 1.0) for _ in range(4))
    assert windows.take([Ask(wide, "b", 1)], 1.0) is None


def test_what_is_kept_is_a_count_for_each_part_in_which_anything_was_had() -> None:
    windows, one = Windows(), limit("1000/minute")
    for now in (0.0, 0.5, 30.0, 30.2, 30.9, 59.0):
        assert windows.take([Ask(one, "a", 2)], now) is None
    window = windows._tables[one]["a"]
    assert [*zip(window.parts, window.counts, strict=True)] == [(0, 4), (30, 6), (59, 2)]
    assert windows.take([Ask(one, "a", 2)], 90.0) is None  # the first part is forgotten
    assert (window.parts, window.total) == ([30, 59, 90], 10)


def test_the_same_rule_for_two_things_is_two_limits() -> None:
    windows, both = Windows(), [Ask(limit("2/day"), "a", 1), Ask(limit("2/day"), "a", 1)]
    assert [windows.take(both, 0.0) is None for _ in range(3)] == [True, True, False]


def test_names_without_end_take_no_more_memory_than_those_that_are_remembered() -> None:
    windows, one = Windows(500), limit("3/day")
    for number in range(1_000):
        windows.take([Ask(one, f"first {number}", 1)], 1.0)
    assert windows.take([Ask(one, "somebody", 3)], 1.0) is None
    tracemalloc.start()
    try:
        for number in range(10_000):
            windows.take([Ask(one, f"n{number}", 1)], 1.0)
            assert windows.take([Ask(one, "somebody", 1)], 1.0)  # who goes on asking is not forgotten
        assert tracemalloc.get_traced_memory()[0] < 300_000
    finally:
        tracemalloc.stop()


def test_without_limits_there_is_nothing_to_ask() -> None:
    assert Rates.of(ServeSettings()) is None
    assert Rates.of(ServeSettings(), keyed=True) is not None


def test_the_one_above_the_limit_is_told_when_to_ask_again() -> None:
    sheet = Sheet()

    async def ask() -> Problem:
        found = rates(sheet, limit_per_caller="3/minute")
        for _ in range(3):
            await found.enter(SOMEBODY, "iris")
        await found.enter(SOMEBODY._replace(name="support"), "iris")
        await found.enter(SOMEBODY._replace(personal=True), "iris")
        return await refused(found.enter(SOMEBODY, "iris"))

    problem = asyncio.run(ask())
    assert (problem.status, problem.code) == (429, "rate_limited")
    wait = int(problem.headers["Retry-After"])
    assert 59 <= wait <= 61
    assert (
        problem.detail
        == f"The limit of this caller is 3 requests per minute, and it is used up: ask again in {wait} s."
    )
    assert problem.headers["RateLimit-Policy"] == '"caller";q=3;w=60'
    assert problem.headers["RateLimit"] == f'"caller";r=0;t={wait}'
    assert sheet.refused == {"caller_limit": 1}


@pytest.mark.parametrize(
    ("wait_s", "told", "words"),
    [
        *((0.0, "1", "1 s"), (0.2, "1", "1 s"), (1.2, "2", "2 s"), (119.0, "119", "119 s")),
        *((119.5, "120", "2 minutes"), (7_199.0, "7199", "120 minutes")),
        *((7_200.0, "7200", "2 hours"), (7_201.0, "7201", "3 hours")),
    ],
)
def test_the_wait_is_told_in_whole_seconds_that_are_enough(wait_s: float, told: str, words: str) -> None:
    problem = refusal(Refused(limit("3/day"), 0, wait_s), 1)
    assert problem.headers["Retry-After"] == told
    assert problem.detail.endswith(f"ask again in {words}.")


def test_rows_are_a_quota_of_their_own() -> None:
    sheet = Sheet()

    async def ask() -> tuple[Problem, Problem, Problem]:
        found = rates(sheet, quota_rows="10000/day")
        await found.enter(SOMEBODY, "iris")
        await found.charge(SOMEBODY, 8_999)
        many = await refused(found.charge(SOMEBODY, 1_499))
        await found.charge(SOMEBODY, 1_000)
        one = await refused(found.enter(SOMEBODY, "iris"))
        await found.enter(SOMEBODY, "iris", rows=0)  # to look at a model is free
        return many, one, await refused(found.charge(SOMEBODY._replace(name="b"), 20_000))

    many, one, never = asyncio.run(ask())
    assert {problem.code for problem in (many, one, never)} == {"quota_exceeded"}
    told = "The limit of this caller is 10,000 rows per day; 1,000 are left, and the request has 1,499 more: "
    assert many.detail == told + "send fewer rows, or ask again in 25 hours."
    assert one.detail == "The limit of this caller is 10,000 rows per day, and it is used up: ask again in 25 hours."
    assert never.detail.startswith("The limit of this caller is 10,000 rows per day; 10,000 are left, and the request")
    assert sheet.refused == {"row_quota": 3}


def test_wrong_keys_are_counted_for_their_address_and_lock_nobody_else_out() -> None:
    sheet = Sheet()

    async def ask() -> Problem:
        found = rates(sheet, keyed=True)
        for _ in range(30):
            await found.failed(SOMEBODY.address)
        problem = await refused(found.failed(SOMEBODY.address))
        await found.failed("192.0.2.8")
        await found.enter(SOMEBODY, "iris")
        return problem

    problem = asyncio.run(ask())
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert problem.detail.startswith("The limit of this address is 30 wrong keys per minute, and it is used up")
    assert sheet.refused == {"failed_keys": 1}


def test_an_address_is_limited_whatever_keys_come_from_it_and_whether_they_are_right() -> None:
    sheet = Sheet()

    async def ask() -> Problem:
        found = rates(sheet, keyed=True, limit_per_address="3/minute")
        await found.failed(SOMEBODY.address)
        await found.enter(SOMEBODY, "iris")
        await found.enter(SOMEBODY._replace(name="other"), "iris")
        return await refused(found.enter(SOMEBODY._replace(name="third"), "iris"))

    assert asyncio.run(ask()).detail.startswith("The limit of this address is 3 requests per minute")
    assert sheet.refused == {"address_limit": 1}


def test_a_network_of_version_6_is_one_caller() -> None:
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7"
    assert [network(odd) for odd in ("", "unix:", "testclient")] == ["", "unix:", "testclient"]


def test_several_workers_need_a_place_to_count_together() -> None:
    check(ServeSettings(workers=4))
    check(ServeSettings(limit_per_caller="1/day"))
    with pytest.raises(
        SettingsRefused, match=r"LECTERN_QUOTA_ROWS is set, and 4 workers .* LECTERN_LIMITS_STORE=redis"
    ):
        check(ServeSettings(workers=4, quota_rows="1/day"))
    with pytest.raises(SettingsRefused, match=r"LECTERN_LIMIT_PER_CALLER is set, and 2 workers "):
        check(ServeSettings(workers=2, limit_per_caller="1/day", quota_rows="1/day"))
    check(ServeSettings(workers=4, quota_rows="1/day", limits_store="redis://127.0.0.1:1"))
    with pytest.raises(SettingsRefused, match=r"LECTERN_LIMITS_STORE is no address of Redis; give one such"):
        check(ServeSettings(limits_store="redis://host:none"))


def test_without_what_asks_redis_it_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsRefused, match=r"not installed: `pip install 'lectern\[redis\]'` brings it"):
        check(ServeSettings(limits_store="redis://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"LECTERN_LIMIT_PER_CALLER": "many"}, "LECTERN_LIMIT_PER_CALLER=many does not do: 'many' is no limit: give"),
        ({"LECTERN_QUOTA_ROWS": "5"}, "LECTERN_QUOTA_ROWS=5 does not do: '5' is no limit"),
        (
            {"LECTERN_LIMITS_STORE": "http://x"},
            "does not do: give an address of Redis: redis://…, rediss://…, unix://…",
        ),
        ({"LECTERN_LIMITS_STORE": "redis://"}, "give an address of Redis"),
        ({"LECTERN_ROUND_SCORES": "-1"}, "LECTERN_ROUND_SCORES=-1 does not do"),
        ({"LECTERN_TOP_SCORES": "0"}, "LECTERN_TOP_SCORES=0 does not do"),
    ],
)
def test_a_setting_that_is_none_is_refused_at_the_start(settings: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        ServeSettings.read(settings)
    assert told in str(caught.value)


def test_the_password_of_redis_is_shown_to_nobody() -> None:
    rows = ServeSettings(limits_store="redis://:secret@db.example:6379/0").table({})
    assert [row[1] for row in rows if row[0] == "LECTERN_LIMITS_STORE"] == ["redis://:***@db.example:6379/0"]
