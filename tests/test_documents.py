"""serving.documents: the OpenAPI document says what the service does, neither more nor less."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.specs.openapi.schemas import OpenApiSchema

from contract.store import Store
from serving.patience import HEADER
from serving.tables import FORMS
from tests.live import Service, damage, publish_graph, running, until


@pytest.fixture(scope="module")
def examples(example_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on a store of its own, for whoever tries every operation changes what is live."""
    root = shutil.copytree(example_store.root, tmp_path_factory.mktemp("documents") / "store")
    with running(root, logged=True, default_model="iris") as service:
        yield service


@pytest.fixture(scope="module")
def document(examples: Service) -> Any:
    return examples.get("/openapi.json")


@pytest.fixture(scope="module")
def api(examples: Service) -> Any:
    return schemathesis.openapi.from_url(f"{examples.url}/openapi.json")


def validator(document: Any, *path: str) -> jsonschema_rs.Validator:
    """What checks against the schema at a place of the document."""
    schema = document
    for step in path:
        schema = schema[step]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_it_is_a_valid_document_of_openapi_3_1(api: OpenApiSchema, document: Any) -> None:
    api.validate()
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


def test_it_begins_with_what_callers_came_for(document: Any) -> None:
    assert list(document["paths"])[:3] == ["/models/cardio/predict", "/models/iris/predict", "/predict"]
    assert document["paths"]["/predict"]["post"]["tags"] == ["iris"]
    assert document["paths"]["/models/iris/predict"]["post"]["summary"] == "Predict with iris, version 1"


def test_it_shows_the_fields_of_iris_with_bounds_units_and_a_real_example(document: Any, example_store: Store) -> None:
    row = document["components"]["schemas"]["iris-row"]
    signature = example_store.artifact("iris", 1).manifest.signature
    assert list(row["properties"]) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert row["required"] == list(row["properties"])
    assert row["additionalProperties"] is False
    assert row["properties"]["petal_width"] == {
        "type": "number",
        "minimum": 0.0,
        "maximum": 10.0,
        "description": "cm; the model saw from 0.1 to 2.5 cm",
        "examples": [signature.example["petal_width"]],
    }
    assert row["examples"] == [signature.example]


@pytest.mark.parametrize("path", ["/predict", "/models/iris/predict", "/models/cardio/predict"])
def test_its_examples_are_answered_as_it_says(examples: Service, document: Any, path: str) -> None:
    assert_examples_hold(examples, document, path)


def assert_examples_hold(service: Service, document: Any, path: str) -> None:
    """The examples of a path fit their schemas, and its rows are answered just as its answers say."""
    operation = document["paths"][path]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["examples"]
    said = operation["responses"]["200"]["content"]["application/json"]["examples"]
    assert sent.keys() == said.keys() == {"one row", "several rows"}
    response = ("paths", path, "post", "responses", "200", "content", "application/json", "schema")
    request = ("paths", path, "post", "requestBody", "content", "application/json", "schema")

    def without_id(answer: Any) -> Any:
        rows = answer.get("predictions", [answer])
        assert all(isinstance(row.pop("id"), str) for row in rows)
        return answer

    for name in sent:
        validator(document, *request).validate(sent[name]["value"])
        validator(document, *response).validate(said[name]["value"])
        answer = service.predict(sent[name]["value"], f"{path}?echo=true").json()
        validator(document, *response).validate(answer)
        for row, given_row in zip(answer.get("predictions", [answer]), [sent[name]["value"]] * 2, strict=False):
            assert row.pop("input") in (given_row, *(given_row if isinstance(given_row, list) else []))
        assert without_id(answer) == without_id(said[name]["value"])
    assert not validator(document, *response).is_valid({"predictions": []})
    assert not validator(document, *request).is_valid([])


def test_every_prediction_may_say_how_long_its_caller_waits(examples: Service, document: Any) -> None:
    paths = [path for path in document["paths"] if path.endswith("/predict")]
    assert len(paths) == 3
    for path in paths:
        operation = document["paths"][path]["post"]
        [said] = [found for found in operation["parameters"] if found["in"] == "header"]
        assert (said["name"].lower(), said.get("required", False)) == (HEADER.decode(), False)
        assert said["schema"] == {"type": "integer", "minimum": 1, "maximum": 999_999_999}
        example = operation["requestBody"]["content"]["application/json"]["examples"]["one row"]["value"]
        lines = f"{json.dumps(example)}\n"
        for value, status in ((0, 422), (1_000_000_000, 422), (999_999_999, 200), (60_000, 200), (1.5, 422)):
            for kind in ("application/json", "application/x-ndjson"):
                headers = {said["name"]: str(value), "content-type": kind}
                answer = examples.client.post(path, content=lines, headers=headers)
                assert answer.status_code == status, (path, kind, value)
                assert status == 200 or answer.json()["code"] == "invalid_timeout"


def test_it_names_every_form_of_rows_and_answers(document: Any) -> None:
    operation = document["paths"]["/predict"]["post"]
    forms = [form.media[0] for form in FORMS if form.media]
    assert forms[0] == "application/json"
    for place in (operation["requestBody"], operation["responses"]["200"]):
        assert list(place["content"]) == forms
    assert '{"columns": […], "data": [[…]]}' in operation["requestBody"]["description"]
    assert "406" in operation["responses"]


def test_rows_that_do_not_fit_stand_where_the_document_says(examples: Service, document: Any) -> None:
    place = ("paths", "/predict", "post", "responses", "207", "content", "application/json")
    operation = document["paths"]["/predict"]["post"]
    row = operation["requestBody"]["content"]["application/json"]["examples"]["one row"]["value"]
    said = examples.predict([row, {}, row], "/predict?partial=true")
    assert said.status_code == 207
    found, example = validator(document, *place, "schema"), operation["responses"]["207"]["content"]["application/json"]
    for answer in (said.json(), example["example"]):
        found.validate(answer)
        assert "error" in answer["predictions"][1]
    assert not found.is_valid(said.json() | {"predictions": [{"id": "1"}]})


def test_each_error_of_a_prediction_is_a_problem_it_knows(examples: Service, document: Any) -> None:
    operation = document["paths"]["/predict"]["post"]["responses"]
    for status, response in operation.items():
        if int(status) >= 300:
            assert response["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
    refused = examples.predict({"sepal_length": "x"})
    validator(document, "components", "schemas", "Problem").validate(refused.json())
    assert str(refused.status_code) in operation
    assert "ValidationError" not in json.dumps(document)


def test_the_other_answers_are_as_it_says(examples: Service, document: Any) -> None:
    for path in document["paths"]:
        if "get" in document["paths"][path]:
            place = path.format(model="iris", version="1", name="20261121T060000Z-drift.html")
            answer = examples.client.get(place, params={"first": 1, "second": 1})
            if path.endswith("/shadow"):  # nothing has been compared
                assert (answer.status_code, answer.json()["code"]) == (404, "no_shadow")
                continue
            if path.endswith("/reports/{name}"):  # none was made
                assert (answer.status_code, answer.json()["code"]) == (404, "report_not_found")
                continue
            assert answer.status_code == 200, path
            content = document["paths"][path]["get"]["responses"]["200"].get("content", {})
            if "application/json" in content:
                responses = ("paths", path, "get", "responses", "200", "content", "application/json", "schema")
                validator(document, *responses).validate(answer.json())


@pytest.fixture
def growing(store: Store) -> Iterator[Service]:
    with running(store, logged=True) as service:
        yield service


def test_it_changes_with_what_is_served(growing: Service, store: Store) -> None:
    def paths() -> dict[str, str]:
        found = growing.get("/openapi.json")["paths"]
        posts = {path: found[path]["post"]["summary"] for path in found if "post" in found[path]}
        return {path: summary for path, summary in posts.items() if path.endswith("/predict")}

    assert paths() == {}
    publish_graph(store, "double", description="Twice x.")
    until(lambda: paths() == dict.fromkeys(["/models/double/predict", "/predict"], "Predict with double, version 1"))
    publish_graph(store, "double", 3.0, description="Thrice x.")
    until(lambda: paths() == dict.fromkeys(["/models/double/predict", "/predict"], "Predict with double, version 2"))
    operation = growing.get("/openapi.json")["paths"]["/predict"]["post"]
    assert operation["description"] == "Thrice x."
    example = operation["responses"]["200"]["content"]["application/json"]["examples"]["one row"]["value"]
    assert (example["prediction"], example["version"]) == (3.0, 2)
    publish_graph(store, "other")
    until(lambda: set(paths()) == {"/models/double/predict", "/models/other/predict"})
    damage(store.artifact("double", publish_graph(store, "double")), "golden.json")
    assert paths()["/models/double/predict"] == "Predict with double, version 2"
