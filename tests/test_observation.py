"""serving.observation and serving.metrics: what was answered is counted, also across workers and after they died."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from contract.answers import Answers
from contract.signature import Output
from serving import observation
from serving.loading import Served
from serving.metrics import BOUNDS_S, SHEET, Counts, Sheet, Standing, exposition
from serving.observation import Observation
from serving.replies import Reply
from tests.live import until

CLASSES = Output(task="classification", labels=(0, 1), classes=("no", "yes"))
LABELS = Output(task="multilabel", labels=("a", "b"), classes=("a", "b"))
NUMBER = Output(task="regression")


@dataclass(eq=False)
class Version:
    """What is looked at of a version."""

    counts: Counts
    manifest: Any


def version(sheet: Sheet, output: Output = CLASSES, model: str = "iris", number: int = 1) -> Served:
    """A version, as far as what is counted of it depends on it."""
    found = Version(sheet.of(model, number), SimpleNamespace(signature=SimpleNamespace(output=output)))
    return cast("Served", found)


def reply(*values: Any, unlike: Any = None) -> Reply:
    return Reply(b"", [{}] * len(values), Answers(list(values)), unlike or {}, "id", len(values) > 1)


def offer(seen: Observation, served: Served, status: int, seconds: float, given: Reply | None = None) -> None:
    """Have a request observed that took some seconds."""
    scope = {"type": "http", "path": "/models/iris/predict", "headers": []}
    seen.offer(served, scope, "id", status, perf_counter() - seconds, given)


def counted(text: str) -> dict[tuple[str, ...], float]:
    """The samples of an exposition by name and labels."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(text)
        for sample in family.samples
    }


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
    standing = {"iris": Standing({"champion": 1, "staging": 2}, {"checksum_mismatch": 2}, 1), "other": Standing({}, {})}
    content, kind = exposition(seen.sheets(), standing, "")
    found = counted(content.decode())
    assert kind.startswith("text/plain")
    assert found["lectern_requests_total", "iris", "2xx", "1"] == 1
    assert found["lectern_requests_total", "iris", "gone", "1"] == 1
    assert found["lectern_rows_total", "iris", "1"] == 3
    assert found["lectern_predictions_total", "iris", "yes", "1"] == 2
    assert found["lectern_warnings_total", "width", "iris", "1"] == 2
    assert found["lectern_request_seconds_bucket", "0.0005", "iris", "1"] == 2
    assert found["lectern_request_seconds_bucket", "+Inf", "iris", "1"] == 4
    assert found["lectern_request_seconds_sum", "iris", "1"] == pytest.approx(20.0014, abs=0.01)
    aliases = [found["lectern_alias_version", alias, "iris"] for alias in ("champion", "staging")]
    assert aliases == [1, 2]
    assert not any(name == "lectern_alias_version" and "other" in labels for name, *labels in found)
    assert found["lectern_versions_failed", "checksum_mismatch", "iris"] == 2
    damaged = [found["lectern_promotions_damaged", model] for model in ("iris", "other")]
    assert damaged == [1, 0]


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
    for _ in range(3):
        offer(seen, served, 200, 0.1, reply("yes", "no"))
    seen.start()
    seen.stop()
    assert (served.counts.statuses[2], served.counts.rows) == (3, 6)
    assert served.counts.predictions == {"yes": 1, "no": 1}
    assert seen.sheet.dropped == 4
    assert "lectern_unobserved_rows_total 4.0" in exposition(seen.sheets(), {}, "")[0].decode()


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


def test_workers_leave_their_counts_for_each_other_and_for_when_they_are_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Sheet()
    other.of("iris", 1).requests(200, [0.001], 5)
    other.of("iris", 2).predictions["yes"] += 1
    (tmp_path / "counts-1.json").write_bytes(SHEET.dump_json(other))
    (tmp_path / "counts-2.json").write_bytes(b"{")
    seen = Observation(tmp_path)
    seen.start()
    offer(seen, version(seen.sheet), 200, 0.001, reply("yes"))
    seen.stop()
    found = counted(exposition(seen.sheets(), {}, "")[0].decode())
    assert found["lectern_requests_total", "iris", "2xx", "1"] == 2
    assert found["lectern_rows_total", "iris", "1"] == 6
    assert found["lectern_predictions_total", "iris", "yes", "2"] == 1
    assert "The counts of another worker cannot be read: counts-2.json" in caplog.text
    [own] = [path for path in tmp_path.iterdir() if path.name not in ("counts-1.json", "counts-2.json")]
    assert SHEET.validate_json(own.read_bytes()) == seen.sheet


def test_a_folder_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen = Observation(tmp_path / "gone")
    served = version(seen.sheet)
    seen.start()
    offer(seen, served, 200, 0.1, reply("yes"))
    seen.stop()
    assert served.counts.rows == 1
    assert "The counts of this worker cannot be written: No such file or directory." in caplog.text


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    content, kind = exposition([Sheet()], {}, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (50e-6, 0), (51e-6, 1), (10.0, 16), (11.0, len(BOUNDS_S))])
def test_a_latency_falls_into_the_bucket_that_ends_above_it(seconds: float, bucket: int) -> None:
    counts = Counts()
    counts.requests(200, [seconds], 1)
    assert counts.buckets.index(1) == bucket
