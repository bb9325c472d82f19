"""The page that tells how far a challenger agrees with the champion: for people, without a script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.admin import ShadowDocument

MOST_ROWS = 20
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #8886; }
th, td { max-width: 24rem; overflow-wrap: break-word; }
meter { width: 16rem; height: 1rem; vertical-align: middle; }
code { font-size: .9em; } .note { opacity: .75; }
""".strip()


def render(found: ShadowDocument) -> str:
    """The page."""
    title = f"{found.model}: version {found.challenger} in the shadow of version {found.champion}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{'Copies of the requests are compared now.' if found.running else 'Nothing is compared any more.'}</p>",
        f"<p>{_agreement(found)}</p>",
        _table(("", ""), _figures(found)),
    ]
    if found.said:
        pairs = sorted(found.said.items(), key=lambda pair: -pair[1])
        body += ["<h2>What they said</h2>", _table(("champion → challenger", "rows"), pairs)]
    if found.differing:
        fields = list(found.differing[-1]["input"])
        rows = [
            (*(_shown(row["input"].get(name)) for name in fields), _shown(row["champion"]), _shown(row["challenger"]))
            for row in reversed(found.differing[-MOST_ROWS:])
        ]
        note = f'<p class="note">The last {len(rows)}, the newest first.</p>'
        body += ["<h2>Rows that differ</h2>", note, _table((*fields, "champion", "challenger"), rows)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _agreement(found: ShadowDocument) -> str:
    if found.agreement is None:
        return "No row has two answers to compare yet."
    value = f'value="{found.agreement:.4f}" aria-label="share of rows on which both agree"'
    share = f'<meter min="0" max="1" {value}></meter> <strong>{found.agreement:.2%}</strong>'
    return f"{share} of {found.rows:,} rows {'has' if found.rows == 1 else 'have'} the same answer."


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


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{cells}</tr></thead>" if any(head) else ""
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{lines}</tbody></table></div>'


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
