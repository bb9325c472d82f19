"""serving.prediction_log.rows and .privacy: what the log keeps of an answer, and what it must not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.answers import Answers
from contract.errors import LogUnavailable
from contract.signature import Field, Output
from serving.loading import Served
from serving.observed import Observed
from serving.prediction_log.place import place_of
from serving.prediction_log.privacy import Policy, Privacy, read_key
from serving.prediction_log.rows import COLUMNS, LONGEST_BYTES, Rows, written
from serving.settings import ServeSettings
from tests.logged import observed, version

KEY = bytes(range(32))
SEEN = (
    Field(name="size", type="float", dtype="float64", example=1.0),
    Field(name="name", type="string", dtype="object", example="a", sensitive=True),
    Field(name="age", type="integer", dtype="int64", example=1),
)
ROW = {"size": 1.5, "name": "Kanarienvogel", "age": 7}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    output = Output(task="classification", labels=(0, 1), classes=("no", "yes"), scores="probabilities")
    return version(tmp_path_factory.mktemp("version"), *SEEN, output=output)


def kept(one: Observed, policy: Policy = "hash", most: int = 10, key: bytes = KEY) -> list[dict[str, Any]]:
    """The rows of the log, by column."""
    rows = Rows(Privacy(policy, key)).of(one, most, 1_000.0 - one.ended)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def test_a_row_says_what_was_answered_when_and_by_which_version(served: Served) -> None:
    warned = {0: [{"field": "age", "kind": "out_of_range", "message": "…"}]}
    one = observed(served, ROW, answers=Answers(["yes"], [[0.25, 0.75]]), unlike=warned, request_id="r")
    [row] = kept(one)
    assert row | {"inputs_hash": "", "caller": ""} == {
        "id": "r",
        "at": 1_000_000_000,
        "model": "times",
        "version": served.version,
        "alias": "champion",
        "latency_us": 12_500,
        "prediction": '"yes"',
        "scores": '{"no":0.25,"yes":0.75}',
        "inputs": None,
        "inputs_hash": "",
        "warnings": '{"age":"out_of_range"}',
        "caller": "",
        "subject": None,
        "gone": False,
    }


def test_each_row_of_a_list_has_its_own(served: Served) -> None:
    warned = {1: [{"field": "age", "kind": "unseen", "message": "…"}]}
    one = observed(served, ROW, ROW | {"age": 8}, ROW, answers=Answers(["no", "yes", "no"]), unlike=warned)
    rows = kept(one)
    assert [row["id"] for row in rows] == [f"{one.request_id}-{n}" for n in range(3)]
    assert [row["prediction"] for row in rows] == ['"no"', '"yes"', '"no"']
    assert [row["scores"] for row in rows] == [None] * 3
    assert [row["warnings"] for row in rows] == [None, '{"age":"unseen"}', None]
    assert rows[0]["inputs_hash"] == rows[2]["inputs_hash"] != rows[1]["inputs_hash"]
    assert kept(one, most=2) == rows[:2]


@pytest.mark.parametrize("policy", ["none", "hash", "full"])
def test_a_sensitive_field_is_in_no_row_under_any_policy(served: Served, policy: Policy) -> None:
    [row] = kept(observed(served, ROW), policy)
    [other] = kept(observed(served, ROW | {"name": "Somebody"}), policy)
    assert "Kanarienvogel" not in str(row)
    assert other["inputs_hash"] == row["inputs_hash"]
    expected = {"none": (None, None), "full": ('{"age":7,"size":1.5}', None)}
    if policy in expected:
        assert (row["inputs"], row["inputs_hash"]) == expected[policy]


@pytest.mark.parametrize("scores", [[0.25, 0.75], [1e-300, 0.5], [float("nan"), 0.5], [0.1]])
def test_scores_are_json_by_class_whatever_these_are_called(tmp_path: Path, scores: list[float]) -> None:
    classes = ('100 % "sure"', "naïve %s")
    output = Output(task="classification", labels=(0, 1), classes=classes, scores="probabilities")
    served = version(tmp_path, output=output)
    [row] = kept(observed(served, {"x": 1.0}, answers=Answers([classes[0]], [scores])))
    finite = [None if score != score else score for score in scores]  # what is not a number is not itself
    assert json.loads(row["scores"]) == (dict(zip(classes, finite, strict=True)) if len(scores) == 2 else scores)


def test_where_every_field_is_sensitive_nothing_stands_for_the_row(tmp_path: Path) -> None:
    served = version(tmp_path, SEEN[1])
    [row] = kept(observed(served, {"name": "a"}), "hash")
    assert row["inputs_hash"] is None


@pytest.mark.parametrize(("policy", "caller"), [("none", None), ("full", "192.0.2.7")])
def test_the_caller_is_kept_as_the_policy_says(served: Served, policy: Policy, caller: str | None) -> None:
    assert kept(observed(served, ROW), policy)[0]["caller"] == caller
    hashed = kept(observed(served, ROW))[0]["caller"]
    assert hashed not in (None, "192.0.2.7")
    assert kept(observed(served, ROW))[0]["caller"] == hashed
    one = observed(served, ROW)
    assert kept(one._replace(scope={**one.scope, "client": None}))[0]["caller"] is None  # on a unix socket


@pytest.mark.parametrize("policy", ["none", "hash", "full"])
def test_a_subject_is_only_ever_hashed(served: Served, policy: Policy) -> None:
    found = {name: kept(observed(served, ROW, x_subject_id=name), policy)[0]["subject"] for name in ("ann", "bob")}
    assert found == {name: Privacy("none", KEY).subject(name.encode()) for name in found}
    assert len(set(found.values())) == 2


def test_hashes_are_of_a_key_and_of_what_they_stand_for() -> None:
    mine, other = Privacy("hash", KEY), Privacy("hash", KEY[::-1])
    found = [mine.rows(b"")(b"a"), mine.rows(b"b")(b"a"), mine.subject(b"a"), mine.caller("a")]
    assert len({*found, other.rows(b"")(b"a"), other.subject(b"a")}) == 6


def test_the_same_row_has_the_same_hash_in_any_order_and_form(served: Served) -> None:
    hashes = {
        kept(observed(served, row))[0]["inputs_hash"]
        for row in (ROW, dict(reversed(ROW.items())), {"age": 7, "name": "", "size": 1.5})
    }
    assert len(hashes) == 1


# --- what is too long, or not to be written


def test_a_value_that_is_too_long_is_cut_and_says_so() -> None:
    text = written("ä" * 5_000_000)
    assert len(text.encode()) <= LONGEST_BYTES
    assert json.loads(text).startswith('"ää')
    assert json.loads(text).endswith("… [cut: 10,000,002 bytes]")
    assert written("a" * (LONGEST_BYTES - 2)) == f'"{"a" * (LONGEST_BYTES - 2)}"'
    assert len(written('"' * LONGEST_BYTES).encode()) <= LONGEST_BYTES


def test_of_a_row_only_what_is_too_long_is_cut(tmp_path: Path) -> None:
    fields = [Field(name=name, type="string", dtype="object", example="a") for name in "abcd"]
    served = version(tmp_path, *fields)
    row = {"a": "short", "b": "x" * 5_000_000, "c": "", "d": "é"}
    found = json.loads(kept(observed(served, row), "full")[0]["inputs"])
    assert found | {"b": ""} == row | {"b": ""}
    assert found["b"].endswith("… [cut: 5,000,002 bytes]")
    many = kept(observed(served, dict.fromkeys("abcd", "x" * 10_000)), "full")[0]["inputs"]
    assert len(many) <= LONGEST_BYTES
    assert "… [cut:" in json.loads(many)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\0b", r'"a\u0000b"'),
        ("a\ud800b", r'"a\ud800b"'),
        (float("nan"), "null"),
        ({"a": [float("inf"), "\udc00"]}, r'{"a": [null, "\udc00"]}'),
        ({"a": ({"b": float("nan"), "c": 1}, "\udc00", True)}, r'{"a": [{"b": null, "c": 1}, "\udc00", true]}'),
        ("\u202e\x1b[31m", '"\u202e\\u001b[31m"'),
    ],
)
def test_what_a_database_cannot_take_is_spelled_so_that_it_can(value: Any, expected: str) -> None:
    assert written(value) == expected
    assert "\0" not in written(value)
    written(value).encode()


# --- the key


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = ServeSettings(store=tmp_path / "store")
    place = place_of(settings, settings.open_store())
    assert place is not None
    with pytest.raises(LogUnavailable, match=r"^There is no key at .*/\.log/key, without which the"):
        read_key(place, make=False)
    with pytest.raises(LogUnavailable, match=r"^There is no folder .*/store any more, or not yet\.$"):
        read_key(place, make=True)
    (tmp_path / "store").mkdir()
    key = read_key(place, make=True)
    assert key == read_key(place, make=True) == read_key(place, make=False)
    assert (place.key.stat().st_mode & 0o777, place.key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in place.key.parent.iterdir()] == ["key"]
    place.key.write_text("short\n")
    with pytest.raises(LogUnavailable, match=r"holds no key: 5 bytes, of at least 16 that are secret\.$"):
        read_key(place, make=True)


def test_a_key_that_a_setting_names_is_not_made(tmp_path: Path) -> None:
    settings = ServeSettings(store=tmp_path / "store", log_key=tmp_path / "secret")
    place = place_of(settings, settings.open_store())
    assert place is not None
    with pytest.raises(LogUnavailable, match="There is no key at "):
        read_key(place, make=True)
    (tmp_path / "secret").mkdir()
    with pytest.raises(LogUnavailable, match=r"secret cannot be read or made: Is a directory\.$"):
        read_key(place, make=True)
