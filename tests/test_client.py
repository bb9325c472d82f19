"""serving.client: what a notebook gives for rows, the frames it gets, what it is told of refusals, how things look."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_index_equal

from contract.deploying import Deployer
from contract.errors import AliasNotFound, NameRefused, RequestRefused, RowsRefused
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.client import Client, Model, asking
from serving.client.rows import Rows
from tests.live import Says, Service, X, damage, publish, publish_graph, running, until

LIMIT_BYTES = 300_000
PLANTS = Signature(
    container="frame",
    inputs=(
        Field(name="height", type="float", dtype="float64", bounds=(0, 100), observed=(0, 10), example=1.5),
        Field(name="leaves", type="integer", dtype="Int64", nullable=True, example=3),
        Field(name="0", type="float", dtype="float64", column=0, example=0.5),
    ),
    output=Output(task="classification", labels=(0, 1), classes=("fern", "moss"), scores="probabilities"),
)
TEXT = Signature(
    container="list",
    inputs=(Field(name="text", type="string", dtype="str", nullable=True, example="so good"),),
    output=Output(task="classification", type="string"),
)
VECTOR = Signature(
    container="array",
    inputs=(Field(name="image", type="tensor", dtype="float64", shape=(3,), example=[1.0, 2.0, 3.0]),),
    output=Output(task="regression"),
)


def plants(second: int = 5) -> Says:
    """A model whose plants are moss up to some number of leaves."""
    return Says(
        predict=lambda rows: [int(leaves <= second) for leaves in rows["leaves"].fillna(0)],
        predict_proba=lambda rows: [
            [0.75, 0.25] if leaves > second else [0.25, 0.75] for leaves in rows["leaves"].fillna(0)
        ],
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two versions of plants, the second one asked in the shadow, and other models."""
    store = Store(tmp_path_factory.mktemp("client") / "store")
    made: dict[str, Any] = {"signature": PLANTS, "description": "Ferns <i>and</i> mosses."}
    publish(store, "plants", plants(), metrics={"log_loss": 0.5, "accuracy": 0.75}, **made)
    publish(store, "plants", plants(second=7), metrics={"accuracy": 0.5}, **made)
    publish(store, "plants", plants(), **made)
    deployer = Deployer(store, "ada", lambda artifact: None)
    deployer.promote("plants", 1)
    deployer.promote("plants", 2, "challenger", reason="to try it")
    deployer.traffic("plants", shadow=True)
    damage(store.artifact("plants", 3), "model.joblib")
    publish(store, "texts", Says(predict=lambda texts: [str(text).upper() for text in texts]), signature=TEXT)
    publish(store, "images", Says(predict=lambda rows: rows.sum(axis=1)), signature=VECTOR)
    publish_graph(store, "double")
    broken = publish(store, "broken", Says(predict=lambda rows: rows["x"]), signature=X)
    damage(store.artifact("broken", broken), "model.joblib")
    with running(store, logged=True, max_body_bytes=LIMIT_BYTES, max_rows=500, poll_s=0.05, log_inputs="full") as found:
        yield found


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as found:
        yield found


ROWS = pd.DataFrame({"height": [1.5, 20.0, 3.0], "leaves": [3, 9, 5], "0": [0.5, 0.25, 0.0]})


# --- rows and their answers


def test_a_frame_is_answered_by_a_frame_with_its_index(client: Client) -> None:
    labels = [
        pd.Index(["b", "a", "a"], name="plant"),
        pd.MultiIndex.from_tuples([("x", 1), ("x", 1), ("y", 2)], names=["bed", "row"]),
        pd.date_range("2026-01-01", periods=3, tz="Europe/Berlin"),
        pd.Index([2, 0, 1]),
        pd.Index([None, float("nan"), "x"], dtype=object),
    ]
    model = client.model("plants")
    for index in labels:
        said = model.predict(ROWS.set_index(index))
        assert_index_equal(said.index, index, exact=True)
        assert said.drop(columns="id").to_dict("list") == {
            "prediction": ["moss", "fern", "moss"],
            "confidence": [0.75] * 3,
            "probabilities.fern": [0.25, 0.75, 0.25],
            "probabilities.moss": [0.75, 0.25, 0.75],
            "warnings": ["", "height out_of_range", ""],
        }
        assert said["id"].str.fullmatch(r"[0-9a-f]{20}-[012]").all()
        none = model.predict(ROWS.set_index(index).iloc[:0])
        assert_index_equal(none.index, index[:0], exact=True)
        assert none.dtypes.to_dict() == said.dtypes.to_dict()


def test_the_columns_may_stand_in_any_order_and_have_numbers_for_names(client: Client) -> None:
    said = client.model("plants").predict(ROWS.rename(columns={"0": 0})[[0, "leaves", "height"]])
    assert said["prediction"].tolist() == ["moss", "fern", "moss"]


def test_one_row_is_answered_by_the_services_own_document(client: Client) -> None:
    model = client.model("plants")
    said = model.predict({"height": np.float32(1.5), "leaves": pd.NA, 0: 1})
    assert said.pop("id")
    assert said == {
        "prediction": "moss",
        "confidence": 0.75,
        "probabilities": {"fern": 0.25, "moss": 0.75},
        "warnings": [],
        "model": "plants",
        "version": 1,
    }
    assert model.predict(ROWS.iloc[1])["prediction"] == "fern"  # one row of a frame has 9.0 leaves
    assert model.predict(pd.Series({"height": 1, "leaves": 9, "0": 1}, dtype=object))["prediction"] == "fern"
    assert client.model("texts").predict(pd.Series({"text": "a"}))["prediction"] == "A"
    assert client.model("texts").predict({"text": None})["prediction"] == "NONE"


def test_a_list_of_dicts_is_sent_as_it_is(client: Client) -> None:
    rows = ROWS.to_dict("records")
    assert client.model("plants").predict(rows)["prediction"].tolist() == ["moss", "fern", "moss"]
    del rows[1]["leaves"]
    with pytest.raises(RequestRefused, match=r"^The field 'leaves' is missing in row 1\.$"):
        client.model("plants").predict(rows)


def test_rows_without_names_stand_in_the_order_of_the_fields(client: Client) -> None:
    model = client.model("plants")
    tuples = list(ROWS.itertuples(index=False, name=None))
    for rows in (ROWS.to_numpy(), ROWS.to_numpy(dtype=object), tuples, list(map(list, tuples))):
        assert model.predict(rows)["prediction"].tolist() == ["moss", "fern", "moss"]
    with_gap = np.array([[1.0, np.nan, 0.0]], dtype=np.float32)
    assert model.predict(with_gap)["prediction"].tolist() == ["moss"]
    assert list(model.predict(np.empty((0, 3))).columns) == list(model.predict([]).columns)
    with pytest.raises(RequestRefused, match=r"^'leaves' in row 0 must be a whole number, or null\.$"):
        model.predict(np.array([[1, 2.5, 0]]))


def test_the_only_field_of_a_model_needs_no_name(client: Client) -> None:
    texts = pd.Series(["a", None, "b"], index=[3, 3, 1], name="review")
    said = client.model("texts").predict(texts)
    assert (said["prediction"].tolist(), said.index.tolist()) == (["A", "NONE", "B"], [3, 3, 1])
    for rows in (["a", "b"], ("a", "b"), np.array(["a", "b"]), [["a"], ["b"]], np.array([["a"], ["b"]])):
        assert client.model("texts").predict(rows)["prediction"].tolist() == ["A", "B"]
    images = client.model("images")
    vectors: list[Any] = [np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]], [np.arange(3), np.arange(3, 6)]]
    for some in vectors:
        assert images.predict(some)["prediction"].tolist() == [3.0, 12.0]
    assert images.predict(pd.DataFrame({"image": [np.arange(3)]}))["prediction"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (np.zeros((2, 4)), "Rows without names have the 3 values height, leaves, 0 each, in this order; these have 4."),
        ([[1, 2, 3], [1, 2]], "these have 2, 3. One row alone is a list of one row, too."),
        ([1.5, 3, 0.5], "these have 1. One row alone is a list of one row, too."),
        (np.zeros(3), "these have 1. One row alone"),
        ("text", "Rows are a DataFrame, a dict, a list of dicts, a Series, or an array or a list with one entry for"),
        (np.array(5), "this is of the type ndarray."),
        (None, "this is of the type NoneType."),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "More than one column of the rows is called 'x'; rename or drop"),
        (pd.DataFrame([[1, 2]], columns=["0", 0]), "More than one column of the rows is called '0'; rename or drop"),
        (pd.Series([1, 2], index=["x", "x"]), "More than one column of the rows is called 'x'; rename or drop"),
    ],
    ids=str,
)
def test_what_is_no_rows_is_not_sent(client: Client, rows: Any, told: str) -> None:
    with pytest.raises(RowsRefused, match=re.escape(told)):
        client.model("plants").predict(rows)


def test_an_alias_and_a_version_are_asked_for_by_name(client: Client) -> None:
    nine = {"height": 1.5, "leaves": 7, "0": 0.5}
    found = [client.model("plants"), client.model("plants@challenger"), client.model("plants", version=2)]
    assert [(said["version"], said["prediction"]) for said in (model.predict(nine) for model in found)] == [
        (1, "fern"),
        (2, "moss"),
        (2, "moss"),
    ]
    assert [model.predict(ROWS).attrs["version"] for model in found] == [1, 2, 2]
    assert found[1].signature == found[2].signature == found[0].signature == PLANTS
    assert found[1].example == {"height": 1.5, "leaves": 3, "0": 0.5}


# --- many rows


def test_many_rows_go_in_one_stream_of_small_pieces(service: Service, client: Client) -> None:
    rows = pd.DataFrame({"x": np.arange(200_000.0)}, index=np.arange(200_000)[::-1])
    table = Rows(rows.index, rows).table()
    pieces = [len(piece) for piece in asking._batches(table)]
    said = client.model("double").predict(rows)
    assert len(pieces) > 20
    assert max(pieces) < LIMIT_BYTES
    assert_index_equal(said.index, rows.index, exact=True)
    assert (said["prediction"] == rows["x"] * 2).all()
    assert said["id"].iloc[-1].endswith("-199999")
    assert said["id"].str.partition("-")[0].nunique() == 1


def test_lines_are_made_and_read_some_at_a_time(client: Client) -> None:
    rows = pd.DataFrame({"x": pd.Series(range(50_000), dtype=object)})
    rows.loc[7, "x"] = 0.5  # numbers of two types in one column: Arrow would make one of them
    tracemalloc.start()
    said = client.model("double").predict(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (said["prediction"] == rows["x"] * 2).all()
    assert most < 20 << 20
    texts = pd.Series(["line\u2028separator\n\x85"] * 20_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "table", lambda self: None)
        assert (client.model("texts").predict(texts)["prediction"] == texts.str.upper()).all()


def test_more_than_the_service_takes_at_once_becomes_a_stream(client: Client) -> None:
    assert len(client.model("double").predict(pd.DataFrame({"x": np.arange(501.0)}))) == 501
    large = pd.Series(["x" * 2_000] * 400)  # fewer rows than the most, more bytes
    assert client.model("texts").predict(large)["prediction"].str.len().tolist() == [2_000] * 400


# --- refusals


def refusal(model: Model, rows: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        model.predict(rows)
    return caught.value


def test_a_refusal_names_rows_as_the_caller_does(client: Client) -> None:
    model, odd = client.model("plants"), ROWS.assign(height=[1.0, 101.0, 3.0])
    told = "'height' in row {} must be a number from 0 to 100."
    indexes: list[tuple[Any, str]] = [
        (["a", "b", "c"], "'b' (number 1)"),
        ([7, 5, 3], "5 (number 1)"),
        (pd.date_range("2026-01-01", periods=3), "2026-01-02 00:00:00 (number 1)"),
        (pd.MultiIndex.from_product([["x"], [1, 2, 3]]), "('x', 2) (number 1)"),
        (["a", "b" * 200, "c"], f"'{'b' * 77} … (number 1)"),
        (range(3), "1"),
        (["a", r"\1", "c"], r"'\\1' (number 1)"),
    ]
    for index, name in indexes:
        error = refusal(model, odd.set_index(pd.Index(index)))
        assert str(error) == told.format(name)
        assert (error.status, error.code, error.detail) == (422, "invalid_rows", told.format(1))
        assert error.errors[0]["row"] == 1
        assert re.fullmatch("[0-9a-f]{20}", error.request_id)


def test_a_late_row_is_named_as_well(client: Client) -> None:
    rows = pd.DataFrame({"x": np.arange(20_000.0)}, index=[f"r{n}" for n in range(20_000)])
    rows.loc["r19999", "x"] = np.inf
    told = "'x' in row 'r19999' (number 19999) must be a number."
    assert str(refusal(client.model("double"), rows)) == told
    error = refusal(client.model("double"), rows.astype(object).assign(x=lambda found: [*range(19_999), "x"]))
    assert (str(error), error.status, error.code) == (told, 422, "invalid_rows")


def test_columns_too_many_are_not_dropped_in_silence(client: Client) -> None:
    error = refusal(client.model("plants"), ROWS.assign(species="fern").assign(**{str(1): 2}).rename(columns={"1": 1}))
    assert str(error).splitlines() == [
        "The service refused the rows:",
        "- The model has no field 'species' in row 0; its fields are height, leaves, 0.",
        "- The model has no field '1' in row 0; its fields are height, leaves, 0.",
        "Leave out what the model does not take: `frame.drop(columns=['species', 1])`.",
    ]
    large = pd.DataFrame({"x": np.zeros(100_000), "y": 1})
    assert str(refusal(client.model("double"), large)).endswith(
        "\nLeave out what the model does not take: `frame.drop(columns=['y'])`."
    )
    assert str(refusal(client.model("plants"), [dict(ROWS.iloc[0], age=1)])).endswith(" does not take: age.")


def test_of_many_mistakes_a_few_are_told_and_how_many_more(client: Client) -> None:
    lines = str(refusal(client.model("plants"), ROWS.assign(**{f"c{n}": 0 for n in range(27)}))).splitlines()
    assert len(lines) == 6
    assert lines[4] == "- and 24 more"


def test_a_model_or_version_that_is_not_there_is_told_with_those_that_are(client: Client) -> None:
    with pytest.raises(
        RequestRefused, match=r"^There is no model 'plant'; the store holds .*plants, texts\.$"
    ) as caught:
        client.model("plant").predict(ROWS)
    assert (caught.value.status, caught.value.code, caught.value.errors) == (404, "model_not_found", ())
    with pytest.raises(RequestRefused, match=r"^Model 'plants' has no version 7; the store holds 1, 2, 3\.$"):
        client.model("plants", version=7).predict(ROWS)
    with pytest.raises(AliasNotFound, match=r"^Model 'plants' has no alias 'canary'; it has challenger, champion\.$"):
        _ = client.model("plants@canary").signature
    with pytest.raises(RequestRefused, match=r"^Model 'plants' has no alias 'a b'; it has challenger, champion\.$"):
        client.model("plants@a b").predict(ROWS)
    with pytest.raises(NameRefused, match=r"^'a/b' cannot name a model"):
        client.model("a/b")
    with pytest.raises(NameRefused, match=r"^'plants@champion' and version 2 may be two versions; name one of them"):
        client.model("plants@champion", version=2)


def test_a_failure_of_the_service_names_the_request(client: Client) -> None:
    error = refusal(client.model("broken"), pd.DataFrame({"x": [1.0]}))
    assert error.status == 503
    assert str(error) == f"{error.detail} (request {error.request_id})"


# --- frames of what is known


def test_models_are_a_frame_of_what_one_wants_to_know(client: Client) -> None:
    found = client.models()
    assert found.index.tolist() == ["broken", "double", "images", "plants", "texts"]
    assert found.loc["plants"].to_dict() == {
        "champion": 1,
        "state": "ready",
        "versions": 3,
        "challenger": 0.0,
        "metric": "accuracy",
        "value": 0.75,
        "description": "Ferns <i>and</i> mosses.",
    }
    assert found["champion"].isna().tolist() == [True, False, False, False, False]


def test_versions_are_a_frame_with_their_metrics(client: Client) -> None:
    found = client.model("plants").versions()
    assert found.drop(columns=["error", "created"]).fillna(-1).to_dict("records") == [
        {"version": n, "aliases": names, "description": "Ferns <i>and</i> mosses."}
        | {"metric_log_loss": loss, "metric_accuracy": accuracy}
        for n, names, loss, accuracy in [(3, "", -1, -1), (2, "challenger", -1, 0.5), (1, "champion", 0.5, 0.75)]
    ]
    assert str(found["created"].dtype) == "datetime64[us, UTC]"
    assert client.model("plants").aliases() == {"champion": 1, "challenger": 2}
    [failed] = client.model("broken").versions()["error"]
    assert failed.startswith("model.joblib is not the file that was published")


def test_more_versions_than_come_at_once_are_asked_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    model = client.model("plants")
    asked = []
    get = model._connection.get

    def two(path: str, **parameters: Any) -> Any:
        asked.append(parameters)
        return get(path, **parameters)[:2]

    monkeypatch.setattr(model._connection, "get", two)
    assert model.versions()["version"].tolist() == [3, 2, 1]
    assert asked == [{}, {"before": 2}, {"before": 1}]


def test_the_history_is_a_frame(client: Client) -> None:
    found = client.model("plants").history()
    shown = found[["number", "kind", "by", "version", "alias", "reason", "gate"]].fillna(0).to_dict("split")["data"]
    assert shown == [
        [1, "promote", "ada", 1, "champion", "", ""],
        [2, "alias", "ada", 2, "challenger", "to try it", ""],
        [3, "traffic", "ada", 0, "", "", ""],
    ]
    assert str(found["at"].dtype) == "datetime64[us, UTC]"
    assert client.model("texts").history().dtypes.to_dict() == found.dtypes.to_dict()


def test_the_shadow_is_a_row_of_figures_and_the_rows_that_differ(service: Service, client: Client) -> None:
    model = client.model("plants")
    with pytest.raises(RequestRefused, match=r"^No challenger of 'texts' has answered copies; `lectern traffic texts"):
        client.model("texts").shadow()
    model.predict(ROWS.assign(leaves=[6, 9, 7]))
    until(lambda: len(model.differing()) >= 2)
    figures = model.shadow()
    assert figures[["champion", "challenger", "running", "failed"]].to_dict("list") == {
        "champion": [1],
        "challenger": [2],
        "running": [True],
        "failed": [0],
    }
    assert figures.attrs["said"]["fern → moss"] == len(model.differing())
    differing = model.differing().tail(2)
    assert differing.drop(columns="input.height").to_dict("records") == [
        {"input.leaves": leaves, "input.0": last, "champion": "fern", "challenger": "moss"}
        for leaves, last in ((6, 0.5), (7, 0.0))
    ]
    assert differing.index.name == "id"


# --- how they look


def test_a_client_and_a_model_show_themselves_the_same_every_time(service: Service, client: Client) -> None:
    assert repr(client) == f"Client('{service.url}')"
    shown = [repr(client.model(name)) for name in ("plants", "plants@challenger")]
    assert [*shown, repr(client.model("plants", 2))] == [
        "Model('plants')",
        "Model('plants@challenger')",
        "Model('plants', version=2)",
    ]
    html = client._repr_html_()
    assert html == client._repr_html_()
    assert "<th style='text-align:left'>plants</th><td>1</td>" in html
    assert "accuracy 0.7500" in html
    assert service.url.rpartition(":")[2] not in html
    told = "Takes height, leaves, 0. Answers one of"
    assert (
        client.model("plants@challenger")._repr_html_().startswith(f"<p><strong>plants@challenger</strong><br>{told}")
    )
    assert client.model("plants", 2)._repr_html_().startswith(f"<p><strong>plants, version 2</strong><br>{told}")
    assert "There is no model &#x27;plant&#x27;; the store holds" in client.model("plant")._repr_html_()
    assert "has no alias &#x27;&lt;b&gt;&#x27;" in client.model("plants@<b>")._repr_html_()


def test_a_service_without_models_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    (root := tmp_path_factory.mktemp("empty") / "store").mkdir()
    with running(root) as service, Client(service.url) as client:
        assert client._repr_html_() == "<div><p>The service has no models yet.</p></div>"
        assert list(client.models().columns) == [
            "champion",
            "state",
            "versions",
            "challenger",
            "metric",
            "value",
            "description",
        ]
