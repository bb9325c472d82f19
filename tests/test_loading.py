"""serving.loading: what must hold before a version may answer, and that nothing is left of one that may not."""

import os
import time
from typing import Any

import pytest

from contract import golden, trying
from contract.answers import Answers
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import (
    ArtifactError,
    ChecksumMismatch,
    EnvironmentMismatch,
    FormatMismatch,
    LoadFailed,
    ManifestInvalid,
    PredictionFailed,
    ResourceLimit,
    SelfTestFailed,
    SelfTestMismatch,
    SelfTestTimeout,
)
from contract.formats import joblib, onnx
from contract.signature import Output, Signature
from contract.store import Store
from serving.loading import Served, load
from serving.metrics import Counts
from serving.predictors import InChild, InProcess
from serving.settings import ServeSettings
from tests.live import (
    HANGS,
    RAISES,
    Says,
    Times,
    Unpickled,
    X,
    damage,
    model_processes,
    multiplication,
    publish,
    publish_graph,
    republish,
    until,
)


def loaded(store: Store, name: str, number: int = 1, **settings: float) -> Served:
    return load(name, number, store.artifact(name, number), ServeSettings(**settings))


def refused(store: Store, name: str, error: type[ArtifactError], message: str, **settings: float) -> None:
    before = set(model_processes(os.getpid()))
    with pytest.raises(error, match=message):
        loaded(store, name, max(store.versions(name)), **settings)
    until(lambda: set(model_processes(os.getpid())) <= before)


def example(value: float) -> Signature:
    return X.model_copy(update={"inputs": (X.inputs[0].model_copy(update={"example": value}),)})


def test_a_graph_answers_in_this_process(store: Store) -> None:
    publish_graph(store, "double", description="Twice x.")
    before = set(model_processes(os.getpid()))
    served = loaded(store, "double")
    assert isinstance(served.predictor, InProcess)
    assert (served.model, served.version, served.manifest.description) == ("double", 1, "Twice x.")
    assert served.headers[:2] == [(b"lectern-model", b"double"), (b"lectern-version", b"1")]
    assert served.head == b"".join(name + b": " + value + b"\r\n" for name, value in served.headers)
    assert len({served, loaded(store, "double")}) == 2  # each is itself alone
    assert served.example == {"prediction": 2.0}
    assert (served.warnings, served.trouble) == ((), "")
    assert served.size_bytes == (store.root / "double" / "1" / onnx.FILE).stat().st_size
    assert set(model_processes(os.getpid())) <= before


@pytest.mark.parametrize(
    ("cores", "workers", "longest_s", "threads"),
    [(4, 1, 0.0, 4), (4, 2, 0.0, 2), (4, 4, 0.0, 1), (4, 1, 1.0, 1), (1, 1, 0.0, 1)],
)
def test_a_graph_that_takes_long_may_use_the_cores_that_no_other_worker_has(
    cores: int, workers: int, longest_s: float, threads: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.loading.usable_cores", lambda: cores)
    monkeypatch.setattr("serving.predictors.ON_LOOP_S", longest_s)
    publish_graph(store, "double")
    served = loaded(store, "double", workers=workers)
    session = served.predictor._model._run.__self__  # type: ignore[attr-defined]
    assert session.get_session_options().intra_op_num_threads == threads
    assert (served.quick is None) == (longest_s == 0)
    assert served.predictor.answer_blocking({"x": [1.0, 2.0]}).values == [2.0, 4.0]


def test_a_graph_with_the_cores_of_others_has_to_prove_itself_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = onnx.load
    monkeypatch.setattr("serving.loading.usable_cores", lambda: 4)
    monkeypatch.setattr("serving.predictors.ON_LOOP_S", 0.0)
    monkeypatch.setattr(onnx, "load", lambda _, *given: another(multiplication(3.0), *given))  # with more cores
    publish_graph(store, "double")
    refused(store, "double", SelfTestMismatch, "^The model answers its golden rows otherwise than when it was fitted")


def test_a_graph_is_tried_in_another_process_unless_it_was_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, children, counts = trying.start, list[Child](), Counts()

    def started(*given: Any) -> Any:
        child, example = start(*given)
        children.append(child)
        return child, example

    monkeypatch.setattr(trying, "start", started)
    publish_graph(store, "double")
    artifact = store.artifact("double", 1)
    assert load("double", 1, artifact, ServeSettings(), counts, tried=True).counts is counts
    assert (children, counts.loads) == ([], 1)
    load("double", 1, artifact, ServeSettings(), counts)
    [child] = children
    assert counts.loads == 2
    until(lambda: child.process_id not in model_processes(os.getpid()))


def test_a_version_that_is_let_go_of_lets_go_of_its_model(store: Store) -> None:
    publish_graph(store, "double")
    served = loaded(store, "double")
    with served.predictor.in_use():
        served.retire()
        assert served.predictor.answer_blocking({"x": [1.0]}).values == [2.0]
    with pytest.raises(PredictionFailed, match="does not answer any more"):
        served.predictor.answer_blocking({"x": [1.0]})


def test_a_fitted_object_answers_in_a_process_of_its_own(store: Store) -> None:
    publish(store, "double", Times(2.0))
    before = set(model_processes(os.getpid()))
    served = loaded(store, "double")
    assert isinstance(served.predictor, InChild)
    assert served.example == {"prediction": 2.0}
    [child] = set(model_processes(os.getpid())) - before
    served.predictor.retire()
    until(lambda: child not in model_processes(os.getpid()))


def test_a_version_of_another_model_is_refused(store: Store) -> None:
    publish_graph(store, "double")
    (store.root / "double").rename(store.root / "triple")
    refused(store, "triple", ManifestInvalid, r"^The manifest is of a model 'double', not of 'triple'\.$")


@pytest.mark.parametrize("name", [joblib.FILE, golden.GOLDEN, "notebook.ipynb"])
def test_a_flipped_bit_in_any_file_is_found_before_the_file_is_read(store: Store, name: str) -> None:
    artifact = store.artifact("double", publish(store, "double", Times(2.0)))
    artifact = store.artifact("double", republish(store, artifact, files={"notebook.ipynb": b"{}"}))
    damage(artifact, name)
    refused(store, "double", ChecksumMismatch, f"^{name} is not the file that was published")


def test_a_file_that_is_not_what_its_name_says_is_refused(store: Store) -> None:
    pickled = store.artifact("double", publish(store, "double", Times(2.0)))
    graph = store.artifact("graph", publish_graph(store, "graph"))
    republish(store, pickled, files={joblib.FILE: multiplication(2.0)})
    refused(store, "double", FormatMismatch, "^model.joblib is not in joblib's format")
    republish(store, graph, files={onnx.FILE: pickled.read(joblib.FILE)})
    refused(store, "graph", FormatMismatch, "^model.onnx is not a graph that ONNX Runtime can run")


@pytest.mark.parametrize("publisher", ["graph", "object"])
def test_other_answers_than_the_golden_ones_are_refused(store: Store, publisher: str) -> None:
    if publisher == "graph":
        artifact = store.artifact("double", publish_graph(store, "double"))
        wrong = golden.write({"x": [1.0, 2.0]}, Answers([2.0, 4.1]))
        republish(store, artifact, files={golden.GOLDEN: wrong})
    else:
        publish(store, "double", Times(2.0), rows={"x": [1.0, 2.0]}, answers=Answers([2.0, 4.1]))
    refused(store, "double", SelfTestMismatch, r"^The model answers its golden rows otherwise than when it was fitted")


def test_a_model_that_cannot_answer_its_golden_rows_is_refused(store: Store) -> None:
    publish(store, "double", Times(2.0), rows={"x": [RAISES]}, answers=Answers([26.0]))
    refused(store, "double", SelfTestFailed, "^The model could not answer its golden rows: The model raised ValueError")


def test_a_model_that_cannot_answer_its_example_row_is_refused(store: Store) -> None:
    publish(store, "double", Times(2.0), signature=example(RAISES), rows={"x": [1.0]}, answers=Answers([2.0]))
    refused(store, "double", SelfTestFailed, "^The model could not answer its example row: The model raised ValueError")


def test_a_process_that_answers_what_its_signature_has_not_is_refused(store: Store) -> None:
    def lying(rows: Any) -> list[int]:
        """Have the process say anything: whoever may run code in it can."""
        from contract.formats import joblib as its_own

        vars(its_own)["from_model"] = lambda *_: Answers([7] * len(rows), [[0.5, 0.5]] * len(rows))
        return [7] * len(rows)

    output = Output(task="classification", labels=(0, 1), classes=(0, 1), scores="probabilities")
    one = Says(predict=lying, predict_proba=lambda rows: [[0.5, 0.5]] * len(rows))
    answers = Answers([7, 7], [[0.5, 0.5]] * 2)
    publish(store, "binary", one, signature=X.model_copy(update={"output": output}), answers=answers)
    message = (
        r"^The model could not answer its example row: The model answered something that does not fit its signature"
    )
    refused(store, "binary", SelfTestFailed, message)


def test_decisions_keep_the_form_that_the_example_has(store: Store) -> None:
    output = Output(task="classification", labels=(0, 1), classes=(0, 1), scores="decisions")
    one = Says(predict=lambda rows: [0] * len(rows), decision_function=lambda rows: [[0.5]] * len(rows))
    publish(store, "binary", one, signature=X.model_copy(update={"output": output}))
    served = loaded(store, "binary")
    assert served.example == {"prediction": 0, "score": 0.5}
    with pytest.raises(PredictionFailed, match=r"^The model answered something that does not fit its signature\.$"):
        served.replies.documents(Answers([0], [[0.5, 0.5]]))
    served.predictor.retire()


def test_a_model_that_never_answers_its_golden_rows_is_given_up(store: Store) -> None:
    publish(store, "double", Times(2.0), rows={"x": [HANGS]}, answers=Answers([1.0]))
    message = r"^The model could not answer its golden rows: The model did not answer within 2 s\.$"
    refused(store, "double", SelfTestTimeout, message, load_timeout_s=2)


def test_a_model_that_never_loads_is_given_up(store: Store) -> None:
    publish(store, "double", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))
    refused(store, "double", ResourceLimit, r"^The model was not loaded within 2 s\.$", load_timeout_s=2)


def test_a_model_that_dies_while_it_loads_is_refused(store: Store) -> None:
    publish(store, "double", Unpickled(os._exit, 1), answers=Answers([2.0, 2.0]))
    refused(store, "double", LoadFailed, r"^The process of the model died while it loaded the file\.$")


def test_a_model_that_needs_what_is_not_installed_says_what(store: Store) -> None:
    publish(store, "double", Unpickled(__import__, "no_such_package"), answers=Answers([2.0, 2.0]))
    refused(store, "double", EnvironmentMismatch, "^The model needs the package 'no_such_package', which is not ")


def test_golden_rows_that_are_none_are_refused(store: Store) -> None:
    artifact: Artifact = store.artifact("double", publish_graph(store, "double"))
    republish(store, artifact, files={golden.GOLDEN: b"[]"})
    refused(store, "double", ManifestInvalid, "^golden.json is not a document of golden rows")
    republish(store, artifact, without=[golden.GOLDEN])
    refused(store, "double", ChecksumMismatch, r"^The manifest names no file golden\.json\.$")
