"""The joblib format: the fitted object as it was. Loading runs code from the file; `contract.child` keeps it apart."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from contract.answers import Answers, Columns, count, from_model
from contract.errors import EnvironmentMismatch, FormatMismatch, LoadFailed, PredictionError, PredictionFailed
from contract.manifest import Manifest
from contract.signature import Field, Signature

FILE = "model.joblib"
_PICKLE = b"\x80"
_NOTEBOOK = b"__main__"


def save(fitted: Any, path: Path) -> None:
    """Write the fitted object; what was defined in the notebook itself travels by value.

    Raises:
        Exception: whatever pickling raises for an object that cannot be saved.
    """
    import cloudpickle
    import joblib

    try:
        joblib.dump(fitted, path)
        by_reference = _NOTEBOOK in path.read_bytes()
    except (pickle.PicklingError, AttributeError, TypeError):  # what pickle says of a lambda or a local class
        by_reference = True
    if by_reference:
        with path.open("wb") as file:
            cloudpickle.dump(fitted, file)


def load(content: bytes, manifest: Manifest) -> FittedObject:
    """Load the fitted object from the bytes of its file.

    Raises:
        FormatMismatch: the bytes are no pickle.
        EnvironmentMismatch: a package it needs is not installed here.
        LoadFailed: unpickling raised.
    """
    if not content.startswith(_PICKLE):
        raise FormatMismatch(f"{FILE} is not in joblib's format.")
    try:
        import joblib

        return FittedObject(joblib.load(io.BytesIO(content)), manifest.signature)
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"The model needs the package '{error.name}', which is not installed here; "
            "'lectern[joblib]' brings what scikit-learn's models need."
        ) from error
    except Exception as error:
        raise LoadFailed(f"{FILE} could not be loaded ({type(error).__name__}).") from error


class FittedObject:
    """A fitted estimator that answers rows in the shape it was fitted on."""

    def __init__(self, fitted: Any, signature: Signature) -> None:
        self.fitted = fitted
        self.signature = signature

    def answer(self, columns: Columns) -> Answers:
        """Answer n rows with the object's own `predict` and, where there is one, `predict_proba`."""
        output = self.signature.output
        try:
            inputs = as_inputs(columns, self.signature)
            values = self.fitted.predict(inputs)
            probabilities = self.fitted.predict_proba(inputs) if output.probabilities else None
            return from_model(values, probabilities, output, count(columns))
        except PredictionError:
            raise
        except Exception as error:
            raise PredictionFailed(f"The model raised {type(error).__name__} on these rows.") from error


def as_inputs(columns: Columns, signature: Signature) -> Any:
    """The rows as the fitted object takes them: a DataFrame or an n by fields array, with the dtypes of the fit.

    Raises:
        PredictionFailed: a value does not fit its dtype.
    """
    import numpy as np
    import pandas as pd

    try:
        with np.errstate(over="raise"):
            if signature.container == "array":
                return np.array([columns[name] for name in signature.names], dtype=signature.inputs[0].dtype).T
            return pd.DataFrame({field.name: _series(columns[field.name], field) for field in signature.inputs})
    except (ArithmeticError, TypeError, ValueError):
        raise PredictionFailed("A value does not fit the type that the model was fitted on.") from None


def _series(values: Any, field: Field) -> Any:
    import numpy as np
    import pandas as pd

    if field.type == "category":
        return pd.Categorical(values, categories=list(field.levels or ()))
    if field.nullable and field.type in ("float", "integer"):
        values = [np.nan if value is None else value for value in values]
    return pd.Series(values, dtype=field.dtype)
