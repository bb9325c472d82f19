"""pipeline.running.masking: which names say secret, and that no form of a value is left."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from pipeline.running.masking import Mask, is_secret


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PASSWD",
        "secret",
        "client_secret_2",
        "token",
        "hf_token",
        "api_key",
        "apikey",
        "apiKey",
        "credential",
        "aws_credentials",
        "private_key",
        "privateKey",
        "secret_key",
        "aws_access_key",
    ],
)
def test_a_name_that_says_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["tokenizer", "max_tokens", "key", "keys", "passwords_file", "n_keys", "secretary", "api"]
)
def test_a_name_that_does_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "secret", ["hunter22", "a'b\"c\\d", "é漢<&>\t/%", "two\nlines", "{x}", "ab", "x" * 5000, "$^.*[a]\\1"], ids=range(8)
)
def test_no_form_of_a_value_is_left(secret: str) -> None:
    mask = Mask({"token": secret, "other": 1})
    assert mask.parameters({"token": secret, "other": 1}) == {"token": "***", "other": 1}
    for form in (repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False), ascii(secret)):
        assert mask.text(f"x={form};") in ("x='***';", 'x="***";', "x=***;")
    if len(secret) >= 4:
        assert secret not in mask.text(f"before {secret} after {html.escape(secret)}")
        assert html.escape(secret) not in mask.text(html.escape(secret))
        assert mask.text(secret + secret) == "******"


def test_a_key_file_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"
    shown = Mask({"private_key": key}).text("line 2: MIIEvQIBADANBgkqhkiG9w0B\nline 3: AQEFAASCBKcwggSjAgEAAoIB")
    assert shown == "line 2: ***\nline 3: ***"


def test_texts_inside_lists_and_mappings_are_masked_and_numbers_are_not() -> None:
    mask = Mask({"tokens_by_site": 1, "secret": {"a": ["inner-value", 4096]}, "use_token": True})
    assert mask.inside({"inner-value": ["an inner-value", 4096, True, None]}) == {"***": ["an ***", 4096, True, None]}


def test_pictures_are_left_alone() -> None:
    mask = Mask({"token": "abcd"})
    data: dict[str, Any] = {"image/png": "xxabcdxx", "text/plain": "xxabcdxx", "image/svg+xml": "abcd"}
    assert mask.inside(data) == {"image/png": "xxabcdxx", "text/plain": "xx***xx", "image/svg+xml": "***"}


@pytest.mark.parametrize("value", ["", None])
def test_what_is_empty_is_no_secret(value: Any) -> None:
    mask = Mask({"password": value})
    assert mask.parameters({"password": value}) == {"password": value}
    assert mask.text("plain") == "plain"
