"""Charging: the rows of a request are counted for the quota of who asks, once it is known how many there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import Scope

from serving.access.caller import caller_of

if TYPE_CHECKING:
    from serving.limiting.rates import Rates

RATES = "lectern.rates"
"""Where the scope of a request has the limits that it counts for; nowhere, if there are none."""


async def charge(scope: Scope, rows: int) -> None:
    """Count rows before they are answered; the first one was counted when the request came.

    Raises:
        Problem: 429, they are too many.
    """
    rates: Rates | None = scope.get(RATES)
    caller = caller_of(scope)
    if rates is not None and caller is not None and rows:
        await rates.charge(caller, rows)


def charge_blocking(scope: Scope, loop: asyncio.AbstractEventLoop, rows: int) -> None:
    """The same for a thread that may wait for the event loop.

    Raises:
        Problem: 429, they are too many.
    """
    if RATES in scope and rows:
        asyncio.run_coroutine_threadsafe(charge(scope, rows), loop).result()
