"""Masking: the values of parameters whose names say that they are secret leave no trace in what is kept of a run.

The kernel is given the true value; the executed notebook, the report, the manifest, the record and every message say
`***` instead.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

MASK = "***"
SHORT = 4
"""A value with fewer characters is masked only where it stands between quotes: it is part of too many words."""
_LINE = 16
"""A line this long of a value of several is masked on its own too, as a key file is shown line by line."""
_WORDS = {"password", "passwd", "passphrase", "secret", "token", "apikey", "credential", "credentials", "secrets"}
_PAIRS = {("api", "key"), ("private", "key"), ("secret", "key"), ("access", "key")}
_PICTURE = re.compile(r"(image/(?!svg)|audio/|video/|application/pdf)")


def is_secret(name: str) -> bool:
    """Whether a parameter's name says that its value is secret: `db_password`, `apiKey`; not `tokenizer`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")
    return not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(pairwise(words))


class Mask:
    """Hides the secrets among the parameters of one run."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if is_secret(name) and value not in (None, "")}
        forms = {form for value in self._values.values() for text in _texts(value) for form in _forms(text)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by name, those that are secret masked."""
        return {name: MASK if name in self._values else value for name, value in values.items()}

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def inside(self, value: Any) -> Any:
        """JSON without secrets, also in keys; the bytes of pictures are left alone."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.inside(item) for item in value]
            case dict():
                return {
                    self.text(key): item if _PICTURE.match(key) else self.inside(item) for key, item in value.items()
                }
        return value


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if value:
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)


def _forms(text: str) -> set[str]:
    """The ways in which a text can stand in source code, in a traceback, in HTML and in an address."""
    lines = [line.strip() for line in text.splitlines()]
    texts = {text, *(line for line in lines if len(lines) > 1 and len(line) >= _LINE)}
    written = {
        form
        for found in texts
        for form in (
            found,
            repr(found)[1:-1],
            ascii(found)[1:-1],
            json.dumps(found, ensure_ascii=False)[1:-1],
            json.dumps(found)[1:-1],
            html.escape(found),
            html.escape(repr(found)[1:-1]),
            quote(found.encode("utf-8", "surrogatepass"), safe=""),
        )
    }
    return written if len(text) >= SHORT else {f"{mark}{form}{mark}" for form in written for mark in "'\""}
