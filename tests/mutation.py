"""Mutation: of every small change to what must not be wrong, does a test notice?

`make mutation` makes copies of the project under build/, changes a module in one of them and runs its tests there.
The tree itself is not touched.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue

from tests.equivalent_mutants import EQUIVALENT
from tests.guarded import ENVIRONMENT, ROOT, guarded, test_files
from tests.mutants import Mutant, mutants_of
from tests.mutation_worker import Order

FOLDER = ROOT / "build" / "mutation"
AT_LEAST = 0.9
NOT_COPIED = shutil.ignore_patterns(".?*", "artifacts", "build", "dist", "__pycache__", "node_modules")


class Worker:
    """A copy of the project, and a process that runs tests in it."""

    def __init__(self, number: int, scratch: Path) -> None:
        self.log = scratch / f"{number}.log"
        copy = FOLDER / f"copy-{number}"
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-m", "tests.mutation_worker", str(scratch / str(number))]
        self.process = subprocess.Popen(
            command,
            cwd=copy,
            env=own | ENVIRONMENT | {"PYTHONPATH": str(copy)},  # what the tests start has the copy from there
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, order: Order) -> int:
        """The status of pytest."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(asdict(order)), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


class Workers:
    """Several of them, one for each order at a time."""

    def __init__(self, many: int, scratch: Path) -> None:
        self.idle: SimpleQueue[Worker] = SimpleQueue()
        self.many = [Worker(number, scratch) for number in range(many)]
        for worker in self.many:
            self.idle.put(worker)

    def survey(self, module: str) -> str:
        """Run the tests of a module without a change, also as for a mutant; what they complain of, if they do."""
        worker, order = self.idle.get(), Order(module, test_files(module), str(known(module)))
        same = replace(order, code=(ROOT / module).read_text(encoding="utf-8"))
        try:
            failed = worker.do(order) or worker.do(same)
            return worker.log.read_text(encoding="utf-8", errors="replace") if failed else ""
        finally:
            self.idle.put(worker)

    def killed(self, mutant: Mutant) -> bool:
        """Whether a test of its module fails, or hangs."""
        worker, begin = self.idle.get(), time.monotonic()
        try:
            tests = test_files(mutant.module)
            status = worker.do(Order(mutant.module, tests, str(known(mutant.module)), mutant.code, mutant.line))
        finally:
            self.idle.put(worker)
        if said := {0: "survived", -signal.SIGALRM: "hangs"}.get(status):
            print(f"{said}: {mutant} ({time.monotonic() - begin:.0f} s)", flush=True)
        return bool(status)

    def stop(self) -> None:
        """End all of them."""
        for worker in self.many:
            worker.process.kill()
            worker.process.wait()


def known(module: str) -> Path:
    """The file of what is known of a module's tests."""
    return FOLDER / f"{module.replace('/', '.')}.json"


def hunt(modules: Sequence[str], share: float, seed: int, jobs: int) -> bool:
    """Tell of each module how many of its mutants were killed; whether these are enough."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        workers = Workers(jobs, Path(scratch))
        try:
            with ThreadPoolExecutor(jobs) as pool:
                complaints = dict(zip(modules, pool.map(workers.survey, modules), strict=True))
                drawn = [
                    mutant for module in modules if not complaints[module] for mutant in sample(module, share, seed)
                ]
                found = list(zip(drawn, pool.map(workers.killed, drawn), strict=True))
        finally:
            workers.stop()
    enough = not any(complaints.values())
    for module in modules:
        if complaints[module]:
            print(f"{complaints[module]}The tests of {module} fail without any change to it.")
            continue
        results = [killed for mutant, killed in found if mutant.module == module]
        killed = sum(results) / len(results) if results else 1.0
        enough &= killed >= AT_LEAST
        print(f"{killed:6.1%} of {len(results):4}  {module}{'' if killed >= AT_LEAST else '  too few'}")
    if found:
        print(f"{sum(killed for _, killed in found) / len(found):6.1%} of {len(found):4}  in all")
    return enough


def sample(module: str, share: float, seed: int) -> list[Mutant]:
    """The mutants of a module without those known to be the same program, or a share of them.

    Raises:
        SystemExit: one that is listed as the same does not exist.
    """
    equal = EQUIVALENT.get(module, {}).keys()
    mutants = list(mutants_of(module, (ROOT / module).read_text(encoding="utf-8")))
    if gone := equal - {(mutant.before, mutant.after) for mutant in mutants}:
        raise SystemExit(f"tests/equivalent_mutants.py lists what {module} has no more: {sorted(gone)}; take it out.")
    mutants = [mutant for mutant in mutants if (mutant.before, mutant.after) not in equal]
    many = round(share * len(mutants))
    return sorted(random.Random(seed).sample(mutants, many), key=lambda mutant: mutant.line)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as contract/store.py (all of tests.guarded)")
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants of each (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at the same time (%(default)s)")
    given = parser.parse_args()
    return 0 if hunt(given.modules or guarded(), given.share, given.seed, given.jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
