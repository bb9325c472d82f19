"""Load: wrk sends the bodies of a file in turn over connections that it keeps."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.serving import cores
from benchmarks.serving.shapes import Request

SCRIPT = Path(__file__).with_name("cycle.lua")
_MARK = "measured: "
PATIENCE_S = 60
Sample = dict[str, float]


class LoadFailed(Exception):
    """wrk did not run, or said nothing that can be read."""


def check() -> None:
    """See whether there is a wrk.

    Raises:
        LoadFailed: there is none.
    """
    if shutil.which("wrk") is None:
        raise LoadFailed("The benchmarks need wrk, which is not on the PATH: install it, e.g. `apt install wrk`.")


def version() -> str:
    """What wrk calls itself."""
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split()[:2])


def run(port: int, requests: list[Request], folder: Path, *, connections: int, seconds: int) -> Sample:
    """Send the requests in turn for some whole seconds.

    Returns:
        rps, p50_ms, p99_ms, and errors: answers that are no success, and connections that broke.
    """
    ((path, key),) = {(request.path, request.key) for request in requests}
    bodies = folder / "bodies"
    bodies.write_text("".join(f"{request.body}\n" for request in requests))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{PATIENCE_S}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", path, str(bodies), key]
    done = subprocess.run(cores.for_load(command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def parse(printed: str) -> Sample:
    """Read what wrk and the script print.

    Raises:
        LoadFailed: the line of figures is missing.
    """
    line = next((line for line in printed.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise LoadFailed(f"wrk printed no line that begins with '{_MARK}': {printed.strip()[:300]!r}")
    found = json.loads(line.removeprefix(_MARK))
    return {
        "rps": (found["requests"] - found["refused"]) / found["seconds"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "errors": found["refused"] + found["broken"],
    }
