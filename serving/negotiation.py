"""Negotiation: which form a request's body has, and which one its answers are to have."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

from serving.patience import HEADER as PATIENCE
from serving.patience import milliseconds
from serving.problems import Problem
from serving.tables import BY_MEDIA, FORMS, JSON, Form

Headers = Iterable[tuple[bytes, bytes]]

_PLAIN = {b"", b"*/*", b"application/json"}
_ENCODED = "Send the body as it is, without Content-Encoding."
_INSTALL = "needs the package 'pyarrow', which is not installed here; 'lectern[tables]' brings it."


def is_plain(headers: Headers, limit: int) -> bool:
    """Whether a body of JSON is to be answered with JSON, as most are.

    Raises:
        Problem: it is, but the body is encoded, or announced to have more than `limit` bytes. Or, whatever
            the form, the caller does not say rightly how long it waits.
    """
    kind, accepts, length, encoded = b"", b"", b"", False
    for name, value in headers:
        if name == b"content-type":
            kind = value
        elif name == b"accept":
            accepts = accepts + b"," + value if accepts else value
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding":
            encoded = value.strip().lower() != b"identity"
        elif name == PATIENCE:
            milliseconds(value)
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        return False
    if accepts not in _PLAIN and _chosen(accepts, JSON) is not JSON:
        return False
    if encoded:
        raise Problem(415, "unsupported_encoding", _ENCODED)
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    return True


def too_large(limit: int) -> Problem:
    """The problem of a body with more than `limit` bytes."""
    told = f"The body has more than {limit:,} bytes; send fewer rows."
    return Problem(413, "body_too_large", told, headers={"connection": "close"})


def negotiated(headers: Headers) -> tuple[Form, Form]:
    """The form of the body, and that of the answers.

    Raises:
        Problem: the service has none such.
    """
    accepts, found = [], {}
    for name, value in headers:
        found[name] = value
        if name == b"accept":
            accepts.append(value)
    kind, _, parameters = found.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    body = BY_MEDIA.get(kind.strip())
    if body is None:
        told = f"Send {_listed(False)}, with its media type in the header `Content-Type`, e.g. `application/json`."
        raise Problem(415, "unsupported_media_type", told)
    if not body.available:
        raise Problem(415, "unsupported_media_type", f"{body.name} {_INSTALL}")
    if not _is_utf8(parameters):
        raise Problem(415, "unsupported_media_type", f"Send {body.name} in UTF-8.")
    if found.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Problem(415, "unsupported_encoding", _ENCODED)
    answers = _chosen(b",".join(accepts), body)
    if answers is None:
        told = f"The answers can be {_listed(True)}; name one of them in the header `Accept`, or leave it out."
        raise Problem(406, "not_acceptable", told)
    if not answers.available:
        raise Problem(406, "not_acceptable", f"{answers.name} {_INSTALL}")
    return body, answers


def asks_for(name: str, query: bytes) -> bool:
    """Whether a query has a parameter of this name that says yes.

    Raises:
        Problem: it says neither yes nor no.
    """
    if name.encode() not in query:
        return False
    match parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name):
        case None | ["false"]:
            return False
        case ["true"]:
            return True
    raise Problem(422, "invalid_request", f"The parameter '{name}' is true or false.")


def prefers(accept: str, media: str, other: str) -> bool:
    """Whether one media type is named, and liked at least as well as another one, which a wildcard stands for, too."""
    ranges = [_range(text) for text in accept.lower().split(",") if text.strip()]
    liked = max((quality for name, quality in ranges if name == media), default=0.0)
    rest = max((quality for name, quality in ranges if name in (other, "*/*")), default=0.0)
    return liked > 0 and liked >= rest


def _chosen(accepts: bytes, usual: Form) -> Form | None:
    """The form that is liked best; of several one that is named goes first, then the usual one."""
    ranges = [_range(text) for text in accepts.decode("latin-1").lower().split(",") if text.strip()]
    if not ranges:
        return usual
    best: tuple[float, int, bool] = (0.0, 0, False)
    found = None
    for media, form in BY_MEDIA.items():
        usable = (media,) if media != form.media[0] else (media, f"{media.partition('/')[0]}/*", "*/*")
        name, quality = min((one for one in ranges if one[0] in usable), key=_wideness, default=("", 0.0))
        rank = (quality, -name.count("*"), form is usual)
        if quality > 0 and rank > best:
            best, found = rank, form
    return found


def _wideness(one: tuple[str, float]) -> int:
    return one[0].count("*")


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in text.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return name, min(float(quality), 1.0)
    except ValueError:
        return name, 0.0


def _is_utf8(parameters: str) -> bool:
    charset = next((part.strip()[8:] for part in parameters.split(";") if part.strip().startswith("charset=")), "utf-8")
    return charset.strip("\"' ") in ("utf-8", "utf8", "us-ascii")


def _listed(answers: bool) -> str:
    names = [f"{form.name} ({form.media[0]})" if answers else form.name for form in FORMS if form.media]
    return f"{', '.join(names[:-1])} or {names[-1]}"
