"""Pictures in the form of a model: what tensor a file becomes, and what the page shows of it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from contract.signature import Field, Signature
from contract.store import Store
from tests.browsing import Browse
from tests.filling import REFUSED, error, field, opened, predicted, sent
from tests.live import Says, X, publish, running

LEFT, RIGHT = (255, 0, 0), (0, 0, 255)
GREY = {LEFT: 0.299, RIGHT: 0.114}
"""How light they are."""
SHAPES: dict[str, tuple[tuple[int, ...], str, tuple[float, float]]] = {
    "grey": ((8, 8), "float64", (0.0, 16.0)),
    "last": ((6, 8, 3), "float32", (0.0, 1.0)),
    "first": ((3, 6, 8), "float64", (-1.0, 1.0)),
    "whole": ((8, 8, 1), "uint8", (0, 255)),
}


def pixels(name: str, value: Callable[[tuple[int, int, int], int], float]) -> Any:
    """The tensor whose two halves have two colours: a value of colour and channel."""
    shape = SHAPES[name][0]
    height, width, channels = {"grey": (8, 8, 1), "first": (6, 8, 3)}.get(name, shape)
    found = np.array(
        [[[value(RIGHT if x >= width / 2 else LEFT, c) for c in range(channels)] for x in range(width)]] * height
    )
    return (found.transpose(2, 0, 1) if name == "first" else found).reshape(shape)


def expected(name: str) -> Any:
    """What the file of two colours is to become."""
    low, high = SHAPES[name][2]
    coloured = name in ("last", "first")
    shares = pixels(name, lambda colour, channel: colour[channel] / 255 if coloured else GREY[colour])
    scaled = low + (high - low) * shares
    return scaled.round() if name == "whole" else scaled


def total(rows: Any) -> Any:
    """The sum of each row's numbers."""
    return rows.reshape(len(rows), -1).sum(axis=1) * 1.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that adds up the numbers of pictures."""
    store = Store(tmp_path_factory.mktemp("pictures") / "store")
    for name, (shape, dtype, observed) in SHAPES.items():
        whole = dtype == "uint8"
        example = np.full(shape, observed[0]) if not whole else np.arange(64).reshape(shape)
        image = Field(
            name="image", type="tensor", dtype=dtype, shape=shape, observed=observed, example=example.tolist()
        )
        publish(
            store, name, Says(predict=total), signature=Signature(container="array", inputs=(image,), output=X.output)
        )
    with running(store) as service:
        yield service.url
        assert "Traceback" not in service.complaints


def png(*right: int) -> bytes:
    """A file, much larger than any of the models wants it, whose halves have two colours."""
    row = bytes([0, *(*LEFT, 255) * 120, *(right or (*RIGHT, 255)) * 120])  # red, green, blue and how opaque
    header = struct.pack(">IIBBBBB", 240, 180, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(row * 180)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def choose(page: Page, content: bytes, name: str = "two.png") -> None:
    page.locator("[data-kind=image] [type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


def drop(page: Page, target: str, content: bytes) -> None:
    """Drop a file on an element, as from a folder."""
    made = page.evaluate_handle(
        """bytes => { const made = new DataTransfer();
        made.items.add(new File([new Uint8Array(bytes)], "two.png", { type: "image/png" })); return made }""",
        list(content),
    )
    for kind in ("dragover", "drop"):
        page.dispatch_event(target, kind, {"dataTransfer": made})


def image_of(page: Page, differs_from: Any = None) -> Any:
    """What is sent for the picture, once it is another one than before."""
    page.wait_for_function(
        "before => document.querySelector('[data-code=curl]').textContent.replaceAll(' ', '') !== before",
        arg=differs_from,
    )
    return np.array(sent(page)["image"], dtype=float)


def code(page: Page) -> str:
    """The request that the page shows at present."""
    return (page.locator("[data-code=curl]").text_content() or "").replace(" ", "")


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_becomes_what_the_model_takes(name: str, home: str, browse: Browse) -> None:
    page = opened(browse(home).page, name)
    before = code(page)
    choose(page, png())
    found = image_of(page, before)
    low, high = SHAPES[name][2]
    edge = np.abs(found - expected(name)) > (high - low) / 100
    assert found.shape == SHAPES[name][0]
    assert not np.compress(
        [True, True, True, False, False, True, True, True], edge, axis=2 if name == "first" else 1
    ).any()
    expect(page.locator("#answer .said")).to_be_visible()
    shown = page.locator("canvas").evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]")
    assert shown == [*LEFT, 255]
    if name == "whole":
        assert found.tolist() == found.round().tolist()
    before = code(page)
    page.get_by_label("exchange dark and light").check()
    exchanged = image_of(page, before)
    assert np.abs(exchanged + found - (low + high)).max() <= (high - low) / 100
    page.get_by_role("button", name="Back to the example").click()
    expect(page.locator("[type=file]").first).to_have_value("")


def test_the_example_is_there_at_first_and_may_be_inverted(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "whole")
    example = sent(page)["image"]
    assert np.array(example, dtype=int).reshape(-1).tolist() == list(range(64))
    before = code(page)
    page.get_by_label("exchange dark and light").check()
    assert image_of(page, before).reshape(-1).tolist() == [255 - number for number in range(64)]
    page.get_by_label("exchange dark and light").uncheck()
    expect(page.locator("[data-code=curl]")).to_contain_text("[0], [1], [2]")
    assert sent(page)["image"] == example


def test_a_picture_may_be_dropped_and_what_is_none_is_told(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "grey")
    before = code(page)
    drop(page, ".drop.picture canvas", png())
    found = image_of(page, before)
    assert abs(found[0, 0] - 16 * GREY[LEFT]) < 0.2
    before = code(page)
    choose(page, b"no picture", "notes.txt")
    told = "notes.txt is no picture that this browser can read. The one that is shown stays."
    expect(error(page, "image")).to_have_text(told)
    expect(field(page, "image").locator("[type=file]")).to_have_attribute("aria-invalid", "true")
    assert code(page) == before
    drop(page, "h1", png())  # beside the place; the browser would open it
    choose(page, png(*LEFT, 255))
    expect(error(page, "image")).to_be_empty()
    assert abs(image_of(page, before)[0, 7] - 16 * GREY[LEFT]) < 0.2
    assert page.url.endswith("/models/grey")


def test_numbers_may_be_written_by_hand(home: str, browse: Browse) -> None:
    page = opened(browse(home, expected=[REFUSED]).page, "grey")
    page.get_by_text("The numbers").click()
    numbers = page.get_by_label("image, its numbers")
    expect(numbers).to_have_value("[" + ",\n".join(["[0,0,0,0,0,0,0,0]"] * 8) + "]")
    numbers.fill(json.dumps([[16.0] * 8] * 8))
    assert sent(page)["image"] == [["16.0"] * 8] * 8
    shown = page.locator("canvas").evaluate("canvas => [...canvas.getContext('2d').getImageData(7, 7, 1, 1).data]")
    assert shown == [255] * 4
    for wrong in ("[[1]]", "[[1, 2], 3", "7"):
        numbers.fill(wrong)
        predicted(page)
        expect(error(page, "image")).to_contain_text("'image' must be 8 lists of 8 numbers")
    choose(page, png(*LEFT, 255))
    expect(numbers).not_to_have_value("7")
    assert abs(np.array(sent(page)["image"], dtype=float)[0, 7] - 16 * GREY[LEFT]) < 0.2


def test_below_what_is_transparent_it_is_white(home: str, browse: Browse) -> None:
    page = opened(browse(home).page, "grey")
    before = code(page)
    choose(page, png(0, 0, 0, 0))
    assert image_of(page, before)[:, 7].tolist() == [16.0] * 8
