"""Addresses of services on this machine, `http://127.0.0.1:8000` or `unix:/run/lectern.sock`, and how one is asked."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Collection
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

UNIX = "unix:"
_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What stands for every address of the machine, and one of them that can be asked."""


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Where a socket that listens is reached from this machine."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"{UNIX}{name}"
    host, port = name[:2]
    host = _ALL_ADDRESSES.get(host, host)
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def ask(address: str, path: str, timeout_s: float = 5.0, statuses: Collection[int] = (200,)) -> Any:
    """The JSON document at a path, or None where there is none with one of the statuses, or nobody answers.

    It goes past any proxy that the environment names.
    """
    connection = _connection(address, timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.load(response) if response.status in statuses else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _connection(address: str, timeout_s: float) -> HTTPConnection:
    if address.startswith(UNIX):
        return _UnixConnection(address.removeprefix(UNIX), timeout_s)
    parts = urlsplit(address)
    if parts.scheme == "https":
        # its certificate is for the names that others know it by; what is asked here is no secret
        return HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout_s, context=ssl._create_unverified_context()
        )
    return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


class _UnixConnection(HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Reach the socket instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
