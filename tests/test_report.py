"""The report of a run: it needs no network, carries no script, and hides what is tagged."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from pipeline.running import report
from pipeline.running.notebooks import read_notebook
from tests.conftest import WriteNotebook

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WIDGET = "application/vnd.jupyter.widget-view+json"


class Page(HTMLParser):
    """What an HTML page loads, runs and shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.title = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                self.references.append(value or "")
            if name == "style":
                self._collect(value or "")
            assert not name.startswith("on"), f"<{tag} {name}> runs a script"

    def handle_data(self, data: str) -> None:
        inside = self.tags[-1] if self.tags else ""
        if inside == "style":
            self._collect(data)
        elif inside == "title" and not self.title:
            self.title = data
        else:
            self.text += data

    def _collect(self, style: str) -> None:
        self.references += re.findall(r"url\(\s*['\"]?([^'\")]*)", style) + re.findall(r"@import[^;]*", style)


@pytest.fixture
def run(write_notebook: WriteNotebook) -> Path:
    """A notebook as it ran, with one output of each kind."""
    sources = ["x: int = 1", "'shown'", "'input hidden'", "'output hidden'", "'removed'"]
    path = write_notebook(*sources)
    notebook = json.loads(path.read_text())
    heading = {
        "cell_type": "markdown",
        "id": "heading",
        "metadata": {},
        "source": "# Heading\n\n$\\alpha$ and **bold**",
    }
    for number, tag in enumerate(["hide-input", "hide-output", "remove-cell"], start=2):
        cell = notebook["cells"][number]
        cell["metadata"]["tags"] = [tag]
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"output {number}\n"}]
    shown: list[dict[str, Any]] = [
        {"image/png": PIXEL, "text/plain": "figure"},
        {"text/html": "<table><td>cell</table>"},
        {"application/javascript": "steal()"},
        {WIDGET: {"model_id": "1"}, "text/plain": "Slider"},
        {WIDGET: {"model_id": "2"}},
    ]
    notebook["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "printed <b>\n"},
        *({"output_type": "display_data", "metadata": {}, "data": data} for data in shown),
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mTraceback <i>\x1b[0m"]},
    ]
    notebook["cells"].append(heading)
    state = {"state": {"1": {"model_name": "IntSliderModel"}}, "version_major": 2, "version_minor": 0}
    notebook["metadata"] = {"widgets": {"application/vnd.jupyter.widget-state+json": state}}
    path.write_text(json.dumps(notebook))
    return path


@pytest.fixture
def notebook(run: Path) -> NotebookNode:
    return read_notebook(run)


def test_it_loads_nothing_and_runs_nothing(notebook: NotebookNode) -> None:
    page = Page(report.render(notebook, "iris"))
    outside = [found for found in page.references if not found.startswith(("data:", "#"))]
    assert outside == []
    assert any(found.startswith("data:image/png;base64,") for found in page.references)
    assert not {"script", "iframe", "object", "embed", "link", "base"} & set(page.tags)


def test_it_shows_what_the_notebook_did(notebook: NotebookNode) -> None:
    page = Page(report.render(notebook, "iris"))
    for text in ("Heading", "$\\alpha$", "bold", "x", "shown", "printed <b>", "cell", "Slider", "Traceback <i>"):
        assert text in page.text
    assert page.title == "iris"
    assert "steal" not in page.text
    assert "IntSliderModel" not in page.text


def test_tags_hide_parts_of_it(notebook: NotebookNode) -> None:
    text = Page(report.render(notebook, "iris")).text
    shown = {
        part: part in text for part in ("input hidden", "output 2", "output hidden", "output 3", "removed", "output 4")
    }
    assert shown == {
        "input hidden": False,
        "output 2": True,
        "output hidden": True,
        "output 3": False,
        "removed": False,
        "output 4": False,
    }


def test_the_title_is_text(notebook: NotebookNode) -> None:
    title = "<script>alert(1)</script> & {x} é"
    page = Page(report.render(notebook, title))
    assert page.title == title
    assert "script" not in page.tags


def test_a_picture_from_the_disk_is_not_put_into_it(notebook: NotebookNode, tmp_path: Path) -> None:
    (tmp_path / "secret.svg").write_text("<svg>secret</svg>")
    notebook.cells[-1].source = f"![x]({tmp_path}/secret.svg) ![y](secret.svg)"
    assert "secret</svg>" not in report.render(notebook, "iris")
