"""Failures: where an executed notebook failed, as its author counts the cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

INJECTED = "injected-parameters"
"""papermill's tag for the cell that it adds."""


def described(notebook: Path, error: str, executed: NotebookNode) -> str:
    """In which cell it failed and why, with the first lines of the cell."""
    # numbered as in the author's notebook, which lacks papermill's own cell
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    cells = [cell for cell in cells if INJECTED not in cell.metadata.get("tags", [])]
    at = next((i for i, c in enumerate(cells) if c.metadata.get("papermill", {}).get("status") == "failed"), None)
    if at is None:
        return f"{notebook} failed: {error}"
    code = "".join(f"\n    {line[:160]}" for line in cells[at].source.splitlines()[:12])
    return f"{notebook} failed in code cell {at + 1} of {len(cells)}: {error}{code}"
