"""The form of a model in a browser: each kind of field, what is sent for what a person enters, and no guess in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from contract.signature import Field, Signature
from contract.store import Store
from tests.browsing import Browse
from tests.filling import REFUSED, entered, error, field, opened, sent, spelled, typing
from tests.live import Says, X, publish, running

TOWNS = tuple(f"town {number}" for number in range(300))
FIELDS = (
    Field(name="size", type="float", dtype="float64", unit="cm", observed=(0.13, 9.87), example=2.5),
    Field(name="count", type="integer", dtype="int64", observed=(0, 50), example=7),
    Field(name="plain", type="float", dtype="float64", example=1.0),
    Field(name="flag", type="boolean", dtype="bool", example=True),
    Field(
        name="colour", type="category", dtype="category", levels=("red", "it's", 'a "b"\\', "", "größer"), example="red"
    ),
    Field(name="grade", type="category", dtype="category", levels=(3, 1, 2), ordered=True, example=1),
    Field(name="member", type="category", dtype="category", levels=(True, False), example=False),
    Field(name="mixed", type="category", dtype="category", levels=("1", 1, "2.5", 2.5, "ok"), example=1),
    Field(name="code", type="category", dtype="category", levels=tuple(range(1000, 1300)), example=1007),
    Field(name="town", type="category", dtype="category", levels=TOWNS, example="town 7"),
    Field(name="note", type="string", dtype="object", example="\n'quoted' \"twice\"\\ 🌼"),
    Field(name="tag", type="string", dtype="object", levels=("new", "used"), example="new"),
    Field(name="lines", type="string", dtype="object", levels=("a\nb", "c"), example="a\nb"),
    Field(name="born", type="date", dtype="datetime64[ns]", example="2000-02-29"),
    Field(name="at", type="datetime", dtype="datetime64[us]", example="2026-03-01T12:00:00.123456"),
    Field(name="sent", type="datetime", dtype="datetime64[ns, Europe/Berlin]", example="2026-03-08T10:00:00+00:00"),
    Field(name="vector", type="tensor", dtype="float64", shape=(3,), observed=(0, 1), example=[0.5, 0.25, 0.125]),
)
EXAMPLE = {field.name: field.example for field in FIELDS} | {
    "at": "2026-03-01T12:00:00.123",  # a browser's clock has milliseconds
    "sent": "2026-03-08T10:00:00.000Z",
}
NULLABLE = {"int64": "Int64", "bool": "boolean"}
NOTHING = tuple(
    field.model_copy(update={"nullable": True, "example": None, "dtype": NULLABLE.get(field.dtype, field.dtype)})
    for field in FIELDS
)
MODELS = {
    "kinds": FIELDS,
    "nothing": NOTHING,
    "wide": tuple(field.model_copy(update={"name": f"{field.name} {i}"}) for i in range(6) for field in FIELDS),
}


def one(rows: Any) -> list[float]:
    """One for each row, whatever it holds."""
    return [1.0] * len(rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that answers one, whatever it is asked."""
    store = Store(tmp_path_factory.mktemp("kinds") / "store")
    for name, fields in MODELS.items():
        publish(store, name, Says(predict=one), signature=Signature(container="frame", inputs=fields, output=X.output))
    with running(store) as service:
        yield service.url
        assert "Traceback" not in service.complaints


def test_the_example_is_sent_as_it_is_and_answered(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "kinds")
    assert sent(page) == spelled(EXAMPLE)
    expect(page.locator("#answer .said")).to_have_text("1")


def test_of_fields_that_may_be_empty_null_is_sent(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "nothing", filled=False)
    assert sent(page) == dict.fromkeys(EXAMPLE)
    expect(page.locator("#answer .said")).to_have_text("1")
    assert page.get_by_text("may be empty").count() == len(FIELDS)
    entered(page, "note").fill("  ")  # a text, and not nothing
    entered(page, "colour").select_option('""')
    entered(page, "flag").select_option("false")
    assert sent(page) == dict.fromkeys(EXAMPLE) | {"note": "  ", "colour": "", "flag": False}


NUMBERS = dict.fromkeys(("0.1", "1e-7", "9007199254740993", "-0", "1E5", "-0.50", "1.05", "1e30")) | {
    "5.": "5",
    ".5": "0.5",
    "+3": "3",
    "-.5e3": "-0.5e3",
    " 42 ": "42",
    "007": "7",
    "12345678901234567890.": "12345678901234567890",
}
"""What is typed, and what is sent where that is spelled otherwise."""
NO_NUMBERS = ["1,5", "abc", "0x10", "1 000", "1e", ".", "NaN", "Infinity", "½", "٣"]


def test_numbers_are_sent_as_they_are_typed(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "kinds")
    for typed, number in NUMBERS.items():
        assert sent(page, typing("plain", typed)) == spelled(EXAMPLE) | {"plain": number or typed}
    told = error(page, "plain")
    for typed in NO_NUMBERS:
        assert sent(page, typing("plain", typed))["plain"] == typed
        expect(told).to_contain_text("'plain' must be a number.")
        expect(told).to_contain_text("Write 1.5, not 1,5." if "," in typed else "number.")
    assert "plain" not in sent(page, typing("plain", ""))
    expect(told).to_have_text("The field 'plain' is missing.")


def test_slider_and_number_go_together(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "kinds")
    slider, number = page.get_by_label("size, slider"), entered(page, "size")
    assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["0.1", "9.9", "0.05"]
    number.fill("4.4")
    expect(slider).to_have_value("4.4")
    number.fill("")
    number.fill("x")
    expect(slider).to_have_value("4.4")
    number.fill("77.77")
    expect(slider).to_have_value("9.9")
    expect(number).to_have_value("77.77")
    slider.fill("1.15")
    expect(number).to_have_value("1.15")
    slider.press("ArrowRight")
    expect(number).to_have_value("1.2")
    page.get_by_label("count, slider").press("Home")
    page.get_by_label("count, slider").press("ArrowRight")
    assert field(page, "plain").locator("[type=range]").count() == 0
    assert sent(page) == spelled(EXAMPLE) | {"size": "1.2", "count": "1"}


CHOICES: dict[str, list[tuple[str, Any]]] = {
    "flag": [("true", True), ("false", False)],
    "colour": [("red", "red"), ("it's", "it's"), ('a "b"\\', 'a "b"\\'), ('""', ""), ("größer", "größer")],
    "grade": [("3", 3), ("1", 1), ("2", 2)],
    "member": [("true", True), ("false", False)],
    "mixed": [('"1"', "1"), ("1", 1), ('"2.5"', "2.5"), ("2.5", 2.5), ("ok", "ok")],
}


def test_a_choice_is_sent_with_its_type(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "kinds")
    for name, choices in CHOICES.items():
        assert entered(page, name).locator("option").all_inner_texts() == [label for label, _ in choices]
        for label, value in choices:
            entered(page, name).select_option(label=label)
            assert sent(page)[name] == spelled(value)


def test_of_very_many_levels_one_is_typed(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "kinds")
    entered(page, "code").fill("1299")
    entered(page, "town").fill("town 299")
    found = sent(page)
    assert (found["code"], found["town"]) == ("1299", "town 299")
    expect(page.locator("#answer .said")).to_have_text("1")
    sent(page, typing("town", "elsewhere"))
    expect(error(page, "town")).to_contain_text("must be one of town 0, town 1")


TEXTS = ["", "'", '"', "\\", "\\n", "a\nb\n\nc\n", "\n", "  ", "null", "🌼\u2028\u200b", "</textarea>", "x" * 100_000]


def test_texts_are_sent_as_they_are(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "kinds")
    for text in TEXTS:
        assert sent(page, typing("note", text))["note"] == text
    assert entered(page, "tag").evaluate("input => [...input.list.options].map(option => option.value)") == [
        "new",
        "used",
    ]
    assert sent(page, typing("tag", "rusty"))["tag"] == "rusty"
    expect(page.get_by_role("list", name="Warnings")).to_contain_text("The model never saw this value of 'tag'.")


def test_days_and_moments(home: str, browse: Browse) -> None:
    page = opened(browse(home, zone="America/New_York").page, "kinds")
    expect(entered(page, "sent")).to_have_value("2026-03-08T06:00")
    expect(field(page, "sent").locator(".hint")).to_contain_text("in your own time zone")
    assert sent(page) == spelled(EXAMPLE)
    entered(page, "born").fill("1999-12-31")
    entered(page, "at").fill("2026-01-11T23:59:59.999")
    entered(page, "sent").fill("2026-01-11T23:30")
    found = sent(page)
    assert found == spelled(EXAMPLE) | {
        "born": "1999-12-31",
        "at": "2026-01-11T23:59:59.999",
        "sent": "2026-01-12T04:30:00.000Z",
    }
    page.get_by_role("button", name="Back to the example").click()
    expect(entered(page, "sent")).to_have_value("2026-03-08T06:00")
    assert sent(page) == spelled(EXAMPLE)


def test_half_a_date_is_not_nothing(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "nothing", filled=False)
    entered(page, "born").focus()
    page.keyboard.type("31")
    assert sent(page)["born"] == ""
    expect(error(page, "born")).to_contain_text("must be a date such as 2026-11-21, or null")


def test_lists_are_taken_as_people_write_them(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "kinds")
    for typed in (
        "[1, 2.50, 9007199254740993]",
        "1, 2.50, 9007199254740993",
        "1 2.50\n9007199254740993",
        "1;2.50;9007199254740993;",
    ):
        assert sent(page, typing("vector", typed))["vector"] == [
            "1",
            "2.50",
            "9007199254740993",
        ]
    for typed in ("one two three", "1, 2", "[[1], [2], [3]]", "5"):
        sent(page, typing("vector", typed))
        expect(error(page, "vector")).to_contain_text("'vector' must be a list of 3 numbers.")


def test_more_fields_than_a_form_can_have_are_one_text(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED, "status of 400"]).page, "wide")
    row, answer = page.get_by_label("The row, as JSON"), page.locator("#answer")
    expect(page.get_by_text("102 fields are too many for a form.")).to_be_visible()
    assert len(sent(page)) == 102
    expect(answer.locator(".said")).to_have_text("1")
    example = row.input_value()
    assert len(sent(page, lambda _: row.fill(f"[{example},\n{example}]"))) == 2
    expect(answer.locator("li .said")).to_have_text(["1", "1"])
    told = page.locator("#row-error")
    sent(page, lambda _: row.fill(example.replace('"note 0":', '"y": 1, "note 0":').replace('"flag 5": true,', "")))
    expect(told).to_have_text("The field 'flag 5' is missing.")
    expect(answer).to_contain_text("The model has no field 'y'; its fields are ")
    expect(row).to_be_focused()
    expect(row).to_have_attribute("aria-invalid", "true")
    with page.expect_response("**/predict"):
        row.fill("{oops")
        page.get_by_role("button", name="Predict").click()
    expect(answer).to_contain_text("The body is not JSON: ")
    expect(told).to_be_empty()
