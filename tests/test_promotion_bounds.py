"""contract.promotion_log at its bounds: the largest entry, the last number, and what is open at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contract.errors import PromotionRefused
from contract.promotion_log import PromotionLog
from contract.promotions import Deployment
from tests.promoting import MODEL, promotion

MEGABYTE = 1 << 20


@pytest.fixture
def log(tmp_path: Path) -> PromotionLog:
    (tmp_path / MODEL).mkdir()
    return PromotionLog(tmp_path / MODEL)


def test_an_entry_has_a_megabyte_or_less(log: PromotionLog) -> None:
    def of(length: int) -> str:
        return "x" * (length - len(promotion(gate={"text": ""}).model_dump_json(indent=1)) - 1)

    largest = promotion(gate={"text": of(MEGABYTE)})
    found = log.append(largest, after=Deployment())
    assert (log.folder / "00000001.json").stat().st_size == MEGABYTE
    assert log.entry(1) == largest
    with pytest.raises(PromotionRefused, match=r"^The promotion has 1,048,577 bytes; 1,048,576 are allowed\.$"):
        log.append(promotion(gate={"text": of(MEGABYTE + 1)}), after=found)
    with (log.folder / "00000001.json").open("a") as file:
        file.write("\n")
    assert log.entry(1) is None


def test_the_last_number_is_taken(log: PromotionLog) -> None:
    found = log.append(promotion(version=3), after=replace(Deployment(), number=99_999_998))
    assert found.number == 99_999_999
    assert log.entry(99_999_999) == promotion(version=3)
    assert log.read().number == 99_999_999


def test_a_log_that_became_shorter_is_another_one_however_many_are_left(log: PromotionLog) -> None:
    known = Deployment()
    for version in (1, 2, 3, 4):
        known = log.append(promotion(version=version), after=known)
    for number in (4, 3):
        assert log.read(known).champions == (1, 2, 3, 4)[: known.number]
        (log.folder / f"{number:08}.json").unlink()
        assert log.read(known).champions == (1, 2, 3, 4)[: number - 1]
        known = log.read()


def test_nothing_stays_open(log: PromotionLog) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    found = log.append(promotion(version=1), after=Deployment())
    for _ in range(3):
        assert log.read() == found
    assert len([*Path("/proc/self/fd").iterdir()]) == before
