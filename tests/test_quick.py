"""serving.quick: the usual request is answered byte for byte as the long way answers it, or left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from contract.answers import Answers
from contract.store import Store
from pipeline import export
from serving.loading import Served, load
from serving.problems import Problem
from serving.replying import replied
from serving.settings import ServeSettings
from serving.sifting import read

ROWS = np.random.default_rng(0).normal(size=(120, 3)).round(2)
SUM = ROWS.sum(axis=1)
NAMES = ["x0", "x1", "x2"]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    """A classifier and a regression, as they are served."""
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LECTERN_STORE", str(root))
        forest = RandomForestClassifier(10, random_state=0).fit(ROWS, SUM > 0)
        export(forest, "classes", ROWS, SUM > 0, classes=["low", "high"])
        export(LinearRegression().fit(ROWS, SUM), "numbers", ROWS, SUM, bounds={"x0": (-100, 1e200)})
    store, settings = Store(Path(root)), ServeSettings()
    return {name: load(name, 1, store.artifact(name, 1), settings) for name in ("classes", "numbers")}


def at_length(served: Served, body: bytes) -> tuple[bytes, Answers]:
    """The long way, for one row."""
    found = read(body, served.schema)
    answers = served.predictor.answer_blocking(found.columns)
    return replied(served, found, answers, "id", echo=False).body, answers


numbers = st.one_of(st.floats(-10, 10), st.floats(-1e9, 1e9), st.integers(-5, 5))


@given(values=st.tuples(numbers, numbers, numbers), name=st.sampled_from(["classes", "numbers"]))
def test_it_says_what_the_long_way_says(values: Any, name: str, versions: dict[str, Served]) -> None:
    served = versions[name]
    assert served.quick is not None
    body = to_json(dict(zip(NAMES, values, strict=True)))
    try:
        expected, answers = at_length(served, body)
    except Problem:
        assert served.quick(body, "id") is None
        return
    reply = served.quick(body, "id")
    assert reply is not None
    assert (reply.body, reply.answers) == (expected, answers)
    assert reply.rows == [dict(zip(NAMES, values, strict=True))]
    assert [warning["message"] for warning in from_json(expected)["warnings"]] == [
        warning["message"] for warnings in reply.unlike.values() for warning in warnings
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'[{"x0":1,"x1":2,"x2":3}]',
        b'{"x0":1,"x1":2}',
        b'{"x0":1,"x1":2,"x2":"3"}',
        b'{"x0":1,"x1":2,"x2":NaN}',
        b'{"x0":-101,"x1":2,"x2":3}',
        b'{"x0":1e100,"x1":2,"x2":3}',
        b'{"x0":1,"x1":2,"x2":3,"x3":4}',
        b'{"x0":1,"x0":1,"x1":2,"x2":3}',
        b'{"x0":1,"x1":2,"x2":3,"\\u0078\\u0032":3}',
        b'{"x0":1,"x1":2,"x2":1e39,"x2":3}',
    ],
)
def test_what_is_unusual_is_left_to_the_long_way(body: bytes, versions: dict[str, Served]) -> None:
    served = versions["numbers"]
    assert served.quick is not None
    assert served.quick(body, "id") is None


def test_names_come_in_any_order(versions: dict[str, Served]) -> None:
    served = versions["numbers"]
    assert served.quick is not None
    found = [served.quick(body, "id") for body in (b'{"x0":1,"x1":2,"x2":3}', b'{"x2":3,"x0":1,"x1":2}')]
    assert found[0] == found[1] is not None
