"""Small fitted estimators of many kinds, each with the rows it was fitted on and the signature that describes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from contract.answers import Answers, Columns, from_model
from contract.manifest import Manifest, Onnx, Runtime
from contract.signature import Field, FieldType, Output, Signature
from tests.samples import manifest

KINDS: dict[str, FieldType] = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}


@dataclass
class Case:
    """A fitted estimator with the rows it was fitted on."""

    fitted: Any
    rows: Any
    signature: Signature
    columns: Columns

    @property
    def expected(self) -> Answers:
        """What the estimator itself says."""
        output = self.signature.output
        shares = self.fitted.predict_proba(self.rows) if output.scores else None
        return from_model(self.fitted.predict(self.rows), shares, output, len(self.rows))


def case(fitted: Any, rows: Any, targets: Any) -> Case:
    """Fit an estimator and describe it: its classes are called after its labels."""
    fitted.fit(rows, targets)
    frame = (
        rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    )
    labels = tuple(getattr(fitted, "classes_", np.array([])).tolist())
    output = Output(
        task="classification" if labels else "regression",
        labels=labels,
        classes=tuple(f"class {label}" for label in labels),
        scores="probabilities" if hasattr(fitted, "predict_proba") else "",
    )
    fields = []
    for name, column in frame.items():
        category = isinstance(column.dtype, pd.CategoricalDtype)
        kind: FieldType = "category" if category else KINDS.get(getattr(column.dtype, "kind", "O"), "string")
        levels = tuple(column.cat.categories) if category else None
        dtype, nullable = str(column.dtype), bool(column.isna().any())
        fields.append(Field(name=str(name), type=kind, dtype=dtype, nullable=nullable, levels=levels))
    columns: Columns = {
        str(name): column.astype(object).where(column.notna(), None).tolist() for name, column in frame.items()
    }
    container: Literal["frame", "array"] = "frame" if frame is rows else "array"
    return Case(fitted, rows, Signature(container=container, inputs=tuple(fields), output=output), columns)


ROWS = 60
rng = np.random.default_rng(0)
NUMBERS = rng.normal(size=(ROWS, 3))
TARGETS = NUMBERS @ [1.0, 2.0, 3.0]
CLASSES = (TARGETS > 0) * 3 + (TARGETS > 2)
FRAME = pd.DataFrame(
    {
        "n": NUMBERS[:, 0],
        "k": rng.integers(0, 9, ROWS),
        "s": rng.choice(["a", "b", "ü"], ROWS),
        "flag": rng.random(ROWS) < 0.5,
    }
)
GAPS = FRAME[["n", "k"]].astype({"k": "Int64"}).where(rng.random((ROWS, 2)) < 0.8)


def encoded() -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((encoder, ["s"]), (StandardScaler(), ["n", "k"])), LogisticRegression(max_iter=1000)
    )


CONVERTIBLE: dict[str, Callable[[], Case]] = {
    "text labels": lambda: case(LogisticRegression(), NUMBERS, np.where(CLASSES > 1, "yes", "no")),
    "whole labels": lambda: case(RandomForestClassifier(5, random_state=0), NUMBERS.astype(np.float32), CLASSES),
    "true and false": lambda: case(DecisionTreeClassifier(max_depth=3, random_state=0), FRAME[["n", "k"]], CLASSES > 1),
    "no probabilities": lambda: case(RidgeClassifier(), NUMBERS, CLASSES),
    "a number": lambda: case(LinearRegression(), NUMBERS, TARGETS),
    "a column of numbers": lambda: case(LinearRegression(), NUMBERS, TARGETS.reshape(-1, 1)),
    "a number from a frame": lambda: case(RandomForestRegressor(5, random_state=0), FRAME[["k", "n"]], TARGETS),
    "small whole numbers": lambda: case(DecisionTreeRegressor(max_depth=3), FRAME[["k"]].to_numpy(np.uint8), TARGETS),
    "mixed columns": lambda: case(encoded(), FRAME, CLASSES),
    "categories": lambda: case(encoded(), FRAME.astype({"s": "category"}), CLASSES),
    "gaps": lambda: case(make_pipeline(SimpleImputer(), Ridge()), GAPS, TARGETS),
}
OTHERS: dict[str, Callable[[], Case]] = {
    "gaps in an array": lambda: case(
        HistGradientBoostingClassifier(max_iter=5), np.where(NUMBERS > 1, np.nan, NUMBERS), CLASSES
    ),
    "flags with gaps": lambda: case(
        make_pipeline(SimpleImputer(strategy="most_frequent"), DecisionTreeRegressor(max_depth=1)),
        FRAME[["flag"]].astype("boolean").where(NUMBERS[:, [0]] < 1).astype(object).where(lambda f: f.notna(), np.nan),
        TARGETS,
    ),
    "texts with gaps": lambda: case(
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(), Ridge()),
        FRAME[["s"]].where(NUMBERS[:, [0]] < 1),
        TARGETS,
    ),
}


@dataclass
class Says:
    """A model made of a function."""

    predict: Callable[[Any], Any]


def described(signature: Signature, plan: Onnx | None) -> Manifest:
    """A manifest that says ONNX answers."""
    return manifest(signature=signature, runtime=Runtime(format="onnx", onnx=plan))
