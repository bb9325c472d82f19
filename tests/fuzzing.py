"""Fuzzing: bytes that are nearly requests, sent to a live service; `python -m tests.fuzzing` does it for long.

real requests → cut, doubled, glued together, sprinkled with noise → whatever comes back is an answer of HTTP, or none
"""

from __future__ import annotations

import argparse
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from contract.store import Store
from tests.live import Service, Times, publish, publish_graph, running
from tests.raw import Heard, chunked, request, said

CALLERS = 24
WITHIN_S = 30.0
"""Longest wait for the service to end a connection; its own deadlines are shorter."""
QUICK: dict[str, Any] = {"head_timeout_s": 0.5, "body_timeout_s": 0.5, "answer_timeout_s": 5, "keep_alive_s": 0.2}
INTERNAL = re.compile(
    rb'Traceback|File "|line \d+, in|/(?:home|root|usr|work|tmp)/|site-packages|[a-z]\.py\b|(?:Error|Exception)\b'
)
"""What would tell of the inside."""
_NOISE = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"\xff",
    b"\xc3\xa9",
    b"%00",
    b"%",
    b"0",
    b"-1",
)
_WORDS = (
    b"Content-Length: 7\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Host: evil.example\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Type: text/csv\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Accept: text/html\r\n",
    b"Authorization: Bearer \x80\r\n",
    b"X-Request-Timeout-Ms: -1\r\n",
    b"Range: bytes=0-\r\n",
    b" HTTP/9.9",
    b"/../../etc/passwd",
    b"?echo=maybe",
    b"{" * 200,
    b"[" * 2000,
    b"1e999",
    b"NaN",
    b'"\\ud800"',
)
SEEDS = (
    request(),
    request(path="/models/double/predict?echo=true"),
    request(path="/models/times/predict", body=b'[{"x":1},{"x":2}]'),
    request(path="/models/double/versions/1/predict", body=b'{"columns":["x"],"data":[[1],[2]]}'),
    chunked([b"7\r\n" + b'{"x":1}' + b"\r\n", b"0\r\n\r\n"]),
    chunked([b"3;a=b\r\n" + b'{"x' + b"\r\n", b"4\r\n" + b'":1}' + b"\r\n", b"0\r\nX-T: 1\r\n\r\n"]),
    request("GET", "/health", body=None),
    request("GET", "/models", "Accept: text/html", body=None),
    request("GET", "/models/double/signature", body=None),
    request("GET", "/metrics", body=None),
    request("HEAD", "/docs", body=None),
    request("OPTIONS", "/predict", body=None),
    request("DELETE", "/models/double/aliases/none", body=None),
    request("POST", "/models/double/promote", body=b'{"version":1}'),
    request("POST", "/feedback", body=b'{"id":"00","truth":1}'),
    request(body=b"x\r\n1\r\n2\r\n").replace(b"application/json", b"text/csv"),
    request(body=b'{"x":1}\n{"x":2}\n').replace(b"application/json", b"application/x-ndjson"),
)


def _flipped(draw: Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def _cut(draw: Random, data: bytes) -> bytes:
    return data[: draw.randrange(len(data))]


def _inserted(draw: Random, data: bytes) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + draw.choice(_NOISE + _WORDS) * draw.choice((1, 1, 1, 2, 50)) + data[place:]


def _header_added(draw: Random, data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\r\n" + draw.choice(_WORDS), 1)


def _removed(draw: Random, data: bytes) -> bytes:
    begin = draw.randrange(len(data))
    return data[:begin] + data[begin + draw.randint(1, 20) :]


def _doubled(draw: Random, data: bytes) -> bytes:
    begin = draw.randrange(len(data))
    end = draw.randint(begin, len(data))
    return data[:end] + data[begin:end] + data[end:]


def _glued(draw: Random, data: bytes) -> bytes:
    return data + draw.choice(SEEDS)


def _noise(draw: Random, _: bytes) -> bytes:
    return draw.randbytes(draw.randint(1, 500))


MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flipped,
    _cut,
    _inserted,
    _header_added,
    _removed,
    _doubled,
    _glued,
    _noise,
)


def mutated(draw: Random) -> bytes:
    """Something that was a request."""
    data = draw.choice(SEEDS)
    for _ in range(draw.choice((1, 1, 2, 3))):
        data = draw.choice(MUTATIONS)(draw, data or b" ")
    return data


def faults(heard: Heard) -> list[str]:
    """What is wrong with what came back."""
    found = []
    if not heard.closed:
        found.append("the connection stays open")
    for status, body, head in zip(heard.statuses, heard.bodies, heard.heads, strict=True):
        if status >= 500:
            found.append(f"{status}: {body[:300]!r}")
        if status >= 400 and len(body) > 8 << 10:
            found.append(f"an error of {len(body)} bytes")
        if status >= 400 and (told := INTERNAL.search(body)):
            found.append(f"{status} tells {told[0]!r}: {body[:300]!r}")
        if status >= 400 and body and "json" not in head["content-type"] and "html" not in head["content-type"]:
            found.append(f"{status} is {head['content-type']}")
    return found


def fuzz(service: Service, seed: int, count: int) -> Counter[int]:
    """Send so many, and return how often each status came.

    Raises:
        AssertionError: the service misbehaved; it names the number that makes it do so again.
    """

    def once(number: int) -> list[int]:
        draw = Random(number)
        data = mutated(draw)
        cut = draw.randrange(len(data) + 1) if draw.random() < 0.3 else len(data)
        heard = said(service.url, data[:cut], data[cut:], within_s=WITHIN_S)
        wrong = faults(heard)
        assert not wrong, f"seed {number}: {data!r} got {'; '.join(wrong)}"
        return heard.statuses

    with ThreadPoolExecutor(CALLERS) as pool:
        statuses = Counter(status for found in pool.map(once, range(seed, seed + count)) for status in found)
    assert service.process.poll() is None
    assert said(service.url, request(), answers=1).statuses == [200]
    assert "Traceback" not in service.complaints, service.complaints
    return statuses


def stock(store: Store) -> None:
    """Put a model of each kind into a store."""
    publish_graph(store, "double")
    publish(store, "times", Times(3.0))


def main() -> None:
    """Fuzz a service of our own."""
    given = argparse.ArgumentParser(description="Send a service bytes that are nearly requests.")
    given.add_argument("--count", type=int, default=10_000)
    given.add_argument("--seed", type=int, default=secrets.randbelow(1 << 40))
    chosen = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        stock(store)
        with running(store, default_model="double", **QUICK) as service:
            print(f"{chosen.count:,} from seed {chosen.seed}", flush=True)
            print(dict(sorted(fuzz(service, chosen.seed, chosen.count).items())))


if __name__ == "__main__":
    main()
