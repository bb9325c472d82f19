"""Results: every figure measured, by server and case; a run adds to what earlier ones left."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import usage
from benchmarks.serving.load import Sample


@dataclass
class Results:
    """Figures as they lie in docs/benchmarks.json: samples of each case in the order of the rounds."""

    machine: dict[str, str] = field(default_factory=dict)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: title, versions, date, what its answers say, why it failed, and its samples by case."""

    @classmethod
    def read(cls, path: Path) -> Results:
        """What an earlier run left; nothing where there is none."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Keep the figures."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": self.machine, "servers": self.servers}, indent=1) + "\n")

    def entry(self, name: str) -> dict[str, Any]:
        """What is kept of a server."""
        return self.servers.setdefault(name, {"title": name, "failed": None, "skipped": {}, "cases": {}})

    def add(self, name: str, case: str, sample: Sample) -> None:
        """Keep one more sample."""
        rounded = {key: float(f"{value:.6g}") for key, value in sample.items()}
        self.entry(name)["cases"].setdefault(case, []).append(rounded)

    def fail(self, name: str, reason: str) -> None:
        """Keep why a server has no figures, or not all of them."""
        self.entry(name)["failed"] = reason
        print(f"  {name}: {reason}", flush=True)

    def samples(self, name: str, case: str, figure: str) -> list[float]:
        """One figure of each round."""
        found = self.servers.get(name, {"cases": {}})["cases"].get(case, [])
        return [sample[figure] for sample in found if figure in sample]

    def median(self, name: str, case: str, figure: str) -> float | None:
        """The median of the rounds."""
        found = self.samples(name, case, figure)
        return statistics.median(found) if found else None

    def ratios(self, name: str, other: str, case: str, figure: str) -> list[float]:
        """Of two servers measured side by side the ratio of each round; of others, one of their medians."""
        mine, theirs = self.samples(name, case, figure), self.samples(other, case, figure)
        if not mine or not theirs or not all(theirs):
            return []
        if len(mine) == len(theirs):
            return [one / another for one, another in zip(mine, theirs, strict=True)]
        return [statistics.median(mine) / statistics.median(theirs)]

    def ratio(self, name: str, other: str, case: str, figure: str) -> float | None:
        """The median of the ratios."""
        found = self.ratios(name, other, case, figure)
        return statistics.median(found) if found else None

    def disturbed(self) -> float:
        """The most cores that other programs kept busy during a load; 0 where it never mattered."""
        cases = [samples for entry in self.servers.values() for samples in entry["cases"].values()]
        most = max((sample.get("other_cores", 0.0) for samples in cases for sample in samples), default=0.0)
        return most if most > usage.BUSY else 0.0

    def best(self, names: list[str], case: str, figure: str, of: Callable[..., Any] = max) -> tuple[str, float] | None:
        """Of several servers the one with the highest figure, or with the lowest for `of=min`."""
        found = {name: value for name in names if (value := self.median(name, case, figure)) is not None}
        return of(found.items(), key=lambda item: item[1]) if found else None
