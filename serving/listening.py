"""Listening: the socket that holds the address of the service, be it a port or the path of a unix socket."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import SettingsRefused
from serving.settings import ServeSettings

LONGEST_PATH = 107 if sys.platform == "linux" else 103
"""Bytes that the path of a unix socket may have, by the system's own structure for it."""


@contextmanager
def listening(settings: ServeSettings) -> Iterator[socket.socket]:
    """Hold the address; a unix socket is removed in the end, unless it is somebody else's by then.

    Raises:
        SettingsRefused: it cannot be listened on.
    """
    with bind(settings) as listener:
        path = listener.getsockname() if settings.socket else None
        made = path and Path(path).lstat()
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path and made and os.path.samestat(Path(path).lstat(), made):
                    Path(path).unlink()


def bind(settings: ServeSettings) -> socket.socket:
    """A socket that holds the address.

    Raises:
        SettingsRefused: it is taken, not this machine's, or not allowed.
    """
    listener = _bind_path(settings.socket.absolute()) if settings.socket else _bind_address(settings)
    listener.set_inheritable(True)
    return listener


def _bind_address(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsRefused(
                f"Port {settings.port} on {settings.host} is taken: stop what listens there, or choose another, "
                f"e.g. `make serve PORT={settings.port + 1}`."
            ) from None
        raise SettingsRefused(f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}.") from None
    return listener


def _bind_path(path: Path) -> socket.socket:
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise SettingsRefused(
            f"The path of the socket {path} has {length} bytes, and this system takes {LONGEST_PATH}: "
            "choose a shorter one."
        )
    with contextlib.ExitStack() as unless_bound:
        listener = unless_bound.enter_context(socket.socket(socket.AF_UNIX))
        try:
            with _alone_in(path.parent):
                _make_room(path)
                mask = os.umask(0o177)
                try:
                    listener.bind(os.fspath(path))
                finally:
                    os.umask(mask)
                listener.listen()
        except OSError as error:
            raise SettingsRefused(f"Cannot listen on the socket {path}: {error.strerror}.") from None
        unless_bound.pop_all()
    return listener


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let no other service make room in the folder meanwhile: the room could be this one's socket.

    Raises:
        SettingsRefused: there is no such folder.
    """
    if not folder.is_dir():
        raise SettingsRefused(f"There is no folder {folder} for the socket: make it, or choose another path.")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_room(path: Path) -> None:
    """Remove a socket that a service left behind when it was killed.

    Raises:
        SettingsRefused: it is another thing, or a service listens there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsRefused(f"{path} is no socket, and stays as it is: choose another path.")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            asking.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # its queue is full
            pass
    raise SettingsRefused(f"Another service listens on the socket {path}: stop it, or choose another path.")
