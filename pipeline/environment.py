"""The environment a model was fitted in: the versions that decide whether its file means the same elsewhere."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

_ALWAYS = ("numpy", "pandas", "scikit-learn", "joblib", "cloudpickle", "onnxruntime", "skl2onnx")


def describe(model: Any) -> dict[str, str]:
    """Python's version, and that of each package that an artifact needs or that `model` comes from."""
    package = type(model).__module__.partition(".")[0]
    # the look-up reads the files of every installed package
    others = [] if package in ("sklearn", "__main__") else metadata.packages_distributions().get(package, [])
    names = {*_ALWAYS, *others}
    return {"python": platform.python_version()} | {name: _version(name) for name in sorted(names)}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
