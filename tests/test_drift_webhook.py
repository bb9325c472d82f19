"""serving.drift.webhook and serving.drift.news: who is told of alarms, how often, and what of what is answered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.errors import SettingsRefused
from contract.store import Store
from serving.drift import webhook
from serving.drift.counting import Key
from serving.drift.evaluating import Evaluation, evaluate
from serving.drift.news import News, Office
from serving.drift.reference import Reference, reference
from serving.drift.slices import Slice
from serving.drift.webhook import Webhook
from serving.settings import ServeSettings
from tests.counted import MODEL, drawn, publish_counted
from tests.live import PATIENCE_S, until

KEY = Key(MODEL, 1)
WINDOW = 1_000


@dataclass
class Listener:
    """Who is told, and what."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    """The next statuses; 200 after the last."""
    heard: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """A real server that hears what is posted."""
    found = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.heard.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/told?key=secret"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(webhook, "WAITS_S", (0.01, 0.01, 0.01))
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    store = Store(tmp_path_factory.mktemp("told") / "store")
    publish_counted(store)
    return reference(store.artifact(MODEL))


def evaluated(parts: Reference, *, inputs: float = 0.0, outputs: float = 0.0) -> Evaluation:
    """A window in which the input and the output moved by so many deviations."""
    x = [row["x"] for row in drawn(WINDOW, moved=inputs)]
    values = [2 * row["x"] for row in drawn(WINDOW, moved=outputs)]
    window = Slice(1.7e9, 1.7e9 + 60, WINDOW, parts.count({"x": x}, values))
    return evaluate(KEY, parts, window, ServeSettings())


def settings(address: str, **others: Any) -> ServeSettings:
    return ServeSettings(drift_webhook=address, **others)


# --- what is news


def test_an_alarm_is_news_once_and_again_when_more_join_or_it_came_back(parts: Reference) -> None:
    news = News(WINDOW)
    steady, one = evaluated(parts), evaluated(parts, inputs=1)
    both = evaluated(parts, inputs=1, outputs=1)
    assert [len(found.alarms) for found in (steady, one, both)] == [0, 1, 2]
    rows = 0
    for found, after, expected in (
        (steady, 500, False),
        (one, 500, True),
        (one, 500, False),
        (one, 5_000, True),  # nobody looked for longer than a window
        (both, 500, True),
        (one, 500, False),
        (both, 400, False),
        (steady, 500, False),  # not for long enough
        (both, 400, False),
        (steady, 500, False),
        (steady, 600, False),
        (both, 100, True),
    ):
        rows += after
        assert news.of(found, rows) is expected, rows


def test_of_several_workers_one_tells_and_another_goes_on_where_it_was(parts: Reference, tmp_path: Path) -> None:
    first, second, third = (News(WINDOW) for _ in range(3))
    one, two = Office(tmp_path, first), Office(tmp_path, second)
    assert (one.mine(), two.mine(), one.mine()) == (True, False, True)
    assert first.of(evaluated(parts, inputs=1), 5_000)
    one.keep()
    one.keep()
    one.close()
    assert two.mine()
    assert not second.of(evaluated(parts, inputs=1), 5_100)
    two.close()
    assert not Office(tmp_path / "gone", third).mine()
    assert Office(None, third).mine()


def test_a_lock_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from serving.drift.news import News, Office\n"
        "office = Office(Path(sys.argv[1]), News(1)); print(office.mine(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        office = Office(tmp_path, News(1))
        taken = office.mine()
        process.kill()
    assert not taken
    until(office.mine)
    office.close()


# --- what is sent


def test_who_is_to_know_is_told_without_a_value_of_a_row(parts: Reference, listener: Listener) -> None:
    hook = Webhook(settings(listener.url))
    for _ in range(3):
        hook.tell(evaluated(parts, inputs=1), 1_000)
    until(lambda: hook.sent)
    hook.stop()
    ((path, headers, body),) = listener.heard
    assert path == "/told?key=secret"
    assert headers["content-type"] == "application/json"
    assert body["fields"][0].pop("psi") > 0.5
    assert body["fields"][0].pop("p_value") < 1e-9
    assert body == {
        "model": MODEL,
        "version": 1,
        "window": {"rows": WINDOW, "since": "2023-11-14T22:13:20+00:00", "until": "2023-11-14T22:14:20+00:00"},
        "fields": [{"name": "x", "kind": "input"}],
        "page": "/models/times/drift?version=1",
    }


def test_it_is_tried_again_and_given_up(parts: Reference, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    hook = Webhook(settings(listener.url, drift_window_rows=100))
    listener.answers += [500, 503]
    hook.tell(evaluated(parts, inputs=1), 1_000)
    until(lambda: hook.sent == 1)
    assert len(listener.heard) == 3
    for number in (2, 3):
        listener.answers += [500] * 4
        hook.tell(evaluated(parts, inputs=1), number * 1_000)
        until(lambda number=number: hook.failed == number - 1)  # type: ignore[misc]
    hook.stop()
    assert len(listener.heard) == 11
    told = "127.0.0.1 was not told of drift: it answered 500 Internal Server Error. That is said once."
    assert [record.message for record in caplog.records] == [told]
    assert "secret" not in caplog.text


def test_a_redirect_is_not_followed(parts: Reference, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    hook = Webhook(settings(listener.url))
    listener.answers += [302, 307, 308, 301]
    hook.tell(evaluated(parts, inputs=1), 1_000)
    until(lambda: hook.failed)
    hook.stop()
    assert {path for path, _, _ in listener.heard} == {"/told?key=secret"}
    assert "301 Moved Permanently, and redirects are not followed" in caplog.text


def test_where_nobody_listens_nothing_waits(
    parts: Reference, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook, "WAITS_S", ())
    with listening() as gone:
        pass
    hook = Webhook(settings(gone.url))
    hook.tell(evaluated(parts, inputs=1), 1_000)
    until(lambda: hook.failed)
    hook.stop()
    assert "127.0.0.1 was not told of drift: Connection refused" in caplog.text


def test_what_is_no_answer_of_http_is_a_failure(
    parts: Reference, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import socket

    monkeypatch.setattr(webhook, "WAITS_S", ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        hook = Webhook(settings(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        hook.tell(evaluated(parts, inputs=1), 1_000)
        connection, _ = server.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"* OK IMAP4rev1 ready\r\n\r\n")
        until(lambda: hook.failed)
        hook.stop()
    assert "was not told of drift: BadStatusLine" in caplog.text


def test_one_that_never_answers_is_left_in_time(
    parts: Reference, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import socket

    monkeypatch.setattr(webhook, "WAITS_S", ())
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        hook = Webhook(settings(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        hook.tell(evaluated(parts, inputs=1), 1_000)
        until(lambda: hook.failed)
        hook.stop()
    assert "127.0.0.1 was not told of drift: TimeoutError" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://example.org/",
        "//example.org/",
        "example.org/drift",
        "http://",
        "https:///drift",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://user:password@example.org/",
        "http://example.org/a b",
        "http://example.org/\r\nhost: other",
        "http://example.org\\@other.org/",
        "http://[::1/",
        "http://ex\u0430mple.org/",
    ],
)
def test_an_address_that_is_none_of_the_web_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(SettingsRefused, match=r"(?s)^LECTERN_DRIFT_WEBHOOK=.* does not do: give an address with http"):
        ServeSettings.read({"LECTERN_DRIFT_WEBHOOK": address})


def test_without_an_address_nobody_is_told() -> None:
    assert ServeSettings().drift_webhook is None
    for address in ("http://127.0.0.1:9/x?y=z", "https://example.org"):
        assert ServeSettings.read({"LECTERN_DRIFT_WEBHOOK": address}).drift_webhook == address
    assert np.isfinite(webhook.TIMEOUT_S)
