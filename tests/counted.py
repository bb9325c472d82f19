"""Versions that have a baseline: they multiply a number, which was normally distributed when they were made."""

from __future__ import annotations

from typing import Any

import numpy as np

from contract.baseline import BASELINE, measure
from contract.store import Store
from tests.gallery import LEVELS, graph
from tests.live import X, republish

MODEL = "times"
ROWS = 2_000


def drawn(rows: int, *, seed: int = 1, moved: float = 0.0) -> list[dict[str, float]]:
    """Rows as they were when the version was made, or moved by so many standard deviations."""
    return [{"x": value} for value in np.random.default_rng(seed).normal(loc=moved, size=rows).tolist()]


def baseline(factor: float = 2.0) -> bytes:
    """The counts of such rows, and of the answers to them."""
    numbers = np.random.default_rng(0).normal(size=ROWS)
    return measure([("x", numbers.tolist())], (factor * numbers).tolist(), X).model_dump_json().encode()


def publish_counted(store: Store, name: str = MODEL, factor: float = 2.0) -> int:
    """Make a version."""
    return graph(store, name, factor, {BASELINE: baseline(factor)})


def publish_drifting(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Beside the gallery: `times`, `waits`, and a version of `wide` that has a baseline; rows that moved, by model."""
    publish_counted(store)
    publish_counted(store, "waits")
    wide = store.artifact("wide")
    signature = wide.manifest.signature
    levels = [LEVELS[place] for place in np.random.default_rng(0).integers(100, size=400)]
    found = measure([(name, levels) for name in signature.names], [1.0] * 400, signature)
    republish(store, wide, files={BASELINE: found.model_dump_json().encode()})
    later = [dict.fromkeys(signature.names, level) for level in LEVELS * 2]
    return {MODEL: drawn(400, moved=1), "wide": later}
