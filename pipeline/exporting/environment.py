"""The environment a model was fitted in: versions that decide whether its file means the same elsewhere."""

from __future__ import annotations

import os
import platform
import site
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import contract
from contract.formats.chain import Chain

_ALWAYS = ("numpy", "pandas", "scikit-learn", "joblib", "cloudpickle", "onnxruntime", "skl2onnx")
_KNOWN = {"sklearn", "numpy", "pandas", "__main__", "builtins", "functools"}
_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Folders of packages, of whichever environment."""


def describe(chain: Chain) -> dict[str, str]:
    """Python's version, and that of each package that an artifact needs or that a step of the chain comes from."""
    packages = {package for step in (*chain.before, chain.model, *chain.after) for package in _packages(step)} - _KNOWN
    packages -= sys.stdlib_module_names
    # the look-up reads the files of every installed package
    known = metadata.packages_distributions() if packages else {}
    names = {*_ALWAYS, *(name for package in packages for name in known.get(package, []))}
    return {"python": platform.python_version()} | {name: _version(name) for name in sorted(names)}


def local_modules() -> list[ModuleType]:
    """The modules that lie beside the notebook: nothing installs them where the model will answer."""
    here = Path.cwd().resolve()
    own = [
        Path(contract.__path__[0]).resolve(),
        Path(__file__).resolve().parents[1],
    ]  # not installed, but there as well
    installed = [Path(path).resolve() for path in {*site.getsitepackages(), *sysconfig.get_paths().values()}] + own
    beside: dict[str, bool] = {}
    found = []
    for name, module in list(sys.modules.items()):
        if name in ("__main__", "__mp_main__") or not issubclass(type(module), ModuleType):
            continue
        file = object.__getattribute__(module, "__dict__").get("__file__")  # asking a lazy module would import it
        if not isinstance(file, str):
            continue
        folder = file.rpartition(os.sep)[0]
        if folder not in beside:
            path = Path(os.path.realpath(folder))
            elsewhere = _INSTALLED.isdisjoint(path.parts) and not any(path.is_relative_to(other) for other in installed)
            beside[folder] = elsewhere and path.is_relative_to(here)
        if beside[folder]:
            found.append(module)
    return found


def _packages(step: Any) -> Iterator[str]:
    """The top-level packages that a step, its parts, and the functions in it come from or use."""
    if isinstance(step, FunctionType):
        yield (step.__module__ or "").partition(".")[0]
        for name in step.__code__.co_names:
            used = step.__globals__.get(name)
            yield (
                used.__name__ if isinstance(used, ModuleType) else getattr(used, "__module__", None) or ""
            ).partition(".")[0]
        return
    yield type(step).__module__.partition(".")[0]
    if hasattr(step, "get_params") and not isinstance(step, type):
        for part in step.get_params(deep=True).values():
            yield type(part).__module__.partition(".")[0]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
