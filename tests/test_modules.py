"""contract.formats.modules: nets of PyTorch answer as in the notebook, as steps of a chain and as graphs.

They run where PyTorch is installed: `make unit-torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from contract.formats import FORMATS
from contract.formats.chain import Chain
from contract.manifest import Manifest
from contract.store import Store
from pipeline import ExportRefused, export

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed; `make unit-torch` brings it")
nn: Any = torch.nn
Module: Any = nn.Module

ROWS = np.random.default_rng(0).normal(size=(60, 4)) * [1.0, 20.0, 0.1, 5.0]
IMAGES = np.random.default_rng(1).random((40, 1, 6, 6)).astype("float32")


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path))
    torch.manual_seed(0)


def net(*layers: Any) -> Any:
    return nn.Sequential(*layers)


def said(module: Any, rows: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.tensor(rows, dtype=torch.float32)).numpy()


def served(tmp_path: Path, name: str, column: str, rows: Any) -> tuple[Manifest, Any]:
    """What the published graph answers."""
    artifact = Store(tmp_path).artifact(name, 1)
    manifest = artifact.manifest
    assert manifest.runtime.format == "onnx", manifest.runtime.reason
    graph = FORMATS["onnx"].load(artifact.read("model.onnx"), manifest)
    several = {} if rows.ndim > 2 else dict(zip(manifest.signature.names, rows.T.tolist(), strict=True))
    return manifest, graph.answer(several or {column: rows.tolist()})


@pytest.mark.parametrize(
    ("ending", "scores"), [((), "decisions"), ((nn.Softmax(1),), "probabilities")], ids=["logits", "softmax"]
)
@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("scaler", [None, StandardScaler(), MinMaxScaler()], ids=["alone", "standard", "minmax"])
def test_a_net_that_scores_classes_is_served_as_a_graph(
    ending: Any, scores: str, width: int, scaler: Any, tmp_path: Path
) -> None:
    module = net(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, width), *ending)
    prepared = ROWS if scaler is None else scaler.fit_transform(ROWS)
    expected = said(module, prepared)
    classes = ["a", "b", "c"][:width]
    export(module if scaler is None else [scaler, module], "net", ROWS, expected.argmax(axis=1), classes=classes)
    manifest, answers = served(tmp_path, "net", "x", ROWS)
    assert manifest.signature.output.scores == scores
    assert answers.values == [classes[i] for i in expected.argmax(axis=1)]
    np.testing.assert_allclose(answers.scores, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flat", [(), (nn.Flatten(0),)], ids=["column", "flat"])
def test_a_net_of_one_probability_answers_by_its_threshold(flat: Any, tmp_path: Path) -> None:
    module = net(nn.Linear(4, 1), nn.Sigmoid(), *flat)
    expected = said(module, ROWS).ravel()
    export(module, "one", ROWS, (expected > 0.3).astype(int), classes=["no", "yes"], threshold=0.3)
    _, answers = served(tmp_path, "one", "x", ROWS)
    assert answers.values == ["yes" if share >= 0.3 else "no" for share in expected]
    np.testing.assert_allclose(np.array(answers.scores)[:, 1], expected, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2])
def test_a_net_of_numbers_is_served_as_a_graph(width: int, tmp_path: Path) -> None:
    module = net(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, width), *([nn.Flatten(0)] if width == 1 else []))
    expected = said(module, ROWS)
    export(module, "numbers", ROWS, expected)
    _, answers = served(tmp_path, "numbers", "x", ROWS)
    np.testing.assert_allclose(answers.values, expected, rtol=1e-5, atol=1e-6)


def test_a_net_of_images_is_served_as_a_graph_and_batches_change_nothing(tmp_path: Path) -> None:
    module = net(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    module.train()(torch.tensor(IMAGES))  # statistics of a batch, which answering must not touch
    expected = said(module, IMAGES)
    export(module, "images", IMAGES, expected.argmax(axis=1), classes=["a", "b", "c"], columns="image")
    _, answers = served(tmp_path, "images", "image", IMAGES)
    np.testing.assert_allclose(answers.scores, expected, rtol=1e-5, atol=1e-5)


class OfParity(Module):  # type: ignore[misc]  # PyTorch may be absent
    """Its way depends on the values of all rows: no graph can follow it."""

    def forward(self, rows: Any) -> Any:
        return rows[:, 0] * (2.0 if float(rows.sum()) > 0 else 3.0)


class OfText(Module):  # type: ignore[misc]  # PyTorch may be absent
    """Its way is Python's: no graph can follow it."""

    def forward(self, rows: Any) -> Any:
        return torch.tensor([float(f"{float(row[0]):.3f}") for row in rows])


def test_a_net_that_no_graph_follows_runs_in_its_child(tmp_path: Path) -> None:
    export(OfText(), "python", ROWS, ROWS[:, 0])
    runtime = Store(tmp_path).artifact("python", 1).manifest.runtime
    assert runtime.format == "joblib"
    assert runtime.reason.startswith("it cannot be converted: ")


def test_a_net_that_looks_at_the_other_rows_is_refused() -> None:
    with pytest.raises(ExportRefused, match="when it comes alone"):
        export(OfParity(), "parity", np.abs(ROWS) * np.where(np.arange(60) % 2, -1, 1)[:, None], ROWS[:, 0])


@pytest.mark.parametrize("made", [lambda rows: rows, torch.tensor], ids=["array", "tensor"])
def test_a_step_of_a_chain_takes_numbers_in_the_type_of_its_weights(made: Callable[[Any], Any]) -> None:
    module = net(nn.Linear(4, 2))
    found = Chain([made, module]).prepare(ROWS)
    np.testing.assert_array_equal(found.numpy(), said(module, ROWS))
