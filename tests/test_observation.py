"""serving.observation, serving.tally and serving.metrics: what was answered is counted, and nobody waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from contract.answers import Answers
from contract.signature import Output
from serving import observation
from serving.loading import Served
from serving.metrics import BOUNDS_S, MOST_CLASSES, MOST_FIELDS, SHEET, Batches, Counts, Sheet
from serving.observation import Observation
from serving.observed import Observed, Observer
from serving.replies import Reply
from serving.vitals import Vitals
from tests.live import until

CLASSES = Output(task="classification", labels=(0, 1), classes=("no", "yes"))
LABELS = Output(task="multilabel", labels=("a", "b"), classes=("a", "b"))
NUMBER = Output(task="regression")


@dataclass(eq=False)
class Version:
    """What is looked at of a version."""

    counts: Counts
    manifest: Any


def version(sheet: Sheet, output: Output = CLASSES, names: Sequence[str] = ("width",)) -> Served:
    """A version, as far as what is counted of it depends on it."""
    signature = SimpleNamespace(output=output, names=names)
    return cast("Served", Version(sheet.of("iris", 1), SimpleNamespace(signature=signature)))


def reply(*values: Any, unlike: Any = None) -> Reply:
    return Reply(b"", [{}] * len(values), Answers(list(values)), unlike or {}, "id", len(values) > 1)


def offer(
    seen: Observation,
    served: Served,
    status: int,
    seconds: float,
    given: Reply | None = None,
    path: str = "/models/iris/predict",
) -> None:
    """Have a request observed that took some seconds."""
    seen.offer(served, {"type": "http", "path": path, "headers": []}, "id", status, perf_counter() - seconds, given)


def test_requests_rows_classes_and_warnings_are_counted() -> None:
    seen = Observation()
    served = version(seen.sheet)
    warning = {"field": "width", "kind": "out_of_range", "message": "…"}
    seen.start()
    offer(seen, served, 200, 0.0003, reply("yes", "no", "yes", unlike={0: [warning], 2: [warning]}))
    offer(seen, served, 422, 0.0001)
    offer(seen, served, 500, 20.0)
    offer(seen, served, 0, 0.001)
    seen.stop()
    assert served.counts.statuses == {0: 1, 2: 1, 4: 1, 5: 1}
    assert served.counts.rows == 3
    assert served.counts.predictions == {"yes": 2, "no": 1}
    assert served.counts.warnings == {"width": 2}
    assert served.counts.buckets[3] == 1
    assert served.counts.seconds == pytest.approx(20.0014, abs=0.01)


def test_requests_are_counted_by_the_alias_that_answered() -> None:
    seen = Observation()
    served = version(seen.sheet)
    seen.start()
    for path in ("/predict", "/models/iris/predict", "/models/iris@staging/predict", "/models/iris/versions/1/predict"):
        offer(seen, served, 200, 0.001, path=path)
    seen.stop()
    requests = {alias: statuses[2] for alias, statuses in served.counts.aliases.items()}
    assert requests == {"champion": 2, "staging": 1, "": 1}


@pytest.mark.parametrize(
    ("output", "values", "expected"),
    [
        (LABELS, (["a", "b"], [], ["b"]), {"a": 1, "b": 2}),
        (NUMBER, (1.0, 2.0), {}),
        (Output(task="classification", labels=(0, 1), classes=(False, True)), (True, True), {"true": 2}),
    ],
)
def test_predictions_are_counted_by_class(output: Output, values: Any, expected: dict[str, int]) -> None:
    seen = Observation()
    served = version(seen.sheet, output)
    seen.start()
    offer(seen, served, 200, 0.1, reply(*values))
    seen.stop()
    assert served.counts.predictions == expected


def test_what_the_queue_cannot_take_is_counted_but_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "MOST_ROWS", 3)
    seen = Observation()
    served = version(seen.sheet)
    for _ in range(4):
        offer(seen, served, 200, 0.1, reply("yes", "no"))  # the second one still finds room
    seen.start()
    seen.stop()
    assert (served.counts.statuses[2], served.counts.rows) == (4, 8)
    assert served.counts.predictions == {"yes": 2, "no": 2}
    assert seen.sheet.dropped == 4
    assert next(seen.sheets()).dropped == 4


def test_the_queue_takes_more_once_it_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "MOST_ROWS", 3)
    seen = Observation()
    served = version(seen.sheet)
    seen.start()
    for number in range(1, 6):
        offer(seen, served, 200, 0.1, reply("yes", "no"))
        until(lambda: served.counts.rows == 2 * number)  # noqa: B023  # it is waited for at once
        until(lambda: seen._offered == seen._taken)
    seen.stop()
    assert seen.sheet.dropped == 0


def test_not_many_requests_nor_rows_are_looked_at_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sizes(Observer):
        seen: ClassVar[list[list[int]]] = []

        def see(self, some: Sequence[Observed]) -> None:
            self.seen.append([one.rows for one in some])

    monkeypatch.setattr(observation, "_AT_ONCE", 3)
    monkeypatch.setattr(observation, "_ROWS_AT_ONCE", 4)
    seen = Observation()
    seen.observers.append(Sizes())
    served = version(seen.sheet)
    for rows in (1, 1, 1, 1, 3, 9, 1):
        offer(seen, served, 200, 0.1, reply(*["yes"] * rows))
    seen.start()
    seen.stop()
    assert Sizes.seen == [[1, 1, 1], [1, 3], [9], [1]]


def test_of_too_many_classes_and_fields_the_first_keep_their_names() -> None:
    names = tuple(f"c{number}" for number in range(MOST_CLASSES + 5))
    fields = tuple(f"f{number}" for number in range(MOST_FIELDS + 5))
    seen = Observation()
    served = version(seen.sheet, Output(task="classification", labels=names, classes=names), fields)
    seen.start()
    offer(seen, served, 200, 0.1, reply(*names, unlike={0: [{"field": name} for name in fields]}))
    seen.stop()
    assert served.counts.predictions == dict.fromkeys(names[:MOST_CLASSES], 1) | {"other": 5}
    assert served.counts.warnings == dict.fromkeys(fields[:MOST_FIELDS], 1) | {"other": 5}


def test_what_is_so_at_the_moment_is_in_the_sheet() -> None:
    predictor = SimpleNamespace(users=3, waiting=2, vitals=Vitals())
    seen = Observation(loaded=lambda: [cast("Served", SimpleNamespace(model="iris", version=1, predictor=predictor))])
    offer(seen, version(seen.sheet), 200, 0.1, reply("yes", "no"))
    [sheet] = seen.sheets()
    gauges = sheet.gauges
    assert (gauges.in_flight, gauges.waiting, gauges.unobserved) == ({"iris": {1: 3}}, {"iris": {1: 2}}, 2)


def test_workers_leave_their_counts_for_each_other(tmp_path: Path) -> None:
    mine, other = Observation(tmp_path), Observation(tmp_path)
    served = version(mine.sheet)
    mine.start()
    offer(mine, served, 200, 0.001, reply("yes"))
    mine.stop()
    [file] = tmp_path.glob("counts-*.json")
    left = SHEET.validate_json(file.read_bytes())
    assert left == mine.sheet
    assert left.ended
    other.stop()
    assert SHEET.validate_json(file.read_bytes()) == other.sheet  # a process has one file


def test_a_folder_that_is_gone_stops_nothing_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Observation(tmp_path / "gone")
    served = version(seen.sheet)
    seen.start()
    offer(seen, served, 200, 0.1, reply("yes"))
    until(lambda: served.counts.rows)
    offer(seen, served, 200, 0.1, reply("yes"))
    seen.stop()
    assert served.counts.rows == 2
    assert sum(sheet.of("iris", 1).rows for sheet in seen.sheets()) == 2
    assert caplog.messages == ["The counts of this worker cannot be written: No such file or directory."]


def test_all_that_is_counted_can_be_added_up() -> None:
    total = Sheet()
    for _ in range(2):
        one = Sheet(dropped=1, lines_dropped=2, deaths=Counter(crash=2, memory=1), damaged=4, counted_apart=5)
        one.refused["row_quota"] += 6
        one.routes["GET /x 2xx"] += 5
        counts = one.of("iris", 1)
        counts.requests(200, [0.001, 20.0], 7, "champion")
        counts.requests(500, [0.001], 0)
        counts.predictions["yes"] += 1
        counts.warnings["width"] += 1
        counts.failures["load_failed"] += 1
        counts.loads, counts.swaps = 1, 2
        counts.batches.restarts += 1
        counts.batches.asked(3)
        one.gauges.in_flight = {"iris": {1: 2}}
        one.gauges.lag_s = 0.5
        total.add(SHEET.validate_json(SHEET.dump_json(one)))
    found = total.of("iris", 1)
    assert found.statuses == {0: 0, 2: 4, 4: 0, 5: 2}
    assert found.aliases["champion"][2] == 4
    assert (found.rows, sum(found.buckets), found.buckets[-1]) == (14, 6, 2)
    assert (found.loads, found.swaps, found.failures) == (2, 4, {"load_failed": 2})
    assert found.batches == Batches(2, 6, [0, 0, 2, *[0] * 8])
    assert (total.dropped, total.lines_dropped, total.damaged) == (2, 4, 8)
    assert total.deaths == {"crash": 4, "memory": 2}
    assert (total.counted_apart, total.refused) == (10, {"row_quota": 12})
    assert total.routes == {"GET /x 2xx": 10}
    assert (total.gauges.in_flight, total.gauges.lag_s) == ({"iris": {1: 4}}, 0.5)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (50e-6, 0), (51e-6, 1), (10.0, 16), (11.0, len(BOUNDS_S))])
def test_a_latency_falls_into_the_bucket_that_ends_above_it(seconds: float, bucket: int) -> None:
    counts = Counts()
    counts.requests(200, [seconds], 1)
    assert counts.buckets.index(1) == bucket
