"""The cells of a first training notebook, drafted from a survey of its file."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.running.parameters import TAG
from pipeline.scaffolding import preparing
from pipeline.scaffolding.literals import assigned, literal
from pipeline.scaffolding.surveying import FEWEST_OF_A_CLASS, Survey

_IMPORTS = {
    "pd": "import pandas as pd",
    "ColumnTransformer": "from sklearn.compose import ColumnTransformer",
    "DummyClassifier": "from sklearn.dummy import DummyClassifier",
    "DummyRegressor": "from sklearn.dummy import DummyRegressor",
    "RandomForestClassifier": "from sklearn.ensemble import RandomForestClassifier",
    "RandomForestRegressor": "from sklearn.ensemble import RandomForestRegressor",
    "TfidfVectorizer": "from sklearn.feature_extraction.text import TfidfVectorizer",
    "SimpleImputer": "from sklearn.impute import SimpleImputer",
    "accuracy_score": "from sklearn.metrics import accuracy_score, balanced_accuracy_score",
    "mean_absolute_error": "from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error",
    "train_test_split": "from sklearn.model_selection import train_test_split",
    "Pipeline": "from sklearn.pipeline import Pipeline",
    "make_pipeline": "from sklearn.pipeline import make_pipeline",
    "FunctionTransformer": "from sklearn.preprocessing import FunctionTransformer",
    "OneHotEncoder": "from sklearn.preprocessing import OneHotEncoder",
}
"""Name in the code → the line that brings it, in the order that ruff sorts them in."""
_SEPARATORS = {",": "", "\t": ', sep="\\t"'}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; its prose never holds a text from the file."""

    source: str
    prose: bool = False
    tags: tuple[str, ...] = ()


def cells(name: str, found: Survey, data: str) -> list[Cell]:
    """Every cell in order, for a model called `name`; `data` is the file's path as the notebook sees it."""
    parameters = Cell(_parameters(found, data), tags=(TAG,))
    rest = [
        _prose("The file. Rows whose target isn't known teach nothing and are left out.", *_unseen(found)),
        Cell(_reading(found)),
        _prose(
            "What the columns hold, as far as the file shows.",
            "Where you know better, move a name from one list to another.",
        ),
        Cell(preparing.columns(found)),
        _prose("Some rows are held out for the exam; the model never sees them.", *_about_the_split(found)),
        Cell(_split(found)),
        _prose(*_about_the_model(found)),
        Cell(preparing.model(found)),
        _prose("The exam, beside a rival who always says the same: what does no better has learned nothing."),
        Cell(_exam(found)),
        _prose("Hand the model over. From here on it has a version, and answers requests."),
        Cell(_export(name, found)),
    ]
    return [
        _prose(
            f"# {name}\n\nA first draft, written by `lectern new` from a look at the data. It runs as it is, and every",
            "line is there to be changed. Its last cell turns the model into an API.",
        ),
        _prose("The tools."),
        Cell(_imports(cell.source for cell in rest if not cell.prose)),
        _prose("What you may change. A run replaces these values by the ones it was given."),
        parameters,
        *rest,
    ]


def _prose(*sentences: str) -> Cell:
    first, gap, rest = " ".join(sentences).rpartition("\n\n")
    return Cell(first + gap + textwrap.fill(rest, 118, break_on_hyphens=False), prose=True)


def _imports(sources: Iterable[str]) -> str:
    """The imports of the names that the code uses; what its texts hold does not count."""
    used = {node.id for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    names: dict[str, str] = {}
    for name, line in _IMPORTS.items():
        if name in used:
            module, _, what = line.partition(" import ")
            names[module] = f"{names[module]}, {what}" if module in names else what
    lines = [f"{module} import {what}" if what else module for module, what in names.items()]
    return "\n".join(["from pathlib import Path", "", *lines, "", "from pipeline import export"])


def _parameters(found: Survey, data: str) -> str:
    return "\n".join(
        [
            assigned("data: Path", data, "file of rows, as seen from here"),
            assigned("target: str", found.target.name, "column to predict"),
            "test_share: float = 0.25  # share of the rows held out for the exam",
            "n_estimators: int = 100  # trees in the forest",
            "max_depth: int | None = 12  # questions a tree may ask in a row; None: as many as it likes",
            "min_samples_leaf: int = 2  # fewest rows that an answer of a tree may rest on",
            "seed: int = 0  # start of every random choice",
            "keep_rows: bool = True  # show some rows and keep them beside the model; False for what nobody should see",
        ]
    )


def _unseen(found: Survey) -> list[str]:
    if found.file.whole:
        return []
    seen = f"The draft knows its first {len(found.file.rows):,} rows only"
    return [f"{seen}: further down, the columns may hold something else."]


def _reading(found: Survey) -> str:
    file, target = found.file, found.target
    separator = _SEPARATORS.get(file.separator, f', sep="{file.separator}"')
    decimal = f', decimal="{file.decimal}"' if file.decimal != "." else ""
    lines = [
        "rows = pd.read_parquet(data).rename(columns=str)"
        if file.parquet
        else f"rows = pd.read_csv(data{separator}{decimal}, low_memory=False)"
    ]
    if target.written:
        lines += ['rows[target] = pd.to_numeric(rows[target], errors="coerce")  # what is no number counts as unknown']
    lines += [
        "known = rows[target].notna()",
        'print(f"{len(rows):,} rows of {rows.shape[1]:,} columns; left out without a target: {(~known).sum():,} rows")',
        "rows = rows[known]",
    ]
    if target.rare or (target.task == "classification" and not file.whole):
        lines += [
            "",
            f"seldom = rows[target].value_counts().loc[lambda counts: counts < {FEWEST_OF_A_CLASS}]",
            "rows = rows[~rows[target].isin(seldom.index)]",
            'print(f"left out with a class too rare to be learned: {seldom.sum():,} rows of {len(seldom):,} classes")',
        ]
    return "\n".join([*lines, 'rows.head() if keep_rows else rows.dtypes.to_frame("type")'])


def _about_the_split(found: Survey) -> list[str]:
    classes = found.target.task == "classification"
    said = ["Each class sends the same share of its rows."] if classes else []
    if found.of("date"):
        said += [
            "They are drawn at random: a model that is to look ahead is better examined on the last ones, so sort the",
            f"rows by time and {'put `shuffle=False` in place of `stratify`' if classes else 'add `shuffle=False`'}.",
        ]
    return said


def _split(found: Survey) -> str:
    shares = "stratify=y, " if found.target.task == "classification" else ""
    return f"X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=test_share, {shares}random_state=seed)"


def _about_the_model(found: Survey) -> list[str]:
    classes = found.target.task == "classification"
    booster = f"HistGradientBoosting{'Classifier' if classes else 'Regressor'}"
    linear = "LogisticRegression" if classes else "Ridge"
    if found.of("text"):
        aside = "often better on many rows (it wants `sparse_threshold=0` in the `ColumnTransformer`)"
    elif preparing.converts(found):
        aside = "often better on many rows (but has no ONNX form, so a process of its own answers)"
    else:
        aside = "often better on many rows"
    fast = ", and can run as ONNX, in microseconds" if preparing.converts(found) else ""
    return [
        "The preparation is part of the model: it travels with it, and callers send the columns as the file has them.",
        f"A forest is a sturdy start: it needs no scaling{fast}.",
        f"To exchange it, put another estimator in its place: `{booster}` is {aside};",
        f"`{linear}` wants a `StandardScaler` for the numbers.",
    ]


def _exam(found: Survey) -> str:
    if found.target.task == "classification":
        rival = 'DummyClassifier(strategy="most_frequent")'
        scores = {"accuracy": "accuracy_score", "balanced accuracy": "balanced_accuracy_score"}
    else:
        rival = 'DummyRegressor(strategy="mean")'
        scores = {"mean absolute error": "mean_absolute_error", "root mean squared error": "root_mean_squared_error"}
        scores |= {"r2": "r2_score"}
    said = "(y_test, said) for who, said in answers.items()"
    return "\n".join(
        [
            f'sitting = {{"always the same": {rival}.fit(X_train, y_train), "the model": model}}',
            "answers = {who: candidate.predict(X_test) for who, candidate in sitting.items()}",
            "scores = {",
            *(f'    "{name}": {{who: {score}{said}}},' for name, score in scores.items()),
            "}",
            "pd.DataFrame(scores).round(3)",
        ]
    )


def _export(name: str, found: Survey) -> str:
    description = f"{found.target.name}, from the other columns of {found.file.path.name}."
    return "\n".join(
        [
            "export(",
            "    model,",
            f"    {literal(name)},",
            "    X_test,",
            "    y_test,",
            "    all_rows=X,",
            f"    description={literal(description, before=16, after=1, indent=4)},",
            "    keep_rows=keep_rows,  # sensitive=[…] names columns of which no value may be kept",
            ")",
        ]
    )
