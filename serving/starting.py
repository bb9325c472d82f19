"""Starting: a service that a notebook begins beside itself, and finds again after its kernel was restarted.

start → a process in a session of its own → its record → ready; whoever asks for the same store again is given the same
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from contract.errors import SettingsRefused, StartFailed
from contract.settings import PREFIX
from serving.address import ask
from serving.running import Running, began, find, private_folder
from serving.settings import ServeSettings
from serving.transport.settings import ANY

_LOOK_EVERY_S = 0.05
_GLANCE_S = 2.0
"""Longest wait of a display for what it shows."""
_STOPS_WITHIN_S = 45.0
"""Longer than the service gives the requests that it is answering."""
_HUB = "JUPYTERHUB_SERVICE_PREFIX"
_CHOSEN = ("host", "keys", "log", "shared_folder", "socket", "token_keys", "token_secret")
"""The settings that a notebook has no say in; no port of the environment is meant for a second service either."""
_OF_JUPYTER = ("CLICOLOR", "FORCE_COLOR", "JPY_", "JUPYTER", "MPLBACKEND", "PYDEVD_")
"""How the variables begin that Jupyter sets for a kernel, some of them secret."""


@dataclass(frozen=True, repr=False)
class Service:
    """A service that `start` began; as a context manager it is stopped at the end."""

    record: Running

    @property
    def url(self) -> str:
        """Where it is asked, on this machine."""
        return self.record.url

    @property
    def store(self) -> Path:
        """The store that it answers from."""
        return self.record.store

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        with contextlib.suppress(ChildProcessError):  # a child of this process is not gone before it was waited for
            os.waitpid(self.record.pid, os.WNOHANG)
        return self.record.lives

    def log(self, lines: int = 20) -> str:
        """The last lines of what it printed."""
        try:
            printed = Path(self.record.log).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(printed[-lines:])

    def stop(self) -> None:
        """End it, and wait until it has ended; requests that it is answering are answered."""
        until = time.monotonic() + _STOPS_WITHIN_S
        with contextlib.suppress(ProcessLookupError):
            if self.running:
                os.kill(self.record.pid, signal.SIGINT)  # nobody has to be sent elsewhere first
            while self.running:
                if time.monotonic() > until:
                    os.killpg(self.record.pid, signal.SIGKILL)
                time.sleep(_LOOK_EVERY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if not self.running:
            return f"Lectern has stopped; it answered from the store {self.store}."
        models, hint = self._seen()
        lines = [f"Lectern answers at {self.url}", f"from the store {self.store}"]
        return "\n".join([*lines, *(f"  {name:<16} {state}" for name, state in models), *hint])

    def _repr_html_(self) -> str:
        store = f"<code>{escape(str(self.store))}</code>"
        if not self.running:
            return f"<p>Lectern has stopped; it answered from the store {store}.</p>"
        models, hint = self._seen()
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(state)}</td></tr>" for name, state in models)
        table = f"<table><tr><th>model</th><th>answers</th></tr>{rows}</table>" if rows else ""
        link = f'<a href="{escape(self._for_a_browser())}" target="_blank" rel="noopener">Lectern: your models</a>'
        hints = "".join(f"<p>{escape(text)}</p>" for text in hint)
        return f"<div><p>{link}, from the store {store}</p>{table}{hints}</div>"

    def _seen(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Each model and what of it answers, and what is to be known besides."""
        health = ask(self.url, "/health", _GLANCE_S)
        models = health and ask(self.url, "/models", _GLANCE_S)
        if models is None:
            return [], ["It does not answer; `.log()` may say why."]
        return [(model["model"], _state(model)) for model in models], [health["detail"]] * (health["status"] != "ready")

    def _for_a_browser(self) -> str:
        """The address of the pages; on a JupyterHub the browser is on another machine, and a proxy brings it here."""
        prefix = os.environ.get(_HUB)
        return f"{prefix.rstrip('/')}/proxy/{urlsplit(self.url).port}/" if prefix else f"{self.url}/"


def _state(model: Mapping[str, Any]) -> str:
    if model["champion"] is not None:
        return f"version {model['champion']}"
    return f"not served: {model['failed'][-1]['reason'] if model['failed'] else model['state']}"


def start(
    store: str | Path | None = None,
    *,
    port: int | None = None,
    default_model: str | None = None,
    timeout_s: float = 60.0,
    **settings: Any,
) -> Service:
    """Begin a service of a store, on this machine only, and wait until it answers; or find the one begun before.

    It goes on when the kernel is restarted, or killed: called again, this returns the same one. To end it:
    `serving.start().stop()`.

    Args:
        store: The folder of all artifacts; as everywhere, `LECTERN_STORE` or the nearest `artifacts/` when not given.
        port: A free one when not given.
        default_model: The model behind `/predict`.
        timeout_s: How long it may take to load its models.
        settings: Any other setting of the service, such as `workers=2`.

    Raises:
        SettingsRefused: there is no such setting, or the service that was begun before has others.
        StartFailed: it ended, or was not ready in time; then it was stopped. The message has what it printed last.
    """
    given = settings | {"port": port or None, "default_model": default_model}
    given = {name: value for name, value in given.items() if value is not None}
    for name in sorted(given.keys() & set(_CHOSEN)):
        raise SettingsRefused(f"start() takes no {name}: it listens on this machine only; `lectern serve` is free to.")
    others = {ServeSettings.variable(name) for name in (*_CHOSEN, "port")}
    environment = {name: value for name, value in os.environ.items() if name not in others}
    root = ServeSettings.read(environment, store=store).open_store().root.resolve()
    with _alone(root) as log:
        wanted = ServeSettings.read(environment, **{"port": 0} | _names(environment) | given, store=root, log=log)
        before = next((running for running in find(root) if Path(running.log).name == log.name), None)
        if before is None:
            return _ready(_begin(wanted, log), timeout_s)
        _compare(before, wanted, given)
        return Service(before)


def _names(environment: Mapping[str, str]) -> dict[str, str]:
    """Under which names it answers: on a JupyterHub a proxy passes on the hub's own, which nobody here knows.

    The browser is on another machine then, and no page in it can reach this one by a name of its own.
    """
    on_hub = _HUB in environment and ServeSettings.variable("hosts") not in environment
    return {"hosts": ANY} if on_hub else {}


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """The log of a store's service; no other kernel begins one meanwhile."""
    folder = private_folder()
    if folder is None:
        raise StartFailed("There is no folder for its log that is yours alone: set XDG_RUNTIME_DIR, or TMPDIR, to one.")
    log = folder / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.log"
    with log.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield log


def _compare(before: Running, wanted: ServeSettings, given: Mapping[str, Any]) -> None:
    """Refuse to pass the service that runs for another one that is asked for."""
    asked = wanted.model_dump(mode="json")
    for name in given:
        if before.settings.get(name) != asked[name]:
            raise SettingsRefused(
                f"A service of {before.store} runs at {before.url} with {name} {before.settings.get(name)}, "
                f"not {asked[name]}: stop it first, `serving.start({str(before.store)!r}).stop()`."
            )


def _begin(wanted: ServeSettings, log: Path) -> Service:
    own = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, *_OF_JUPYTER))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "serving"],
            env=own | wanted.variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # it is not to be missed when this kernel ends
    return Service(Running(process.pid, "", "", wanted.open_store().root, str(log), began(process.pid)))


def _ready(service: Service, timeout_s: float) -> Service:
    """The service, once each of its models answers or is known not to; late, once one does."""
    until = time.monotonic() + timeout_s
    try:
        while service.running:
            for record in find(service.store):
                service = Service(record) if record.pid == service.record.pid else service
            late = time.monotonic() > until
            health, models = (ask(service.url, path) if service.url else None for path in ("/health", "/models"))
            if health and models is not None:
                settled = "loading" not in (health["status"], *(model["state"] for model in models))
                if settled or (late and any(health["models"].values())):
                    return service
            if late:
                raise StartFailed(f"It was not ready within {timeout_s:g} s, and was stopped. {_printed(service)}")
            time.sleep(_LOOK_EVERY_S)
    except BaseException:
        service.stop()
        raise
    raise StartFailed(f"The service of {service.store} ended before it was ready. {_printed(service)}")


def _printed(service: Service) -> str:
    return f"Its log ends with:\n{service.log()}" if service.log() else "It printed nothing."
