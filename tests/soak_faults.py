"""The kernel refuses, or kills who asks, at every call of a publish and of an append; `make soak` runs it."""

from pathlib import Path

from tests.faults import run
from tests.test_promotion_faults import check_appended
from tests.test_publish_faults import check


def test_at_any_call_of_a_publish(tmp_path: Path) -> None:
    counted = check(run("publishing", "traced", str(tmp_path)))
    assert counted["killed"] > 100
    assert counted["refused"] > 100
    assert counted["was taken back"] >= 2


def test_at_any_call_of_an_append(tmp_path: Path) -> None:
    counted = check_appended(run("promoting", "traced", str(tmp_path), "append"))
    assert counted["killed"] > 30
    assert counted["refused"] > 20
    assert counted["can be seen"] >= 2
