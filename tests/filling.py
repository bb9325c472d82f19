"""Filling in the form on a model's page, as a person does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

Do = Callable[[Page], object]
REFUSED = "status of 422"
"""What the browser's console says of a row that is refused."""


def opened(page: Page, model: str, *, filled: bool = True) -> Page:
    """The page of a model, `iris` or `iris/versions/1`, once its form is filled in."""
    page.goto(f"models/{model}")
    expect(page.locator("[data-code=curl]")).not_to_be_empty()
    if filled:
        for large in page.locator("[data-kind=list] textarea, [data-kind=row] textarea").all():
            expect(large).not_to_have_value("")
        if page.locator("[data-kind=image]").count():
            expect(page.locator("[data-code=curl]")).to_contain_text(": [[")
    return page


def field(page: Page, name: str) -> Locator:
    """A field with its label, its hint and its error."""
    return page.locator(f'.field[data-name="{name}"]')


def entered(page: Page, name: str) -> Locator:
    """The control of a field."""
    return field(page, name).locator("input:not([type=range]), select, textarea").first


def error(page: Page, name: str) -> Locator:
    """What stands beside a field that is refused."""
    return field(page, name).locator(".error")


def typing(name: str, text: str) -> Do:
    """Write a text into a field."""
    return lambda page: entered(page, name).fill(text)


def predicted(page: Page, act: Do | None = None) -> tuple[Any, Any]:
    """What is sent when the button is pressed, with numbers as they are spelled, and the document that comes back."""
    if act:
        act(page)
    with page.expect_response(lambda response: response.request.method == "POST") as found:
        page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    return exact(found.value.request.post_data or ""), found.value.json()


def sent(page: Page, act: Do | None = None) -> Any:
    """What is sent when the button is pressed, with numbers as they are spelled."""
    return predicted(page, act)[0]


def exact(text: str) -> Any:
    """What a JSON text says, with numbers as they are spelled."""
    return json.loads(text, parse_float=str, parse_int=str)


def spelled(value: Any) -> Any:
    """A value with numbers as Python spells them."""
    return exact(json.dumps(value))
