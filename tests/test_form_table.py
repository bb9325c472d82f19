"""Many rows on a model's page: a CSV file is answered, shown in part, and given back whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from contract.signature import Field
from contract.store import Store
from tests.browsing import Browse
from tests.filling import REFUSED, opened
from tests.live import Says, Service, publish, publish_graph, running
from tests.test_form_kinds import FIELDS, NOTHING, one
from tests.test_kinds import taking

NOTE = 'so, "quoted"\r\nand <b>more</b>'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that doubles, and one that lengthens texts."""
    store = Store(tmp_path_factory.mktemp("table") / "store")
    publish_graph(store, "double")
    note = Field(name="note", type="string", dtype="object", example=NOTE)
    publish(store, "length", Says(predict=lambda rows: rows["note"].str.len() * 1.0), signature=taking(note))
    publish(store, "kinds", Says(predict=one), signature=taking(*FIELDS))
    publish(store, "nothing", Says(predict=one), signature=taking(*NOTHING))
    with running(store) as service:
        yield service
        assert "Traceback" not in service.complaints


def rows_of(text: str) -> list[list[str]]:
    """The rows of a CSV text, with its header."""
    return list(csv.reader(io.StringIO(text, newline="")))


def send(page: Page, content: str, name: str = "rows.csv") -> None:
    """Choose a file."""
    chosen: Any = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    page.get_by_label("A CSV file with a column for each field").set_input_files(chosen)


def shown(page: Page) -> list[list[str]]:
    """The table of the answers, without its header."""
    table = page.get_by_role("region", name="Answers").locator("table")
    expect(table).to_be_visible()
    cells = "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    found: list[list[str]] = table.evaluate(cells)
    return found


def saved(page: Page, button: str) -> tuple[str, str]:
    """The name of the file that a button gives, and what is in it."""
    with page.expect_download() as found:
        page.get_by_text(button).click()
    return found.value.suggested_filename, Path(found.value.path()).read_bytes().decode()


def by_api(service: Service, model: str, content: str) -> list[list[str]]:
    """The answers that a program gets, but for their ids."""
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    response = service.client.post(f"/models/{model}/predict?echo=true", content=content.encode(), headers=headers)
    return without_ids(rows_of(response.text))


def without_ids(rows: list[list[str]]) -> list[list[str]]:
    place = rows[0].index("id")
    return [row[:place] + row[place + 1 :] for row in rows]


def test_a_few_rows_are_shown_and_given_back(service: Service, browse: Browse) -> None:
    page = opened(browse(service.url).page, "length")
    content = f'note\n"{NOTE.replace(chr(34), chr(34) * 2)}"\nb\n'
    send(page, content, "Notes.CSV")
    found = shown(page)
    assert [row[:2] for row in found] == [[NOTE, str(float(len(NOTE)))], ["b", "1.0"]]
    expect(page.locator("#answers p").first).to_have_text("2 rows")
    name, text = saved(page, "Save Notes-answers.csv")
    assert name == "Notes-answers.csv"
    assert without_ids(rows_of(text)) == by_api(service, "length", content)
    send(page, "note\nonly\n")
    expect(page.locator("#answers p").first).to_have_text("1 row")


@pytest.mark.parametrize(("count", "told"), [(50, "50 rows"), (51, "The first 50 rows; the file has all.")])
def test_of_many_rows_the_first_are_shown(count: int, told: str, service: Service, browse: Browse) -> None:
    page = opened(browse(service.url).page, "double")
    content = "x\n" + "".join(f"{number}\n" for number in range(count))
    send(page, content)
    expect(page.locator("#answers p").first).to_have_text(told)
    assert [row[:2] for row in shown(page)] == [[f"{x}.0", f"{2 * x}.0"] for x in range(50)]
    assert without_ids(rows_of(saved(page, "Save rows-answers.csv")[1])) == by_api(service, "double", content)


def test_of_very_wide_rows_those_that_are_whole_are_shown(service: Service, browse: Browse) -> None:
    page = opened(browse(service.url).page, "length")
    send(page, "note\n" + ('"' + "a,\n" * 20_000 + '"\n') * 6)
    expect(page.locator("#answers p").first).to_have_text("The first 4 rows; the file has all.")
    assert [row[1] for row in shown(page)] == ["60000.0"] * 4
    assert len(rows_of(saved(page, "Save rows-answers.csv")[1])) == 7


def test_a_large_file_with_a_bad_row_in_the_middle(service: Service, browse: Browse) -> None:
    page = opened(browse(service.url, expected=[REFUSED]).page, "double")
    rows = [f"{number}.{'0' * 45}\n" for number in range(100_000)]
    rows[60_000] = '"a, ""b"""\n'
    content = "x\n" + "".join(rows)
    assert len(content) > 5_000_000
    send(page, content)
    told = page.locator("#answers").get_by_role("alert")
    expect(told).to_have_text("Not all rows were answered. 'x' in row 60000 must be a number.")
    expect(page.locator("#answers")).to_contain_text("The first row below the header is row 0.")
    assert len(shown(page)) == 50
    found = rows_of(saved(page, "Save rows-answers.csv")[1])
    assert len(found) == 60_002
    assert found[60_000][:2] == ["59999.0", "119998.0"]
    send(page, "x\n1\nnone\n")  # told before the first rows are answered
    expect(told).to_have_text("'x' in row 1 must be a number.")


REFUSALS = {
    "": ["The body is empty; send rows with x, below a header with these names."],
    "x\n": ["The body has a header and no rows; send rows with x."],
    "y\n1\n": ["The field 'x' is missing. There is 1 more error.", "The model has no field 'y'; its fields are x."],
    "x,x\n1,1\n": ["The column 'x' stands there twice."],
    "x\nmuch\n": ["'x' in row 0 must be a number.", "The first row below the header is row 0."],
}
"""What is told of a file, line by line."""


def test_a_file_that_is_refused(service: Service, browse: Browse) -> None:
    page = opened(browse(service.url, expected=[REFUSED, "status of 400"]).page, "double")
    for content, told in REFUSALS.items():
        send(page, content)
        expect(page.locator("#answers")).to_have_text("".join(told))
    send(page, 'x\n"1')
    expect(page.locator("#answers")).to_contain_text("Row 0 is not CSV: unexpected end of data.")
    send(page, "x\n1\n")
    assert shown(page)[0][:2] == ["1.0", "2.0"]


@pytest.mark.parametrize("model", ["double", "length", "kinds", "nothing"])
def test_the_row_to_begin_with_is_answered(model: str, service: Service, browse: Browse, tmp_path: Path) -> None:
    page = opened(browse(service.url).page, model, filled=False)
    name, content = saved(page, "One row to begin with")
    assert name == f"{model}.csv"
    send(page, content)
    expect(page.locator("#answers p").first).to_have_text("1 row")
    # the same file again, once it was mended
    file = tmp_path / name
    file.write_bytes(content.encode())
    for _ in range(2):
        with page.expect_response("**/predict?echo=true"):
            with page.expect_file_chooser() as chooser:
                page.get_by_label("A CSV file with a column for each field").click()
            chooser.value.set_files(file)


def test_a_file_may_be_dropped(service: Service, browse: Browse) -> None:
    page = opened(browse(service.url).page, "double")
    made = page.evaluate_handle(
        "() => { const made = new DataTransfer(); made.items.add(new File(['x\\n4\\n'], 'four.csv')); return made }"
    )
    for kind in ("dragover", "drop"):
        page.dispatch_event("#many", kind, {"dataTransfer": made})
    assert shown(page)[0][:2] == ["4.0", "8.0"]
    expect(page.get_by_role("button", name="Save four-answers.csv")).to_be_visible()
    expect(page.locator("#many")).not_to_have_class("drop over")
