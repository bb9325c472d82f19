"""What is exported, as a chain: found among what was given, checked, and simplified where that changes no answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils.validation import check_is_fitted

from contract.answers import as_list
from contract.errors import ExportRefused
from contract.formats.chain import Chain
from pipeline.exporting import guidance
from pipeline.exporting.intake import a


def assemble(given: Any, notebook: Mapping[str, Any]) -> Chain:
    """What was given as a chain, with scikit-learn's settings that its steps were fitted under.

    Of a search its best estimator is taken. `notebook` holds the caller's names, to say what else is there.

    Raises:
        ExportRefused: it is nothing that answers rows, or something in it is not fitted.
    """
    if isinstance(given, list | tuple):
        found = _chain([_sound(step, notebook) for step in given], notebook)
    else:
        found = Chain.around(_sound(given, notebook))
        if isinstance(given, Mapping):
            raise ExportRefused(guidance.wrong_object(given, notebook))
    shape = get_config()["transform_output"]
    return Chain(*found.parts, settings={} if shape == "default" else {"transform_output": shape})


def predicts(step: Any) -> bool:
    """Whether a step is a model."""
    return callable(getattr(step, "predict", None))


def transforms(step: Any) -> bool:
    """Whether a step is a transformer."""
    return callable(getattr(step, "transform", None))


def is_code(step: Any) -> bool:
    """Whether a step is a function, of which only running it tells what it looks at."""
    return not predicts(step) and not transforms(step)


def name_of(step: Any, position: int) -> str:
    """What messages call a step of a chain, or a model that comes without one."""
    name = getattr(step, "__name__", "")
    return f"`{name}`" if name and name != "<lambda>" else f"step {position} ({a(step)})"


def labels_of(chain: Chain) -> list[Any] | None:
    """The classes that the model of a chain knows, if it tells them as one list."""
    try:
        found = getattr(chain.model, "classes_", None)
    except Exception:  # noqa: BLE001  # a property of somebody's class
        return None
    if found is None or isinstance(found, str) or any(np.ndim(label) for label in found):
        return None
    return as_list(found)


def fold_decoding(chain: Chain) -> tuple[Chain, Any]:
    """A classifier's chain without the steps after it, and what they make of its labels, as `classes=` takes it.

    Only where these steps do nothing but rename labels: each has a name of its own, whether it is decoded alone or
    beside the others.
    """
    if len(chain.after) == 1 and isinstance(chain.after[0], MultiLabelBinarizer):
        return Chain(chain.before, chain.model, settings=chain.settings), chain.after[0]
    labels = labels_of(chain)
    if not chain.after or labels is None:
        return chain, None
    try:
        names = as_list(chain.decoded(np.asarray(labels)))
        alone = [name for label in labels for name in as_list(chain.decoded(np.asarray([label])))]
    except Exception:  # noqa: BLE001  # functions that want more than labels
        return chain, None
    scalars = all(isinstance(name, bool | int | float | str) for name in names)
    if not scalars or names != alone or len(set(names)) != len(labels):
        return chain, None
    return Chain(chain.before, chain.model, settings=chain.settings), dict(zip(labels, names, strict=True))


def _chain(steps: list[Any], notebook: Mapping[str, Any]) -> Chain:
    if not steps:
        raise ExportRefused("The chain is empty; give its steps in order: export([prepare, scaler, model], …).")
    models = [i for i, step in enumerate(steps) if predicts(step)]
    at = models[-1] if models else len(steps)
    for i in models[:-1]:
        if not transforms(steps[i]):
            raise ExportRefused(
                f"The chain has two models, {name_of(steps[i], i + 1)} and {name_of(steps[at], at + 1)}; give one, or "
                "`model.predict` for the one whose answers the next step takes."
            )
    for i, step in enumerate(steps[:at]):
        if not transforms(step) and not callable(step):
            raise ExportRefused(f"Step {i + 1} of the chain: {guidance.wrong_object(step, notebook)}")
    return Chain(steps[:at], steps[at] if models else None, steps[at + 1 :])


def _sound(step: Any, notebook: Mapping[str, Any]) -> Any:
    """One step, of a search the best estimator.

    Raises:
        ExportRefused: it is no fitted object, function or mapping.
    """
    if isinstance(step, type) and any(hasattr(step, name) for name in ("fit", "predict", "transform")):
        raise ExportRefused(
            f"{step.__name__} is the class, not a fitted object; "
            f"{guidance.fitted_there(notebook) or 'fit one and give that'}."
        )
    if not isinstance(step, type) and hasattr(step, "cv_results_"):
        if not hasattr(step, "best_estimator_"):
            raise ExportRefused(
                f"This {type(step).__name__} was made with refit=False, so it has no best estimator to serve; "
                "use refit=True, or fit one with its best_params_."
            )
        step = step.best_estimator_
    for part in _parts(step):
        if type(part).__module__.startswith("sklearn."):
            try:
                check_is_fitted(part)
            except NotFittedError:
                inside = "" if part is step else f" inside the {type(step).__name__}"
                there = guidance.fitted_there(notebook)
                raise ExportRefused(
                    f"This {type(part).__name__}{inside} is not fitted yet; call `fit` before export"
                    f"{f'; {there}' if there else ''}."
                ) from None
            except TypeError:  # no estimator, though it lives there
                pass
    data = isinstance(step, pd.DataFrame | pd.Series | pd.Index | np.ndarray)  # some of these can be called
    answers = not data and (predicts(step) or transforms(step) or callable(step) or isinstance(step, Mapping))
    if not answers and not callable(getattr(step, "inverse_transform", None)):
        raise ExportRefused(guidance.wrong_object(step, notebook))
    return step


def _parts(step: Any) -> Iterator[Any]:
    """The parts of a pipeline, one by one; anything else as it is."""
    steps: Sequence[tuple[str, Any]] | None = getattr(step, "steps", None)
    if isinstance(steps, list) and type(step).__module__.startswith(("sklearn.", "imblearn.")):
        for _, part in steps:
            if not isinstance(part, str) and part is not None:
                yield from _parts(part)
    else:
        yield step
