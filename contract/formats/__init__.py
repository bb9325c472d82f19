"""How a model file is stored and loaded. A new format is one module here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.formats import joblib, onnx
from contract.golden import Model
from contract.limits import PicklePolicy
from contract.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Format:
    """One way to store a model."""

    file: str
    load: Callable[[bytes, Manifest], Model]
    runs_code: bool
    """Whether loading a file may run whatever code is in it: such a file is only ever loaded in a child process."""
    tolerance: float
    """How far golden rows may differ from the fitted object's answers."""
    load_apart: Callable[[bytes, Manifest, PicklePolicy, Path | None], Model] | None = None
    """Loads a file that runs code: under a policy, and with arrays that processes share through a folder of theirs."""


FORMATS = {
    "onnx": Format(onnx.FILE, onnx.load, runs_code=False, tolerance=1e-5),
    "joblib": Format(joblib.FILE, joblib.load, runs_code=True, tolerance=1e-6, load_apart=joblib.load),
}
