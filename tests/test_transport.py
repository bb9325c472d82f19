"""serving.transport: requests that are ambiguous, too large or too many, byte by byte; each gets its status."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from contract.store import Store
from tests.crowds import beside
from tests.live import Service, publish_graph, running, until
from tests.raw import ROW, Caller, Heard, chunked, request, said

LIMIT = 20_000_000
GET = request("GET", "/health/live", body=None)
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = Store(tmp_path_factory.mktemp("edge") / "store")
    publish_graph(store, "double")
    with running(store, head_timeout_s=1, body_timeout_s=2, answer_timeout_s=2, keep_alive_s=2) as found:
        yield found
        assert found.predict({"x": 1}).json()["prediction"] == 2.0
        assert "Traceback" not in found.complaints


def with_head(*lines: bytes, body: bytes = ROW) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


AMBIGUOUS = {
    "D1 length and chunks": with_head(b"Content-Length: 7", b"Transfer-Encoding: chunked"),
    "D1 with a request behind": with_head(b"Content-Length: 7", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + GET),
    "D2 two lengths": with_head(b"Content-Length: 7", b"Content-Length: 8"),
    "D2 twice the same length": with_head(b"Content-Length: 7", b"Content-Length: 7"),
    "D4 +7": with_head(b"Content-Length: +7"),
    "D4 -1": with_head(b"Content-Length: -1"),
    "D4 29 digits": with_head(b"Content-Length: " + b"9" * 29),
    "D5 xchunked": with_head(b"Transfer-Encoding: xchunked"),
    "D5 chunked, identity": with_head(b"Transfer-Encoding: chunked, identity"),
    "D5 gzip, chunked": with_head(b"Transfer-Encoding: gzip, chunked"),
    "D5 twice chunked": with_head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "D8 space before the colon": with_head(b"Content-Length : 7"),
    "D10 folded": with_head(b"Content-Length: 7", b"X-A: b", b" c"),
    "D11 no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "D11 two Hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "D11 empty Host": b"GET /health HTTP/1.1\r\nHost:\r\n\r\n",
    "D11 a Host with a user": b"GET /health HTTP/1.1\r\nHost: a@localhost\r\n\r\n",
    "D17 no path": b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "D17 another scheme": b"GET ftp://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bare line feeds": b"GET /health HTTP/1.1\nHost: localhost\n\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: \x00\r\n\r\n",
    "HTTP/2.0": b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a web socket": with_head(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", body=b""),
    "HTTP/2 by upgrade": with_head(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 7"),
    "chunks in HTTP/1.0": b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_is_ambiguous_is_refused_and_the_connection_closed(service: Service, sent: bytes) -> None:
    heard = said(service.url, sent)
    assert heard.refusal == ([400], "bad_request", True)
    assert heard.heads[-1]["connection"] == "close"


LARGE = {
    "D13 65 kB": (b"X: " + b"a" * 65_000 + b"\r\n", 431, "head_too_large"),
    "D13 33 kB": (b"X: " + b"a" * 33_000 + b"\r\n", 431, "head_too_large"),
    "D13 1 MB": (b"X: " + b"a" * 1_000_000 + b"\r\n", 431, "head_too_large"),
    "D13 1 MB that never ends": (b"X: " + b"a" * 1_000_000, 431, "head_too_large"),
    "D13 10,000": (b"X: a\r\n" * 10_000, 431, "head_too_large"),
    "D13 101": (b"X: a\r\n" * 100, 431, "head_too_large"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_head_has_a_largest_size(service: Service, kind: str) -> None:
    more, status, code = LARGE[kind]
    assert said(service.url, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + more + b"\r\n").refusal == (
        [status],
        code,
        True,
    )


@pytest.mark.parametrize("length", [8_193, 200_000])
def test_an_address_has_a_greatest_length(service: Service, length: int) -> None:
    heard = said(service.url, b"GET /" + b"a" * (length - 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert heard.refusal == ([414], "url_too_long", True)


def test_what_is_just_small_enough_is_taken(service: Service) -> None:
    long = b"GET /" + b"a" * 8_191 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert said(service.url, long).statuses == [404]
    many = request("GET", "/health/live", "Connection: close", *(["X: a"] * 98), body=None)
    assert said(service.url, many).statuses == [200]
    wide = request("GET", "/health/live", "Connection: close", "X: " + "a" * 32_000, body=None)
    assert said(service.url, wide).statuses == [200]
    assert said(service.url, *(wide[i : i + 1] for i in range(500)), wide[500:]).statuses == [200]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FOO", "PROPFIND", "QUERY", "X-Y"])
def test_a_method_that_no_path_takes_is_405(service: Service, method: str) -> None:
    heard = said(service.url, f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert heard.refusal == ([405], "method_not_allowed", True)
    assert heard.heads[-1]["allow"]


def test_the_target_may_be_an_address_of_the_host_and_of_no_other(service: Service) -> None:
    same = b"GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert said(service.url, same).statuses == [200]
    for other in (b"http://evil.example", b"http://127.0.0.1"):
        heard = said(service.url, same.replace(b"http://localhost", other))
        assert heard.refusal == ([421], "host_unknown", True)


def test_http_1_0_needs_no_host(service: Service) -> None:
    heard = said(service.url, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert (heard.statuses, heard.closed) == ([200], True)


# --- bodies


def test_chunks_may_have_extensions_and_trailers_which_nobody_reads(service: Service) -> None:
    sent = chunked([b"7;x=y\r\n" + ROW + b"\r\n", b"0\r\nHost: evil.example\r\nX-No-Log: 1\r\n\r\n"])
    assert said(service.url, sent + GET, answers=2).statuses == [200, 200]


def test_65537_chunks_of_a_byte_are_refused(service: Service) -> None:
    heard = said(service.url, chunked([b"1\r\n \r\n"] * 65_537, head=b"Connection: close\r\n") + b"0\r\n\r\n")
    assert heard.refusal == ([413], "chunks_too_small", True)
    assert said(service.url, chunked([b"7;x=" + b"y" * 200_000 + b"\r\n" + ROW])).statuses == [413]


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)], ids=["plain", "Expect"])
def test_a_body_over_the_limit_is_refused_unread(service: Service, expect: tuple[str, ...]) -> None:
    for method, path in (("POST", "/predict"), ("GET", "/health/live"), ("DELETE", "/models/double/aliases/a")):
        head = request(method, path, *expect, f"Content-Length: {LIMIT}", "Content-Type: application/json", body=None)
        assert said(service.url, head).refusal == ([413], "body_too_large", True)


def test_a_body_over_the_limit_is_refused_while_it_comes(service: Service) -> None:
    heard = said(service.url, request(body=b" " * LIMIT))
    assert heard.refusal == ([413], "body_too_large", True)
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    assert said(service.url, chunked([chunk] * 20)).refusal == ([413], "body_too_large", True)
    get = chunked([chunk] * 20).replace(b"POST /predict", b"GET /nothing")
    assert said(service.url, get).statuses in ([413], [404])  # answered before the body was read, and closed


def test_expect_is_told_to_go_on_and_nothing_else_can_be_expected(service: Service) -> None:
    kind = "Content-Type: application/json"
    with Caller(service.url) as caller:
        caller.send(request("POST", "/predict", kind, "Expect: 100-continue", "Content-Length: 7", body=None))
        assert caller.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert caller.send(ROW).hear(answers=1).statuses == [200]
    with Caller(service.url) as caller:  # answered without its body, of which nobody knows whether it comes
        caller.send(request("POST", "/nothing", kind, "Expect: 100-continue", "Content-Length: 7", body=None))
        heard = caller.hear()
        assert (heard.statuses, heard.closed) == ([404], True)
    assert said(service.url, request("GET", "/health", "Expect: the-unexpected", body=None)).refusal == (
        [417],
        "expectation_failed",
        True,
    )


# --- more than one request


def test_requests_may_follow_each_other_but_not_without_end(service: Service) -> None:
    heard = said(service.url, GET * 50, answers=50)
    assert heard.statuses == [200] * 50
    heard = said(service.url, GET * 300)
    assert heard.refusal == ([200] * 101 + [429], "pipeline_too_long", True)


def test_what_is_wrong_is_told_after_the_answers_to_what_was_right(service: Service) -> None:
    heard = said(service.url, request() + request() + b"\x00\x00")
    assert heard.refusal == ([200, 200, 400], "bad_request", True)
    assert heard.bodies[0].startswith(b'{"prediction":2.0')


# --- what comes slowly, or not at all


def test_a_head_that_does_not_come_is_408(service: Service) -> None:
    assert said(service.url, b"GET /hea").refusal == ([408], "head_too_slow", True)
    assert said(service.url).raw == b""
    assert said(service.url, b"\r\n" * 100) == Heard(closed=True)


def test_a_body_that_stands_still_is_408_and_the_model_is_free(service: Service) -> None:
    assert said(service.url, request()[:-1]).refusal == ([408], "body_too_slow", True)
    assert said(service.url, chunked([b"7\r\n"])).refusal == ([408], "body_too_slow", True)
    until(lambda: 'in_flight{model="double",version="1"} 0.0' in service.client.get("/metrics").text)


def test_a_connection_at_rest_is_closed_without_a_word(service: Service) -> None:
    heard = said(service.url, GET)
    assert (heard.statuses, heard.closed) == ([200], True)
    assert "connection" not in heard.heads[0]


def test_what_is_left_unread_is_given_up(service: Service) -> None:
    with Caller(service.url) as caller:
        lines = b'{"x":1}\n' * 5_000
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        caller.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        caller.socket.settimeout(20)
        try:
            while True:
                caller.socket.sendall(b"%x\r\n%b\r\n" % (len(lines), lines))
        except TimeoutError:  # pragma: no cover
            pytest.fail("the service waits for ever")
        except OSError:
            pass
    until(lambda: refused(service).get("unread"))


def test_whoever_leaves_harms_nobody(service: Service) -> None:
    for end in (b"", request()[:-1], request(), request() * 3, b"POST /predict HT"):
        with Caller(service.url) as caller:
            caller.send(end)
        with Caller(service.url) as caller:  # and without a good-bye
            caller.send(end)
            caller.socket.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert said(service.url, GET, answers=1).statuses == [200]


# --- what is counted


def refused(service: Service) -> dict[str, float]:
    line = re.compile(r'^lectern_refused_total\{reason="(\w+)"\} (\S+)', re.MULTILINE)
    return {code: float(number) for code, number in line.findall(service.client.get("/metrics").text)}


def test_each_refusal_is_counted(service: Service) -> None:
    before = refused(service).get("url_too_long", 0)
    said(service.url, b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert refused(service)["url_too_long"] == before + 1


# --- how many


def test_silent_and_slow_connections_keep_nobody_waiting(service: Service) -> None:
    assert len(beside(service, callers=2, requests=100, silent=100, slow=100)) == 100


def test_beyond_the_limit_of_connections_only_the_health_is_told(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, max_connections=4, head_timeout_s=60) as service:
        service.client.close()
        with Caller(service.url) as a, Caller(service.url) as b, Caller(service.url) as c, Caller(service.url) as d:
            for caller in (a, b, c, d):
                assert caller.send(GET).hear(answers=1).statuses == [200]
            heard = said(service.url, request())
            assert heard.refusal == ([503], "too_many_connections", True)
            assert heard.heads[0]["retry-after"]
            silent = [Caller(service.url) for _ in range(100)]
            heard = said(service.url, GET)
            assert (heard.statuses, heard.closed) == ([200], True)
            for caller in silent:
                caller.socket.close()
            assert a.send(request()).hear(answers=1).statuses == [200]
        until(lambda: said(service.url, request(), answers=1).statuses == [200])
        service.stop(signal.SIGTERM)
