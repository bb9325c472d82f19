"""The report: an executed notebook as one HTML page that needs no network and carries no script of ours."""

from __future__ import annotations

import warnings
from pathlib import Path

from nbformat import NotebookNode

_TEMPLATES = Path(__file__).parent / "templates"


def get_ready() -> None:
    """Import what `render` needs."""
    import nbconvert  # noqa: F401


def render(notebook: NotebookNode, title: str) -> str:
    """The page. Cells tagged `remove-cell`, `hide-input` or `hide-output` are left out or shown in part."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    remove = {
        "enabled": True,
        "remove_cell_tags": {"remove-cell"},
        "remove_input_tags": {"hide-input"},
        "remove_all_outputs_tags": {"hide-output"},
    }
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        config=Config({"TagRemovePreprocessor": remove}),
        template_name="report",
        extra_template_basedirs=[str(_TEMPLATES)],
    )
    exporter.register_preprocessor(  # type: ignore[no-untyped-call]
        "nbconvert.preprocessors.TagRemovePreprocessor", enabled=True
    )
    with warnings.catch_warnings(action="ignore"):  # of outputs that a page cannot show
        page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return str(page)
