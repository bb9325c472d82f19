"""A model's page while the store changes: what is shown stays true, and nobody loses what was typed."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from contract.deploying import Deployer
from contract.signature import Field, Signature
from contract.store import Store
from tests.browsing import Browse
from tests.filling import entered, field, opened, predicted
from tests.live import Says, X, damage, publish, publish_graph, running, until
from tests.prefixed import prefixed

COLOUR = Field(name="colour", type="category", dtype="category", levels=("red", "blue"), example="red")
LOST = r"ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_SOCKET_NOT_CONNECTED"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which each test has a model of its own."""
    store = Store(tmp_path_factory.mktemp("live") / "store")
    for name in ("again", "other", "failing", "hidden", "below", "bare", "quick"):
        publish_graph(store, name, 2.0)
    publish_graph(store, "waiting", 2.0)
    Deployer(store, "somebody", lambda _: None).keep("waiting", 1, reason="never")
    return store


@pytest.fixture(scope="module")
def home(store: Store) -> Iterator[str]:
    with running(store, poll_s=0.05) as service:
        yield service.url
        assert "Traceback" not in service.complaints


def answers(page: Page, version: int) -> None:
    """Wait until the page says which version answers."""
    expect(page.locator("[data-announce]")).to_have_text(f"Version {version} answers.")


def test_a_new_version_is_told_and_the_form_stays(store: Store, home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "again")
    answers(page, 1)
    expect(page.get_by_role("status")).to_be_empty()
    assert predicted(page, lambda page: entered(page, "x").fill("21"))[1]["prediction"] == 42
    page.get_by_text("Python", exact=True).click()
    entered(page, "x").focus()
    form = page.locator("#form").element_handle()
    publish_graph(store, "again", 3.0)
    answers(page, 2)
    expect(page.get_by_role("status")).to_have_text("Version 2 answers.")
    assert page.evaluate("form => form.isConnected", form)
    expect(entered(page, "x")).to_have_value("21")
    expect(entered(page, "x")).to_be_focused()
    expect(page.locator("#answer .said")).to_have_text("42")
    expect(page.locator("#facts-title")).to_have_text("About version 2")
    document = predicted(page)[1]
    assert (document["version"], document["prediction"]) == (2, 63)


def test_a_version_with_other_fields_brings_another_form(store: Store, home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "other")
    entered(page, "x").fill("55.5")
    page.get_by_label("x, slider").focus()
    page.get_by_text("Python", exact=True).click()
    page.get_by_label("x, slider").focus()
    wider = X.inputs[0].model_copy(update={"observed": (-1000, 1000), "example": 3.0})
    more = Signature(container="frame", inputs=(COLOUR, wider), output=X.output)
    publish(store, "other", Says(predict=lambda rows: rows["x"] * 10), signature=more)
    expect(entered(page, "colour")).to_have_value('"red"')
    expect(page.get_by_role("status")).to_have_text("Version 2 answers.")
    expect(entered(page, "x")).to_have_value("55.5")
    expect(field(page, "x").locator(".hint")).to_have_text("the model saw from -1000 to 1000")
    expect(page.get_by_label("x, slider")).to_be_focused()
    expect(page.get_by_label("x, slider")).to_have_attribute("min", "-1000")
    expect(page.locator("[data-code=Python]")).to_have_text(
        f'from serving.client import Client\n\nmodel = Client("{home}").model("other")\n'
        'model.predict({"colour": "red", "x": 55.5})',
        use_inner_text=False,
    )
    expect(page.locator("[data-code=Python]")).to_be_visible()
    assert predicted(page)[1]["prediction"] == 555
    expect(page.get_by_role("button", name="Predict")).to_be_focused()
    publish(store, "other", Says(predict=lambda rows: rows["x"] * 2))
    expect(entered(page, "colour")).to_have_count(0)
    expect(page.get_by_role("button", name="Predict")).to_be_focused()
    expect(page.locator("#answer .said")).to_have_text("555")
    page.get_by_role("button", name="Back to the example").click()
    expect(entered(page, "x")).to_have_value("1.0")
    assert predicted(page)[1] | {"id": ""} == {
        "prediction": 2.0,
        "id": "",
        "warnings": [],
        "model": "other",
        "version": 3,
    }


def test_a_version_that_fails_is_told_and_the_old_one_answers(store: Store, home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "failing")
    entered(page, "x").fill("4")
    aside = Store(store.root.parent / "aside")
    damage(aside.artifact("failing", publish_graph(aside, "failing", 3.0)), "model.onnx")
    (aside.root / "failing" / "1").rename(store.root / "failing" / "2")
    expect(page.locator("#facts")).to_contain_text("Versions that cannot be served")
    expect(page.locator("#facts .bad")).to_contain_text("Version 2")
    expect(entered(page, "x")).to_have_value("4")
    assert predicted(page)[1]["version"] == 1


def test_the_form_appears_once_a_version_is_promoted(store: Store, home: str, browse: Browse) -> None:
    page = browse(home).page
    page.goto("models/waiting")
    expect(page.locator("[data-announce]")).to_contain_text("No version was promoted yet.")
    expect(page.locator("#form")).to_have_count(0)
    Deployer(store, "somebody", lambda _: None).promote("waiting", 1)
    answers(page, 1)
    expect(page.get_by_role("status")).to_have_text("Version 1 answers.")
    assert predicted(page, lambda page: entered(page, "x").fill("8"))[1]["prediction"] == 16
    expect(page.locator("[data-code=curl]")).to_contain_text('{"x": 8}')


def test_a_page_that_nobody_sees_does_not_ask(store: Store, home: str, browse: Browse) -> None:
    page = browse(home).page
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away === true })")
    opened(page, "hidden")
    with page.expect_response(lambda response: response.status == 304):
        pass
    asked: list[str] = []
    page.evaluate("() => { window.away = true }")
    page.on("request", lambda request: asked.append(request.url))
    publish_graph(store, "hidden", 3.0)
    page.wait_for_timeout(1_500)  # three times it would have asked; a slow machine makes it fewer
    assert len(asked) <= 1  # it may have been about to
    page.evaluate("() => { window.away = false }")
    answers(page, 2)


def test_what_changed_before_the_first_look_is_seen(store: Store, home: str, browse: Browse) -> None:
    page = browse(home).page
    held: list[Route] = []
    page.route("**/static/pages/live.js", lambda route: held.append(route))  # noqa: PLW0108  # it wants a function
    page.goto("models/quick", wait_until="commit")
    answers(page, 1)
    publish_graph(store, "quick", 3.0)
    until(lambda: page.request.get("models/quick").json()["champion"] == 2)
    held[0].continue_()
    answers(page, 2)


def test_a_proxy_may_take_the_tag_away(store: Store, home: str, browse: Browse) -> None:
    def bare(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={k: v for k, v in response.headers.items() if k != "etag"})

    page = browse(home).page
    page.route("**/models/bare", bare)
    opened(page, "bare")
    publish_graph(store, "bare", 3.0)
    answers(page, 2)
    page.unroute_all(behavior="wait")


def test_below_a_prefix_everything_works_too(store: Store, home: str, browse: Browse) -> None:
    with prefixed(home) as url:
        page = opened(browse(url).page, "below")
        assert predicted(page, lambda page: entered(page, "x").fill("8"))[1]["prediction"] == 16
        expect(page.locator("[data-code=curl]")).to_contain_text(f"'{home}/models/below/predict'")
        expect(page.locator("[data-code=JavaScript]")).to_contain_text(f'"{url}models/below/predict"')
        page.locator("#table").set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": b"x\n3\n"})
        expect(page.locator("#answers td").nth(1)).to_have_text("6.0")
        publish_graph(store, "below", 3.0)
        answers(page, 2)
        page.get_by_role("link", name="2", exact=True).click()
        page.wait_for_url("**/models/below/versions/2")
        assert predicted(page, lambda page: entered(page, "x").fill("8"))[1]["prediction"] == 24
        page.goto("about:blank")


def test_from_an_empty_store_to_a_service_that_went_and_came_back(browse: Browse, store: Store) -> None:
    own = Store(store.root.parent / "own")
    own.root.mkdir()
    with running(own, poll_s=0.05) as service:
        page = browse(service.url, expected=[LOST]).page
        page.goto("")
        expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
        publish_graph(own, "first", 2.0)
        expect(page.get_by_role("status")).to_contain_text("Every model answers.")
        card = page.get_by_role("link", name="first")
        card.focus()
        publish_graph(own, "first", 3.0)
        expect(page.locator(".card")).to_contain_text("version 2")
        expect(card).to_be_focused()
        card.press("Enter")
        expect(page).to_have_url(f"{service.url}/models/first")
        entered(page, "x").fill("4")
        lost = page.get_by_text("The service does not answer. This page goes on trying.")
        expect(lost).to_be_hidden()
        port = urlsplit(service.url).port
    expect(lost).to_be_visible()
    page.get_by_role("button", name="Predict").click()
    told = page.locator("#answer").get_by_role("alert")
    expect(told).to_have_text("The service did not answer. Is it still running?")
    with running(own, poll_s=0.05, port=port):
        expect(lost).to_be_hidden()
        expect(entered(page, "x")).to_have_value("4")
        assert predicted(page)[1]["prediction"] == 12
        page.goto("about:blank")


def test_a_proxy_that_answers_for_a_service_that_is_gone_is_not_taken_for_it(browse: Browse, store: Store) -> None:
    publish_graph(store, "double")
    with running(store, poll_s=0.05) as service, prefixed(service.url) as home:
        page = browse(home, expected=["500"]).page
        opened(page, "double")
        service.stop()
        expect(page.get_by_text("The service does not answer. This page goes on trying.")).to_be_visible()
        page.goto("about:blank")
