"""The shadow: what the challenger says to copies is compared, beside the requests, at a bounded cost."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from serving.agreement import MOST_KEPT, Agreement, Agreements
from serving.loading import Served, load
from serving.replies import Reply
from serving.settings import ServeSettings
from serving.shadow import MOST_WAITING, Shadow, Shadows
from tests.live import PATIENCE_S, WAITS, Times, publish, publish_graph, until

SETTINGS = ServeSettings(predict_timeout_s=5)


class Moody:
    """Doubles, fails at negative numbers, and waits where it is told to."""

    def predict(self, frame: Any) -> Any:
        x = frame["x"].to_numpy()
        if (x < 0).any():
            raise ValueError("negative")
        return x * 2


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    """Versions that multiply by 2, by 2.002 and by 3, and one that doubles and can fail."""
    store = Store(tmp_path_factory.mktemp("shadow") / "store")
    for factor in (2.0, 2.002, 3.0):
        publish_graph(store, "times", factor)
    publish(store, "times", Moody())
    found = [load("times", number, store.artifact("times", number), SETTINGS, tried=True) for number in range(1, 5)]
    yield found
    for served in found:
        served.predictor.retire()


def answered(served: Served, *values: float, request_id: str = "r") -> Reply:
    """What the service replies to some rows."""
    rows = [{"x": value} for value in values]
    return Reply(b"", rows, served.predictor.answer_blocking({"x": list(values)}), {}, request_id, len(rows) > 1)


def compared(
    champion: Served, challenger: Served, *replies: Reply, inputs: bool = True, withheld: bool = False
) -> Agreement:
    agreement = Agreement("times", champion.version, challenger.version)
    shadow = Shadow(champion, challenger, agreement, inputs=inputs)
    try:
        rows = sum(len(reply.rows) for reply in replies)
        for reply in replies:
            shadow.offer(reply, withheld=withheld)
        until(lambda: agreement.rows + agreement.failed + agreement.left_out == rows)
    finally:
        shadow.stop()
    return agreement


def test_two_that_say_the_same_agree(versions: list[Served]) -> None:
    found = compared(versions[0], versions[1], *(answered(versions[0], float(n), n + 0.5) for n in range(1, 21)))
    assert (found.rows, found.agreeing, found.failed, list(found.differing)) == (40, 40, 0, [])
    assert found.largest == pytest.approx(0.002 * 20.5)
    assert found.difference == pytest.approx(0.002 * sum(n + (n + 0.5) for n in range(1, 21)))
    assert found.seconds > 0


def test_rows_that_differ_are_kept_with_both_answers(versions: list[Served]) -> None:
    one, two = answered(versions[0], 1.0, request_id="a"), answered(versions[0], 0.0, 5.0, request_id="b")
    found = compared(versions[0], versions[2], one, two)
    assert (found.rows, found.agreeing) == (3, 1)
    assert list(found.differing) == [
        {"id": "a", "input": {"x": 1.0}, "champion": 2.0, "challenger": 3.0},
        {"id": "b-1", "input": {"x": 5.0}, "champion": 10.0, "challenger": 15.0},
    ]


def test_inputs_are_kept_only_where_the_policy_says_so(versions: list[Served]) -> None:
    found = compared(versions[0], versions[2], answered(versions[0], 1.0), inputs=False)
    assert list(found.differing) == [{"id": "r", "input": {}, "champion": 2.0, "challenger": 3.0}]


def test_of_what_its_caller_wants_withheld_nothing_but_numbers_is_kept(versions: list[Served]) -> None:
    found = compared(versions[0], versions[2], answered(versions[0], 1.0), withheld=True)
    assert (found.rows, found.agreeing, list(found.differing)) == (1, 0, [])


def test_a_sensitive_field_is_never_kept(versions: list[Served]) -> None:
    signature = versions[0].manifest.signature
    hidden = signature.model_copy(update={"inputs": (signature.inputs[0].model_copy(update={"sensitive": True}),)})
    champion = replace(versions[0], manifest=versions[0].manifest.model_copy(update={"signature": hidden}))
    found = compared(champion, versions[2], answered(versions[0], 1.0))
    assert list(found.differing) == [{"id": "r", "input": {}, "champion": 2.0, "challenger": 3.0}]


def test_no_more_rows_are_kept_than_fit(versions: list[Served]) -> None:
    found = compared(versions[0], versions[2], *(answered(versions[0], float(n)) for n in range(1, MOST_KEPT + 20)))
    assert found.rows == MOST_KEPT + 19
    assert len(found.differing) == MOST_KEPT
    assert found.differing[-1]["input"] == {"x": MOST_KEPT + 19.0}


def test_a_row_that_the_challenger_fails_at_fails_alone(versions: list[Served]) -> None:
    found = compared(versions[0], versions[3], *(answered(versions[0], float(n)) for n in (1, 2, -3, 4)))
    assert (found.rows, found.agreeing, found.failed) == (3, 3, 1)


def test_what_comes_too_fast_is_left_out(versions: list[Served]) -> None:
    agreement = Agreement("times", 1, 4)
    shadow = Shadow(versions[0], versions[3], agreement)
    reply = answered(versions[0], *map(float, range(100)))
    for _ in range(50):  # none of it waits for the challenger, which is a process away
        shadow.offer(reply)
    assert agreement.left_out >= 5_000 - MOST_WAITING - 1_000
    until(lambda: agreement.rows + agreement.left_out == 5_000)
    shadow.stop()
    until(lambda: not any(thread.name == "lectern-shadow" for thread in threading.enumerate()))


def test_what_has_been_compared_makes_room(versions: list[Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.shadow._REST", 0)
    agreement = Agreement("times", 1, 2)
    shadow = Shadow(versions[0], versions[1], agreement)
    reply = answered(versions[0], *map(float, range(MOST_WAITING)))
    for times in (1, 2, 3):
        shadow.offer(reply)
        until(lambda: agreement.rows + agreement.left_out == times * MOST_WAITING)  # noqa: B023
    shadow.stop()
    assert agreement.left_out == 0


def test_what_is_asked_of_a_challenger_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_graph(store, "times")
    publish(store, "times", Times(2.0, tmp_path))
    settings = ServeSettings(predict_timeout_s=1)
    one, other = (load("times", number, store.artifact("times", number), settings, tried=True) for number in (1, 2))
    agreement = Agreement("times", 1, 2)
    shadow = Shadow(one, other, agreement)
    shadow.offer(answered(one, WAITS))
    until(lambda: (tmp_path / "asked").exists() and str(WAITS) in (tmp_path / "asked").read_text())
    shadow.stop()
    other.predictor.retire()
    (thread,) = (found for found in threading.enumerate() if found is shadow._thread)
    thread.join(PATIENCE_S)
    assert (agreement.rows, agreement.failed) == (0, 0)
    (tmp_path / "go").touch()


def test_a_comparison_that_took_long_does_not_rest_once_it_is_stopped(
    versions: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.shadow._REST", 1e9)
    agreement = Agreement("times", 1, 2)
    shadow = Shadow(versions[0], versions[1], agreement)
    shadow.offer(answered(versions[0], 1.0))
    until(lambda: agreement.rows == 1)
    shadow.stop()
    shadow._thread.join(PATIENCE_S)
    assert not shadow._thread.is_alive()


def test_comparisons_follow_what_is_wanted(versions: list[Served]) -> None:
    agreements = Agreements()
    shadows = Shadows(agreements)
    shadows.follow({versions[0]: versions[1]})
    first = shadows.by_champion[versions[0]]
    shadows.follow({versions[0]: versions[1]})
    assert shadows.by_champion[versions[0]] is first
    shadows.follow({versions[0]: versions[2]})
    assert shadows.by_champion[versions[0]] is not first
    assert sorted(agreements.pairs) == ["times 1 2", "times 1 3"]
    shadows.follow({})
    assert shadows.by_champion == {}
    until(lambda: not any(thread.name == "lectern-shadow" for thread in threading.enumerate()))


def test_the_counts_of_several_workers_add_up() -> None:
    total = Agreements()
    for seen, rows in ((1.0, 3), (5.0, 4)):
        worker = Agreements()
        one = worker.of("iris", 1, 2)
        one.seen, one.rows, one.agreeing, one.largest, one.difference = seen, rows, 2, seen, 0.5
        one.said["a → b"] = rows
        one.differing.append({"id": str(seen)})
        total.add(worker)
    found = total.last("iris")
    assert found is not None
    assert (found.rows, found.agreeing, found.largest, found.difference, found.seen) == (7, 4, 5.0, 1.0, 5.0)
    assert (found.said["a → b"], [row["id"] for row in found.differing]) == (7, ["1.0", "5.0"])
    assert total.last("cardio") is None
