"""The `lectern` command: the verbs of both sides under one name."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

VERBS = {
    "new": "pipeline",
    "train": "pipeline",
    "sweep": "pipeline",
    "list": "pipeline",
    "show": "pipeline",
    "promote": "pipeline",
    "compare": "pipeline",
    "report": "pipeline",
    "serve": "serving",
    "score": "serving",
    "rollback": "serving",
    "history": "serving",
    "alias": "serving",
    "traffic": "serving",
    "log": "serving",
    "prune": "serving",
    "keys": "serving",
    "signing": "serving",
}


class _Verbs(TyperGroup):
    """Imports a side only when a verb of its is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # typer's signature
        """The names of all verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # typer's signature
        """One verb, or None."""
        if cmd_name not in VERBS:
            return None
        side = importlib.import_module(f"{VERBS[cmd_name]}.verbs")
        group = typer.main.get_group(side.app)
        return group.commands[cmd_name]


app = typer.Typer(cls=_Verbs, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Lectern: from a notebook to a typed, versioned API."""


def main() -> None:
    """Run the command."""
    app(prog_name="lectern")
