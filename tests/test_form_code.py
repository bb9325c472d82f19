"""The code for the request of the form, run by a shell, by Python and in the page; and the form by keyboard alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from contract.signature import Field, Output, Signature
from contract.store import Store
from tests.browsing import Browse
from tests.filling import REFUSED, entered, error, opened, predicted
from tests.live import ROOT, Says, publish, running

FIELDS = (
    Field(name="size (cm)", type="float", dtype="float64", observed=(0, 10), example=2.5),
    Field(name="id", type="integer", dtype="int64", example=7),
    Field(name="it's", type="boolean", dtype="bool", example=True),
    Field(name="colour", type="category", dtype="category", levels=("red", "größer"), example="red"),
    Field(name="note", type="string", dtype="object", example="plain"),
    Field(name="maybe", type="float", dtype="float64", nullable=True, example=None),
    Field(name="list", type="tensor", dtype="float64", shape=(2,), example=[1.0, 2.0]),
)
NOTE = "it's \"so\": true,\nnull\\n $HOME `id` ! {{7}} 🌼\u2028 größer, 'end'\t\\"


def told(rows: Any) -> list[str]:
    """All that the model was given, row by row."""
    return [json.dumps(row, default=list) for row in rows.astype(object).to_dict("records")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two versions of a model that answers with what it was asked."""
    store = Store(tmp_path_factory.mktemp("code") / "store")
    output = Output(task="classification", type="string")
    for _ in range(2):
        signature = Signature(container="frame", inputs=FIELDS, output=output)
        publish(store, "told", Says(predict=told), signature=signature)
    return store


@pytest.fixture(scope="module")
def home(store: Store) -> Iterator[str]:
    with running(store, max_text_chars=1_000_000) as service:
        yield service.url


def fill(page: Page) -> None:
    """Write what is hard to quote."""
    entered(page, "id").fill("9007199254740993")
    entered(page, "it's").select_option("false")
    entered(page, "colour").select_option(label="größer")
    entered(page, "note").fill(NOTE)
    entered(page, "list").fill("[1e-3, 2]")


def code(page: Page, language: str) -> str:
    """The code that the page shows."""
    return page.locator(f"[data-code={language}]").text_content() or ""


def run(*command: str, script: str) -> Any:
    """What a script prints, as JSON."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LECTERN_", "PYTHON"))}
    done = subprocess.run(command, input=script, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_shell(page: Page) -> Any:
    """What curl gets."""
    return run("bash", script=code(page, "curl").replace("curl ", "curl -sS --noproxy '*' ", 1))


def by_python(page: Page) -> Any:
    """What the client gets."""
    *lines, last = code(page, "Python").split("\n")
    return run(sys.executable, "-", script="\n".join([*lines, f"import json; print(json.dumps({last}))"]))


def by_script(page: Page) -> Any:
    """What a script in a page gets, whose last line prints it."""
    lines = code(page, "JavaScript").replace("console.log(await response.json());", "return await response.json();")
    return page.evaluate(f"async () => {{ {lines} }}")


def without_id(document: Any) -> Any:
    """An answer but for what differs each time."""
    return {key: value for key, value in document.items() if key != "id"}


@pytest.mark.parametrize("which", ["told", "told/versions/1"])
def test_each_code_gets_the_answer_of_the_form(which: str, home: str, browse: Browse) -> None:
    page = opened(browse(home).page, which)
    fill(page)
    document = without_id(predicted(page)[1])
    assert json.loads(document["prediction"])["note"] == NOTE
    assert document["version"] == (1 if "versions" in which else 2)
    expect(page.locator("#answer .said")).to_have_text(document["prediction"], use_inner_text=False)
    assert without_id(by_shell(page)) == document
    assert without_id(by_python(page)) == document
    assert without_id(by_script(page)) == document
    assert "9007199254740993" in code(page, "JavaScript")
    page.get_by_role("button", name="Back to the example").click()
    expect(page.locator("[data-code=JavaScript]")).to_contain_text('body: JSON.stringify({"size (cm)": 2.5, "id": 7')
    document = without_id(predicted(page)[1])
    assert without_id(by_script(page)) == without_id(by_python(page)) == document


def test_a_row_may_be_longer_than_a_command(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "told")
    entered(page, "note").fill("größer als's \\ $HOME" * 10_000)
    document = without_id(predicted(page)[1])
    assert without_id(by_shell(page)) == document
    assert without_id(by_python(page)) == document


def test_through_a_notebook_server_the_code_goes_to_the_service_itself(
    store: Store, home: str, browse: Browse, tmp_path: Path
) -> None:
    page = opened(browse(home).page, "told")
    fill(page)
    document = without_id(predicted(page)[1])
    with running(store, socket=tmp_path / "it's.sock") as service:
        html = service.client.get("/models/told", headers={"Accept": "text/html", "X-ProxyContextPath": "/proxy"}).text
        address = unescape(html.partition('data-address="')[2].partition('"')[0])
        assert address == f"unix:{tmp_path}/it's.sock"
        page.locator("#form").evaluate("(form, address) => { form.dataset.address = address }", address)
        entered(page, "id").fill("9007199254740992")
        assert "--unix-socket" in code(page, "curl")
        assert f'Client("{address}")' in code(page, "Python")
        assert f'fetch("{home}/models/told/predict"' in code(page, "JavaScript")
        for found in (by_shell(page), by_python(page)):
            assert without_id(found)["prediction"] == document["prediction"].replace("40993", "40992")


def test_everything_is_reached_by_keyboard(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "told")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def tab(until: str, most: int = 60) -> list[str]:
        """Go on to an element; return what had the focus before."""
        passed: list[str] = []
        for _ in range(most):
            page.keyboard.press("Tab")
            at = page.evaluate(
                "() => { const at = document.activeElement; return at.id || at.textContent || at.ariaLabel }"
            )
            if page.locator(until).evaluate_all("(all) => all.includes(document.activeElement)"):
                return passed
            passed.append(at)
        raise AssertionError(f"{until} was not reached: {passed}")

    tab(".skip", 1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home}/models/told#content")
    tab("[type=range]")
    page.keyboard.press("ArrowRight")
    expect(entered(page, "size (cm)")).to_have_value("2.6")
    tab("#field-1")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("x")
    tab("#field-2")
    page.keyboard.press("ArrowDown")
    expect(entered(page, "it's")).to_have_value("false")
    tab("#field-3")
    page.keyboard.type("gr")
    expect(entered(page, "colour")).to_have_value('"größer"')
    tab("#field-4")
    page.keyboard.press("Enter")  # a line more
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(error(page, "id")).to_contain_text("must be a whole number")
    expect(entered(page, "id")).to_be_focused()
    page.keyboard.press("Backspace")
    page.keyboard.type("8")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .said")).to_contain_text('"id": 8')
    expect(entered(page, "id")).to_be_focused()
    assert tab("button[type=submit]") == ["field-2", "field-3", "field-4", "field-5", "field-6"]
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("button", name="Predict")).to_be_focused()
    tab("summary:has-text('Python')")
    page.keyboard.press("Enter")
    expect(page.locator("[data-code=Python]")).to_be_visible()
    tab("details[open] .copy")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == code(page, "Python")
    assert tab("#table")[:1] == ["JavaScript"]
    tab("#template", 2)
    tab("footer a")
