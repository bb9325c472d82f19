"""What is observed: requests that have been dealt with, and the rows that were answered while a stream goes on.

It holds what the event loop has at hand; whoever looks at it, off the loop, asks for the rest.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from starlette.types import Scope

from contract.answers import Answers, Columns
from contract.promotions import CHAMPION

if TYPE_CHECKING:
    from serving.loading import Served
    from serving.replies import Reply
    from serving.requests import Row, Unlike
    from serving.tables.chunk import Chunk

GONE, STREAMING = 0, 1
"""In the place of a status: the caller was gone before the answer, or gets more of it."""
ALIAS = "lectern.alias"
"""Where a scope says which alias answers it, if another one than its path names."""
NO_LOG = b"x-no-log"
"""The header by which a caller has its rows counted, and nothing else."""
_NAMED = re.compile("/models/[^/@]+@([^/]+)/predict")
_NUMBERED = re.compile("/v[0-9]+/predict|/models/[^/]+/versions/.*")


class Part(NamedTuple):
    """Rows of a stream that were answered together. It can be asked what a reply can be asked."""

    chunk: Chunk
    answers: Answers
    request_id: str

    @property
    def rows(self) -> list[Row]:
        """The rows one by one."""
        return self.chunk.rows()

    @property
    def unlike(self) -> Unlike:
        """The rows' warnings by number."""
        return self.chunk.unlike

    @property
    def ids(self) -> list[str]:
        """The names of the predictions, one a row."""
        first = self.chunk.first
        return [f"{self.request_id}-{number}" for number in range(first, first + self.chunk.count)]


class Observed(NamedTuple):
    """A request that has been dealt with, or a part of a stream."""

    served: Served
    scope: Scope
    request_id: str
    status: int
    """Of the answer; GONE or STREAMING where there is none."""
    seconds: float
    """From the request's head until now."""
    ended: float
    """When that was, as `time.perf_counter` counts."""
    rows: int
    reply: Reply | Part | None
    """None where nothing was answered, or there was no room to keep it; and at the end of a stream.

    With the status GONE: what was to be answered to who had left."""

    @property
    def columns(self) -> Columns:
        """What was answered, by column: lists, or arrays of numpy."""
        assert self.reply is not None  # asked only where there is one
        return self.reply.chunk.columns if isinstance(self.reply, Part) else self.served.schema.columns(self.reply.rows)

    @property
    def alias(self) -> str:
        """The alias that answered; empty where the version was named."""
        return self.scope.get(ALIAS) or _alias(self.scope["path"])

    def header(self, name: bytes) -> str | None:
        """The first header of a name (in lower case) that the request has."""
        for known, value in self.scope["headers"]:
            if known == name:
                return str(value, "latin-1")
        return None

    @property
    def withheld(self) -> bool:
        """Whether its caller wants none of its rows kept, only counted."""
        return self.header(NO_LOG) not in (None, "", "0", "false")


class Observer(ABC):
    """Looks at what was answered, in the thread of the observation."""

    @abstractmethod
    def see(self, some: Sequence[Observed]) -> None:
        """Look at some of it, a hundred requests or a thousand rows at a time, in the order in which they ended."""

    def start(self) -> None:  # noqa: B027  # most need not
        """Begin, in the process that answers."""

    def stop(self) -> None:  # noqa: B027
        """Finish: nothing comes any more."""


@lru_cache(maxsize=1024)
def _alias(path: str) -> str:
    if found := _NAMED.fullmatch(path):
        return found[1]
    return "" if _NUMBERED.fullmatch(path) else CHAMPION
