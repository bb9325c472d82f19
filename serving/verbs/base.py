"""What all verbs share: the app, and the options that recur."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _ServeUnlessSaid(TyperGroup):
    """`python -m serving` serves; another verb is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the verb before them."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ServeUnlessSaid,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Serve the versions of a store as an API, or answer the rows of a file with them.",
)

StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of all artifacts.", show_default=False)]
