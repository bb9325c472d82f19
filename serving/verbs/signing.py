"""The verb that looks after the keys that sign artifacts: signing new and signing list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from contract import keys
from contract.telling import told
from serving.verbs.base import app

group = typer.Typer(no_args_is_help=True, help="Make the keys that sign artifacts, and list them.")
app.add_typer(group, name="signing", epilog="Example: lectern signing new training")

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="Folder of the keys; ~/.config/lectern/keys when not set.", show_default=False),
]


@group.command(epilog="Example: lectern signing new training --folder keys")
def new(
    name: Annotated[str, typer.Argument(help="What the files are called.")] = "signing",
    folder: FolderOption = None,
) -> None:
    """Make a key that signs versions: a private file for who trains, a public one for every server."""
    with told():
        pair = keys.new(_folder(folder), name)
        print(f"Private key: {pair.private}  (keep it secret, and a copy in a safe place)")
        print(f"Public key:  {pair.public}")
        print(f"Key id:      {pair.id}")
        print("Where versions are made, set")
        print(f"  LECTERN_TRAIN_SIGNING_KEY={pair.private}")
        print("On a server, copy the public key there and set")
        print(f"  LECTERN_TRUSTED_KEYS={pair.public}")
        print("  LECTERN_REQUIRE_SIGNATURE=true")


@group.command("list", epilog="Example: lectern signing list --json")
def list_keys(
    folder: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the public keys of a folder, and which of them can sign here."""
    with told():
        place = _folder(folder)
        found = keys.read_trusted(place).values() if place.exists() else ()
        rows = [
            {"id": key.id, "kind": key.kind, "signs_here": keys.private_of(key).exists(), "file": str(key.path)}
            for key in found
        ]
        if as_json:
            print(json.dumps(rows))
        elif not rows:
            print(f"There is no key in {place}; `lectern signing new` makes one.")
        for row in rows if not as_json else ():
            print(f"{row['id']}  {row['kind']:<14}  {'signs ' if row['signs_here'] else 'checks'}  {row['file']}")


def _folder(given: Path | None) -> Path:
    return given or Path.home() / ".config" / "lectern" / "keys"
