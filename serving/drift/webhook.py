"""The webhook: whoever is to know of new alarms gets one POST of JSON for them, from a thread that nothing waits for.

The address is the operator's setting and nobody else's. Redirects are not followed, proxies of the environment not
asked, and of what is answered only the status is looked at.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from serving.drift.evaluating import Evaluation
from serving.drift.news import News, Office
from serving.settings import ServeSettings

TIMEOUT_S = 10.0
WAITS_S = (1.0, 5.0, 25.0)
"""Between one attempt and the next."""
MOST_WAITING = 100

log = logging.getLogger("lectern.drift")


class Webhook:
    """Tells of alarms. `tell` never waits."""

    def __init__(self, settings: ServeSettings) -> None:
        assert settings.drift_webhook is not None  # without an address there is nobody to tell
        self.sent = 0
        self.failed = 0
        """Messages that were given up after the last attempt."""
        self._address = urlsplit(settings.drift_webhook)
        self._news = News(settings.drift_window_rows)
        self._office = Office(settings.shared_folder, self._news)
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._well = True

    def tell(self, found: Evaluation, total: int) -> None:
        """Have an evaluation told of if it is news, `total` being the rows that the version ever answered."""
        if not self._office.mine():
            return
        if self._news.of(found, total):
            self._waiting.append(json.dumps(message(found)).encode())
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lectern-webhook", daemon=True)
                self._thread.start()
        self._office.keep()

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopping.set()
        self._wanted.set()
        self._office.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            while self._waiting and not self._stopping.is_set():
                self._deliver(self._waiting.popleft())

    def _deliver(self, body: bytes) -> None:
        for wait_s in (*WAITS_S, None):
            try:
                trouble = post(self._address, body)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is the other side's, and the next may pass
                trouble = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            if not trouble:
                self.sent += 1
                self._well = True
                return
            if wait_s is None or self._stopping.wait(wait_s):
                break
        self.failed += 1
        if self._well:
            log.warning("%s was not told of drift: %s. That is said once.", self._address.hostname, trouble)
            self._well = False


def message(found: Evaluation) -> dict[str, Any]:
    """What is told of an evaluation: which parts raise an alarm. There is no value of a row in it."""
    model, version = found.key
    return {
        "model": model,
        "version": version,
        "window": {"rows": found.rows, "since": _moment(found.began), "until": _moment(found.ended)},
        "fields": [
            {"name": one.part.name, "kind": one.part.kind, "psi": one.psi, "p_value": one.p_value}
            for one in sorted(found.alarms, key=lambda one: -one.psi)
        ],
        "page": f"/models/{quote(model)}/drift?version={version}",
    }


def post(address: SplitResult, body: bytes) -> str:
    """Send JSON to an address; return what is wrong, empty where it was taken.

    Raises:
        OSError, http.client.HTTPException: nobody answers, or not in time, or not as a server does.
    """
    from http.client import HTTPConnection, HTTPSConnection

    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    assert address.hostname is not None  # as the settings made sure
    connection = kind(address.hostname, address.port, timeout=TIMEOUT_S)
    try:
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, body, {"content-type": "application/json", "user-agent": "lectern"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if 200 <= status < 300:
        return ""
    moved = ", and redirects are not followed" if 300 <= status < 400 else ""
    known = status in HTTPStatus._value2member_map_
    return f"it answered {status}{' ' + HTTPStatus(status).phrase if known else ''}{moved}"


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
