"""The guard: ours against the echo and against itself without HTTP, in a few minutes; `make bench-short`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.serving.results import Results
from benchmarks.serving.rounds import ALONE, Bench
from benchmarks.serving.servers import BY_NAME

TO_ECHO = 0.25
"""Least share of the echo's requests per second with one row at 16 connections."""
TO_ALONE = 0.5
"""Least share of the rows per second that parse, predict and encode reach alone."""
_TRIES = 2
"""A second one before it is called slower: other work on the machine looks the same once."""


def run(seconds: int, repeats: int) -> int:
    """Measure, say what was found, and return the exit code."""
    for attempt in range(1, _TRIES + 1):
        results = Results()
        with tempfile.TemporaryDirectory(prefix="lectern-bench-", ignore_cleanup_errors=True) as folder:
            servers = [BY_NAME["lectern"], BY_NAME["echo"]]
            Bench(servers, frozenset({"one-row", "thousand-rows"}), seconds, repeats, Path(folder), results).run()
        failures = judged(results)
        if not failures:
            return 0
        for failure in failures:
            print(failure, file=sys.stderr)
        if attempt < _TRIES:
            print("Measuring once more: other work on this machine may have been in the way.", flush=True)
    return 1


def judged(results: Results) -> list[str]:
    """Print the ratios; return what is wrong with them."""
    failures = [f"{name}: {entry['failed']}" for name, entry in results.servers.items() if entry["failed"]]
    bounds = {
        "one row at 16 connections, requests/s": ("echo", "one-row/16", "rps", TO_ECHO),
        "1,000 rows of JSON, rows/s": (ALONE, "thousand-rows", "rows_per_s", TO_ALONE),
    }
    for what, (other, case, figure, bound) in bounds.items():
        ratio = results.ratio("lectern", other, case, figure)
        if ratio is None:
            failures.append(f"{what}: nothing was measured.")
            continue
        own, theirs = results.median("lectern", case, figure), results.median(other, case, figure)
        against = results.servers[other]["title"]
        found = f"{what}: {own:,.0f}, {against} {theirs:,.0f}, the median ratio is {ratio:.2f}"
        each = ", ".join(f"{one:.2f}" for one in results.ratios("lectern", other, case, figure))
        print(f"{found} (at least {bound:g}; by round {each})")
        if ratio < bound:
            failures.append(f"Slower than it was: {found}, less than {bound:g}.")
    if disturbed := results.disturbed():
        print(
            f"Other programs kept up to {disturbed:.2f} cores busy meanwhile: neither a pass nor a failure says much."
        )
    own, theirs = (_microseconds(results, name) for name in ("lectern", "echo"))
    if own and theirs:
        print(f"processor time of such a request: {own:.0f} µs, the echo's {theirs:.0f} µs, {theirs / own:.2f} of ours")
    tail = results.ratio("lectern", "echo", "one-row/16", "p99_ms")
    if tail is not None:
        print(f"one row at 16 connections, 99th percentile against the echo's: {tail:.1f}")
    errors = sum(results.samples("lectern", "one-row/16", "errors"))
    if errors:
        failures.append(f"{errors:.0f} requests at 16 connections failed.")
    return failures


def _microseconds(results: Results, name: str) -> float | None:
    """Processor time of one request; other programs that take turns on the core do not count in it."""
    cores, rps = (results.median(name, "one-row/16", figure) for figure in ("server_cores", "rps"))
    return 1e6 * cores / rps if cores and rps else None
