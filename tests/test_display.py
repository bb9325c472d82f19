"""How an exported model shows itself."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from contract.manifest import Onnx, Runtime
from contract.signature import Field, Output, Signature
from pipeline.exporting.display import WARNING, Exported, search_results
from pipeline.gating.comparing import Compared, Comparison
from pipeline.gating.deciding import Decision
from tests.samples import manifest

GRAPH = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float32", max_difference=0.0))


def exported(version: int | None = 2, before: int | None = 1, **changes: Any) -> Exported:
    earlier = None if before is None else (before, manifest(metrics={"accuracy": 0.5, "gone": 1.0}))
    return Exported(
        manifest(**{"metrics": {"accuracy": 0.96, "cost": 12345.0}, **changes}), version, Path("/s"), earlier
    )


def test_in_a_terminal_it_is_a_few_lines() -> None:
    assert repr(exported(runtime=GRAPH)) == (
        "iris version 2: runs as ONNX\n"
        "  accuracy           0.9600   (version 1: 0.5000, better)\n"
        "  cost               12345.0000\n"
        "  POST /models/iris/predict  with  x0, x1"
    )


def test_in_a_notebook_it_is_a_table() -> None:
    assert exported(runtime=GRAPH)._repr_html_() == (
        "<div><p><strong>iris version 2</strong><br>runs as ONNX</p>"
        "<table><thead><tr><th style='text-align:left'></th><th>this</th><th>version 1</th>"
        "<th style='text-align:left'></th></tr></thead><tbody>"
        "<tr><th style='text-align:left'>accuracy</th><td>0.9600</td><td>0.5000</td>"
        "<td style='text-align:left'><span style='color:var(--jp-success-color1, #009e73)'>▲</span> better</td></tr>"
        "<tr><th style='text-align:left'>cost</th><td>12345.0000</td><td></td><td style='text-align:left'></td></tr>"
        "</tbody></table><p><code>POST /models/iris/predict  with  x0, x1</code></p></div>"
    )


def test_the_first_version_is_compared_with_nothing() -> None:
    first = exported(version=1, before=None, runtime=GRAPH)
    assert repr(first).splitlines()[1:3] == ["  accuracy           0.9600", "  cost               12345.0000"]
    assert "<tr><th style='text-align:left'></th><th>this</th></tr>" in first._repr_html_()
    assert "<td>0.9600</td></tr>" in first._repr_html_()


def test_a_staged_one_has_no_version_yet() -> None:
    staged = exported(version=None)
    assert repr(staged).startswith("iris staged, a version as soon as the run ends: runs as joblib (")
    assert "<strong>iris staged, a version as soon as the run ends</strong>" in staged._repr_html_()


def test_it_says_why_it_is_not_onnx() -> None:
    reason = "it cannot be converted: <b>"
    shown = exported(runtime=Runtime(format="joblib", reason=reason))
    assert f"runs as joblib ({reason})" in repr(shown)
    assert "runs as joblib (it cannot be converted: &lt;b&gt;)" in shown._repr_html_()


def test_without_metrics_there_is_no_table() -> None:
    bare = exported(metrics={}, runtime=GRAPH)
    assert repr(bare) == "iris version 2: runs as ONNX\n  POST /models/iris/predict  with  x0, x1"
    assert "<table>" not in bare._repr_html_()


class Page(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_no_name_becomes_markup() -> None:
    script = "<script>alert('x')</script>&\""
    fields = (Field(name=script, type="float", dtype="float64"),)
    hostile = replace(
        exported(
            signature=Signature(container="frame", inputs=fields, output=Output(task="regression")),
            metrics={script: 1.0},
        ),
        notes=(script, WARNING + script),
        plots={script: b"<svg/>"},
        search=[{"rank": 1, f"mean_test_{script}": 1.0, "params": {script: script}}],
    )
    page = Page(hostile._repr_html_())
    assert set(page.tags) == {
        *("div", "p", "strong", "span", "br", "table", "thead", "tr", "th", "tbody", "td", "code"),
        *("ul", "li", "details", "summary", "img"),
    }
    assert set(page.attributes) == {"style", "alt", "src"}
    assert page.attributes["alt"] == [script]
    assert hostile._repr_html_().count("&lt;script&gt;") == 8
    assert repr(hostile).count(script) == 4


@pytest.mark.parametrize(
    ("name", "before", "now", "sign", "change"),
    [
        ("rmse", 2.0, 1.0, "▼", "better"),
        ("rmse", 1.0, 2.0, "▲", "worse"),
        ("r2", 0.5, 0.6, "▲", "better"),
        ("r2", 0.6, 0.5, "▼", "worse"),
        ("r2", 0.50001, 0.50002, "", ""),
        ("outlier_share", 0.1, 0.2, "", ""),
    ],
)
def test_it_says_what_became_better(name: str, before: float, now: float, sign: str, change: str) -> None:
    made = replace(exported(metrics={name: now}), before=(1, manifest(metrics={name: before})))
    assert "".join(Page(made._repr_html_()).text).partition(f"{before:.4f}")[2].startswith(f"{sign} {change}".strip())
    assert ("better" in made._repr_html_(), "worse" in made._repr_html_()) == (change == "better", change == "worse")
    assert f"(version 1: {before:.4f}{f', {change}' if change else ''})" in repr(made)


def test_beside_a_comparison_stands_what_the_champion_reached_on_all_of_its_rows() -> None:
    table = (Compared("accuracy", 0.9, 0.96), Compared("accuracy", 0.1, 0.2, "sex=F"))
    decision = Decision("iris", 2, 1, "promoted", "it is", Comparison(2, 1, "accuracy", 9, "version 2", table))
    assert "(version 1: 0.9000, better)" in repr(replace(exported(), decision=decision))


def test_metrics_keep_their_digits_and_stand_below_each_other() -> None:
    metrics = {"tiny": 0.00001234, "zero": 0.0, "huge": 1.23456789e9, "a_metric_with_a_long_name": -0.5}
    lines = repr(exported(metrics=metrics, before=None)).splitlines()
    assert lines[1:5] == [
        "  tiny                      1.234e-05",
        "  zero                      0.0000",
        "  huge                      1.235e+09",
        "  a_metric_with_a_long_name -0.5000",
    ]


def test_notes_are_lines_and_warnings_stand_out() -> None:
    made = replace(exported(), notes=(f"{WARNING}r2 is -3 < 0", "travelled with the artifact: prepare"))
    assert repr(made).splitlines()[-3:-1] == ["  Warning: r2 is -3 < 0", "  travelled with the artifact: prepare"]
    assert (
        "<ul><li><strong><span style='color:var(--jp-warn-color1, #d55e00)'>⚠</span> Warning:</strong> "
        "r2 is -3 &lt; 0</li>"
        "<li>travelled with the artifact: prepare</li></ul>"
    ) in made._repr_html_()
    assert "<ul>" not in exported()._repr_html_()


def test_plots_are_folded_pictures_and_no_text() -> None:
    made = replace(exported(), plots={"ROC curve": b"<svg>1</svg>", "Calibration": b"<svg>2</svg>"})
    page = Page(made._repr_html_())
    assert page.attributes["alt"] == ["ROC curve", "Calibration"]
    assert [b64decode(source.removeprefix("data:image/svg+xml;base64,")) for source in page.attributes["src"]] == [
        b"<svg>1</svg>",
        b"<svg>2</svg>",
    ]
    assert (page.tags.count("details"), "open" in page.attributes) == (1, False)
    assert repr(made) == repr(exported())


ROWS, CLASSES = [[0.0], [1.0], [2.0], [3.0], [0.5], [2.5]], [0, 0, 1, 1, 0, 1]


def test_a_search_shows_its_candidates_the_best_first() -> None:
    grid = {"max_depth": [1, None], "min_samples_leaf": [np.int64(1), 5]}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3).fit(ROWS, CLASSES)
    found = search_results(search)
    assert found == [
        {
            "rank": int(search.cv_results_["rank_test_score"][i]),
            "mean_test_score": float(search.cv_results_["mean_test_score"][i]),
            "std_test_score": float(search.cv_results_["std_test_score"][i]),
            "params": search.cv_results_["params"][i],
        }
        for i in (0, 2, 1, 3)
    ]
    assert type(found[0]["params"]["min_samples_leaf"]) is int
    made = replace(exported(), search=found)
    page = Page(made._repr_html_())
    head = ["rank", "mean_test_score", "std_test_score", "max_depth", "min_samples_leaf"]
    start = page.text.index("Search results") + 1
    assert page.text[start : start + 10] == [*head, "1", "1.0000", "0.0000", "1", "1"]
    assert repr(made) == repr(exported())


def test_a_search_is_found_among_steps_and_nothing_elsewhere() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2)
    inside = make_pipeline(StandardScaler(), search).fit(ROWS, CLASSES)
    found = search_results(inside)
    assert [row["params"] for row in found] == [{"C": 1.0}]
    assert search_results([StandardScaler(), inside[-1], {0: "no"}]) == found
    others: list[Any] = [LogisticRegression(), GridSearchCV(LogisticRegression(), {}), None, [], len]
    assert [search_results(other) for other in others] == [[]] * 5


def test_of_several_scores_the_one_that_chose_counts_and_of_many_candidates_twenty_are_kept() -> None:
    grid = {"C": [10.0**i for i in range(-12, 12)]}
    scores = {"right": "accuracy", "loss": "neg_log_loss"}
    search = GridSearchCV(LogisticRegression(), grid, scoring=scores, refit="loss", cv=2).fit(ROWS, CLASSES)
    found = search_results(search)
    assert len(found) == 20
    assert list(found[0]) == ["rank", "mean_test_loss", "std_test_loss", "params"]
    assert [row["mean_test_loss"] for row in found] == sorted((row["mean_test_loss"] for row in found), reverse=True)


def test_what_a_candidate_is_made_of_is_told_in_plain_words() -> None:
    results = {
        "rank_test_score": np.array([2, 1]),
        "mean_test_score": np.array([np.nan, 0.5]),
        "std_test_score": np.array([np.nan, 0.1]),
        "params": [{"model": LogisticRegression(), "f": len}, {"model": None, "f": lambda: 0}],
    }
    first, second = search_results(SimpleNamespace(cv_results_=results))
    assert second == {
        "rank": 2,
        "mean_test_score": None,
        "std_test_score": None,
        "params": {"model": "LogisticRegression()", "f": "<built-in function len>"},
    }
    assert first["params"]["model"] is None
    assert "0x" not in first["params"]["f"]
    text = Page(replace(exported(), search=[first, second])._repr_html_()).text
    names = ["model", "f", "1", "0.5000", "0.1000", "None", first["params"]["f"][:60]]
    assert text[-10:] == [*names, "2", *second["params"].values()]  # a score that is not there has no text


def test_it_gives_its_name_and_its_metrics() -> None:
    made = exported()
    assert (made.model, made.metrics) == ("iris", {"accuracy": 0.96, "cost": 12345.0})
