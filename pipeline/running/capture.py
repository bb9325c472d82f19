"""Capturing a run's output as it arrives: cut where it is more than is kept, counted where it is endless.

What is printed and what is displayed have a share each, so that a cell that prints without end hides no plot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import nbformat
from nbformat import NotebookNode

LARGEST_MESSAGE = 64 << 20
"""The bytes of the largest message that is taken from a kernel."""
_PIECE = 1 << 16
_ERROR_CHARACTERS = 20_000
_ERROR_LINES = 1_000


class Capture:
    """Decides what is kept of each output of one run; `mask` takes the secrets out of a text before it is cut."""

    def __init__(self, most_kept: int, most_printed: int, mask: Callable[[str], str]) -> None:
        self._most_kept, self._most_printed, self._mask = most_kept, most_printed, mask
        self._printed = self._displayed = self._arrived = 0
        self._began: set[int] = set()
        self._ended: set[int] = set()
        self._cut: set[int] = set()

    @property
    def flooded(self) -> bool:
        """Whether more has arrived than a run may print."""
        return self._arrived > self._most_printed

    def admit(self, message: dict[str, Any], cell: NotebookNode) -> dict[str, Any] | None:
        """The message as it is to be taken into the outputs of `cell`; None if not at all."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            return self._print(message, cell)
        if kind in ("display_data", "execute_result", "update_display_data"):
            size = _size(content.get("data"))
            self._arrived += size
            if self._displayed + size > self._most_kept:
                return self._instead(message, cell)
            self._displayed += size
        elif kind == "error":
            content["evalue"] = content["evalue"][:_ERROR_CHARACTERS]
            content["traceback"] = [line[:_ERROR_CHARACTERS] for line in content["traceback"][:_ERROR_LINES]]
        elif kind == "status":
            (self._ended if content["execution_state"] == "idle" else self._began).add(id(cell))
        elif kind == "clear_output":
            self._printed -= sum(_size(output.text) for output in cell.outputs if output.output_type == "stream")
            self._printed = max(0, self._printed)
        return message

    def close(self, cell: NotebookNode) -> None:
        """Say so if the outputs of `cell` are not all there: a message was too large, or came too late."""
        if id(cell) in self._began - self._ended:
            said = f"… output is missing here: it came late, or was one of more than {LARGEST_MESSAGE >> 20} MiB\n"
            cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=said))  # type: ignore[no-untyped-call]

    def _print(self, message: dict[str, Any], cell: NotebookNode) -> dict[str, Any] | None:
        text = message["content"]["text"]
        size = _size(text)
        self._arrived += size
        room = self._most_kept - self._printed
        self._printed += min(size, room)
        if size <= room:
            return message
        kept = self._mask(text).encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
        return self._instead(message, cell, kept)

    def _instead(self, message: dict[str, Any], cell: NotebookNode, kept: str = "") -> dict[str, Any] | None:
        """What stands where output was cut, once in a cell."""
        if id(cell) in self._cut:
            return None
        self._cut.add(id(cell))
        said = f"… output was cut here: a run keeps {self._most_kept:,} bytes (LECTERN_TRAIN_MAX_OUTPUT_BYTES)\n"
        content = {"name": message["content"].get("name", "stderr"), "text": f"{kept}\n{said}" if kept else said}
        return message | {
            "msg_type": "stream",
            "header": message["header"] | {"msg_type": "stream"},
            "content": content,
        }


def merge(outputs: list[NotebookNode]) -> None:
    """Let the last piece of a stream join the one before it, as long as that is small: copying grows with its size."""
    if len(outputs) > 1 and _same_stream(outputs[-2], outputs[-1]) and len(outputs[-2].text) < _PIECE:
        last = outputs.pop()
        outputs[-1].text += last.text


def join(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Make one of all the pieces of a stream that lie side by side."""
    joined: list[list[NotebookNode]] = []
    for output in outputs:
        if joined and _same_stream(joined[-1][-1], output):
            joined[-1].append(output)
        else:
            joined.append([output])
    for pieces in joined:
        if len(pieces) > 1:
            pieces[0].text = "".join(piece.text for piece in pieces)
    return [pieces[0] for pieces in joined]


def _same_stream(first: NotebookNode, second: NotebookNode) -> bool:
    return bool(first.output_type == "stream" == second.output_type and first.name == second.name)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    return len(json.dumps(value, default=str))
