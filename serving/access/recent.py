"""Recent: whom a header stood for when it was looked at last, so that who asks again is known at once.

A key takes a hash and a comparison, a token a signature. Only headers that opened the door are kept, as they came:
finding one again says nothing about any other, as nothing but the whole of it is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.access.caller import Caller
from serving.access.followed import Followed

MOST = 10_000
"""Headers that are kept; then the one that came first goes."""


@dataclass(slots=True)
class _Known:
    caller: Caller
    until: float
    file: Followed[Any]
    held: Any
    """What the file held then; when it holds something else, it has to be looked at anew."""


class Recent:
    """Callers by the header that they showed. One thread asks it: that of the event loop."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[bytes, _Known] = {}

    def find(self, header: bytes, address: str, now: float) -> Caller | None:
        """Who showed this header before; None where that is not known, or does not count any more."""
        known = self._known.get(header)
        if known is None:
            return None
        if now >= known.until or known.file.value is not known.held:
            del self._known[header]
            return None
        if known.caller.address != address:
            known.caller = known.caller._replace(address=address)
        return known.caller

    def keep(self, header: bytes, caller: Caller, until: float, file: Followed[Any], held: Any) -> None:
        """Remember whom a header stands for until some time, and as long as a file holds what it held."""
        self._known[header] = _Known(caller, until, file, held)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
