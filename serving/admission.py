"""Admission: how much is taken in at once. What is beyond it is refused at once, so that the rest is answered in time.

All of it is counted on the event loop, before a body is read where possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope

from serving.problems import Problem

RETRY_AFTER_S = 1
"""When whoever was refused should come again: queues are short, and what stands in them is soon answered."""

PASSED_OVER_BYTES = 1 << 20
OVERLOADED = "overloaded"


class Places:
    """Places for requests: for those that are worked on and those that wait, together."""

    def __init__(self, number: int, what: str = "requests to this version") -> None:
        self.number = number
        self.what = what
        self.taken = 0

    @property
    def full(self) -> bool:
        """Whether there is none left."""
        return self.taken >= self.number

    @property
    def refusal(self) -> Problem:
        """What whoever would need one is told."""
        return overloaded(f"All places for {self.what} ({self.number:,}) are taken")

    def __enter__(self) -> None:
        """Take one, or raise a Problem as there is none."""
        if self.full:
            raise self.refusal
        self.taken += 1

    def __exit__(self, *exception: object) -> None:
        self.taken -= 1


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


async def turned_away(problem: Problem, scope: Scope, receive: Receive) -> Problem:
    """The problem of a request whose body has not been read.

    A short body is passed over, so that the connection can go on; a long one is not, and the connection ends.
    """
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if length.isdigit() and int(length) <= PASSED_OVER_BYTES:
        while (await receive()).get("more_body", False):
            pass
    else:
        problem.headers["connection"] = "close"
    return problem


def overloaded(why: str) -> Problem:
    """The problem of whoever comes when there is too much to do already."""
    told = f"{why}; ask again in {RETRY_AFTER_S} s."
    return Problem(503, OVERLOADED, told, headers={"retry-after": str(RETRY_AFTER_S)})
