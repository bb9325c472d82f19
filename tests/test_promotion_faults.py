"""Appending to the log and pruning under faults: whatever system call fails or is the last, the log is whole."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults import run

KINDS = {
    "killed": "",
    "done": r"(made promotion|deleted) .*",
    "refused": r"PromotionFailed: Could not write to \S+: [^:.]+\. Nothing was changed\.",
    "not read": r"OSError: .*",
    "can be seen": r"PromotionFailed: .* Promotion \d can be seen, but may not survive a power failure\.",
    "half removed": r"PromotionFailed: The log of 'iris' notes what was deleted, but not all of it could be .*",
}
"""What becomes of a move that met a fault, by what is said of it."""


def kind(outcome: dict[str, Any]) -> str:
    (found,) = (name for name, said in KINDS.items() if re.fullmatch(said, outcome["said"]))
    return found


def check(outcomes: list[Any]) -> Counter[str]:
    """Hold each outcome to what any move keeps; return how many there are of each kind."""
    for outcome in outcomes:
        what, before, numbers = kind(outcome), outcome["before"], outcome["numbers"]
        assert outcome["damaged"] == outcome["damage"] == [], outcome
        assert numbers in (list(range(1, before + 1)), list(range(1, before + 2))), outcome
        if what in ("refused", "not read"):
            assert len(numbers) == before, outcome
        elif what == "can be seen":
            assert len(numbers) == before + 1, outcome
            assert f"Promotion {before + 1} can" in outcome["said"], outcome
        assert outcome["then"] == list(range(1, len(outcome["then"]) + 1)), outcome
    return Counter(map(kind, outcomes))


def check_appended(outcomes: list[Any]) -> Counter[str]:
    for outcome in outcomes:
        if kind(outcome) == "done":
            assert outcome["said"] == f"made promotion {outcome['before'] + 1}", outcome
            assert len(outcome["numbers"]) == outcome["before"] + 1, outcome
        assert outcome["following"] == f"made promotion {len(outcome['numbers']) + 1}", outcome
        assert outcome["left"] == [], outcome
    return check(outcomes)


def check_pruned(outcomes: list[Any]) -> Counter[str]:
    for outcome in outcomes:
        what, versions, pruned = kind(outcome), set(outcome["versions"]), set(outcome["pruned"])
        found = [1, 2, 3, 4, 5] if outcome["before"] == 2 else [2, 3, 4, 5]
        assert {3, 4, 5} <= versions <= set(found), outcome
        assert set(found) - versions <= pruned, outcome  # none is gone of which the log does not know it
        assert pruned in (set(), {1, 2}), outcome
        if what in ("refused", "not read", "can be seen"):
            assert versions == set(found), outcome
        if what in ("can be seen", "half removed"):
            assert pruned == {1, 2}, outcome
        if what == "done":
            assert versions == {3, 4, 5}, outcome
        assert outcome["remaining"] == [3, 4, 5], outcome
        assert outcome["left"] == [".withdrawn-2"], outcome  # the highest number that went stays taken
        assert outcome["then"] == [1, 2, 3], outcome  # what was noted is not noted again
        assert outcome["next"] == 6, outcome
    return check(outcomes)


def test_a_fault_at_any_call_of_an_append_shows_no_reader_half_an_entry(tmp_path: Path) -> None:
    outcomes = run("promoting", "patched", str(tmp_path), "append")
    counted = check_appended(outcomes)
    assert counted["killed"] > 60
    assert counted["refused"] > 40
    assert counted["can be seen"] >= 5
    assert counted["not read"] > 5
    assert counted["done"] > 0  # where a fault does no harm
    for reason in ("No space left on device", "Input/output error"):
        assert any(reason in outcome["said"] for outcome in outcomes)


def test_a_fault_at_any_call_of_a_prune_is_made_good_by_the_next(tmp_path: Path) -> None:
    counted = check_pruned(run("promoting", "patched", str(tmp_path), "prune"))
    assert counted["killed"] > 100
    assert counted["refused"] > 20
    assert counted["can be seen"] >= 3
    assert counted["half removed"] > 30


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_refuses_or_kills_at_some_calls_of_an_append(tmp_path: Path) -> None:
    """At calls drawn from all; `make soak` takes every one."""
    allowed = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"strace may not trace here: {allowed.stderr.strip()}")
    counted = check_appended(run("promoting", "sampled", str(tmp_path), "append"))
    assert counted["killed"] > 5
    assert counted["refused"] > 5


def test_a_promotion_is_durable_before_it_has_its_number_and_the_number_before_it_is_announced(tmp_path: Path) -> None:
    """A power failure is not made here; that every write has its fsync, and where, is."""
    for calls in run("promoting", "accounts", str(tmp_path), "append"):
        unsafe: set[str] = set()
        target = ""
        for name, path in calls:
            if name == "write":
                assert not target
                unsafe.add(path)
            elif name in ("create", "mkdir"):
                unsafe |= {path, str(Path(path).parent)} if name == "create" else {str(Path(path).parent)}
            elif name == "fsync":
                unsafe.discard(path)
            elif name == "link":
                source, target = path.split()
                assert source not in unsafe
                assert str(Path(target).parents[1]) not in unsafe  # holds the folder of the log, which may be new
                unsafe.add(str(Path(target).parent))
        assert target
        assert str(Path(target).parent) not in unsafe


def test_a_version_is_gone_for_good_before_its_files_are_removed(tmp_path: Path) -> None:
    """Else it might come back without them after a power failure."""
    for calls in run("promoting", "accounts", str(tmp_path), "prune"):
        renamed: set[str] = set()
        for name, path in calls:
            if name == "rename":
                renamed.add(path.split()[1])
            elif name == "fsync":
                renamed = {shell for shell in renamed if str(Path(shell).parent) != path}
            elif name == "unlink":
                assert str(Path(path).parent) not in renamed
        assert not renamed
