"""Admission: how much is taken in at once. What is beyond it is refused at once, so that the rest is answered in time.

All of it is counted on the event loop, before a body is read where its head tells enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Self

from serving.problems import Problem

Headers = Iterable[tuple[bytes, bytes]]

RETRY_AFTER_S = 1
"""When whoever was refused should come again: queues are short, and what stands in them is soon answered."""

PASSED_OVER_BYTES = 1 << 20
"""Of a body after the answer to its head: so many are read and forgotten, and the connection goes on."""
KEPT_S = 1.0
"""How long a place is kept for a body that is still coming: who sends slowly shall not take it from others."""
OVERLOADED = "overloaded"


class Places:
    """Places for requests: for those that are worked on and those that wait, together."""

    def __init__(self, number: int, what: str = "requests to this version") -> None:
        self.number = number
        self.what = what
        self.taken = 0
        self.kept: dict[Place, None] = {}
        """Those whose bodies are still coming, in the order in which they were taken."""

    @property
    def full(self) -> bool:
        """Whether there is none left; if there were none, those are first taken back that were kept too long."""
        if self.taken < self.number:
            return False
        until = time.monotonic() - KEPT_S
        while self.kept and (oldest := next(iter(self.kept))).since <= until:
            oldest.give_back()
        return self.taken >= self.number

    @property
    def refusal(self) -> Problem:
        """What whoever would need one is told."""
        return overloaded(f"All places for {self.what} ({self.number:,}) are taken")

    @cached_property
    def refused(self) -> tuple[bytes, bytes]:
        """The document that they are told, before and after the name of the request."""
        before, after = self.refusal.body("\0").split(b"\\u0000")
        return before, after

    def __enter__(self) -> None:
        """Take one, or raise a Problem as there is none."""
        if self.full:
            raise self.refusal
        self.taken += 1

    def __exit__(self, *exception: object) -> None:
        self.taken -= 1


class Place:
    """One of the places, for one request: kept from its head on if need be, and taken once its body is there."""

    __slots__ = ("_places", "held", "since")

    def __init__(self, places: Places) -> None:
        self._places = places
        self.held = False
        self.since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()

    def keep(self) -> None:
        """Keep it while the body comes, or raise a Problem as there is none."""
        self.take()
        self.since = time.monotonic()
        self._places.kept[self] = None

    def take(self) -> None:
        """Take it until the request leaves, or raise a Problem as there is none, not even this one any more."""
        if self.held:
            self._places.kept.pop(self, None)
        else:
            self._places.__enter__()
            self.held = True

    def give_back(self) -> None:
        """Leave it to others, if it is still held."""
        if self.held:
            self.held = False
            self._places.kept.pop(self, None)
            self._places.__exit__()


class Room:
    """Room for bodies that come in parts: so many bytes of them are held in memory, of all requests together."""

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self.taken = 0

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Make room for one body, which is told part by part how much more it needs; until its request has left.

        What it is told with raises a Problem where others have taken all there is; a body that is alone gets its room.
        """
        held = 0

        def more(size: int) -> None:
            nonlocal held
            if self.taken > held and self.taken + size > self.most:
                problem = overloaded("The bodies of other requests take all the memory there is for them")
                problem.headers["connection"] = "close"  # what is left of it is not read
                raise problem
            held += size
            self.taken += size

        try:
            yield more
        finally:
            self.taken -= held


def turned_away(problem: Problem, headers: Headers) -> Problem:
    """The problem of a request whose body has not been read.

    A short body is passed over by the transport, so that the connection can go on. With a long one it ends, and with
    one that is sent only if it is asked for, as nobody knows whether it comes.
    """
    length = announced(headers)
    if length is None or length > PASSED_OVER_BYTES or any(name == b"expect" for name, _ in headers):
        problem.headers["connection"] = "close"
    return problem


def announced(headers: Headers) -> int | None:
    """How many bytes a body has, as far as the head tells."""
    length = next((value for name, value in headers if name == b"content-length"), b"")
    return int(length) if length.isdigit() else None


def overloaded(why: str) -> Problem:
    """The problem of whoever comes when there is too much to do already."""
    told = f"{why}; ask again in {RETRY_AFTER_S} s."
    return Problem(503, OVERLOADED, told, headers={"retry-after": str(RETRY_AFTER_S)})
