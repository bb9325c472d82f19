"""JupyterLab, end to end in a browser: the tile, a prediction, a notebook run again, and the page that shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from contract.store import Store
from serving.client import Client
from serving.running import find
from tests.browsing import Browse
from tests.live import ROOT, processes, until
from tests.notebook_servers import TOKEN, Jupyter, jupyter_server


@pytest.fixture
def lab(example_store: Store, tmp_path: Path) -> Iterator[Jupyter]:
    """JupyterLab beside a store and the notebook that trained a model of it."""
    shutil.copytree(example_store.root / "iris", tmp_path / "artifacts" / "iris")
    shutil.copy(ROOT / "notebooks" / "training" / "iris.ipynb", tmp_path)
    with jupyter_server(tmp_path, "jupyterlab") as found:
        yield found


@pytest.mark.slow
def test_the_loop_from_the_tile_to_the_next_version(lab: Jupyter, browse: Browse, tmp_path: Path) -> None:
    page = browse(lab.url).page
    page.goto(f"lab/tree/iris.ipynb?token={TOKEN}&reset")
    page.locator(".jp-Notebook").wait_for()
    page.keyboard.press("Control+Shift+L")
    page.locator(".jp-LauncherCard", has_text="Lectern").click()
    tile = page.frame_locator("iframe[src*='lectern']")
    tile.get_by_role("link", name="iris", exact=True).click()
    expect(tile.locator("[data-announce]")).to_have_text("Version 1 answers.")
    tile.get_by_role("button", name="Predict").click()
    expect(tile.locator("#answer")).to_contain_text("iris version 1")

    page.get_by_role("tab", name="iris.ipynb").click()
    expect(page.locator(".jp-Notebook-ExecutionIndicator").first).to_have_attribute("data-status", "idle")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("iris version 2")

    page.get_by_role("tab", name="Lectern: your models").click()
    expect(tile.locator("[data-announce]")).to_have_text("Version 2 answers.")
    tile.get_by_role("button", name="Predict").click()
    expect(tile.locator("#answer")).to_contain_text("iris version 2")

    [service] = find(tmp_path / "artifacts")
    code = tile.locator("[data-code=Python]").text_content() or ""
    assert f'Client("unix:{service.socket}").model("iris")' in code
    with Client(service.address) as client:
        assert client.model("iris").predict(client.model("iris").example)["version"] == 2
    page.close()
    lab.process.terminate()
    lab.process.wait()
    until(lambda: service.pid not in processes())
