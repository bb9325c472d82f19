"""The registry: turns a store into the snapshot of loaded versions that requests read, and keeps it up to date.

A thread looks at the store. A new version is loaded beside the one that answers, and takes its place by one
assignment; a version that must not be served stays out, and why is kept. What vanishes from the store goes on
answering.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from typing import TypeVar

from contract.errors import ArtifactError, LecternError, ModelNotFound, StoreError, VersionNotFound
from contract.store import Store
from serving.loading import Served, load
from serving.observation import Observation
from serving.settings import ServeSettings
from serving.snapshot import Failure, ModelState, Snapshot, routes
from serving.usage import Usage

RETRY_S = 5.0
STOP_S = 2.0
"""How long stopping waits for versions that are being loaded."""
_LOADS_AT_ONCE = 4

T = TypeVar("T")
log = logging.getLogger("lectern.registry")


class Registry:
    """The models of one store, for one event loop."""

    def __init__(self, store: Store, settings: ServeSettings) -> None:
        self.store = store
        self.settings = settings
        self.snapshot = Snapshot()
        self.observation = Observation(settings.shared_folder)
        self._usage = Usage(settings)
        self._changing = threading.Lock()
        self._loading: dict[str, Future[None]] = {}
        self._pinning: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._stopping = threading.Event()
        self._slots = threading.Semaphore(_LOADS_AT_ONCE)
        self._watcher = threading.Thread(target=self._watch, name="lectern-watch", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at the store; models appear in the snapshot as they are loaded."""
        self._loop = loop
        self._watcher.start()
        self.observation.start()

    def stop(self) -> None:
        """Stop looking, and let go of every version."""
        self._stopping.set()
        self._watcher.join(timeout=STOP_S)
        wait(self._loading.values(), timeout=STOP_S)
        with self._changing:
            served = [state.champion for state in self.snapshot.models.values() if state.champion]
            for version in (*served, *self.snapshot.pinned.values()):
                version.predictor.retire()
        self.observation.stop()

    @property
    def default_model(self) -> str | None:
        """The model behind `/predict`: the one that was set, else the only one there is."""
        return self._default(self.snapshot)

    def model(self, name: str) -> ModelState:
        """What is known of a model.

        Raises:
            ModelNotFound: nothing.
        """
        state = self.snapshot.models.get(name)
        if state is None:
            raise ModelNotFound(name, sorted(self.snapshot.models))
        return state

    def champion(self, name: str) -> Served:
        """The version of a model that answers.

        Raises:
            ModelNotFound: there is no such model.
            ArtifactError: none of its versions can be served (yet).
        """
        state = self.model(name)
        if state.champion is not None:
            return state.champion
        if state.failures:
            raise self._unservable(name, max(state.failures))
        raise ArtifactError(f"'{name}' is being loaded; ask again in a moment.")

    def _unservable(self, name: str, number: int) -> ArtifactError:
        reason = self.snapshot.models[name].failures[number].reason
        return ArtifactError(f"Version {number} of '{name}' cannot be served: {reason}")

    async def version(self, name: str, number: int) -> Served:
        """A version by number, loaded now if nobody has asked for it yet.

        Raises:
            ModelNotFound, VersionNotFound: there is none.
            ArtifactError: it must not be served.
        """
        key = (name, number)
        while True:
            state = self.model(name)
            if state.champion is not None and state.champion.version == number:
                return state.champion
            if key in self.snapshot.pinned:
                return self.snapshot.pinned[key]
            if number not in state.versions:
                raise VersionNotFound(name, number, state.versions)
            if number in state.failures and not _due(state.failures[number]):
                raise self._unservable(name, number)
            if key not in self._pinning:
                self._pinning[key] = asyncio.create_task(self._pin(name, number))
                self._pinning[key].add_done_callback(lambda _: self._pinning.pop(key))
            await asyncio.shield(self._pinning[key])  # who hangs up does not take it from the others

    async def _pin(self, name: str, number: int) -> None:
        try:
            served = await asyncio.wrap_future(self._in_thread(partial(self._load, name, number)))
        except Exception as error:
            with self._changing:
                self._fail(name, number, error)
            raise self._unservable(name, number) from error
        with self._changing:
            pinned = {**self.snapshot.pinned, (name, number): served}
            self._replace(pinned=pinned, models={**self.snapshot.models, name: self._recovered(name, number)})
            gone = self._put_away()
        for old in gone:
            old.predictor.retire()

    def _put_away(self) -> list[Served]:
        """Take the versions out of the snapshot that need not stay loaded; return them."""
        pinned = dict(self.snapshot.pinned)
        gone = [pinned.pop(key) for key in self._usage.surplus(pinned)]
        if gone:
            self._replace(pinned=pinned)
        return gone

    def _watch(self) -> None:
        while True:
            trouble = ""
            try:
                self._look()
            except Exception as error:
                known = isinstance(error, OSError) and error.strerror
                trouble = known or type(error).__name__
                if trouble != self.snapshot.trouble:
                    text = "Cannot look at the store %s: %s; what is loaded goes on answering."
                    log.warning(text, self.store.root, trouble, exc_info=not known)
            if trouble != self.snapshot.trouble:
                with self._changing:
                    self._replace(trouble=trouble)
            if self._stopping.wait(self.settings.poll_s):
                return

    def _look(self) -> None:
        found = {name: tuple(self.store.versions(name)) for name in self.store.models()}
        known = self.snapshot.models
        changed = {
            name: versions for name, versions in found.items() if name not in known or known[name].versions != versions
        }
        if changed:
            with self._changing:
                models = dict(self.snapshot.models)
                for name, versions in changed.items():
                    models[name] = replace(models.get(name, ModelState()), versions=versions)
                self._replace(models=models)
        with self._changing:
            gone = self._put_away()
        for old in gone:
            self._retire(old)
        for name in found:
            if name not in self._loading and self._candidates(name):
                self._loading[name] = self._in_thread(partial(self._refresh, name))
        self._loading = {name: future for name, future in self._loading.items() if not future.done()}
        if not self.snapshot.complete and not self._loading:
            with self._changing:
                self._replace(complete=True)

    def _candidates(self, name: str) -> list[int]:
        """The versions that would replace the champion, the newest first."""
        state = self.snapshot.models[name]
        newer = [v for v in state.versions if state.champion is None or v > state.champion.version]
        return [v for v in reversed(newer) if v not in state.failures or _due(state.failures[v])]

    def _refresh(self, name: str) -> None:
        """Load the newest version that may be served, and let it answer from then on."""
        while (candidates := self._candidates(name)) and not self._stopping.is_set():
            number = candidates[0]
            try:
                served = self._load(name, number)
            except Exception as error:
                if self._stopping.is_set():  # whatever it was, nobody asks any more
                    return
                with self._changing:
                    self._fail(name, number, error)
                expected = isinstance(error, LecternError | OSError)
                log.warning("%s version %d is not served: %s", name, number, error, exc_info=not expected)
                continue
            with self._changing:
                if self._stopping.is_set():
                    served.predictor.retire()
                    return
                state = self._recovered(name, number)
                self._replace(models={**self.snapshot.models, name: replace(state, champion=served)})
            if state.champion is not None:
                self._retire(state.champion)
            log.info("%s version %d answers now.", name, number)
            return

    def _load(self, name: str, number: int) -> Served:
        counts = self.observation.sheet.of(name, number)
        return load(name, number, self.store.artifact(name, number), self.settings, counts)

    def _in_thread(self, work: Callable[[], T]) -> Future[T]:
        """Do something in a thread, a few at a time; one that hangs does not keep the process from ending."""
        future: Future[T] = Future()

        def run() -> None:
            with self._slots:
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001  # it is the result
                    future.set_exception(error)

        threading.Thread(target=run, name="lectern-load", daemon=True).start()
        return future

    def _retire(self, old: Served) -> None:
        """Let go of a version that no snapshot has any more, on the loop, where requests say whether they use it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(old.predictor.retire)

    def _fail(self, name: str, number: int, error: Exception) -> None:
        if isinstance(error, ArtifactError):
            failure = Failure(error.code, str(error))
        elif isinstance(error, OSError):
            failure = Failure("unreadable", f"{error.strerror}.", retry_at=time.monotonic() + RETRY_S)
        elif isinstance(error, StoreError):
            failure = Failure("vanished", str(error), retry_at=time.monotonic() + RETRY_S)
        else:
            failure = Failure("internal_error", "Loading it failed in an unforeseen way; the log says how.")
        state = self.snapshot.models[name]
        failed = replace(state, failures={**state.failures, number: failure})
        self._replace(models={**self.snapshot.models, name: failed})

    def _recovered(self, name: str, number: int) -> ModelState:
        """The state of a model without what made one of its versions fail before."""
        state = self.snapshot.models[name]
        return replace(state, failures={n: failure for n, failure in state.failures.items() if n != number})

    def _replace(self, **changes: object) -> None:
        """Put a changed snapshot in place of the one that requests read."""
        snapshot = replace(self.snapshot, **changes)  # type: ignore[arg-type]  # the callers name its fields
        self.snapshot = replace(snapshot, routes=routes(snapshot, self._default(snapshot)))

    def _default(self, snapshot: Snapshot) -> str | None:
        only = next(iter(snapshot.models)) if len(snapshot.models) == 1 else None
        return self.settings.default_model or only


def _due(failure: Failure) -> bool:
    return failure.retry_at is not None and time.monotonic() >= failure.retry_at
