"""Make committed notebooks byte-stable, so that a diff shows what somebody wrote and nothing else.

    python notebooks/tidy.py [--check] [FILES OR FOLDERS…]

Notebooks in `training/` and `monitoring/` are templates: their outputs and counts go. Those in `tutorials/`, and
anywhere else, are meant to be read as they ran: their outputs stay, numbered 1…n from top to bottom.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

KEEPS_OUTPUTS = {"training": False, "monitoring": False, "tutorials": True}
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = ("jupyter", "tags")


def keeps_outputs(path: Path) -> bool:
    """Whether a notebook is kept with its outputs: the nearest folder that has a rule decides."""
    return next((KEEPS_OUTPUTS[part.name] for part in path.resolve().parents if part.name in KEEPS_OUTPUTS), True)


def tidy(text: str, *, outputs: bool) -> str:
    """Return a notebook in its one committed form, with or without its outputs; cells left blank are dropped.

    Raises ValueError or nbformat.ValidationError for a text that is no notebook of format 4.
    """
    notebook = json.loads(text)
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise ValueError("it isn't of notebook format 4; open it in JupyterLab and save it")
    notebook |= {"metadata": NOTEBOOK_METADATA, "nbformat_minor": 5}
    notebook["cells"] = [cell for cell in notebook["cells"] if "".join(cell["source"]).strip()]
    ran = 0
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell-{number:03d}"
        cell["source"] = "".join(cell["source"]).strip("\n")
        cell["metadata"] = {key: cell["metadata"][key] for key in CELL_METADATA if cell["metadata"].get(key)}
        if cell["cell_type"] == "code":
            count = ran + 1 if outputs and cell["execution_count"] else None
            cell |= {"execution_count": count, "outputs": merged(cell["outputs"], count) if outputs else []}
            ran = count or ran
    nbformat.validate(notebook)
    return str(nbformat.writes(nbformat.from_dict(notebook))).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def merged(outputs: list[dict[str, Any]], count: int | None) -> list[dict[str, Any]]:
    """Return a cell's outputs without metadata, the pieces in which a stream arrived put together."""
    result: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream":
            pieces = result.pop()["text"] if result and result[-1].get("name") == output["name"] else []
            output["text"] = "".join([*pieces, *output["text"]])
        if "metadata" in output:
            output["metadata"] = {}
        if "execution_count" in output:
            output["execution_count"] = count
        result.append(output)
    return result


def notebooks(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files as given, and of the folders every notebook but Jupyter's checkpoints."""
    for path in paths:
        found = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        yield from (file for file in found if ".ipynb_checkpoints" not in file.parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tidy what the command line names; 1 if `--check` found something to do, 2 for a file that is no notebook."""
    parser = argparse.ArgumentParser(prog="tidy.py", description="Make committed notebooks byte-stable.")
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks or folders (default: all beside this file)")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if something would change")
    options = parser.parse_args(arguments)
    changed = False
    for path in notebooks(options.paths or [Path(__file__).parent]):
        try:
            before = path.read_bytes()
            after = tidy(before.decode(), outputs=keeps_outputs(path)).encode()
        except (OSError, ValueError, KeyError, TypeError, nbformat.ValidationError) as error:
            parser.error(f"{path} can't be read as a notebook: {type(error).__name__}: {str(error).splitlines()[0]}")
        if before != after:
            changed = True
            print("would change" if options.check else "tidied", path)
            if not options.check:
                path.write_bytes(after)
    return int(options.check and changed)


if __name__ == "__main__":
    sys.exit(main())
