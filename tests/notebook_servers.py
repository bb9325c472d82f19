"""A Jupyter server as a hub starts one: under a path, with a token, and nothing of this machine's own settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.live import until

HOME = "/user/ann/"
TOKEN = "t"


@dataclass
class Jupyter:
    """A Jupyter server that runs."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    url: str


@contextmanager
def jupyter_server(folder: Path, module: str = "jupyter_server", *options: str) -> Iterator[Jupyter]:
    """Start one in a folder, in which the service looks for its store."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LECTERN_", "JUPYTER"))}
    own |= {f"JUPYTER_{name}": str(folder / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    own |= {"JUPYTER_TOKEN": TOKEN, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    given = ["--no-browser", f"--ServerApp.base_url={HOME}", "--ServerApp.port=0", *options]
    command = [sys.executable, "-m", module, *given, *(["--allow-root"] if os.getuid() == 0 else [])]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        url = until(lambda: _address(folder / "RUNTIME_DIR"))
        headers = {"authorization": f"token {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=120) as client:
            yield Jupyter(process, client, url)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(folder: Path) -> str:
    """Where a Jupyter server says that it answers, once it does."""
    written = [path.read_text() for path in folder.glob("jpserver-*.json")]
    return str(json.loads(written[0])["url"]) if any(written) else ""
