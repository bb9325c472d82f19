"""Promotions to test with, and what appending and pruning come to when a system call goes wrong.

Run by test_promotion_faults.py as `python -m tests.promoting WAY FOLDER SCENARIO`; prints what came of each as JSON.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.artifact import Artifact
from contract.deploying import Deployer
from contract.errors import ArtifactError, PromotionFailed
from contract.promotions import CHAMPION, Promotion
from contract.pruning import prune
from contract.store import Store
from tests.faults import Scenario, tell
from tests.samples import sealed

MODEL = "iris"
KEPT = 2


def promotion(kind: str = "promote", version: int | None = 1, **facts: Any) -> Promotion:
    """A promotion, of the champion unless said otherwise."""
    given = {"kind": kind, "at": datetime(2026, 11, 21, 12, tzinfo=UTC), "by": "ada@lab"}
    if kind in ("promote", "rollback"):
        given["alias"] = CHAMPION
    return Promotion.model_validate(given | ({} if version is None else {"version": version}) | facts)


def deployer(store: Store, by: str = "ada@lab", try_out: Callable[[Artifact], None] = Artifact.verify) -> Deployer:
    """Who promotes what is undamaged; its files need not be models."""
    return Deployer(store, by, try_out)


def published(store: Store, count: int, **changes: Any) -> Store:
    """The store, with so many small versions more."""
    for _ in range(count):
        store.publish(sealed(store, {"model.joblib": b"\x80 no pickle"}, **changes))
    return store


# --- what is tried


def append(store: Store) -> str:
    """Promote version 1 once more, by the log alone; return what is said of it."""
    log = store.promotions(MODEL)
    try:
        return f"made promotion {log.append(promotion(), after=log.read()).number}"
    except (PromotionFailed, OSError) as error:
        return f"{type(error).__name__}: {error}"


def delete(store: Store) -> str:
    """Prune; return what is said of it."""
    try:
        return f"deleted {list(prune(deployer(store), MODEL, keep=KEPT).going)}"
    except (PromotionFailed, OSError) as error:
        return f"{type(error).__name__}: {error}"


# --- what is found after a fault


@dataclass(frozen=True)
class Outcome:
    """A move that met a fault, and what readers and the next move then find."""

    fault: str
    said: str
    """What was said of it; empty if it was killed."""
    before: int
    """The last promotion before it."""
    numbers: list[int]
    """The promotions after it."""
    damaged: list[int]
    """Those that cannot be read."""
    versions: list[int]
    pruned: list[int]
    """The versions that are deleted by the log."""
    damage: list[str]
    """What is wrong with the versions that a reader sees."""
    following: str
    """What was said of the same move made again."""
    then: list[int]
    """The promotions after that."""
    remaining: list[int]
    """The versions after that."""
    left: list[str]
    """What is hidden after one promotion more, once it is old enough to be swept away."""
    next: int
    """The number of the next version."""


def examine(move: Callable[[Store], str], fault: str, said: str, before: int, store: Store) -> Outcome:
    """Look at a store after a fault, then make the same move once more."""
    log, damage = store.promotions(MODEL), []
    for version in store.versions(MODEL):
        try:
            store.artifact(MODEL, version).verify()
        except (ArtifactError, OSError) as error:
            damage.append(f"{version}: {error!r}")
    history, versions, pruned = log.history(), store.versions(MODEL), sorted(log.read().pruned)
    for path in log.folder.glob(".*"):
        os.utime(path, (0, 0))
    following, then, remaining = move(store), log.history(), store.versions(MODEL)
    append(store)  # which sweeps
    hidden = list(store.root.glob(f"{MODEL}/**/.*"))
    inside = [path for folder in hidden if folder.is_dir() for path in folder.iterdir()]
    return Outcome(
        fault,
        said,
        before,
        [number for number, _ in history],
        [number for number, found in history if found is None],
        versions,
        pruned,
        damage,
        following,
        [number for number, _ in then],
        remaining,
        sorted(str(path.relative_to(store.root / MODEL)) for path in (*hidden, *inside)),
        store.publish(sealed(store)),
    )


def copies(folder: Path, *stores: Store) -> list[tuple[int, Callable[[], Store]]]:
    """Makers of copies, and the last promotion in each."""

    def maker(store: Store) -> Callable[[], Store]:
        return lambda: Store(Path(shutil.copytree(store.root, Path(tempfile.mkdtemp(dir=folder)) / "store")))

    return [(store.promotions(MODEL).read().number, maker(store)) for store in stores]


def to_append_to(folder: Path) -> list[tuple[int, Callable[[], Store]]]:
    """A model without a log, and one with two promotions."""
    bare, begun = published(Store(folder / "bare"), 1), published(Store(folder / "begun"), 1)
    append(begun)
    append(begun)
    return copies(folder, bare, begun)


def to_prune(folder: Path) -> list[tuple[int, Callable[[], Store]]]:
    """Versions 1 to 5, of which 3 and 4 were champions, and the same when a prune was killed before it was done."""
    whole, half = published(Store(folder / "whole"), 5), published(Store(folder / "half"), 5)
    for store in (whole, half):
        for version in (3, 4):
            deployer(store).promote(MODEL, version)
    log = half.promotions(MODEL)
    log.append(promotion("prune", None, versions=(1, 2)), after=log.read())
    (half.root / MODEL / "1").rename(half.root / MODEL / ".withdrawn-1")
    return copies(folder, whole, half)


SCENARIOS = {
    "append": Scenario(append, to_append_to, lambda *found: examine(append, *found)),
    "prune": Scenario(delete, to_prune, lambda *found: examine(delete, *found)),
}

if __name__ == "__main__":
    tell(SCENARIOS[sys.argv[3]], sys.argv[1], Path(sys.argv[2]))
