"""serving.predictors: batching changes no answer, and what goes wrong for one request goes wrong for no other."""

import asyncio
import contextlib
import os
import resource
import shutil
import threading
import weakref
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.answers import Answers, Columns
from contract.errors import DeadlineExceeded, ModelCrashed, PredictionFailed
from contract.store import Store
from serving.loading import load
from serving.predictor import Predictor
from serving.predictors import InChild, InProcess
from serving.settings import ServeSettings
from tests.live import DIES, HANGS, RAISES, WAITS, Times, model_processes, processes, publish, publish_graph, until

T = TypeVar("T")
NOT_AGAIN = r"^The model's process could not be started again: "


def x(*values: float) -> Columns:
    return {"x": list(values)}


@contextmanager
def in_child(folder: Path, timeout_s: float = 60) -> Iterator[tuple[InChild, Path]]:
    """A predictor of three times x, and the folder in which its model writes down what it is asked."""
    before = set(children())
    store = Store(folder / "store")
    number = publish(store, "thrice", Times(3.0, folder))
    served = load("thrice", number, store.artifact("thrice", number), ServeSettings(predict_timeout_s=timeout_s))
    assert isinstance(served.predictor, InChild)
    (folder / "asked").unlink()
    try:
        yield served.predictor, folder
    finally:
        own = set(children()) - before
        served.predictor.retire()
        until(lambda: not own & set(processes()))


@pytest.fixture(scope="module")
def thrice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InChild, Path]]:
    """One for all tests that leave its process alive."""
    with in_child(tmp_path_factory.mktemp("thrice")) as found:
        yield found


def children() -> list[int]:
    return model_processes(os.getpid())


async def busy(predictor: Predictor, notes: Path) -> asyncio.Task[Answers]:
    """A request that the model works on until the file `go` is there."""
    (notes / "go").unlink(missing_ok=True)
    (notes / "asked").unlink(missing_ok=True)
    task = asyncio.create_task(predictor.answer(x(WAITS)))
    await asyncio.to_thread(until, (notes / "asked").exists)
    return task


async def together(predictor: Predictor, notes: Path, requests: list[Columns]) -> list[Answers | BaseException]:
    """What requests get that arrive while the model is busy."""
    first = await busy(predictor, notes)
    tasks = [asyncio.create_task(predictor.answer(columns)) for columns in requests]
    await asyncio.sleep(0)
    (notes / "go").touch()
    assert await first == Answers([3 * WAITS])
    return await asyncio.gather(*tasks, return_exceptions=True)


def asked(notes: Path) -> list[str]:
    """What the model was asked, batch by batch."""
    return (notes / "asked").read_text().splitlines()


def run(work: Awaitable[T]) -> T:
    """Run something on an event loop, but not for ever."""

    async def bounded() -> T:
        return await asyncio.wait_for(work, 120)

    return asyncio.run(bounded())


# --- in a child process


REQUESTS = st.lists(st.lists(st.integers(20, 600).map(float), min_size=1, max_size=4), min_size=1, max_size=20)


def test_what_arrives_while_the_model_works_is_asked_together_and_answered_as_if_alone(
    thrice: tuple[InChild, Path],
) -> None:
    predictor, notes = thrice

    @given(requests=REQUESTS)
    @settings(max_examples=30)
    def same(requests: list[list[float]]) -> None:
        answers = run(together(predictor, notes, [x(*values) for values in requests]))
        assert answers == [Answers([3 * value for value in values]) for values in requests]
        assert asked(notes) == [str([WAITS]), str([value for values in requests for value in values])]

    same()


def test_a_batch_is_not_larger_than_it_may_be(thrice: tuple[InChild, Path]) -> None:
    requests = [x(*[float(n)] * 400) for n in range(20, 26)]
    answers = run(together(*thrice, requests))
    assert answers == [Answers([3.0 * n] * 400) for n in range(20, 26)]
    assert [line.count(",") + 1 for line in asked(thrice[1])] == [1, 1200, 1200]


def test_a_row_that_the_model_refuses_fails_alone(thrice: tuple[InChild, Path]) -> None:
    rows = [*map(float, range(20, 27)), RAISES, *map(float, range(27, 39))]
    answers = run(together(*thrice, [x(row) for row in rows]))
    with pytest.raises(PredictionFailed, match=r"^The model raised ValueError on these rows\.$"):
        raise answers.pop(7)  # type: ignore[misc]  # else this fails
    assert answers == [Answers([3.0 * n]) for n in range(20, 39)]


def test_who_hangs_up_while_queued_harms_nobody_and_costs_the_model_nothing(thrice: tuple[InChild, Path]) -> None:
    predictor, notes = thrice

    async def ask() -> list[Answers]:
        first = await busy(predictor, notes)
        tasks = [asyncio.create_task(predictor.answer(x(float(n)))) for n in range(20, 30)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        (notes / "go").touch()
        await first
        return await asyncio.gather(*tasks[1::2])

    assert run(ask()) == [Answers([3.0 * n]) for n in range(21, 30, 2)]
    assert asked(notes) == [str([WAITS]), str([float(n) for n in range(21, 30, 2)])]


def test_who_hangs_up_in_the_middle_of_an_answer_harms_nobody(thrice: tuple[InChild, Path]) -> None:
    predictor, notes = thrice

    async def ask() -> Answers:
        first = await busy(predictor, notes)
        second = asyncio.create_task(predictor.answer(x(20.0)))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        (notes / "go").touch()
        return await second

    assert run(ask()) == Answers([60.0])


def test_a_row_that_kills_the_model_fails_alone_and_the_next_is_answered(tmp_path: Path) -> None:
    before = set(children())
    with in_child(tmp_path) as (predictor, notes):
        [first] = set(children()) - before
        answers = run(together(predictor, notes, [x(row) for row in (20.0, 21.0, DIES, 23.0)]))
        with pytest.raises(ModelCrashed, match=r"^The process of the model died while it worked on these rows\.$"):
            raise answers.pop(2)  # type: ignore[misc]  # else this fails
        assert answers == [Answers([60.0]), Answers([63.0]), Answers([69.0])]
        assert run(predictor.answer(x(1.0))) == Answers([3.0])
        [last] = set(children()) - before
        assert first != last


def test_nobody_waits_longer_than_allowed_for_a_model_that_hangs_and_it_is_replaced(tmp_path: Path) -> None:
    async def ask(predictor: Predictor) -> list[Answers | BaseException]:
        hung = asyncio.create_task(predictor.answer(x(HANGS)))
        await asyncio.sleep(0.01)
        late = [asyncio.create_task(predictor.answer(x(HANGS))) for _ in range(5)]
        return await asyncio.gather(hung, *late, return_exceptions=True)

    before = set(children())
    with in_child(tmp_path, timeout_s=5) as (predictor, _):
        [first] = set(children()) - before
        for answer in run(ask(predictor)):
            with pytest.raises(DeadlineExceeded, match=r"^The model did not answer within 5 s\.$"):
                raise answer  # type: ignore[misc]  # else this fails
        until(lambda: set(children()) - before - {first})
        assert run(predictor.answer(x(2.0))) == Answers([6.0])


def test_retiring_answers_what_was_taken_then_ends_the_process(tmp_path: Path) -> None:
    async def ask(predictor: Predictor, notes: Path) -> list[Answers]:
        with predictor.in_use():  # as one that has found the version, and still reads its body
            first = await busy(predictor, notes)
            second = asyncio.create_task(predictor.answer(x(20.0)))
            await asyncio.sleep(0)
            predictor.retire()
            (notes / "go").touch()
            answers = [await first, await second]
            with predictor.in_use():
                answers.append(await predictor.answer(x(21.0)))
            return [*answers, await predictor.answer(x(22.0))]

    before, threads = set(children()), set(threading.enumerate())
    with in_child(tmp_path) as (predictor, notes):
        assert run(ask(predictor, notes)) == [Answers([3.0 * n]) for n in (WAITS, 20, 21, 22)]
        until(lambda: set(children()) <= before)
        until(lambda: set(threading.enumerate()) <= threads)


def test_a_model_that_cannot_be_started_again_says_so_until_it_can(tmp_path: Path) -> None:
    async def ask(predictor: Predictor) -> Answers:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with pytest.raises(ModelCrashed, match="died"):
                await predictor.answer(x(DIES))
            with pytest.raises(PredictionFailed, match=NOT_AGAIN + ".*Too many open files"):
                await predictor.answer(x(1.0))
            away = (tmp_path / "store").rename(tmp_path / "away")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        with pytest.raises(PredictionFailed, match=NOT_AGAIN):
            await predictor.answer(x(1.0))
        away.rename(tmp_path / "store")
        while True:
            with contextlib.suppress(PredictionFailed):
                return await predictor.answer(x(2.0))

    with in_child(tmp_path) as (predictor, _):
        assert run(ask(predictor)) == Answers([6.0])


# --- in this process


@pytest.fixture
def graph(store: Store) -> InProcess:
    number = publish_graph(store, "thrice", 3.0)
    predictor = load("thrice", number, store.artifact("thrice", number), ServeSettings()).predictor
    assert isinstance(predictor, InProcess)
    return predictor


@pytest.mark.parametrize("rows", [1, 2, 10_000])
def test_few_rows_are_answered_on_the_loop_and_many_beside_it(graph: InProcess, rows: int) -> None:
    async def ask() -> tuple[Answers, bool]:
        ran = False

        def other() -> None:
            nonlocal ran
            ran = True

        asyncio.get_running_loop().call_soon(other)
        return await graph.answer(x(*map(float, range(rows)))), ran

    answers, left_the_loop = run(ask())
    assert answers == Answers([3.0 * n for n in range(rows)])
    assert left_the_loop == (rows == 10_000)


def test_a_graph_that_takes_too_long_is_given_up(store: Store) -> None:
    number = publish_graph(store, "thrice", 3.0)
    settings = ServeSettings(predict_timeout_s=1e-6)
    predictor = load("thrice", number, store.artifact("thrice", number), settings).predictor
    with pytest.raises(DeadlineExceeded, match=r"^The model did not answer within 1e-06 s\.$"):
        run(predictor.answer(x(*[1.0] * 200_000)))
    assert run(predictor.answer(x(1.0))) == Answers([3.0])


def test_a_graph_survives_being_retired_and_its_folder(graph: InProcess, store: Store) -> None:
    shutil.rmtree(store.root)
    with graph.in_use():
        graph.retire()
        assert run(graph.answer(x(1.0))) == Answers([3.0])


def test_a_graph_is_let_go_of_once_no_request_uses_it(store: Store) -> None:
    number = publish_graph(store, "double", 2.0)
    served = load("double", number, store.artifact("double", number), ServeSettings())
    predictor, quick = served.predictor, served.quick is not None
    assert isinstance(predictor, InProcess)
    model = weakref.ref(predictor._model)
    with predictor.in_use():
        served.retire()
        assert predictor.answer_blocking(x(1.5)).values == [3.0]
    assert quick
    assert served.quick is None
    assert model() is None
    with pytest.raises(PredictionFailed, match=r"^The version does not answer any more\.$"):
        predictor.answer_blocking(x(1.5))
