"""Shared: the same counts in Redis, for several workers and machines.

What is asked for while Redis is being asked is asked for together next: one call at a time, however many wait. Where
Redis cannot be asked each worker counts by itself, at once, and tries again every second: limits are then as many times
as wide as there are workers, but nobody waits, and nothing is open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any

from serving.limiting.windows import PARTS, Ask, Refused, Windows

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("lectern.limiting")

WITHIN_S = 0.25
"""Longest time for Redis to answer."""
AGAIN_S = 1.0
"""How long it is left alone when it did not."""
_TOGETHER = 200
"""Requests that are asked for in one call: some milliseconds of Redis."""

_TAKE = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local said, key, argument = {{}}, 0, 1
while argument <= #ARGV do
  local asks, refused = tonumber(ARGV[argument]), nil
  for ask = 1, asks do
    local amount, period = tonumber(ARGV[argument + 3 * ask - 2]), tonumber(ARGV[argument + 3 * ask - 1])
    local cost, part, total = tonumber(ARGV[argument + 3 * ask]), math.floor(now * {PARTS} / period), 0
    local found, counts = redis.call('HGETALL', KEYS[key + ask]), {{}}
    for place = 1, #found, 2 do
      local then_, count = tonumber(found[place]), tonumber(found[place + 1])
      if then_ < part - {PARTS} or then_ > part then  -- over; or of a clock that was set back
        redis.call('HDEL', KEYS[key + ask], found[place])
      else
        counts[#counts + 1] = {{then_, count}}
        total = total + count
      end
    end
    if total + cost > amount then
      local left, wait = amount - total, 0
      table.sort(counts, function(one, other) return one[1] < other[1] end)
      for _, had in ipairs(counts) do
        total = total - had[2]
        wait = (had[1] + {PARTS + 1}) * period / {PARTS} - now
        if total + math.min(cost, amount) <= amount then break end
      end
      refused = {{ask, left, math.ceil(wait * 1000)}}
      break
    end
  end
  if not refused then
    for ask = 1, asks do
      local period, cost = tonumber(ARGV[argument + 3 * ask - 1]), ARGV[argument + 3 * ask]
      redis.call('HINCRBY', KEYS[key + ask], string.format('%.0f', math.floor(now * {PARTS} / period)), cost)
      redis.call('PEXPIRE', KEYS[key + ask], string.format('%.0f', (1 + 2 / {PARTS}) * period * 1000))
    end
  end
  said[#said + 1] = refused or 0
  key, argument = key + asks, argument + 3 * asks + 1
end
return said
"""
"""Takes all asks of each request, or none: `Windows.take` in the words of Redis, by its clock."""


class Shared:
    """The counts in one Redis; for one event loop."""

    def __init__(self, url: str, apart: Callable[[int], None]) -> None:
        """Prepare to ask.

        Args:
            url: where Redis is.
            apart: told how many requests were counted without it.
        """
        self._url = url
        self._told = apart
        self._own = Windows()
        self._redis: Redis | None = None
        self._script: Any = None
        self._waiting: list[tuple[Sequence[Ask], asyncio.Future[Refused | None]]] = []
        self._working: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why Redis is not asked."""

    async def take(self, asks: Sequence[Ask]) -> Refused | None:
        """Take all that is asked for, or nothing of it where anything is not there."""
        if self.trouble:
            return self._alone(asks)
        future: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((asks, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Let go of the connection."""
        if self._working is not None:
            self._working.cancel()
        if self._redis is not None:
            await self._redis.aclose()

    async def _work(self) -> None:
        """Ask for what waits until nothing does; where Redis does not answer, until it does again."""
        try:
            while self._waiting or self.trouble:
                some, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                try:
                    if self._redis is None:
                        self._redis = await asyncio.to_thread(connected, self._url)
                        self._script = self._redis.register_script(_TAKE)
                    async with asyncio.timeout(WITHIN_S):  # wait_for of Python 3.11 may swallow a cancellation
                        found = await self._asked([asks for asks, _ in some])
                except Exception as error:  # noqa: BLE001  # whatever it is, nobody is to wait for it
                    self._fail(error)
                    found = [self._alone(asks) for asks, _ in some]
                else:
                    self._recover()
                for (_, future), refused in zip(some, found, strict=True):
                    if not future.done():  # who hung up does not wait
                        future.set_result(refused)
                if self.trouble:
                    await self._leave_alone()
        finally:
            self._working = None

    async def _leave_alone(self) -> None:
        """Answer all that wait, and wait for Redis."""
        for asks, future in self._waiting:
            if not future.done():
                future.set_result(self._alone(asks))
        self._waiting = []
        await asyncio.sleep(AGAIN_S)

    async def _asked(self, several: list[Sequence[Ask]]) -> list[Refused | None]:
        keys: list[str] = []
        arguments: list[int] = []
        for asks in several:
            arguments.append(len(asks))
            for limit, who, cost in asks:
                amount, period_s, _ = limit.rule
                keys.append(f"lectern:{limit.kind}:{amount}/{period_s}:{_digest(who)}")
                arguments += (amount, period_s, cost)
        said = await self._script(keys, arguments)
        return [
            Refused(asks[one[0] - 1].limit, one[1], one[2] / 1000) if one else None
            for asks, one in zip(several, said, strict=True)
        ]

    def _alone(self, asks: Sequence[Ask]) -> Refused | None:
        self._told(1)
        return self._own.take(asks, monotonic())

    def _fail(self, error: Exception) -> None:
        if not self.trouble:
            reason = str(error).partition("\n")[0].rstrip(".") or "it does not answer"
            log.warning("Limits are counted by each worker alone, as Redis cannot be asked: %s.", reason)
        self.trouble = "Limits are counted by each worker alone, as Redis cannot be asked; the log says why."

    def _recover(self) -> None:
        if self.trouble:
            log.warning("Redis answers again; limits are counted together.")
        self.trouble = ""


def _digest(who: str) -> str:
    """A name for somebody that is short, and tells nobody who reads it."""
    return blake2b(who.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def connected(url: str) -> Redis:
    """A client, which begins to connect when it is first asked. The imports take long.

    Raises:
        ValueError: the address is none.
    """
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(  # no tries of its own: whoever asks is not to wait
        url, socket_timeout=WITHIN_S, socket_connect_timeout=WITHIN_S, retry=Retry(NoBackoff(), 0), max_connections=2
    )
