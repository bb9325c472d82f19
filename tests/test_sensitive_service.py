"""A sensitive field of a running service: what requests say of it is in nothing that the service writes or shows."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.deploying import Deployer
from contract.signature import Field, Output, Signature
from contract.store import Store
from tests.live import Says, Service, publish, running, until

CANARY, NUMBER, LEVEL = "canary-4711-yellow", 271828.1828459, "canary-level"
SECRETS = (CANARY, str(NUMBER), "271828", LEVEL)
PEOPLE = Signature(
    container="frame",
    inputs=(
        Field(name="x", type="float", dtype="float64", observed=(-100, 1000), example=1.0),
        Field(name="name", type="string", dtype="str", sensitive=True, example="text", nullable=True),
        Field(name="income", type="float", dtype="float64", sensitive=True, bounds=(0, 300_000), example=5.0),
        Field(name="town", type="category", dtype="str", levels=("a", "b"), sensitive=True, example="a"),
    ),
    output=Output(task="regression"),
)
GOOD = {"x": 1.0, "name": CANARY, "income": NUMBER, "town": "b"}
BAD: list[dict[str, Any]] = [
    GOOD | {"income": CANARY},
    GOOD | {"income": NUMBER * 1e6},
    GOOD | {"town": LEVEL},
    GOOD | {"name": NUMBER},
    GOOD | {"name": [CANARY]},
    {"x": 1.0, "name": CANARY},
    GOOD | {"x": 13.0},  # at which the model fails, and says what it was asked
]


def asked(factor: float) -> Says:
    def predict(rows: Any) -> Any:
        if 13.0 in rows["x"].tolist():
            raise ValueError(f"cannot say anything of {rows.to_dict('records')}")
        return rows["x"] * factor

    return Says(predict=predict)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the service puts whatever it writes aside."""
    found = tmp_path / "aside"
    found.mkdir()
    return found


@pytest.fixture
def service(store: Store, folder: Path) -> Iterator[Service]:
    publish(store, "people", asked(1.0), signature=PEOPLE)
    publish(store, "people", asked(2.0), signature=PEOPLE)
    deployer = Deployer(store, "ada", lambda artifact: None)
    deployer.promote("people", 1)
    deployer.promote("people", 2, "challenger")
    deployer.traffic("people", shadow=True)
    written = {"TMPDIR": str(folder)}
    with running(
        store, logged=True, environment=written, workers=2, log_inputs="full", access_log_share=1, poll_s=0.05
    ) as found:
        until(lambda: found.complaints.count("answers now as challenger.") == 2)
        yield found


def forms(row: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """A row in every form of a request, as content and media type."""
    plain = httpx.Request("POST", "http://x", json=row).content
    yield plain, "application/json"
    yield b"[" + plain + b"," + plain + b"]", "application/json"
    table = {"columns": list(row), "data": [list(row.values())] * 2}
    yield httpx.Request("POST", "http://x", json=table).content, "application/json"
    yield plain + b"\n" + plain, "application/x-ndjson"
    yield f"{','.join(row)}\n{','.join(map(str, row.values()))}\n".encode(), "text/csv"
    if isinstance(row.get("income"), float) and isinstance(row.get("name"), str):
        import pyarrow as pa

        sink = io.BytesIO()
        batch = pa.RecordBatch.from_pylist([row] * 2)
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield sink.getvalue(), "application/vnd.apache.arrow.stream"


def sent(service: Service, content: Any, kind: str) -> httpx.Response:
    """The answer, once the worker that is asked has loaded the model."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.append(service.client.post("/models/people/predict", content=content, headers={"content-type": kind}))
        return answers[-1].status_code != 503

    until(answered)
    return answers[-1]


def told(service: Service, path: str, accept: str) -> str:
    answer = service.client.get(path, headers={"accept": accept})
    return answer.text


def found_in(texts: dict[str, bytes]) -> dict[str, list[str]]:
    held = {name: [secret for secret in SECRETS if secret.encode() in content] for name, content in texts.items()}
    return {name: secrets for name, secrets in held.items() if secrets}


def written(store: Store, folder: Path, service: Service) -> dict[str, bytes]:
    """Every byte of every file, while it runs and after."""
    places = [store.root, folder, service.folder]
    return {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}


def test_what_is_sent_in_a_sensitive_field_is_nowhere(service: Service, store: Store, folder: Path) -> None:
    answers: dict[str, bytes] = {}
    for number, row in enumerate([GOOD, *BAD]):
        for place, (content, kind) in enumerate(forms(row)):
            said = sent(service, content, kind)
            assert (said.status_code == 200) == (row is GOOD) or kind.endswith(("csv", "stream")), said.text
            answers[f"answer to {number} in form {place}"] = said.content
    feedback = {"id": "ccea8eb3ff2900000001", "truth": 1.0, "name": CANARY}
    answers["feedback"] = service.client.post("/feedback", json=feedback).content

    def compared() -> bool:
        """Whether a copy was; a worker that had not loaded the challenger yet has made none."""
        sent(service, *next(forms(GOOD)))
        return "Rows that differ" in told(service, "/models/people/shadow", "text/html")

    until(compared)
    until(lambda: any(b"people" in path.read_bytes() for path in (store.root / ".log").iterdir()))

    paths = ["", "/versions", "/versions/1", "/history", "/shadow", "/quality", "/drift", "/deployment", "/signature"]
    for path in [
        "/models",
        *(f"/models/people{end}" for end in paths),
        "/metrics",
        "/openapi.json",
        "/health",
        "/docs",
    ]:
        for accept in ("text/html", "application/json"):
            answers[f"{path} {accept}"] = told(service, path, accept).encode()
    assert found_in(answers | written(store, folder, service)) == {}
    service.stop(signal.SIGTERM)
    assert found_in(written(store, folder, service)) == {}
