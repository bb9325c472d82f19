"""What a hostile body or token costs: no more than others of its kind, however large it is (C5, C13, F11).

Compared is the processor time of this thread, the least of several times, so that a busy machine changes nothing.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
from pydantic_core import from_json

from serving.access.credentials import MOST_BYTES, credential_of, header_of
from serving.columns_form import read_columns_form
from serving.problems import MAX_BYTES, MAX_ERRORS, Problem
from serving.requests import RequestSchema
from tests.locked import RSA, pem, token
from tests.test_access_tokens import found, tokens
from tests.test_bad_bodies import NOTES, ROW

SCHEMA = RequestSchema(NOTES, max_rows=1_000_000)
GOOD = json.dumps(ROW).encode()
OTHERS = b'{"size":1.5,' + GOOD[1:-1].partition(b",")[2] + b","
"""A row that still lacks its end."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Objects that other tests have left are not looked through here."""
    gc.disable()
    yield
    gc.enable()


def effort(work: Callable[..., Any], *given: Any, times: int = 15) -> float:
    """What a call costs, in seconds of the processor."""
    found = []
    for _ in range(times):
        began = thread_time()
        work(*given)
        found.append(thread_time() - began)
    return min(found)


def refused(read: Callable[[bytes], Any], body: bytes) -> Problem:
    with pytest.raises(Problem) as problem:
        read(body)
    return problem.value


def tried(read: Callable[[bytes], Any], body: bytes) -> None:
    try:
        read(body)
    except Problem:
        return
    pytest.fail("it was taken")


def line(body: bytes) -> None:
    _, problem = SCHEMA.check_lines([GOOD, body], 0)
    assert problem is not None
    raise problem


def columns(body: bytes) -> Any:
    return read_columns_form(body, SCHEMA)


DEEP: dict[str, tuple[Callable[[bytes], Any], bytes, bytes]] = {
    "a body": (SCHEMA.read, b"", b""),
    "a row of a list": (SCHEMA.read, b"[" + GOOD + b",", b"]"),
    "a value": (SCHEMA.read, OTHERS + b'"size":', b"}"),
    "an unknown field": (SCHEMA.read, GOOD[:-1] + b',"more":', b"}"),
    "columns": (columns, b'{"columns":["size"],"data":', b"}"),
    "a line": (line, b"", b""),
}


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"x":', b"}")], ids=["lists", "objects"])
@pytest.mark.parametrize("place", DEEP)
def test_c5_what_is_too_deep_is_not_gone_into(place: str, opening: bytes, closing: bytes) -> None:
    read, before, after = DEEP[place]
    bodies = [before + opening * depth + b"1" + closing * depth + after for depth in (101, 1_000, 1_000_000)]
    for body in bodies:
        problem = refused(read, body)
        assert (problem.status, problem.code) == (400, "too_deep")
    _, thousand, million = (effort(tried, read, body) for body in bodies)
    joined = effort(lambda: b"[" + b",".join([GOOD, bodies[-1]]) + b"]") if read is line else 0.0  # one document of all
    assert million < 5 * thousand + 10 * joined


@pytest.mark.parametrize("row", [b"{}", b"0", b"null", b'""', b"[]", b'{"a":1}'], ids=bytes.decode)
@pytest.mark.parametrize("form", ["rows", "columns"])
def test_c13_a_hundred_thousand_bad_rows_cost_little_more_than_to_parse_them(row: bytes, form: str) -> None:
    listed = b"[" + b",".join([row] * 100_000) + b"]"
    read, body = (SCHEMA.read, listed) if form == "rows" else (columns, b'{"columns":["size"],"data":' + listed + b"}")
    problem = refused(read, body)
    assert problem.status == 422
    assert 1 <= len(problem.errors) <= MAX_ERRORS
    assert len(problem.body("id")) <= MAX_BYTES
    assert effort(tried, read, body, times=4) < 12 * effort(from_json, body, times=4)


def test_f11_a_token_is_refused_at_the_cost_of_its_bytes_and_a_longer_one_is_not_read(tmp_path: Path) -> None:
    by = tokens(tmp_path / "rsa.pem", pem(RSA))
    head, _, signature = token().rpartition(".")
    usual = head + "." + signature[:-8] + "AAAAAAAA"
    most = MOST_BYTES - len("Bearer ")
    assert found(by, usual) is None
    checked = effort(found, by, usual)
    for hostile in ("." * most, "a" * most, f"{usual[: most - 4]}....", f"{'A' * (most // 2)}.{'A' * (most // 3)}.A"):
        shown = credential_of(header_of([(b"authorization", f"Bearer {hostile}".encode())]) or b"")
        assert shown == hostile.encode()
        assert found(by, hostile) is None
        assert effort(found, by, hostile) < 5 * checked
    for longer in ("x" * 1_000_000, "." * 100_000, "x" * (most + 1)):
        assert header_of([(b"authorization", f"Bearer {longer}".encode())]) is None
