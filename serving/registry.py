"""The registry: the snapshot of loaded versions that requests read, and everything that may change it.

A version is loaded beside the one that answers, and takes its place by one assignment. What no request can find any
more is let go of; what could not be loaded stays out, and why is kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from contract.errors import AliasNotFound, ArtifactError, ChecksumMismatch, ModelNotFound, VersionNotFound
from contract.promotions import CHAMPION
from contract.store import Store
from serving.access.door import Door
from serving.admission import Places, Room
from serving.draining import Draining
from serving.loading import Served, load
from serving.observation import Observation
from serving.settings import ServeSettings
from serving.snapshot import Failure, ModelState, Snapshot, routes
from serving.usage import Usage
from serving.watch import Watch
from serving.watcher import Watcher

_LOADS_AT_ONCE = 4

T = TypeVar("T")


class Registry:
    """The models of one store, for one event loop."""

    def __init__(self, store: Store, settings: ServeSettings) -> None:
        self.store = store
        self.settings = settings
        self.snapshot = Snapshot()
        inputs = settings.log_inputs == "full"
        self.observation = Observation(settings.shared_folder, lambda: self.snapshot.loaded, inputs=inputs)
        self.door = Door.of(settings, self.observation.sheet)
        """That callers go through; None where everybody may do everything."""
        self.watch = Watch(store, settings, self.observation.sheet)
        self.observation.observers += self.watch.observers
        self.draining = Draining()
        self.room = Room(settings.bodies_bytes)
        self.streams = Places(settings.streams, "streams")
        self._usage = Usage(settings)
        self._watcher = Watcher(self)
        self._changing = threading.Lock()
        self._pinning: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._slots = threading.Semaphore(_LOADS_AT_ONCE)
        self._turns: dict[tuple[str, int], threading.Lock] = {}
        """By version, so that none is loaded twice at once."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tried: set[str] = set()
        """The manifests of the versions that were tried in a process of their own."""
        self._stopped = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at the store; models appear in the snapshot as they are loaded."""
        self._loop = loop
        self._watcher.start()
        self.observation.start(loop)

    def stop(self) -> None:
        """Stop looking, and let go of every version."""
        self._watcher.stop()
        with self._changing:
            self._stopped = True
        for served in self.snapshot.loaded:
            served.retire()
        self.observation.stop()

    @property
    def default_model(self) -> str | None:
        """The model behind `/predict`: the one that was set, else the only one there is."""
        return self._default(self.snapshot)

    @property
    def trouble(self) -> str:
        """What an operator should know of all that is beside the models."""
        return " ".join(filter(None, (self.watch.log.trouble, self.door.trouble if self.door else "")))

    def look(self) -> None:
        """Look at the store at once, as somebody has just changed it."""
        self._watcher.wake()

    @property
    def settled(self) -> bool:
        """Whether no model is behind its promotions, as far as can be loaded."""
        return self._watcher.idle

    # --- what requests look up

    def model(self, name: str) -> ModelState:
        """What is known of a model.

        Raises:
            ModelNotFound: nothing.
        """
        state = self.snapshot.models.get(name)
        if state is None:
            raise ModelNotFound(name, sorted(self.snapshot.models))
        return state

    def alias(self, name: str, alias: str = CHAMPION) -> Served:
        """The version of a model that answers for an alias.

        Raises:
            ModelNotFound: there is no such model.
            AliasNotFound: it has no such alias.
            ArtifactError: what it points at cannot be served (yet).
        """
        state = self.model(name)
        if alias in state.answering:
            return state.answering[alias]
        if alias != CHAMPION and alias not in state.deployment.aliases:
            raise AliasNotFound(name, alias, {CHAMPION, *state.deployment.aliases})
        wanted = state.deployment.aliases.get(alias) or state.deployment.champion(state.versions)
        if wanted is None:
            raise ArtifactError(f"'{name}' has no champion; `lectern promote {name} VERSION` makes one.")
        if wanted in state.failures:
            raise _unservable(name, wanted, state.failures[wanted])
        raise ArtifactError(f"'{name}' is being loaded; ask again in a moment.")

    async def version(self, name: str, number: int) -> Served:
        """A version by number, loaded now if nobody has asked for it yet.

        Raises:
            ModelNotFound, VersionNotFound: there is none.
            ArtifactError: it must not be served.
        """
        key = (name, number)
        while True:
            state = self.model(name)
            if (served := _found(self.snapshot, name, number)) is not None:
                return served
            if number not in state.versions:
                raise VersionNotFound(name, number, state.versions)
            if number in state.failures and not state.failures[number].is_due:
                raise _unservable(name, number, state.failures[number])
            if key not in self._pinning:
                self._pinning[key] = asyncio.create_task(self._pin(name, number))
                self._pinning[key].add_done_callback(lambda _: self._pinning.pop(key))
            await asyncio.shield(self._pinning[key])  # who hangs up does not take it from the others

    async def _pin(self, name: str, number: int) -> None:
        try:
            await asyncio.wrap_future(self.in_thread(partial(self._use, name, number, _pinned)))
        except Exception as error:
            raise _unservable(name, number, self.fail(name, number, error)) from error
        self.put_away()

    # --- what changes the snapshot

    def change(self, **facts: Any) -> None:
        """Set facts of the snapshot."""
        self._update(lambda now: replace(now, **facts))

    def change_model(self, name: str, **facts: Any) -> None:
        """Set facts of one model."""
        self._update(lambda now: _with_model(now, name, **facts))

    def answer_with(self, name: str, number: int, alias: str) -> None:
        """Let a version answer for an alias: one that is loaded already, else loaded now.

        Raises:
            ArtifactError, StoreError, OSError: it cannot be served.
        """

        def changed(now: Snapshot, served: Served) -> Snapshot:
            pinned = {key: other for key, other in now.pinned.items() if key != (name, number)}
            answering = {**now.models[name].answering, alias: served}
            return _with_model(replace(now, pinned=pinned), name, answering=answering)

        self._use(name, number, changed)

    def answer_no_more(self, name: str, alias: str) -> None:
        """Let nothing answer for an alias."""

        def changed(now: Snapshot) -> Snapshot:
            answering = {known: served for known, served in now.models[name].answering.items() if known != alias}
            return _with_model(now, name, answering=answering)

        self._update(changed)

    def fail(self, name: str, number: int, error: Exception) -> Failure:
        """Keep why a version is not served, and return it."""
        failure = Failure.of(error)
        self.observation.sheet.of(name, number).failures[failure.code] += 1
        self._update(lambda now: _with_model(now, name, failures={**now.models[name].failures, number: failure}))
        return failure

    def forget(self, name: str, number: int) -> None:
        """Forget why a version was not served, as it may be another matter now."""
        self._update(lambda now: _recovered(now, name, number))

    def put_away(self) -> None:
        """Let go of the versions that were loaded for a request that named them, and need not stay."""

        def changed(now: Snapshot) -> Snapshot:
            gone = self._usage.surplus(now.pinned)
            kept = {key: served for key, served in now.pinned.items() if key not in gone}
            return replace(now, pinned=kept) if gone else now

        self._update(changed)

    def _use(self, name: str, number: int, change: Callable[[Snapshot, Served], Snapshot]) -> None:
        """Change the snapshot with a version: one that is in it when it changes, else one that is loaded first.

        Raises:
            ArtifactError, StoreError, OSError: it cannot be served.
        """
        fresh: Served | None = None

        def changed(now: Snapshot) -> Snapshot:
            served = _found(now, name, number) or fresh
            return now if served is None else _recovered(change(now, served), name, number)

        with self._turns.setdefault((name, number), threading.Lock()):
            while not self._update(changed):
                if self._stopped:
                    raise ArtifactError(f"Version {number} of '{name}' is not loaded any more: the service stops.")
                fresh = self._load(name, number)

    def _update(self, change: Callable[[Snapshot], Snapshot]) -> bool:
        """Put a changed snapshot in place of the one that requests read; let go of what is in it no more.

        Return whether there was a change.
        """
        with self._changing:
            before, after = self.snapshot, change(self.snapshot)
            if after is before:
                return False
            unused = after.loaded - before.loaded if self._stopped else before.loaded - after.loaded
            if not self._stopped:
                self.snapshot = replace(after, routes=routes(after, self._default(after)))
                self.observation.shadows.follow(dict(filter(None, (m.shadowed for m in after.models.values()))))
        for served in unused:
            self._retire(served)
        return True

    def _retire(self, served: Served) -> None:
        """Let go of a version that no request can find, on the loop, where requests say whether they use it."""
        if self._loop is None or self._loop.is_closed():
            served.retire()
        else:
            self._loop.call_soon_threadsafe(served.retire)

    def _default(self, snapshot: Snapshot) -> str | None:
        only = next(iter(snapshot.models)) if len(snapshot.models) == 1 else None
        return self.settings.default_model or only

    def _load(self, name: str, number: int) -> Served:
        artifact, counts = self.store.artifact(name, number), self.observation.sheet.of(name, number)
        promoted = self.snapshot.models[name].deployment.tried.get(number)
        if promoted not in (None, artifact.manifest_sha256):
            raise ChecksumMismatch(f"Version {number} is not the one that was promoted: its manifest is another.")
        tried = artifact.manifest_sha256 in {promoted, *self._tried}
        served = load(name, number, artifact, self.settings, counts, tried=tried)
        self._tried.add(artifact.manifest_sha256)
        return served

    def in_thread(self, work: Callable[[], T]) -> Future[T]:
        """Do something in a thread, a few at a time; one that hangs does not keep the process from ending."""
        future: Future[T] = Future()

        def run() -> None:
            with self._slots:
                future.set_running_or_notify_cancel()  # from here on nobody can cancel it, and lose what it made
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001  # it is the result
                    future.set_exception(error)

        threading.Thread(target=run, name="lectern-load", daemon=True).start()
        return future


def _with_model(now: Snapshot, name: str, **facts: Any) -> Snapshot:
    state = replace(now.models.get(name, ModelState()), **facts)
    return replace(now, models={**now.models, name: state})


def _found(now: Snapshot, name: str, number: int) -> Served | None:
    """A version that is loaded."""
    return next((served for served in now.loaded if (served.model, served.version) == (name, number)), None)


def _pinned(now: Snapshot, served: Served) -> Snapshot:
    """With a version that can be asked by its number, whether an alias names it or not."""
    key = (served.model, served.version)
    return now if served in now.loaded else replace(now, pinned={**now.pinned, key: served})


def _unservable(name: str, number: int, failure: Failure) -> ArtifactError:
    return ArtifactError(f"Version {number} of '{name}' cannot be served: {failure.reason}")


def _recovered(now: Snapshot, name: str, number: int) -> Snapshot:
    """Without what made a version fail before."""
    failures = now.models[name].failures
    return _with_model(now, name, failures={n: failure for n, failure in failures.items() if n != number})
