"""Trust: what is asked of an artifact's signature here. The policy is in the settings; no artifact has a say in it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from contract import bundles, signing
from contract.artifact import Artifact
from contract.errors import KeyRefused, KeyUnknown, SignatureInvalid, UnlistedFile, Unsigned
from contract.keys import TrustedKey, read_trusted
from contract.limits import Limits
from contract.settings import Settings
from contract.signing import Statement
from contract.trying import try_out

_WAYS = {signing.SIGNATURE: signing.check, bundles.BUNDLE: bundles.check}
"""How an artifact may be signed; one signature that is right is enough, and one that is wrong too much."""
_MOST_NAMED = 3
log = logging.getLogger("lectern.trust")


def check(artifact: Artifact, model: str, version: int, settings: Settings) -> tuple[str, ...]:
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
        log.warning("%s version %d: %s", model, version, warning, extra={"model": model, "version": version})
    return tuple(warnings)


def trusted_keys(settings: Settings) -> dict[str, TrustedKey]:
    """The keys whose signatures are believed, by what a signature calls them.

    Raises:
        KeyRefused: there is none where they should be, or something else.
    """
    return read_trusted(settings.trusted_keys) if settings.trusted_keys else {}


def prover(settings: Settings, limits: Limits) -> Callable[[Artifact], None]:
    """What a version has to stand before an alias may point at it: its signature is checked, then it is tried out."""

    def prove(artifact: Artifact) -> None:
        artifact.verify()
        check(artifact, artifact.folder.parent.name, int(artifact.folder.name), settings)
        try_out(artifact, limits)

    return prove
