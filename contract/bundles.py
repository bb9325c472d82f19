"""Bundles: what OpenSSF model-signing makes of an artifact's folder, in `model.sig` there.

A bundle names every file with its digest, and the folder by its name. That is the version; the model is in the
manifest. So a bundle says what a signature of ours does, and the same is asked of it.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.artifact import Artifact
from contract.errors import KeyUnknown, ManifestMismatch, SignatureInvalid
from contract.keys import TrustedKey
from contract.manifest import MANIFEST
from contract.signing import Statement

BUNDLE = "model.sig"
_MAX_BYTES = 1 << 20


def check(artifact: Artifact, expected: Statement, trusted: Mapping[str, TrustedKey]) -> bool:
    """Whether a trusted key has signed what is `expected` of an artifact; False where nobody signed anything.

    Raises:
        KeyUnknown: it is signed with a key that is not `trusted`.
        SignatureInvalid: the bundle is wrong, or of other files.
        ManifestMismatch: it is right, and of another version.
        NotRegularFile: it is a link, or no file.
        OSError: the file system failed; another time it may not.
    """
    document = artifact.beside(BUNDLE, _MAX_BYTES)
    if document is None:
        return False
    try:
        found = json.loads(document)
        named, envelope = found["verificationMaterial"]["publicKey"]["hint"], found["dsseEnvelope"]
        signed = {name: envelope[name] for name in ("payload", "payloadType", "signatures")}
        statement = json.loads(base64.b64decode(signed["payload"], validate=True))
        [subject], files = statement["subject"], statement["predicate"]["resources"]
        digests = {file["name"]: file["digest"] for file in files if file["algorithm"] == "sha256"}
        said, key = str(subject["name"]), trusted.get(str(named))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignatureInvalid(f"{BUNDLE} is no bundle that was made with a key, of files by their SHA-256.") from None
    if key is None or key.kind != "elliptic-curve":
        raise KeyUnknown(f"{BUNDLE} is by the key {str(named)[:16]!r}, which is not trusted here.")
    _verify(artifact, signed, key)
    if said != str(expected.version):
        raise ManifestMismatch(
            f"{BUNDLE} is of a folder called '{said[:80]}', and this is version {expected.version}: "
            "sign the version in the store, where its folder has its number."
        )
    if digests.get(MANIFEST) != expected.manifest_sha256:
        raise SignatureInvalid(f"The manifest is not the one that was signed: its SHA-256 is not that in {BUNDLE}.")
    return True


def _verify(artifact: Artifact, signed: Mapping[str, Any], key: TrustedKey) -> None:
    """Hold all files to what was signed.

    The package is given a bundle of nothing but what was read here, so that both read the same.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying

    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key.named}, "tlogEntries": []},
        "dsseEnvelope": signed,
    }
    by_file = hashing.Config()  # type: ignore[no-untyped-call]  # it says so of all but its constructors
    by_file.use_file_serialization(hashing_algorithm="sha256").set_ignored_paths(paths=[BUNDLE])
    verifier = verifying.Config()  # type: ignore[no-untyped-call]  # idem
    verifier.use_elliptic_key_verifier(public_key=key.path).set_hashing_config(by_file)
    with tempfile.TemporaryDirectory(prefix="lectern-") as folder:
        path = Path(folder, BUNDLE)
        path.write_text(json.dumps(bundle))
        try:
            verifier.verify(artifact.folder, path)
        except (InvalidSignature, ValueError, KeyError, TypeError, IndexError):
            raise SignatureInvalid(
                f"{BUNDLE} is not of these files, or was not made with the key {key.id}; "
                "`model_signing verify key` says what differs."
            ) from None
