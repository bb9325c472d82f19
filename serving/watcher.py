"""The watcher: follows a store and its promotions, so that what is live is what the log says.

look (a thread, a few times a second) → a model is behind → load what it should answer with, beside what does →
one assignment. What must not be served stays out, and what vanishes from the store goes on answering.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING

from contract.errors import LecternError
from contract.promotions import CHAMPION
from serving.snapshot import ModelState

if TYPE_CHECKING:
    from contract.promotions import Deployment
    from serving.registry import Registry

SETTLED_S = 1.0
"""How long a log that became shorter has to stay as it is before it is believed."""
STOP_S = 2.0
"""How long stopping waits for versions that are being loaded."""

log = logging.getLogger("lectern.registry")


class Watcher:
    """Keeps the snapshot of one registry up to date."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._following: dict[str, Future[None]] = {}
        self._shorter: dict[str, tuple[Deployment, float]] = {}
        """What logs say that were longer before, and since when: one that is being removed looks like that, too."""
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lectern-watch", daemon=True)

    def start(self) -> None:
        """Begin to look at the store."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout=STOP_S)
        wait(self._following.values(), timeout=STOP_S)

    def wake(self) -> None:
        """Look at the store now."""
        self._wanted.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is being loaded."""
        return all(future.done() for future in [*self._following.values()])  # at once: the thread adds to them

    def _watch(self) -> None:
        registry = self.registry
        while True:
            trouble = ""
            try:
                self._look()
            except Exception as error:
                known = isinstance(error, OSError) and error.strerror
                trouble = known or type(error).__name__
                if trouble != registry.snapshot.trouble:
                    text = "Cannot look at the store %s: %s; what is loaded goes on answering."
                    log.warning(text, registry.store.root, trouble, exc_info=not known)
            if trouble != registry.snapshot.trouble:
                registry.change(trouble=trouble)
            self._wanted.wait(registry.settings.poll_s)
            self._wanted.clear()
            if self._stopping.is_set():
                return

    def _look(self) -> None:
        registry = self.registry
        trouble: OSError | None = None
        for name in registry.store.models():
            try:
                self._look_at(name)
            except OSError as error:  # the other models are followed all the same
                trouble = error
        registry.put_away()
        self._following = {name: future for name, future in self._following.items() if not future.done()}
        for name, state in registry.snapshot.models.items():
            if name not in self._following and _behind(state):
                self._following[name] = registry.in_thread(partial(self._follow, name))
                self._following[name].add_done_callback(lambda _: self.wake())
        if trouble is not None:
            raise trouble
        if not registry.snapshot.complete and not self._following:
            registry.change(complete=True)

    def _look_at(self, name: str) -> None:
        registry, known = self.registry, self.registry.snapshot.models
        state = known.get(name, ModelState())
        versions = tuple(registry.store.versions(name))
        deployment = registry.store.promotions(name).read(state.deployment)
        if deployment.number < state.deployment.number:
            before, since = self._shorter.get(name, (None, 0.0))
            if deployment != before:
                self._shorter[name] = (deployment, time.monotonic())
                return
            if time.monotonic() < since + SETTLED_S:
                return
        self._shorter.pop(name, None)
        if (versions, deployment) != (state.versions, state.deployment) or name not in known:
            for number in set(deployment.damaged) - set(state.deployment.damaged):
                text = "Promotion %d of '%s' cannot be read; what is live stays live."
                log.warning(text, number, name, extra={"model": name})
            registry.change_model(name, versions=versions, deployment=deployment)
            for number in state.failures:
                if deployment.tried.get(number) != state.deployment.tried.get(number):  # it was promoted since
                    registry.forget(name, number)

    def _follow(self, name: str) -> None:
        """Let each alias of a model answer with what it points at, or with what it pointed at before."""
        registry = self.registry
        for alias in _aliases(registry.snapshot.models[name]):
            while (found := candidates(registry.snapshot.models[name], alias)) and not self._stopping.is_set():
                number = found[0]
                about = {"model": name, "version": number}
                try:
                    registry.answer_with(name, number, alias)
                except Exception as error:
                    if self._stopping.is_set():  # whatever it was, nobody asks any more
                        return
                    registry.fail(name, number, error)
                    expected = isinstance(error, LecternError | OSError)
                    text = "%s version %d is not served: %s"
                    log.warning(text, name, number, error, exc_info=not expected, extra=about)
                    continue
                if self._stopping.is_set():
                    return
                where = "" if alias == CHAMPION else f" as {alias}"
                log.info("%s version %d answers now%s.", name, number, where, extra=about)
                registry.observation.sheet.of(name, number).swaps += 1
                break
        for alias in gone(registry.snapshot.models[name]):  # last: a challenger may have become the champion
            registry.answer_no_more(name, alias)


def candidates(state: ModelState, alias: str) -> list[int]:
    """The versions of which the first that may be served shall answer for an alias, instead of what does.

    Where nothing answers yet, the champions before this one stand in for it. Without a log it is the newest version.
    """
    now, deployment = state.answering.get(alias), state.deployment
    if alias != CHAMPION:
        ranked = [deployment.aliases[alias]]
    elif not deployment.number:
        ranked = sorted(state.versions, reverse=True)
    elif now is None:
        ranked = list(dict.fromkeys(reversed(deployment.champions)))
    else:
        ranked = list(deployment.champions[-1:])
    if now is not None and now.version in ranked:
        ranked = ranked[: ranked.index(now.version)]
    return [
        number
        for number in ranked
        if number in state.versions and (number not in state.failures or state.failures[number].is_due)
    ]


def gone(state: ModelState) -> list[str]:
    """The aliases that answer and point at nothing any more."""
    return [alias for alias in state.answering if alias not in _aliases(state)]


def _aliases(state: ModelState) -> list[str]:
    """The aliases that point at a version, the champion first."""
    if not state.deployment.number:
        return [CHAMPION]
    return sorted(state.deployment.aliases, key=lambda alias: (alias != CHAMPION, alias))


def _behind(state: ModelState) -> bool:
    return bool(gone(state)) or any(candidates(state, alias) for alias in _aliases(state))
