"""Tabling: a comparison as a table and the lines below it, for a notebook and a terminal."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from contract.showing import Table, bullets, figure, mark, one_line

if TYPE_CHECKING:
    from pipeline.gating.comparing import Compared, Comparison

DECIDES = " *"


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One row for each metric and slice, the metric that decides marked."""
    sliced = any(line.rows for line in comparison.table)
    return [_row(comparison, line, sliced=sliced) for line in comparison.table]


def below(comparison: Comparison) -> list[str]:
    """What the table was made of, which rows were left out, and which limits do not hold."""
    count = f"{comparison.count:,} {'row' if comparison.count == 1 else 'rows'}"
    missed = (f"{check}." for check in comparison.checks if not check.held)
    lines = (f"{DECIDES.strip()} decides; {count} of {comparison.source}", *comparison.notes, *missed)
    return list(map(one_line, lines))


def text(comparison: Comparison) -> str:
    """The comparison where nothing but text is shown."""
    return "\n".join([str(Table.of(rows(comparison))), *below(comparison)])


def html(comparison: Comparison) -> str:
    """The comparison in a notebook."""
    table = Table.of(rows(comparison), strong=comparison.table.index(comparison.deciding))
    first, *others = below(comparison)
    return f"<div>{table.html()}<p>{escape(first)}</p>{bullets(others)}</div>"


def _row(comparison: Comparison, line: Compared, *, sliced: bool) -> dict[str, Any]:
    return {
        "metric": line.metric + (DECIDES if line == comparison.deciding else ""),
        **({"rows": line.rows or "all"} if sliced else {}),
        f"version {comparison.champion}": figure(line.champion),
        f"version {comparison.candidate}": figure(line.candidate),
        "difference": figure(line.difference, "+"),
        " ": mark(line.difference or 0, line.better),
    }
