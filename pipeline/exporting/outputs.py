"""Infers what a model answers for one row, from what it is and what it said of the rows given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector

from contract.answers import as_list
from contract.errors import ExportRefused
from contract.formats.chain import Chain
from contract.showing import listed
from contract.signature import Output, Scalar
from pipeline.exporting.chains import labels_of, transforms
from pipeline.exporting.intake import a

Classes = Sequence[Scalar] | Mapping[Any, Scalar] | Any
"""Names for classes: a list in the order of the labels, a mapping from each, or a fitted LabelEncoder."""

_MOST_OPEN_CLASSES = 30
_SHARES_SUM_WITHIN = 1e-3


@dataclass(frozen=True, slots=True)
class Said:
    """What a chain said of n rows: `values` as an array of n, or n by width; scores and where they come from."""

    values: Any
    scores: Any = None
    kind: Literal["", "probabilities", "decisions"] = ""


def infer_output(
    chain: Chain,
    said: Said,
    *,
    classes: Classes | None = None,
    threshold: float | None = None,
    targets: Any = None,
) -> Output:
    """What the chain answers for one row.

    Raises:
        ExportRefused: its answers are of no kind there is, or `classes` or `threshold` do not fit them.
    """
    values = said.values
    number = isinstance(threshold, int | float | np.number) and not isinstance(threshold, bool)
    if threshold is not None and not (number and math.isfinite(threshold)):
        raise ExportRefused(f"threshold= is {threshold!r:.40}; give the number from which on the second class holds.")
    if len(values) and values.ndim > 1 and values.shape[1:] != (1,):
        found = _several(chain, said, classes, targets)
    else:
        found = _one(chain, said, classes, threshold, targets)
    if threshold is not None and found.rule == "predict":
        found = _cut(found, float(threshold))
    return found


def _one(chain: Chain, said: Said, classes: Classes | None, threshold: float | None, targets: Any) -> Output:
    values = as_list(said.values.reshape(-1))
    labels = labels_of(chain) if not chain.after else None
    if labels is not None:
        return _labelled("classification", labels, classes, said, chain)
    model = chain.model
    if _tagged(is_outlier_detector, model) and set(values) <= {-1, 1}:
        return _labelled("outliers", [-1, 1], classes, said, chain)
    groups = _groups(model)
    if not chain.after and groups is not None and set(values) <= set(range(groups)):
        return _labelled("clustering", list(range(groups)), classes, said, chain)
    if classes is not None:
        return _named_by_hand(values, classes, threshold, chain)
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return Output(task="classification", type="string")
    if kinds <= {bool}:
        return Output(task="classification", type="boolean")
    if _tagged(is_clusterer, model) and kinds <= {int}:
        return Output(task="clustering", type="integer")
    if not kinds <= {int, float, bool}:
        strange = next(value for value in values if not isinstance(value, int | float))
        raise ExportRefused(
            f"The model answers {strange!r:.60}, {a(strange)}; an answer is a number, a text, true or false, or a list "
            "of numbers: end the chain with a function that makes it one."
        )
    if kinds <= {int} and _are_classes(values, targets):
        return Output(task="classification", type="integer")
    return Output(task="regression")


def _several(chain: Chain, said: Said, classes: Classes | None, targets: Any) -> Output:
    values, model = said.values, chain.model
    if values.ndim > 2:  # rows and their values
        raise ExportRefused(
            f"The model answers {len(values)} rows with an array of shape {values.shape}; an answer is one value or a "
            "list of them: end the chain with a function that makes it one, e.g. `lambda x: x.reshape(len(x), -1)`."
        )
    width = values.shape[1]
    plain = as_list(values)
    known = getattr(model, "classes_", None) if not chain.after else None
    each = [label for labels in (known if isinstance(known, list) else ()) for label in np.atleast_1d(labels).tolist()]
    indicator = all(value in (0, 1) for values in (each, *plain) for value in values)
    if indicator and (known is not None or _tagged(is_classifier, model)):
        labels = list(range(width))
        named: tuple[Any, ...] = tuple(_column_names(targets, width) or labels)
        named = named if classes is None else _class_names(labels, classes)
        return Output(task="multilabel", labels=tuple(labels), classes=named, scores=said.kind)
    if classes is not None:
        if known is not None or _tagged(is_classifier, model):
            raise ExportRefused(
                f"classes= has names for one label a row; the model, {a(model)}, answers {width} labels a row: leave "
                "classes= out, or end the chain with a function that makes names of them."
            )
        by_hand, named = _labels_by_hand(classes, width)
        if len(named) != width:
            raise ExportRefused(f"classes= has {len(named)} names; the model answers {width} numbers a row.")
        scores = _kind_of_scores(values)
        return Output(task="classification", labels=by_hand, classes=named, scores=scores, rule="largest")
    kinds = {type(value) for row in plain for value in row}
    names = tuple(_column_names(targets, width) or ())
    for kind, word in _OPEN:
        if kinds <= {kind} and (known is not None or kind is not int):
            return Output(task="classification", type=word, width=width, names=names)
    if not kinds <= {int, float, bool}:
        raise ExportRefused(
            "The model answers each row with a list that mixes texts and numbers; end the chain with a function that "
            "gives one kind of them."
        )
    last = chain.before[-1] if chain.before else None
    task: Literal["transform", "regression"] = "transform" if model is None and transforms(last) else "regression"
    return Output(task=task, width=width, names=names if task == "regression" else ())


_OPEN: tuple[tuple[type, Literal["string", "boolean", "integer"]], ...] = (
    (str, "string"),
    (bool, "boolean"),
    (int, "integer"),
)


def _labelled(
    task: Literal["classification", "outliers", "clustering"],
    labels: list[Any],
    classes: Classes | None,
    said: Said,
    chain: Chain,
) -> Output:
    names = _class_names(labels, classes)
    scores = said.kind
    if scores:
        shape = np.shape(said.scores)
        allowed = [(len(labels),)] if scores == "probabilities" else [(), (1,), (len(labels),)]
        scores = scores if shape[1:] in allowed else ""  # one against one: more decision values than classes
    if set(as_list(said.values.reshape(-1))) - set(labels):
        raise ExportRefused(f"The model, {a(chain.model)}, answers a class that its `classes_` do not hold.")
    return Output(task=task, labels=tuple(labels), classes=names, scores=scores)


def _named_by_hand(values: list[Any], classes: Classes, threshold: float | None, chain: Chain) -> Output:
    """The output of something that does not tell its classes, with the author's names for them."""
    labels, names = _labels_by_hand(classes, None)
    if threshold is None and set(values) <= set(labels):
        return Output(task="classification", labels=labels, classes=names)
    if threshold is None and set(values) <= set(names):
        return Output(task="classification", labels=names, classes=names)
    if len(names) == 2 and all(isinstance(value, int | float) for value in values):  # yes or no
        if threshold is None:
            raise ExportRefused(
                f"classes= has the names {listed(map(repr, names))}, and the model answers numbers such as "
                f"{values[0]!r}; say from which on it is {names[1]!r}: threshold=0.5."
            )
        shares = all(0 <= value <= 1 for value in values)
        return Output(
            task="classification",
            labels=labels,
            classes=names,
            scores="probabilities" if shares else "decisions",
            rule="threshold",
            threshold=float(threshold),
        )
    strange = next((value for value in values if value not in labels), values[0])
    raise ExportRefused(
        f"classes= has names for {listed(map(repr, labels))}; "
        f"the model{'' if chain.model is None else f', {a(chain.model)},'} answers {strange!r:.60}."
    )


def _cut(output: Output, threshold: float) -> Output:
    if output.scores == "probabilities" and not 0 <= threshold <= 1:
        raise ExportRefused(f"threshold= is {threshold:g}; probabilities lie between 0 and 1.")
    binary = len(output.labels) == 2 or output.task == "multilabel"  # yes or no
    if not binary or not output.scores:
        raise ExportRefused(
            "threshold= is for a model of two classes with probabilities (or decision values); this one has "
            f"{len(output.labels) or 'no'} classes and {output.scores or 'no probabilities'}."
        )
    return Output(**output.model_dump(exclude={"rule", "threshold"}), rule="threshold", threshold=threshold)


def _labels_by_hand(classes: Classes, width: int | None) -> tuple[tuple[Any, ...], tuple[Scalar, ...]]:
    if isinstance(classes, Mapping):
        labels = tuple(_plain(classes))
        return labels, _class_names(list(labels), classes)
    names = _listed_names(classes)
    return tuple(range(width or len(names))), names


def _class_names(labels: list[Any], classes: Classes | None) -> tuple[Scalar, ...]:
    if classes is None:
        return _scalars(tuple(labels))
    if isinstance(classes, Mapping):
        missing = [label for label in labels if label not in classes]
        if missing:
            raise ExportRefused(
                f"classes= has no name for the class {missing[0]!r}; the model's are {listed(map(repr, labels))}."
            )
        names = _scalars(_plain(classes[label] for label in labels))
    else:
        names = _listed_names(classes)
        if hasattr(classes, "classes_") and labels and set(labels) <= set(range(len(names))):
            names = tuple(names[label] for label in labels)  # an encoder may know more than the model saw
    if len(names) != len(labels) or len(set(names)) != len(names):
        raise ExportRefused(
            f"classes= has {len(names)} names ({listed(map(repr, names))}); the model has {len(labels)} classes "
            f"({listed(map(repr, labels))}), each needs one of its own, in this order."
        )
    return names


def _listed_names(classes: Classes) -> tuple[Scalar, ...]:
    found = getattr(classes, "classes_", classes)
    if isinstance(found, str | set | frozenset) or not isinstance(found, Iterable):
        raise ExportRefused(
            f"classes= is {a(classes)}; give a list in the order of the model's labels, a mapping, or a fitted "
            "LabelEncoder."
        )
    return _scalars(_plain(found))


def _scalars(names: tuple[Any, ...]) -> tuple[Scalar, ...]:
    strange = [name for name in names if not isinstance(name, bool | int | float | str)]
    if strange:
        raise ExportRefused(f"A class is called {strange[0]!r:.60}; classes are texts, numbers or booleans.")
    return names


def _plain(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)


def _kind_of_scores(values: Any) -> Literal["probabilities", "decisions"]:
    found = np.asarray(values, dtype=float)
    shares = (found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=_SHARES_SUM_WITHIN)
    return "probabilities" if shares else "decisions"


def _tagged(test: Any, model: Any) -> bool:
    try:
        return bool(test(model))
    except Exception:  # noqa: BLE001  # what has no tags of scikit-learn's is none of its kinds
        return False


def _groups(model: Any) -> int | None:
    """How many groups a clustering model knows."""
    centres = getattr(model, "cluster_centers_", getattr(model, "means_", None))
    grouping = _tagged(is_clusterer, model) or type(model).__name__.endswith("Mixture")
    return len(centres) if grouping and centres is not None else None


def _are_classes(values: list[Any], targets: Any) -> bool:
    """Whether whole numbers are labels: the targets are such, few, and hold all that was answered."""
    if targets is None:
        return False
    found = set(as_list(np.asarray(targets).reshape(-1)))
    return all(isinstance(value, int) for value in found) and len(found) <= _MOST_OPEN_CLASSES and set(values) <= found


def _column_names(targets: Any, width: int) -> list[str] | None:
    columns = getattr(targets, "columns", None)
    names = [str(name) for name in columns] if columns is not None else None
    return names if names is not None and len(names) == width == len(set(names)) else None
