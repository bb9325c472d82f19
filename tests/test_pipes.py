"""serving.pipes: bytes between an event loop and a thread, in order, in bounded memory."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from serving import pipes
from serving.pipes import Abandoned, Spool, Upload
from tests.live import until

BLOCKS = [bytes([n % 256]) * (1 + n * 977 % 70_000) for n in range(200)]


def in_thread(work: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001  # it is the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


class Caller:
    """Sends a body in blocks, and counts how many were asked for."""

    def __init__(self, blocks: list[bytes], *, leaves: bool = False) -> None:
        self.blocks = blocks
        self.asked = 0
        self.leaves = leaves

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked > len(self.blocks):
            if not self.leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        last = self.asked == len(self.blocks) and not self.leaves
        return {"type": "http.request", "body": self.blocks[self.asked - 1], "more_body": not last}


# --- in


def test_a_body_is_read_as_it_was_sent() -> None:
    async def work() -> None:
        upload, caller = Upload(asyncio.get_running_loop()), Caller(BLOCKS)
        filling = asyncio.create_task(upload.fill(caller.receive))
        content = await asyncio.wrap_future(in_thread(io.BufferedReader(upload).read))
        assert content == b"".join(BLOCKS)
        filling.cancel()

    on_loop(work)


def test_no_more_is_received_than_fits() -> None:
    async def work() -> None:
        block = bytes(100_000)
        upload, caller = Upload(asyncio.get_running_loop()), Caller([block] * 100)
        filling = asyncio.create_task(upload.fill(caller.receive))
        for _ in range(200):
            await asyncio.sleep(0)
        assert caller.asked == -(-pipes.MEMORY_BYTES // len(block))
        content = await asyncio.wrap_future(in_thread(io.BufferedReader(upload).read))
        assert len(content) == 100 * len(block)
        filling.cancel()

    on_loop(work)


def test_who_reads_stops_when_nobody_sends_any_more() -> None:
    async def work() -> None:
        upload, caller = Upload(asyncio.get_running_loop()), Caller([b"x"], leaves=True)
        reading = in_thread(io.BufferedReader(upload).read)
        await upload.fill(caller.receive)
        upload.abandon()
        with pytest.raises(Abandoned):
            await asyncio.wrap_future(reading)

    on_loop(work)


# --- out


async def taken(spool: Spool) -> bytes:
    parts = []
    while part := await spool.read():
        parts.append(part)
    return b"".join(parts)


def write_all(spool: Spool) -> None:
    for block in BLOCKS:
        spool.write(block)
    spool.end()


def test_what_is_written_is_read_in_order_while_it_is_written() -> None:
    async def work() -> None:
        spool = Spool(asyncio.get_running_loop())
        writing = in_thread(lambda: write_all(spool))
        assert await taken(spool) == b"".join(BLOCKS)
        writing.result()
        assert spool.tell() == sum(map(len, BLOCKS))
        spool.close()

    on_loop(work)


def test_what_is_written_before_anything_is_read_goes_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MEMORY_BYTES", 100_000)

    async def work() -> None:
        spool = Spool(asyncio.get_running_loop())
        await asyncio.wrap_future(in_thread(lambda: write_all(spool)))
        assert sum(map(len, spool._memory)) <= 100_000
        assert await taken(spool) == b"".join(BLOCKS)
        spool.close()

    on_loop(work)


@pytest.mark.parametrize("most", [0, 200_000])
def test_writing_waits_where_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(pipes, "MEMORY_BYTES", 100_000)
    monkeypatch.setattr(pipes, "MAX_SPOOL_BYTES", most)

    async def work() -> None:
        spool = Spool(asyncio.get_running_loop())
        writing = in_thread(lambda: write_all(spool))
        until(lambda: spool.written > most // 2)
        assert not writing.done()
        assert await taken(spool) == b"".join(BLOCKS)
        writing.result()
        spool.close()

    on_loop(work)


def test_a_full_disk_makes_writing_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MEMORY_BYTES", 100_000)
    pwrite = os.pwrite

    def full(descriptor: int, content: Any, place: int) -> int:
        if place > 300_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, content, place)

    monkeypatch.setattr(os, "pwrite", full)

    async def work() -> None:
        spool = Spool(asyncio.get_running_loop())
        writing = in_thread(lambda: write_all(spool))
        until(lambda: spool.written > 300_000)
        assert await taken(spool) == b"".join(BLOCKS)
        writing.result()
        spool.close()

    on_loop(work)


def test_who_writes_stops_when_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MEMORY_BYTES", 100_000)
    monkeypatch.setattr(pipes, "MAX_SPOOL_BYTES", 0)

    async def work() -> None:
        spool = Spool(asyncio.get_running_loop())
        writing = in_thread(lambda: write_all(spool))
        until(lambda: spool.written > 100_000)
        spool.abandon()
        with pytest.raises(Abandoned):
            await asyncio.wrap_future(writing)
        with pytest.raises(Abandoned):
            spool.write(b"x")

    on_loop(work)
