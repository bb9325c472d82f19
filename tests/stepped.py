"""A service whose clock and time zone a file sets (`python -m tests.stepped`); what is monotonic stays so."""

from __future__ import annotations

import os
import time
from pathlib import Path

CLOCK = "TEST_CLOCK"
"""The variable that names the file: by how many seconds the clock is wrong, and the zone."""


def main() -> None:
    """Serve, by that clock."""
    clock, true = Path(os.environ[CLOCK]), time.time_ns

    def stepped() -> int:
        seconds, zone = clock.read_text().split()
        if os.environ.get("TZ") != zone:
            os.environ["TZ"] = zone
            time.tzset()
        return true() + int(seconds) * 10**9

    time.time_ns = stepped
    time.time = lambda: stepped() / 1e9
    from serving.verbs import app

    app(prog_name="python -m tests.stepped")


if __name__ == "__main__":
    main()
