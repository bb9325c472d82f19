"""The shadow's report: how far a challenger says the same as the champion, on the same rows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from serving.agreement import Agreement
from serving.metrics import Sheet

MOST_ROWS, MOST_FIELDS, MOST_PAIRS = 20, 50, 50
"""Its page shows the last of the rows that differ, the first of their fields, and what was said most often."""


class ShadowDocument(BaseModel):
    """How far the challenger says the same as the champion, on the same rows."""

    model: str
    champion: int
    challenger: int
    running: bool
    rows: int
    agreeing: int
    agreement: float | None = Field(description="the share of rows on which they agree")
    failed: int = Field(description="rows that the challenger could not answer")
    left_out: int = Field(description="rows that it was not asked, to bound what comparing costs")
    mean_difference: float | None = Field(description="of the probabilities (their largest difference) or numbers")
    largest_difference: float
    challenger_ms_per_row: float | None
    champion_ms_per_request: float | None
    said: dict[str, int] = Field(description="rows by what champion and challenger said")
    differing: list[dict[str, Any]] = Field(description="the last rows on which they differ")


def report(found: Agreement, total: Sheet, *, running: bool) -> ShadowDocument:
    """What was compared of one pair of versions, of all workers."""
    champion = total.of(found.model, found.champion)
    requests = sum(champion.statuses.values())
    return ShadowDocument(
        model=found.model,
        champion=found.champion,
        challenger=found.challenger,
        running=running,
        rows=found.rows,
        agreeing=found.agreeing,
        agreement=found.agreeing / found.rows if found.rows else None,
        failed=found.failed,
        left_out=found.left_out,
        mean_difference=found.difference / found.rows if found.rows else None,
        largest_difference=found.largest,
        challenger_ms_per_row=1_000 * found.seconds / found.rows if found.rows else None,
        champion_ms_per_request=1_000 * champion.seconds / requests if requests else None,
        said=dict(found.said),
        differing=list(found.differing),
    )


def facts(found: ShadowDocument) -> dict[str, Any]:
    """What its page shows."""
    rows = found.differing[: -MOST_ROWS - 1 : -1]
    inputs = any(row["input"] for row in rows)
    named = [row["input"] if inputs else {"id": row["id"]} for row in rows]
    fields = list(named[0])[:MOST_FIELDS] if rows else []
    return {
        "found": found,
        "figures": _figures(found),
        "said": sorted(found.said.items(), key=lambda pair: -pair[1])[:MOST_PAIRS],
        "fields": fields,
        "inputs": inputs,
        "differing": [
            [*(facts.get(name) for name in fields), row["champion"], row["challenger"]]
            for facts, row in zip(named, rows, strict=True)
        ],
    }


def _figures(found: ShadowDocument) -> list[tuple[str, str]]:
    rows = [
        ("rows the challenger failed at", f"{found.failed:,}"),
        ("rows left out, to bound the cost", f"{found.left_out:,}"),
        ("largest difference in numbers", f"{found.largest_difference:.4g}"),
    ]
    if found.mean_difference is not None:
        rows.append(("mean difference", f"{found.mean_difference:.4g}"))
    if found.challenger_ms_per_row is not None:
        rows.append(("challenger, ms per row", f"{found.challenger_ms_per_row:.3f}"))
    if found.champion_ms_per_request is not None:
        rows.append(("champion, ms per request", f"{found.champion_ms_per_request:.3f}"))
    return rows
