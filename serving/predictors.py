"""Predictors: a loaded version that answers rows, for requests on an event loop.

An ONNX graph answers inside the process: little work on the loop itself, more in a thread. A fitted object answers in
a child process, which takes together whatever arrived while it worked.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from contract.answers import Answers, Columns, count
from contract.child import Child
from contract.errors import ArtifactError, DeadlineExceeded, LecternError, ModelCrashed, PredictionFailed
from contract.formats.graph import Graph
from contract.golden import Model
from serving.predictor import Bounds
from serving.slots import Job
from serving.vitals import Vitals

ON_LOOP_S = 0.001
"""Longest time that a prediction may hold the event loop."""
MAX_BATCH_ROWS = 1_000
_HUNG = 0.5
"""A graph that has worked for this share of the longest time hangs; one that began late may only be slow."""


class InProcess:
    """Answers with a model inside this process."""

    waiting = 0

    def __init__(self, model: Model, sample: Columns, bounds: Bounds, vitals: Vitals | None = None) -> None:
        self._model = model
        self._timeout_s = bounds.timeout_s
        self._endless = isinstance(model, Graph) and model.loops
        self._rows_on_loop = 0 if self._endless else int(ON_LOOP_S / _seconds_a_row(model, sample))
        self.cheap = self._rows_on_loop > 0
        self.places, self.slots, self.vitals = bounds.places, bounds.slots, vitals or Vitals()
        self.users = 0
        self._retired = False

    def in_use(self) -> AbstractContextManager[None]:
        """Keep the model while a request reads its body and waits; told as cheaply as can be."""
        return self

    def __enter__(self) -> None:
        self.users += 1

    def __exit__(self, *exception: object) -> None:
        self.users -= 1
        if self._retired:
            self._let_go()

    async def answer(self, columns: Columns, within_s: float = float("inf")) -> Answers:
        """Answer n rows: on the loop when that is shorter than leaving it."""
        if count(columns) <= self._rows_on_loop:
            return self._model.answer(columns)
        within_s = min(within_s, self._timeout_s)
        job, stop = self._begun(columns)
        try:
            answers: Answers = await asyncio.wait_for(asyncio.wrap_future(job.future), within_s)
        except TimeoutError:
            raise self._given_up(job, columns, within_s) from None
        finally:
            stop()
        self.vitals.answered()
        return answers

    def answer_blocking(self, columns: Columns) -> Answers:
        """Answer n rows in the thread that asks; where they may take any time, in one that is stopped."""
        if not self._endless:
            return self._model.answer(columns)
        job, stop = self._begun(columns)
        try:
            answers: Answers = job.future.result(self._timeout_s)
        except TimeoutError:
            job.future.cancel()
            raise self._given_up(job, columns, self._timeout_s) from None
        finally:
            stop()
        self.vitals.answered()
        return answers

    def _begun(self, columns: Columns) -> tuple[Job, Callable[[], None]]:
        """The answering of rows, before requests that have not been read yet, and what has it stop."""
        answer, stop = self._model.stoppable() if isinstance(self._model, Graph) else (self._model.answer, _nothing)
        return self.slots.put(partial(answer, columns), begun=True), stop

    def _given_up(self, job: Job, columns: Columns, after_s: float) -> DeadlineExceeded:
        error = _too_late(after_s)
        if job.began is not None and time.monotonic() - job.began >= _HUNG * self._timeout_s:
            self.vitals.died(error)
            self.vitals.lost(columns, error)
        return error

    def retire(self) -> None:
        """Let go of the model once nobody uses it."""
        self._retired = True
        self._let_go()

    def _let_go(self) -> None:
        if not self.users:
            self._model = _Gone()


class _Gone:
    """Stands for a model that was let go of."""

    def answer(self, columns: Columns) -> Answers:  # noqa: ARG002  # as models have it
        raise PredictionFailed("The version does not answer any more.")


@dataclass(frozen=True, slots=True)
class _Request:
    columns: Columns
    rows: int
    future: Future[Answers]
    until: float
    """When nobody waits for it any more (monotonic seconds)."""

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return not self.future.cancelled() and time.monotonic() < self.until

    def settle(self, outcome: Answers | Exception) -> None:
        with contextlib.suppress(InvalidStateError, RuntimeError):  # who asked hung up, or the loop is gone
            if isinstance(outcome, Exception):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)


class InChild:
    """Answers with a model in a child process, which is replaced when it dies.

    The first request goes at once; what arrives while the child works forms the next batch. A batch that fails is
    asked again request by request, so that one poisonous row harms nobody else.
    """

    cheap = False

    def __init__(self, child: Child, start: Callable[[], Child], bounds: Bounds, vitals: Vitals | None = None) -> None:
        self._child: Child | None = child
        self._start = start
        self._timeout_s = bounds.timeout_s
        self.places, self.slots, self.vitals = bounds.places, bounds.slots, vitals or Vitals()
        self._counts = self.vitals.counts
        self.users = 0
        self._retired = False
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lectern-child", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the child while a request reads its body and waits."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            self._end_if_done()

    @property
    def waiting(self) -> int:
        """Requests that the child has not been given yet."""
        return self._requests.qsize()

    async def answer(self, columns: Columns, within_s: float = float("inf")) -> Answers:
        """Answer n rows."""
        within_s = min(within_s, self._timeout_s)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._asked(columns, within_s)), within_s)
        except TimeoutError:
            raise _too_late(within_s) from None

    def answer_blocking(self, columns: Columns) -> Answers:
        """Answer n rows, waiting for their turn."""
        try:
            return self._asked(columns, self._timeout_s).result(self._timeout_s)
        except TimeoutError:
            raise _too_late(self._timeout_s) from None

    def _asked(self, columns: Columns, within_s: float) -> Future[Answers]:
        future: Future[Answers] = Future()
        self._requests.put(_Request(columns, count(columns), future, time.monotonic() + within_s))
        return future

    def retire(self) -> None:
        """End the child once nobody uses it."""
        self._retired = True
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._retired and not self.users:
            self._requests.put(None)

    def _work(self) -> None:
        last = False
        while not last:
            if self._child is None:  # not while somebody waits for it
                with contextlib.suppress(LecternError):
                    self._child = self._started()
            batch: list[_Request] = []
            rows = 0
            while rows < MAX_BATCH_ROWS and (not batch or not self._requests.empty()):
                request = self._requests.get()
                if request is None:
                    last = True
                    break
                batch.append(request)
                rows += request.rows
            self._answer_all(batch)
        if self._child is not None:
            self._child.close()

    def _answer_all(self, batch: list[_Request]) -> None:
        batch = [request for request in batch if request.wanted]
        if not batch:
            return
        columns = _joined(batch)
        try:
            answers = self._ask(columns)
        except Exception as error:  # noqa: BLE001  # whatever it is: who asked is told, and the thread goes on
            hung = isinstance(error, DeadlineExceeded)  # then nobody waits for any of it
            if hung or (isinstance(error, ModelCrashed) and len(batch) == 1):
                self.vitals.lost(columns, error)
            if len(batch) == 1 or hung:
                for request in batch:
                    request.settle(error)
            else:
                for request in batch:
                    self._answer_all([request])
            return
        self.vitals.answered()
        begin = 0
        for request in batch:
            request.settle(answers.take(range(begin, begin + request.rows)))
            begin += request.rows

    def _ask(self, columns: Columns) -> Answers:
        if self._child is None:
            self._child = self._started()
        self._counts.asked(count(columns))
        try:
            return self._child.answer(columns)
        except (ModelCrashed, DeadlineExceeded) as error:
            self._child = None
            self.vitals.died(error)
            raise

    def _started(self) -> Child:
        self._counts.restarts += 1
        try:
            return self._start()
        except (ArtifactError, OSError) as error:
            raise PredictionFailed(f"The model's process could not be started again: {error}") from error


def _too_late(timeout_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"The model did not answer within {timeout_s:g} s.")


def _nothing() -> None:
    """What cannot be stopped is waited for."""


def _joined(batch: list[_Request]) -> Columns:
    if len(batch) == 1:
        return batch[0].columns
    return {name: [value for request in batch for value in request.columns[name]] for name in batch[0].columns}


def _seconds_a_row(model: Model, sample: Columns) -> float:
    """The time one row takes, the best of a few tries."""
    row: dict[str, Any] = {name: values[:1] for name, values in sample.items()}
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        model.answer(row)
        best = min(best, time.perf_counter() - began)
    return max(best, 1e-7)
