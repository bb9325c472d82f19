"""The announcement: what the terminal says once the service answers, with a request that works as it stands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.address import UNIX, ask
from serving.lines import say
from serving.settings import ServeSettings

_EVERY_S = 0.1
_LONGEST_ROW = 2_000
"""What a terminal still shows; a shell takes 128 KiB at the most."""


def announce(address: str, settings: ServeSettings, stopped: Callable[[float], bool]) -> None:
    """Wait until the service has read its store, then print where it is and how to ask it.

    `stopped` waits for so many seconds, or until the service stops, and says whether it has.
    """
    if settings.locked:
        _announce_locked(address, settings, stopped)
        return
    while not stopped(_EVERY_S):
        health, models = ask(address, "/health"), ask(address, "/models")
        if not health or models is None or "loading" in (health["status"], *(model["state"] for model in models)):
            continue
        example = _example(address, health, settings.default_model)
        say(text(address, settings.open_store().root, health, models, example))
        return


def _announce_locked(address: str, settings: ServeSettings, stopped: Callable[[float], bool]) -> None:
    """The same of a service that tells nobody without a key what it has."""
    while not stopped(_EVERY_S):
        found = ask(address, "/health/ready", statuses=(200, 503))
        if found and found["status"] != "loading":
            say(locked_text(address, settings.open_store().root, found["status"]))
            return


def locked_text(address: str, store: Path, status: str) -> str:
    """What is printed of such a service."""
    curl = "curl"
    if address.startswith(UNIX):
        curl, address = f"curl --unix-socket {shlex.quote(address.removeprefix(UNIX))}", "http://localhost"
    browser = "In a browser any name and, as the password, the key will do." if curl == "curl" else ""
    return "\n".join(
        [
            f"Lectern answers at {address}",
            f"from the store {store}",
            "",
            f"  It is {status}, and answers callers with a key: `lectern keys list` has them.",
            f'  {curl} {address}/models -H "Authorization: Bearer $LECTERN_API_KEY"',
            *([f"  {browser}"] if browser else []),
            "",
            "Ctrl-C stops it.",
        ]
    )


def text(
    address: str, store: Path, health: dict[str, Any], models: list[dict[str, Any]], example: dict[str, Any] | None
) -> str:
    """What is printed."""
    browser = "" if address.startswith(UNIX) else "  (try it in the browser)"
    lines = [f"Lectern answers at {address}{browser}", f"from the store {store}", ""]
    for model in models:
        if model["champion"] is None:
            why = model["failed"][-1]["reason"] if model["failed"] else "no version of it was promoted"
            lines.append(f"  {model['model']:<16} not served: {why}")
        else:
            metric = next((f"  {name} {value:.3f}" for name, value in model["metrics"].items()), "")
            lines.append(f"  {model['model']:<16} version {model['champion']}{metric}")
    if example is None:
        return "\n".join([*lines, f"  {health['detail']}", "", "Ctrl-C stops it."])
    return "\n".join([*lines, "", *_requests(address, example), "", "Ctrl-C stops it."])


def _requests(address: str, example: dict[str, Any]) -> list[str]:
    """How to send the example row; one that is too long to be shown is asked for first."""
    curl, httpx = "curl", "httpx"
    if address.startswith(UNIX):
        path, address = address.removeprefix(UNIX), "http://localhost"
        curl = f"curl --unix-socket {shlex.quote(path)}"
        httpx = f"httpx.Client(transport=httpx.HTTPTransport(uds={path!r}))"
    url, signature = f"{address}{example['path']}", f"{address}{example['signature']}"
    post = f"{curl} -X POST {shlex.quote(url)} -H 'Content-Type: application/json'"
    row = _printable(json.dumps(example["row"], ensure_ascii=False))
    if len(row) <= _LONGEST_ROW:
        shell = [f"  {post} \\", f"       -d {shlex.quote(row)}"]
        python = [f"  {httpx}.post({url!r}, json={example['row']!r}).json()"]
    else:
        pick = '{f["name"]: f["example"] for f in %s["inputs"]}'
        code = f"import json, sys; print(json.dumps({pick % 'json.load(sys.stdin)'}))"
        shell = [
            f"  {curl} -s {shlex.quote(signature)} \\",
            f"  | python3 -c {shlex.quote(code)} \\",
            f"  | {post} -d @-",
        ]
        python = [
            f"  row = {pick % f'{httpx}.get({signature!r}).json()'}",
            f"  {httpx}.post({url!r}, json=row).json()",
        ]
    return ["From a shell:", *shell, "From Python:", "  import httpx", *python]


def _printable(document: str) -> str:
    """JSON without what a terminal would obey or not show."""
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in document)


def _example(address: str, health: dict[str, Any], wanted: str | None) -> dict[str, Any] | None:
    answering = sorted(name for name, version in health["models"].items() if version is not None)
    name = wanted if wanted in answering else next(iter(answering), None)
    signature = name and ask(address, f"/models/{name}/signature")
    if not signature:
        return None
    return {
        "path": f"/models/{name}/predict",
        "signature": f"/models/{name}/signature",
        "row": {f["name"]: f["example"] for f in signature["inputs"]},
    }
