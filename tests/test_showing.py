"""contract.showing and contract.describing: tables, figures and names, and what a signature shows of itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from contract import describing, showing
from contract.showing import Table, figure, listed, mark, one_line, shown
from contract.signature import Field, Output, Signature

SCRIPT = "<script>alert('x')</script>&\"\n\x1b[31m"
TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "p", "ul", "li", "strong", "br"}
"""What a display is made of."""


class Page(HTMLParser):
    """The tags of a display, and its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)


def is_tame(page: str) -> bool:
    """Whether a display holds nothing but plain tags, and no attribute but a style of ours."""
    found = Page(page)
    styles = {value for name, value in found.attributes if name == "style"}
    ours = {f"color:{colour}" for colour in showing._COLOURS.values()} | {"text-align:left", "font-weight:bold"}
    return found.tags <= TAGS and {name for name, _ in found.attributes} <= {"style"} and styles <= ours


def in_a_notebook(thing: Any) -> dict[str, str]:
    """What a cell shows that ends with it."""
    return dict(DisplayFormatter().format(thing)[0])  # type: ignore[no-untyped-call]


# --- figures and names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.95555, "0.9556"),
        (0.0, "0.0000"),
        (-0.5, "-0.5000"),
        (12345.678, "12345.6780"),
        (1.23456789e9, "1.235e+09"),
        (0.00001234, "1.234e-05"),
        (None, ""),
    ],
)
def test_a_figure_keeps_its_digits(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_a_difference_has_its_sign() -> None:
    assert [figure(value, "+") for value in (0.02222, -1.55, 0.0, 0.00002)] == [
        "+0.0222",
        "-1.5500",
        "+0.0000",
        "+2e-05",
    ]


def test_what_became_better_is_said_by_a_sign_and_a_word() -> None:
    assert [mark(0.1, True), mark(-0.1, True), mark(0.1, False), mark(-0.1, False)] == [
        "▲ better",
        "▼ better",
        "▲ worse",
        "▼ worse",
    ]
    assert mark(0.1, None) == ""


def test_of_many_names_the_first_are_listed() -> None:
    assert listed(["a", 2, None]) == "a, 2, None"
    assert listed(range(13)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"
    assert listed("abc", 2, " < ") == "a < b < …"


def test_a_value_is_shown_as_json_has_it_where_it_could_be_mistaken() -> None:
    found = [shown(value) for value in ("Oslo", "a, b", "true", "7", 7, True, None, 0.5, "", "x ")]
    assert found == ["Oslo", '"a, b"', '"true"', '"7"', "7", "true", "null", "0.5", '""', '"x "']


def test_a_text_is_one_line_that_nobody_obeys() -> None:
    assert one_line(" a\n b\x1b[31m\u202e c\udcff ") == "a b [31m c"


# --- tables


def test_texts_stand_left_and_figures_right() -> None:
    rows = [
        {"metric": "accuracy", "value": figure(0.5), "n": 7, "note": "4"},
        {"metric": "日本", "value": figure(None), "n": 12},
    ]
    assert str(Table.of(rows)).splitlines() == [
        "metric     value   n  note",
        "──────────────────────────",
        "accuracy  0.5000   7  4",
        "日本              12",
    ]
    assert Table.of(rows, strong=1).html() == (
        "<table><thead><tr><th style='text-align:left'>metric</th><th>value</th><th>n</th>"
        "<th style='text-align:left'>note</th></tr></thead><tbody>"
        "<tr><th style='text-align:left'>accuracy</th><td>0.5000</td><td>7</td><td style='text-align:left'>4</td></tr>"
        "<tr style='font-weight:bold'><th style='text-align:left'>日本</th><td></td><td>12</td>"
        "<td style='text-align:left'></td></tr></tbody></table>"
    )


def test_a_cell_of_several_values_names_them() -> None:
    rows = [{"metrics": {"r2": 0.123456, "n": 3}, "flag": True, "nothing": None}]
    assert str(Table.of(rows)).splitlines()[-1] == "r2 0.1235, n 3  True  None"


def test_a_better_value_has_a_colour_at_its_sign_alone() -> None:
    page = Table.of([{"a": "▲ better", "b": "▼ worse", "c": "▲ x", "d": "▲"}]).html()
    assert "<span style='color:var(--jp-success-color1, #009e73)'>▲</span> better<" in page
    assert "<span style='color:var(--jp-error-color1, #d55e00)'>▼</span> worse<" in page
    assert page.count("<span") == 2


def test_a_table_without_rows_is_nothing() -> None:
    assert (Table.of([]).html(), str(Table.of([])).strip()) == ("", "")


def test_in_a_notebook_a_table_is_bounded_and_in_a_shell_it_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table.of({"name": f"{n} {'x' * 10_000}"} for n in range(2_000))
    assert table.html().count("<tr>") == 51
    assert table.html().endswith("</table><p>… and 1,950 more</p>")
    assert len(table.html()) < 10_000
    assert len(str(table)) < 10_000
    assert str(table).endswith("\n… and 1,950 more")
    monkeypatch.setenv("COLUMNS", "60")
    showing.print_table([{"a": "y" * 100, "b": "short", "c": "日" * 3}] * 60)
    printed = capsys.readouterr().out
    assert (printed.count("y"), printed.count("short"), printed[-2:]) == (6_000, 60, "\n\n")
    assert max(map(len, printed.splitlines())) <= 60


# --- signatures

FLOWER = Signature(
    container="frame",
    inputs=(
        Field(
            name="length", type="float", dtype="float64", unit="cm", bounds=(0, 10), observed=(4.3, 7.9), example=5.1
        ),
        Field(name="size", type="category", dtype="category", ordered=True, levels=("small", "large"), example="small"),
        Field(name="city", type="string", dtype="str", nullable=True, levels=("Lima", "a, b"), example=None),
        Field(name="day", type="date", dtype="object", observed=("2026-01-01", "2026-12-31"), example="2026-05-05"),
        Field(name="image", type="tensor", dtype="float32", shape=(2, 2), observed=(0, 16), example=[[0.5] * 2] * 2),
    ),
    output=Output(task="classification", labels=(0, 1), classes=("setosa", "virginica"), scores="probabilities"),
)


def test_a_signature_is_a_table_and_a_sentence() -> None:
    assert str(FLOWER).splitlines() == [
        "field   type            unit  allowed        observed                  example",
        "─" * 95,
        "length  float           cm    0 to 10        4.3 to 7.9                5.1",
        "size    category              small < large                            small",
        'city    string or null                       Lima, "a, b"',
        "day     date                                 2026-01-01 to 2026-12-31  2026-05-05",
        "image   tensor 2×2                           0 to 16                   [[0.5, 0.5], [0.5, 0.5]]",
        "Answers one of 2 classes (setosa, virginica), with the probability of each.",
    ]


def test_what_no_field_has_is_no_column() -> None:
    plain = FLOWER.model_copy(update={"inputs": (Field(name="x", type="float", dtype="float64"),)})
    assert str(plain).splitlines()[0] == "field  type   example"


def test_a_cell_that_ends_with_a_signature_shows_both_forms_and_the_same_each_time() -> None:
    found = in_a_notebook(FLOWER)
    assert found == {"text/plain": str(FLOWER), "text/html": FLOWER._repr_html_()}
    assert in_a_notebook(Signature.model_validate_json(FLOWER.model_dump_json())) == found
    assert is_tame(found["text/html"])
    assert repr(FLOWER).startswith("Signature(container='frame', inputs=(Field(name='length', ")


def test_no_name_of_a_signature_becomes_markup() -> None:
    inputs = (
        Field(name=SCRIPT, type="category", dtype="object", unit=SCRIPT, levels=(SCRIPT,), example=SCRIPT),
        Field(name=SCRIPT + "2", type="string", dtype="str", levels=(SCRIPT,), example=SCRIPT),
    )
    known = Output(task="classification", labels=(0,), classes=(SCRIPT,))
    several = Output(task="regression", width=1, names=(SCRIPT,))
    for output in (known, several):
        hostile = Signature(container="frame", inputs=inputs, output=output)
        assert is_tame(hostile._repr_html_())
        assert hostile._repr_html_().count("&lt;script&gt;") == 8
        assert "\x1b" not in str(hostile) + hostile._repr_html_()
        assert len(str(hostile).splitlines()) == 5


def test_of_two_thousand_fields_the_first_fifty_are_shown() -> None:
    levels = tuple(f"{n} {'x' * 1_000}" for n in range(500))
    inputs = tuple(Field(name=f"f{n}", type="category", dtype="object", levels=levels) for n in range(2_000))
    classes = tuple(range(10_000))
    large = Signature(
        container="frame", inputs=inputs, output=Output(task="classification", labels=classes, classes=classes)
    )
    assert large._repr_html_().count("<tr>") == 51
    assert "<p>… and 1,950 more</p><p>Answers one of 10,000 classes (0, 1, 2, 3, " in large._repr_html_()
    assert max(len(large._repr_html_()), len(str(large))) < 20_000


NUMBER = {"task": "regression"}
LABELS: dict[str, Any] = {"labels": (0, 1), "classes": ("no", "yes")}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (NUMBER, "a number."),
        (NUMBER | {"width": 2, "names": ("rent", "deposit")}, "2 numbers: rent, deposit."),
        ({"task": "transform", "width": 3}, "3 numbers."),
        ({"task": "classification", "type": "string"}, "a class, a text."),
        ({"task": "classification", "type": "boolean"}, "a class, true or false."),
        ({"task": "classification", "type": "integer", "width": 2}, "2 whole numbers."),
        ({"task": "clustering", "type": "integer"}, "a group, a whole number."),
        ({"task": "classification", "labels": (1,), "classes": (True,)}, "one of 1 class (true)."),
        (
            {"task": "classification", "scores": "decisions"} | LABELS,
            "one of 2 classes (no, yes), with decision values.",
        ),
        ({"task": "clustering"} | LABELS, "one of 2 groups (no, yes)."),
        ({"task": "outliers"} | LABELS, "no for an outlier, yes for any other row."),
        ({"task": "multilabel"} | LABELS, "any of 2 labels (no, yes)."),
        (
            {"task": "classification", "scores": "probabilities", "rule": "threshold", "threshold": 0.3} | LABELS,
            "one of 2 classes (no, yes), with the probability of each; yes from 0.3 on.",
        ),
        (
            {"task": "multilabel", "scores": "probabilities", "rule": "threshold", "threshold": 0.3} | LABELS,
            "any of 2 labels (no, yes), with the probability of each; a label applies from 0.3 on.",
        ),
    ],
)
def test_every_kind_of_answer_is_a_sentence(output: dict[str, Any], sentence: str) -> None:
    assert describing.answer(Output(**output)) == f"Answers {sentence}"
    assert not re.search(r"\s\s", sentence)
