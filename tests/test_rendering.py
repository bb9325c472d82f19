"""serving.pages.rendering: where links lead, who gets a page, and what a page may do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import Request

from serving.pages.rendering import page, wants_page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def request(path: str, root_path: str = "", raw: bytes | None = None, **headers: str) -> Request:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": given}
    return Request(scope if raw is None else scope | {"raw_path": raw})


@pytest.mark.parametrize(
    ("path", "root_path", "raw", "root"),
    [
        ("/", "", None, "./"),
        ("/models", "", None, "./"),
        ("/models/iris", "", None, "../"),
        ("/models/iris/versions/1", "", None, "../../../"),
        ("/models/iris/", "", None, "../../"),
        ("//x", "", None, "../"),
        ("/lectern/models/iris", "/lectern", b"/lectern/models/iris", "../"),
        ("/models/a/b", "", b"/models/a%2fb", "../"),
        ("/models/größe/x", "", b"/models/gr%C3%B6%C3%9Fe/x", "../../"),
    ],
)
def test_links_lead_to_the_root_from_every_depth(path: str, root_path: str, raw: bytes | None, root: str) -> None:
    text = bytes(page(request(path, root_path, raw), "models.html", health=HEALTH, models=[]).body).decode()
    assert set(re.findall(r'(?:href|src)="([^"#]*?)(?:static/|docs|redoc|health|metrics|")', text)) == {root}


HEALTH = {"status": "empty", "detail": "The store is empty."}


def test_a_page_has_a_tag_and_is_not_sent_again() -> None:
    first = page(request("/"), "models.html", health=HEALTH, models=[])
    assert (first.status_code, first.headers["vary"], first.headers["cache-control"]) == (200, "accept", "no-cache")
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = page(request("/", if_none_match=known), "models.html", health=HEALTH, models=[])
        assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    other = page(request("/", if_none_match=tag), "models.html", health=HEALTH | {"status": "ready"}, models=[])
    assert (other.status_code, other.headers["etag"] == tag) == (200, False)
    assert page(request("/", if_none_match=tag), "models.html", 503, health=HEALTH, models=[]).status_code == 503


def test_the_policy_allows_what_is_the_services_own() -> None:
    needed: dict[str, dict[str, Any]] = {"models.html": {"health": HEALTH, "models": []}}
    for template in ("models.html", "docs.html", "redoc.html"):
        facts = needed.get(template, {})
        headers = page(request("/"), template, **facts).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        looser = " 'unsafe-inline'" if not facts else ""
        assert {name: policy[name] for name in policy if name not in ("worker-src", "font-src")} == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": f"'self'{looser}",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "frame-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'self'",
        }
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("application/json, text/html", True),
        ("text/html;charset=utf-8;q=0.9,*/*;q=0.8", True),
        ("application/json;q=0.9, text/html;q=0.8", False),
        ("text/html;q=0.1, */*", False),
        ("text/html;q=0", False),
        ("text/html;q=nan", False),
        ("text/html;q=much", False),
        ("*/*", False),
        ("application/json", False),
        ("text/*", False),
        ("", False),
        (",;q=,", False),
    ],
)
def test_who_likes_a_page_best_gets_one(accept: str, wanted: bool) -> None:
    assert wants_page(request("/", accept=accept)) is wanted
