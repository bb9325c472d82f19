"""Trust: what this server asks of an artifact's signature. The policy is the server's; no artifact has a say in it."""

from __future__ import annotations

import logging

from contract import bundles, signing
from contract.artifact import Artifact
from contract.errors import KeyRefused, KeyUnknown, SignatureInvalid, UnlistedFile, Unsigned
from contract.keys import TrustedKey, read_trusted
from contract.signing import Statement
from serving.settings import ServeSettings

_WAYS = {signing.SIGNATURE: signing.check, bundles.BUNDLE: bundles.check}
"""How an artifact may be signed; one signature that is right is enough, and one that is wrong too much."""
_MOST_NAMED = 3
log = logging.getLogger("lectern.trust")


def check(artifact: Artifact, model: str, version: int, settings: ServeSettings) -> tuple[str, ...]:
    """Hold a verified artifact to its signatures, as far as keys are trusted; return what an operator should know.

    The trusted keys are read anew for each version, so that one can be added or withdrawn while the service runs.

    Raises:
        Unsigned, UnlistedFile: where a signature is required.
        SignatureInvalid, ManifestMismatch: a signature is wrong, or, where one is required, by an unknown key.
    """
    expected = Statement(model=model, version=version, manifest_sha256=artifact.manifest_sha256)
    signed, unknown, warnings = False, None, list[str]()
    try:
        trusted = trusted_keys(settings)
    except KeyRefused as error:
        raise SignatureInvalid(f"No signature can be checked: {error}") from None
    for way in _WAYS.values() if trusted else ():
        try:
            signed |= way(artifact, expected, trusted)
        except KeyUnknown as error:
            unknown = error
            warnings.append(str(error))
    if settings.require_signature and not signed:
        raise unknown or Unsigned(
            "The version is not signed, and this server requires it: publish it with LECTERN_TRAIN_SIGNING_KEY set."
        )
    if unlisted := artifact.unlisted(_WAYS):
        more = f" and {len(unlisted) - _MOST_NAMED} more" if len(unlisted) > _MOST_NAMED else ""
        named = ", ".join(f"{name!r:.60}" for name in unlisted[:_MOST_NAMED]) + more
        if settings.require_signature:
            raise UnlistedFile(f"In the artifact's folder lies what its manifest does not name: {named}.")
        warnings.append(f"In the artifact's folder lies what its manifest does not name, and nobody reads: {named}.")
    for warning in warnings:
        log.warning("%s version %d: %s", model, version, warning)
    return tuple(warnings)


def trusted_keys(settings: ServeSettings) -> dict[str, TrustedKey]:
    """The keys whose signatures are believed, by what a signature calls them.

    Raises:
        KeyRefused: there is none where they should be, or something else.
    """
    return read_trusted(settings.trusted_keys) if settings.trusted_keys else {}
