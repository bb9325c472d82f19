"""serving.negotiation: the form of a body by its type, and that of the answers by what the caller accepts."""

from __future__ import annotations

import pytest

from serving.negotiation import asks_for, is_plain, negotiated
from serving.problems import Problem
from serving.tables import ARROW, CSV, JSON, NDJSON, PARQUET, Form


def headers(kind: str | None, *accepts: str, **more: str) -> list[tuple[bytes, bytes]]:
    found = [(b"host", b"x")] + ([(b"content-type", kind.encode())] if kind is not None else [])
    found += [(b"accept", accept.encode()) for accept in accepts]
    return found + [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/x-ndjson", NDJSON),
        ("application/jsonlines", NDJSON),
        ("application/x-jsonlines", NDJSON),
        ("text/csv", CSV),
        ('text/csv; header=present; charset="UTF-8"', CSV),
        ("application/vnd.apache.arrow.stream", ARROW),
        ("application/vnd.apache.parquet", PARQUET),
    ],
)
def test_answers_have_the_form_of_the_body_unless_it_is_said(kind: str, form: Form) -> None:
    for accepts in ((), ("*/*",), ("text/html, */*;q=0.8",), ("application/xml;q=0.9, */*",)):
        assert negotiated(headers(kind, *accepts)) == (form, form)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/json", JSON),
        ("application/json, text/plain, */*", JSON),
        ("text/*", CSV),
        ("application/*", NDJSON),
        ("application/*, text/csv;q=0.5", NDJSON),
        ("text/csv;q=0.5, application/json;q=0.7", JSON),
        ("text/csv;q=0.5, application/json;q=0", CSV),
        ("application/x-ndjson;q=0, */*", JSON),
        ("text/html, application/vnd.apache.parquet; q=0.1", PARQUET),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", ARROW),
        ("text/csv;q=high, application/json;q=0.1", JSON),
    ],
)
def test_what_is_liked_best_is_answered(accept: str, form: Form) -> None:
    assert negotiated(headers("application/x-ndjson", accept)) == (NDJSON, form)


def test_several_headers_count_as_one() -> None:
    assert negotiated(headers("text/csv", "text/html", "application/json"))[1] == JSON


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1", "*/*;q=0", "text/csv;q=0"])
def test_what_the_service_does_not_write_is_not_acceptable(accept: str) -> None:
    with pytest.raises(Problem) as caught:
        negotiated(headers("text/csv", accept))
    assert (caught.value.status, caught.value.code) == (406, "not_acceptable")
    assert caught.value.detail == (
        "The answers can be JSON (application/json), NDJSON (application/x-ndjson), CSV (text/csv), "
        "Arrow stream (application/vnd.apache.arrow.stream) or Parquet (application/vnd.apache.parquet); "
        "name one of them in the header `Accept`, or leave it out."
    )


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_of_another_type_is_refused(kind: str | None) -> None:
    with pytest.raises(Problem) as caught:
        negotiated(headers(kind))
    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")
    assert caught.value.detail == (
        "Send JSON, NDJSON, CSV, Arrow stream or Parquet, with its media type in the header `Content-Type`, "
        "e.g. `application/json`."
    )


def test_another_encoding_is_refused() -> None:
    with pytest.raises(Problem, match=r"^Send CSV in UTF-8\.$"):
        negotiated(headers("text/csv; charset=latin-1"))
    with pytest.raises(Problem, match=r"^Send the body as it is, without Content-Encoding\.$"):
        negotiated(headers("text/csv", content_encoding="gzip"))


def test_what_needs_a_package_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.tables.find_spec", lambda name: None)
    told = r" needs the package 'pyarrow', which is not installed here; 'lectern\[tables\]' brings it\.$"
    for kind, accept, name, status in (
        ("application/vnd.apache.parquet", "*/*", "Parquet", 415),
        ("text/csv", "application/vnd.apache.arrow.stream", "Arrow stream", 406),
    ):
        with pytest.raises(Problem, match=f"^{name}{told}") as caught:
            negotiated(headers(kind, accept))
        assert caught.value.status == status
    assert negotiated(headers("text/csv")) == (CSV, CSV)


@pytest.mark.parametrize("accepts", [(), ("*/*",), ("application/json",), ("application/json, text/plain, */*",)])
def test_json_that_is_answered_with_json_is_plain(accepts: tuple[str, ...]) -> None:
    assert is_plain(headers("application/json", *accepts), 100)
    assert is_plain(headers("application/JSON; charset=utf-8", *accepts), 100)
    assert not is_plain(headers("text/csv", *accepts), 100)
    assert not is_plain(headers(None, *accepts), 100)


def test_json_that_is_answered_otherwise_is_not_plain() -> None:
    assert not is_plain(headers("application/json", "text/csv"), 100)
    assert not is_plain(headers("application/json", "application/json;q=0.5, text/csv"), 100)
    assert not is_plain(headers("application/json", "application/xml"), 100)


def test_a_plain_body_that_is_too_large_or_encoded_is_refused_before_it_is_read() -> None:
    with pytest.raises(Problem, match=r"^The body has more than 100 bytes; send fewer rows\.$") as caught:
        is_plain([*headers("application/json"), (b"content-length", b"101")], 100)
    assert (caught.value.status, caught.value.headers) == (413, {"connection": "close"})
    assert is_plain([*headers("application/json"), (b"content-length", b"100")], 100)
    with pytest.raises(Problem, match=r"^Send the body as it is, without Content-Encoding\.$"):
        is_plain(headers("application/json", content_encoding="gzip"), 100)


@pytest.mark.parametrize("name", ["echo", "partial"])
def test_a_query_asks_for_something_or_not(name: str) -> None:
    queries = b"", b"other=true", name.encode() + b"=false", b"a=1&" + name.encode() + b"=true"
    assert [asks_for(name, query) for query in queries] == [False, False, False, True]
    for query in ("{}=1", "{}", "{}=true&{}=true"):
        with pytest.raises(Problem, match=rf"^The parameter '{name}' is true or false\.$"):
            asks_for(name, query.replace("{}", name).encode())
