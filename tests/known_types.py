"""What fitted estimators are made of: fits everything there is, small, and collects what its pickles name.

`make known-types` writes `contract/formats/known_types.txt`, which a server holds a pickle against.
"""

from __future__ import annotations

import copy
import io
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import joblib
import numpy as np
import pandas as pd
from joblib.numpy_pickle import NumpyUnpickler
from scipy import sparse
from sklearn import compose, feature_selection, gaussian_process, model_selection, pipeline, preprocessing, set_config
from sklearn.base import BaseEstimator, clone
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._test_common.instance_generator import _construct_instances

from contract.formats.chain import Chain
from contract.formats.pickles import KNOWN

Name = tuple[str, str]

HARMLESS: set[Name] = {
    *(("builtins", name) for name in ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int")),
    *(("builtins", name) for name in ("list", "object", "range", "set", "slice", "str", "tuple")),
    *(("collections", name) for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("_codecs", "encode"),
    ("copyreg", "_reconstructor"),
    ("decimal", "Decimal"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
}
"""Of the standard library and of joblib, what makes a plain value and does nothing else, whatever it is given."""
DANGEROUS = (
    "cloudpickle",
    "joblib",
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib",
    "numpy.memmap",
    "numpy.load",
    "numpy.fromfile",
    "numpy.testing",
    "numpy._core._ufunc_reconstruct",  # imports any module
    "numpy.core",
    "pandas.core.computation",
    "pandas.eval",
    "pandas.io",
    "pandas.read_",
    "pip",
    "scipy.io",
    "scipy.stats",  # a distribution's state has source code, which it runs
    "setuptools",
    "sklearn.datasets",
    "sklearn.utils._testing",
    "sklearn.utils.parallel",
    "torch",
)
"""How names begin that may read, write, import or run what they are told to."""


def refused(module: str, name: str) -> bool:
    """Whether something must never be among the known types, even if a fitted estimator holds it."""
    if (module, name) in HARMLESS:
        return False
    return (
        module.partition(".")[0] in {*sys.stdlib_module_names, "__main__"}
        or f"{module}.{name}".startswith(DANGEROUS)
        or "." in name
    )


def named(thing: Any) -> set[Name]:
    """What the pickle of a thing names; nothing where it cannot be pickled."""
    found: set[Name] = set()
    file = io.BytesIO()
    try:
        joblib.dump(thing, file)
    except Exception:  # noqa: BLE001  # what cannot be saved is no model either
        return found
    file.seek(0)
    unpickler = NumpyUnpickler("", file, ensure_native_byte_order=False)
    find_class = unpickler.find_class

    def find(module: str, name: str) -> Any:
        found.add((module, name))
        return find_class(module, name)

    unpickler.find_class = find
    unpickler.load()
    return found


# --- what is fitted

_random = np.random.default_rng(0)
ROWS = 40
NUMBERS = np.abs(_random.normal(size=(ROWS, 4))) + 0.1
NUMBERS[:, 0] += np.arange(ROWS) % 2
FRAME = pd.DataFrame(NUMBERS, columns=list("abcd"))
MIXED = FRAME.assign(
    a=FRAME["a"].mask(FRAME["a"] > 2), k=pd.Categorical(["u", "v"] * 20), t=["red", "blue"] * 20, y=[True, False] * 20
)
TEXTS = ["the cat sat", "a dog ran far", "some birds sing", "no fish walks"] * 10
RECORDS = [{"a": float(i), "b": "xy"[i % 2]} for i in range(ROWS)]
CLASSES = np.arange(ROWS) % 2
TARGETS: list[Any] = [
    np.array(["no", "yes"])[CLASSES],
    NUMBERS[:, 0] + 1,
    pd.Series(np.arange(ROWS) % 3, name="target"),
    np.column_stack([CLASSES, 1 - CLASSES]),
    np.column_stack([NUMBERS[:, 0], NUMBERS[:, 1]]),
    CLASSES.astype(bool),
]
INPUTS: list[Any] = [
    NUMBERS,
    FRAME,
    sparse.csr_matrix(NUMBERS),
    NUMBERS.astype(np.float32),
    TEXTS,
    RECORDS,
    MIXED[["k", "t"]],
    NUMBERS[:, :1],
    np.arange(ROWS),
]


def estimators(only: Iterable[str] = ()) -> Iterator[tuple[Any, bool]]:
    """Every estimator there is, or those of these names, and its variants; whether it is one of the former."""
    wanted = set(only)
    for name, kind in [*all_estimators(), *_boosters()]:
        if wanted and name not in wanted:
            continue
        made: list[Any] = []
        with suppress(Exception):
            made = list(_construct_instances(kind))
        made = [estimator.set_params(verbosity=-1) if "LGBM" in name else estimator for estimator in made]
        yield from ((estimator, True) for estimator in made)
        for estimator in made[:1]:
            for parameter, options in getattr(kind, "_parameter_constraints", {}).items():
                for choice in _choices(options):
                    with suppress(Exception):
                        yield clone(estimator).set_params(**{parameter: choice}), False
    if not wanted:
        yield from ((estimator, False) for estimator in _composed())


def _boosters() -> Iterator[tuple[str, Any]]:
    with suppress(ImportError):
        import xgboost

        yield from ((name, getattr(xgboost, name)) for name in xgboost.__all__ if name.startswith("XGB"))
    with suppress(ImportError):
        import lightgbm

        yield from ((name, getattr(lightgbm, name)) for name in lightgbm.__all__ if name.startswith("LGBM"))


def _choices(options: Any) -> Iterator[Any]:
    for option in options if isinstance(options, list) else []:
        if isinstance(option, StrOptions):
            yield from sorted(option.options)
        elif option == "boolean":
            yield from (True, False)


UFUNCS = "absolute arcsinh ceil cbrt cos deg2rad exp exp2 expm1 floor log log10 log1p log2 negative rad2deg reciprocal"
UFUNCS += " rint sign sin sqrt square tan tanh trunc"


def _composed() -> Iterator[Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import get_scorer_names

    kernels = gaussian_process.kernels
    for name in dir(kernels):
        kind = getattr(kernels, name)
        if isinstance(kind, type) and issubclass(kind, kernels.Kernel):
            with suppress(Exception):
                yield gaussian_process.GaussianProcessRegressor(1.0 * kind() + kernels.WhiteKernel(), optimizer=None)
    yield gaussian_process.GaussianProcessRegressor(
        kernels.Exponentiation(kernels.RBF(), 2) * kernels.CompoundKernel([kernels.RBF()]), optimizer=None
    )
    for function in UFUNCS.split():
        yield preprocessing.FunctionTransformer(getattr(np, function), feature_names_out="one-to-one")
    for function in (
        "chi2",
        "f_classif",
        "f_regression",
        "mutual_info_classif",
        "mutual_info_regression",
        "r_regression",
    ):
        yield feature_selection.SelectKBest(getattr(feature_selection, function), k=2)
    for name in get_scorer_names():
        for estimator in (LogisticRegression(), Ridge()):
            yield model_selection.GridSearchCV(estimator, {"fit_intercept": [True]}, scoring=name, cv=2)
    for splitter in (model_selection.KFold(2), model_selection.StratifiedKFold(2), model_selection.ShuffleSplit(2)):
        yield model_selection.GridSearchCV(Ridge(), {"alpha": np.array([1.0, 2.0])}, cv=splitter)
    columns = compose.make_column_transformer(
        (preprocessing.StandardScaler(), compose.make_column_selector(dtype_include="number")),
        (preprocessing.OneHotEncoder(handle_unknown="ignore"), ["k", "t"]),
        (preprocessing.OrdinalEncoder(), [4, 5]),
        ("passthrough", slice(0, 1)),
        remainder="drop",
    )
    forest = RandomForestClassifier(n_estimators=2, random_state=np.random.RandomState(0))
    yield pipeline.make_pipeline(columns, forest)
    yield pipeline.make_pipeline(columns, preprocessing.StandardScaler()).set_output(transform="pandas")
    yield Ridge(alpha=np.float64(1), random_state=np.random.default_rng(0))


def fitted(estimator: BaseEstimator, *, to_all: bool = True) -> Iterator[BaseEstimator]:
    """An estimator, fitted to what it takes of many kinds of rows, or of the most usual ones."""
    kinds, targets = (INPUTS, TARGETS) if to_all else (INPUTS[:1], TARGETS[:2])
    for rows in [*kinds, MIXED]:
        for target in targets:
            with suppress(Exception):  # some estimators change what they are given
                yield clone(estimator).fit(copy.deepcopy(rows), copy.deepcopy(target))
    for target in targets:  # encoders of targets
        with suppress(Exception):
            yield clone(estimator).fit(copy.deepcopy(target))


VALUES: list[Any] = [
    *(FRAME, MIXED, MIXED["k"], MIXED["t"], MIXED.index, MIXED.columns, pd.Timestamp("2026-01-01"), pd.NA, pd.NaT),
    *(pd.date_range("2026-01-01", periods=3), pd.Series([1, None], dtype="Int64"), pd.Series([True], dtype="boolean")),
    *(pd.Series(["a"], dtype="string"), pd.Index(["a"]), pd.MultiIndex.from_tuples([("a", 1)]), pd.Timedelta(1)),
    *(np.array(["a", None], dtype=object), np.array(["a"]), np.array([b"a"]), np.ma.masked_array([1.0], [True])),
    *(np.float32(1), np.float64(1), np.int64(1), np.bool_(True), np.str_("a"), np.datetime64("2026-01-01"), np.nan),
    *(np.dtype("float32"), np.array([], dtype=[("a", "f8")]), np.float64, np.float32, np.int64, np.int32, np.int8),
    *(np.dtype(code).type for code in np.typecodes["All"]),
    *(
        np.random.Generator(getattr(np.random, kind)(0))
        for kind in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    ),
    *(sparse.eye_array(3, format=form) for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")),
    *(sparse.eye(3, format=form) for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")),
    *(
        np.datetime64("2026-01-01", "ns"),
        np.random.RandomState(0),
        np.random.default_rng(0),
        sparse.csr_array(NUMBERS),
        sparse.csc_matrix(NUMBERS),
        sparse.coo_matrix(NUMBERS),
    ),
    *({1, 2}, frozenset({1}), range(3), slice(1), b"a", bytearray(b"a"), 1j, float, int, str, bool, object),
    *(
        Chain([preprocessing.StandardScaler()], None, [{0: "a"}]),
        Chain([{"a": 1}], None, [["a"]], {"assume_finite": 1}),
    ),
]
"""Pieces that fitted estimators and chains around them hold."""


def collect(only: Iterable[str] = ()) -> set[Name]:
    """What the pickles of all estimators name, or, less thoroughly, of those with these names."""
    found, wanted = set(HARMLESS), set(only)
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        for value in VALUES:
            found |= named(value)
        for estimator, to_all in estimators(wanted):
            for model in [estimator, *fitted(estimator, to_all=to_all and not wanted)]:
                found |= named(model)
    return {name for name in found if not refused(*name)}


def write(names: Iterable[Name]) -> None:
    """Keep them, sorted."""
    KNOWN.write_text("".join(sorted(f"{module} {name}\n" for module, name in names)), encoding="utf-8")


if __name__ == "__main__":
    set_config(enable_metadata_routing=False)
    collected = collect(sys.argv[1:])
    write(collected)
    print(f"{KNOWN.name} has {len(collected)} names.")
