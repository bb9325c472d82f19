"""Finding: where the service is that a notebook asks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contract.errors import SettingsRefused
from contract.settings import PREFIX, Settings
from serving import running
from serving.address import UNIX
from serving.settings import only_this_machine

URL = PREFIX + "URL"
USUAL = "http://127.0.0.1:8000"
"""Where `make serve` listens unless it is told otherwise."""


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Where a service answers; as text without a password that the address may hold."""

    url: str
    """What paths are appended to."""
    socket: str = ""
    """The unix socket that takes the requests instead of the url's host."""

    @property
    def local(self) -> bool:
        """Whether it is this machine, to which no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        return bool(self.socket) or only_this_machine(host) or host.endswith(".localhost")

    def __str__(self) -> str:
        if self.socket:
            return f"{UNIX}{self.socket}"
        return _without_user(self.url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def find(url: str | None = None) -> Place | None:
    """The place at `url`; else where LECTERN_URL says, else a service of the same store on this machine, else None.

    Raises:
        SettingsRefused: that is no address.
    """
    told = url or os.environ.get(URL)
    if told:
        return place_of(told)
    store = os.environ.get(Settings.variable("store"))
    services = running.find(Settings(store=Path(store) if store else None).open_store().root)
    return place_of(services[0].address) if services else None


def place_of(address: str) -> Place:
    """The place that an address names: `http://host:8000`, the same without `http://`, or `unix:/path/to.sock`.

    Raises:
        SettingsRefused: it names none.
    """
    address = address.strip()
    path = address.removeprefix(UNIX).removeprefix("//") if address.startswith(UNIX) else ""
    if path:
        return Place("http://localhost", str(Path(path).expanduser().absolute()))
    url = address if "://" in address or address == UNIX else f"http://{address}"
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return Place(url.rstrip("/"))
    except ValueError:  # say, a port that is no number
        pass
    raise SettingsRefused(
        f"'{_without_user(address)}' is no address of a service: write it as http://host:8000 or unix:/path/to.sock."
    )


def _without_user(url: str) -> str:
    begin, slashes, rest = url.partition("://")
    if not slashes:
        begin, rest = "", url
    return f"{begin}{slashes}{rest.rpartition('@')[2]}"
