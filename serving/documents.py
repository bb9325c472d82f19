"""The OpenAPI document: FastAPI's own routes, and for each model what its signature says."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.access.schemes import secure
from serving.loading import Served
from serving.patience import LONGEST_MS
from serving.problems import MEDIA_TYPE, ProblemDocument
from serving.registry import Registry
from serving.sifting import MOST_MISFITS
from serving.snapshot import Snapshot
from serving.tables import FORMS, JSON

_PROBLEMS = {
    400: "The body is not of the form that its type says, has a key twice, or is too deep",
    404: "No such model or version",
    406: "None of the forms in which answers come is acceptable",
    413: "The body is too large",
    415: "The body is of another type, or encoded",
    421: "The address is none of this service",
    422: "A row does not fit the signature",
    429: "The caller asks too often, or for too many rows; Retry-After says when to ask again",
    500: "The model failed",
    503: "The model cannot be served, or has too much to do",
    504: "The model did not answer in time",
}


_REFUSED: dict[int, tuple[str, Callable[[str, dict[str, Any]], bool]]] = {
    400: ("The body is no JSON, has a key twice, or is too deep", lambda _, found: "requestBody" in found),
    403: ("The caller must not do this here", lambda _, found: "deployment" in found["tags"]),
    404: ("There is no such thing", lambda _, found: "path" in _places(found)),
    409: (
        "It is not as expected, was changed meanwhile, or must not be done",
        lambda method, found: "deployment" in found["tags"] and method != "get",
    ),
    413: ("The body is too large", lambda _, found: "requestBody" in found),
    415: ("The body is of another type, or encoded", lambda _, found: "requestBody" in found),
    421: ("The address is none of this service", lambda *_: True),
    422: (
        "The body, or a parameter, does not fit",
        lambda _, found: "requestBody" in found or bool(_places(found) & {"query", "path"}),
    ),
    500: ("The service failed", lambda *_: True),
    503: ("The store cannot be used at the moment, or a version of it not be served", lambda *_: True),
}
"""Of the routes that are the same for every model: which problem means what, and which operations may answer it."""

_ROWS = (
    'Rows as JSON: an object, a list of them, or `{"columns": […], "data": [[…]]}`. '
    "Any number of rows as a stream: NDJSON has one object a line, CSV a header with the fields' names, "
    "Arrow and Parquet a column for each field."
)
_ANSWERS = (
    "The prediction, or one for each row, in the form of the body unless `Accept` names another. A table has columns "
    "for `prediction`, confidence, probabilities or scores, `id`, `warnings` and `error`. When something goes wrong "
    "after the first answers, the last record has an `error`, and no more follow."
)
_SOME = "`partial=true`, and some rows do not fit: an `error` stands in the place of each of these"
_ECHO = {
    "name": "echo",
    "in": "query",
    "schema": {"type": "boolean"},
    "description": "answer with the input as well",
}
_PARTIAL = {
    "name": "partial",
    "in": "query",
    "schema": {"type": "boolean"},
    "description": (
        "of several rows as JSON answer those that fit, with status 207 where some do not "
        f"(at most {MOST_MISFITS:,}; else all are refused)"
    ),
}
_PATIENCE = {
    "name": "X-Request-Timeout-Ms",
    "in": "header",
    "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_MS},
    "description": (
        "for how many milliseconds from the request's head the caller waits for the answer to rows as JSON; "
        "what takes longer is answered with 504, and not computed any more"
    ),
}
_TEXT = {"type": "string"}
_BYTES = {"type": "string", "format": "binary"}


def openapi(app: FastAPI, registry: Registry, snapshot: Snapshot) -> dict[str, Any]:
    """The document as of now, with the models of a snapshot."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": "."}],  # wherever the document itself is
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs", {})
    _replace_default_errors(document)
    others, document["paths"] = document["paths"], {}
    for name, state in sorted(snapshot.models.items()):
        served = state.champion
        if served is None:
            continue
        schemas[f"{name}-row"] = served.schema.json_schema()
        schemas[f"{name}-prediction"] = _with_echo(served.replies.json_schema(), name)
        paths = {f"/models/{name}/predict": f"predict-{name}"}
        if name == registry.default_model:
            paths["/predict"] = "predict"
        for path, operation in paths.items():
            document["paths"][path] = {"post": _operation(served, operation)}
    document["paths"] |= others  # whoever opens the page came for the models
    if registry.door is not None:
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"]["429"] = _problem(
                    "The caller asks too often; `Retry-After` says when to ask again"
                )
    if registry.door is not None and registry.door.locked:
        secure(document)
    return document


def _with_echo(prediction: dict[str, Any], name: str) -> dict[str, Any]:
    echoed = {"$ref": f"#/components/schemas/{name}-row", "description": "the row, where `echo=true` asks for it"}
    return prediction | {"properties": prediction["properties"] | {"input": echoed}}


def _operation(served: Served, operation_id: str) -> dict[str, Any]:
    name, example = served.model, served.manifest.signature.example
    row = {"$ref": f"#/components/schemas/{name}-row"}
    prediction = {"$ref": f"#/components/schemas/{name}-prediction"}
    origin = {
        "type": "object",
        "properties": {"model": {"const": name}, "version": {"type": "integer"}},
        "required": ["model", "version"],
    }
    many = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": prediction}},
        "required": ["predictions"],
    }
    misfit = {
        "type": "object",
        "properties": {"error": {"$ref": "#/components/schemas/FieldError"}, "id": _TEXT},
        "required": ["error", "id"],
    }
    some = many | {
        "properties": {"predictions": {"type": "array", "items": {"oneOf": [prediction, misfit]}}},
    }
    answer = {**served.example, "id": "4f1c9a02d7e300000001", "warnings": []}
    one = {**answer, "model": name, "version": served.version}
    several = {"predictions": [answer, answer], "model": name, "version": served.version}
    wrong = {"field": "", "code": "wrong_type", "message": "Row 1 is no object.", "row": 1}
    holed = several | {"predictions": [answer, {"error": wrong, "id": "4f1c9a02d7e300000001-1"}]}
    return {
        "tags": [name],
        "summary": f"Predict with {name}, version {served.version}",
        "description": escape(served.manifest.description, quote=False),  # a document's are Markdown, with HTML in it
        "operationId": operation_id,
        "parameters": [_ECHO, _PARTIAL, _PATIENCE],
        "requestBody": {
            "required": True,
            "description": _ROWS,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [row, {"type": "array", "items": row, "minItems": 1}]},
                    "examples": {"one row": {"value": example}, "several rows": {"value": [example, example]}},
                }
            }
            | _streams(),
        },
        "responses": {
            "200": {
                "description": _ANSWERS,
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [{"allOf": [prediction, origin]}, {"allOf": [many, origin]}]},
                        "examples": {"one row": {"value": one}, "several rows": {"value": several}},
                    }
                }
                | _streams(),
            },
            "207": {
                "description": _SOME,
                "content": {"application/json": {"schema": {"allOf": [some, origin]}, "example": holed}},
            },
        }
        | {str(status): _problem(text) for status, text in _PROBLEMS.items()},
    }


def _streams() -> dict[str, Any]:
    """The forms beside JSON, which a schema of one document cannot describe."""
    forms = [form for form in FORMS if form is not JSON and form.media]
    return {form.media[0]: {"schema": _BYTES if form.needs_arrow else _TEXT} for form in forms}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _replace_default_errors(document: dict[str, Any]) -> None:
    """FastAPI documents a 422 of its own shape for every path with a parameter; here each error is a problem."""
    for path in document["paths"].values():
        for method, operation in path.items():
            responses = operation["responses"]
            if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
                responses.pop("422", None)
            for status, (text, applies) in _REFUSED.items():
                if applies(method, operation) and str(status) not in responses:
                    responses[str(status)] = _problem(text)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _places(operation: dict[str, Any]) -> set[str]:
    """Where an operation takes parameters from."""
    return {parameter["in"] for parameter in operation.get("parameters", ())}
