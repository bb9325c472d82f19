"""contract.signing: a statement holds for one manifest as one version of one model, and for nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract import signing
from contract.artifact import Artifact
from contract.errors import KeyUnknown, ManifestMismatch, NotRegularFile, SignatureInvalid
from contract.keys import TrustedKey, read_trusted
from contract.manifest import MANIFEST
from contract.signing import SIGNATURE, Signer, Statement
from contract.store import Store
from tests.samples import sealed
from tests.signed import sign_again, signature_of, signer


@pytest.fixture
def by(tmp_path: Path) -> Signer:
    return signer(tmp_path / "keys")


@pytest.fixture
def trusted(by: Signer, tmp_path: Path) -> dict[str, TrustedKey]:
    return read_trusted(tmp_path / "keys")


@pytest.fixture
def artifact(by: Signer, store: Store) -> Artifact:
    """Version 2 of iris."""
    store.publish(sealed(store), by)
    return store.artifact("iris", store.publish(sealed(store, metrics={"r2": 0.9}), by))


def check(artifact: Artifact, trusted: dict[str, TrustedKey], version: int = 2) -> bool:
    found = Artifact(artifact.folder)  # as somebody sees it who has read nothing yet
    return signing.check(
        found, Statement(model="iris", version=version, manifest_sha256=found.manifest_sha256), trusted
    )


def test_what_was_signed_is_known_and_is_no_file_of_the_manifest(
    artifact: Artifact, by: Signer, trusted: dict[str, TrustedKey]
) -> None:
    assert check(artifact, trusted)
    artifact.verify()
    assert SIGNATURE not in artifact.manifest.files
    assert artifact.unlisted() == [SIGNATURE]
    assert artifact.unlisted([SIGNATURE]) == []
    found = signature_of(artifact)
    assert (found.key, found.statement.version) == (by.key_id, 2)
    assert found.statement.to_bytes() == (
        b'lectern artifact 1\n{"manifest_sha256":"%b","model":"iris","version":2}' % artifact.manifest_sha256.encode()
    )


def test_without_a_signer_nothing_is_signed(store: Store, trusted: dict[str, TrustedKey]) -> None:
    artifact = store.artifact("iris", store.publish(sealed(store)))
    assert not check(artifact, trusted, version=1)
    assert artifact.unlisted() == []


def test_the_number_that_is_signed_is_the_one_that_was_claimed(
    by: Signer, store: Store, trusted: dict[str, TrustedKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two numbers are taken by others between looking and renaming."""
    stage, rename = sealed(store), Path.rename

    def raced(path: Path, target: Path) -> Path:
        if path == stage.folder and target.name in ("1", "2"):
            target.mkdir(parents=True)
            (target / MANIFEST).touch()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", raced)
    assert store.publish(stage, by) == 3
    assert check(store.artifact("iris", 3), trusted, version=3)


# --- what is refused


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return apply


def flipped(document: dict[str, Any]) -> None:
    content = bytearray(base64.b64decode(document["signature"]))
    content[7] ^= 1
    document["signature"] = base64.b64encode(content).decode()


NO_SIGNATURE = r"^manifest\.sig is no signature\.$"
NOT_BY_KEY = r"^manifest\.sig was not made with the key [0-9a-f]{16}, or was changed since\.$"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", NO_SIGNATURE),
        (lambda _: b"[]", NO_SIGNATURE),
        (lambda _: b"\xff\xfe", NO_SIGNATURE),
        (lambda _: b"x" * 1_000_000, NO_SIGNATURE),
        (edited(lambda document: document.update(more=1)), NO_SIGNATURE),
        (edited(lambda document: document.pop("key")), NO_SIGNATURE),
        (edited(lambda document: document["statement"].update(version="2")), NO_SIGNATURE),
        (edited(lambda document: document["statement"].update(version=0)), NO_SIGNATURE),
        (edited(lambda document: document["statement"].update(manifest_sha256="../")), NO_SIGNATURE),
        (edited(lambda document: document.update(signature="no base64!")), NO_SIGNATURE),
        (edited(lambda document: document.update(signature="é")), NO_SIGNATURE),
        (edited(lambda document: document.update(signature="")), NOT_BY_KEY),
        (edited(flipped), NOT_BY_KEY),
        (edited(lambda document: document["statement"].update(version=3)), NOT_BY_KEY),
        (edited(lambda document: document["statement"].update(model="iris2")), NOT_BY_KEY),
        (edited(lambda document: document["statement"].update(manifest_sha256="0" * 64)), NOT_BY_KEY),
    ],
)
def test_a_signature_that_was_changed_is_none(
    change: Callable[[bytes], bytes], says: str, artifact: Artifact, trusted: dict[str, TrustedKey]
) -> None:
    path = artifact.folder / SIGNATURE
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SignatureInvalid, match=says) as refused:
        check(artifact, trusted)
    assert not isinstance(refused.value, KeyUnknown)


def test_a_key_that_is_not_trusted_is_unknown(
    artifact: Artifact, trusted: dict[str, TrustedKey], tmp_path: Path
) -> None:
    other = signer(tmp_path / "others")
    sign_again(artifact, other)
    with pytest.raises(KeyUnknown, match=f"^manifest.sig is by the key '{other.key_id}', which is not trusted here"):
        check(artifact, trusted)


def test_another_key_under_the_id_of_a_trusted_one_is_found_out(
    artifact: Artifact, by: Signer, trusted: dict[str, TrustedKey], tmp_path: Path
) -> None:
    other = signer(tmp_path / "others")
    other.key_id = by.key_id
    sign_again(artifact, other)
    with pytest.raises(SignatureInvalid, match=NOT_BY_KEY):
        check(artifact, trusted)


@pytest.mark.parametrize("said", [{"version": 1}, {"model": "wine"}])
def test_what_is_signed_for_another_version_or_model_is_not_for_this_one(
    said: dict[str, Any], artifact: Artifact, by: Signer, trusted: dict[str, TrustedKey]
) -> None:
    sign_again(artifact, by, **said)
    of = {"version": 2, "model": "iris"} | said
    says = f"^manifest.sig is of version {of['version']} of '{of['model']}', and this is version 2 of 'iris'"
    with pytest.raises(ManifestMismatch, match=says):
        check(artifact, trusted)


def test_another_manifest_is_not_the_one_that_was_signed(artifact: Artifact, trusted: dict[str, TrustedKey]) -> None:
    path = artifact.folder / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"r2":0.9', b'"r2":1.0').replace(b'"r2": 0.9', b'"r2": 1.0'))
    with pytest.raises(
        SignatureInvalid, match=r"^The manifest is not the one that was signed: its SHA-256 is not that"
    ):
        check(artifact, trusted)


def test_a_signature_that_is_a_link_is_not_read(artifact: Artifact, trusted: dict[str, TrustedKey]) -> None:
    path = artifact.folder / SIGNATURE
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    with pytest.raises(NotRegularFile, match=r"^manifest\.sig is not a file of its own\.$"):
        check(artifact, trusted)
