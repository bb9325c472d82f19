"""Texts as Python literals: whatever a text holds, it stays one, in the form that the formatter leaves alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_WIDTH = 120
_PIECE = 90


def literal(text: str, *, before: int = 0, after: int = 0, indent: int = 0) -> str:
    """The literal of a text that has so many characters before and after it on its line, over several where it must."""
    whole = _quoted(text)
    if before + _width(whole) + after <= _WIDTH:
        return whole
    pieces = [text] if indent + 4 + _width(whole) <= _WIDTH else _pieces(text)
    inner = "\n".join(f"{' ' * (indent + 4)}{_quoted(piece)}" for piece in pieces)
    return f"(\n{inner}\n{' ' * indent})"


def assigned(start: str, text: str, comment: str) -> str:
    """The assignment of a text with a comment beside it: above it where the line would be too long."""
    line = f"{start} = {_quoted(text)}  # {comment}"
    if _width(line) <= _WIDTH:
        return line
    return f"# {comment}\n{start} = {literal(text, before=len(start) + 3)}"


def named(name: str, texts: Sequence[str]) -> str:
    """The assignment of a list of texts to a name: on one line if they are few."""
    line = f"{name} = [{', '.join(map(_quoted, texts))}]"
    if _width(line) <= _WIDTH and len(texts) <= 8:
        return line
    return "\n".join([f"{name} = [", *(f"    {literal(text, before=4, after=1, indent=4)}," for text in texts), "]"])


def _quoted(text: str) -> str:
    """In double quotes, unless single ones spare a backslash; what cannot be seen is written as an escape."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_escaped(character, quote) for character in text) + quote


def _escaped(character: str, quote: str) -> str:
    if character in (quote, "\\"):
        return "\\" + character
    return character if character.isprintable() else repr(character)[1:-1]


def _width(text: str) -> int:
    """Columns on a screen, as far as line lengths are counted in them."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for character in text:
        if _width(_quoted(pieces[-1] + character)) > _PIECE:
            pieces.append("")
        pieces[-1] += character
    return pieces
