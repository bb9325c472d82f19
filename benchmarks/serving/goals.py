"""The goals, and how near each is: one table of figures that are computed from the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.serving.place import USUAL
from benchmarks.serving.results import Results
from benchmarks.serving.rounds import ALONE
from benchmarks.serving.servers import SERVERS

OURS, ECHO, TEXTBOOK = "lectern", "echo", "fastapi"
PEERS = [server.name for server in SERVERS if server.cases == USUAL and server.name not in (OURS, ECHO)]
AT_16 = "one-row/16"
Found = tuple[float, str] | None
"""The value, and what it is compared with; nothing where a figure is missing."""


@dataclass(frozen=True)
class Goal:
    """A bound for one figure."""

    text: str
    sense: Literal[">=", "<="]
    bound: float
    value: Callable[[Results], Found]
    unit: str = ""
    obstacle: str = ""
    """What a profile shows to stand in the way where it is not met."""

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.sense == ">=" else value <= self.bound


def _against(other: str, case: str, figure: str, mine: str = OURS) -> Callable[[Results], Found]:
    def value(results: Results) -> Found:
        found = results.ratio(mine, other, case, figure)
        return None if found is None else (found, title_of(results, other))

    return value


def _against_best(case: str, figure: str, of: Callable[..., object] = max) -> Callable[[Results], Found]:
    def value(results: Results) -> Found:
        best = results.best(PEERS, case, figure, of)
        own = results.median(OURS, case, figure)
        return None if best is None or own is None else (own / best[1], title_of(results, best[0]))

    return value


def _arrow(results: Results) -> Found:
    mine, alone = (results.samples(OURS, "arrow", name) for name in ("rows_per_s", "alone_rows_per_s"))
    shares = sorted(one / other for one, other in zip(mine, alone, strict=True))
    return (shares[len(shares) // 2], "ONNX Runtime alone") if shares else None


def _second_worker(results: Results) -> Found:
    two, one = results.median("lectern-2-workers", "memory", "mb"), results.median(OURS, "memory", "mb")
    return None if two is None or one is None else (two - one, "")


def _swap_errors(results: Results) -> Found:
    found = results.samples("lectern-swap", "swap", "errors")
    return (sum(found), "") if found else None


GOALS = (
    Goal(
        "one row, 16 connections: requests/s against the textbook FastAPI app",
        ">=",
        100,
        _against(TEXTBOOK, AT_16, "rps"),
    ),
    Goal(
        "one row, 16 connections: requests/s against the best peer at its best settings",
        ">=",
        8,
        _against_best(AT_16, "rps"),
    ),
    Goal(
        "one row, 16 connections: requests/s against a bare echo",
        ">=",
        0.5,
        _against(ECHO, AT_16, "rps"),
        obstacle="The echo takes 30 µs of processor time a request, ours 85 to 90, of which 18 are ours when nothing "
        "else runs between two requests. Beside the kernel's network code and uvicorn, each of these costs about two, "
        "as its code and data have left the caches. Forty lines that only validate, count, queue and call the graph "
        "through `session.run` took 83 to 97 µs in the same run.",
    ),
    Goal("one row, 16 connections: 99th percentile against a bare echo's", "<=", 3, _against(ECHO, AT_16, "p99_ms")),
    Goal(
        "one row, 16 connections, with a key and a limit: requests/s against without",
        ">=",
        0.8,
        _against(OURS, AT_16, "rps", "lectern-locked"),
    ),
    Goal(
        "1,000 rows of JSON: rows/s against the best peer",
        ">=",
        3,
        _against_best("thousand-rows", "rows_per_s"),
        obstacle="The graph alone takes about 2.3 µs a row. MLServer takes 4.3 for all of it: it reads one flat list "
        "of numbers, asks scikit-learn for four requests at once, and writes another flat list. Three times as fast "
        "would be 1.4 µs, less than the graph. Ours reads objects whose fields have names, checks each value, and "
        "writes an object for each row: 0.7 µs, 0.2 and about 1.",
    ),
    Goal(
        "1,000 rows of JSON: rows/s against parse, predict and encode alone",
        ">=",
        0.6,
        _against(ALONE, "thousand-rows", "rows_per_s"),
    ),
    Goal("1,000,000 rows of Arrow: rows/s against ONNX Runtime alone", ">=", 0.8, _arrow),
    Goal(
        "a model that stays Python, 64 connections: requests/s against MLServer, batching",
        ">=",
        1.5,
        _against("mlserver-joblib", "joblib", "rps", "lectern-joblib"),
    ),
    Goal("cold start against the fastest peer's", "<=", 1 / 3, _against_best("cold", "s", min)),
    Goal(
        "memory against the leanest peer's",
        "<=",
        0.5,
        _against_best("memory", "mb", min),
        obstacle="Of what one worker takes, 40 MB are pages of libraries that nobody else shares here, and of the rest "
        "numpy has 6 MB, pydantic 6, uvicorn 5, ONNX Runtime 7, FastAPI 10, which answers all but the predictions. A "
        "second worker shares nearly all of it.",
    ),
    Goal("memory that a second worker adds", "<=", 60, _second_worker, " MB"),
    Goal("a new version under load: failed requests", "<=", 0, _swap_errors),
)


def title_of(results: Results, name: str) -> str:
    """What a server is called in the report."""
    title: str = results.servers.get(name, {}).get("title", name)
    return title
