"""Hosts: the names under which the service answers, so that no page of another site reaches it by a name of its own.

A browser lets a page talk to whatever its name points to, and who owns the name may point it at this machine.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from serving.problems import Problem
from serving.settings import ServeSettings
from serving.transport.settings import ANY, listed

LOCAL = ("localhost", "*.localhost")
"""What every machine calls itself."""
MOST_KNOWN = 1_000
_HOST = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*))(?::[0-9]{0,5})?")


class Hosts:
    """Says of the header `Host` what is wrong with it. What was right is known by a look into a set."""

    def __init__(self, names: tuple[str, ...] | None) -> None:
        """Take names, `*.name` for all below one, and addresses; None takes any name.

        An address is no name that somebody could own, and probes ask by it.
        """
        self.known: set[bytes] = set()
        """Headers that were right, as they came."""
        self._any = names is None
        ours = (*LOCAL, *(names or ()))
        self._names = {name for name in ours if not name.startswith("*.")}
        self._below = tuple(name[1:] for name in ours if name.startswith("*."))

    @classmethod
    def of(cls, settings: ServeSettings) -> Hosts:
        """Those of the settings. Whoever reaches a unix socket, or an address beyond this machine, may use any name."""
        if settings.hosts is not None:
            names = listed(settings.hosts.lower())
            return cls(None if ANY in names else tuple(names))
        return cls(() if settings.local and settings.socket is None else None)

    def objection(self, host: bytes) -> Problem | None:
        """What is wrong with a header, which is known from now on if nothing is."""
        if not (found := _HOST.fullmatch(host)):
            return Problem(400, "bad_request", "The header `Host` holds no name or address.")
        if not (self._any or self._is_ours(found[1].decode().strip("[]").lower().rstrip("."))):
            told = "The service does not answer under this name; LECTERN_HOSTS lists those under which it does."
            return Problem(421, "host_unknown", told)
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        self.known.add(host)
        return None

    def _is_ours(self, name: str) -> bool:
        return name in self._names or name.endswith(self._below) or is_address(name)


def is_address(text: str) -> bool:
    """Whether it is an address, not a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
