"""The worker of `tests.mutation`: in a copy of the project it runs tests, each time in a fork of this warm process."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

WARM: tuple[str, ...] = (
    "fastapi",
    "httpx",
    "hypothesis",
    "numpy",
    "onnxruntime",
    "pandas",
    "pydantic",
    "pytest",
    "sklearn.ensemble",
)
WARM += ("sklearn.linear_model", "uvicorn", "coverage")
"""What takes long to import and is not ours."""
PATIENCE_S = 60
"""How long a test may take, beside ten times what it took."""
MTIMES = count(1_000_000_000)
"""Each mutant has a time of its own, so that no compiled file of another one passes for its."""


@dataclass
class Known:
    """What a run without a change tells of the tests of a module."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Of each test."""
    lines: dict[str, list[int]] = field(default_factory=dict)
    """Of the module, which each test came by in its own process."""


@dataclass(frozen=True)
class Order:
    """Tests to run."""

    module: str
    tests: list[str]
    known: str
    """The file of what is known of them, which a run without a change writes."""
    code: str | None = None
    """What the module is to be; None for a run without a change."""
    line: int = 0
    """Where it is another one."""


class Survey:
    """A plugin of pytest: keeps what each test does."""

    def __init__(self, module: Path) -> None:
        from coverage import Coverage

        self.module, self.known = str(module), Known()
        self.coverage = Coverage(data_file=None, include=[self.module], config_file=False)

    def pytest_sessionstart(self) -> None:
        """Look on."""
        self.coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What is run from now on is this test's."""
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep how long it took."""
        self.known.seconds[report.nodeid] = self.known.seconds.get(report.nodeid, 0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep which lines each came by."""
        self.coverage.stop()
        for line, tests in self.coverage.get_data().contexts_by_lineno(self.module).items():
            for test in filter(None, tests):
                self.known.lines.setdefault(test, []).append(line)


class Hunt:
    """A plugin of pytest: the tests that came by a line first, the quick ones before the slow; ends what hangs."""

    def __init__(self, known: Known, line: int) -> None:
        self.seconds, self.near = known.seconds, {test for test, lines in known.lines.items() if line in lines}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Put them into order; those of a file stay together, for the sake of its fixtures."""
        files: dict[tuple[bool, str], float] = defaultdict(float)
        for item in items:
            files[item.nodeid in self.near, item.path.name] += self.seconds.get(item.nodeid, 0)

        def turn(item: Any) -> tuple[bool, float, str, float]:
            near, name = item.nodeid in self.near, item.path.name
            return not near, files[near, name], name, self.seconds.get(item.nodeid, 0)

        items.sort(key=turn)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Give a test its time; SIGALRM ends the process where it takes more."""
        signal.alarm(int(PATIENCE_S + 10 * self.seconds.get(nodeid, 0)))


def main(scratch: Path) -> None:
    """Do what comes from standard input, and answer each with the status of pytest."""
    for name in WARM:
        import_module(name)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        with changed(Path(order.module), order.code):
            child = os.fork()
            if child == 0:
                run(order, scratch)
            _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(status), flush=True)


@contextmanager
def changed(path: Path, code: str | None) -> Iterator[None]:
    """Have a module of this copy be another one for a while."""
    before, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    try:
        if code is not None:
            path.write_text(code, encoding="utf-8")
            os.utime(path, (now := next(MTIMES), now))
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=times)


def run(order: Order, scratch: Path) -> None:
    """Run the tests and leave."""
    import pytest

    status = 1
    try:
        os.setsid()
        with scratch.with_suffix(".log").open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        options = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={scratch}"]
        if order.code is None:
            survey = Survey(Path(order.module).absolute())
            status = int(pytest.main([*options, *order.tests], plugins=[survey]))
            Path(order.known).write_text(json.dumps(asdict(survey.known)), encoding="utf-8")
        else:
            signal.alarm(PATIENCE_S)
            known = Known(**json.loads(Path(order.known).read_text(encoding="utf-8")))
            status = int(pytest.main([*options, *order.tests], plugins=[Hunt(known, order.line)]))
    except BaseException:  # noqa: BLE001  # nothing may come back to the loop of the worker
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
