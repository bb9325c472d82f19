"""serving.transport: what stands around the application where it is asked for: CORS, HTTPS, proxies, TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from contract.errors import SettingsRefused
from contract.store import Store
from serving.client import Client
from serving.responses import send_body
from serving.settings import ServeSettings
from serving.transport import tls
from serving.transport.around import around
from tests.live import publish_graph, running
from tests.secured import certified


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what a scope says of who asks, and how."""
    said = {"client": scope["client"][0], "scheme": scope["scheme"]}
    await send_body(200, b"application/json", json.dumps(said).encode(), [], send)


def asked(
    settings: ServeSettings,
    method: str = "GET",
    path: str = "/predict",
    *,
    base: str = "http://localhost",
    peer: str = "10.0.0.5",
    **headers: str,
) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(around(told, settings), client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, headers={n.replace("_", "-"): v for n, v in headers.items()})

    return asyncio.run(ask())


def test_without_a_setting_nothing_stands_around_it() -> None:
    assert around(told, ServeSettings()) is told


# --- pages of other origins

APP = "https://app.example.org"


def test_pages_of_the_origins_that_are_named_may_read_and_others_may_not() -> None:
    settings = ServeSettings(cors_origins=f"{APP}, http://localhost:3000")
    assert asked(settings, origin=APP).headers["access-control-allow-origin"] == APP
    assert "access-control-allow-origin" not in asked(settings, origin="https://evil.example").headers
    preflight = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    allowed = asked(settings, "OPTIONS", origin=APP, **preflight)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, APP)
    assert "access-control-allow-credentials" not in allowed.headers
    assert asked(settings, "OPTIONS", origin="https://evil.example", **preflight).status_code == 400
    with_user = ServeSettings(cors_origins=APP, cors_credentials=True)
    assert asked(with_user, origin=APP).headers["access-control-allow-credentials"] == "true"


# --- HTTPS


def test_plain_http_is_sent_to_https_where_it_has_to_be() -> None:
    settings = ServeSettings(https_only=True, trusted_proxies="10.0.0.5")
    sent = asked(settings, path="/models?a=b", x_forwarded_proto="http")
    assert (sent.status_code, sent.headers["location"]) == (308, "https://localhost/models?a=b")
    refused = asked(settings, "POST")
    assert (refused.status_code, refused.json()["code"]) == (403, "https_required")
    assert asked(settings, "POST", x_forwarded_proto="https").status_code == 200
    assert asked(settings, path="/health/live").status_code == 200
    assert asked(settings, "POST", x_forwarded_proto="https", peer="10.9.9.9").status_code == 403


def test_browsers_are_told_to_come_by_https_over_https_only() -> None:
    settings = ServeSettings(hsts_s=600)
    assert asked(settings, base="https://localhost").headers["strict-transport-security"] == "max-age=600"
    assert "strict-transport-security" not in asked(settings).headers


# --- proxies


def test_only_proxies_that_are_named_are_believed() -> None:
    given = {"x_forwarded_for": "192.0.2.7, 203.0.113.9", "x_forwarded_proto": "https"}
    plain = {"client": "10.0.0.5", "scheme": "http"}
    assert asked(ServeSettings(hsts_s=1), **given).json() == plain
    trusting = ServeSettings(trusted_proxies="10.0.0.0/24")
    assert asked(trusting, **given).json() == {"client": "203.0.113.9", "scheme": "https"}
    assert asked(trusting, peer="10.0.1.5", **given).json() == plain | {"client": "10.0.1.5"}
    chain = ServeSettings(trusted_proxies="10.0.0.5, 203.0.113.9")
    assert asked(chain, **given).json()["client"] == "192.0.2.7"
    assert asked(ServeSettings(trusted_proxies="unix"), peer="", **given).json()["client"] == "192.0.2.7"


# --- TLS


def test_a_certificate_and_key_that_do_not_do_are_told_of_at_the_start(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)

    def refusal(certificate: Path | None, key: Path | None) -> str:
        with pytest.raises(SettingsRefused) as refused:
            tls.check(ServeSettings(tls_certificate=certificate, tls_key=key))
        return str(refused.value)

    assert refusal(certificate, None) == "TLS takes a certificate and its key: set LECTERN_TLS_KEY, too."
    assert refusal(None, key) == "TLS takes a certificate and its key: set LECTERN_TLS_CERTIFICATE, too."
    assert refusal(tmp_path / "none", key) == f"Cannot read {tmp_path / 'none'}: No such file or directory."
    assert "are no certificate and its key" in refusal(key, certificate)
    other = tmp_path / "other"
    other.mkdir()
    _, other_key = certified(other)
    assert "(KEY_VALUES_MISMATCH): give files of PEM that belong together." in refusal(certificate, other_key)
    _, hidden = certified(other, password=b"secret")
    assert f"The key {hidden} has a password" in refusal(other / "certificate.pem", hidden)
    tls.check(ServeSettings())
    tls.check(ServeSettings(tls_certificate=certificate, tls_key=key))


def test_it_speaks_https_and_the_client_checks_who_answers(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_graph(store, "double")
    certificate, key = certified(tmp_path)
    with running(store, announced=False, tls_certificate=certificate, tls_key=key, hsts_s=60) as service:
        service.wait()
        assert service.url.startswith("https://127.0.0.1:")
        with httpx.Client(verify=ssl.create_default_context(cafile=certificate), base_url=service.url) as client:
            answer = client.post("/predict", json={"x": 1})
            assert (answer.json()["prediction"], answer.http_version) == (2.0, "HTTP/1.1")
            assert answer.headers["strict-transport-security"] == "max-age=60"
            assert client.get("/%").status_code in (400, 404)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{service.url}/health")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert Client(service.url).model("double").predict([{"x": 1}])["prediction"].tolist() == [2.0]
