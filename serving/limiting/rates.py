"""Rates: how often callers may ask, how many rows they may have answered, and how often an address may be wrong.

A request for predictions counts as one however many rows it has; rows are counted apart, for a quota, before the model
is asked. Whatever else is asked for counts for the address alone. What is refused counts for no limit, but a request
that turns out to have more rows than are left was one, of one row. A key that is refused counts for its address only,
so nobody can lock the owner of another key out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import IPv6Address
from math import ceil
from time import monotonic

from contract.errors import SettingsRefused
from serving.access.caller import Caller
from serving.limiting.rules import parse
from serving.limiting.shared import Shared, connected
from serving.limiting.windows import Ask, Kind, Limit, Refused, Windows
from serving.metrics import Sheet
from serving.problems import Problem
from serving.settings import ServeSettings

SETTINGS: dict[Kind, str] = {
    "caller": "limit_per_caller",
    "address": "limit_per_address",
    "rows": "quota_rows",
    "failed": "limit_failed_keys",
}
"""The setting that has the rules of each kind."""
_TOLD: dict[Kind, tuple[str, str, str, str]] = {
    "caller": ("caller_limit", "rate_limited", "caller", "requests"),
    "address": ("address_limit", "rate_limited", "address", "requests"),
    "rows": ("row_quota", "quota_exceeded", "caller", "rows"),
    "failed": ("failed_keys", "rate_limited", "address", "wrong keys"),
}
"""The reason that metrics have, the code of the problem, whose the limit is, and what it counts."""
_NETWORK_BITS = 64
_MOST_ASKS = 10_000
"""Callers of whom it is remembered what each of their requests counts for."""


class Rates:
    """All limits of a service; for one event loop."""

    def __init__(self, limits: Sequence[Limit], store: Shared | None, sheet: Sheet) -> None:
        self._limits = {kind: [limit for limit in limits if limit.kind == kind] for kind in SETTINGS}
        self._shared = store
        self._own = Windows()
        self._asks_of = lru_cache(maxsize=_MOST_ASKS)(self._asks)
        self._refused = sheet.refused

    @classmethod
    def of(cls, settings: ServeSettings, sheet: Sheet | None = None, *, keyed: bool = False) -> Rates | None:
        """The limits that are set; None where there are none.

        Args:
            settings: what is set.
            sheet: where it is counted what was refused.
            keyed: whether callers need a key, so that they may be wrong, too.
        """
        sheet = Sheet() if sheet is None else sheet
        limits = limits_of(settings, keyed=keyed)
        url = settings.limits_store

        def apart(number: int) -> None:
            sheet.counted_apart += number

        return cls(limits, Shared(url, apart) if url else None, sheet) if limits else None

    @property
    def of_requests(self) -> bool:
        """Whether there are any but those of keys that are refused."""
        return any(limits for kind, limits in self._limits.items() if kind != "failed")

    async def enter(self, caller: Caller, model: str, *, rows: int = 1) -> None:  # noqa: ARG002  # limits are for all models
        """Count a request, and the first row that it brings; 0 where it asks for no prediction.

        Raises:
            Problem: 429, it is one too many.
        """
        await self._take(self._asks_of(caller.name, caller.address, caller.personal, rows))

    def admits(self, caller: Caller) -> bool:
        """Count a request for a row, if nobody has to be asked and it is not one too many; else nothing is counted."""
        if self._shared is not None:
            return False
        return self._own.take(self._asks_of(caller.name, caller.address, caller.personal, 1), monotonic()) is None

    def _asks(self, name: str, address: str, personal: bool, rows: int) -> list[Ask]:
        who = _who(name, address, personal=personal)
        asks = [Ask(limit, network(address), 1) for limit in self._limits["address"]]
        if rows:
            asks += [Ask(limit, who, 1) for limit in self._limits["caller"]]
            asks += [Ask(limit, who, rows) for limit in self._limits["rows"]]
        return asks

    async def charge(self, caller: Caller, rows: int) -> None:
        """Count the rows that a request has beside its first one, before they are answered.

        Raises:
            Problem: 429, they are too many.
        """
        who = _who(caller.name, caller.address, personal=caller.personal)
        await self._take([Ask(limit, who, rows) for limit in self._limits["rows"]])

    async def failed(self, address: str) -> None:
        """Count a key that was refused.

        Raises:
            Problem: 429, the address has tried too many.
        """
        who = network(address)
        await self._take([Ask(limit, who, 1) for kind in ("failed", "address") for limit in self._limits[kind]])

    async def close(self) -> None:
        """Let go of the connection to Redis."""
        if self._shared is not None:
            await self._shared.close()

    @property
    def trouble(self) -> str:
        """What an operator should know, in a sentence; empty where there is nothing."""
        return self._shared.trouble if self._shared else ""

    async def _take(self, asks: Sequence[Ask]) -> None:
        if not asks:
            return
        refused = self._own.take(asks, monotonic()) if self._shared is None else await self._shared.take(asks)
        if refused is not None:
            self._refused[_TOLD[refused.limit.kind][0]] += 1
            cost = max(ask.cost for ask in asks if ask.limit is refused.limit)
            raise refusal(refused, cost)


def limits_of(settings: ServeSettings, *, keyed: bool) -> list[Limit]:
    """The limits that are set; those of keys that are refused only where callers need one."""
    texts = {kind: getattr(settings, name) for kind, name in SETTINGS.items() if keyed or kind != "failed"}
    return [Limit(kind, rule) for kind, text in texts.items() if text for rule in parse(text)]


def check(settings: ServeSettings) -> None:
    """Look whether what is limited can be counted.

    Raises:
        SettingsRefused: it cannot: by several workers, or as what asks Redis is not installed.
    """
    set_ = [settings.variable(SETTINGS[limit.kind]) for limit in limits_of(settings, keyed=False)]
    store = settings.variable("limits_store")
    if set_ and settings.workers > 1 and settings.limits_store is None:
        raise SettingsRefused(
            f"{set_[0]} is set, and {settings.workers} workers would each count by themselves: "
            f"set {store}=redis://…, in which they count together, or LECTERN_WORKERS=1."
        )
    if settings.limits_store is not None and find_spec("redis") is None:
        raise SettingsRefused(
            f"{store} is set, and what asks Redis is not installed: `pip install 'lectern[redis]'` brings it."
        )
    if settings.limits_store is not None:
        try:
            connected(settings.limits_store)
        except ValueError:
            raise SettingsRefused(f"{store} is no address of Redis; give one such as redis://host:6379/0.") from None


def network(address: str) -> str:
    """Whom an address stands for: of version 6 the network, as everybody has billions of addresses in one."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> (128 - _NETWORK_BITS) << (128 - _NETWORK_BITS)))


def _who(name: str, address: str, *, personal: bool) -> str:
    """Whose requests and rows are counted together: those of a key, of the subject of a token, or of an address."""
    if not name:
        return network(address)
    return f"subject {name}" if personal else f"key {name}"


def refusal(refused: Refused, cost: int) -> Problem:
    """What is said to who asked for so much."""
    kind, rule = refused.limit.kind, refused.limit.rule
    _, code, whose, what = _TOLD[kind]
    wait = max(1, ceil(refused.wait_s))
    told = f"The limit of this {whose} is {rule.amount:,} {what} per {rule.period}"
    if cost > 1:
        told += f"; {refused.left:,} are left, and the request has {cost:,} more: send fewer rows, or ask again"
    else:
        told += ", and it is used up: ask again"
    headers = {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"{kind}";q={rule.amount};w={rule.period_s}',
        "RateLimit": f'"{kind}";r={refused.left};t={wait}',
    }
    return Problem(429, code, f"{told} in {_duration(wait)}.", headers=headers)


def _duration(seconds: int) -> str:
    """A time in words, rounded up."""
    for unit, length in (("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{ceil(seconds / length)} {unit}"
    return f"{seconds} s"
