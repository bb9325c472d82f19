"""serving.logs, serving.json_lines: each event is one line that says what happened, whoever may have a say in it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.json_lines import Json
from serving.logs import MOST_SIGNS, Text, _completed, printable
from serving.responses import REQUEST_ID
from tests.live import ROOT

HOSTILE = (
    "one\nlectern: iris version 9 answers now.",
    'x\r\n{"level": "INFO", "message": "fine"}',
    "\x1b[2J\x1b[31mred",
    "nul\0 bell\x07 back\x08",
    "\ud800 alone",
    "\u2028 \u2029 \x85 \x0b \x0c \x1c",
    "\u202e backwards",
    '"quoted" \\ {} %s',
)


def record(text: str, *given: Any, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.getLogger("lectern.test").makeRecord(
        "lectern.test", logging.WARNING, "", 0, text, given, info, extra=extra
    )
    assert _completed(made)
    return made


def in_json(*given: Any, **more: Any) -> dict[str, Any]:
    line = Json().format(record(*given, **more))
    assert line.isascii()
    assert line.isprintable()
    document: dict[str, Any] = json.loads(line)
    return document


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    raise AssertionError


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_is_told_is_one_line_without_anything_that_acts(hostile: str) -> None:
    def fails() -> None:
        raise ValueError(hostile)

    error = raised(fails)
    line = Text().format(record("It is %s", hostile, error=error, request_id=hostile))
    assert line.isprintable()
    assert line.startswith("lectern: It is ")
    found = in_json("It is %s", hostile, error=error, path=hostile, model=hostile)
    assert found["message"] == f"It is {hostile}"
    assert found["path"] == found["model"] == hostile
    assert found["exception"].endswith(f"ValueError: {hostile}")
    assert found.keys() == {"time", "level", "logger", "message", "exception", "path", "model"}


def test_what_can_be_read_stays_as_it_is() -> None:
    assert printable("größe 🌼 'x' \\n") == "größe 🌼 'x' \\n"
    assert printable("a\tb") == "a\\tb"
    assert Text().format(record("'%s' answers", "größe")) == "lectern: 'größe' answers"


def test_a_json_line_says_when_where_and_of_what() -> None:
    before = datetime.now(UTC)
    found = in_json("%s version %d answers now.", "iris", 3, model="iris", version=3)
    time = datetime.fromisoformat(found.pop("time"))
    assert abs((time - before).total_seconds()) < 60
    assert time.utcoffset() == before.utcoffset()
    assert found == {
        "level": "WARNING",
        "logger": "lectern.test",
        "message": "iris version 3 answers now.",
        "model": "iris",
        "version": 3,
    }


def test_an_event_belongs_to_the_request_that_is_being_answered() -> None:
    named = REQUEST_ID.set("abc")
    try:
        assert in_json("It is cold.")["request_id"] == "abc"
        assert in_json("It is cold.", request_id="other")["request_id"] == "other"
        assert Text().format(record("It is cold.")) == "lectern: It is cold. (request abc)"
        assert Text().format(record("Request abc failed.")) == "lectern: Request abc failed."
    finally:
        REQUEST_ID.reset(named)
    assert "request_id" not in in_json("It is cold.")


def test_an_exception_is_told_with_what_it_came_from_and_the_places_it_came_through() -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        else:
            raise KeyError("x")

    def fails() -> None:
        try:
            deep(20)
        except KeyError as error:
            raise ValueError("no x") from error

    error = raised(fails)
    line = Text().format(record("It failed.", error=error))
    assert line.startswith("lectern: It failed. Traceback: ValueError: no x (test_logs.py:")
    _, _, cause = line.partition(" from KeyError: 'x' (")
    assert cause.count("test_logs.py:") == 8
    assert in_json("It failed.", error=error)["exception"].startswith("Traceback (most recent call last):\n")


def test_neither_a_message_nor_an_exception_is_endless() -> None:
    def fails() -> None:
        raise ValueError("y" * 10 * MOST_SIGNS)

    error = raised(fails)
    found = in_json("%s", "x" * 10 * MOST_SIGNS, error=error)
    assert len(found["message"]) == MOST_SIGNS + 1
    assert len(found["exception"]) == MOST_SIGNS
    assert len(Text().format(record("x" * 10 * MOST_SIGNS, error=error))) < 3 * MOST_SIGNS


def test_what_uvicorn_says_again_in_colour_is_left_out() -> None:
    assert "color_message" not in in_json("Started.", color_message="\x1b[32mStarted.")


# --- a process that tells

TELLS = """
import logging, sys, threading, warnings
from serving.logs import show
show(sys.argv[1])
logging.getLogger("lectern.test").info("told\\nby %s", "us", extra={"model": "iris"})
logging.getLogger("lectern.test").debug("not told")
logging.getLogger("uvicorn.error").error("by uvicorn")
logging.getLogger("uvicorn.error").info("not told")
logging.getLogger("elsewhere").warning("by others")
warnings.warn("mind the\\ngap")
def fails():
    raise ValueError("in a thread")
thread = threading.Thread(target=fails)
thread.start()
thread.join()
raise KeyError("at the end")
"""


def told(log_format: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TELLS, log_format]
    return subprocess.run(command, cwd=ROOT, text=True, check=False, timeout=60, **streams)


def test_all_that_a_process_tells_is_lines_of_one_kind(tmp_path: Path) -> None:
    done = told("auto", capture_output=True)  # a pipe
    assert (done.returncode, done.stdout) == (1, "")
    documents = [json.loads(line) for line in done.stderr.splitlines()]
    assert [found["logger"] for found in documents] == [
        "lectern.test",
        "uvicorn.error",
        "elsewhere",
        "py.warnings",
        "lectern",
        "lectern",
    ]
    first, *_, warned, in_thread, last = documents
    assert (first["message"], first["model"], first["level"]) == ("told\nby us", "iris", "INFO")
    assert "mind the\ngap" in warned["message"]
    assert in_thread["exception"].endswith("ValueError: in a thread")
    assert (last["level"], last["message"]) == ("CRITICAL", "Something ended in an unforeseen way.")
    with (tmp_path / "log").open("w+") as file:
        told("auto", stderr=file)
        file.seek(0)
        in_file = file.read().splitlines()
    assert in_file[:3] == ["lectern: told\\nby us", "lectern: by uvicorn", "lectern: by others"]
    assert in_file[-1].startswith(
        "lectern: Something ended in an unforeseen way. Traceback: KeyError: 'at the end' (<string>:"
    )
    assert len(in_file) == len(documents)
    assert told("text", capture_output=True).stderr.splitlines()[0] == "lectern: told\\nby us"
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        told("auto", stderr=terminal)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert shown.startswith("lectern: told\\nby us\r\n")
