"""The API's document against the service: whatever it allows, and whatever it does not, is answered as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from contract.store import Store
from serving.patience import LONGEST_MS
from serving.problems import MAX_BYTES
from tests.live import Says, Service, publish, publish_graph, running
from tests.test_bad_bodies import NOTES
from tests.test_bad_requests import INTERNAL

FEW, MANY = 12, 2_000
PATIENCE = "X-Request-Timeout-Ms"
BOUNDED = NOTES.model_copy(
    update={"inputs": (NOTES.inputs[0].model_copy(update={"bounds": (-1e9, 1e9)}), *NOTES.inputs[1:])}
)


def fill(store: Store) -> None:
    """Two models whose answers are finite for all that they take."""
    publish(store, "notes", Says(predict=lambda frame: frame["size"].to_numpy()), signature=BOUNDED)
    field = BOUNDED.inputs[0].model_copy(update={"name": "x"})
    signature = BOUNDED.model_copy(update={"inputs": (field,)})
    for _ in range(2):
        publish_graph(store, "double", signature=signature)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose routes may change what they like."""
    store = Store(tmp_path_factory.mktemp("fuzzed") / "store")
    fill(store)
    with running(store, logged=True, default_model="notes") as found:
        yield found
        assert "Traceback" not in found.complaints


@pytest.fixture(scope="module")
def api(service: Service) -> Any:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


def whole(value: Any) -> Any:
    """The value with each 2.0 as 2: JSON Schema holds both for integers, the service only the latter."""
    match value:
        case dict():
            return {key: whole(item) for key, item in value.items()}
        case list():
            return [whole(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def patient(case: schemathesis.Case[Any]) -> None:
    """Have a caller who waits for a while wait for long: what does not come in time is 504, and rightly so."""
    said = str(case.headers.get(PATIENCE, "")) if case.headers else ""
    if said.isdecimal() and 0 < int(said) <= LONGEST_MS:
        case.headers[PATIENCE] = str(LONGEST_MS)


def asked(service: Service, api: OpenApiSchema, mode: GenerationMode) -> Counter[int]:
    """Try every operation with a body, or with anything that may be wrong; return how often each status came."""
    seen = Counter[int]()
    for result in api.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if mode == GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue  # any text is a name

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=MANY if settings().max_examples > 100 else FEW,  # make fuzz
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case[Any]) -> None:
            if case.body is not None and mode == GenerationMode.POSITIVE:
                case.body = whole(case.body)
            patient(case)
            response = case.call()
            seen[response.status_code] += 1
            # no schema says which texts are tables
            unsaid: list[Any] = [] if case.media_type in (None, "application/json") else [positive_data_acceptance]
            case.validate_response(response, excluded_checks=unsaid)
            if response.status_code >= 400:
                assert len(response.content) <= MAX_BYTES
                assert response.headers["content-type"] == ["application/problem+json"]
                assert [response.json()["request_id"]] == response.headers["x-request-id"]
                assert not INTERNAL.search(response.json()["detail"])

        ask()
    assert service.process.poll() is None
    return seen


def test_whatever_it_allows_is_answered_as_it_says(service: Service, api: OpenApiSchema) -> None:
    seen = asked(service, api, GenerationMode.POSITIVE)
    assert {200, 404} <= seen.keys()
    assert max(seen) < 500


def test_whatever_it_does_not_allow_is_refused_as_it_says(service: Service, api: OpenApiSchema) -> None:
    seen = asked(service, api, GenerationMode.NEGATIVE)
    assert {400, 422} <= seen.keys()
    assert max(seen) < 500


def test_every_error_that_any_route_may_answer_stands_in_it(service: Service) -> None:
    for path, operations in service.get("/openapi.json")["paths"].items():
        for method, operation in operations.items():
            said = set(operation["responses"])
            wanted = {"421", "500", "503"}
            wanted |= {"400", "413", "415", "422"} if "requestBody" in operation else set()
            wanted |= {"404"} if "{" in path or "predict" in path else set()
            wanted |= {"422"} if any(given["in"] == "query" for given in operation.get("parameters", ())) else set()
            assert wanted <= said, (method, path)
            for status in said - {"200", "304"}:
                assert next(iter(operation["responses"][status]["content"])).endswith("json"), (method, path, status)
