"""Requests: what rows a version takes, what it says of others, and what it warns of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from contract import signature as contract
from contract.answers import Columns
from contract.signature import Signature
from serving.fields import annotation, between, extremes, observed
from serving.problems import Problem
from serving.refusals import Place, Refusals
from serving.wellformed import check_depth, parsed, quotes, read_closely

Row = dict[str, Any]
Unlike = dict[int, list[dict[str, str]]]
"""Warnings by number of a row."""

LARGEST = 3.4028234663852886e38
"""The largest number that fits every type of a graph."""
_WITH_TEXTS = ("string", "category", "date", "datetime")


class RequestSchema:
    """Reads the rows of a request for one signature: values as JSON has them, each moment in one spelling."""

    def __init__(self, signature: Signature, max_rows: int, max_text_chars: int | None = None) -> None:
        self.signature = signature
        self.names = signature.names
        self.max_rows, self.max_text_chars = max_rows, max_text_chars
        self.refusals = Refusals(signature, max_rows, max_text_chars)
        row = self._row = row_type(signature, max_text_chars)
        self._one: TypeAdapter[Row] = TypeAdapter(row)
        self._many: TypeAdapter[list[Row]] = TypeAdapter(
            Annotated[list[row], FailFast(), Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type, arg-type]  # built at run time
        )
        self._fields = {field.name: field for field in signature.inputs}
        seen = [(field, *found) for field in signature.inputs if (found := observed(field)) and 0 not in field.shape]
        self._ranges = [(f.name, low, high, _outside(f, low, high)) for f, low, high in seen if f.type != "tensor"]
        known = {name: (low, high, warning) for name, low, high, warning in self._ranges}
        self.ranges = [known.get(name, (-LARGEST, LARGEST, {})) for name in self.names]
        """Of each field the lowest and the highest number that the model saw, and the warning beyond them."""
        self.read_one = self._one.validator.validate_json
        """Reads a body of one row; raises pydantic's own errors. A name too many is passed over."""
        self.quotes = quotes(len(self.names), ())
        """A row without texts has so many, or a name too many, or one that holds a quote."""
        self._with_texts = [field.name for field in signature.inputs if field.type in _WITH_TEXTS]
        self._tensors = [
            (f.name, low, high, len(f.shape), _outside(f, low, high)) for f, low, high in seen if f.type == "tensor"
        ]
        self._seen = [
            (field.name, frozenset(field.levels), _unseen(field.name))
            for field in signature.inputs
            if field.type == "string" and field.levels
        ]

    def read(self, body: bytes) -> tuple[list[Row], bool]:
        """The rows of a JSON body, and whether it was a list of them.

        Raises:
            Problem: it is no JSON, or a row does not fit the signature.
        """
        many = body.lstrip()[:1] == b"["
        try:
            rows = self._many.validate_json(body) if many else [self._one.validate_json(body)]
        except ValidationError as error:
            raise self._refusal(body, error) from None
        if self._has_more(body, rows):
            self._look_for_more(body)
        return rows, many

    def check(self, rows: Sequence[Any], first: int) -> tuple[list[Row], Problem | None]:
        """The rows before one that does not fit, and what is wrong with that one; `first` is the first one's number."""
        try:
            return self._any_number.validate_python(rows), None
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            place = int(details[0]["loc"][0])
            return self._any_number.validate_python(rows[:place]), self.refusals.misfits(
                details, in_list=True, first=first
            )

    def check_row(self, row: Any, number: int) -> Row:
        """One row of a list, which has that number.

        Raises:
            Problem: it does not fit.
        """
        rows, problem = self.check([row], number)
        if problem is not None:
            raise problem
        if unknown := [(number, name) for name in row if name not in self._fields]:
            raise self.refusals.misfits((), in_list=True, beyond=unknown)
        return rows[0]

    def check_lines(self, lines: Sequence[bytes], first: int) -> tuple[list[Row], Problem | None]:
        """The same for rows that are still JSON, each one a line."""
        # as one list they are read much faster; lines that are not whole objects could make rows across the commas
        if all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
            joined = b"[" + b"\n,".join(lines) + b"]"
            try:
                rows = self._any_number.validate_json(joined)
            except ValidationError:
                pass
            else:
                if len(rows) == len(lines) and not self._has_more(joined, rows):
                    return rows, None
        rows = []
        for number, line in enumerate(lines, first):
            try:
                row = self._one.validate_json(line)
                if self._has_more(line, [row]):
                    self._look_for_more(line, number)
            except ValidationError as error:
                return rows, self._refused_line(line, number, error)
            except Problem as problem:
                return rows, problem
            rows.append(row)
        return rows, None

    def quotes_of(self, rows: Sequence[Row]) -> int:
        """The quotes of all texts in rows."""
        return quotes(0, (row[name] for name in self._with_texts for row in rows)) if self._with_texts else 0

    def _has_more(self, body: bytes, rows: Sequence[Row]) -> bool:
        return body.count(b'"') != len(rows) * self.quotes + self.quotes_of(rows)

    def _look_for_more(self, body: bytes, line: int | None = None) -> None:
        """Refuse a body, or a line, with rows that would fit, if one of them has more than the fields."""
        what = "The body" if line is None else f"Row {line}"
        document = read_closely(body, what)
        many = isinstance(document, list)
        for number, row in enumerate(document if many else [document]):
            if unknown := [name for name in row if name not in self._fields]:
                check_depth(body, what)
                place = (number,) if many else () if line is None else (line,)
                raise self.refusals.misfits((), in_list=bool(place), beyond=[(*place, name) for name in unknown])

    @cached_property
    def _any_number(self) -> TypeAdapter[list[Row]]:
        return TypeAdapter(Annotated[list[self._row], FailFast()])  # type: ignore[name-defined, arg-type]  # built at run time

    def columns(self, rows: list[Row]) -> Columns:
        """The rows by column."""
        return {name: [row[name] for row in rows] for name in self.names}

    def unlike(self, columns: Columns) -> Unlike:
        """By number, the rows that are unlike all that the model saw, each with the fields in which they are."""
        found: dict[int, list[dict[str, str]]] = {}
        for name, low, high, warning in self._ranges:
            for i, value in enumerate(columns[name]):
                if value is not None and not low <= value <= high:
                    found.setdefault(i, []).append(warning)
        for name, low, high, axes, warning in self._tensors:
            for i, value in enumerate(columns[name]):
                if value is not None:
                    least, greatest = extremes(value, axes)
                    if least < low or greatest > high:
                        found.setdefault(i, []).append(warning)
        for name, levels, warning in self._seen:
            for i, value in enumerate(columns[name]):
                if value is not None and value not in levels:
                    found.setdefault(i, []).append(warning)
        return found

    def json_schema(self) -> dict[str, Any]:
        """What callers are told of one row, with a real example."""
        return _untitled(self._one.json_schema()) | {"title": "Row", "examples": [self.signature.example]}

    def _refusal(self, body: bytes, error: ValidationError) -> Problem:
        if not body.strip():
            return self.refusals.empty()
        try:
            document = parsed(body)
            check_depth(body)
        except Problem as problem:
            return problem
        details = error.errors(include_url=False, include_input=False)
        return self.refusals.misfits(
            details, in_list=isinstance(document, list), beyond=self._unknown(document, details)
        )

    def _unknown(self, document: Any, details: Sequence[ErrorDetails]) -> list[Place]:
        """The places of what is unknown in the row that does not fit."""
        place = details[0]["loc"][:1] if isinstance(document, list) else ()
        for step in place:
            document = document[step]
        return [(*place, name) for name in document if name not in self._fields] if isinstance(document, dict) else []

    def _refused_line(self, line: bytes, number: int, error: ValidationError) -> Problem:
        try:
            document = parsed(line, f"Row {number}")
            check_depth(line, f"Row {number}")
        except Problem as problem:
            return problem
        details = error.errors(include_url=False, include_input=False)
        beyond = [(number, *place) for place in self._unknown(document, details)]
        for detail in details:
            detail["loc"] = (number, *detail["loc"])
        return self.refusals.misfits(details, in_list=True, beyond=beyond)


def row_type(signature: Signature, max_text_chars: int | None = None) -> Any:
    """The type of one row: every field present, each strictly of its type and within its bounds.

    What else a row has is passed over, and looked for afterwards: to collect a million mistakes would take seconds.
    """
    row = TypedDict("Row", {field.name: annotation(field, max_text_chars) for field in signature.inputs})  # type: ignore[misc]
    row.__pydantic_config__ = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)  # type: ignore[attr-defined]
    return row


def _outside(field: contract.Field, low: Any, high: Any) -> dict[str, str]:
    lies = "holds numbers" if field.type == "tensor" else "lies"
    message = f"'{field.name}' {lies} outside the range the model saw, {between(low, high, field.unit)}."
    return {"field": field.name, "kind": "out_of_range", "message": message}


def _unseen(name: str) -> dict[str, str]:
    return {"field": name, "kind": "unseen", "message": f"The model never saw this value of '{name}'."}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a row without the titles that pydantic makes of names: they change how units are spelled."""
    fields = {name: {k: v for k, v in field.items() if k != "title"} for name, field in schema["properties"].items()}
    return schema | {"properties": fields, "additionalProperties": False}
