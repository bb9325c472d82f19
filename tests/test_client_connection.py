"""serving.client: where the service is found, what is said when it is not there, what is sent again or never shown."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import socket
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contract.errors import RequestRefused, ServiceUnreachable, SettingsRefused
from contract.store import Store
from pipeline.settings import TrainSettings
from serving.client import Client
from serving.settings import ServeSettings
from tests.live import Service, publish_graph, running
from tests.prefixed import prefixed

X = pd.DataFrame({"x": [1.0, 2.0]})
WAY_OUT = (
    "Start one with `make serve` in a shell or `serving.start()` in a notebook, or say where it is: "
    "`Client(url)` or LECTERN_URL."
)
SECRET = "s3cret-key"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LECTERN_URL", "LECTERN_API_KEY", "LECTERN_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    found = Store(tmp_path_factory.mktemp("found") / "store")
    publish_graph(found, "double")
    return found


@pytest.fixture(scope="module")
def service(store: Store) -> Iterator[Service]:
    with running(store) as found:
        yield found


LACKS_ARROW = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pyarrow" else found(name, *more)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on a unix socket, where pyarrow is not installed."""
    folder = tmp_path_factory.mktemp("bare")
    publish_graph(Store(folder / "store"), "triple", 3.0)
    (folder / "sitecustomize.py").write_text(LACKS_ARROW)
    with running(folder / "store", socket=folder / "s", environment={"PYTHONPATH": str(folder)}) as found:
        yield found


Reply = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def stranger(reply: Reply) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """Something that answers HTTP in its own way; `reply` gets the number of the request, from 0."""
    asked: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self)
            reply(self, len(asked) - 1)

        do_POST = do_GET  # noqa: N815  # their names are the standard library's

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(status: int, kind: str, content: bytes, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(status)
        told = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (told | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return reply


JSON, PROBLEM = "application/json", "application/problem+json"
BUSY = b'{"status":503,"code":"busy","detail":"Too much to do.","request_id":"0","errors":[]}'


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- where it is


def test_a_running_service_of_the_same_store_is_found(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    with Client() as client:
        assert client.url == service.url
        assert client.model("double").predict(X)["prediction"].tolist() == [2.0, 4.0]
    monkeypatch.setenv("LECTERN_URL", "http://127.0.0.1:1/")
    assert Client().url == "http://127.0.0.1:1"
    assert Client("localhost:2").url == "http://localhost:2"
    monkeypatch.delenv("LECTERN_URL")
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path))
    monkeypatch.setenv("LECTERN_API_KEY", SECRET)
    assert Client().url == "http://127.0.0.1:8000"
    assert not Client()._connection._key.get_secret_value()  # anybody may listen there
    monkeypatch.delenv("LECTERN_STORE")
    (store.root.parent / "artifacts").symlink_to(store.root)
    monkeypatch.chdir(store.root.parent)
    assert Client().url == service.url


def test_a_service_on_a_unix_socket_is_asked_and_found(bare: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    address = bare.printed.partition("Lectern answers at ")[2].split()[0]
    monkeypatch.setenv("LECTERN_STORE", str(Path(address.removeprefix("unix:")).with_name("store")))
    for client in (Client(address), Client(address.replace("unix:", "unix://")), Client()):
        with client:
            assert client.url == address
            assert client.model("triple").predict(X)["prediction"].tolist() == [3.0, 6.0]
            assert client.model("triple").predict({"x": 1})["prediction"] == 3.0


def test_nobody_at_a_unix_socket_is_told(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        with pytest.raises(
            ServiceUnreachable, match=rf"^No service answers at unix:{re.escape(str(tmp_path))}/s \("
        ) as caught:
            Client(f"unix:{tmp_path}/s").models()
        assert caught.value.address == f"unix:{tmp_path}/s"
        del caught
        gc.collect()  # httpx leaves a unix socket that it cannot connect to the collector


def test_many_rows_go_as_lines_where_the_service_has_no_arrow(bare: Service) -> None:
    address = bare.printed.partition("Lectern answers at ")[2].split()[0]
    rows = pd.DataFrame({"x": range(20_000)}, index=range(20_000, 0, -1))
    with Client(address) as client:
        said = client.model("triple").predict(rows)
    assert (said["prediction"] == rows["x"] * 3.0).all()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://a:b", "unix:", "http://x:0", "http://x:99999"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsRefused, match=rf"^'{re.escape(url)}' is no address of a service: write it as http://"):
        Client(url)


def test_a_path_below_the_address_is_kept(service: Service) -> None:
    with prefixed(service.url) as url, Client(url) as client:
        assert client.url.endswith("/user/ann/proxy/8000")
        assert client.models().index.tolist() == ["double"]
        assert client.model("double").predict(X)["prediction"].tolist() == [2.0, 4.0]


def test_the_environment_of_a_client_stops_neither_side() -> None:
    environment = {"LECTERN_URL": "http://x", "LECTERN_API_KEY": SECRET}
    assert ServeSettings.read(environment) == ServeSettings()
    assert TrainSettings.read(environment) == TrainSettings()


# --- when it is not there


def test_nobody_there_is_told_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url) as client:
        with pytest.raises(ServiceUnreachable) as caught:
            client.model("double").predict(X)
        assert str(caught.value) == f"No service answers at {url} ([Errno 111] Connection refused). {WAY_OUT}"
        assert caught.value.address == url
        assert client._repr_html_() == "<div><p>The service does not answer.</p></div>"
        assert client.model("double")._repr_html_() == "<p><strong>double</strong><br>The service does not answer.</p>"
    with pytest.raises(ServiceUnreachable, match=r"^No service answers at http://a b \("):
        Client("http://a b").models()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (said(404, "text/html", b"<h1>lost</h1>"), "404 with text/html"),
        (said(404, JSON, b'{"detail":"Not Found"}'), "404 with application/json"),
        (said(302, "", b"", Location="/login"), "302 with no content"),
        (said(200, "text/html", b"<h1>Sign in</h1>"), "200 with text/html"),
        (said(500, PROBLEM, b"{"), "500 with application/problem+json"),
        (said(500, PROBLEM, b"[]"), "500 with application/problem+json"),
        (said(500, PROBLEM, b'{"status":500}'), "500 with application/problem+json"),
    ],
)
def test_another_program_is_told_apart(reply: Reply, told: str) -> None:
    with stranger(reply) as (url, _), Client(url) as client:
        for ask in (client.models, lambda: client.model("double").predict(X)):
            with pytest.raises(ServiceUnreachable) as caught:
                ask()
            expected = f"What answers at {url} is no service of Lectern: it said {told}. {WAY_OUT}"
            assert str(caught.value) == expected


def test_what_takes_too_long_is_given_up() -> None:
    done = threading.Event()

    def waits() -> None:
        done.wait()

    with stranger(lambda *_: waits()) as (url, _), Client(url, timeout_s=0.1) as client:
        with pytest.raises(
            ServiceUnreachable, match=r"^The service at .* did not answer within 0\.1 s\. `Client\(timeout"
        ):
            client.models()
        done.set()


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    broken = r"^The connection to .* was lost before the answer was whole \(peer"
    with stranger(said(200, JSON, b"[{", Content_Length="10")) as (url, _), Client(url) as client:
        for _ in range(2):
            with pytest.raises(ServiceUnreachable, match=broken):
                client.models()


def test_every_row_has_an_answer_or_none_has() -> None:
    one = b'{"predictions":[{"prediction":1.0,"id":"a-0","warnings":[]}]}'
    signature = (
        b'{"container":"frame","inputs":[{"name":"x","type":"float","dtype":"float64"}],"output":{"task":"regression"}}'
    )

    def reply(handler: BaseHTTPRequestHandler, _: int) -> None:
        content = one if handler.command == "POST" else signature
        said(200, JSON, content, lectern_model="double", lectern_version="1")(handler, 0)

    with stranger(reply) as (url, _), Client(url) as client:
        model = client.model("double")
        with pytest.raises(ServiceUnreachable, match=r"^The service at .* gave 1 answers for 2 rows\.$"):
            model.predict(X)


# --- what is tried again


def busy_until(last: int, status: int, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number < last:
            said(status, PROBLEM, BUSY, **headers)(handler, number)
        else:
            said(200, JSON, b"[]")(handler, number)

    return reply


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_that_says_when_is_asked_again(status: int) -> None:
    with stranger(busy_until(2, status, Retry_After="0")) as (url, asked), Client(url) as client:
        assert client.models().empty
        assert len(asked) == 3


@pytest.mark.parametrize(
    ("reply", "times"),
    [
        (busy_until(9, 503, Retry_After="0"), 3),
        (busy_until(9, 503), 1),
        (busy_until(9, 503, Retry_After="3600"), 1),
        (busy_until(9, 503, Retry_After="tomorrow"), 1),
        (busy_until(9, 500, Retry_After="0"), 1),
    ],
)
def test_it_is_not_asked_for_ever(reply: Reply, times: int) -> None:
    with stranger(reply) as (url, asked), Client(url) as client:
        with pytest.raises(RequestRefused, match=r"^Too much to do\. \(request 0\)$") as caught:
            client.models()
        assert (caught.value.code, len(asked)) == ("busy", times)


def test_a_connection_that_ended_meanwhile_is_opened_again() -> None:
    def hangs_up(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number % 2:
            handler.close_connection = True
        else:
            said(200, JSON, b"[]")(handler, number)
            handler.close_connection = False

    with stranger(hangs_up) as (url, asked), Client(url) as client:
        for _ in range(3):
            assert client.models().empty
        assert len(asked) == 5
    with stranger(lambda handler, _: setattr(handler, "close_connection", True)) as (url, asked), Client(url) as client:
        with pytest.raises(ServiceUnreachable, match="was lost before the answer was whole"):
            client.models()
        assert len(asked) == 2


# --- where it is used


def test_it_works_while_an_event_loop_runs_and_after_it_was_closed(service: Service) -> None:
    async def in_a_notebook() -> Any:
        return client.model("double").predict(X)["prediction"].tolist()

    with Client(service.url) as client:
        assert asyncio.run(in_a_notebook()) == [2.0, 4.0]
        client.close()
        client.close()
        assert client.model("double").predict({"x": 1})["prediction"] == 2.0


def test_a_forked_process_has_a_connection_of_its_own() -> None:
    def stays_open(handler: BaseHTTPRequestHandler, number: int) -> None:
        said(200, JSON, b"[]")(handler, number)
        handler.close_connection = False

    with stranger(stays_open) as (url, asked), Client(url) as client:
        client.models()
        child = os.fork()
        if not child:
            code = 1
            try:
                code = len(client.models())
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.models()
    first, of_child, again = (handler.client_address for handler in asked)
    assert first == again != of_child


def test_a_proxy_of_the_environment_is_for_other_machines_only(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stranger(said(200, JSON, b"[]")) as (proxy, asked):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        port = service.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            with Client(f"{host}:{port}") as client:
                assert client.model("double").predict({"x": 1})["prediction"] == 2.0
        assert not asked
        with Client("http://models.example:8000") as client:
            assert client.models().empty
        assert asked[0].path == "http://models.example:8000/models"


# --- what stays secret


def test_the_key_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with stranger(said(401, PROBLEM, BUSY.replace(b"503", b"401"))) as (url, asked):
        with Client(url, key=f" {SECRET}\n") as client, pytest.raises(RequestRefused) as caught:
            client.models()
        monkeypatch.setenv("LECTERN_API_KEY", "of-the-environment")
        with Client(url) as other, pytest.raises(RequestRefused):
            other.models()
        with Client(url, key=SECRET) as third, pytest.raises(RequestRefused):
            third.models()
    sent = [handler.headers["Authorization"].partition(" ") for handler in asked]
    assert [key for *_, key in sent] == [SECRET, "of-the-environment", SECRET]
    assert {scheme for scheme, *_ in sent} == {"Bearer"}
    del sent
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    connection = client._connection
    for text in (shown, repr(client), client._repr_html_(), str(vars(connection)), repr(connection._opened().headers)):
        assert SECRET not in text


def test_without_a_key_none_is_sent() -> None:
    with stranger(said(200, JSON, b"[]")) as (url, asked), Client(url) as client:
        client.models()
        assert asked[0].headers["Authorization"] is None


@pytest.mark.parametrize("key", ["a\nb", "clé", "a\0"])
def test_a_key_that_no_header_may_have_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsRefused, match=r"^The key \(`key` or LECTERN_API_KEY\) has letters that no header may"):
        Client("localhost", key=key)


def test_a_password_in_the_address_is_shown_nowhere() -> None:
    client = Client(f"http://ada:{SECRET}@127.0.0.1:{free_port()}/x")
    with pytest.raises(ServiceUnreachable) as caught:
        client.models()
    for text in (str(caught.value), repr(client), str(client._connection.place), repr(client._connection.place)):
        assert SECRET not in text
        assert "127.0.0.1" in text
    with pytest.raises(SettingsRefused, match=r"^'ftp://x' is no address"):
        Client(f"ftp://ada:{SECRET}@x")
    with pytest.raises(SettingsRefused, match=r"^'http://x:8000' is no address"):
        Client("http://ada:pa/ss@x:8000")
