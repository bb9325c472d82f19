"""The publish protocol under faults: whatever system call fails or is the last, a reader sees whole versions only."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults import run


def kind(outcome: dict[str, Any]) -> str:
    """What became of a publish that met a fault, by what was said and not by what is there."""
    said = outcome["said"]
    if not said:
        return "killed"
    if re.fullmatch(r"published \d", said):
        return "published"
    assert re.match("(PublishFailed|OSError): ", said), outcome
    if found := re.search(r"Version \d (was taken back|is whole and can be seen)", said):
        return found[1]
    return "refused"


def check(outcomes: list[Any]) -> Counter[str]:
    """Hold each outcome to the protocol; return how many there are of each kind."""
    for outcome in outcomes:
        what, before, versions = kind(outcome), outcome["before"], outcome["versions"]
        number = len(before) + 1
        assert outcome["damage"] == [], outcome
        if what == "killed":
            assert versions in (before, [*before, number]), outcome
        elif what in ("published", "is whole and can be seen"):
            assert versions == [*before, number], outcome
            assert f"ublished {number}" in outcome["said"] or f"Version {number} is" in outcome["said"], outcome
        else:
            assert versions == before, outcome

        withdrawn = f"iris/.withdrawn-{number}"
        used = versions != before or withdrawn in outcome["left"]
        assert (withdrawn in outcome["left"]) == (what == "was taken back"), outcome
        assert outcome["following"] == f"published {number + used}", outcome  # no number is used twice
        lasting = what == "killed" or " from " in outcome["fault"]
        assert lasting or set(outcome["left"]) <= {withdrawn}, outcome  # nothing is left to clean away
    return Counter(map(kind, outcomes))


def test_a_fault_at_any_call_of_a_publish_shows_no_reader_half_a_version(tmp_path: Path) -> None:
    outcomes = run("publishing", "patched", str(tmp_path))
    counted = check(outcomes)
    assert counted["killed"] > 200
    assert counted["refused"] > 100
    assert counted["was taken back"] >= 4
    assert counted["is whole and can be seen"] >= 2  # the disk broke when the name was made durable, and for good
    assert counted["published"] > 0  # where a fault does no harm
    assert {"No space left on device", "Input/output error"} <= {
        found[1] for outcome in outcomes if (found := re.search(r": ([^:]+)\. Nothing became visible", outcome["said"]))
    }


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_refuses_or_kills_at_some_calls_of_a_publish(tmp_path: Path) -> None:
    """At calls drawn from all; `make soak` takes every one."""
    allowed = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"strace may not trace here: {allowed.stderr.strip()}")
    counted = check(run("publishing", "sampled", str(tmp_path)))
    assert counted["killed"] > 20
    assert counted["refused"] > 20


def test_a_version_is_durable_before_it_has_its_name_and_the_name_before_it_is_announced(tmp_path: Path) -> None:
    """A power failure is not made here; that every write has its fsync, and where, is."""
    for calls in run("publishing", "accounts", str(tmp_path)):
        unsafe: set[str] = set()
        renamed = False
        for name, path in calls:
            if name == "write":
                assert not renamed
                unsafe.add(path)
            elif name in ("create", "mkdir"):
                unsafe |= {path, str(Path(path).parent)} if name == "create" else {str(Path(path).parent)}
            elif name == "fsync":
                unsafe.discard(path)
            elif name == "rename":
                source, target = path.split()
                assert not [path for path in unsafe if path.startswith(source)]
                assert str(Path(target).parents[1]) not in unsafe  # holds the model's folder, which may be new
                unsafe.add(str(Path(target).parent))
                renamed = True
        assert renamed
        assert str(Path(target).parent) not in unsafe
