"""A model in a process of its own: the only place where a file that may run code is loaded.

Both ends speak frames over a socket pair: a length (4 bytes, big endian) and a JSON document. Nothing that comes back
is ever unpickled. The child ends when its parent closes the socket or dies.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from contract.answers import Answers, Columns
from contract.artifact import Artifact
from contract.errors import (
    ArtifactError,
    DeadlineExceeded,
    LecternError,
    LoadFailed,
    ModelCrashed,
    PredictionFailed,
)
from contract.formats import FORMATS

_LENGTH = struct.Struct(">I")
_ERRORS: dict[str, type[LecternError]] = {
    kind.__name__: kind for kind in (*ArtifactError.__subclasses__(), PredictionFailed)
}


class Child:
    """A model file loaded in a child process; answers one set of rows at a time."""

    def __init__(self, artifact: Artifact, format_name: str, *, load_timeout_s: float, answer_timeout_s: float) -> None:
        """Start the process and have it load the file, which it verifies first.

        Raises:
            ArtifactError: the file could not be verified or loaded, or not in `load_timeout_s`.
        """
        self.answer_timeout_s = answer_timeout_s
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "contract.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        try:
            self._ask({"folder": str(artifact.folder.absolute()), "format": format_name}, load_timeout_s)
        except ModelCrashed:
            raise LoadFailed("The process of the model died while it loaded the file.") from None
        except DeadlineExceeded:
            raise LoadFailed(f"The model was not loaded within {load_timeout_s:g} s.") from None
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
        return Answers(found["values"], found["probabilities"])

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
        try:
            deadline = time.monotonic() + timeout_s
            self._socket.settimeout(timeout_s)
            _send(self._socket, question)
            answer = _receive(self._socket, deadline)
        except TimeoutError:
            self.close()
            raise DeadlineExceeded(f"The model did not answer within {timeout_s:g} s.") from None
        except OSError:
            answer = None
        if answer is None:
            self.close()
            raise ModelCrashed("The process of the model died while it worked on these rows.")
        if "error" in answer:
            raise _ERRORS[answer["error"]](answer["message"])
        return answer


def _send(peer: socket.socket, document: dict[str, Any]) -> None:
    content = to_json(document, inf_nan_mode="constants")
    peer.sendall(_LENGTH.pack(len(content)) + content)


def _receive(peer: socket.socket, deadline: float | None = None) -> dict[str, Any] | None:
    """The next document, or None when the other end is gone."""
    head = _receive_bytes(peer, _LENGTH.size, deadline)
    content = head and _receive_bytes(peer, _LENGTH.unpack(head)[0], deadline)
    return from_json(content) if content else None


def _receive_bytes(peer: socket.socket, size: int, deadline: float | None) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        if deadline is not None:
            peer.settimeout(max(deadline - time.monotonic(), 0.001))
        chunk = peer.recv(min(size - len(content), 1 << 20))
        if not chunk:
            return None
        content += chunk
    return bytes(content)


def main(descriptor: int) -> None:
    """The child's life: load what the first frame names, then answer each frame that follows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process in its own time
    with socket.socket(fileno=descriptor) as parent, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        order = _receive(parent)
        if order is None:
            return
        try:
            artifact = Artifact(Path(order["folder"]))
            kind = FORMATS[order["format"]]
            model = kind.load(artifact.read(kind.file), artifact.manifest)
        except ArtifactError as error:
            _send(parent, _as_document(error))
            return
        _send(parent, {})
        while (question := _receive(parent)) is not None:
            try:
                answers = model.answer(question["columns"])
            except PredictionFailed as error:
                _send(parent, _as_document(error))
            else:
                _send(parent, {"values": answers.values, "probabilities": answers.probabilities})


def _as_document(error: LecternError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
