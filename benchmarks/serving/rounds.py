"""Rounds: in each, every server is started once and measured; ours and the echo run side by side, in turn."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving import cases, load
from benchmarks.serving.asking import CHECKED, Wrong, check
from benchmarks.serving.environments import OURS, EnvironmentFailed, ready, versions
from benchmarks.serving.fitted import Fitted
from benchmarks.serving.place import APPS, Place, Server
from benchmarks.serving.results import Results
from benchmarks.serving.starting import Running, StartFailed, prepare, running

ALONE = "in-process"
_FAILURES = (EnvironmentFailed, StartFailed, Wrong, load.LoadFailed, OSError, http.client.HTTPException)
_WARM_S = 1


@dataclass
class Bench:
    """What is measured, and where it is kept."""

    servers: Sequence[Server]
    wanted: frozenset[str]
    """Cases."""
    seconds: int
    repeats: int
    folder: Path
    results: Results

    def run(self) -> None:
        """Measure every server in every round."""
        self.servers = [server for server in self.servers if self._cases(server)]
        places = self._prepare()
        for number in range(self.repeats):
            for group in groups([server for server in self.servers if server.name in places]):
                print(f"round {number + 1} of {self.repeats}: {', '.join(server.name for server in group)}", flush=True)
                with ExitStack() as stack:
                    alive = [one for server in group if (one := self._start(stack, server, places[server.name]))]
                    for step in cases.STEPS:
                        for one in [one for one in alive if step.case in self._cases(one.server)]:
                            self._measure(one, step)
                    for one in alive:
                        self._check(one, first=CHECKED)

    def _prepare(self) -> dict[str, tuple[Place, Fitted]]:
        """Make environments and files; a server that cannot be made ready says why and is left out."""
        today = datetime.now(UTC).date().isoformat()
        places = {}
        for server in self.servers:
            entry = self.results.entry(server.name)
            entry |= {"title": server.title, "failed": None, "skipped": {}}
            how = f"{today}, {self.repeats} × {self.seconds} s"
            entry["measured"] = entry.get("measured", {}) | dict.fromkeys(sorted(self._cases(server)), how)
            for key in [key for key in entry["cases"] if key.partition("/")[0] in self._cases(server)]:
                del entry["cases"][key]
            try:
                home = ready(server.environment, server.requirements)
                entry["versions"] = versions(home, server.requirements)
                models = self._models(home, entry["versions"].get("scikit-learn", ""))
                place = prepare(server, models, self.folder / server.name)
            except _FAILURES as error:
                self.results.fail(server.name, str(error))
                continue
            places[server.name] = place, Fitted.read(models, server.model)
        if self.wanted & {"thousand-rows"} and any(server.name == "lectern" for server in self.servers):
            title = "parse, predict and encode in one process"
            self.results.servers[ALONE] = {"title": title, "failed": None, "skipped": {}, "cases": {}}
        return places

    def _models(self, home: Path, release: str) -> Path:
        """The folder of the models fitted with a release of scikit-learn; ours fits for all that have the same."""
        own = versions(OURS, ())["scikit-learn"]
        python, folder = (OURS if release == own else home) / "bin" / "python", self.folder / f"models-{release}"
        if not folder.exists():
            subprocess.run([str(python), str(APPS / "fit.py"), str(folder)], check=True)
        return folder

    def _cases(self, server: Server) -> frozenset[str]:
        return server.cases & self.wanted

    def _start(self, stack: ExitStack, server: Server, at: tuple[Place, Fitted]) -> Running | None:
        place, fitted = at
        try:
            one = stack.enter_context(running(server, place, fitted))
            if server.name == "lectern":
                record(one)
            if "cold" in self._cases(server):
                self.results.add(server.name, "cold", {"s": one.cold_s})
            if not self._check(one, first=0):
                return None
            if "memory" in self._cases(server):
                self.results.add(server.name, "memory", cases.held(one))
            if self._cases(server) - {"cold", "memory"}:
                cases.one_row(one, 16, _WARM_S)
        except _FAILURES as error:
            self.results.fail(server.name, str(error))
            return None
        return one

    def _check(self, one: Running, first: int) -> bool:
        if one.server.name == "echo":
            return True
        entry = self.results.entry(one.server.name)
        several = one.server.model == "iris"
        try:
            with one.asker as asker:
                shares = check(asker, one.server.shape, one.fitted, first=first, several=several)
        except _FAILURES as error:
            when = "after" if first else "before"
            self.results.fail(one.server.name, f"wrong {when} the timing: {error}")
            return False
        entry["says"] = "class and probabilities" if shares else "the class alone"
        return True

    def _measure(self, one: Running, step: cases.Step) -> None:
        try:
            sample = step.measure(one, self.seconds)
            self.results.add(one.server.name, step.key, sample)
            print(f"  {one.server.name:<20} {step.key:<14} {_shown(sample)}", flush=True)
            if step.case == "thousand-rows" and one.server.name == "lectern":
                self.results.add(ALONE, step.key, sample := cases.json_alone(one, self.seconds))
                print(f"  {ALONE:<20} {step.key:<14} {_shown(sample)}", flush=True)
        except cases.Skipped as error:
            print(f"  {one.server.name}: {step.key} left out, {error}", flush=True)
            self.results.entry(one.server.name)["skipped"][step.key] = str(error)
        except _FAILURES as error:
            self.results.fail(one.server.name, f"{step.key}: {error}")


def groups(servers: Iterable[Server]) -> list[list[Server]]:
    """The servers in their order, ours and the echo as one."""
    found: list[list[Server]] = []
    for server in servers:
        if server.family == "ours" and found and found[-1][0].family == "ours":
            found[-1].append(server)
        else:
            found.append([server])
    return found


def record(ours: Running) -> None:
    """Keep what ours answers to one row and to a thousand, for the echo to say the same."""
    kept = {}
    for name, rows in {"one": ours.fitted.rows[:1], "many": ours.fitted.many(cases.THOUSAND, 0)}.items():
        with ours.asker as asker:
            headers, body = asker.ask(ours.server.shape.request(ours.fitted, rows))
        kept[name] = {"headers": [(key, value) for key, value in headers if key != "date"], "body": body.decode()}
    (ours.place.models / "answers.json").write_text(json.dumps(kept))


def _shown(sample: load.Sample) -> str:
    return "  ".join(f"{name} {value:,.{0 if value >= 100 else 3}f}" for name, value in sample.items())
