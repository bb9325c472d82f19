"""The log: each event is one line, for a person or for a program.

`auto` writes JSON where stderr is a pipe or a socket, as a container or a service manager reads it, and text on a
terminal and in a file. Neither holds a character that ends a line, or that a terminal obeys.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import multiprocessing.util
import os
import stat
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from serving.lines import STDERR, Lines
from serving.responses import REQUEST_ID
from serving.settings import LogFormat

MOST_SIGNS = 8_000
"""Longest message, and longest exception."""
_MOST_PLACES = 8
"""The innermost places of an exception that a line for a person names."""
_QUIET = ("opentelemetry", "uvicorn")
"""What tells only of what is wrong."""

log = logging.getLogger("lectern")


def show(log_format: LogFormat, *, apart: bool = True) -> None:
    """Have all that is told in this process written to stderr: what is logged, warned of, and ends it unforeseen."""
    _occupy()
    handler = Lines(apart=apart)
    handler.setFormatter(_json() if log_format == "json" or (log_format == "auto" and _is_collected()) else Text())
    handler.addFilter(_completed)
    logging.getLogger().handlers[:] = [handler]
    log.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _unforeseen
    threading.excepthook = lambda found: _unforeseen(found.exc_type, found.exc_value, found.exc_traceback)
    if multiprocessing.parent_process() is not None:  # where nothing else flushes it at the end
        multiprocessing.util.Finalize(None, handler.flush, exitpriority=0)


class Text(logging.Formatter):
    """A line for a person: `lectern: ` and what happened; of an exception also where it came through."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            text += f" Traceback: {' from '.join(_causes(record.exc_info[1]))}"[:MOST_SIGNS]
        request_id = getattr(record, "request_id", "")
        if request_id not in text:
            text += f" (request {request_id})"
        return f"lectern: {printable(text)}"


def printable(text: str) -> str:
    """A text without what ends a line, or what a terminal would obey or not show."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def _json() -> logging.Formatter:
    from serving.json_lines import Json

    return Json()


def _causes(error: BaseException | None) -> Iterator[str]:
    """An exception, with the places it came through, and what it was raised from."""
    while error is not None:
        trace = traceback.extract_tb(error.__traceback__, limit=-_MOST_PLACES)
        places = [f"{Path(place.filename).name}:{place.lineno}" for place in trace]
        yield f"{type(error).__name__}: {error} ({', '.join(places)})"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _completed(record: logging.LogRecord) -> bool:
    """An event with the request that it belongs to, and no longer than it may be."""
    if not hasattr(record, "request_id") and (request_id := REQUEST_ID.get()):
        record.request_id = request_id
    with suppress(TypeError, ValueError):  # whoever writes it finds that, too
        if len(text := record.getMessage()) > MOST_SIGNS:
            record.msg, record.args = f"{text[:MOST_SIGNS]}…", ()
    return True


def _unforeseen(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("Something ended in an unforeseen way.", exc_info=(kind, error, trace))


def _is_collected() -> bool:
    mode = os.fstat(STDERR).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _occupy() -> None:
    """Put something in the place of each standard stream that is closed: the next socket would take its number."""
    for number in range(STDERR + 1):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
