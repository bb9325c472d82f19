"""contract.names: what may name a model, and what is a version's number."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import NameRefused
from contract.names import check_model_name, parse_version

STRANGE_TEXTS = [
    "",
    "-a",
    "a-",
    "_a",
    "a_",
    "Iris",
    "a b",
    "a.b",
    "a\n",
    "\na",
    "a\0",
    "é",
    "ａ",
    "١",
    "0" * 65,
    "{{7*7}}",
]
PATHS = [".", "..", "a/b", "../a", "/a", "a\\b", "a%2eb", ".staging-a"]
NO_VERSIONS = ["", "0", "007", "-1", "+1", "1.5", "1e3", " 1", "1 ", "1\n", "1_000", "٣", "²", "latest", "../3"]
ENDS = string.ascii_lowercase + string.digits


@pytest.mark.parametrize("name", ["a", "7", "iris", "iris-2", "a_b", "0" * 64, "a--b", "con"])
def test_a_model_may_be_called_so(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize("name", [*STRANGE_TEXTS, *PATHS, None, 7, b"iris", ["iris"]], ids=repr)
def test_a_model_may_not_be_called_so(name: object) -> None:
    with pytest.raises(NameRefused, match="cannot name a model: a name is 1 to 64 lower-case letters, digits, '-'"):
        check_model_name(name)


def test_a_refusal_shows_the_name_on_one_short_line() -> None:
    with pytest.raises(NameRefused, match=r"^'a\\nb' cannot name"):
        check_model_name("a\nb")
    with pytest.raises(NameRefused, match=r"^'x{75}…' cannot name"):
        check_model_name("x" * 1_000_000)
    with pytest.raises(NameRefused, match=r"^'x{78}' cannot name"):
        check_model_name("x" * 78)
    with pytest.raises(NameRefused, match=r"^'x{75}…' cannot name"):
        check_model_name("x" * 79)


@given(st.text(alphabet=ENDS + "-_", min_size=1, max_size=64))
def test_a_name_that_is_taken_begins_and_ends_with_a_letter_or_a_digit(name: str) -> None:
    if name[0] in ENDS and name[-1] in ENDS:
        assert check_model_name(name) == name
    else:
        with pytest.raises(NameRefused, match="begins and ends with a letter or a digit"):
            check_model_name(name)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("7", 7), ("10", 10), ("999999999", 999_999_999)])
def test_a_version_is_a_positive_number(text: str, number: int) -> None:
    assert parse_version(text) == number


@pytest.mark.parametrize("text", [*NO_VERSIONS, "1" * 10, "1" + "0" * 30])
def test_what_only_looks_like_a_number_is_no_version(text: str) -> None:
    assert parse_version(text) is None


@given(st.integers(min_value=1, max_value=10**9 - 1))
def test_every_number_is_the_version_it_is_written_as(number: int) -> None:
    assert parse_version(str(number)) == number
