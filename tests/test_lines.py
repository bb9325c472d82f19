"""serving.lines: whoever reads what a service prints slowly, or not at all, holds up nothing."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.lines import MOST_WAITING, Lines, dropped
from serving.running import find
from tests.live import Service, publish_graph, running, until
from tests.raw import Caller, request
from tests.test_exposition import counted

PIPE_BYTES = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds little; its ends are closed."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def told(handler: Lines, text: str) -> None:
    handler.handle(logging.LogRecord("lectern", logging.INFO, "", 0, text, (), None))


def read(pipe: tuple[int, int], lines: int) -> list[str]:
    found = b""
    while found.count(b"\n") < lines:
        found += os.read(pipe[0], 1 << 16)
    return found.decode().splitlines()


def test_lines_come_in_their_order_and_all_before_it_ends(pipe: tuple[int, int]) -> None:
    handler = Lines(stream=pipe[1])
    for number in range(50):
        told(handler, f"line {number}")
    handler.flush()
    assert read(pipe, 50) == [f"line {number}" for number in range(50)]
    assert handler.dropped == 0


def test_what_nobody_reads_is_counted_and_what_waited_comes_once_somebody_does(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lines._LAST_WAIT_S", 0.01)
    handler = Lines(stream=pipe[1])
    fits = PIPE_BYTES // 100
    for number in range(MOST_WAITING + 2 * fits):
        told(handler, f"{number:99d}")
    handler.flush()  # gives up
    assert 0 < handler.dropped <= 2 * fits
    kept = [int(line) for line in read(pipe, MOST_WAITING + 2 * fits - handler.dropped)]
    assert kept == sorted({*kept})
    assert kept[:MOST_WAITING] == [*range(MOST_WAITING)]
    told(handler, "again")
    assert read(pipe, 1) == ["again"]


def test_what_nobody_will_ever_read_is_counted(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    handler = Lines(stream=pipe[1])
    told(handler, "lost")
    handler.flush()
    assert handler.dropped == 1
    at_once = Lines(stream=pipe[1], apart=False)
    told(at_once, "lost")
    assert at_once.dropped == 1


def test_a_stream_that_somebody_made_non_blocking_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    handler = Lines(stream=pipe[1])
    for _ in range(100):
        told(handler, "x" * 99)
    assert read(pipe, 100) == ["x" * 99] * 100
    assert handler.dropped == 0


def test_where_there_must_be_no_thread_there_is_none(pipe: tuple[int, int]) -> None:
    before = threading.active_count()
    told(Lines(stream=pipe[1], apart=False), "at once")
    assert threading.active_count() == before
    assert select.select([pipe[0]], [], [], 0)[0]
    assert read(pipe, 1) == ["at once"]


def test_what_cannot_be_told_says_so(pipe: tuple[int, int]) -> None:
    handler = Lines(stream=pipe[1])
    handler.handle(logging.LogRecord("lectern", logging.INFO, "", 0, "%d\n rows", ("no",), None))
    [line] = read(pipe, 1)
    assert line.startswith("lectern: '%d\\n rows' cannot be told: TypeError(")


def test_a_surrogate_is_written_as_what_it_is(pipe: tuple[int, int]) -> None:
    told(Lines(stream=pipe[1]), "\ud800")
    assert read(pipe, 1) == ["\\ud800"]


def test_the_lines_that_this_process_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Lines()
    handler.dropped = 3
    before = dropped()
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, handler])
    assert dropped() == before + 3


# --- a service whose log nobody reads


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe with a name, which nobody reads, and a stream to fill it by."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    ours = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield path, ours
    os.close(ours)


def answered(service: Service, times: int) -> int:
    """How many of as many predictions, of which some are sent at once, are answered."""
    sent, some = request(body=b'{"x": 1}'), 50
    with Caller(service.url) as caller:
        batches = [min(some, times - begin) for begin in range(0, times, some)]
        return sum(caller.send(sent * batch).hear(answers=batch).statuses.count(200) for batch in batches)


def test_a_service_goes_on_and_ends_when_nobody_reads_what_it_prints(store: Store, unread: tuple[Path, int]) -> None:
    publish_graph(store, "double")
    path, stream = unread
    command = ("sh", "-c", f'exec "{sys.executable}" -m serving >"{path}" 2>&1')
    asking = MOST_WAITING + PIPE_BYTES // 50
    with running(store, command=command, announced=False, access_log_share=1, prediction_log="none") as service:
        service.url = until(lambda: next((found.url for found in find(store.root)), ""))
        service.client.base_url = httpx.URL(service.url)
        until(lambda: service.get("/health")["status"] == "ready")
        assert answered(service, asking) == asking
        lost = "lectern_log_lines_dropped_total"
        assert until(lambda: counted(service.client.get("/metrics").text)[lost,]) < asking
        assert answered(service, 1) == 1
        with suppress(BlockingIOError):
            while True:  # to the last byte
                os.write(stream, b"x")
        assert service.stop() == 0


def test_a_service_goes_on_without_the_streams_that_others_have(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double")
    path = tmp_path / "s"
    command = ("sh", "-c", f'exec "{sys.executable}" -m serving <&- >&- 2>&-')
    settings: dict[str, Any] = {"access_log_share": 1, "prediction_log": "none"}
    with running(store, command=command, announced=False, socket=path, **settings) as service:
        service.client.base_url = httpx.URL("http://localhost")
        until(path.is_socket)
        assert until(lambda: service.predict({"x": 1}).status_code == 200)
        streams = [str(Path(f"/proc/{service.process.pid}/fd/{number}").readlink()) for number in range(3)]
        assert streams == [os.devnull] * 3
        assert service.stop() == 0
