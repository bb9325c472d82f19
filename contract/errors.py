"""Every error that Lectern raises on purpose, as one tree. Errors carry facts; they know neither HTTP nor exit codes.

LecternError
├── NameRefused             a name that no model or alias may have
├── SettingsRefused         a setting that is unknown or out of range
├── ParametersRefused       parameters that a training notebook does not declare
├── ExportRefused           something that cannot become an artifact as it is
├── KeyRefused              a file that is no key to sign or to check with
├── AccessRefused           keys or tokens of callers that cannot be asked for as they are set, or not be written
├── LogUnavailable          the prediction log is not there, or cannot be used now
├── RunFailed               a training notebook that did not reach its end
├── StartFailed             a service that was begun from a notebook, and ended or was not ready in time
├── StoreError
│   ├── ModelNotFound
│   ├── VersionNotFound
│   ├── AliasNotFound
│   ├── ReportNotFound
│   ├── BaselineNotFound    nothing to compare what a version is asked with
│   ├── PublishFailed       no version was made
│   ├── PromotionRefused    an alias that may not point there, or a share that is none
│   ├── PromotionConflict   somebody else was first
│   ├── NotComparable       no rows are known that both versions can be asked
│   └── PromotionFailed     nothing was promoted
├── ArtifactError           a version that must not be served; `code` is its short name
│   ├── ManifestInvalid     ├── NotRegularFile      ├── ChecksumMismatch
│   ├── FormatMismatch      ├── EnvironmentMismatch ├── LoadFailed
│   ├── PickleRefused       ├── ForbiddenType       ├── TrailingBytes
│   ├── SelfTestFailed      ├── SelfTestMismatch    ├── SelfTestTimeout
│   ├── ResourceLimit       ├── UnlistedFile        ├── Unsigned
│   ├── ManifestMismatch
│   └── SignatureInvalid
│       └── KeyUnknown      signed, but by nobody who is trusted here
├── PredictionError
│   ├── PredictionFailed    the model raised, or answered something that is no answer
│   ├── ModelCrashed        its process died while it worked
│   └── DeadlineExceeded    no answer in the time allowed
└── ServiceError            a service that was asked from outside
    ├── ServiceUnreachable  nobody answers there, or not whole, or not as a service of ours does
    ├── RowsRefused         rows that cannot be sent as they are
    └── RequestRefused      it answered that it will not, or cannot
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

_MOST_SHOWN = 20


class LecternError(Exception):
    """The root: whoever catches it has caught everything that is not a bug."""


class NameRefused(LecternError):
    """A name that no model, or no alias, may have."""


class SettingsRefused(LecternError):
    """A setting that is unknown or has an unusable value."""


class ParametersRefused(LecternError):
    """Parameters that do not fit what the training notebook declares."""


class ExportRefused(LecternError):
    """Something that cannot become an artifact as it is; the message says what to change."""


class KeyRefused(LecternError):
    """A file that is no key to sign or to check with, or that cannot be written."""


class AccessRefused(LecternError):
    """What says who may ask a service cannot be used as it is, or not be written."""


class LogUnavailable(LecternError):
    """The prediction log is not there, or cannot be used now; the message says why."""


class RunFailed(LecternError):
    """A training notebook that did not reach its end, or reached it without a version."""


class StartFailed(LecternError):
    """A service begun from a notebook that ended, or was not ready in time; the message says what it printed."""


class StoreError(LecternError):
    """The store does not hold what was asked for, or could not take what was given."""


class ModelNotFound(StoreError):
    """No model of that name."""

    def __init__(self, model: str, known: Sequence[str]) -> None:
        self.model, self.known = model, tuple(known)
        super().__init__(f"There is no model '{model}'; {_holds(known, 'the store is empty')}.")


class VersionNotFound(StoreError):
    """The model has no version of that number."""

    def __init__(self, model: str, version: object, known: Sequence[int]) -> None:
        self.model, self.version, self.known = model, version, tuple(known)
        super().__init__(f"Model '{model}' has no version {version}; {_holds(known, 'it has none yet')}.")


class AliasNotFound(StoreError):
    """The model has no alias of that name."""

    def __init__(self, model: str, alias: str, known: Iterable[str]) -> None:
        self.model, self.alias, self.known = model, alias, tuple(sorted(known))
        has = ", ".join(self.known) or "none"
        super().__init__(f"Model '{model}' has no alias '{alias[:40]}'; it has {has}.")


class ReportNotFound(StoreError):
    """The model has no report of that name."""

    def __init__(self, model: str, name: str) -> None:
        self.model, self.name = model, name
        super().__init__(f"Model '{model}' has no report '{name[:60]}'; /models/{model}/reports lists what it has.")


class BaselineNotFound(StoreError):
    """The version has no counts of the rows it was trained on, or none that can be read; the message says which."""


class PublishFailed(StoreError):
    """The artifact could not be made a durable version; the message says if a reader can see it all the same."""


class PromotionRefused(StoreError):
    """What is live cannot be changed in this way; the message says why and what can be done."""


class PromotionConflict(StoreError):
    """What is live was changed by somebody else meanwhile."""

    def __init__(self, model: str, changed: str) -> None:
        self.model = model
        super().__init__(f"Model '{model}' was changed meanwhile: {changed}. Look at it, and try again.")


class NotComparable(StoreError):
    """Two versions cannot be compared; `never` says that nothing of the model could ever be."""

    def __init__(self, message: str, *, never: bool = False) -> None:
        self.never = never
        super().__init__(message)


class PromotionFailed(StoreError):
    """A promotion could not be kept; the message says if a reader can see it all the same."""


class ArtifactError(LecternError):
    """A version that must not be served."""

    code: ClassVar[str] = "artifact_invalid"


class ManifestInvalid(ArtifactError):
    """The manifest is missing, too large, or not what this format number describes."""

    code = "manifest_invalid"


class NotRegularFile(ArtifactError):
    """A file of the artifact is a link, a device, or missing."""

    code = "not_regular_file"


class ChecksumMismatch(ArtifactError):
    """A file is not the one that was published."""

    code = "checksum_mismatch"


class FormatMismatch(ArtifactError):
    """A model file is not in the format its name says."""

    code = "format_mismatch"


class EnvironmentMismatch(ArtifactError):
    """This environment lacks what the version needs."""

    code = "environment_mismatch"


class LoadFailed(ArtifactError):
    """The model file could not be loaded."""

    code = "load_failed"


class SelfTestFailed(ArtifactError):
    """The loaded model could not answer its golden rows."""

    code = "self_test_failed"


class SelfTestMismatch(ArtifactError):
    """The loaded model answered its golden rows otherwise than the fitted object did."""

    code = "self_test_mismatch"


class SelfTestTimeout(ArtifactError):
    """The loaded model did not answer its golden rows in the time allowed."""

    code = "self_test_timeout"


class PickleRefused(ArtifactError):
    """The version is a pickle, and this server loads none."""

    code = "pickle_refused"


class ForbiddenType(ArtifactError):
    """A pickle uses what this server's policy does not let it use."""

    code = "forbidden_type"


class TrailingBytes(ArtifactError):
    """A model file goes on after the model."""

    code = "trailing_bytes"


class ResourceLimit(ArtifactError):
    """Loading takes more memory or time than it may."""

    code = "resource_limit"


class UnlistedFile(ArtifactError):
    """A file lies in the folder that the manifest does not name."""

    code = "unlisted_file"


class Unsigned(ArtifactError):
    """There is no signature where one is required."""

    code = "unsigned"


class SignatureInvalid(ArtifactError):
    """The signature is not of this manifest, or not by the key that it names."""

    code = "signature_invalid"


class KeyUnknown(SignatureInvalid):
    """The signature is by a key that is not trusted here."""


class ManifestMismatch(ArtifactError):
    """The signature is right, and of another version or another model."""

    code = "manifest_mismatch"


class PredictionError(LecternError):
    """A request that was understood and could not be answered."""


class PredictionFailed(PredictionError):
    """The model raised, or answered something that is no answer."""


class ModelCrashed(PredictionError):
    """The process of the model died while it worked on the request."""

    def __init__(self, message: str, *, reason: Literal["crash", "memory"] = "crash") -> None:
        self.reason: Literal["crash", "memory"] = reason
        super().__init__(message)


class DeadlineExceeded(PredictionError):
    """The model did not answer in the time allowed."""


class ServiceError(LecternError):
    """A service that was asked from outside, by a program or a notebook, did not give what was asked for."""


class ServiceUnreachable(ServiceError):
    """Nobody answers at the address, or not whole, or not as a service of ours does."""

    def __init__(self, address: str, message: str) -> None:
        self.address = address
        super().__init__(message)


class RowsRefused(ServiceError):
    """Rows that cannot be sent as they are; the message says what to change."""


class RequestRefused(ServiceError):
    """The service answered that it will not, or cannot, do what was asked."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        request_id: str = "",
    ) -> None:
        self.status, self.code, self.detail, self.request_id = status, code, detail, request_id
        self.errors = tuple(errors)
        """What is wrong with which `field` of which `row` (from 0), at most some of it."""
        super().__init__(message)


def _holds(known: Sequence[object], nothing: str) -> str:
    if not known:
        return nothing
    omitted = "…, " if len(known) > _MOST_SHOWN else ""
    return f"the store holds {omitted}{', '.join(map(str, known[-_MOST_SHOWN:]))}"
