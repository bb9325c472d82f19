"""The proof: what was written is loaded with the code that will serve it, and must answer as the notebook does.

A file that may run code is loaded in a fresh process outside the notebook's folder. The rows come as a request brings
them: all together, shuffled, and one by one.
"""

from __future__ import annotations

import random
import textwrap
from contextlib import closing

from contract import golden, trying
from contract.answers import Columns, apart
from contract.artifact import Artifact
from contract.errors import ArtifactError, ExportRefused, PredictionError, SelfTestMismatch
from contract.formats import FORMATS
from contract.golden import Model
from contract.limits import Limits
from pipeline.exporting.alone import TOLERANCE, one_by_one
from pipeline.exporting.examining import Examined


def prove(artifact: Artifact, format_name: str, found: Examined, timeout_s: float) -> None:
    """Load one file of a sealed artifact, and have it reproduce its golden rows and the answers to all rows given.

    Args:
        artifact: what was written.
        format_name: which of its files.
        found: the rows, and the answers that the notebook gave to them.
        timeout_s: the longest time that loading, and that each answer may take.

    Raises:
        ExportRefused: it does not work outside the notebook.
    """
    kind = FORMATS[format_name]
    try:
        if kind.runs_code:
            child, _ = trying.start(artifact, format_name, Limits(timeout_s, timeout_s))
            with closing(child):
                _answer_all(child, found)
        else:
            loaded = kind.load(artifact.read(kind.file), artifact.manifest)
            golden.prove(loaded, artifact.read(golden.GOLDEN), artifact.manifest.signature, kind.tolerance)
    except (ArtifactError, PredictionError) as error:
        hint = " Does a step look at the other rows, or at something in this notebook?"
        raise ExportRefused(
            f"The saved model does not work outside this notebook: {error}{_first_cause(error)}"
            f"{hint if isinstance(error, SelfTestMismatch) else ''}"
        ) from error


def _first_cause(error: BaseException) -> str:
    """What the model itself said, in brackets; empty where nothing is known of it."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    said = "" if first is error else textwrap.shorten(str(first), 240, placeholder=" …")
    return f" ({said})" if said else ""


def _answer_all(model: Model, examined: Examined) -> None:
    columns, expected, sample = examined.sent, examined.expected, examined.sample
    order = list(range(len(expected.values)))
    shuffled = random.Random(0).sample(order, len(order))  # any order will do
    mixed: Columns = {name: [values[i] for i in shuffled] for name, values in columns.items()}
    for how, rows, found in (
        ("together", order, model.answer(columns)),
        ("in another order", shuffled, model.answer(mixed)),
        ("alone", sample, one_by_one(model, columns, sample)),
    ):
        numeric = examined.signature.output.numeric
        if wrong := apart(found, expected.take(rows), relative=numeric, tolerance=TOLERANCE):
            instead = expected.values[rows[wrong[0]]]
            raise SelfTestMismatch(
                f"Asked {how}, row {rows[wrong[0]]} is answered with {found.values[wrong[0]]!r:.60} instead of "
                f"{instead!r:.60}."
            )
