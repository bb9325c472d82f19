"""The joblib format: the fitted object as it was. Loading runs code from the file; `contract.child` keeps it apart."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from contract.answers import Answers, Columns, count, from_model
from contract.errors import (
    ArtifactError,
    EnvironmentMismatch,
    FormatMismatch,
    LoadFailed,
    PredictionError,
    PredictionFailed,
)
from contract.formats import pickles
from contract.formats.chain import Chain
from contract.formats.rows import as_inputs
from contract.limits import PicklePolicy
from contract.manifest import Manifest
from contract.signature import Signature

FILE = "model.joblib"
_PICKLE = b"\x80"
_WORTH_SHARING = 1 << 20
"""Bytes of a file from which on its arrays are shared."""
_NOTEBOOK = "__main__"


def save(fitted: Any, path: Path, local: Sequence[ModuleType] = ()) -> list[str]:
    """Write the fitted object; what was defined in the notebook or in a `local` module travels by value.

    Returns:
        The names of the functions and classes that travelled.

    Raises:
        Exception: whatever pickling raises for an object that cannot be saved.
    """
    import joblib

    try:
        joblib.dump(fitted, path)
        content = path.read_bytes()
        by_reference = any(name.encode() in content for name in (_NOTEBOOK, *(module.__name__ for module in local)))
    except (pickle.PicklingError, AttributeError, TypeError):  # what pickle says of a lambda or a local class
        by_reference = True
    return _save_by_value(fitted, path, local) if by_reference else []


def _save_by_value(fitted: Any, path: Path, local: Sequence[ModuleType]) -> list[str]:
    import cloudpickle

    travelled: list[str] = []
    own = {_NOTEBOOK, *(module.__name__ for module in local)}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, io.IOBase):  # cloudpickle would save what is left to read of it
                raise pickle.PicklingError("it holds an open file")
            reduced = super().reducer_override(thing)
            if reduced is not NotImplemented and isinstance(thing, type | FunctionType) and thing.__module__ in own:
                travelled.append(thing.__qualname__)
            return reduced

    try:
        for module in local:
            cloudpickle.register_pickle_by_value(module)
        with path.open("wb") as file:
            Pickler(file).dump(fitted)
    finally:
        for module in local:
            cloudpickle.unregister_pickle_by_value(module)
    return [name for name in dict.fromkeys(travelled) if name.rpartition(".")[0] not in travelled]


def load(content: bytes, manifest: Manifest, policy: PicklePolicy = "any", shared: Path | None = None) -> FittedObject:
    """Load the fitted object from the bytes of its file.

    In a `shared` folder its arrays are in memory once for all processes that share it. The folder has to be theirs
    alone: the arrays stay in a file there, and who could write to it could change them.

    Raises:
        FormatMismatch: the bytes are no pickle.
        ForbiddenType: it uses what the policy does not let it use.
        TrailingBytes: something follows the pickle.
        EnvironmentMismatch: a package it needs is not installed here.
        LoadFailed: unpickling raised.
        MemoryError: it takes more memory than there is.
    """
    if not content.startswith(_PICKLE):
        raise FormatMismatch(f"{FILE} is not in joblib's format.")
    path = shared and _shared(content, shared)
    try:
        with path.open("rb") if path else io.BytesIO(content) as file:
            return FittedObject(pickles.read(file, policy, path=path), manifest.signature)
    except (ArtifactError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"The model needs the package '{error.name}', which is not installed here; "
            "'lectern[joblib]' brings what scikit-learn's models need."
        ) from error
    except Exception as error:
        raise LoadFailed(f"{FILE} could not be loaded ({type(error).__name__}).") from error


def _shared(content: bytes, folder: Path) -> Path | None:
    """The file in a folder that has this content; None where it is not worth one, or there is no room."""
    if len(content) < _WORTH_SHARING:
        return None
    path = folder / f"{hashlib.sha256(content).hexdigest()}.joblib"
    try:
        if not path.exists():
            beside = path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(content)
            beside.replace(path)
    except OSError:
        return None
    return path


class FittedObject:
    """A fitted object, or a chain of steps around one, that answers rows in the shape it was fitted on."""

    def __init__(self, fitted: Any, signature: Signature) -> None:
        self.chain = Chain.around(fitted)
        self.signature = signature

    def answer(self, columns: Columns) -> Answers:
        """Answer n rows with the object's own `predict` and, where there is one, `predict_proba`."""
        output = self.signature.output
        try:
            values, scores = self.chain.ask(as_inputs(columns, self.signature), output)
            return from_model(values, scores, output, count(columns))
        except PredictionError:
            raise
        except Exception as error:
            raise PredictionFailed(f"The model raised {type(error).__name__} on these rows.") from error
