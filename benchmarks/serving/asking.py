"""Asking: requests one by one over a connection of our own, to wait for a server, warm it and check its answers."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.serving.fitted import Fitted, Rows
from benchmarks.serving.shapes import Answer, Request, Shape

TOLERANCE = 1e-5
CHECKED = 100
"""Rows asked before the timing, and as many others after it: alone, and all in one request."""


class Wrong(Exception):
    """A server answers, and not what the fitted model does."""


@dataclass
class Asker:
    """One connection to a server."""

    port: int
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Request) -> tuple[list[tuple[str, str]], bytes]:
        """The headers and the body of the answer.

        Raises:
            Wrong: it is not a success.
            OSError, http.client.HTTPException: nobody answers.
        """
        try:
            body = request.body.encode()
            self._connection.request("POST", request.path, body, request.headers)
            response = self._connection.getresponse()
            found = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.status != 200:
            raise Wrong(f"it answers {response.status}: {found[:300].decode(errors='replace')}")
        return response.getheaders(), found

    def document(self, request: Request) -> Any:
        """The JSON it answers."""
        try:
            return json.loads(self.ask(request)[1])
        except json.JSONDecodeError as error:
            raise Wrong(f"its answer is not JSON: {error}") from None

    def close(self) -> None:
        """Let the connection go; the next request opens another one."""
        self._connection.close()


def check(asker: Asker, shape: Shape, fitted: Fitted, *, first: int, several: bool) -> bool:
    """Ask some rows one by one, and all of them at once where it takes several; return whether it says probabilities.

    Raises:
        Wrong: an answer differs from the fitted model's; it says how many do, and the first.
    """
    places = range(first, first + CHECKED)
    rows: Rows = [fitted.rows[place] for place in places]
    found = [answer for row in rows for answer in answers(asker, shape, fitted, [row])]
    rounds = [found, answers(asker, shape, fitted, rows)] if several else [found]
    for answered in rounds:
        differing = [
            (place, answer) for place, answer in zip(places, answered, strict=True) if not _equal(fitted, place, answer)
        ]
        if differing:
            place, (label, shares) = differing[0]
            raise Wrong(
                f"{len(differing)} of {len(rows)} answers are wrong; to {fitted.rows[place]} it says {label}, "
                f"{shares}, the fitted model {fitted.labels[place]}, {fitted.probabilities[place]}"
            )
    return all(shares is not None for _, shares in found)


def answers(asker: Asker, shape: Shape, fitted: Fitted, rows: Rows) -> list[Answer]:
    """What the server answers to rows, one each.

    Raises:
        Wrong: the answer does not have the form it should have.
    """
    document = asker.document(shape.request(fitted, rows))
    try:
        found = shape.answers(fitted, document)
    except (LookupError, TypeError, ValueError) as error:
        raise Wrong(f"its answer cannot be read ({error!r}): {str(document)[:300]}") from None
    if len(found) != len(rows):
        raise Wrong(f"it gives {len(found)} answers to {len(rows)} rows")
    return found


def _equal(fitted: Fitted, place: int, answer: Answer) -> bool:
    label, shares = answer
    if label != fitted.labels[place]:
        return False
    return shares is None or all(
        abs(one - other) <= TOLERANCE for one, other in zip(shares, fitted.probabilities[place], strict=True)
    )
