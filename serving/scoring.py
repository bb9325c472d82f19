"""Scoring: the rows of a file answered into another one, through what answers requests, but without a server."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from contract.errors import ArtifactError, LecternError
from contract.store import Store
from serving.loading import Served, load
from serving.problems import Problem
from serving.responses import new_id
from serving.settings import ServeSettings
from serving.streams import ask
from serving.tables import BY_SUFFIX, Form
from serving.tables.chunk import Chunk
from serving.tables.layout import Layout

STANDARD = "-"
"""In place of a file: standard input or output."""


class ScoringFailed(LecternError):
    """A file that could not be answered whole; the message says which row is to blame and what was kept."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a file."""

    rows: int
    seconds: float
    output: str


def form_of(path: str, named: str | None) -> Form:
    """The form of a file, by its suffix unless it is named.

    Raises:
        ScoringFailed: there is none such, or what it needs is not installed.
    """
    suffix = f".{named.lower().removeprefix('.')}" if named else Path(path).suffix.lower()
    form = BY_SUFFIX.get(suffix)
    if form is None:
        known = ", ".join(sorted(BY_SUFFIX))
        if path == STANDARD and not named:
            raise ScoringFailed(f"Say what '{STANDARD}' holds, with --from for the rows and --to for answers: {known}.")
        raise ScoringFailed(f"'{named or path}' is of no form that can be scored; these are: {known}.")
    if not form.available:
        raise ScoringFailed(
            f"{form.name} needs the package 'pyarrow', which is not installed here; 'lectern[tables]' brings it."
        )
    return form


def output_of(source: str, output: str | None) -> str:
    """Where answers go: beside the rows, unless it is said.

    Raises:
        ScoringFailed: it is where the rows are.
    """
    path = Path(source)
    found = output or (STANDARD if source == STANDARD else str(path.with_name(f"{path.stem}.scored{path.suffix}")))
    if found != STANDARD and source != STANDARD and Path(found).exists() and Path(found).samefile(path):
        raise ScoringFailed(f"{found} holds the rows themselves; name another file for the answers.")
    return found


def served_of(store: Store, model: str, version: int | None, settings: ServeSettings) -> Served:
    """A version of a model: the champion, or the one that stands in for it as in a service, unless it is said.

    Raises:
        StoreError: there is none.
        ArtifactError: it must not answer.
    """
    newest = int(store.artifact(model, version).folder.name)
    candidates = [newest] if version is not None else _ranked(store, model)
    for number in candidates:
        try:
            return load(model, number, store.artifact(model, number), settings)
        except ArtifactError as error:
            if number == candidates[-1]:
                raise
            print(f"lectern: {model} version {number} is passed over: {error}", file=sys.stderr)
    raise ArtifactError(f"'{model}' has no champion; `lectern promote {model} VERSION` makes one.")


def _ranked(store: Store, model: str) -> list[int]:
    """The versions that answer for a model where none is named, the champion first."""
    versions, deployment = store.versions(model), store.promotions(model).read()
    ranked = reversed(deployment.champions if deployment.number else versions)
    return [number for number in dict.fromkeys(ranked) if number in versions]


def score(served: Served, source: str, forms: tuple[Form, Form], output: str, *, limit: int, echo: bool) -> Scored:
    """Answer all rows of a file. The output appears once it is whole.

    Raises:
        ScoringFailed: a row cannot be answered, or a file not be read or written.
    """
    began, rows = time.perf_counter(), 0
    reads, writes = forms
    layout = Layout(served, new_id(), echo=echo)
    try:
        with ExitStack() as opened:
            file, watched = _opened(source, opened)
            sink, unfinished = _created(output, opened)
            writer = writes.write(sink, layout)
            try:
                with closing(reads.read(file, served.schema, limit)) as chunks:  # type: ignore[type-var]
                    for chunk in _shown(chunks, watched, source):
                        if chunk.count:
                            writer.write(chunk, ask(served, chunk))
                            rows += chunk.count
                        if chunk.problem:
                            raise chunk.problem
                writer.close()
                sink.flush()
            except (Problem, LecternError) as error:
                kept = _keep(writer, sink, unfinished, output) if rows else ""
                raise ScoringFailed(f"{error}{kept}") from error
            if unfinished is not None:
                unfinished.replace(output)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ScoringFailed(f"Cannot score {source} into {output}: {error.strerror}.") from error
    return Scored(rows, time.perf_counter() - began, output)


def _opened(source: str, opened: ExitStack) -> tuple[BinaryIO, Any]:
    """The rows, and a file that tells how much of it has been read."""
    if source == STANDARD:
        return sys.stdin.buffer, None
    file = opened.enter_context(Path(source).open("rb"))  # noqa: SIM115  # the stack closes it
    return file, file.raw


def _created(output: str, opened: ExitStack) -> tuple[BinaryIO, Path | None]:
    """Where to write, and the hidden file that it is until it is whole."""
    if output == STANDARD:
        return sys.stdout.buffer, None
    path = Path(output)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    sink = opened.enter_context(unfinished.open("xb"))
    opened.callback(unfinished.unlink, missing_ok=True)
    return sink, unfinished


def _keep(writer: Any, sink: BinaryIO, unfinished: Path | None, output: str) -> str:
    """Keep what was answered, and say where."""
    with contextlib.suppress(LecternError, Problem):
        writer.close()
    sink.flush()
    if unfinished is None:
        return " What was answered before was written."
    part = Path(f"{output}.part")
    unfinished.replace(part)
    return f" What was answered before is in {part}."


def _shown(chunks: Iterator[Chunk], watched: Any, source: str) -> Iterator[Chunk]:
    """The chunks, with a bar on a terminal that tells how much of the file has been read."""
    if watched is None or not sys.stderr.isatty():
        yield from chunks
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(Path(source).name, total=Path(source).stat().st_size)
        for chunk in chunks:
            progress.update(task, completed=watched.tell())
            yield chunk
