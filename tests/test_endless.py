"""A graph whose rows decide how long it takes: never on the event loop, stopped at the deadline, and there again."""

import asyncio
import threading

import pytest

from contract.answers import Answers, Columns
from contract.errors import DeadlineExceeded
from contract.formats.graph import Graph
from contract.store import Store
from serving.loading import load
from serving.predictors import InProcess
from serving.settings import ServeSettings
from tests.endless import FOR_EVER, publish_loop
from tests.live import publish_graph, until

SOON = ServeSettings(predict_timeout_s=0.2, slots=1)


def of(store: Store, settings: ServeSettings = SOON) -> InProcess:
    number = publish_loop(store)
    predictor = load("endless", number, store.artifact("endless", number), settings).predictor
    assert isinstance(predictor, InProcess)
    return predictor


def test_a_loop_that_does_not_end_is_stopped_and_its_slot_is_free_again(store: Store) -> None:
    async def ask() -> Answers:
        predictor = of(store)
        for _ in range(3):
            with pytest.raises(DeadlineExceeded, match=r"^The model did not answer within 0\.2 s\.$"):
                await predictor.answer({"x": [FOR_EVER]})
        assert predictor.vitals.trouble.startswith("It is unhealthy: ")
        assert predictor.vitals.counts.deaths == {"deadline": 3}
        found = await asyncio.wait_for(predictor.answer({"x": [3.0]}), 60)  # the only slot
        assert predictor.vitals.trouble == ""
        return found

    assert asyncio.run(ask()) == Answers([6.0])
    until(lambda: not of_graphs())


def of_graphs() -> list[str]:
    """What threads of slots work on."""
    import sys

    frames = sys._current_frames()
    threads = [thread for thread in threading.enumerate() if thread.name == "lectern-slot"]
    return [str(frames[t.ident]) for t in threads if t.ident in frames and "graph.py" in str(frames[t.ident])]


def test_a_stream_that_meets_it_is_ended_as_well(store: Store) -> None:
    predictor = of(store)
    with pytest.raises(DeadlineExceeded):
        predictor.answer_blocking({"x": [FOR_EVER]})
    assert predictor.answer_blocking({"x": [3.0]}) == Answers([6.0])


def test_who_waits_less_does_not_count_against_it(store: Store) -> None:
    predictor = of(store, ServeSettings(predict_timeout_s=60, slots=1))

    async def ask() -> Answers:
        for _ in range(3):
            with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s\.$"):
                await predictor.answer({"x": [FOR_EVER]}, 0.05)
        return await predictor.answer({"x": [3.0]})

    assert asyncio.run(ask()) == Answers([6.0])
    assert predictor.vitals.healthy
    assert not predictor.vitals.counts.deaths


@pytest.mark.parametrize("kind", ["loops", "takes long"])
def test_no_model_call_that_may_take_long_is_made_by_the_thread_of_the_loop(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    callers = set[int]()
    answer = Graph.answer

    def noted(self: Graph, columns: Columns, *given: object, **named: object) -> Answers:
        callers.add(threading.get_ident())
        return answer(self, columns, *given, **named)

    if kind == "loops":
        predictor = of(store)
    else:
        monkeypatch.setattr("serving.predictors.ON_LOOP_S", 0.0)
        number = publish_graph(store, "slow")
        served = load("slow", number, store.artifact("slow", number), ServeSettings())
        assert served.quick is None
        assert isinstance(served.predictor, InProcess)
        predictor = served.predictor
    assert not predictor.cheap
    monkeypatch.setattr(Graph, "answer", noted)
    assert asyncio.run(predictor.answer({"x": [1.0]})) == Answers([2.0])
    assert callers
    assert threading.get_ident() not in callers
