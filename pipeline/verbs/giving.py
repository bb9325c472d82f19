"""How the verbs that run notebooks are given parameters: `-p NAME=VALUE`, papermill's `-p NAME VALUE`, `-f FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

PAIR = "-p"
PairsOption = Annotated[
    list[str] | None,
    typer.Option(PAIR, metavar="NAME=VALUE", help="A parameter; may be repeated. `-p NAME VALUE` does too."),
]
FileOption = Annotated[
    Path | None,
    typer.Option("-f", "--file", metavar="FILE", help="Parameters in YAML or JSON; -p goes before it."),
]


class GivenCommand(TyperCommand):
    """A verb whose `-p` may have its value as a word of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        return super().parse_args(ctx, joined(args))


def joined(arguments: list[str]) -> list[str]:
    """The same arguments with every `-p NAME VALUE` as `-p NAME=VALUE`."""
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        found.append(word)
        if word == "--":
            break
        if word == PAIR and (name := next(words, None)) is not None:
            value = next(words, None) if name.isidentifier() else None
            found.append(name if value is None else f"{name}={value}")
    return found + list(words)


def pairs(given: list[str] | None) -> dict[str, str]:
    """Names and values as texts."""
    split = [pair.partition("=") for pair in given or ()]
    for name, equals, _ in split:
        if not equals:
            raise typer.BadParameter(f"'{name}' is not of the form NAME=VALUE.", param_hint=PAIR)
    return {name: value for name, _, value in split}
