"""contract.formats.pickles: what a model's file may name, and that nothing may follow it."""

import importlib
import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import joblib as real_joblib
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from contract.answers import Answers
from contract.errors import ForbiddenType, LoadFailed, PickleRefused, TrailingBytes
from contract.formats import FORMATS, joblib, pickles
from contract.formats.chain import Chain
from contract.limits import Limits, PicklePolicy
from contract.store import Store
from serving.loading import load
from serving.settings import ServeSettings
from tests import known_types
from tests.children import obedient
from tests.known_types import CLASSES, FRAME, HARMLESS, MIXED, NUMBERS, collect, named, refused
from tests.live import Times, publish, publish_graph
from tests.samples import manifest


def read(content: bytes, policy: PicklePolicy) -> object:
    return joblib.load(content, manifest(), policy).chain.model


def dumped(thing: object) -> bytes:
    file = io.BytesIO()
    real_joblib.dump(thing, file)
    return file.getvalue()


MODELS = {
    "a forest": RandomForestClassifier(2).fit(FRAME, CLASSES),
    "boosted trees": HistGradientBoostingClassifier(max_iter=2).fit(NUMBERS, np.array(["no", "yes"])[CLASSES]),
    "a pipeline": make_pipeline(
        make_column_transformer((OneHotEncoder(), ["k", "t"]), remainder=StandardScaler()), LogisticRegression()
    ).fit(MIXED.drop(columns="a"), CLASSES),
    "a function of numpy": make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(NUMBERS, CLASSES),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_usual_model_is_made_of_known_types(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    rows = MIXED.drop(columns="a") if name == "a pipeline" else FRAME if name == "a forest" else NUMBERS
    loaded = read(dumped(model), "known")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))  # type: ignore[attr-defined]
    joblib.save(Chain([StandardScaler().fit(NUMBERS)], model, [{0: "no", 1: "yes"}]), tmp_path / "model")
    chain = joblib.load((tmp_path / "model").read_bytes(), manifest(), "known").chain
    assert type(chain.model) is type(model)


def test_what_a_notebook_defined_is_known_nowhere(tmp_path: Path) -> None:
    joblib.save(obedient({}), tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    read(content, "any")
    says = r"^The model's file uses 'cloudpickle\.cloudpickle\.\w+', which no estimator that this server knows"
    with pytest.raises(
        ForbiddenType, match=says + r" is made of; where you trust who published it, LECTERN_PICKLE=any serves it\.$"
    ):
        read(content, "known")


def test_of_a_long_name_so_much_is_shown_as_fits_a_line() -> None:
    with pytest.raises(ForbiddenType, match=r"^The model's file uses 'm\.x{117}, which no estimator that "):
        read(b"\x80\x04cm\n" + b"x" * 1_000 + b"\n.", "known")
    assert pickles.known() is pickles.known()  # the list is read once


# --- nothing may follow the model

ENDS: dict[str, Callable[[bytes], bytes]] = {
    "a second pickle": lambda content: content + pickle.dumps({"a": 1}),
    "one byte": lambda content: content + b"\n",
    "within the frame": lambda _: b"\x80\x04\x95" + (6).to_bytes(8, "little") + b"N.cos\n",
}


@pytest.mark.parametrize("policy", ["known", "any"])
@pytest.mark.parametrize("what", ENDS)
def test_what_follows_the_model_is_refused(what: str, policy: PicklePolicy, tmp_path: Path) -> None:
    content = dumped(MODELS["a forest"])
    read(content, policy)
    with pytest.raises(TrailingBytes, match=r"^The model's file goes on after the model; "):
        read(ENDS[what](content), policy)
    big = dumped({"rows": np.zeros(300_000)})
    joblib.load(big, manifest(), policy, tmp_path)
    with pytest.raises(TrailingBytes, match=r"^The model's file goes on after the model; "):
        joblib.load(big + b"\0", manifest(), policy, tmp_path)


def test_a_compressed_pickle_or_one_of_several_files_is_not_read(tmp_path: Path) -> None:
    real_joblib.dump({"a": 1}, tmp_path / "model.joblib.gz")
    content = (tmp_path / "model.joblib.gz").read_bytes()
    with pytest.raises(Exception, match=r"^model\.joblib is not in joblib's format\.$"):
        read(content, "any")
    with pytest.raises(LoadFailed, match=r"^model\.joblib could not be loaded \(UnpicklingError\)\.$"):
        read(b"\x80\x04K\x01K\x02\x93.", "known")  # names that are no texts


# --- the server's setting


def test_the_policy_follows_from_who_can_reach_the_server() -> None:
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert ServeSettings(host=host).limits.pickle == "any"
        assert ServeSettings(host=host, pickle="known").limits.pickle == "known"
    for host in ("0.0.0.0", "::", "", "10.0.0.1", "models.example.org"):
        assert ServeSettings(host=host).limits.pickle == "known"
        assert ServeSettings(host=host, pickle="any").limits.pickle == "any"
    assert ServeSettings(pickle="never", host="::").limits.pickle == "never"


def test_a_server_that_takes_no_pickle_says_so(store: Store) -> None:
    publish(store, "double", Times(2.0), answers=Answers([2.0, 2.0]))
    says = (
        r"^The version is stored as joblib, which may run code as it is loaded; this server takes ONNX only \(LECTERN_P"
    )
    with pytest.raises(PickleRefused, match=says):
        load("double", 1, store.artifact("double", 1), ServeSettings(pickle="never"))
    publish_graph(store, "graph")
    assert load("graph", 1, store.artifact("graph", 1), ServeSettings(pickle="never")).example == {"prediction": 2.0}


def test_only_a_format_that_runs_code_is_refused() -> None:
    limits = Limits(1, 1, pickle="never")
    refuses = []
    for name in FORMATS:
        document = manifest()
        try:
            limits.admit(document.model_copy(update={"runtime": document.runtime.model_copy(update={"format": name})}))
        except PickleRefused:
            refuses.append(name)
    assert refuses == ["joblib"]


# --- the list


def test_the_list_is_sorted_and_each_name_is_one_of_a_module() -> None:
    lines = pickles.KNOWN.read_text().splitlines()
    assert lines == sorted(set(lines))
    assert all(re.fullmatch(r"[A-Za-z_]\w*(\.\w+)* \w+", line) for line in lines)
    assert len(lines) > 400


@pytest.mark.parametrize("module", sorted({module for module, _ in pickles.known()}))
def test_each_name_is_there_today(module: str) -> None:
    found = importlib.import_module(module)
    missing = [name for home, name in pickles.known() if home == module and not hasattr(found, name)]
    assert not missing, "`make known-types` writes the list anew"


def test_nothing_in_it_can_run_or_write_what_it_is_told_to() -> None:
    assert [name for name in pickles.known() if refused(*name)] == []
    assert pickles.known() >= HARMLESS
    for module, name in [
        *(
            ("builtins", name)
            for name in ("getattr", "setattr", "eval", "exec", "compile", "open", "__import__", "map")
        ),
        *(("builtins", name) for name in ("type", "filter", "vars", "globals", "breakpoint", "input", "memoryview")),
        *(("operator", name) for name in ("attrgetter", "methodcaller", "itemgetter", "call")),
        *(("functools", "partial"), ("functools", "reduce"), ("importlib", "import_module"), ("os", "system")),
        *(("posix", "system"), ("copyreg", "add_extension"), ("codecs", "open"), ("types", "FunctionType")),
        *(("cloudpickle.cloudpickle", name) for name in ("_make_function", "_builtin_type", "subimport")),
        *(
            ("joblib.memory", "Memory"),
            ("joblib.numpy_pickle", "load"),
            ("joblib.numpy_pickle_compat", "NDArrayWrapper"),
        ),
        *(
            ("numpy", "memmap"),
            ("numpy", "load"),
            ("numpy.f2py.crackfortran", "myeval"),
            ("numpy.testing", "runstring"),
        ),
        *(
            ("scipy.stats._continuous_distns", "norm_gen"),
            ("scipy.stats._distn_infrastructure", "rv_continuous_frozen"),
        ),
        *(("sklearn.datasets", "fetch_openml"), ("pandas.io.pickle", "read_pickle"), ("torch", "load")),
        *(("__main__", "Model"), ("sklearn.linear_model._ridge", "Ridge.fit")),
    ]:
        assert refused(module, name), f"{module}.{name}"


SAMPLE = [
    "GradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KMeans",
    "KNeighborsClassifier",
    "LGBMClassifier",
]
SAMPLE += [
    "LogisticRegression",
    "OneHotEncoder",
    "PCA",
    "RandomForestClassifier",
    "SVC",
    "StandardScaler",
    "XGBRegressor",
]


def test_the_list_covers_what_is_installed() -> None:
    found = collect(SAMPLE)
    assert sorted(found - pickles.known()) == [], "`make known-types` writes the list anew"
    assert len(found) > 140


def test_a_name_that_is_refused_is_never_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    import functools

    partial = FunctionTransformer(functools.partial(np.add, 1))
    assert ("functools", "partial") in named(partial)
    monkeypatch.setattr(known_types, "VALUES", [partial])
    assert ("functools", "partial") not in collect(["StandardScaler"])
    assert named(lambda: None) == set()
