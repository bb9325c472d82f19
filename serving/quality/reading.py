"""Reading feedback: what callers say was true of predictions, as JSON or CSV has it, checked before any of it is kept.

a body → entries that can be kept, or one problem that names what is wrong with which
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from serving.problems import MAX_ERRORS, FieldError, Problem
from serving.wellformed import check_depth, parsed, read_closely

ID = "^[0-9a-f]{20,32}(-(0|[1-9][0-9]{0,17}))?$"
"""How the ids of predictions look."""
MOST_TRUTH_BYTES = 16 << 10
JSON, CSV = "application/json", "text/csv"


def spelled(truth: Any) -> str:
    """A truth as JSON of plain letters, which every database takes; the same truth is always the same text."""
    return json.dumps(truth, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _sound(truth: Any) -> Any:
    if truth is None:
        raise PydanticCustomError("missing_truth", "must say what was true, and not be null")
    try:
        size = len(spelled(truth))
    except ValueError:
        raise PydanticCustomError("not_finite", "must be finite where it is a number") from None
    if size > MOST_TRUTH_BYTES:
        raise PydanticCustomError("too_long", f"must have no more than {MOST_TRUTH_BYTES:,} bytes")
    return truth


def _moment(text: str) -> str:
    try:
        microseconds(text)
    except ValueError:
        raise PydanticCustomError("invalid_date", "must be a time such as 2026-11-21T12:30:00Z") from None
    return text


class Feedback(BaseModel):
    """What was true of one prediction."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(pattern=ID, description="the `id` of the prediction, as its answer had it")
    truth: Annotated[
        JsonValue,
        AfterValidator(_sound),
        WithJsonSchema({"type": ["boolean", "number", "string", "array", "object"]}),
    ] = Field(description="what was true, in the form of the model's predictions: a class, a number, a list of them")
    at: Annotated[str, AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})] | None = (
        Field(
            None,
            description="when that became known (ISO 8601, UTC where no offset stands); now when left out or later",
        )
    )


def microseconds(moment: str) -> int:
    """A time in ISO 8601 since 1970."""
    found = datetime.fromisoformat(moment.upper())
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return round((found - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def read(body: bytes, kind: str, max_rows: int) -> list[Feedback]:
    """The entries of a body.

    Raises:
        Problem: it is of another form, or an entry of it cannot be kept.
    """
    adapter = TypeAdapter(Annotated[list[Feedback], Field(min_length=1, max_length=max_rows)])
    many = kind == CSV or body.lstrip()[:1] == b"["
    try:
        if kind == CSV:
            return adapter.validate_python(_table(body, max_rows))
        document = _document(body, max_rows)
        return adapter.validate_python(document) if many else [Feedback.model_validate(document)]
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=True)
        raise refusal([_told(detail, max_rows, many=many) for detail in details]) from None


def refusal(errors: Sequence[FieldError]) -> Problem:
    """The problem of entries that cannot be kept; nothing of what came with them is."""
    others = len(errors) - 1
    told = errors[0].message
    if others:
        told += f" There {'is 1 more error' if others == 1 else f'are {others} more errors'}."
    return Problem(422, "invalid_feedback", told, errors=errors[:MAX_ERRORS])


def misfit(field: str, row: int | None, code: str, wanted: str) -> FieldError:
    """What is wrong with a field of an entry: what it must be."""
    where = "" if row is None else f" in row {row}"
    return FieldError(field=field, code=code, message=f"'{field}'{where} {wanted}.", row=row)


def _document(body: bytes, max_rows: int) -> Any:
    """The document in a body, whose entries have no field that is unknown: there could be a million of them."""
    if not body.strip():
        return None
    parsed(body)
    check_depth(body)
    document = read_closely(body)
    many = isinstance(document, list)
    for number, entry in enumerate(document[:max_rows] if many else [document]):
        if isinstance(entry, dict) and entry.keys() - Feedback.model_fields.keys():
            raise refusal([_unknown(number if many else None)])
    return document


def _unknown(row: int | None) -> FieldError:
    where = "" if row is None else f" in row {row}"
    told = f"There is an unknown field{where}; feedback has {', '.join(Feedback.model_fields)}."
    return FieldError(field="", code="unknown_field", message=told, row=row)


def _told(detail: ErrorDetails, max_rows: int, *, many: bool) -> FieldError:
    place: list[Any] = list(detail["loc"])
    row = place.pop(0) if many and place else None
    field = str(place[0]) if place and place[0] in Feedback.model_fields else ""
    where = "" if row is None else f" in row {row}"
    match detail["type"]:
        case "too_long" if not field:
            return FieldError(field="", code="too_many_rows", message=f"Send no more than {max_rows:,} at a time.")
        case "too_short":
            return FieldError(field="", code="no_rows", message="The list is empty.")
        case "missing":
            return FieldError(field=field, code="missing", message=f"The field '{field}' is missing{where}.", row=row)
        case "string_pattern_mismatch":
            return misfit(field, row, "invalid_id", "must be the id of a prediction, as its answer had it")
        case _ if not field:
            told = f'An entry{where} is an object such as {{"id": …, "truth": …}}.'
            return FieldError(field="", code="wrong_type", message=told, row=row)
        case "string_type":
            return misfit(field, row, "wrong_type", "must be a text")
    return misfit(field, row, detail["type"], detail["msg"])


def _table(body: bytes, max_rows: int) -> list[Mapping[str, Any]]:
    """The entries of a table with the columns id, truth and, maybe, at."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError:
        raise Problem(400, "invalid_csv", "The body is not UTF-8; send CSV in that encoding.") from None
    except csv.Error as error:
        raise Problem(400, "invalid_csv", f"The body is not CSV: {error}.") from None
    lines = [line for line in lines if line]
    head = lines[0] if lines else []
    if sorted(head) not in (["id", "truth"], ["at", "id", "truth"]):
        raise Problem(400, "invalid_csv", "The header must be id,truth or id,truth,at.")
    for number, line in enumerate(lines[1:]):
        if len(line) != len(head):
            told = f"Row {number} has {len(line)} cells; the header has {len(head)} names."
            raise Problem(400, "invalid_csv", told)
    return [_entry(dict(zip(head, line, strict=True))) for line in lines[1 : max_rows + 2]]


def _entry(cells: dict[str, str]) -> dict[str, Any]:
    truth: Any = cells["truth"]
    if truth[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):  # then it is a text after all
            truth = from_json(truth, allow_inf_nan=False)
    return {"id": cells["id"], "truth": truth, "at": cells.get("at") or None}
