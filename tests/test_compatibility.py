"""contract.compatibility: a model that other packages fitted is served with a word of warning, or not at all."""

import platform
from importlib import metadata

import pytest

from contract.compatibility import differences
from contract.errors import EnvironmentMismatch
from contract.store import Store
from serving.loading import load
from serving.settings import ServeSettings
from tests.live import Times, publish
from tests.samples import manifest

HERE = {"python": platform.python_version(), "scikit-learn": metadata.version("scikit-learn")}
WARNING = f"It was fitted with scikit-learn 0.24.2, and {HERE['scikit-learn']} is installed here: answers may differ."


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (HERE, []),
        ({}, []),
        (HERE | {"numpy": "1.0.0"}, []),
        (HERE | {"scikit-learn": "not installed"}, []),
        (HERE | {"scikit-learn": ".".join(HERE["scikit-learn"].split(".")[:2]) + ".99"}, []),
        (HERE | {"scikit-learn": "0.24.2"}, [WARNING]),
        ({"scikit-learn": "0.24.2", "python": "2.7.18"}, ["It was fitted with Python 2.7.18, and ", WARNING]),
    ],
)
def test_what_differs_by_more_than_a_bug_fix_is_said(environment: dict[str, str], says: list[str]) -> None:
    found = differences(manifest(environment=environment))
    assert len(found) == len(says)
    assert all(sentence.startswith(beginning) for sentence, beginning in zip(found, says, strict=True))


def test_a_graph_does_not_depend_on_what_fitted_it() -> None:
    graph = manifest()
    runtime = graph.runtime.model_copy(update={"format": "onnx"})
    assert differences(graph.model_copy(update={"runtime": runtime, "environment": {"python": "2.7.18"}})) == ()


def test_by_default_it_is_served_with_a_warning(store: Store) -> None:
    publish(store, "double", Times(2.0), environment={"scikit-learn": "0.24.2"})
    served = load("double", 1, store.artifact("double", 1), ServeSettings())
    assert served.warnings == (WARNING,)
    served.predictor.retire()


def test_it_can_be_refused(store: Store) -> None:
    publish(store, "double", Times(2.0), environment={"scikit-learn": "0.24.2"})
    with pytest.raises(
        EnvironmentMismatch, match=r"^It was fitted with .* LECTERN_ENVIRONMENT=warn serves it all the same\.$"
    ):
        load("double", 1, store.artifact("double", 1), ServeSettings(environment="refuse"))
