"""A browser for the tests of pages: Chromium, kept to one address, and everything it complains of."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebError, WebSocket, expect, sync_playwright

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The commands that start one; `make browser` looks for the same."""
WIDE, NARROW = 1280, 360
LOOKS = [{"width": width, "dark": dark} for width in (WIDE, NARROW) for dark in (False, True)]
PATIENCE_MS = 60_000

_SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # a redirect is followed without asking anybody, but not to a host that has no address
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_ACCESSIBLE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event =>
  console.error(`The policy's ${event.effectiveDirective} forbids ${event.blockedURI} in ${event.documentURI}`));
"""


def installed() -> str:
    """Where the browser is; without one, whoever asks is skipped, or fails where nobody looks for what was skipped."""
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return found
    leave = pytest.fail if os.environ.get("CI") else pytest.skip
    return leave(f"none of {', '.join(BROWSERS)} is on the PATH; `make browser` installs one or says why it cannot")


@dataclass(frozen=True)
class Running:
    """A browser that runs, and the event loop that Playwright waits in."""

    browser: Browser
    loop: asyncio.AbstractEventLoop


@contextmanager
def started(executable: str) -> Iterator[Running]:
    """Run that browser."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=_SWITCHES, chromium_sandbox=os.geteuid() != 0
        )
        running = Running(browser, asyncio.get_running_loop())
        with _passing_for_running(None):
            yield running
        browser.close()


@contextmanager
def _passing_for_running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Playwright's loop is suspended while tests run, and still says that it runs: asyncio would start no other."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


@dataclass
class Window:
    """A page, and what was wrong with it: errors, what its policy forbade, and what it asked for away from home."""

    page: Page
    away: re.Pattern[str]
    expected: Sequence[str]
    complaints: list[str] = field(default_factory=list)

    def axe(self) -> None:
        """Hold the page, as it is now, to the rules of WCAG 2, A and AA, and to good practice."""
        options = {"runOnly": {"type": "tag", "values": _ACCESSIBLE}, "resultTypes": ["violations"]}
        violations = Axe().run(self.page, options=options).response["violations"]
        told = [
            f"{violation['id']}: {node['target']}: {violation['help']}"
            for violation in violations
            for node in violation["nodes"]
        ]
        assert not told, "\n".join(["not accessible:", *told])

    def assert_well(self) -> None:
        """Hold the page to what every test asks: nothing was wrong but what is expected, and that was."""
        wrong = [told for told in self.complaints if not any(re.search(pattern, told) for pattern in self.expected)]
        assert not wrong, "\n".join(["the browser complained:", *wrong])
        for pattern in self.expected:
            assert any(re.search(pattern, told) for told in self.complaints), f"nothing complained of {pattern!r}"

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def _catch(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _see(self, asked: Request | WebSocket) -> None:
        if self.away.match(asked.url):
            self.complaints.append(f"Away from home: {asked.url}")


@contextmanager
def opened(
    browser: Browser,
    home: str,
    *,
    width: int = WIDE,
    dark: bool = False,
    zone: str = "UTC",
    expected: Sequence[str] = (),
) -> Iterator[Window]:
    """A window in a session of its own, whose addresses are below `home`; in the end it must be well.

    `expected` are patterns of complaints; each of them has to come.
    """
    context = browser.new_context(
        base_url=home,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id=zone,
        service_workers="block",
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_TELL_VIOLATIONS)
    below = re.escape(home.removeprefix("http").rstrip("/") + "/")
    window = Window(context.new_page(), re.compile(f"^(?!(http|ws){below}|data:|blob:)"), expected)
    context.on("console", window._hear)
    context.on("weberror", window._catch)
    context.on("request", window._see)
    window.page.on("websocket", window._see)
    context.route(window.away, lambda route: route.abort("blockedbyclient"))
    try:
        yield window
        for each in context.pages:
            each.evaluate("0")  # whatever was said before the answer has been heard
    finally:
        context.close()
    window.assert_well()


Browse = Callable[..., Window]


@contextmanager
def windows(running: Running) -> Iterator[Browse]:
    """A function that opens windows, all of which must be well in the end."""
    with _passing_for_running(running.loop), ExitStack() as stack:
        yield lambda home, **looks: stack.enter_context(opened(running.browser, home, **looks))
