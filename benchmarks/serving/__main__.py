"""`make bench` and `make bench-short`: measure, and write docs/benchmarks.md with its plots."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.serving import cases, cores, guard, load, machine
from benchmarks.serving.environments import ROOT
from benchmarks.serving.place import Server
from benchmarks.serving.results import Results
from benchmarks.serving.rounds import Bench
from benchmarks.serving.servers import SERVERS

DOCS = ROOT / "docs"


def main(given: list[str]) -> int:
    """Run what the command line asks for; return the exit code."""
    options = read(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is ended
    try:
        load.check()
    except load.LoadFailed as error:
        print(error, file=sys.stderr)
        return 2
    print(cores.NOTE)
    if options.short:
        return guard.run(options.seconds or 2, options.repeats or 3)
    results = Results.read(DOCS / "benchmarks.json")
    results.machine = machine.described()
    if not options.report:
        with tempfile.TemporaryDirectory(prefix="lectern-bench-", ignore_cleanup_errors=True) as folder:
            bench = Bench(
                chosen(options.only),
                frozenset(options.cases or cases.NAMES),
                options.seconds or 5,
                options.repeats or 3,
                Path(folder),
                results,
            )
            try:
                bench.run()
            except KeyboardInterrupt:
                print("Stopped: nothing of this run is kept; every server is ended.", file=sys.stderr)
                return 130
        results.write(DOCS / "benchmarks.json")
    from benchmarks.serving import plots, report

    plots.draw(results, DOCS / "benchmarks")
    (DOCS / "benchmarks.md").write_text(report.text(results))
    print(report.goals_table(results))
    print("Written: docs/benchmarks.md, docs/benchmarks.json, docs/benchmarks/")
    return 0


def read(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    names = sorted({server.name for server in SERVERS} | {server.family for server in SERVERS if server.family})
    parser.add_argument("--short", action="store_true", help="ours and the echo only, as a guard; writes nothing")
    parser.add_argument("--only", type=_listed(names), metavar="NAME,…", help=f"of {', '.join(names)}")
    parser.add_argument("--cases", type=_listed(cases.NAMES), metavar="NAME,…", help=f"of {', '.join(cases.NAMES)}")
    parser.add_argument("--seconds", type=int, help="of each load (5; 2 when short)")
    parser.add_argument("--repeats", type=int, help="rounds (3)")
    parser.add_argument("--report", action="store_true", help="measure nothing; write report and plots again")
    return parser.parse_args(given)


def chosen(only: list[str] | None) -> list[Server]:
    """The servers that the names stand for; ours never without the echo beside it."""
    if not only:
        return list(SERVERS)
    wanted = {name if name not in ("lectern", "echo") else "ours" for name in only}
    if "lectern" in only:
        wanted |= {"lectern"}
    return [server for server in SERVERS if {server.name, server.family} & wanted]


def _listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if strange := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"'{strange[0]}' is none of {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
