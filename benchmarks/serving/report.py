"""The report: docs/benchmarks.md, from the figures alone."""

from __future__ import annotations

from benchmarks.serving import goals
from benchmarks.serving.results import Results
from benchmarks.serving.servers import SERVERS

Table = list[list[str]]
_MISSING = "–"

HEAD = """# Benchmarks

What serving costs: ours, a bare echo on the same server as the ceiling, the apps that textbooks show, and the servers
that others wrote. `make bench` writes this page; every figure is in [benchmarks.json](benchmarks.json).
"""

PLOTS = """## In pictures

![One row, requests per second](benchmarks/one-row.svg)

![A thousand rows, rows per second](benchmarks/thousand-rows.svg)

![Cold start](benchmarks/cold.svg)

![Memory](benchmarks/memory.svg)
"""

METHOD = """## How it is measured

The same fitted model everywhere: a forest of 100 trees on the iris data, `random_state=0`, trained with the same
release of scikit-learn, each server with one worker. Ours is `lectern serve` on an exported version with nothing turned
off; it answers through ONNX Runtime where the others call scikit-learn, whose fixed cost of a call weighs on one row
and vanishes in a batch of thousands. The echo reads the body and sends an answer recorded from ours, headers too.

Requests come from wrk over connections that are kept, each with another row out of 512. Before and after the timing
100 rows each are checked against the fitted model: the class must be equal, probabilities within 1e-5. The textbook
apps call `predict` and `predict_proba`, as textbooks do. MLflow, BentoML, MLServer and LitServe are asked for
probabilities alone, from which the class follows, and vetiver says the class alone: one call instead of two. Batching
is on where a server has it, in a line of its own; MLServer then infers in the process that listens and waits 2 ms for
a batch of at most 64, LitServe as long for as many, BentoML as it sees fit. A thousand rows go as objects to ours, to
the textbook FastAPI app and to vetiver, as lists to the others, and as one flat list to MLServer, which is the least
to parse; it merges the four requests into one call.

Every round starts each server anew: its cold start runs from the command to the first right prediction, with a
trained model and warm disks, on the one core that a server has. Memory is the share of each page that belongs to the
server and all processes below it (PSS), after 1,000 requests; other programs that run from the same files meanwhile
make it smaller. Ours, the echo, and ours with a key on each request and a limit that counts it, run side by side and
take turns, so that a noisy machine disturbs them alike; a ratio is the median of the ratios of each round. Beside each
load the raw figures say which share of the cores the server, the load and other programs took. The model that stays
Python is brute-force nearest neighbours among 20,000 rows of 16 columns, behind a step whose class stands in the
notebook.

## To repeat it

`apt install wrk`, then `make bench`; the peers go into `build/peers`. One part at a time adds to what is there:

```sh
.venv/bin/python -m benchmarks.serving --only lectern,mlserver --cases one-row,memory
.venv/bin/python -m benchmarks.serving --seconds 2 --repeats 1
.venv/bin/python -m benchmarks.serving --report
```

`make bench-short` measures ours and the echo alone, and fails when ours has become slower.
"""


def text(results: Results) -> str:
    """The whole page."""
    parts = [HEAD, _preliminary(results), "## Goals\n", goals_table(results), _obstacles(results), PLOTS]
    for title, case, columns in _CASES:
        parts += [f"## {title}\n", _case(results, case, columns)]
    parts += [_swap(results), _unmeasured(results), METHOD, "## The machine and the versions\n", _machine(results)]
    return "\n".join(part for part in parts if part)


def _preliminary(results: Results) -> str:
    """A word of warning where a figure comes from less than a full run, or from a busy machine."""
    found = {how.partition(", ")[2] for entry in results.servers.values() for how in entry.get("measured", {}).values()}
    short = sorted(how for how in found if _is_short(*map(int, how.removesuffix(" s").split(" × "))))
    said = f"**Preliminary**: some figures come from a short run ({', '.join(short)}).\n" if short else ""
    if disturbed := results.disturbed():
        said += f"\n**Disturbed**: other programs kept up to {disturbed:.2f} cores busy during a load.\n"
    return said


def _is_short(rounds: int, seconds: int) -> bool:
    return rounds < 3 or seconds < 5


def goals_table(results: Results) -> str:
    """Each goal beside what was measured."""
    rows = [["goal", "bound", "measured", ""]]
    for goal in goals.GOALS:
        found = goal.value(results)
        bound = f"{'≥' if goal.sense == '>=' else '≤'} {goal.bound:.3g}{goal.unit}"
        if found is None:
            rows.append([goal.text, bound, _MISSING, "not measured"])
            continue
        value, other = found
        by = f" ({other})" if any(word in goal.text for word in ("best", "fastest", "leanest")) else ""
        rows.append([goal.text, bound, f"{value:.3g}{goal.unit}{by}", "met" if goal.met(value) else "**not met**"])
    return _table(rows)


def _obstacles(results: Results) -> str:
    """What stands in the way of the goals that are not met."""
    missed = [
        goal
        for goal in goals.GOALS
        if goal.obstacle and (found := goal.value(results)) is not None and not goal.met(found[0])
    ]
    return (
        "\n".join(["What stands in the way:\n", *(f"- **{goal.text}**: {goal.obstacle}" for goal in missed), ""])
        if missed
        else ""
    )


_CASES: list[tuple[str, str, list[tuple[str, str, str]]]] = [
    (
        "One row a request",
        "one-row",
        [
            (f"{number} conn., {name}", f"one-row/{number}", figure)
            for number in (1, 16, 64)
            for name, figure in (("req/s", "rps"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms"))
        ],
    ),
    (
        "A thousand rows a request, 4 connections",
        "thousand-rows",
        [
            ("rows/s", "thousand-rows", "rows_per_s"),
            ("p50 ms", "thousand-rows", "p50_ms"),
            ("p99 ms", "thousand-rows", "p99_ms"),
        ],
    ),
    (
        "A million rows as an Arrow stream",
        "arrow",
        [("rows/s", "arrow", "rows_per_s"), ("ONNX Runtime alone, rows/s", "arrow", "alone_rows_per_s")],
    ),
    (
        "A model that stays Python, one row a request, 64 connections",
        "joblib",
        [("req/s", "joblib", "rps"), ("p50 ms", "joblib", "p50_ms"), ("p99 ms", "joblib", "p99_ms")],
    ),
    ("Cold start and memory", "cold", [("first right answer, s", "cold", "s"), ("memory, MB", "memory", "mb")]),
]


def _case(results: Results, case: str, columns: list[tuple[str, str, str]]) -> str:
    rows = [["server", *(title for title, _, _ in columns)]]
    for name, entry in results.servers.items():
        values = [results.median(name, key, figure) for _, key, figure in columns]
        if any(value is not None for value in values):
            failed = sum(sum(results.samples(name, key, "errors")) for key in {key for _, key, _ in columns})
            note = f" ({failed:,.0f} failed)" if failed else ""
            rows.append([entry["title"] + note, *(_MISSING if value is None else shown(value) for value in values)])
    skipped = [
        f"{entry['title']}: {entry['skipped'][case]}"
        for entry in results.servers.values()
        if case in entry.get("skipped", {})
    ]
    said = "".join(f"\n{line}\n" for line in skipped)
    return (_table(rows) if len(rows) > 1 else "Not measured.\n") + said


def _swap(results: Results) -> str:
    found = results.servers.get("lectern-swap", {"cases": {}})["cases"].get("swap")
    if not found:
        return ""
    names = ("p99_ms", "steady_p99_ms")
    around, steady = (shown(results.median("lectern-swap", "swap", name) or 0) for name in names)
    failed, seen = (int(sum(sample[name] for sample in found)) for name in ("errors", "seen"))
    return (
        "## A new version while requests come in\n\n"
        f"{len(found)} times a version was published under the load of 16 connections, and {seen} times it answered "
        f"before the two seconds of load were over. {failed} requests failed. The 99th percentile of these two seconds "
        f"was {around} ms, of two seconds just before {steady} ms.\n"
    )


def _unmeasured(results: Results) -> str:
    failed = {entry["title"]: entry["failed"] for entry in results.servers.values() if entry["failed"]}
    missing = [server.title for server in SERVERS if server.name not in results.servers]
    lines = [f"- {title}: {reason}" for title, reason in failed.items()]
    lines += [f"- {title}: not yet measured" for title in dict.fromkeys(missing)]
    return "## What did not work\n\n" + "\n".join(lines) + "\n" if lines else ""


def _machine(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    rows = [["server", "measured: rounds × seconds of each load", "its answers say", "versions"]]
    for entry in results.servers.values():
        found = ", ".join(f"{name} {version}" for name, version in entry.get("versions", {}).items())
        if found:
            measured = "; ".join(sorted(set(entry.get("measured", {}).values())))
            rows.append([entry["title"], measured, entry.get("says", _MISSING), found])
    return "\n".join(lines) + "\n\n" + _table(rows)


def shown(value: float) -> str:
    """Three digits, and thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(rows: Table) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
