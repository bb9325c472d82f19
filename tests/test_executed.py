"""The executed notebook of a version: a stranger's page, in a frame and alone. It runs nothing, reaches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Frame, Page, expect

from contract import golden
from contract.answers import Answers
from contract.formats import onnx
from contract.manifest import Onnx, Run, Runtime
from contract.store import Store
from serving.executed import MOST_BYTES
from tests.browsing import Browse
from tests.live import Service, X, damage, multiplication, running
from tests.samples import manifest
from tests.test_routes import problem

ELSEWHERE = "http://192.0.2.1"  # an address that nobody has
LARGE = 500 << 20
FILE = {"accept": "application/x-ipynb+json"}
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ATTACK = (
    f"parent.pwned = top.pwned = window.pwned = 1; fetch('{ELSEWHERE}/fetched'); top.location = '{ELSEWHERE}/script'"
)
OUTPUTS = {
    "javascript": f"<script>{ATTACK}</script>",
    "image": f'<img src="{ELSEWHERE}/image.png" alt=""><img src="x" alt="" onerror="{ATTACK}">',
    "svg": f'<svg onload="{ATTACK}"><script>{ATTACK}</script><image href="{ELSEWHERE}/svg.png"/></svg>',
    "markdown": f'<p><a id="js" href="javascript:{ATTACK}">a link</a></p>',
    "frames": f"<iframe srcdoc=\"<script>top.pwned = 1; top.location = '{ELSEWHERE}/srcdoc'</script>\"></iframe>"
    f'<iframe src="{ELSEWHERE}/frame"></iframe><object data="{ELSEWHERE}/object"></object>',
    "links": f'<a id="top" target="_top" href="{ELSEWHERE}/top">out</a>'
    f'<a id="blank" target="_blank" href="{ELSEWHERE}/blank">new</a>',
    "form": f'<form target="_top" action="{ELSEWHERE}/form"><input name="key"><button>Sign in</button></form>',
    "style": f"<style>@import '{ELSEWHERE}/sheet.css'; @font-face {{ font-family: f; src: url('{ELSEWHERE}/font') }}"
    f"body {{ position: fixed; inset: 0; z-index: 9; font-family: f; background: url('{ELSEWHERE}/cover') }}</style>",
}
HOSTILE = (
    f'<!doctype html><html lang="en"><head><title>hostile</title><base href="{ELSEWHERE}/base/">'
    f'<meta http-equiv="refresh" content="0; url={ELSEWHERE}/refresh"><link rel="stylesheet" href="sheet.css"></head>'
    f"<body><h1>What was shown</h1>{''.join(OUTPUTS.values())}</body></html>"
)
CELLS = [{"cell_type": "code", "outputs": [{"data": {"text/html": html}}]} for html in OUTPUTS.values()]
NOTEBOOK = json.dumps({"cells": CELLS}).encode()
REFUSED = [
    "Blocked script execution in",
    "violates the following Content Security Policy directive",
    "Refused to execute the redirect",
    "Blocked opening",
    "Blocked form submission",
    f"Away from home: {ELSEWHERE}",  # none is sent, see below
]
"""What the browser says of such a page."""


def publish(store: Store, name: str, *, report: bytes, notebook: bytes, size: int | None = None) -> int:
    """Make a version of a run; `size` is that of both its files, whatever they begin with."""
    stage = store.stage()
    graph, rows = multiplication(2.0), golden.write({"x": [1.0]}, Answers([2.0]))
    files = {onnx.FILE: graph, golden.GOLDEN: rows, "report.html": report, "notebook.ipynb": notebook}
    for file, content in files.items():
        stage.path(file).write_bytes(content)
    if size is not None:
        for file in ("report.html", "notebook.ipynb"):
            with stage.path(file).open("r+b") as opened:
                opened.truncate(size)  # a hole, which takes no room
    runtime = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0.0))
    stage.seal(manifest(model=name, signature=X, runtime=runtime, run=Run(kind="papermill")))
    return store.publish(stage)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Models with a hostile notebook, large ones, damaged ones, and one without."""
    store = Store(tmp_path_factory.mktemp("executed") / "store")
    publish(store, "hostile", report=HOSTILE.encode(), notebook=NOTEBOOK)
    begun = b'<!doctype html><html lang="en"><title>large</title><h1>It begins</h1><div hidden><b title=\'<script>'
    publish(store, "large", report=begun, notebook=NOTEBOOK, size=LARGE)
    publish(store, "whole", report=b"<p>".ljust(MOST_BYTES), notebook=b"")
    for name, size in (("short", 1000), ("long", 3 << 20)):
        publish(store, name, report=b"<p>", notebook=NOTEBOOK, size=size)
        for file in ("report.html", "notebook.ipynb"):
            damage(store.artifact(name), file)
    stage = store.stage()
    for file, content in {onnx.FILE: multiplication(2.0), golden.GOLDEN: b"{}"}.items():
        stage.path(file).write_bytes(content)
    stage.seal(manifest(model="byhand", signature=X))
    store.publish(stage)
    with running(store) as found:
        yield found


def path(model: str) -> str:
    return f"/models/{model}/versions/1/notebook"


# --- what it may do


def test_the_headers_allow_nothing(service: Service) -> None:
    asked = [("hostile", "", PAGE), ("large", "", PAGE), ("hostile", "", FILE), ("hostile", "", {"accept": "*/*"})]
    for model, suffix, accept in (*asked, ("hostile", ".ipynb", PAGE)):
        with service.client.stream("GET", path(model) + suffix, headers=accept) as answer:
            found = {n: value for n, value in answer.headers.items() if n not in ("date", "server", "x-request-id")}
        kind, rest = found.pop("content-type"), found.pop("content-disposition", "")
        assert (kind, rest) == (
            ("application/x-ipynb+json", f'attachment; filename="{model}-1.ipynb"')
            if accept is FILE or suffix
            else ("text/html; charset=utf-8", "")
        )
        found.pop("content-length", None), found.pop("transfer-encoding", None)
        assert found == {
            "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
            "font-src data:; frame-ancestors 'self'",
            "x-content-type-options": "nosniff",
            "x-dns-prefetch-control": "off",
            "referrer-policy": "no-referrer",
            "vary": "accept",
        }


@contextmanager
def watched(page: Page) -> Iterator[None]:
    """In the end the policy has stopped each request to elsewhere before it was sent, and nothing was said."""
    failures = dict[str, str | None]()
    page.on("requestfailed", lambda request: failures.update({request.url: request.failure}))
    page.on("dialog", lambda dialog: pytest.fail(f"it said {dialog.message}"))
    yield
    page.wait_for_timeout(500)
    stopped = {url.removeprefix(ELSEWHERE): why for url, why in failures.items() if url.startswith(ELSEWHERE)}
    assert stopped.keys() >= {"/image.png", "/base/x", "/svg.png", "/base/sheet.css", "/sheet.css", "/cover", "/font"}
    assert set(stopped.values()) == {"csp"}, stopped


def assert_powerless(page: Page, frame: Page | Frame) -> None:
    """Nothing ran, nothing is reached, nothing goes anywhere, whatever is clicked on."""
    before = page.url
    expect(frame.get_by_role("heading", name="What was shown")).to_be_visible()
    for chosen in ("#js", "#blank", "button"):
        frame.locator(chosen).click(no_wait_after=True, force=True)
    for reached in ("document.cookie", "localStorage.length", "sessionStorage.length"):
        assert frame.evaluate(f"() => {{ try {{ return {reached} }} catch (error) {{ return error.name }} }}") == (
            "SecurityError"
        ), reached
    page.wait_for_timeout(500)
    assert page.evaluate("window.pwned === undefined")
    assert frame.evaluate("window.pwned === undefined")
    assert (page.url, len(page.context.pages)) == (before, 1)


def test_in_a_frame_it_runs_nothing_and_reaches_nothing(service: Service, browse: Browse) -> None:
    page = browse(service.url, expected=[*REFUSED, "Unsafe attempt to initiate navigation"]).page
    with watched(page):
        page.goto("models/hostile/versions/1")
        page.locator("iframe").scroll_into_view_if_needed()
        (frame,) = (found for found in page.frames if found.url.endswith("/notebook"))
        assert_powerless(page, frame)
        frame.locator("#top").click(no_wait_after=True, force=True)
    assert frame.evaluate("() => { try { return parent.document } catch (error) { return error.name } }") == (
        "SecurityError"
    )
    assert page.url == f"{service.url}/models/hostile/versions/1"
    heading = page.get_by_role("heading", level=1)  # is not covered by what the frame draws
    heading.scroll_into_view_if_needed()
    heading.click()
    assert [found.url.startswith(ELSEWHERE) for found in page.frames if found.parent_frame is page.main_frame] == [
        False
    ]


def test_alone_it_runs_nothing_and_reaches_nothing(service: Service, browse: Browse) -> None:
    page = browse(service.url, expected=REFUSED).page
    with watched(page):
        page.goto(path("hostile").lstrip("/"))
        assert_powerless(page, page)


# --- large ones


def memory(service: Service, name: str) -> int:
    (found,) = re.findall(
        rf"^{name}:\s+(\d+) kB", Path(f"/proc/{service.process.pid}/status").read_text(), re.MULTILINE
    )
    return int(found) << 10


@pytest.fixture
def growth(service: Service) -> Iterator[list[int]]:
    """How many bytes the service grew at most while a test ran, once it has."""
    service.get("/models")
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")  # the peak is counted from here
    before, found = memory(service, "VmRSS"), list[int]()
    yield found
    assert memory(service, "VmHWM") - before < 60 << 20


def test_a_large_report_is_cut_and_says_so(service: Service, growth: list[int]) -> None:
    answer = service.client.get(path("large"), headers=PAGE)
    assert MOST_BYTES < len(answer.content) <= 17 << 20
    assert answer.text.startswith("<!doctype html><p ")


def test_a_report_of_just_the_most_bytes_is_whole(service: Service) -> None:
    assert len(service.client.get(path("whole"), headers=PAGE).content) == MOST_BYTES
    assert "the beginning is shown" not in service.client.get("/models/whole/versions/1", headers=PAGE).text


def test_the_notice_is_seen_wherever_the_report_was_cut(service: Service, browse: Browse) -> None:
    page = browse(service.url).page
    page.goto("models/large/versions/1")
    expect(page.get_by_text("(it has 524 MB; the beginning is shown)")).to_be_visible()
    page.locator("iframe").scroll_into_view_if_needed()
    notebook = page.frame_locator("iframe")
    expect(notebook.get_by_text("its file has all of it")).to_be_visible()
    expect(notebook.get_by_role("heading", name="It begins")).to_be_visible()
    assert page.frames[-1].evaluate("document.compatMode") == "CSS1Compat"


def test_a_large_file_comes_whole_and_in_pieces(service: Service, growth: list[int]) -> None:
    size, beginning = 0, b""
    with service.client.stream("GET", path("large"), headers=FILE) as answer:
        for piece in answer.iter_raw():
            beginning = beginning or piece[: len(NOTEBOOK)]
            size += len(piece)
    assert size == LARGE
    assert NOTEBOOK.startswith(beginning)


# --- what is damaged, and what is not there


def test_a_damaged_file_is_refused_or_breaks_off_but_is_never_taken_for_the_right_one(service: Service) -> None:
    for accept in (FILE, PAGE):
        found = service.client.get(path("short"), headers=accept)
        assert found.status_code == 503
        assert "is not the file that was published: its SHA-256 differs from the manifest's." in found.text.replace(
            "&#39;", "'"
        )
    assert problem(service.client.get(path("short"), headers=FILE)).code == "version_failed"
    assert problem(service.client.get(path("long"))).code == "version_failed"
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        service.client.get(path("long"), headers=FILE)


@pytest.mark.parametrize("accept", [FILE, PAGE])
def test_who_exported_by_hand_is_told_that_there_is_none(service: Service, accept: dict[str, str]) -> None:
    answer = service.client.get(path("byhand"), headers=accept)
    assert answer.status_code == 404
    assert "was exported by hand; no run was recorded." in answer.text
    shown = service.client.get("/models/byhand/versions/1", headers=PAGE).text
    assert "It was exported by hand; no run was recorded." in shown
    assert "<iframe" not in shown
