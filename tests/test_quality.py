"""Feedback and quality over HTTP and through the client: what was true, and how good each version was by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from contract.errors import RequestRefused, RowsRefused
from contract.signature import Output
from contract.store import Store
from pipeline import export
from serving.client import Client, Model
from tests.live import Says, Service, X, publish, running, until

TRAINED = {"accuracy": 0.9, "log_loss": 0.2, "f1_macro": 0.8}
SIZES = X.model_copy(
    update={"output": Output(task="classification", labels=(0, 1), classes=("low", "high"), scores="probabilities")}
)
TAGS = X.model_copy(update={"output": Output(task="multilabel", labels=(0, 1), classes=("low", "high"))})
PAIR = X.model_copy(update={"output": Output(task="regression", width=2, names=("low", "high"))})
MOST_BYTES = 100_000


def sizes(limit: float) -> Says:
    return Says(
        predict=lambda rows: [int(x > limit) for x in rows["x"]],
        predict_proba=lambda rows: [[0.2, 0.8] if x > limit else [0.8, 0.2] for x in rows["x"]],
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = Store(tmp_path_factory.mktemp("quality") / "store")
    publish(store, "sizes", sizes(5), signature=SIZES, metrics=TRAINED)
    publish(store, "sizes", sizes(0), signature=SIZES, metrics={"accuracy": 0.6})
    publish(store, "forms", sizes(5), signature=SIZES, metrics=TRAINED)
    publish(store, "tags", Says(predict=lambda rows: [[int(x > 5), 1] for x in rows["x"]]), signature=TAGS)
    publish(store, "pairs", Says(predict=lambda rows: [[x, 2 * x] for x in rows["x"]]), signature=PAIR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LECTERN_STORE", str(store.root))
        rows = pd.DataFrame({"x": np.arange(500.0), "y": np.arange(500.0) % 7})
        export(LinearRegression().fit(rows, rows["x"]), "line", rows)
    with running(store, logged=True, max_body_bytes=MOST_BYTES, max_rows=300, poll_s=0.05) as found:
        yield found


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as found:
        yield found


def frame(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"x": list(values)}, index=[f"r{n}" for n in range(len(values))], dtype=float)


def tell(service: Service, body: Any, kind: str = "application/json", **headers: str) -> Any:
    given = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    return service.client.post("/feedback", headers={"content-type": kind, **headers}, **given)


def logged(service: Service, ids: list[str]) -> None:
    """Wait until the log has these predictions; what is asked is said to be true so late that nobody believes it."""
    said = [{"id": name, "truth": "low", "at": "1970-01-01"} for name in ids]
    until(lambda: tell(service, said).json()["unknown"] == 0)


def test_one_object_a_list_and_a_table_are_taken(service: Service) -> None:
    path = "/models/forms/predict"
    one = service.predict({"x": 3.0}, path).json()["id"]
    first = tell(service, {"id": one, "truth": "low"}).json()
    unknown = first.pop("unknown_ids")
    assert first == {"new": 1, "changed": 0, "unchanged": 0, "unknown": len(unknown)}
    assert unknown in ([], [one])  # as quick as the log is
    rows = service.client.post(path, content=b"x\n3\n8\n", headers={"content-type": "text/csv"}).text.splitlines()[1:]
    ids = [line.split(",")[4] for line in rows]
    until(lambda: tell(service, {"id": one, "truth": "low"}).json()["unknown"] == 0)
    table = f"id,truth\n{ids[0]},high\n{ids[1]},high\n"
    answer = tell(service, table, "text/csv; charset=utf-8").json()
    assert (answer["new"], answer["changed"], answer["unchanged"]) == (2, 0, 0)
    until(lambda: tell(service, table, "text/csv").json()["unknown"] == 0)
    document = service.get("/models/forms/quality?version=1")
    [version] = document["versions"]
    assert (document["rows"], version["rows"], version["metrics"]["accuracy"]) == (3, 3, pytest.approx(2 / 3))
    assert version["trained"] == {"accuracy": 0.9, "log_loss": 0.2}
    assert service.get("/models/forms/quality?version=7")["versions"] == []
    later = (datetime.fromisoformat(document["end"]) + timedelta(seconds=1)).isoformat()
    assert service.client.get("/models/forms/quality", params={"since": later}).json()["rows"] == 0


def test_what_its_caller_did_not_want_logged_stays_unknown(service: Service) -> None:
    hidden = service.client.post("/models/sizes/predict", json={"x": 1.0}, headers={"x-no-log": "1"}).json()["id"]
    shown = service.predict({"x": 1.0}, "/models/sizes/predict").json()["id"]
    logged(service, [shown])
    assert tell(service, [{"id": hidden, "truth": "anything"}]).json()["unknown_ids"] == [hidden]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({"id": "x", "truth": 1}, {}, 422, "invalid_feedback"),
        (b"{", {}, 400, "invalid_json"),
        (b"a", {"kind": "text/csv"}, 400, "invalid_csv"),
        (b"{}", {"kind": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"kind": ""}, 415, "unsupported_media_type"),
        (b"{}", {"content-encoding": "gzip"}, 415, "unsupported_encoding"),
        (b" " * (MOST_BYTES + 1), {}, 413, "body_too_large"),
        ([{"id": "ccea8eb3ff2900000001", "truth": 1}] * 301, {}, 422, "invalid_feedback"),
    ],
    ids=range(8),
)
def test_other_bodies_are_problems(
    service: Service, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = tell(service, body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_truth_that_cannot_be_one_is_refused_with_its_row(service: Service) -> None:
    ids = [
        each["id"] for each in service.predict([{"x": 1.0}, {"x": 2.0}], "/models/sizes/predict").json()["predictions"]
    ]
    logged(service, ids)
    answer = tell(service, [{"id": ids[0], "truth": "high"}, {"id": ids[1], "truth": "tall"}])
    assert (answer.status_code, answer.json()["detail"]) == (422, "'truth' in row 1 must be one of low, high.")
    assert answer.json()["errors"][0]["row"] == 1
    assert "tall" not in answer.text
    assert tell(service, {"id": ids[0], "truth": "high"}).json()["changed"] == 1  # nothing of it had been kept


def test_the_page_shows_a_line_for_each_version(service: Service, client: Client) -> None:
    html = {"accept": "text/html"}
    nothing = service.client.get("/models/line/quality", headers=html)
    assert "Nobody has said yet what was true" in nothing.text
    for version in (1, 2):
        model = client.model("sizes", version=version)
        answers = model.predict(frame(1, 7, 9))
        until(lambda model=model, answers=answers: not model.feedback(answers, ["low", "high", "low"])["unknown"])  # type: ignore[misc]
    page = service.client.get("/models/sizes/quality", headers=html).text
    assert all(
        text in page for text in ("accuracy over time", "version 1", "version 2", 'class="was"', "balanced_accuracy")
    )
    assert 'aria-current="page">Quality' in page
    assert service.client.get("/models/nobody/quality").status_code == 404
    for query in ("version=0", "version=99999999999", "buckets=0", "buckets=201", "since=noon"):
        assert service.client.get(f"/models/sizes/quality?{query}").status_code == 422


# --- the client


def told(model: Model, answers: Any, truth: Any, at: Any = None) -> dict[str, Any]:
    """Say it until the log has the predictions."""
    return until(lambda: (found := model.feedback(answers, truth, at))["unknown"] == 0 and found)


def test_truths_go_by_the_labels_of_the_rows(client: Client) -> None:
    model = client.model("sizes", version=1)
    answers = model.predict(frame(1, 7, 9, 2))
    truth = pd.Series({"r2": "low", "r0": "low", "r1": None})
    first = model.feedback(answers, truth)
    assert (first["new"], first["changed"], first["unchanged"]) == (2, 0, 0)  # of r1 and r3 it is not known yet
    told(model, answers, truth)
    assert model.feedback(answers, ["low", "high", "high", "low"])["changed"] == 1
    assert model.feedback(answers["id"], truth.iloc[:1], at=pd.Timestamp("2020-01-01"))["unchanged"] == 1
    assert model.feedback(answers.loc["r2"], "low")["changed"] == 1
    one = model.predict({"x": 3.0})
    assert model.feedback(one, "low")["new"] == 1
    assert model.feedback(one["id"], "low")["unchanged"] == 1
    assert model.feedback(answers, pd.Series({}, dtype=object)) == dict.fromkeys(
        ("new", "changed", "unchanged", "unknown"), 0
    ) | {"unknown_ids": []}
    moments = pd.Series({"r0": pd.Timestamp("2021-01-01", tz="UTC"), "r3": None})
    assert model.feedback(answers, np.array(["high", "low", "low", "high"]), moments)["changed"] == 2  # r0 is old news


def test_labels_and_several_numbers_may_be_frames(client: Client) -> None:
    tags, pairs = client.model("tags"), client.model("pairs")
    answers = tags.predict(frame(1, 7))
    told(tags, answers, pd.DataFrame({"low": [0, 1], "high": [True, False]}, index=["r0", "r1"]))
    told(tags, answers, [["high"], ["low", "high"]])
    told(tags, tags.predict(frame(7)), pd.DataFrame({"truth": ["low; high"]}, index=["r0"]))
    assert tags.quality()[["rows", "metric_subset_accuracy"]].to_numpy().tolist() == [[3, 1.0]]
    answers = pairs.predict(frame(1, 2, 3))
    told(pairs, answers, pd.DataFrame({"high": [2.0, 4.0, 7.0], "low": [1, 2, 3]}, index=answers.index[::1]))
    assert pairs.quality()["metric_mae"].tolist() == [pytest.approx(1 / 6)]


def test_more_than_the_service_takes_at_once_goes_in_parts(client: Client) -> None:
    model = client.model("sizes", version=2)
    answers = model.predict(pd.DataFrame({"x": np.arange(-500.0, 500.0)}))
    assert model.feedback(answers, answers["prediction"])["new"] == 1_000


def test_quality_is_a_frame_by_version_and_by_time(client: Client) -> None:
    model = client.model("sizes")
    answers = model.predict(frame(1, 7))
    told(model, answers, ["low", "low"])
    found = model.quality()
    assert found.index.name == "version"
    assert list(found.columns[:2]) == ["rows", "metric_accuracy"]
    assert found.loc[2, "trained_accuracy"] == 0.6
    assert found.attrs == {"metric": "accuracy"}
    parts = model.quality(over_time=True)
    assert parts.index.names == ["version", "begin"]
    assert str(parts.index.get_level_values("begin").dtype) == "datetime64[us, UTC]"
    assert parts["rows"].groupby("version").sum().to_dict() == found["rows"].to_dict()
    assert client.model("sizes@champion").quality().index.tolist() == [2]
    never = client.model("sizes").quality(since=pd.Timestamp("2100-01-01"))
    assert (len(never), never.index.name) == (0, "version")
    assert model.quality(since="2100-01-01", over_time=True).index.names == ["version", "begin"]


def test_drift_is_a_frame_by_field(client: Client) -> None:
    model = client.model("line")
    waiting = model.drift()
    assert waiting.attrs == {"version": 1, "state": "waiting", "rows": 0}
    assert waiting["psi"].isna().all()
    model.predict(pd.DataFrame({"x": np.arange(1_000.0), "y": np.arange(1_000.0) % 7}))
    until(lambda: model.drift().attrs["rows"] == 1_000)
    found = model.drift()
    assert found.attrs["state"] == "drifted"
    assert found["alarm"].to_dict() == {"x": True, "prediction": True, "y": False}
    assert found.index[-1] == "y"
    assert found.loc["x", "out_of_range"] == pytest.approx(0.5, abs=0.02)
    assert client.model("line", version=1).drift().attrs == found.attrs
    with pytest.raises(RequestRefused, match=r"^There is no drift of version 2 of 'sizes'\."):
        client.model("sizes").drift()


@pytest.mark.parametrize(
    ("answers", "truth", "words"),
    [
        (frame(1), [1], r"^These answers have no `id`; give what `predict` returned, or the ids themselves\.$"),
        ({"prediction": 1}, 1, r"^These answers have no `id`"),
        (3, 1, r"^Give what `predict` returned, or ids; this is of the type int\.$"),
        ([3], [1], r"^An id is a text; 3 is none\.$"),
        (["a", "b"], [1], r"^`truth` has 1 entries, and there are 2 answers\.$"),
        (["a", "b"], 1, r"^`truth` is a Series, a frame or a list, with one entry for each answer, not of type int\.$"),
        (pd.Series(["a"]), pd.Series({"x": 1}), r"^`truth` has a row 'x' that the answers do not have\.$"),
        (
            pd.Series(["a", "b"]),
            pd.Series([1, 2], index=[1, 1]),
            r"^`truth` has other labels than the answers, and some label stands twice; .* `truth\.to_numpy\(\)`\.$",
        ),
    ],
    ids=range(8),
)
def test_nobody_guesses_which_truth_belongs_to_which(client: Client, answers: Any, truth: Any, words: str) -> None:
    with pytest.raises(RowsRefused, match=words):
        client.model("sizes").feedback(answers, truth)


def test_a_refusal_names_rows_as_the_caller_does(client: Client) -> None:
    model = client.model("sizes")
    answers = model.predict(frame(1, 7))
    told(model, answers, ["low", "low"])
    with pytest.raises(RequestRefused, match=r"^'truth' in row 'r1' \(number 1\) must be one of low, high\.$"):
        model.feedback(answers, ["low", "tall"])
