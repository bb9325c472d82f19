"""The look of every page: whole, accessible, fit for a phone, and small, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from contract.store import Store
from serving.pages.rendering import STATIC
from tests import gallery
from tests.browsing import LOOKS, NARROW, Browse, Window
from tests.counted import publish_drifting
from tests.live import Service, publish_graph, running, until

MOST_BYTES = 300_000
PAGE = {"accept": "text/html"}
SMALL = {
    "models": "rents",
    "models/forms": "forms",
    "models/rents": "rents",
    "models/loading": "A version is being loaded.",
    "models/unpromoted": "No version was promoted yet.",
    "models/failed": "Versions that cannot be served",
    "models/failed/versions/1": "It cannot be served",
    "models/rents/versions/2": "12.3 s",
    "models/rents/versions": "4 versions",
    "models/rents/compare?first=1&second=2": "Asked the same rows",
    "models/rents/compare?first=1&second=3": "For whoever calls",
    "models/rents/history": "knows the new quarter",
    "models/unpromoted/history": "version 1 was not promoted",
    "models/rents/shadow": "Rows that differ",
    "models/forms/shadow": "No challenger",
    "models/rents/quality": "r2 over time",
    "models/forms/quality": "Nobody has said yet",
    "models/times/drift": "2 of 2 inputs and outputs have moved",
    "models/times/drift?window=time": "Look at the newest rows",
    "models/waits/drift": "not enough rows yet",
    "models/rents/drift": "made without counts",
    "models/rents/reports": "All of them",
    "models/forms/reports": "lectern report forms",
}
"""Paths, and what is to be seen there."""
LARGE = {
    "models/wide": "a rather long name",
    "models/vast": "2000 fields",
    "models/lavish": "And 1,900 more",
    "models/wide/versions/1": "a rather long name",
    "models/vast/versions/1": "And 1900 more",
    "models/lavish/versions/1": "And 1,800 more",
    "models/many/versions": "100 versions",
    "models/lavish/compare?first=1&second=2": "And 1,800 more",
    "models/wide/drift": "And 71 more",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The gallery, with rows on which champion and challenger differ, and what was true of them."""
    folder = tmp_path_factory.mktemp("look")
    store, go = Store(folder / "store"), folder / "go"
    gallery.fill(store)
    rows = publish_drifting(store)
    with running(store, logged=True, load_timeout_s=3600) as found:
        gallery.begin(store, go)
        said = found.predict([{"x": value} for value in range(1, 30)], "/models/rents/predict").json()["predictions"]
        true = [{"id": one["id"], "truth": one["prediction"] + place % 3} for place, one in enumerate(said)]
        found.client.post("/feedback", json=true).raise_for_status()
        until(lambda: found.get("/models/rents/quality")["rows"] == 29)
        until(lambda: found.get("/models/rents/shadow")["rows"] == 29)
        until(lambda: found.client.get("/models/loading").status_code == 200)
        for model in ("times", "wide"):
            found.predict(rows[model], f"/models/{model}/predict").raise_for_status()
            until(lambda model=model: found.get(f"/models/{model}/drift")["rows"] == 400)  # type: ignore[misc]
        yield found
        go.touch()


def look_at(window: Window, path: str, seen: str) -> None:
    """Hold the page at a path to what every page has, as wide and as narrow, as light and as dark as it may be."""
    page = window.page
    page.goto(path)
    expect(page.get_by_text(seen).first).to_be_visible()
    assert page.title().endswith(" · Lectern")
    assert len(page.title()) > len(" · Lectern")
    assert [page.locator(one).count() for one in ("h1", "main", "html[lang=en]")] == [1, 1, 1], path
    for look in LOOKS:
        page.set_viewport_size({"width": look["width"], "height": 800})
        page.emulate_media(color_scheme="dark" if look["dark"] else "light")
        room = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert room == 0, f"{path} is {room} px wider than {look['width']}"
        if look in (LOOKS[0], LOOKS[-1]):
            window.axe()


@pytest.mark.parametrize("paths", [list(SMALL)[n::3] for n in range(3)], ids=["first", "second", "third"])
def test_every_page_is_whole_and_accessible_in_every_look(service: Service, browse: Browse, paths: list[str]) -> None:
    window = browse(service.url)
    for path in paths:
        look_at(window, path, SMALL[path])


def test_large_pages_are_no_wider_than_a_phone(service: Service, browse: Browse) -> None:
    page = browse(service.url, width=NARROW).page
    for path, seen in LARGE.items():
        page.goto(path)
        expect(page.get_by_text(seen).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW, path


def test_a_problem_is_a_page_like_the_others(service: Service, browse: Browse) -> None:
    missing = browse(service.url, expected=["404"])
    look_at(missing, "nowhere/at/all", "There is nothing at this path")
    look_at(missing, "models/nobody", "There is no model 'nobody'")
    missing.page.get_by_role("link", name="All models").click()
    expect(missing.page.get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_a_small_store_is_whole_and_so_are_the_readers_of_its_document(store: Store, browse: Browse) -> None:
    with running(store) as service:
        window = browse(service.url)
        look_at(window, "", "No model yet")
        window.page.close()  # it would go on asking when the service has ended
        publish_graph(store, "double")
        until(lambda: service.get("/health")["status"] == "ready")
        for look in (LOOKS[0], LOOKS[-1]):
            page = browse(service.url, **look).page
            page.goto("")
            expect(page.get_by_role("link", name="double")).to_be_visible()
            page.get_by_role("link", name="API").click()
            expect(page.get_by_text("Predict with double, version 1").first).to_be_visible()
            page.get_by_role("link", name="Models", exact=True).click()
            page.get_by_role("link", name="Reference").click()
            expect(page.get_by_role("heading", name="Predict with double, version 1").first).to_be_visible()


def focused(page: Page) -> tuple[str, bool]:
    """What has the focus, and whether that is seen."""
    found: tuple[str, bool] = page.evaluate(
        """() => {
            const element = document.activeElement, style = getComputedStyle(element);
            const box = element.getBoundingClientRect();
            const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
            const there = box.width > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight;
            return [element.outerHTML.slice(0, 100), outlined && there];
        }"""
    )
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_focus_is_seen_wherever_the_keyboard_takes_it(service: Service, browse: Browse, dark: bool) -> None:
    page = browse(service.url, dark=dark, width=NARROW).page
    for path in ("models", "models/rents", "models/rents/versions/2", "models/rents/versions", "models/forms"):
        page.goto(path)
        seen = dict[str, None]()
        for _ in range(40):
            page.keyboard.press("Tab")
            element, visible = focused(page)
            if element.startswith("<body"):
                break
            assert visible or element.startswith("<iframe"), f"{path}: {element}"  # what is in it has the focus
            seen[element] = None
        assert "Skip to the content" in next(iter(seen)), path
        assert len(seen) > 8, path
    page.goto("models/rents")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_no_page_is_large(service: Service) -> None:
    beside = sum(path.stat().st_size for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".svg"))
    sizes = {path: len(service.client.get(f"/{path}", headers=PAGE).content) for path in SMALL | LARGE}
    assert {path: size for path, size in sizes.items() if size + beside >= MOST_BYTES} == {}
    assert max(sizes, key=lambda path: sizes[path]) in LARGE
