"""serving.cores: what a container may use of a machine."""

import os
from pathlib import Path

import pytest

from serving import cores


@pytest.mark.parametrize(
    ("quota", "found"),
    [
        ("max 100000\n", 8),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("150000 100000\n", 2),
        ("6400000 100000\n", 8),
        ("0 100000\n", 1),
        ("100000 0\n", 8),
        ("100000\n", 8),
        ("viel\n", 8),
        (None, 8),
    ],
)
def test_a_share_of_the_time_counts_as_the_cores_that_it_fills(
    quota: str | None, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        cores.QUOTA.write_text(quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    assert cores.usable_cores() == found


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system keeps no process on a core")
def test_a_process_that_is_kept_on_one_core_has_one() -> None:
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    try:
        assert cores.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, usual)


@pytest.mark.parametrize(("counted", "found"), [(4, 4), (None, 1)])
def test_where_nothing_says_which_cores_it_may_use_all_are(
    counted: int | None, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: counted)
    assert cores.usable_cores() == found
