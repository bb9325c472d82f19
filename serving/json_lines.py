"""JSON lines: an event as a JSON object on a line, for a program."""

from __future__ import annotations

import time
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from serving.logs import MOST_SIGNS

_FIRST = {"asctime": "time", "levelname": "level", "name": "logger", "message": "message"}
"""What each line begins with, by what `logging` calls it; then come an exception and what else an event says."""


class Json(JsonFormatter):
    """A line for a program; all but ASCII is escaped in it."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            [*_FIRST],
            rename_fields=_FIRST | {"exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's message again, with what a terminal obeys
        )

    def formatException(self, ei: Any) -> Any:  # noqa: N802  # logging's name
        """The exception with its traceback, which ends with what is most telling."""
        return str(super().formatException(ei))[-MOST_SIGNS:]
