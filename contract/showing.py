"""Showing: how tables, figures and names are drawn, as HTML in a notebook and as text in a terminal.

The same facts give the same bytes, of bounded size. There is no script, no id and no style sheet: where a host strips
styles, or has other colours than JupyterLab, a plain table is left. What comes from outside is escaped, on one line.
"""

from __future__ import annotations

import json
import re
import shutil
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice, zip_longest
from typing import Any

MOST_ROWS = 50
"""Of a table no more rows than this are drawn in a notebook."""
MOST_NAMES = 12
"""Of names in a sentence no more than this are said."""
_LEFT = "style='text-align:left'"
"""Hosts set cells flush right; texts are not."""

_COLOURS = {
    "better": "var(--jp-success-color1, #009e73)",
    "worse": "var(--jp-error-color1, #d55e00)",
    "warning": "var(--jp-warn-color1, #d55e00)",
}
"""Of the sign beside a word: nothing is said by a colour alone, nor written in one."""

_LONGEST_CELL = 80
_LEAST_COLUMN = 8
_PIPE = 1000
"""Columns that a table may take where there is no terminal: it is not folded."""
_WORD = re.compile(r"(?!(?:true|false|null)$)[^\W\d]([^,\"\\]*[^\s,\"\\])?")


def as_printed(shown: object, printer: Any, _cycle: bool) -> None:
    """Show in a notebook what `print` does, where there is no HTML; a class has it as its `_repr_pretty_`."""
    printer.text(str(shown))


class Figure(str):
    """A number as it is shown; in a table it stands flush right."""

    __slots__ = ()


def figure(value: float | None, sign: str = "") -> Figure:
    """A number to four decimals; one that is very small or large to four digits; nothing where there is none.

    Args:
        value: the number.
        sign: `+` writes the sign of a number that is not negative, too.
    """
    if value is None:
        return Figure("")
    return Figure(f"{value:{sign}.4f}" if value == 0 or 0.001 <= abs(value) < 1_000_000 else f"{value:{sign}.4g}")


def mark(change: float, better: bool | None) -> str:
    """Where a number went, and whether that is better or worse; nothing where nobody can tell."""
    return "" if better is None else f"{'▲' if change > 0 else '▼'} {'better' if better else 'worse'}"


def coloured(sign: str, word: str) -> str:
    """A sign in the colour of the word that stands beside it, as HTML."""
    return f"<span style='color:{_COLOURS[word]}'>{sign}</span>"


def one_line(text: str) -> str:
    """A text on one line, without what a terminal or a browser would obey."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def cut(text: str, most: int = _LONGEST_CELL) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= most else f"{text[: most - 2]} …"


def shown(value: Any) -> str:
    """A value as JSON has it; a text without the quotes where it cannot be taken for anything else."""
    plain = isinstance(value, str) and value.isprintable() and _WORD.fullmatch(value)
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def bullets(texts: Iterable[str]) -> str:
    """Texts one below the other, as HTML."""
    items = "".join(f"<li>{escape(one_line(text))}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def listed(names: Iterable[object], most: int = MOST_NAMES, between: str = ", ") -> str:
    """Names or values in a sentence, the first of them if they are many."""
    found = list(map(str, islice(names, most + 1)))
    return between.join(found[:most]) + (f"{between}…" if len(found) > most else "")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells under a head; a column that holds nothing but numbers is set flush right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: tuple[bool, ...]
    strong: int | None = None
    """Which row stands out."""

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], strong: int | None = None) -> Table:
        """The table of these rows; their keys are the head."""
        found = list(rows)
        head = tuple(dict.fromkeys(name for row in found for name in row))
        columns = [[row.get(name, "") for row in found] for name in head]
        figures = tuple(any(map(_is_figure, column)) and all(map(_is_neutral, column)) for column in columns)
        cells = tuple(tuple(one_line(_said(row.get(name, ""))) for name in head) for row in found)
        return cls(tuple(map(one_line, head)), cells, figures, strong)

    def html(self) -> str:
        """The table as a notebook shows it: its first rows, and how many more there are."""
        if not self.head:
            return ""
        sides = ["" if right else f" {_LEFT}" for right in self.figures]
        head = "".join(f"<th{side}>{_drawn(name)}</th>" for side, name in zip(sides, self.head, strict=True))
        body = ""
        for number, row in enumerate(self.rows[:MOST_ROWS]):
            name, *others = (f"{side}>{_drawn(cell)}" for side, cell in zip(sides, row, strict=True))
            strong = " style='font-weight:bold'" if number == self.strong else ""
            body += f"<tr{strong}><th{name}</th>{''.join(f'<td{other}</td>' for other in others)}</tr>"
        more = "".join(f"<p>{text}</p>" for text in self._more())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def __str__(self) -> str:
        rows = [[cut(cell) for cell in row] for row in self.rows[:MOST_ROWS]]
        return "\n".join([*self._lines([cut(name) for name in self.head], rows, _PIPE), *self._more()])

    def print(self) -> None:
        """Print all of it, as wide as the terminal is; a narrow one loses no letter."""
        width = shutil.get_terminal_size((_PIPE, 0)).columns
        print("\n".join(self._lines(self.head, self.rows, width)), end="\n\n")

    def _lines(self, head: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> list[str]:
        widths = [max(map(_width, column)) for column in zip(head, *rows, strict=True)]
        gaps = 2 * (len(widths) - 1)
        while sum(widths) + gaps > most and max(widths) > _LEAST_COLUMN:
            widths[widths.index(max(widths))] -= 1
        first, *others = (self._folded(row, widths) for row in (head, *rows))
        return [*first, "─" * (sum(widths) + gaps), *(line for lines in others for line in lines)]

    def _folded(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        parts = [textwrap.wrap(cell, width or 1) for cell, width in zip(row, widths, strict=True)]
        lines = zip_longest(*parts, fillvalue="")
        return ["  ".join(map(_set, line, widths, self.figures)).rstrip() for line in lines]

    def _more(self) -> list[str]:
        return [f"… and {len(self.rows) - MOST_ROWS:,} more"] if len(self.rows) > MOST_ROWS else []


def print_table(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table, their keys as its head."""
    Table.of(rows).print()


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float | Figure) and not isinstance(value, bool)


def _is_neutral(value: Any) -> bool:
    return value in ("", None) or _is_figure(value)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(number)}" for name, number in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drawn(cell: str) -> str:
    sign, _, word = cell.partition(" ")
    if sign in ("▲", "▼") and word in ("better", "worse"):
        return f"{coloured(sign, word)} {word}"
    return escape(cut(cell))


def _width(text: str) -> int:
    """The columns of a terminal that a text takes; a sign of East Asia takes two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _set(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
