"""How an exported model shows itself."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from contract.manifest import Onnx, Runtime
from contract.signature import Field, Output, Signature
from pipeline import Exported
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
        "  accuracy           0.9600   (version 1: 0.5000)\n"
        "  cost               12345.0000\n"
        "  POST /models/iris/predict  with  x0, x1"
    )


def test_in_a_notebook_it_is_a_table() -> None:
    assert exported(runtime=GRAPH)._repr_html_() == (
        "<div><p><strong>iris version 2</strong><br>runs as ONNX</p>"
        "<table><thead><tr><th></th><th>this</th><th>version 1</th></tr></thead><tbody>"
        "<tr><th style='text-align:left'>accuracy</th><td>0.9600</td><td>0.5000</td></tr>"
        "<tr><th style='text-align:left'>cost</th><td>12345.0000</td><td></td></tr>"
        "</tbody></table><p><code>POST /models/iris/predict  with  x0, x1</code></p></div>"
    )


def test_the_first_version_is_compared_with_nothing() -> None:
    first = exported(version=1, before=None, runtime=GRAPH)
    assert repr(first).splitlines()[1:3] == ["  accuracy           0.9600", "  cost               12345.0000"]
    assert "<tr><th></th><th>this</th></tr>" in first._repr_html_()
    assert "<td>0.9600</td></tr>" in first._repr_html_()


def test_a_staged_one_has_no_version_yet() -> None:
    staged = exported(version=None)
    assert repr(staged).startswith("iris staged, a version as soon as the run ends: runs as joblib (")
    assert "<strong>iris staged, a version as soon as the run ends</strong>" in staged._repr_html_()


def test_it_says_why_it_is_not_onnx() -> None:
    reason = "skl2onnx cannot convert it: <b>"
    shown = exported(runtime=Runtime(format="joblib", reason=reason))
    assert f"runs as joblib ({reason})" in repr(shown)
    assert "runs as joblib (skl2onnx cannot convert it: &lt;b&gt;)" in shown._repr_html_()


def test_without_metrics_there_is_no_table() -> None:
    bare = exported(metrics={}, runtime=GRAPH)
    assert repr(bare) == "iris version 2: runs as ONNX\n  POST /models/iris/predict  with  x0, x1"
    assert "<table>" not in bare._repr_html_()


def test_no_name_becomes_markup() -> None:
    script = "<script>alert('x')</script>&\""
    fields = (Field(name=script, type="float", dtype="float64"),)
    hostile = exported(
        signature=Signature(container="frame", inputs=fields, output=Output(task="regression")), metrics={script: 1.0}
    )
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(hostile._repr_html_())
    assert set(tags) == {"div", "p", "strong", "br", "table", "thead", "tr", "th", "tbody", "td", "code"}
    assert hostile._repr_html_().count("&lt;script&gt;") == 2
    assert repr(hostile).count(script) == 2


def test_it_gives_its_name_and_its_metrics() -> None:
    made = exported()
    assert (made.model, made.metrics) == ("iris", {"accuracy": 0.96, "cost": 12345.0})
