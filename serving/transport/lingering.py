"""Lingering: a connection whose caller may still be sending is not closed at once, so that the answer reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.transport.protocol import Strict


class Lingering:
    """What uvicorn asks of a transport where it answers, for one that is to linger."""

    def __init__(self, protocol: Strict) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send."""
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """Send nothing more."""
        self._protocol.linger()
