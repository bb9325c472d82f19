"""serving.slots: so many threads and no more, in order, none for what nobody waits for any more, and none at rest."""

import asyncio
import threading
from itertools import count

import pytest

from serving import slots
from serving.slots import Slots
from tests.live import until


def of_slots() -> int:
    return sum(thread.name == "lectern-slot" for thread in threading.enumerate())


def test_no_more_is_done_at_once_than_there_are_slots_and_each_result_is_its_own() -> None:
    pool, now, most = Slots(3), count(), []
    working = set[int]()

    def work(number: int) -> int:
        working.add(number)
        most.append(len(working))
        next(now)
        working.discard(number)
        return 2 * number

    async def ask() -> list[int]:
        return await asyncio.gather(*(pool.run(work, number) for number in range(500)))

    assert asyncio.run(ask()) == [2 * number for number in range(500)]
    assert max(most) <= 3


def test_what_is_raised_reaches_who_asked_and_the_thread_goes_on() -> None:
    async def ask() -> str:
        pool = Slots(1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0)
        return await pool.run(str, 7)

    assert asyncio.run(ask()) == "7"


def test_what_was_begun_goes_before_others_and_what_nobody_waits_for_is_not_done() -> None:
    done = list[str]()
    gate = threading.Event()

    async def ask() -> None:
        pool = Slots(1)
        first = asyncio.create_task(pool.run(gate.wait))
        await asyncio.sleep(0)
        late = [asyncio.create_task(pool.run(done.append, name)) for name in ("one", "two", "three")]
        await asyncio.sleep(0)
        begun = asyncio.create_task(pool.run(done.append, "begun", begun=True))
        await asyncio.sleep(0)
        late[1].cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, begun, late[0], late[2])

    asyncio.run(ask())
    assert done == ["begun", "one", "three"]


def test_a_thread_that_has_nothing_to_do_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "IDLE_S", 0.05)
    until(lambda: not of_slots())
    pool = Slots(2)
    assert asyncio.run(pool.run(str, 1)) == "1"
    until(lambda: not of_slots())
    assert asyncio.run(pool.run(str, 2)) == "2"
