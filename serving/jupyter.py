"""The tile in JupyterLab's launcher: how jupyter-server-proxy begins the service of the store, behind Jupyter's login.

the tile is opened → this module as a process → the pages, or the reason why there are none, in a tab of JupyterLab
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

TITLE = "Lectern: your models"
ICON = Path(__file__).parent / "pages" / "static" / "icon.svg"
READY_WITHIN_S = 60.0
_PR_SET_PDEATHSIG = 1


def setup() -> dict[str, Any]:
    """What jupyter-server-proxy is told, by its entry point.

    It listens on a socket, which only this user can reach; a port is reached by everyone on the machine. The store is
    that of JupyterLab's environment, or the nearest to the folder in which JupyterLab was started.
    """
    return {
        "command": [sys.executable, "-P", "-m", "serving.jupyter", "{unix_socket}"],
        "unix_socket": True,
        "timeout": READY_WITHIN_S,
        "absolute_url": False,
        "new_browser_tab": False,
        "launcher_entry": {"enabled": True, "title": TITLE, "category": "Notebook", "icon_path": str(ICON)},
    }


def main(socket: Path) -> None:
    """Serve on the socket; where that is refused, answer with the reason.

    A process that ends is begun again at once, time after time, and the tab would be empty for a minute.
    """
    _belong_to_parent()
    from contract.errors import LecternError
    from serving.server import run
    from serving.settings import ServeSettings

    try:
        run(ServeSettings.read(os.environ, socket=socket))
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr, flush=True)
        _say(f"Lectern cannot be started: {error}\n\nMend it, and start JupyterLab again.\n", socket)


def _belong_to_parent() -> None:
    """End when JupyterLab does, however it does: it passes signals on, and forgets this process when it just ends.

    A Ctrl-C must not come from the terminal besides, because the second one stops everything in its tracks.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        os.setpgid(0, 0)


def _say(reason: str, socket: Path) -> None:
    import uvicorn
    from starlette.responses import PlainTextResponse

    answer = PlainTextResponse(reason, status_code=503, headers={"x-content-type-options": "nosniff"})
    uvicorn.run(answer, uds=str(socket), lifespan="off", log_level="warning", access_log=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
