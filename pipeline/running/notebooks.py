"""Notebook files: read whole, bounded, and of the format that is run; and written."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import ParametersRefused

if TYPE_CHECKING:
    from nbformat import NotebookNode

# nbformat loads jsonschema, which takes a second to load this where it is there, for a check that no notebook needs
_SLOW = "rfc3987_syntax"
if _SLOW in sys.modules:
    import nbformat.reader
else:
    sys.modules[_SLOW] = None  # type: ignore[assignment]  # the import system's word for: there is none
    import nbformat.reader

    del sys.modules[_SLOW]

MAX_NOTEBOOK_BYTES = 100 << 20
NOTEBOOK_FORMAT = 4


def read_notebook(path: Path) -> NotebookNode:
    """A notebook in today's format.

    Raises:
        ParametersRefused: it is missing, too large, no notebook, or one of an older format.
    """
    try:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise ParametersRefused(f"{path} has more than {MAX_NOTEBOOK_BYTES >> 20} MiB; clear its outputs first.")
        notebook: NotebookNode = nbformat.reader.reads(path.read_text("utf-8"))  # type: ignore[no-untyped-call]
        if notebook.nbformat == NOTEBOOK_FORMAT:
            with warnings.catch_warnings(action="ignore"):  # of cells without an id, which it gives them
                nbformat.validate(notebook, relax_add_props=True)
    except OSError as error:
        raise ParametersRefused(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, AttributeError, TypeError, RecursionError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise ParametersRefused(f"{path} is no Jupyter notebook: {reason[:200]}.") from None
    if notebook.nbformat != NOTEBOOK_FORMAT:
        raise ParametersRefused(
            f"{path} is of notebook format {notebook.nbformat!s:.20}; open it in JupyterLab and save it as format 4."
        )
    return notebook


def write_notebook(content: Any, path: Path) -> NotebookNode:
    """Write a notebook, given as JSON has it; return it as such."""
    notebook: NotebookNode = nbformat.from_dict(content)  # type: ignore[no-untyped-call]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return notebook
