"""The form of a model in a browser: what it shows of an answer, and of a row that is refused or not answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from contract.signature import Field
from contract.store import Store
from tests.browsing import NARROW, Browse
from tests.filling import REFUSED, entered, error, field, opened, predicted, typing
from tests.live import DIES, HANGS, RAISES, Says, Times, damage, publish, publish_graph, running
from tests.test_kinds import MODELS, saying, taking

LONG = "x" * 90
CLASSES = tuple(float(number) for number in range(2000, 2015))
MANY: dict[str, Any] = {"labels": CLASSES, "classes": CLASSES}
SHOWN = ["multilabel", "unnamed", "named", "pairs", "decision", "decisions", "outliers", "clusters", "open"]


def shares(rows: Any) -> Any:
    """The more probable the later, but for the first class."""
    found = np.arange(15.0)
    found[0] = 1000
    return np.tile(found / found.sum(), (len(rows), 1))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with a model of each kind of answer."""
    store = Store(tmp_path_factory.mktemp("form") / "store")
    for name in SHOWN:
        publish(store, name, MODELS[name][0], signature=MODELS[name][1])
    years = Says(predict=lambda rows: [2000.0] * len(rows), predict_proba=shares)
    publish(store, "years", years, signature=saying(task="classification", scores="probabilities", **MANY))
    large = Says(predict=lambda rows: [1234567.891 * x for x in rows["x"]])
    publish(store, "large", large, signature=saying(task="regression"))
    fields = (
        Field(name="age", type="integer", dtype="int64", bounds=(0, 120), observed=(18, 90), example=30),
        Field(name=LONG, type="float", dtype="float64", example=1.0),
        Field(name="kind", type="category", dtype="category", levels=("a", "b"), example="a"),
        Field(name="tag", type="string", dtype="object", levels=("new",), example="new"),
    )
    publish(store, "held", Says(predict=lambda rows: rows["age"] * 1.0), signature=taking(*fields))
    publish(store, "times", Times(2.0))
    for _ in range(2):
        publish_graph(store, "damaged")
    damage(store.artifact("damaged", 1), "model.onnx")
    with running(store, predict_timeout_s=1) as service:
        yield service.url


def said(page: Page, model: str, x: float = 7) -> tuple[Any, Any]:
    """What the panel shows for an x, and the document that came."""
    page.goto(f"models/{model}")
    document = predicted(page, typing("x", str(x)))[1]
    expect(page.locator("#answer .hint").last).to_have_text(f"{model} version 1, prediction {document['id']}")
    return page.locator("#answer"), document


# --- answers


def test_classes_stand_in_the_order_of_their_probability(home: str, browse: Browse) -> None:
    answer, document = said(browse(home).page, "years")
    expect(answer.locator(".said")).to_have_text("2000")
    names = [name for name, _ in sorted(document["probabilities"].items(), key=lambda each: -each[1])]
    expect(answer.locator(".bars b")).to_have_text(names[:12])
    expect(answer.locator(".bars .most b")).to_have_text(["2000.0"])
    expect(answer).to_contain_text("and 3 less likely")
    expect(answer).to_contain_text("confidence 90.5 %")
    meters = answer.get_by_role("meter")
    assert (
        meters.evaluate_all("meters => meters.map(meter => meter.value)")
        == sorted(document["probabilities"].values())[:2:-1]
    )
    expect(meters.first).to_have_accessible_name("probability of 2000.0")


FIGURES: dict[str, tuple[float, list[str], list[str]]] = {
    "large": (1, ["1234567.891"], []),
    "multilabel": (7, ["art, war"], ["art 75 %", "law 25 %", "war 100 %"]),
    "unnamed": (0.00012345678, ["0.0001235, -0.0001235"], []),
    "named": (7.123456, [], ["Höhe (m) 7.1235", "$ref -7.1235"]),
    "pairs": (7, [], ["left no", "right yes"]),
    "decision": (7.25, ["yes"], ["decision value 2.25"]),
    "decisions": (7, ["law"], ["art -7", "law 7", "war 0"]),
    "outliers": (7, ["-1"], ["decision value -2"]),
    "clusters": (7, ["7"], []),
    "open": (7, ["group 7"], []),
}
"""For an x: what stands there large, and what below."""


def test_every_kind_of_answer_is_shown(home: str, browse: Browse) -> None:
    page = browse(home).page
    for model, (x, large, small) in FIGURES.items():
        answer, _ = said(page, model, x)
        expect(answer.locator(".said")).to_have_text(large)
        shown = " ".join(answer.inner_text().split())
        for text in small:
            assert text in shown, (model, shown)
    _, document = said(page, "multilabel", 1)
    assert document["prediction"] == ["art"]
    expect(page.locator(".bars .most b")).to_have_text(["art"])


def test_what_the_model_never_saw_is_told(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "held")
    entered(page, "age").fill("100")
    predicted(page, typing("tag", "old"))
    warnings = page.get_by_role("list", name="Warnings").locator("li")
    expect(warnings).to_have_text(
        [
            "'age' lies outside the range the model saw, from 18 to 90.",
            "The model never saw this value of 'tag'.",
        ]
    )


def test_on_a_narrow_screen_the_answer_comes_into_sight(home: str, browse: Browse) -> None:
    page = opened(browse(home, width=NARROW).page, "held")
    page.set_viewport_size({"width": NARROW, "height": 500})
    entered(page, "age").press("Enter")
    expect(page.locator("#answer .said")).to_be_in_viewport()


# --- refusals


def test_each_message_stands_beside_its_field(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "held")
    entered(page, "age").fill("121")
    entered(page, LONG).fill("much")
    document = predicted(page)[1]
    assert [each["field"] for each in document["errors"]] == ["age", LONG[:80]]
    told = {"age": "'age' must be a whole number from 0 to 120.", LONG: f"'{LONG[:80]}' must be a number."}
    for name, message in told.items():
        control = entered(page, name)
        expect(error(page, name)).to_have_text(message)
        expect(control).to_have_attribute("aria-invalid", "true")
        expect(control).to_have_accessible_description(
            message if name == LONG else f"the model saw from 18 to 90 {message}"
        )
    expect(entered(page, "age")).to_be_focused()
    expect(page.locator("#answer").get_by_role("alert")).to_have_text(f"{told['age']} There is 1 more error.")
    entered(page, "age").fill("12")
    expect(entered(page, "age")).not_to_have_attribute("aria-invalid", "true")
    expect(error(page, "age")).to_be_empty()
    predicted(page, typing(LONG, "2"))
    expect(error(page, LONG)).to_be_empty()
    expect(page.locator("#answer .said")).to_have_text("12")
    predicted(page, typing("age", ""))
    expect(error(page, "age")).to_have_text("The field 'age' is missing.")
    page.get_by_role("button", name="Back to the example").click()
    expect(error(page, "age")).to_be_empty()
    expect(entered(page, "age")).to_have_value("30")


def test_what_belongs_to_no_field_of_the_form_is_told_beside_the_answer(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "held")
    for name in ("kind", "tag"):  # as if another version answered meanwhile
        field(page, name).evaluate("(field, name) => { field.dataset.name = `old ${name}` }", name)
    predicted(page)
    told = page.locator("#answer").get_by_role("alert")
    expect(told.locator("p")).to_have_text("The field 'kind' is missing. There are 3 more errors.")
    expect(told.locator("li")).to_have_text(["The field 'tag' is missing."])
    expect(error(page, "old tag")).to_contain_text("The model has no field 'old tag'; its fields are age, ")
    expect(entered(page, "old kind")).to_be_focused()


@pytest.mark.parametrize(
    ("model", "x", "status"),
    [("times", RAISES, 500), ("times", DIES, 500), ("times", HANGS, 504), ("damaged/versions/1", 1, 503)],
)
def test_what_goes_wrong_in_the_service_is_told(model: str, x: float, status: int, home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[f"status of {status}"]).page, model)
    document = predicted(page, typing("x", str(x)))[1]
    assert document["status"] == status
    expect(page.locator("#answer").get_by_role("alert")).to_have_text(document["detail"])
    expect(page.get_by_role("button", name="Predict")).to_be_focused()
    if model == "times":
        predicted(page, typing("x", "3"))
        expect(page.locator("#answer .said")).to_have_text("6")


def test_what_is_no_answer_of_the_service_is_told(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=["status of 502"]).page, "large")
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Predict").click()
    told = page.locator("#answer").get_by_role("alert")
    expect(told).to_have_text("Something other than the service answered, with status 502.")


def test_while_a_row_is_answered_no_other_one_is_sent(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "large")
    held: list[Any] = []
    page.route("**/predict", lambda route: held.append(route))  # noqa: PLW0108  # it wants a function
    for _ in range(3):
        entered(page, "x").press("Enter")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(page.locator("#answer .said")).to_have_text("1234567.891")
    assert len(held) == 1
