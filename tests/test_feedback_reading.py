"""serving.quality.reading: which bodies are feedback, and what is said of the others."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from serving.problems import Problem
from serving.quality.reading import CSV, JSON, microseconds, read, spelled

ID, OTHER = "ccea8eb3ff2900000001", "ccea8eb3ff2900000002-17"
NOON = "2026-11-21T12:00:00+00:00"


def found(body: Any, kind: str = JSON) -> list[tuple[str, Any, str | None]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(one.id, one.truth, one.at) for one in read(content, kind, max_rows=3)]


def test_one_entry_a_list_or_a_table() -> None:
    assert found({"id": ID, "truth": 1.5}) == [(ID, 1.5, None)]
    several = [{"id": ID, "truth": ["a", None], "at": NOON}, {"id": OTHER, "truth": {"low": 1}}]
    assert found(several) == [(ID, ["a", None], NOON), (OTHER, {"low": 1}, None)]
    assert found(b"\xef\xbb\xbfid,truth\r\n" + f'{ID},"a, b"\n\n{OTHER},3'.encode(), CSV) == [
        (ID, "a, b", None),
        (OTHER, "3", None),
    ]
    table = f'at,truth,id\n{NOON},"[1, 2]",{ID}\n,[no list,{OTHER}\n'.encode()
    assert found(table, CSV) == [(ID, [1, 2], NOON), (OTHER, "[no list", None)]


WRONG: list[tuple[Any, str]] = [
    ({"truth": 1}, "The field 'id' is missing."),
    ([{"id": ID, "truth": 1}, {"id": ID}], "The field 'truth' is missing in row 1."),
    ({"id": ID, "truth": None}, "'truth' must say what was true, and not be null."),
    ([{"id": ID, "truth": 1, "who": 2}], "There is an unknown field in row 0; feedback has id, truth, at."),
    ({"id": 7, "truth": 1}, "'id' must be a text."),
    ({"id": "CCEA8EB3FF2900000001", "truth": 1}, "'id' must be the id of a prediction, as its answer had it."),
    ({"id": f"{ID}-01", "truth": 1}, "'id' must be the id of a prediction, as its answer had it."),
    ({"id": f"{ID}\n", "truth": 1}, "'id' must be the id of a prediction, as its answer had it."),
    ({"id": ID, "truth": "x" * 16_383}, "'truth' must have no more than 16,384 bytes."),
    (b'{"id": "%b", "truth": 1e400}' % ID.encode(), "'truth' must be finite where it is a number."),
    ({"id": ID, "truth": 1, "at": "noon"}, "'at' must be a time such as 2026-11-21T12:30:00Z."),
    ({"id": ID, "truth": 1, "at": 1_700_000_000}, "'at' must be a text."),
    ({"id": ID, "truth": 1, "at": "2026-13-01"}, "'at' must be a time such as 2026-11-21T12:30:00Z."),
    ([], "The list is empty."),
    ([{"id": ID, "truth": 1}] * 4, "Send no more than 3 at a time."),
    ([1], 'An entry in row 0 is an object such as {"id": …, "truth": …}.'),
    (b"3", 'An entry is an object such as {"id": …, "truth": …}.'),
]


@pytest.mark.parametrize(("body", "message"), WRONG, ids=range(len(WRONG)))
def test_an_entry_that_cannot_be_kept_is_named(body: Any, message: str) -> None:
    with pytest.raises(Problem, match=f"^{re.escape(message)}$") as refused:
        found(body)
    assert (refused.value.status, refused.value.code) == (422, "invalid_feedback")
    assert refused.value.errors[0].message == message


@pytest.mark.parametrize(
    ("body", "kind", "code", "message"),
    [
        (b"{", JSON, "invalid_json", "The body is not JSON: EOF while parsing an object at line 1 column 1."),
        (b"\x00", JSON, "invalid_json", "The body is not JSON: expected value at line 1 column 1."),
        (
            b'{"id": "\\ud800"}',
            JSON,
            "invalid_json",
            "The body is not JSON: unexpected end of hex escape at line 1 column 15.",
        ),
        (b'{"truth": NaN}', JSON, "invalid_json", "The body is not JSON: expected value at line 1 column 11."),
        (b'{"id": 1, "id": 2}', JSON, "duplicate_key", "The body has an object with the same key twice; leave one of "),
        (b"[" * 10_000, JSON, "too_deep", "The body has lists and objects 100 levels deep, or more."),
        (b"", CSV, "invalid_csv", "The header must be id,truth or id,truth,at."),
        (b"id,truth,who\n", CSV, "invalid_csv", "The header must be id,truth or id,truth,at."),
        (b"id,truth,truth\n", CSV, "invalid_csv", "The header must be id,truth or id,truth,at."),
        (b"id,truth\n1,2\n1,2,3\n", CSV, "invalid_csv", "Row 1 has 3 cells; the header has 2 names."),
        (b'id,truth\n1,"2\n', CSV, "invalid_csv", "The body is not CSV: unexpected end of data."),
        (b"id,truth\n1,\xff\n", CSV, "invalid_csv", "The body is not UTF-8; send CSV in that encoding."),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes, kind: str, code: str, message: str) -> None:
    with pytest.raises(Problem, match=f"^{re.escape(message)}") as refused:
        found(body, kind)
    assert (refused.value.status, refused.value.code) == (400, code)


def test_a_table_names_its_rows_as_a_list_does() -> None:
    with pytest.raises(Problem, match=r"^'id' in row 1 must be the id of a prediction.* There is 1 more error\.$"):
        found(f"id,truth\n{ID},1\nx,1\ny,\n".encode(), CSV)
    with pytest.raises(Problem, match=r"^Send no more than 3 at a time\.$"):
        found(b"id,truth\n" + f"{ID},1\n".encode() * 9, CSV)
    with pytest.raises(Problem, match=r"^The list is empty\.$"):
        found(b"id,truth\n", CSV)


def test_a_truth_has_one_spelling_which_every_database_takes() -> None:
    assert spelled({"b": "ü\x00", "a": [1.0, None]}) == '{"a":[1.0,null],"b":"\\u00fc\\u0000"}'
    assert microseconds("1970-01-01T00:00:01.5") == microseconds("1970-01-01T01:00:01.500000+01:00") == 1_500_000
