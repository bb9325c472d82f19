"""The decision: whether a candidate becomes the champion, by which policy, from which comparison, and why in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from contract.errors import NotComparable
from contract.manifest import Policy
from contract.metric_names import ROUNDING, higher_is_better
from contract.showing import as_printed, one_line
from pipeline.gating import tabling

if TYPE_CHECKING:
    from pipeline.gating.comparing import Comparison

FIRST = "no version was champion before"
_NEVER = "the policy is never to promote by itself"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a candidate."""

    model: str
    candidate: int
    champion: int | None
    """What it was held against; None where there was no champion."""
    verdict: Literal["promoted", "kept", "undecided"]
    """`kept` leaves the champion as it was; `undecided` was a failure, and the log has nothing of it."""
    reason: str
    comparison: Comparison | None = None

    @property
    def promoted(self) -> bool:
        """Whether the candidate is the champion now."""
        return self.verdict == "promoted"

    def __str__(self) -> str:
        if self.promoted:
            return f"champion now: {self.reason}"
        return f"not promoted: {self.reason}; {self.way_out()}"

    _repr_pretty_ = as_printed

    def _repr_html_(self) -> str:
        compared = "" if self.comparison is None else tabling.html(self.comparison)
        title, said = escape(f"{self.model} version {self.candidate}"), escape(one_line(str(self)))
        return f"<div><p><strong>{title}</strong><br>{said}</p>{compared}</div>"

    @property
    def notes(self) -> tuple[str, ...]:
        """Which rows were not compared, and why."""
        return () if self.comparison is None else self.comparison.notes

    def way_out(self) -> str:
        """The command that promotes it all the same, or asks the gate that was not asked."""
        if self.reason == _NEVER and self.champion is not None:
            return f"`lectern promote {self.model} {self.candidate}` compares them, and promotes it if it is not worse"
        forced = "" if self.verdict == "undecided" or self.champion is None else ' --force --reason "…"'
        return f"`lectern promote {self.model} {self.candidate}{forced}` promotes it"

    def as_json(self) -> dict[str, Any]:
        """What the log keeps of it."""
        found: dict[str, Any] = {"verdict": self.verdict, "reason": self.reason}
        return found if self.comparison is None else found | as_json(self.comparison)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values."""
    return {
        "metric": comparison.metric,
        "rows": comparison.count,
        "rows_of": comparison.source,
        "table": [
            {"metric": line.metric, "champion": line.champion, "candidate": line.candidate}
            | {"difference": line.difference, "better": line.better}
            | ({"rows": line.rows} if line.rows else {})
            for line in comparison.table
        ],
        "limits": [
            {"rows": check.rows, "limit": check.limit, "value": check.value, "held": check.held}
            for check in comparison.checks
        ],
        "notes": list(comparison.notes),
    }


def decide(
    model: str,
    candidate: int,
    champion: int | None,
    policy: Policy,
    compare: Callable[[], Comparison],
    *,
    tolerance: float = 0.0,
) -> Decision:
    """Apply a policy.

    Args:
        model: the model's name.
        candidate: the version that may become the champion.
        champion: the one that is; None where there is none.
        policy: `if-better` promotes what is not worse, and also where nothing of the model can ever be compared.
        compare: compares the two; called only where that decides. It raises NotComparable where it cannot.
        tolerance: by how much the deciding metric may be worse, in its own unit.
    """

    def found(verdict: Literal["promoted", "kept"], reason: str, comparison: Comparison | None = None) -> Decision:
        return Decision(model, candidate, champion, verdict, reason, comparison)

    if policy == "never":
        return found("kept", _NEVER)
    if champion is None:
        return found("promoted", FIRST)
    if policy == "always":
        return found("promoted", f"the policy is always to promote; nothing was compared with version {champion}")
    try:
        comparison = compare()
    except NotComparable as error:
        reason = _begun(str(error).removesuffix("."))
        if error.never:
            return found("promoted", f"nothing was compared with version {champion}: {reason}")
        return found("kept", f"it could not be compared with version {champion}: {reason}")
    return found(*judged(comparison, tolerance), comparison)


def judged(comparison: Comparison, tolerance: float) -> tuple[Literal["promoted", "kept"], str]:
    """The verdict on a comparison, and the reason."""
    if missed := [check for check in comparison.checks if not check.held]:
        return "kept", "; ".join(map(str, missed))
    line = comparison.deciding
    assert line.difference is not None  # what decides, both have
    worse = -line.difference if higher_is_better(line.metric) else line.difference
    return "kept" if worse > tolerance + ROUNDING else "promoted", comparison.reason


def _begun(sentence: str) -> str:
    """A sentence as the second half of another one."""
    first = sentence.partition(" ")[0]
    return sentence[:1].lower() + sentence[1:] if first[1:].islower() else sentence
