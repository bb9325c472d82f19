"""The environment of a model: the packages that it needs, and the modules that nothing installs elsewhere."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from contract.formats.chain import Chain
from pipeline.exporting.environment import describe, local_modules

ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
RIDGE = Ridge().fit(ROWS, ROWS.x)
ALWAYS = {
    *("python", "numpy", "pandas", "scikit-learn", "joblib", "cloudpickle", "onnxruntime", "skl2onnx"),
}


def from_package(name: str) -> Any:
    return type("Model", (), {"__module__": f"{name}.model"})()


def cell(source: str, **names: Any) -> Any:
    found: dict[str, Any] = {"__name__": "__main__", "pd": pd, "np": np, **names}
    exec(source, found)
    return found["step"]


# --- packages


def test_the_versions_of_what_every_artifact_needs_are_told() -> None:
    found = describe(Chain([], RIDGE))
    assert found.keys() == ALWAYS
    assert (found["python"], found["numpy"]) == (platform.python_version(), metadata.version("numpy"))
    assert "not installed" not in found.values()


@pytest.mark.parametrize(
    ("chain", "packages"),
    [
        (Chain([], from_package("rich")), {"rich"}),
        (Chain([from_package("rich")], RIDGE, [from_package("httpx")]), {"rich", "httpx"}),
        (Chain([], lightgbm.LGBMRegressor()), {"lightgbm"}),
        (Chain([StandardScaler()], make_pipeline(StandardScaler(), xgboost.XGBRegressor())), {"xgboost-cpu"}),
        (Chain([], make_pipeline(make_pipeline(lightgbm.LGBMRegressor()))), {"lightgbm"}),
        (Chain([cell("def step(rows): return lgb.Dataset(rows)", lgb=lightgbm)], RIDGE), {"lightgbm"}),
        (Chain([cell("def step(rows): return Dataset(rows)", Dataset=lightgbm.Dataset)], RIDGE), {"lightgbm"}),
        (Chain([cell("def step(rows): return booster.predict(rows)", booster=from_package("rich"))]), {"rich"}),
        # nothing to install
        (
            Chain([cell("import json\ndef step(rows): return json, pd.DataFrame(np.array(rows)), unknown")], RIDGE),
            set(),
        ),
        (Chain([FunctionTransformer(np.log1p), np.log1p, str.strip, len], RIDGE, [{0: "a"}]), set()),
        (Chain([], from_package("no_such_package")), set()),
    ],
)
def test_the_packages_of_the_steps_are_told(chain: Chain, packages: set[str]) -> None:
    found = describe(chain)
    assert found.keys() - ALWAYS == packages
    assert "not installed" not in found.values()


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name == "skl2onnx":
            raise metadata.PackageNotFoundError
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert describe(Chain([], RIDGE))["skl2onnx"] == "not installed"


def test_a_function_without_a_module_is_described() -> None:
    names: dict[str, Any] = {"__builtins__": {}}
    exec("def step(rows): return rows", names)
    assert names["step"].__module__ in (None, "builtins")
    assert describe(Chain([names["step"]])).keys() == ALWAYS


# --- modules


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a notebook."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(monkeypatch: pytest.MonkeyPatch, name: str, file: Any) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = None if file is None else str(file)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_modules_beside_the_notebook_are_local(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "package").mkdir()
    beside = [
        loaded(monkeypatch, "beside", folder / "beside.py"),
        loaded(monkeypatch, "package.inner", folder / "package" / "inner.py"),
    ]
    loaded(monkeypatch, "elsewhere", folder.parent / "elsewhere.py")
    loaded(monkeypatch, "without_a_file", None)
    loaded(monkeypatch, "of_another_environment", folder / "env" / "lib" / "site-packages" / "of_another.py")
    loaded(monkeypatch, "__mp_main__", folder / "main.py")
    assert [module for module in local_modules() if "package" in module.__name__ or "e" in module.__name__] == beside


def test_what_is_installed_below_the_notebook_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(sys.prefix).parent)  # the checkout: its .venv, its tests and Lectern's own code
    found = {module.__name__ for module in local_modules()}
    assert __name__ in found
    assert not {
        name for name in found if name.partition(".")[0] in ("contract", "pipeline", "numpy", "sklearn", "pytest")
    }


def test_no_module_is_asked_for_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(f"imported for {name}")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "no_module", object())  # some put such things there
    assert local_modules() == []
