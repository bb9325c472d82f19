"""contract.bundles: what OpenSSF model-signing has signed holds for the folder it was made of, and no other."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

from contract import bundles
from contract.artifact import Artifact
from contract.bundles import BUNDLE
from contract.errors import KeyUnknown, ManifestMismatch, NotRegularFile, SignatureInvalid
from contract.keys import TrustedKey, read_trusted
from contract.manifest import MANIFEST
from contract.signing import Statement
from contract.store import Store
from tests.samples import sealed
from tests.signed import replay

NO_BUNDLE = r"^model\.sig is no bundle that was made with a key, of files by their SHA-256\.$"
NOT_RIGHT = r"^model\.sig is not of these files, or was not made with the key [0-9a-f]{16}; `model_signing verify key`"


def pair(folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> EllipticCurvePrivateKey:
    """A new key; its private half is NAME, its public one NAME.pem."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(public)
    return key


def sign(artifact: Artifact, key: Path, config: Any = None) -> None:
    """What `model_signing sign key` does."""
    config = config or hashing.Config()  # type: ignore[no-untyped-call]  # model_signing's constructors say nothing
    config.set_ignored_paths(paths=[BUNDLE])
    signer = signing.Config()  # type: ignore[no-untyped-call]  # idem
    signer.use_elliptic_key_signer(private_key=key).set_hashing_config(config)
    signer.sign(artifact.folder, artifact.folder / BUNDLE)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two keys, one of which is trusted."""
    folder = tmp_path_factory.mktemp("keys")
    pair(folder, "ours")
    pair(folder, "theirs")
    (folder / "theirs.pem").rename(folder / "theirs.public")
    return folder


@pytest.fixture(scope="module")
def trusted(keys: Path) -> dict[str, TrustedKey]:
    return read_trusted(keys)


@pytest.fixture
def artifact(store: Store, keys: Path) -> Artifact:
    """Version 1 of iris."""
    artifact = store.artifact("iris", store.publish(sealed(store)))
    sign(artifact, keys / "ours")
    return artifact


def check(artifact: Artifact, trusted: dict[str, TrustedKey], version: int = 1) -> bool:
    found = Artifact(artifact.folder)
    return bundles.check(
        found, Statement(model="iris", version=version, manifest_sha256=found.manifest_sha256), trusted
    )


def test_a_bundle_of_the_version_is_right(artifact: Artifact, trusted: dict[str, TrustedKey]) -> None:
    assert check(artifact, trusted)
    (artifact.folder / BUNDLE).unlink()
    assert not check(artifact, trusted)


def test_a_bundle_that_was_made_elsewhere_is_right_here(
    artifact: Artifact, keys: Path, trusted: dict[str, TrustedKey], tmp_path: Path
) -> None:
    copy = Artifact(shutil.copytree(artifact.folder, tmp_path / "1", ignore=shutil.ignore_patterns(BUNDLE)))
    config = signing.Config()  # type: ignore[no-untyped-call]  # model_signing's constructors say nothing
    config.use_elliptic_key_signer(private_key=keys / "ours").sign(copy.folder, tmp_path / "elsewhere.sig")
    shutil.copyfile(tmp_path / "elsewhere.sig", artifact.folder / BUNDLE)
    assert check(artifact, trusted)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_keys_of_other_curves_do_as_well(curve: ec.EllipticCurve, artifact: Artifact, tmp_path: Path) -> None:
    pair(tmp_path / "keys", "other", curve)
    sign(artifact, tmp_path / "keys" / "other")
    assert check(artifact, read_trusted(tmp_path / "keys"))


# --- what is refused


@pytest.mark.parametrize("name", ["model.joblib", MANIFEST, "added"])
def test_a_folder_that_was_changed_is_not_the_one_that_was_signed(
    name: str, artifact: Artifact, trusted: dict[str, TrustedKey]
) -> None:
    with (artifact.folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(SignatureInvalid, match=NOT_RIGHT):
        check(artifact, trusted)


def test_a_manifest_that_was_left_out_of_the_bundle_is_not_signed(
    artifact: Artifact, keys: Path, trusted: dict[str, TrustedKey]
) -> None:
    config = hashing.Config()  # type: ignore[no-untyped-call]  # model_signing's constructors say nothing
    config.use_file_serialization(ignore_paths=[Path(MANIFEST)])
    moved = artifact.folder.parent / MANIFEST
    (artifact.folder / MANIFEST).rename(moved)
    sign(artifact, keys / "ours", config)
    moved.rename(artifact.folder / MANIFEST)
    says = r"^The manifest is not the one that was signed: its SHA-256 is not that in model\.sig\.$"
    with pytest.raises(SignatureInvalid, match=says):
        check(artifact, trusted)


def test_a_bundle_of_another_version_is_not_for_this_one(
    artifact: Artifact, store: Store, trusted: dict[str, TrustedKey]
) -> None:
    copy = replay(store, "iris", 1, 2)
    says = r"^model\.sig is of a folder called '1', and this is version 2: sign the version in the store"
    with pytest.raises(ManifestMismatch, match=says):
        check(copy, trusted, version=2)


def test_a_bundle_of_a_folder_with_a_long_name_is_told_of_in_short(
    artifact: Artifact, keys: Path, trusted: dict[str, TrustedKey], tmp_path: Path
) -> None:
    copy = Artifact(shutil.copytree(artifact.folder, tmp_path / ("x" * 100)))
    sign(copy, keys / "ours")
    shutil.copyfile(copy.folder / BUNDLE, artifact.folder / BUNDLE)
    with pytest.raises(ManifestMismatch, match=r"^model\.sig is of a folder called 'x{80}', and this is version 1: "):
        check(artifact, trusted)


def test_a_key_that_is_not_trusted_is_unknown(artifact: Artifact, keys: Path, trusted: dict[str, TrustedKey]) -> None:
    sign(artifact, keys / "theirs")
    with pytest.raises(KeyUnknown, match=r"^model\.sig is by the key '[0-9a-f]{16}', which is not trusted here\.$"):
        check(artifact, trusted)


def test_a_bundle_by_shards_or_of_another_digest_is_none(
    artifact: Artifact, keys: Path, trusted: dict[str, TrustedKey]
) -> None:
    for serialization in ("use_shard_serialization", "use_file_serialization"):
        config = hashing.Config()  # type: ignore[no-untyped-call]  # model_signing's constructors say nothing
        sign(artifact, keys / "ours", getattr(config, serialization)(hashing_algorithm="blake2"))
        with pytest.raises(SignatureInvalid, match=NOT_RIGHT):
            check(artifact, trusted)


def edited(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """Change a bundle, and what it says was signed."""

    def apply(content: bytes) -> bytes:
        bundle = json.loads(content)
        said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(bundle, said)
        if "dsseEnvelope" in bundle:
            bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
        return json.dumps(bundle).encode()

    return apply


def with_a_sign_too_many(content: bytes) -> bytes:
    """What was signed is spelled otherwise, so that a lax reader reads the same."""
    bundle = json.loads(content)
    bundle["dsseEnvelope"]["payload"] = "!" + bundle["dsseEnvelope"]["payload"]
    return json.dumps(bundle).encode()


def two_envelopes(bundle: dict[str, Any], said: dict[str, Any]) -> None:
    """The signed one under the other name that the package's reader knows, and one of another folder."""
    bundle["dsse_envelope"] = dict(bundle["dsseEnvelope"])
    said["subject"][0]["name"] = "2"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", NO_BUNDLE),
        (lambda _: b"[1]", NO_BUNDLE),
        (with_a_sign_too_many, NO_BUNDLE),
        (lambda _: b"[" * 100_000, NO_BUNDLE),
        (lambda _: b"x" * (3 << 20), NO_BUNDLE),
        (edited(lambda bundle, _: bundle.pop("dsseEnvelope")), NO_BUNDLE),
        (edited(lambda bundle, _: bundle.update(verificationMaterial={"certificate": {}})), NO_BUNDLE),
        (edited(lambda bundle, _: bundle["dsseEnvelope"].pop("signatures")), NO_BUNDLE),
        (edited(lambda _, said: said["subject"].append({"name": "2"})), NO_BUNDLE),
        (edited(lambda bundle, _: bundle["dsseEnvelope"].update(signatures=[])), NOT_RIGHT),
        (edited(lambda bundle, _: bundle["dsseEnvelope"].update(signatures="none")), NOT_RIGHT),
        (edited(lambda bundle, _: bundle["dsseEnvelope"].update(payloadType="text/plain")), NOT_RIGHT),
        (edited(lambda _, said: said.update(more=1)), NOT_RIGHT),
        (edited(lambda _, said: said["subject"][0].update(name="2")), NOT_RIGHT),
        (edited(two_envelopes), NOT_RIGHT),
    ],
)
def test_a_bundle_that_was_changed_is_none(
    change: Callable[[bytes], bytes], says: str, artifact: Artifact, trusted: dict[str, TrustedKey]
) -> None:
    path = artifact.folder / BUNDLE
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SignatureInvalid, match=says) as refused:
        check(artifact, trusted)
    assert not isinstance(refused.value, KeyUnknown)


def test_a_bundle_that_is_a_link_is_not_read(artifact: Artifact, trusted: dict[str, TrustedKey]) -> None:
    path = artifact.folder / BUNDLE
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    with pytest.raises(NotRegularFile, match=r"^model\.sig is not a file of its own\.$"):
        check(artifact, trusted)


def test_a_bundle_is_read_so_far_and_no_further(artifact: Artifact, trusted: dict[str, TrustedKey]) -> None:
    path = artifact.folder / BUNDLE
    content = path.read_bytes().strip()
    path.write_bytes(content.rjust((1 << 20) + 1))
    assert check(artifact, trusted)
    path.write_bytes(content.rjust((1 << 20) + 2))
    with pytest.raises(SignatureInvalid, match=NO_BUNDLE):
        check(artifact, trusted)
