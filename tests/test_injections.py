"""Texts that mean to run, wherever a notebook, a name or a request reaches: shown as they are, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from contract.promotions import one_line
from contract.store import Store
from tests.browsing import Browse
from tests.injected import NAMED, PREDICTED, TEXTS, fill
from tests.live import Service, running, until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """These models; the challenger of `texts` has said otherwise of each text."""
    store = Store(tmp_path_factory.mktemp("injections") / "store")
    fill(store)
    with running(store, max_rows=100, log_inputs="full") as found:
        answer = found.predict([{TEXTS[5]: text} for text in SHADOWED], "/models/texts/predict")
        assert [row["prediction"] for row in answer.json()["predictions"]] == SHADOWED
        until(lambda: found.get("/models/texts/shadow")["rows"] == len(SHADOWED))
        yield found


SHADOWED = TEXTS[:20]
"""As many as the page of the shadow has room for."""
SEEN = """() => {
    const values = [...document.querySelectorAll("input, textarea, option")].map(found => found.value);
    return [document.title, document.body.textContent, ...values].join("\\n");
}"""
FOREIGN = """() => [...document.querySelectorAll("*")].filter(element =>
    [...element.attributes].some(({name, value}) => name.startsWith("on") || /^\\s*(javascript|data:text)/i.test(value)
        && ["href", "src", "action", "formaction", "data", "xlink:href"].includes(name))
    || element.matches("iframe:not([sandbox]), object, embed, base, meta[http-equiv], [srcdoc], [style], [autofocus]")
    || element.matches("script") && !element.getAttribute("src")?.match(/^[./]*static[/]pages[/][a-z.-]+$/)
    || element.matches("form") && !element.action.startsWith(location.origin)
    || element.matches("style")
).map(element => element.outerHTML.slice(0, 200))"""
"""Elements that no page of ours has."""
MADE = """() => [...document.querySelectorAll("*")].filter(element =>
    [...element.attributes].some(({name, value}) =>
        name.startsWith("on") || name.match(/href|src/) && value.startsWith("javascript:"))
    || element.matches("iframe, object, embed, base, meta[http-equiv], body form[action]")
).map(element => element.outerHTML.slice(0, 200))"""
"""Elements that the readers of the document, which are not ours, make of none but such texts."""


def opened(browse: Browse, service: Service, *expected: str) -> Page:
    """A page in which nothing may be said."""
    page = browse(service.url, expected=expected).page
    page.on("dialog", lambda dialog: pytest.fail(f"it said {dialog.message}"))
    return page


def assert_harmless(page: Page, url: str, shown: list[str] | None = None) -> None:
    """Nothing of a text has become part of the page, and all that is to be shown stands there as it is."""
    assert page.url == url
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate(FOREIGN) == []
    seen = page.evaluate(SEEN)
    assert [text for text in shown or [] if text not in seen] == []


PLACES = {
    "": TEXTS,
    "models/classes": TEXTS,
    "models/classes/versions": [TEXTS[0], TEXTS[5]],
    "models/classes/versions/1": [*TEXTS, *(f"{name}{value}" for name, value in NAMED.items())],
    "models/classes/compare?first=1&second=2": [TEXTS[-1], TEXTS[0]],
    "models/classes/history": [one_line(text) for text in TEXTS],
    "models/texts/shadow": [*SHADOWED, *(f"{text}!" for text in SHADOWED)],
    "models/broken": TEXTS,
    "models/broken/versions": TEXTS,
    "models/broken/versions/1": TEXTS,
}
"""Pages, and what they must show as it is."""


@pytest.mark.parametrize("path", PLACES)
def test_what_a_notebook_says_is_shown_as_it_is(service: Service, browse: Browse, path: str) -> None:
    page = opened(browse, service)
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(100)
    assert_harmless(page, f"{service.url}/{path}", PLACES[path])


@pytest.mark.parametrize("place", ["{}", "models/{}", "models/classes/versions/{}", "models/{}@{}/predict"])
def test_what_a_path_says_is_shown_as_it_is_or_not_at_all(service: Service, browse: Browse, place: str) -> None:
    page = opened(browse, service, "40[45]")
    for text in TEXTS[::6]:
        url = f"{service.url}/{place.replace('{}', quote(text, safe=''))}"
        page.goto(url)
        page.get_by_role("link", name="All models").wait_for()
        assert_harmless(page, url)


@pytest.mark.parametrize(
    "query",
    ["classes/compare?first={}&second=2", "classes/compare?first=1&second={}&{}={}", "classes/versions?before={}"],
)
def test_what_a_query_says_is_shown_as_it_is_or_not_at_all(service: Service, browse: Browse, query: str) -> None:
    page = opened(browse, service, "4[02][42]")
    for text in TEXTS[::6]:
        url = f"{service.url}/models/{query.replace('{}', quote(text, safe=''))}"
        page.goto(url)
        page.get_by_role("link", name="All models").wait_for()
        assert_harmless(page, url)


# --- what a model answers


def predict(page: Page) -> Any:
    """Press the button, and return the answer once it is there."""
    with page.expect_response(lambda response: response.request.method == "POST") as waited:
        page.locator("#form [type=submit]").click()
    return waited.value.json()


def test_classes_and_warnings_are_shown_as_they_are(service: Service, browse: Browse) -> None:
    page = opened(browse, service)
    page.goto("models/classes")
    answer = predict(page)
    assert answer["prediction"] == PREDICTED
    expect(page.locator("#answer .said")).to_have_text(PREDICTED)
    shown = page.locator("#answer .bars b").all_inner_texts()
    assert len(set(shown) & {text.strip() for text in TEXTS}) >= 10
    page.locator(".field[data-kind=number] input").first.fill("7")
    page.locator(".field[data-kind=text] input").first.fill(f"{TEXTS[1]} unseen")
    messages = [warning["message"] for warning in predict(page)["warnings"]]
    assert len(messages) == 2
    warned = page.get_by_role("list", name="Warnings")
    for message in messages:
        expect(warned).to_contain_text(message)
    assert_harmless(page, f"{service.url}/models/classes")


def test_several_numbers_and_a_text_are_shown_as_they_are(service: Service, browse: Browse) -> None:
    page = opened(browse, service)
    page.goto("models/numbers")
    assert list(predict(page)["prediction"]) == TEXTS
    expect(page.locator("#answer dt")).to_have_count(len(TEXTS))
    assert_harmless(page, f"{service.url}/models/numbers", TEXTS)
    page.goto("models/texts")
    for text in TEXTS[::5]:
        page.locator("#form .field input").first.fill(text)
        assert predict(page)["prediction"] == page.locator("#form .field input").first.input_value()
        expect(page.locator("#answer .said")).to_have_text(text)
        assert_harmless(page, f"{service.url}/models/texts", [text])


def test_what_is_wrong_with_a_row_is_shown_as_it_is(service: Service, browse: Browse) -> None:
    page = opened(browse, service, "422")
    page.goto("models/classes")
    numbers = page.locator(".field[data-kind=number]")
    for place in range(numbers.count()):
        numbers.nth(place).locator("input").first.fill(TEXTS[5])
    told = [error["message"] for error in predict(page)["errors"]]
    assert len(told) == numbers.count() > 10
    for place, message in enumerate(told):
        expect(numbers.nth(place).locator(".error")).to_have_text(message)
    assert_harmless(page, f"{service.url}/models/classes", told)


def test_the_code_for_the_same_request_is_text(service: Service, browse: Browse) -> None:
    page = opened(browse, service)
    page.goto("models/classes")
    expect(page.locator("[data-code=Python]")).to_contain_text("model.predict(")
    assert_harmless(page, f"{service.url}/models/classes")


@pytest.mark.parametrize("header", ["right", "wrong"])
def test_a_table_and_its_name_are_shown_as_they_are(service: Service, browse: Browse, header: str) -> None:
    page = opened(browse, service, *(["422"] if header == "wrong" else []))
    page.goto("models/texts")
    names = {"right": TEXTS[5], "wrong": TEXTS[2]}
    lines = ["".join(('"', text.replace('"', '""'), '"')) for text in (names[header], *TEXTS)]
    name = f"{TEXTS[2]}.csv"
    content = "\n".join([*lines, ""]).encode()
    page.set_input_files("#table", {"name": name, "mimeType": "text/csv", "buffer": content})
    answers = page.locator("#answers")
    if header == "right":
        expect(answers.locator("tbody tr")).to_have_count(len(TEXTS))
        assert_harmless(page, f"{service.url}/models/texts", TEXTS)
        with page.expect_download() as saved:
            answers.get_by_role("button").click()
        assert saved.value.suggested_filename.endswith("-answers.csv")
    else:
        expect(answers.get_by_role("alert")).to_contain_text(TEXTS[2])
    assert_harmless(page, f"{service.url}/models/texts")


@pytest.mark.parametrize("reader", ["docs", "redoc"])
def test_the_readers_of_the_document_show_texts_and_no_elements(service: Service, browse: Browse, reader: str) -> None:
    # what they take for Markdown may name a picture, which the policy forbids
    page = opened(browse, service, "img-src.*x.png|x.png.*img-src", "Away from home: http://192.0.2.1/x.png")
    page.goto(reader)
    if reader == "docs":
        page.get_by_text("Predict with classes, version 1").first.click()
    expect(page.get_by_text(" ".join(TEXTS[:3])).first).to_be_visible()
    assert page.url.partition("#")[0] == f"{service.url}/{reader}"
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate(MADE) == []
