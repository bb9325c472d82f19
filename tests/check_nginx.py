"""`make check-nginx`: the configuration of deploy, with a real nginx before a live service."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from contract.store import Store
from tests.live import ROOT, publish_graph, running, until
from tests.secured import certified

CONFIG = ROOT / "deploy" / "nginx" / "lectern.conf"
UNPACKED = ROOT / "build" / "nginx" / "usr" / "sbin"
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", str(UNPACKED)])
_MAIN = "daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{ }}\nhttp {{\n"
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Proxied:
    """A service and the nginx before it."""

    def __init__(self, client: httpx.Client, plain: str, context: ssl.SSLContext, port: int) -> None:
        self.client, self.plain, self.context, self.port = client, plain, context, port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("nginx")
    program = shutil.which("nginx", path=_PATH)
    assert program, "there is no nginx; make check-nginx brings it"
    certificate, key = certified(folder)
    store = Store(folder / "store")
    publish_graph(store, "double")
    plain, secure = free_port(), free_port()
    with running(store, trusted_proxies="127.0.0.1", hosts="localhost", access_log_share=1) as service:
        text = CONFIG.read_text(encoding="utf-8")
        for line, ours in (
            ("server 127.0.0.1:8000;", f"server {service.url.removeprefix('http://')};"),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ssl", f"listen 127.0.0.1:{secure} ssl"),
            ("server_name models.example.org;", "server_name localhost;"),
            ("/etc/ssl/lectern/certificate.pem", str(certificate)),
            ("/etc/ssl/lectern/key.pem", str(key)),
        ):
            assert line in text
            text = text.replace(line, ours)
        places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in _KINDS)
        path = folder / "nginx.conf"
        path.write_text(_MAIN.format(folder=folder) + f"access_log off;\n{places}{text}}}\n")
        subprocess.run([program, "-t", "-e", folder / "error.log", "-c", path], check=True)
        with subprocess.Popen([program, "-e", folder / "error.log", "-c", path]) as process:
            try:
                until(lambda: process.poll() is not None or answers(plain))
                context = ssl.create_default_context(cafile=certificate)
                with httpx.Client(verify=context, base_url=f"https://localhost:{secure}", trust_env=False) as client:
                    yield Proxied(client, f"http://127.0.0.1:{plain}", context, secure)
            finally:
                process.terminate()
        assert "Traceback" not in service.complaints


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_it_answers_over_https_and_sends_everybody_there(proxied: Proxied) -> None:
    answer = proxied.client.post("/predict", json={"x": 1})
    assert answer.json()["prediction"] == 2.0
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    sent = httpx.get(f"{proxied.plain}/models?a=b", headers={"host": "localhost"}, trust_env=False)
    assert (sent.status_code, sent.headers["location"]) == (308, "https://localhost/models?a=b")


def test_connections_are_kept(proxied: Proxied) -> None:
    connection = http.client.HTTPSConnection("localhost", proxied.port, context=proxied.context)
    for _ in range(3):
        connection.request("POST", "/predict", b'{"x":2}', {"Content-Type": "application/json"})
        assert b'"prediction":4.0' in connection.getresponse().read()
        first = connection.sock
        assert first is connection.sock
    connection.close()


def test_large_bodies_and_streams_go_through(proxied: Proxied) -> None:
    rows = b'{"x":1}\n' * 300_000
    kind = {"Content-Type": "application/x-ndjson"}
    answer = proxied.client.post(
        "/predict", content=iter([rows[i : i + 65_536] for i in range(0, len(rows), 65_536)]), headers=kind, timeout=120
    )
    assert (answer.status_code, answer.content.count(b'"prediction":2.0')) == (200, 300_000)
    refused = proxied.client.post("/predict", content=b" " * 20_000_000, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


def test_answers_come_while_rows_still_do(proxied: Proxied) -> None:
    """The last rows are sent only after the answers to the first ones."""
    raw = socket.create_connection(("127.0.0.1", proxied.port))
    with proxied.context.wrap_socket(raw, server_hostname="localhost") as secure:
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        secure.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        secure.settimeout(30)
        row = b'{"x":1}\n' * 100_000
        secure.sendall(b"%x\r\n%b\r\n" % (len(row), row))
        heard = b""
        while b'"prediction":2.0' not in heard:
            heard += secure.recv(65_536)
        secure.sendall(b"0\r\n\r\n")
        while b"0\r\n\r\n" not in heard[-5:]:
            heard += secure.recv(65_536)
    assert heard.count(b'"prediction":2.0') > 99_000  # the borders of chunks may go through some


def test_pages_work_below_a_prefix(proxied: Proxied) -> None:
    page = proxied.client.get("/lectern/models/double", headers={"accept": "text/html"})
    assert page.status_code == 200
    links = re.findall(r'(?:href|src)="([^"#:]+)"', page.text)
    assert links
    for link in links:
        found = proxied.client.get(page.url.join(link), headers={"accept": "text/html"})
        assert found.status_code in (200, 503), link  # 503: of what needs a log of predictions
    assert proxied.client.post("/lectern/predict", json={"x": 1}).json()["prediction"] == 2.0


def test_what_is_too_large_is_refused_and_metrics_are_not_for_callers(proxied: Proxied) -> None:
    assert proxied.client.get("/metrics").status_code == 404
    assert proxied.client.get("/" + "a" * 9_000).status_code == 414
    assert proxied.client.get("/health", headers={"x-a": "a" * 40_000}).status_code in (400, 431)
    other = httpx.get(
        f"https://localhost:{proxied.port}/health",
        headers={"host": "evil.example"},
        verify=proxied.context,
        trust_env=False,
    )
    assert other.status_code in (200, 421)
