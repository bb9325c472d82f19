"""serving.access.tokens, serving.access.token_keys: which tokens are believed, and each way to forge one."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as on_curve
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from contract.errors import AccessRefused
from serving.access import tokens as tokens_module
from serving.access.door import Door
from serving.access.followed import Followed
from serving.access.token_keys import read_public, read_secret
from serving.access.tokens import Subject, Tokens, need_jwt
from tests.locked import AUDIENCE, ED25519, ISSUER, OTHER_RSA, RSA, SECRET, bearer, claims, forged, pem, token, written
from tests.test_access_unlimited import scope

EC = on_curve(SECP256R1())


def tokens(path: Path, content: bytes, read: Any = read_public) -> Tokens:
    return Tokens(Followed(written(path, content), read, ()), AUDIENCE, ISSUER)


@pytest.fixture
def rsa(tmp_path: Path) -> Tokens:
    return tokens(tmp_path / "rsa.pem", pem(RSA))


@pytest.fixture
def shared(tmp_path: Path) -> Tokens:
    return tokens(tmp_path / "secret", SECRET + b"\n", read_secret)


def found(by: Tokens, shown: str, at: float | None = None) -> Subject | None:
    return by.find(shown.encode(), by.keys.value, time.time() if at is None else at)


def jwk(key: Any, **facts: Any) -> dict[str, Any]:
    kinds: dict[Any, Any] = {RSA: RSAAlgorithm, OTHER_RSA: RSAAlgorithm, EC: ECAlgorithm, ED25519: OKPAlgorithm}
    document: dict[str, Any] = kinds[key].to_jwk(key.public_key(), as_dict=True)
    return document | facts


def test_a_token_says_who_asks_and_what_they_may(rsa: Tokens, shared: Tokens) -> None:
    subject = found(rsa, token(scope="openid iris:predict *:read cardio:admin :admin x:y : ::"))
    assert subject is not None
    assert subject.name == "ada"
    assert subject.rights == {
        "iris": {"predict"},
        "*": {"read"},
        "cardio": {"admin", "read", "predict"},
    }
    assert found(shared, token(SECRET, "HS256")) is not None
    assert found(rsa, token(aud=["others", AUDIENCE])) is not None
    nobody = found(rsa, token(scope=None, sub=None))
    assert nobody is not None
    assert (nobody.name, nobody.rights) == ("", {})


def test_times_and_scopes_have_their_bounds(rsa: Tokens) -> None:
    assert found(rsa, token(iat=0, exp=1 << 40))
    for words, rights in ((199, {"*": {"predict"}}), (200, {})):
        subject = found(rsa, token(scope="x " * words + "predict"))
        assert subject is not None
        assert subject.rights == rights


def test_it_counts_until_it_expires(rsa: Tokens) -> None:
    now = int(time.time())
    shown = token(exp=now + 60)
    assert found(rsa, shown, now + 59)
    assert found(rsa, shown, now + 69.5)  # the clocks may differ
    assert found(rsa, shown, now + 70) is None


NOW = int(time.time())
FORGED = {
    "alg none": forged({"alg": "none"}, claims()),
    "alg None": forged({"alg": "nOnE", "typ": "JWT"}, claims()),
    "no alg": forged({"typ": "JWT"}, claims(), b"x" * 256),
    "alg a list": forged({"alg": ["RS256"]}, claims(), b"x" * 256),
    "another key": token(OTHER_RSA),
    "another algorithm": token(RSA, "RS512"),
    "PS256 by the same key": token(RSA, "PS256"),
    "its own key": token(OTHER_RSA, header={"jwk": jwk(OTHER_RSA)}),
    "its own key, rightly signed": token(header={"jwk": jwk(RSA)}),
    "a place of keys": token(OTHER_RSA, header={"jku": "https://evil.example/jwks"}),
    "a place of certificates": token(header={"x5u": "https://evil.example/x"}),
    "certificates": token(header={"x5c": ["MIIB"]}),
    "what must be understood": token(header={"crit": ["exp"], "exp": 1}),
    "a payload beside it": token(header={"b64": False}),
    "kid a path": token(OTHER_RSA, header={"kid": "../../../../dev/null"}),
    "kid a query": token(OTHER_RSA, header={"kid": "x' UNION SELECT 'key"}),
    "no exp": token(exp=None),
    "exp past": token(exp=NOW - 3600),
    "exp a text": token(exp=str(NOW + 86_400)),
    "exp NaN": token(exp=float("nan")),
    "exp 10^30": token(exp=10**30),
    "exp true": token(exp=True),
    "exp negative": token(exp=-1),
    "exp far": token(exp=(1 << 40) + 1),
    "iat negative": token(iat=-1),
    "nbf future": token(nbf=NOW + 86_400),
    "nbf true": token(nbf=True),
    "iat true": token(iat=True),
    "nbf a text": token(nbf=str(NOW)),
    "iat future": token(iat=NOW + 86_400),
    "no aud": token(aud=None),
    "another aud": token(aud="others"),
    "aud a list without it": token(aud=["others"]),
    "aud an object": token(aud={AUDIENCE: 1}),
    "no iss": token(iss=None),
    "another iss": token(iss="https://evil.example"),
    "sub with a line": token(sub="ada\nroot"),
    "scope a list": token(scope=["predict"]),
    "claims a list": forged({"alg": "RS256"}, "[1]"),
    "claims deep": forged({"alg": "RS256"}, "[" * 2_000),
    "two dots of nothing": "..",
    "four parts": token() + ".x",
    "no base64": "é.è.ê",
    "cut": token()[:-5],
}


def signed(key: Any, algorithm: Any, header: dict[str, Any], said: dict[str, Any]) -> str:
    """A token with any claims at all, rightly signed."""
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, said)]
    signature = algorithm.sign(b".".join(encoded), key)
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)
FORGED["HS256 by the public key"] = signed(
    pem(RSA), HMACAlgorithm(HMACAlgorithm.SHA256), {"alg": "HS256", "typ": "JWT"}, claims()
)
FORGED["iss a list"] = signed(RSA, RS256, {"alg": "RS256"}, claims(iss=[ISSUER]))
FORGED["sub a number"] = signed(RSA, RS256, {"alg": "RS256"}, claims(sub=7))


@pytest.mark.parametrize("why", FORGED)
def test_a_forged_token_is_nobodys(why: str, rsa: Tokens) -> None:
    assert found(rsa, FORGED[why]) is None
    assert found(rsa, FORGED[why]) is None
    assert found(rsa, token())


def test_the_two_families_do_not_mix(shared: Tokens) -> None:
    assert found(shared, token()) is None
    assert found(shared, FORGED["HS256 by the public key"]) is None
    assert found(shared, token(b"x" * 36, "HS256")) is None
    assert found(shared, token(SECRET * 2, "HS512")) is None


def test_its_signature_is_checked_once(rsa: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    door, shown = Door(tokens=rsa), token(scope="predict")
    assert door.passes(scope(**bearer(shown)), "iris")
    monkeypatch.setattr(jwt, "decode", None)
    assert door.passes(scope(**bearer(shown)), "iris")
    assert not door.passes(scope(**bearer(token(sub="bob"))), "iris")  # nor would the first, were it checked again


def test_a_token_is_believed_as_long_as_its_key(tmp_path: Path) -> None:
    by, shown = tokens(tmp_path / "rsa.pem", pem(RSA)), token()
    assert found(by, shown)
    written(tmp_path / "rsa.pem", pem(OTHER_RSA) + b"\n")
    by.keys.look()
    assert found(by, shown) is None
    assert found(by, token(OTHER_RSA))


@pytest.mark.parametrize("name", ["pem", "jwks"])
def test_several_keys_of_each_kind_are_known(tmp_path: Path, name: str) -> None:
    each = {RSA: "RS256", EC: "ES256", ED25519: "EdDSA"}
    document = {"keys": [{"use": "enc"}] + [jwk(key, kid=f"k{n}", use="sig") for n, key in enumerate(each)]}
    content = json.dumps(document).encode() if name == "jwks" else b"".join(map(pem, each))
    by = tokens(tmp_path / "keys", content)
    for n, (key, algorithm) in enumerate(each.items()):
        assert found(by, token(key, algorithm))
        assert found(by, token(key, algorithm, {"kid": f"k{n}"}))
        assert (found(by, token(key, algorithm, {"kid": "k9"})) is None) == (name == "jwks")


PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds 0 public keys, as PEM or JWKS; give 1 to 16."),
        (pem(RSA) * 17, "holds 17 public keys, as PEM or JWKS; give 1 to 16."),
        (PRIVATE, "holds a secret or private key; only public ones check tokens of others."),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).encode(), "holds a secret or private key; only"),
        (json.dumps({"keys": [jwk(RSA, d="AQAB")]}).encode(), "holds a secret or private key; only public ones"),
        (json.dumps({"keys": [jwk(RSA, alg="PS256")]}).encode(), "has a key for 'PS256'; such keys are for RS256"),
        (b'{"keys": [', "is no JWKS document that can be read."),
        (b"{}", "is no JWKS document that can be read."),
        (b'{"keys": 7}', "is no JWKS document that can be read."),
        (b'{"keys": [{"kty": "RSA"}]}', "is no JWKS document that can be read."),
        (b'{"keys": [7]}', "is no JWKS document that can be read."),
        (pem(generate_private_key(65537, 1024)), "has a key that checks no token here: give RSA of 2048 bits or more"),
        (pem(on_curve(SECP256K1())), "has a key that checks no token here: give RSA of 2048 bits or more"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "holds something that is no public key in PE"),
    ],
)
def test_a_file_of_keys_that_would_not_do_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(AccessRefused) as refused:
        tokens(tmp_path / "keys", content)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"short", "holds 5 bytes, and a secret for tokens has at least 32: `openssl rand -base64 48` makes one."),
        (b"x" * 31 + b"\n", "holds 31 bytes"),
        (pem(RSA), "holds a key pair's half or a document, no secret; see LECTERN_TOKEN_KEYS."),
        (b'{"keys": []}' + b" " * 32, "holds a key pair's half or a document, no secret"),
    ],
)
def test_a_secret_that_would_not_do_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(AccessRefused) as refused:
        tokens(tmp_path / "secret", content, read_secret)
    assert told in str(refused.value)


def test_as_short_a_secret_and_as_many_keys_as_may_be_do(tmp_path: Path) -> None:
    assert found(tokens(tmp_path / "secret", SECRET[:32], read_secret), token(SECRET[:32], "HS256"))
    assert found(tokens(tmp_path / "keys", pem(OTHER_RSA) * 15 + pem(RSA)), token())


def test_without_the_package_the_words_say_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    need_jwt()
    for missing in ("cryptography", "jwt"):
        monkeypatch.setattr(
            tokens_module, "find_spec", lambda name, missing=missing: None if name == missing else object()
        )
        with pytest.raises(AccessRefused, match=r"is not installed: `pip install 'lectern\[access\]'` brings it\."):
            need_jwt()


def test_the_library_alone_would_believe_some_of_them() -> None:
    public = RSA.public_key()
    loose: Any = {"algorithms": ["RS256"], "audience": AUDIENCE, "issuer": ISSUER}
    assert jwt.decode(FORGED["no exp"], public, **loose)
    assert jwt.decode(FORGED["exp a text"], public, **loose)
