"""Problems: every error as `application/problem+json` (RFC 9457), and which error gets which status.

A problem never repeats the input and never exceeds 8 KiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import to_json

from contract.errors import (
    AliasNotFound,
    ArtifactError,
    BaselineNotFound,
    DeadlineExceeded,
    LecternError,
    ModelCrashed,
    ModelNotFound,
    NameRefused,
    PredictionFailed,
    PromotionConflict,
    PromotionFailed,
    PromotionRefused,
    ReportNotFound,
    VersionNotFound,
)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
MAX_BYTES = 8 << 10
_MAX_TEXT = 300

UNFORESEEN = "internal_error"

STATUS: dict[type[LecternError], tuple[HTTPStatus, str]] = {
    ModelNotFound: (HTTPStatus.NOT_FOUND, "model_not_found"),
    VersionNotFound: (HTTPStatus.NOT_FOUND, "version_not_found"),
    ReportNotFound: (HTTPStatus.NOT_FOUND, "report_not_found"),
    AliasNotFound: (HTTPStatus.NOT_FOUND, "alias_not_found"),
    BaselineNotFound: (HTTPStatus.NOT_FOUND, "no_baseline"),
    NameRefused: (HTTPStatus.UNPROCESSABLE_ENTITY, "name_refused"),
    PromotionRefused: (HTTPStatus.CONFLICT, "promotion_refused"),
    PromotionConflict: (HTTPStatus.CONFLICT, "promotion_conflict"),
    PromotionFailed: (HTTPStatus.SERVICE_UNAVAILABLE, "promotion_failed"),
    ArtifactError: (HTTPStatus.SERVICE_UNAVAILABLE, "version_failed"),
    PredictionFailed: (HTTPStatus.INTERNAL_SERVER_ERROR, "prediction_failed"),
    ModelCrashed: (HTTPStatus.INTERNAL_SERVER_ERROR, "model_crashed"),
    DeadlineExceeded: (HTTPStatus.GATEWAY_TIMEOUT, "deadline_exceeded"),
}


class FieldError(BaseModel):
    """What is wrong with one field of one row."""

    field: str = Field(description="name of the field; empty when the row as a whole is meant")
    code: str = Field(description="short name of the mistake, such as `missing` or `out_of_bounds`")
    message: str
    row: int | None = Field(None, description="number of the row in a list, from 0")


class ProblemDocument(BaseModel):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="short name of the problem, for programs")
    detail: str = Field(description="what was asked, what was found, what to do")
    request_id: str
    errors: list[FieldError] = Field(default_factory=list, max_length=MAX_ERRORS)


class Problem(Exception):
    """An error on its way to the caller."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = HTTPStatus(status), code, detail
        self.errors, self.headers = errors[:MAX_ERRORS], dict(headers or {})

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """The problem that stands for an error; for one that nobody foresaw it says nothing of it."""
        if isinstance(error, Problem):
            return error
        for kind, (status, code) in STATUS.items():
            if isinstance(error, kind):
                return cls(status, code, str(error))
        return cls(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN, "The service failed to answer this request.")

    def body(self, request_id: str) -> bytes:
        """The document."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "code": self.code,
            "detail": shortened(self.detail),
            "request_id": request_id,
            "errors": [error.model_dump(exclude_none=True) for error in self.errors],
        }
        while len(document := to_json(found)) > MAX_BYTES:
            found["errors"].pop()
        return document


def shortened(text: str) -> str:
    """A text that fits into a problem."""
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
