"""The verb that looks after the keys of callers: keys add, keys revoke and keys list."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from contract.durations import seconds
from contract.showing import print_table
from contract.telling import told
from serving.access import key_file
from serving.access.caller import ALL, INCLUDES
from serving.settings import ServeSettings
from serving.verbs.base import app

group = typer.Typer(no_args_is_help=True, help="Make the keys with which callers ask, revoke them, and list them.")
app.add_typer(group, name="keys", epilog="Example: lectern keys add ada --scope predict")

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", help="File of the keys; LECTERN_KEYS, else ~/.config/lectern/keys.json.", show_default=False
    ),
]


def _right(text: str) -> str:
    if text not in INCLUDES:
        raise typer.BadParameter(f"give {', '.join(INCLUDES)}.")
    return text


@group.command(epilog="Example: lectern keys add ada --scope predict --scope read --model iris --expires 90d")
def add(
    name: Annotated[str, typer.Argument(help="Who is to use it; logs and histories say so.")],
    scope: Annotated[
        list[str],
        typer.Option(metavar="|".join(INCLUDES), parser=_right, help="What it allows; several times for more."),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="With which model; all when none is named.", show_default=False)
    ] = None,
    expires: Annotated[str | None, typer.Option(help="After how long it ends: 90d, 12h.", show_default=False)] = None,
    file: FileOption = None,
) -> None:
    """Make a key, and print it, this once: the file has only what it is recognised by."""
    with told():
        path = _file(file)
        rights = [right for right in INCLUDES if right in scope]
        key, shown = key_file.add(path, name, rights, model or (), None if expires is None else seconds(expires))
        print(shown)
        until = f" until {key.expires:%Y-%m-%d %H:%M} UTC" if key.expires else ""
        print(f"It is {name}'s, to {_spelled(key)}{until}, and is not shown again.", file=sys.stderr)
        print(f"Services that use {path} know it within two seconds.", file=sys.stderr)


@group.command(epilog="Example: lectern keys revoke ada")
def revoke(
    named: Annotated[str, typer.Argument(metavar="NAME|ID", help="Whose keys, or which one.")],
    file: FileOption = None,
) -> None:
    """Let a key open nothing any more; services know it within two seconds."""
    with told():
        for key in key_file.revoke(_file(file), named):
            print(f"{key.id} of {key.name} is revoked.")


@group.command("list", epilog="Example: lectern keys list --json")
def list_keys(
    file: FileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the keys, and what each may do; none can be read from the file."""
    with told():
        path = _file(file)
        found = key_file.listed(path)
        if as_json:
            shown = [key.model_dump(mode="json", exclude={"sha256"}) | {"state": key.state} for key in found]
            print(json.dumps(shown))
        elif not found:
            print(f"There is no key in {path}; `lectern keys add NAME --scope predict` makes one.")
        else:
            print_table(
                {"id": key.id, "name": key.name, "state": key.state, "expires": _day(key), "may": _spelled(key)}
                for key in found
            )


def _file(given: Path | None) -> Path:
    return given or ServeSettings.read(os.environ).keys or key_file.usual_file()


def _day(key: key_file.Key) -> str:
    return f"{key.expires:%Y-%m-%d}" if key.expires else "never"


def _spelled(key: key_file.Key) -> str:
    return "; ".join(
        f"{' and '.join(rights)} {'all models' if model == ALL else model}" for model, rights in key.rights.items()
    )
