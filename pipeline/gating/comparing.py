"""A comparison: what two versions reach on the same rows, metric by metric.

The rows are the candidate's held-out rows, or the champion's where only those can be asked of both. A row that one of
them cannot answer is left out for both, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from contract import metric_names
from contract.artifact import Artifact
from contract.errors import ArtifactError, NotComparable, PromotionRefused
from contract.limits import Limits
from contract.manifest import Manifest
from contract.showing import as_printed, listed
from pipeline.gating import rows as held_rows
from pipeline.gating import slices, tabling
from pipeline.gating.asking import Asked, ask
from pipeline.gating.limits import Check, Limit
from pipeline.gating.rows import Held
from pipeline.measuring import metrics as measuring

_SHOWS_TRUTH = {
    "classification": "accuracy",
    "multilabel": "f1_micro",
    "regression": "r2",
    "clustering": "adjusted_rand_score",
    "outliers": "f1_outliers",
}
"""The metric that a version has if it was exported with targets, by task; a transformation has no truth."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the table: a metric over all rows, or over a slice of them."""

    metric: str
    champion: float | None
    candidate: float | None
    rows: str = ""
    """Which slice; empty for all rows."""

    @property
    def difference(self) -> float | None:
        """By how much the candidate's value is greater."""
        return None if self.champion is None or self.candidate is None else self.candidate - self.champion

    @property
    def better(self) -> bool | None:
        """Whether the candidate is better; None where neither is, or nobody can tell."""
        return metric_names.better(self.metric, self.champion, self.candidate)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two versions reached, and which metric decides."""

    candidate: int
    champion: int
    metric: str
    count: int
    """How many rows both answered."""
    source: str
    """Whose rows they are."""
    table: tuple[Compared, ...]
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    """Which rows were left out, and why."""

    @property
    def deciding(self) -> Compared:
        """The line that decides."""
        return next(line for line in self.table if line.metric == self.metric and not line.rows)

    @property
    def reason(self) -> str:
        """What the metric that decides says, in one line."""
        now, before = self.deciding.candidate, self.deciding.champion
        return (
            f"{self.metric} {now:.4g} against {before:.4g} of version {self.champion}, on {self.count:,} "
            f"{'row' if self.count == 1 else 'rows'} of {self.source}"
        )

    def __str__(self) -> str:
        return tabling.text(self)

    _repr_pretty_ = as_printed

    def _repr_html_(self) -> str:
        return tabling.html(self)


def compare(
    candidate: Artifact,
    champion: Artifact,
    limits: Limits,
    *,
    metric: str | None = None,
    asked_for: Sequence[Limit] = (),
    column: str | None = None,
    rows: Held | None = None,
) -> Comparison:
    """Ask both the same rows.

    Args:
        candidate: the version that may become the champion.
        champion: the one that is.
        limits: what each may cost.
        metric: what decides; the usual one of the task when not given.
        asked_for: what the candidate has to reach by itself.
        column: the table has the deciding metric for each slice of this column, too.
        rows: the rows; those kept with one of them when not given.

    Raises:
        NotComparable: there are no such rows, one of them does not load, or they answer different questions.
        PromotionRefused: there is no such metric or column.
        OSError: the file system failed.
    """
    held = _rows(candidate, champion) if rows is None else _fitting(rows, candidate, champion)
    _check_questions(candidate, champion, held)
    with ThreadPoolExecutor(2) as both:
        new, old = both.map(lambda artifact: ask(artifact, held, limits), (candidate, champion))
    common = sorted(set(new.rows) & set(old.rows))
    notes = tuple(_told(candidate, new, held)) + tuple(_told(champion, old, held))
    if not common:
        raise NotComparable(
            f"Versions {candidate.folder.name} and {champion.folder.name} have no row that both can answer among those "
            f"of {held.source}. {' '.join(notes)}"
        )
    held = held.take(common)
    sides = [_Side(candidate.manifest, new, common), _Side(champion.manifest, old, common)]

    def line(name: str, of: Sequence[int] | None = None, where: str = "") -> Compared:
        now, before = (side.measure(held, of).get(name) for side in sides)
        return Compared(name, before, now, where)

    names = list(dict.fromkeys(name for side in sides for name in side.measure(held)))
    table = [line(name) for name in names]
    decides = _deciding(table, metric, candidate.manifest)
    if column is not None:
        found = slices.slices(held, column)
        table += [line(decides, of, f"{column}={name}") for name, of in found.items()]
    checks = [check for limit in asked_for for check in limit.checks(held, lambda of: sides[0].measure(held, of))]
    return Comparison(
        _number(candidate), _number(champion), decides, len(common), held.source, tuple(table), tuple(checks), notes
    )


class _Side:
    """The answers of one version to the common rows."""

    def __init__(self, manifest: Manifest, asked: Asked, common: Sequence[int]) -> None:
        self.output = manifest.signature.output
        place = {row: i for i, row in enumerate(asked.rows)}
        self.answers = asked.answers.take([place[row] for row in common])
        self._all: Mapping[str, float] | None = None

    def measure(self, held: Held, rows: Sequence[int] | None = None) -> Mapping[str, float]:
        """The metrics of some rows, or of all."""
        if rows is not None:
            return measuring.measure(self.answers.take(rows), [held.truth[i] for i in rows], self.output)
        if self._all is None:
            self._all = measuring.measure(self.answers, held.truth, self.output)
        return self._all


def _rows(candidate: Artifact, champion: Artifact) -> Held:
    """The rows that both can take, the candidate's first."""
    try:
        known = [held_rows.kept(candidate), held_rows.kept(champion)]
    except ArtifactError as error:
        raise NotComparable(f"The held-out rows cannot be read: {error}") from error
    found = [held for held in known if held is not None]
    if not found:
        model, new, old = candidate.manifest.model, candidate.folder.name, champion.folder.name
        never = not any(_was_measured(artifact.manifest) for artifact in (candidate, champion))
        advice = "" if never else "; give some with --data FILE --target COLUMN"
        raise NotComparable(
            f"Neither version {new} nor version {old} of '{model}' keeps held-out rows with their truth{advice}.",
            never=never,
        )
    for held in found:
        if not any(held.lacking(artifact.manifest.signature) for artifact in (candidate, champion)):
            return held
    return _fitting(found[0], candidate, champion)


def _fitting(held: Held, candidate: Artifact, champion: Artifact) -> Held:
    for artifact in (candidate, champion):
        if lacking := held.lacking(artifact.manifest.signature):
            raise NotComparable(
                f"Version {artifact.folder.name} takes {listed(map(repr, lacking))}, which the rows of "
                f"{held.source} do not have."
            )
    return held


def _was_measured(manifest: Manifest) -> bool:
    """Whether a version was exported with targets."""
    return _SHOWS_TRUTH.get(manifest.signature.output.task) in manifest.metrics


def _check_questions(candidate: Artifact, champion: Artifact, held: Held) -> None:
    """Raise if the truth of the rows is no truth for both."""
    new, old = (artifact.manifest.signature.output for artifact in (candidate, champion))
    numbers = f"Version {candidate.folder.name}", f"version {champion.folder.name}"
    for what, now, before in (("task", new.task, old.task), ("number of answers a row", new.width, old.width)):
        if now != before:
            raise NotComparable(f"{numbers[0]} has another {what} than {numbers[1]}: {now} instead of {before}.")
    if new.classes and old.classes and not set(new.classes) & set(old.classes):
        raise NotComparable(
            f"{numbers[0]} answers {listed(new.classes, 6)} and {numbers[1]} {listed(old.classes, 6)}: no class is the "
            "same."
        )
    if new.task not in _SHOWS_TRUTH:
        raise NotComparable(f"No truth tells how good a {new.task} is.", never=True)
    if not held.truth:
        raise NotComparable(f"There are no rows of {held.source}.")


def _deciding(table: Sequence[Compared], metric: str | None, manifest: Manifest) -> str:
    both = [line.metric for line in table if line.difference is not None]
    if metric is not None and metric not in both:
        raise PromotionRefused(
            f"No metric '{metric}' can be computed of these rows; there is {', '.join(both) or 'none'}."
        )
    usual = metric_names.PRIMARY[manifest.signature.output.task]
    if metric is None and not both:
        raise NotComparable("These rows define no metric of both versions.")
    return metric or (usual if usual in both else both[0])


def _told(artifact: Artifact, asked: Asked, held: Held) -> Iterable[str]:
    for reason, count in asked.refused.items():
        yield (
            f"Version {artifact.folder.name} cannot answer {count:,} of {len(held.truth):,} rows: {reason}; "
            "they were left out."
        )


def _number(artifact: Artifact) -> int:
    return int(artifact.folder.name)
