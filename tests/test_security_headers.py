"""The headers that keep a browser from harm, on whatever the service shows: found by following every link."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from contract.store import Store
from tests import gallery
from tests.live import running

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_LINK = re.compile(r'(?:href|src)="([^"#?]+)[^"]*"')
MOST = 80


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, httpx.Response]]:
    """Everything that a browser is led to, by its path."""
    store = Store(tmp_path_factory.mktemp("headers") / "store")
    gallery.hang(store)
    seen: dict[str, httpx.Response] = {}
    with running(store) as service:
        waiting = ["/", "/docs", "/redoc", "/openapi.json", "/metrics", "/health", "/none", "/models/none"]
        while waiting and len(seen) < MOST:
            path = waiting.pop(0)
            if path in seen:
                continue
            seen[path] = answer = service.client.get(path, headers=PAGE)
            if "text/html" in answer.headers.get("content-type", "") and "sandbox" not in answer.headers.get(
                "content-security-policy", ""
            ):
                waiting += [answer.url.join(link).path for link in _LINK.findall(answer.text) if ":" not in link]
        yield seen


def test_everything_is_taken_for_what_it_says_it_is(found: dict[str, httpx.Response]) -> None:
    assert len(found) > 20
    assert {
        path for path, answer in found.items() if answer.headers.get("x-content-type-options") != "nosniff"
    } == set()


def test_a_page_loads_nothing_from_elsewhere_and_is_framed_by_nobody_else(found: dict[str, httpx.Response]) -> None:
    pages = {path: answer.headers for path, answer in found.items() if "html" in answer.headers.get("content-type", "")}
    assert len(pages) > 10
    for path, headers in pages.items():
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'", path
        assert policy["frame-ancestors"] == "'self'", path
        assert "unsafe" not in policy.get("script-src", ""), path
        assert headers["referrer-policy"] == "no-referrer", path


def test_what_a_stranger_wrote_is_in_a_sandbox_that_allows_nothing(found: dict[str, httpx.Response]) -> None:
    strangers = [answer for path, answer in found.items() if path.endswith("/notebook")]
    assert strangers
    for answer in strangers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; ")
        assert "allow-" not in policy
