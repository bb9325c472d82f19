"""contract.keys and `lectern signing`: what a key is, where it goes, and what is taken for none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner, Result

import lectern
from contract import keys
from contract.errors import KeyRefused

ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
OTHER = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "another curve": ec.generate_private_key(ec.SECP256K1()),
}


def private(key: Any, password: bytes = b"") -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    content: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return content


def public(key: Any) -> bytes:
    content: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return content


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --- a new pair


def test_a_new_key_is_its_owner_s_alone_and_its_public_half_everybody_s(tmp_path: Path) -> None:
    pair = keys.new(tmp_path / "new" / "keys", "training")
    assert (pair.private.name, pair.public.name) == ("training.key", "training.pub")
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.private.parent.stat().st_mode) == 0o700
    os.umask(umask := os.umask(0o022))
    assert stat.S_IMODE(pair.public.stat().st_mode) == 0o644 & ~umask
    assert pair.private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert pair.public.read_bytes() == public(keys.read_private(pair.private))
    [trusted] = keys.read_trusted(pair.public).values()
    assert (trusted.id, trusted.kind, trusted.named) == (pair.id, "ed25519", pair.id)
    assert len(pair.id) == 16


@pytest.mark.parametrize("lost", [".key", ".pub", None])
def test_no_key_is_overwritten(lost: str | None, tmp_path: Path) -> None:
    keys.new(tmp_path, "mine")
    if lost:
        (tmp_path / f"mine{lost}").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyRefused, match=r" has a key 'mine' already, and none is overwritten: take another name\.$"):
        keys.new(tmp_path, "mine")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["", "../mine", ".mine", "a/b", "a b", "a\n", "x" * 65])
def test_a_name_that_is_no_file_s_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match=r"^No key can be called '"):
        keys.new(tmp_path / "keys", name)
    assert not (tmp_path / "keys").exists()


def test_a_folder_that_takes_no_key_is_told_of(tmp_path: Path) -> None:
    place = written(tmp_path / "file", b"") / "keys"
    with pytest.raises(KeyRefused, match=r"^Cannot write a key to .*file/keys: Not a directory\.$"):
        keys.new(place, "mine")


# --- a private key


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no private key that can be read: give a PEM file without a password."),
        (public(ED25519), "holds no private key that can be read"),
        (private(ED25519)[:-40], "holds no private key that can be read"),
        (private(ED25519, b"secret"), "holds no private key that can be read"),
        (private(P256), "holds no Ed25519 key; `lectern signing new` makes one."),
        (private(OTHER["rsa"]), "holds no Ed25519 key"),
    ],
    ids=["empty", "public", "cut", "with a password", "elliptic curve", "rsa"],
)
def test_what_cannot_sign_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = written(tmp_path / "my.key", content)
    with pytest.raises(KeyRefused) as refused:
        keys.read_private(path)
    assert str(refused.value).startswith(f"{path} {says}")


@pytest.mark.parametrize("read", [keys.read_private, keys.read_trusted])
def test_a_key_that_is_not_there_is_told_of(read: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match=r"^The key .*/gone cannot be read: No such file or directory\.$"):
        read(tmp_path / "gone")


# --- trusted keys


def test_a_folder_holds_several_keys_of_either_kind_beside_other_things(tmp_path: Path) -> None:
    pair = keys.new(tmp_path, "ours")
    written(tmp_path / "openssf.pem", public(P256))
    written(tmp_path / "README.md", b"Ours.")
    written(tmp_path / ".hidden.pub", b"no key")
    (tmp_path / "folder.pub").mkdir()
    (tmp_path / "linked.pub").symlink_to(pair.public)  # as Kubernetes mounts them
    found = {key.path.name: key for key in keys.read_trusted(tmp_path).values()}
    assert set(found) == {"linked.pub", "openssf.pem"} or set(found) == {"ours.pub", "openssf.pem"}
    assert found["openssf.pem"].kind == "elliptic-curve"
    assert len(found["openssf.pem"].named) == 64


def test_a_folder_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match=r" holds no public key: put files \*\.pub or \*\.pem there\.$"):
        keys.read_trusted(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o100)
    with pytest.raises(KeyRefused, match=r"^The keys in .* cannot be read: Permission denied\.$"):
        keys.read_trusted(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no public key: give a PEM file, as `lectern signing new` writes."),
        (b"\xff" * 100_000, "holds no public key"),
        (private(ED25519), "is a private key; only public ones belong among the trusted keys."),
        (private(ED25519, b"secret"), "is a private key"),
        (public(OTHER["rsa"]), "signs no artifact: give an Ed25519 key, or for bundles one of secp256r1, "),
        (public(OTHER["another curve"]), "signs no artifact"),
    ],
    ids=["empty", "noise", "private", "private with a password", "rsa", "another curve"],
)
def test_what_checks_nothing_is_refused_alone_and_among_others(content: bytes, says: str, tmp_path: Path) -> None:
    path = written(tmp_path / "theirs.pub", content)
    written(tmp_path / "good.pub", public(ED25519))
    for place in (path, tmp_path):
        with pytest.raises(KeyRefused) as refused:
            keys.read_trusted(place)
        assert str(refused.value).startswith(f"{path} {says}")


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("cryptography", r"^Signatures need the package cryptography: pip install 'lectern\[signing\]'\.$"),
        ("model_signing", r"\.pub is a key for OpenSSF bundles; .* needs: pip install 'lectern\[openssf\]'\.$"),
    ],
)
def test_a_package_that_is_not_installed_is_asked_for(
    missing: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "key.pub", public(P256))

    def without(name: str) -> ModuleSpec | None:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr("contract.keys.find_spec", without)
    with pytest.raises(KeyRefused, match=says):
        keys.read_trusted(path)
    if missing == "cryptography":
        with pytest.raises(KeyRefused, match=says):
            keys.read_private(path)
        with pytest.raises(KeyRefused, match=says):
            keys.new(tmp_path, "mine")


# --- the verb


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["signing", *arguments], prog_name="lectern", terminal_width=200)


def test_the_verb_makes_a_key_and_says_what_to_set(tmp_path: Path) -> None:
    made = run("new", "training", "--folder", str(tmp_path))
    assert (made.exit_code, made.stderr) == (0, "")
    [key] = keys.read_trusted(tmp_path).values()
    assert made.stdout.splitlines() == [
        f"Private key: {tmp_path}/training.key  (keep it secret, and a copy in a safe place)",
        f"Public key:  {tmp_path}/training.pub",
        f"Key id:      {key.id}",
        "Where versions are made, set",
        f"  LECTERN_TRAIN_SIGNING_KEY={tmp_path}/training.key",
        "On a server, copy the public key there and set",
        f"  LECTERN_TRUSTED_KEYS={tmp_path}/training.pub",
        "  LECTERN_REQUIRE_SIGNATURE=true",
    ]
    again = run("new", "training", "--folder", str(tmp_path))
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith(f"lectern: {tmp_path} has a key 'training' already")


def test_without_a_folder_keys_are_kept_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / ".config" / "lectern" / "keys"
    assert run("list").stdout == f"There is no key in {place}; `lectern signing new` makes one.\n"
    assert run("new").exit_code == 0
    assert sorted(path.name for path in place.iterdir()) == ["signing.key", "signing.pub"]


def test_the_list_has_each_key_and_whether_it_can_sign_here(tmp_path: Path) -> None:
    mine, theirs = keys.new(tmp_path, "mine"), keys.new(tmp_path, "theirs")
    theirs.private.unlink()
    shown = run("list", "--folder", str(tmp_path))
    assert shown.stdout.splitlines() == [
        f"{mine.id}  ed25519         signs   {mine.public}",
        f"{theirs.id}  ed25519         checks  {theirs.public}",
    ]
    rows = json.loads(run("list", "--json", "--folder", str(tmp_path)).stdout)
    assert rows == [
        {"id": mine.id, "kind": "ed25519", "signs_here": True, "file": str(mine.public)},
        {"id": theirs.id, "kind": "ed25519", "signs_here": False, "file": str(theirs.public)},
    ]
    assert run("list", "--json", "--folder", str(tmp_path / "none")).stdout == "[]\n"


@pytest.mark.parametrize("verb", ["new", "list"])
def test_the_help_has_an_example(verb: str) -> None:
    assert f"Example: lectern signing {verb}" in " ".join(run(verb, "--help").stdout.split())


def test_nothing_of_it_is_loaded_before_it_is_needed() -> None:
    code = "import sys, contract.store, serving.verbs; print({'cryptography', 'model_signing'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
