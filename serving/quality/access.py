"""Access to the prediction log for routes: opened when it is first needed, and anew when it is another file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contract.errors import LogUnavailable
from serving.prediction_log.place import Place
from serving.prediction_log.writer import PredictionLog
from serving.problems import Problem

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from serving.prediction_log.database.engine import Database

PATIENCE_S = 5.0
"""How long others may keep it locked."""


class Access:
    """The log of one service, in one process. Each transaction is made in the thread that asks for it."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._database: Database | None = None
        self._opening = threading.Lock()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that may change something.

        Raises:
            Problem: it could not be made, or committed.
        """
        return self._told(lambda database: database.writing())

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of all tables.

        Raises:
            Problem: it could not be made.
        """
        return self._told(lambda database: database.reading())

    @contextmanager
    def _told(self, begun: Callable[[Database], AbstractContextManager[Connection]]) -> Iterator[Connection]:
        if self._log.place is None or self._log.off:
            raise Problem(503, "log_off", f"There is no prediction log: {self._log.off}.")
        try:
            with begun(self._open(self._log.place)) as connection:
                yield connection
        except LogUnavailable as error:
            told = f"The prediction log cannot be used at the moment: {str(error).removesuffix('.')}."
            raise Problem(503, "log_unavailable", told, headers={"retry-after": "5"}) from error

    def _open(self, place: Place) -> Database:
        from serving.prediction_log.database.opening import opened

        with self._opening:
            if self._database is not None and not self._database.is_there:  # it was put aside, or deleted
                self._database.close()
                self._database = None
            if self._database is None:
                self._database = opened(place, patience_s=PATIENCE_S)
            return self._database
