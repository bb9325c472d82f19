"""The pages /docs and /redoc in a browser: whole and usable without any other host, at the root and below a prefix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from contract.store import Store
from tests.browsing import Browse
from tests.live import publish_graph, running
from tests.prefixed import prefixed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that doubles."""
    store = Store(tmp_path_factory.mktemp("docs") / "store")
    publish_graph(store, "double")
    with running(store) as service:
        yield service.url


@pytest.fixture(scope="module", params=["root", "prefix"])
def home(service: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same as it is, and as somebody on a Jupyter server sees it."""
    if request.param == "root":
        yield service
    else:
        with prefixed(service) as url:
            yield url


def test_docs_tries_a_model_out(home: str, browse: Browse) -> None:
    page = browse(home).page
    page.goto("docs")
    page.get_by_text("Predict with double, version 1").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".response-col_description")).to_contain_text('"prediction": 2')


def test_redoc_shows_the_model(home: str, browse: Browse) -> None:
    page = browse(home).page
    page.goto("redoc")
    expect(page.get_by_role("heading", name="Predict with double, version 1").first).to_be_visible()
