"""A store in which every page has something to show: each state of a model, many versions, large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract import golden
from contract.answers import Answers, Columns
from contract.deploying import Deployer
from contract.formats import onnx
from contract.manifest import Onnx, Run, Runtime
from contract.reports import Reports
from contract.signature import Field, Output, Signature
from contract.store import Store
from tests.live import Says, Times, Unpickled, X, damage, multiplication, once_there, publish, publish_graph
from tests.promoting import promotion
from tests.samples import sealed

REPORT = (
    '<!doctype html><html lang="en"><title>rents</title><style>td { color: teal }</style>'
    "<main><h1>Rents, as executed</h1><table><tr><td>17 flats</td></tr></table></main></html>"
)
LINE: dict[str, Any] = {"metric": "r2", "champion": 0.81, "candidate": 0.88, "better": True, "rows": ""}
GATE: dict[str, Any] = {
    "verdict": "promoted",
    "reason": "r2 0.88 is not worse than 0.81",
    "metric": "r2",
    "rows": 1200,
    "rows_of": "version 1",
    "table": [LINE, LINE | {"rows": "area: north", "candidate": 0.7, "better": False}, {"metric": "oddity"}],
    "notes": [],
}
LEVELS = tuple(f"level {number:03} of many" for number in range(200))


def rents() -> Signature:
    """A field of almost every kind."""
    return Signature(
        container="frame",
        inputs=(
            Field(name="area", type="float", dtype="float64", unit="m²", observed=(12, 240.5), example=62.5),
            Field(name="rooms", type="integer", dtype="int64", observed=(1, 9), example=3, nullable=True),
            Field(name="lift", type="boolean", dtype="bool", example=True),
            Field(name="quarter", type="category", dtype="str", levels=("north", "south"), example="north"),
            Field(name="text", type="string", dtype="str", example="A flat with a view\nand a balcony."),
            Field(name="built", type="date", dtype="datetime64[us]", observed=("1900-01-01", "2024-12-31")),
            Field(name="seen", type="datetime", dtype="datetime64[us, UTC]", example="2026-11-21T12:30:00+00:00"),
            Field(name="plan", type="tensor", dtype="uint8", shape=(8, 8), observed=(0, 255), example=[[0] * 8] * 8),
            Field(name="noise", type="tensor", dtype="float64", shape=(3,), example=[1.0, 2.5, 3.0]),
        ),
        output=Output(task="regression"),
    )  # fmt: skip


def graph(store: Store, name: str, factor: float = 2.0, files: dict[str, bytes] | None = None, **changes: Any) -> int:
    """Make a version that multiplies x by `factor`, with files beside its own."""
    rows: Columns = {"x": [1.0, 2.0]}
    content = {onnx.FILE: multiplication(factor), golden.GOLDEN: golden.write(rows, Answers([factor, 2 * factor]))}
    runtime = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0.0))
    return store.publish(
        sealed(store, content | (files or {}), **{"model": name, "signature": X, "runtime": runtime} | changes)
    )


def fill(store: Store) -> None:
    """Make the models: one with a history, some that do not answer, and large ones."""
    hang(store)
    publish_graph(store, "unpromoted")
    store.promotions("unpromoted").append(promotion("keep", 1), after=store.promotions("unpromoted").read())
    damage(store.artifact("failed", publish_graph(store, "failed", description="Was damaged.")), onnx.FILE)
    enlarge(store)


def hang(store: Store) -> None:
    """Make `rents`: versions 1, 2 (champion), 3 (challenger) and 4 (damaged)."""
    run = Run(kind="papermill", notebook="notebooks/training/rents.ipynb", duration_s=12.3)
    common: dict[str, Any] = {"parameters": {"trees": 100, "quarters": ["north", "größer"]}, "run": run}
    notebook = {"report.html": REPORT.encode(), "notebook.ipynb": b'{"cells": []}'}
    about = (
        "What a flat costs a month, from its size, its place and its age. Knows the city only, and no furnished flats."
    )
    for factor, r2 in ((1.0, 0.81), (2.0, 0.88), (3.0, 0.79)):
        changes = {"description": about, "metrics": {"r2": r2, "mae": 100 * factor, "oddity": 5.0}} | common
        graph(store, "rents", factor, notebook, **changes, environment={"python": "3.11", "pandas": f"3.0.{factor:g}"})
    reports = Reports(store.root / "rents").folder
    reports.mkdir()
    for name in ("20261120T060000Z-drift", "20261121T060000Z-drift", "20261121T060000Z-traffic"):
        (reports / f"{name}.html").write_text(REPORT)
    graph(store, "rents", 4.0, metrics={"r2": 0.9})
    damage(store.artifact("rents", 4), golden.GOLDEN)
    deployer = Deployer(store, "ada@lab", lambda _: None)
    deployer.promote("rents", 1, reason="the first one")
    deployer.promote("rents", 2, reason="knows the new quarter", gate=GATE)
    deployer.keep("rents", 3, reason="r2 0.79 is worse than 0.88", gate=GATE | {"verdict": "kept", "table": [LINE]})
    deployer.promote("rents", 3, "challenger", reason="a trial")
    deployer.traffic("rents", share=0.0, shadow=True)


def begin(store: Store, go: Path) -> None:
    """Make `loading`, which is loaded once there is a file `go`."""
    publish(store, "loading", Unpickled(once_there, go, Times(2.0)), answers=Answers([2.0, 2.0]))


def enlarge(store: Store) -> None:
    """Make `forms` (a field of every kind), `wide`, `vast`, `many` and `lavish`, whose pages are large."""
    publish(
        store, "forms", Says(predict=lambda rows: rows["area"]), signature=rents(), parameters={"path": "x" * 2_000}
    )
    names = [f"a rather long name of a field, as questionnaires have them: {number:04}" for number in range(2_000)]
    wide = [Field(name=n, type="category", dtype="str", levels=LEVELS, example=LEVELS[0]) for n in names[:100]]
    vast = [Field(name=name, type="float", dtype="float64", observed=(0, 1), example=0.5) for name in names]
    for model, fields in (("wide", wide), ("vast", vast)):
        signature = Signature(container="frame", inputs=tuple(fields), output=Output(task="regression"))
        publish(store, model, Says(predict=lambda rows: [1.0] * len(rows)), signature=signature)
    metrics = [f"accuracy_of_class_{number}" for number in range(40)]
    for version in range(1, 101):
        found = {name: 1 - 1 / (version + place) for place, name in enumerate(metrics)}
        publish_graph(store, "many", float(version), metrics=found, description=f"The {version}th of many. " * 10)
    parameters = {f"parameter_{number}": "a value of some length " * 3 for number in range(2_000)}
    for value in (1.0, 2.0):
        publish_graph(
            store,
            "lavish",
            value,
            parameters=dict.fromkeys(parameters, value) if value == 2 else parameters,
            metrics=dict.fromkeys(parameters, value),
            environment=dict.fromkeys(parameters, f"{value:g}.0"),
        )
