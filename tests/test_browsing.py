"""The browser of the tests of pages: whatever a page does wrong is told, and a good page is left in peace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests import browsing
from tests.browsing import LOOKS, Browse, Running

GOOD = '<!doctype html><html lang="en"><title>Good</title><main><h1>Good</h1>{}</main></html>'
ELSEWHERE = "http://192.0.2.1"  # an address that nobody has


@dataclass
class Site:
    """Small pages on this machine."""

    pages: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def served(site: Site) -> Iterator[Site]:
    """Answer for its pages, and by a redirect at /go."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            page = site.pages.get(self.path)
            self.send_response(302 if self.path == "/home/go" else 200 if page else 404)
            for name, value in {"Content-Type": "text/html", "Location": f"{ELSEWHERE}/went", **site.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_port}/home/"
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def script(text: str) -> str:
    return GOOD.format(f"<script>{text}</script>")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_good_page_is_well_and_is_shown_as_asked(look: dict[str, int], browse: Browse) -> None:
    data = '<img alt="dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="><p id="in">'
    loads = 'fetch(URL.createObjectURL(new Blob(["x"]))).then(r => r.text()).then(t => {document.all.in.textContent=t})'
    with served(Site({"/home/page": GOOD.format(f"{data}<script>{loads}</script>")})) as site:
        window = browse(site.url, **look)
        window.page.goto("page")
        window.page.get_by_text("x", exact=True).wait_for()
        window.axe()
        scheme = "dark" if look["dark"] else "light"
        for feature in (f"width: {look['width']}px", f"prefers-color-scheme: {scheme}", "prefers-reduced-motion"):
            assert window.page.evaluate("feature => matchMedia(`(${feature})`).matches", feature), feature


WRONG = {
    "": {
        '<script>console.error("ouch")</script>': r"ouch \(http://127.*/home/page\)",
        "<script>undefined.ouch</script>": "Cannot read properties of undefined .*",
        '<script>Promise.reject(new Error("late"))</script>': "late",
        f'<img alt="" src="{ELSEWHERE}/a.png">': f"Away from home: {ELSEWHERE}/a.png",
        '<img alt="" src="go">': f"Away from home: {ELSEWHERE}/went",
        '<img alt="" src="/outside.png">': r"Away from home: http://127\.0\.0\.1:\d+/outside.png",
        '<img alt="" src="missing.png">': r"Failed to load .* 404 .*/home/missing.png\)",
        '<script>fetch("go").catch(() => {})</script>': rf"Failed to load .*NAME_NOT_RESOLVED \({ELSEWHERE}/went\)",
        '<script>new WebSocket("ws://192.0.2.1/ws")</script>': "Away from home: ws://192.0.2.1/ws",
    },
    "default-src 'self'; form-action 'self'": {
        "<script>1</script>": "The policy's script-src-elem forbids inline in http://127.*/home/page .*",
        '<p style="color: red">red</p>': "The policy's style-src-attr forbids inline in .*",
        f'<img alt="" src="{ELSEWHERE}/a.png">': f"The policy's img-src forbids {ELSEWHERE}/a.png in .*",
    },
}


@pytest.mark.parametrize("policy", WRONG)
def test_whatever_a_page_does_wrong_is_told(policy: str, chromium: Running) -> None:
    page = GOOD.format("".join(WRONG[policy]))
    with served(Site({"/home/page": page}, {"Content-Security-Policy": policy})) as site:
        with pytest.raises(AssertionError) as failed, browsing.windows(chromium) as browse:
            browse(site.url).page.goto("page", wait_until="networkidle")
        told = str(failed.value).splitlines()
        assert told[0] == "the browser complained:"
        for part, pattern in WRONG[policy].items():
            assert any(re.fullmatch(pattern, complaint) for complaint in told), part
        assert "/outside.png" not in site.asked


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('<img src="data:,">', r"^image-alt: \['img'\]: Images must have alternative text$"),
        ('<p style="color: #aaa">faint</p>', r"^color-contrast: \['p'\]: "),
        ('<button style="width: 9px; height: 9px" aria-label="a"></button>' * 2, r"^target-size: "),
        ("</main><p>aside</p>", r"^region: \['p'\]: All page content should be contained by landmarks$"),
    ],
)
def test_what_not_everybody_can_use_is_told(content: str, told: str, browse: Browse) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # rules are held under any policy
    with served(Site({"/home/page": GOOD.format(content)}, {"Content-Security-Policy": policy})) as site:
        window = browse(site.url)
        window.page.goto("page")
        with pytest.raises(AssertionError, match=rf"(?m){told}"):
            window.axe()


def test_what_is_expected_must_come_and_nothing_else_may(chromium: Running) -> None:
    with served(Site({"/home/page": script('console.error("one"); console.error("two")')})) as site:

        def visit(*expected: str) -> None:
            with browsing.windows(chromium) as browse:
                browse(site.url, expected=expected).page.goto("page")

        visit("^one", "^two")
        with pytest.raises(AssertionError, match=r"^the browser complained:\ntwo \(http"):
            visit("^one")
        with pytest.raises(AssertionError, match=r"^nothing complained of 'three'"):
            visit("one|two", "three")


def test_a_test_that_fails_is_not_hidden_by_what_the_page_did(chromium: Running) -> None:
    with (
        served(Site({"/home/page": script('console.error("ouch")')})) as site,
        pytest.raises(ZeroDivisionError),
        browsing.windows(chromium) as browse,
    ):
        print(browse(site.url).page.goto("page"), 1 / 0)


def test_other_event_loops_run_before_and_after(chromium: Running) -> None:
    for _ in range(2):
        asyncio.run(asyncio.sleep(0))
        with served(Site({"/home/page": GOOD})) as site, browsing.windows(chromium) as browse:
            browse(site.url).page.goto("page")
    asyncio.run(asyncio.sleep(0))


def test_without_a_browser_tests_are_left_out_but_not_where_nobody_would_see(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    reason = f"none of {', '.join(browsing.BROWSERS)} is on the PATH; `make browser`"
    with pytest.raises(pytest.skip.Exception, match=re.escape(reason)):
        browsing.installed()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=re.escape(reason)):
        browsing.installed()
    (tmp_path / "google-chrome").touch(mode=0o755)
    assert browsing.installed() == str(tmp_path / "google-chrome")
