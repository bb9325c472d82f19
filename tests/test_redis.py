"""serving.limiting.shared: what several workers count together in Redis, and what they do without it.

`make unit-redis` has a Redis for them; without one they are left out.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from redis import Redis

from contract.store import Store
from serving.limiting.rules import parse
from serving.limiting.shared import WITHIN_S, Shared
from serving.limiting.windows import PARTS, Ask, Limit, Refused
from tests.live import Service, publish_graph, running, until
from tests.redis import Server, server

PROGRAM = os.environ.get("TEST_REDIS_SERVER", "")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="`make unit-redis` has a Redis")
_NUMBERS = count()
LIMIT = 400


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with server(PROGRAM) as found:
        yield found


def limit(text: str) -> Limit:
    [rule] = parse(text)
    return Limit("caller", rule)


def whoever() -> str:
    return f"somebody {next(_NUMBERS)}"


def together(redis: Server, *work: Callable[[Shared], Awaitable[Any]], alone: list[int] | None = None) -> list[Any]:
    """Do several things, each in another worker, as far as Redis knows."""

    async def all_of_it() -> list[Any]:
        workers = [Shared(redis.url, ([] if alone is None else alone).append) for _ in work]
        try:
            return await asyncio.gather(*(one(worker) for one, worker in zip(work, workers, strict=True)))
        finally:
            for worker in workers:
                await worker.close()

    return asyncio.run(all_of_it())


def test_the_one_above_the_limit_is_refused_whichever_worker_it_asks(redis: Server) -> None:
    one, who = limit("100/day"), whoever()

    async def ask(worker: Shared) -> list[Refused | None]:
        return await asyncio.gather(*(worker.take([Ask(one, who, 1)]) for _ in range(60)))

    found = [said for worker in together(redis, ask, ask) for said in worker]
    assert found.count(None) == 100
    refused = next(said for said in found if said)
    assert (refused.limit, refused.left) == (one, 0)
    assert 86_400 - 60 < refused.wait_s <= 86_400 * (1 + 1 / PARTS)


def test_no_second_has_more_than_is_allowed(redis: Server) -> None:
    one, who, taken = limit("40/second"), whoever(), list[tuple[float, float]]()

    async def ask(worker: Shared) -> None:
        until = time.monotonic() + 2.5
        while (began := time.monotonic()) < until:
            if await worker.take([Ask(one, who, 1)]) is None:
                taken.append((began, time.monotonic()))

    together(redis, ask, ask)
    assert 80 <= len(taken) <= 120
    for _, first in taken:  # from when it was surely taken to when others were surely not taken yet
        assert sum(first <= began and ended < first + 1 for began, ended in taken) <= 40


def test_all_that_is_asked_for_is_taken_or_nothing(redis: Server) -> None:
    wide, narrow, who = limit("5/day"), limit("2/hour"), whoever()

    async def ask(worker: Shared) -> Any:
        both = [Ask(wide, who, 1), Ask(narrow, who, 1)]
        found = [await worker.take(both) for _ in range(9)]
        return found.count(None), found[-1], [await worker.take([Ask(wide, who, 2)]) for _ in range(2)]

    [(taken, refused, rest)] = together(redis, ask)
    assert taken == 2
    assert refused.limit is narrow
    assert rest[0] is None
    assert (rest[1].left, rest[1].limit) == (1, wide)


def test_which_limit_was_reached_is_told_wherever_it_stands(redis: Server) -> None:
    few, many = limit("1/day"), limit("9/day")

    async def ask(worker: Shared) -> list[Refused | None]:
        asks = [Ask(one, who, 1) for who in [whoever()] for one in (few, many)]
        return [await worker.take(some) for some in (asks, asks, asks[::-1])]

    [[taken, *refused]] = together(redis, ask)
    assert taken is None
    assert [said.limit for said in refused] == [few, few]


def test_a_clock_that_is_set_back_keeps_nobody_out(redis: Server) -> None:
    one, who = limit("1/day"), whoever()

    async def ask(worker: Shared) -> Any:
        first = await worker.take([Ask(one, who, 1)])
        client = worker._redis
        assert client is not None
        for key in [key async for key in client.scan_iter("lectern:caller:1/86400:*")]:
            for part in await client.hkeys(key):
                await client.hdel(key, part)
                await client.hset(key, str(int(part) + 5), "1")  # of two hours from now
        return first, await worker.take([Ask(one, who, 1)]), await worker.take([Ask(one, who, 1)])

    [(first, second, third)] = together(redis, ask)
    assert (first, second) == (None, None)
    assert third is not None


def test_nothing_that_is_kept_names_anybody_or_stays(redis: Server) -> None:
    one = limit("3/minute")

    async def ask(worker: Shared) -> Any:
        for who in ("ada@example.org", "\ud800", "x" * 100_000):
            assert await worker.take([Ask(one, who, 1)]) is None
        assert worker._redis is not None
        keys = [key async for key in worker._redis.scan_iter("lectern:caller:3/60:*")]
        return keys, [await worker._redis.pttl(key) for key in keys], worker.trouble

    [(keys, left, trouble)] = together(redis, ask)
    assert len(keys) == 3
    assert all(len(key) < 80 and b"ada" not in key for key in keys)
    assert all(0 < ms <= 62_000 for ms in left)
    assert not trouble


def test_without_redis_each_worker_counts_by_itself_at_once_and_together_again_later(
    redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    one, who, alone = limit("3/day"), whoever(), list[int]()

    async def ask(worker: Shared) -> None:
        assert await worker.take([Ask(one, who, 1)]) is None
        with redis.frozen():
            began = time.monotonic()
            found = await asyncio.gather(*(worker.take([Ask(one, who, 1)]) for _ in range(10)))
            assert time.monotonic() - began < WITHIN_S + 1
            assert found.count(None) == 3
            assert worker.trouble == (
                "Limits are counted by each worker alone, as Redis cannot be asked; the log says why."
            )
            assert await asyncio.wait_for(worker.take([Ask(one, who, 1)]), 1)  # it is not asked
        async with asyncio.timeout(5):
            while worker.trouble:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.05)
        for _ in range(3):  # what it did not say in time is not taken for an answer
            last = await worker.take([Ask(limit("1/day"), who, 1)])
        assert last is not None

    together(redis, ask, alone=alone)
    assert sum(alone) == 11
    told = [record.getMessage() for record in caplog.records if record.name == "lectern.limiting"]
    assert told[0].startswith("Limits are counted by each worker alone, as Redis cannot be asked: ")
    assert told[1:] == ["Redis answers again; limits are counted together."]


# --- in a service of four workers


@pytest.fixture(scope="module")
def service(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = Store(tmp_path_factory.mktemp("limited") / "store")
    publish_graph(store, "double")
    with running(
        store, workers=4, limit_per_caller=f"{LIMIT}/day", limits_store=redis.url, default_model="double"
    ) as found:
        until(lambda: found.get("/health")["status"] == "ready")
        yield found


def statuses(service: Service, number: int) -> Counter[int]:
    def ask(times: int) -> Counter[int]:
        each = httpx.Limits(max_keepalive_connections=0)  # a connection for each request, so that all workers have some
        with httpx.Client(base_url=service.url, trust_env=False, limits=each) as client:
            return Counter(client.post("/predict", json={"x": 1}).status_code for _ in range(times))

    with ThreadPoolExecutor(8) as threads:
        return sum(threads.map(ask, [number // 8] * 8), Counter())


def test_four_workers_have_one_limit(service: Service, redis: Server) -> None:
    with Redis.from_url(redis.url) as client:
        client.flushall()  # other tests ask as the same caller
    found = statuses(service, LIMIT + 80)
    assert LIMIT <= found[200] <= math.ceil(LIMIT * 1.01)
    assert found[429] == LIMIT + 80 - found[200]


def test_they_go_on_without_redis_and_say_so(service: Service, redis: Server) -> None:
    redis.stop()
    try:
        until(lambda: statuses(service, 8)[200] == 8)  # each counts anew, by itself
        assert service.predict({"x": 1}).status_code == 200  # by the same connection, so the same worker
        found = service.get("/health")
        assert found["status"] == "degraded"
        assert "Limits are counted by each worker alone" in found["detail"]
        until(lambda: _counted_apart(service))
    finally:
        redis.start()
    began = time.monotonic()
    until(lambda: all(service.get("/health")["status"] == "ready" for _ in range(20)))
    assert time.monotonic() - began < 60
    assert statuses(service, LIMIT + 8)[429] >= 8


def _counted_apart(service: Service) -> float:
    text = service.client.get("/metrics").text
    [number] = [line.split()[1] for line in text.splitlines() if line.startswith("lectern_limits_apart_total ")]
    return TypeAdapter(float).validate_python(number)
