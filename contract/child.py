"""A model in a process of its own: the only place where a file that may run code is loaded.

Both ends speak frames over a socket pair: a length (4 bytes, big endian) and a JSON document. Nothing that comes back
is ever unpickled. The child ends when its parent closes the socket or dies.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypeGuard

from pydantic_core import from_json, to_json

from contract.answers import Answers, Columns, count
from contract.artifact import Artifact
from contract.errors import (
    ArtifactError,
    ChecksumMismatch,
    DeadlineExceeded,
    LecternError,
    LoadFailed,
    ModelCrashed,
    PredictionFailed,
    ResourceLimit,
)
from contract.formats import FORMATS
from contract.golden import Model
from contract.limits import Limits, impose
from contract.memory import kills
from contract.nursery import Forked, interpreter, nursery_of

_LENGTH = struct.Struct(">I")
_MOST_TOLD = 500
_ASIDE = 10
"""How far (in nice's units) a process stands back for what answers meanwhile."""
_ERRORS: dict[str, type[LecternError]] = {
    kind.__name__: kind for kind in (*ArtifactError.__subclasses__(), PredictionFailed)
}


class Child:
    """A model file loaded in a child process; answers one set of rows at a time."""

    def __init__(
        self,
        artifact: Artifact,
        format_name: str,
        limits: Limits,
        *,
        warm: bool = False,
        aside: bool = False,
        shared: Path | None = None,
    ) -> None:
        """Start the process and have it load the file, which it verifies first.

        A `warm` child is forked from the nursery: the first one starts it (seconds), every further one takes
        milliseconds and shares its memory. Any other begins as a new interpreter.
        One that stands `aside` leaves the processor to others.
        Children with a folder to share, which has to be theirs alone, share the model's arrays as well.

        Raises:
            ArtifactError: the file could not be verified or loaded, or not within the limits.
        """
        self.answer_timeout_s = limits.answer_timeout_s
        self._kills = kills()
        self._process: Forked | subprocess.Popen[bytes]
        try:
            self._socket, self._process = nursery_of(os.getpid()).fork() if warm else _begun(artifact.folder, aside)
        except OSError as error:
            raise LoadFailed(f"No process for the model could be started: {error.strerror}.") from error
        order = {
            "folder": str(artifact.folder.absolute()),
            "format": format_name,
            "manifest": artifact.manifest_sha256,
            "memory_bytes": limits.memory_bytes,
            "policy": limits.pickle,
            "shared": shared and str(shared),
        }
        try:
            self._ask(order, limits.load_timeout_s)
        except ModelCrashed:
            raise LoadFailed("The process of the model died while it loaded the file.") from None
        except DeadlineExceeded:
            raise ResourceLimit(f"The model was not loaded within {limits.load_timeout_s:g} s.") from None
        except BaseException:
            self.close()
            raise

    def answer(self, columns: Columns) -> Answers:
        """Answer n rows.

        Raises:
            PredictionFailed: the model could not; the child can be asked again.
            ModelCrashed, DeadlineExceeded: the child is dead.
        """
        found = self._ask({"columns": columns}, self.answer_timeout_s)
        values, shares, rows = found.get("values"), found.get("scores"), count(columns)
        if _is_list(values, rows) and (shares is None or _is_list(shares, rows)):
            return Answers(values, shares)
        self.close()
        raise ModelCrashed("The process of the model said something that is no answer, and was ended.")

    @property
    def process_id(self) -> int:
        """The child's process number."""
        return self._process.pid

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            _send(self._socket, question)
            answer = _receive(self._socket, deadline)
        except TimeoutError:
            self.close()
            raise DeadlineExceeded(f"The model did not answer within {timeout_s:g} s.") from None
        except OSError:
            answer = None
        except BaseException:  # the answer to this question must not become the answer to the next
            self.close()
            raise
        if answer is None:
            self.close()
            if kills() > self._kills:
                told = "The system ended the process of the model while it worked on these rows: memory ran out."
                raise ModelCrashed(told, reason="memory")
            raise ModelCrashed("The process of the model died while it worked on these rows.")
        if error := _ERRORS.get(str(answer.get("error"))):
            raise error(answer.get("message")) from RuntimeError(str(answer.get("cause", "")))
        return answer


def _begun(folder: Path, aside: bool) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = interpreter("contract.child", theirs, folder)
        if aside:
            os.setpriority(os.PRIO_PROCESS, process.pid, _ASIDE)
        return ours, process
    except OSError:
        ours.close()
        raise


def _is_list(found: Any, length: int) -> TypeGuard[list[Any]]:
    """Whether `found` is a list of that length: a file that runs code can have its process send anything."""
    return isinstance(found, list) and len(found) == length


def _send(peer: socket.socket, document: dict[str, Any]) -> None:
    content = to_json(document, inf_nan_mode="constants")
    peer.sendall(_LENGTH.pack(len(content)) + content)


def _receive(peer: socket.socket, deadline: float | None = None) -> dict[str, Any] | None:
    """The next document, or None when the other end is gone or talks nonsense."""
    head = _receive_bytes(peer, _LENGTH.size, deadline)
    content = head and _receive_bytes(peer, _LENGTH.unpack(head)[0], deadline)
    try:
        found = from_json(content or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _receive_bytes(peer: socket.socket, size: int, deadline: float | None) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            peer.settimeout(left)
        chunk = peer.recv(min(size - len(content), 1 << 20))
        if not chunk:
            return None
        content += chunk
    return bytes(content)


def live(parent: socket.socket) -> None:
    """The child's life: load what the first frame names, then answer each frame that follows."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for the parent, which ends this process in its own time
        signal.signal(number, signal.SIG_IGN)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # what a model prints is nobody's to read
        os.dup2(nowhere.fileno(), 1)
    with parent, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        threading.Thread(target=_end_with, args=[parent], daemon=True).start()
        order = _receive(parent)
        if order is None:
            return
        impose(order["memory_bytes"])
        try:
            model = _load(order)
        except ArtifactError as error:
            _send(parent, _as_document(error))
            return
        _send(parent, {})
        getattr(model, "one", None)  # which asks a graph a row of its own: that, too, happens here first
        while (question := _receive(parent)) is not None:
            try:
                answers = model.answer(question["columns"])
            except PredictionFailed as error:
                _send(parent, _as_document(error))
            else:
                _send(parent, {"values": answers.values, "scores": answers.scores})


def _load(order: dict[str, Any]) -> Model:
    artifact, kind = Artifact(Path(order["folder"])), FORMATS[order["format"]]
    if artifact.manifest_sha256 != order["manifest"]:
        raise ChecksumMismatch("The manifest is not the one that was verified: it was changed meanwhile.")
    try:
        content = artifact.read(kind.file)
        if kind.load_apart:
            shared = Path(order["shared"]) if order["shared"] else None
            return kind.load_apart(content, artifact.manifest, order["policy"], shared)
        return kind.load(content, artifact.manifest)
    except MemoryError:
        raise ResourceLimit("The model takes more memory than it may (LECTERN_MODEL_MEMORY_BYTES).") from None


def _end_with(parent: socket.socket) -> None:
    """End this process as soon as the other end is closed, even in the middle of an answer."""
    hung_up = select.poll()
    hung_up.register(parent, 0)  # what is always reported: that nobody is there
    hung_up.poll()
    os._exit(0)


def _as_document(error: LecternError) -> dict[str, Any]:
    """An error as a frame; its cause, which may hold values, is for who exports, never for callers of the service."""
    cause = error.__cause__
    told = "" if cause is None else f"{type(cause).__name__}: {str(cause)[:_MOST_TOLD]}"
    return {"error": type(error).__name__, "message": str(error), "cause": told}


if __name__ == "__main__":
    live(socket.socket(fileno=int(sys.argv[1])))
