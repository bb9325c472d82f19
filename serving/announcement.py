"""The announcement: what the terminal says once the service answers, with a request that works as it stands."""

from __future__ import annotations

import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.settings import ServeSettings

_EVERY_S = 0.1
_LONGEST_ROW = 2_000
"""What a terminal still shows; a shell takes 128 KiB at the most."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy that the environment names: this asks the machine it runs on."""


def announce(host: str, port: int, settings: ServeSettings, stopped: Callable[[float], bool]) -> None:
    """Wait until the service has read its store, then print where it is and how to ask it.

    `stopped` waits for so many seconds, or until the service stops, and says whether it has.
    """
    address = f"http://{_reachable(host)}:{port}"
    while not stopped(_EVERY_S):
        health, models = _get(f"{address}/health"), _get(f"{address}/models")
        if not health or models is None or "loading" in (health["status"], *(model["state"] for model in models)):
            continue
        example = _example(address, health, settings.default_model)
        print(text(address, settings.open_store().root, health, models, example), flush=True)
        return


def text(
    address: str, store: Path, health: dict[str, Any], models: list[dict[str, Any]], example: dict[str, Any] | None
) -> str:
    """What is printed."""
    lines = [f"Lectern answers at {address}  (try it in the browser: {address}/docs)", f"from the store {store}", ""]
    for model in models:
        if model["champion"] is None:
            lines.append(f"  {model['model']:<16} not served: {model['failed'][-1]['reason']}")
        else:
            metric = next((f"  {name} {value:.3f}" for name, value in model["metrics"].items()), "")
            lines.append(f"  {model['model']:<16} version {model['champion']}{metric}")
    if example is None:
        return "\n".join([*lines, f"  {health['detail']}", "", "Ctrl-C stops it."])
    return "\n".join([*lines, "", *_requests(address, example), "", "Ctrl-C stops it."])


def _requests(address: str, example: dict[str, Any]) -> list[str]:
    """How to send the example row; one that is too long to be shown is asked for first."""
    url, signature = f"{address}{example['path']}", f"{address}{example['signature']}"
    post = f"curl -X POST {shlex.quote(url)} -H 'Content-Type: application/json'"
    row = _printable(json.dumps(example["row"], ensure_ascii=False))
    if len(row) <= _LONGEST_ROW:
        shell = [f"  {post} \\", f"       -d {shlex.quote(row)}"]
        python = [f"  httpx.post({url!r}, json={example['row']!r}).json()"]
    else:
        pick = '{f["name"]: f["example"] for f in %s["inputs"]}'
        code = f"import json, sys; print(json.dumps({pick % 'json.load(sys.stdin)'}))"
        shell = [
            f"  curl -s {shlex.quote(signature)} \\",
            f"  | python3 -c {shlex.quote(code)} \\",
            f"  | {post} -d @-",
        ]
        python = [
            f"  row = {pick % f'httpx.get({signature!r}).json()'}",
            f"  httpx.post({url!r}, json=row).json()",
        ]
    return ["From a shell:", *shell, "From Python:", "  import httpx", *python]


def _printable(document: str) -> str:
    """JSON without what a terminal would obey or not show."""
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in document)


def _example(address: str, health: dict[str, Any], wanted: str | None) -> dict[str, Any] | None:
    answering = sorted(name for name, version in health["models"].items() if version is not None)
    name = wanted if wanted in answering else next(iter(answering), None)
    signature = name and _get(f"{address}/models/{name}/signature")
    if not signature:
        return None
    return {
        "path": f"/models/{name}/predict",
        "signature": f"/models/{name}/signature",
        "row": {f["name"]: f["example"] for f in signature["inputs"]},
    }


def _get(url: str) -> Any:
    try:
        with _DIRECT.open(url, timeout=5) as response:
            return json.load(response)
    except (OSError, urllib.error.URLError, ValueError):
        return None


def _reachable(host: str) -> str:
    """An address of this machine for one that stands for all of its addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
