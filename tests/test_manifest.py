"""contract.manifest and contract.signature: the document that describes an artifact, and all that is none."""

import json
import re
from collections.abc import Callable
from datetime import UTC
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.errors import ManifestInvalid
from contract.manifest import MAX_BYTES, File, Manifest, Onnx, Run, Runtime, parse
from contract.signature import Container, Field, Output, Signature, as_key
from tests.samples import REGRESSION, manifest

# --- every manifest comes back as it was

finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.booleans(), st.integers(), finite, st.text())
json_values = st.recursive(
    scalars | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
numbers = finite | st.integers()
pairs = st.tuples(numbers, numbers)
moments = st.datetimes().map(lambda moment: moment.isoformat())


def kind_of_field(kind: Any, **parts: Any) -> st.SearchStrategy[Field]:
    common: dict[str, Any] = {
        "name": st.text(),
        "type": st.just(kind),
        "dtype": st.text(),
        "column": st.none() | st.integers(),
        "nullable": st.booleans(),
        "unit": st.text(),
        "example": json_values,
    }
    return st.builds(Field, **common | parts)


levels = st.lists(scalars, min_size=1, max_size=3).map(tuple)
fields = st.one_of(
    *(kind_of_field(kind, bounds=st.none() | pairs, observed=st.none() | pairs) for kind in ("float", "integer")),
    kind_of_field("boolean"),
    kind_of_field("string", levels=st.none() | levels),
    kind_of_field("category", levels=levels, ordered=st.booleans()),
    *(kind_of_field(kind, observed=st.none() | st.tuples(moments, moments)) for kind in ("date", "datetime")),
    kind_of_field("tensor", shape=st.lists(st.integers(1, 999), min_size=1, max_size=3).map(tuple), observed=pairs),
)


def labelled(labels: list[Any], classes: list[Any]) -> st.SearchStrategy[Output]:
    named = {"labels": st.just(tuple(labels)), "classes": st.just(tuple(classes))}
    tasks: Any = st.sampled_from(["classification", "multilabel", "clustering", "outliers"])
    scores: Any = st.sampled_from(["probabilities", "decisions"])
    cut: Any = tasks if len(labels) == 2 else st.just("multilabel")
    return st.one_of(
        st.builds(Output, task=tasks, scores=st.just("") | scores, **named),
        st.builds(Output, task=tasks, scores=scores, rule=st.just("largest"), **named),
        st.builds(Output, task=cut, scores=scores, rule=st.just("threshold"), threshold=finite, **named),
    )


outputs = st.one_of(
    st.builds(Output, task=st.sampled_from(["regression", "transform"]), width=st.none() | st.integers(1, 99)),
    st.lists(st.text(), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.builds(
            Output, task=st.just("regression"), width=st.just(len(names)), names=st.just(tuple(names))
        )
    ),
    st.builds(Output, task=st.just("classification"), type=st.sampled_from(["integer", "boolean", "string"])),
    st.lists(st.tuples(scalars, scalars), min_size=1, max_size=4, unique_by=lambda pair: as_key(pair[1])).flatmap(
        lambda pairs: labelled([label for label, _ in pairs], [name for _, name in pairs])
    ),
)
signatures = st.builds(
    Signature,
    container=st.sampled_from(get_args(Container)),
    inputs=st.lists(fields, min_size=1, max_size=4, unique_by=lambda field: field.name).map(tuple),
    output=outputs,
)
manifests = st.builds(
    Manifest,
    model=st.text(),
    created=st.datetimes(timezones=st.just(UTC)),
    description=st.text(),
    signature=signatures,
    runtime=st.builds(
        Runtime,
        format=st.sampled_from(["onnx", "joblib"]),
        onnx=st.none()
        | st.builds(
            Onnx,
            layout=st.sampled_from(["matrix", "columns"]),
            dtype=st.sampled_from(["float32", "float64"]),
            max_difference=finite,
        ),
        reason=st.text(),
    ),
    parameters=st.dictionaries(st.text(), json_values, max_size=3),
    metrics=st.dictionaries(st.text(), finite, max_size=3),
    environment=st.dictionaries(st.text(), st.text(), max_size=3),
    run=st.builds(
        Run,
        kind=st.sampled_from(["interactive", "papermill"]),
        duration_s=st.none() | finite,
        started=st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    files=st.dictionaries(
        st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"),
        st.builds(File, size=st.integers(0, 2**63), sha256=st.from_regex(r"\A[0-9a-f]{64}\Z")),
        max_size=3,
    ),
)


@given(manifests)
def test_a_manifest_comes_back_exactly(written: Manifest) -> None:
    read = parse(written.to_bytes())
    assert read == written
    assert read.to_bytes() == written.to_bytes()  # equality does not tell 1 from True or 1.0


def test_a_manifest_is_text_that_people_can_read() -> None:
    assert manifest().to_bytes().startswith(b'{\n "manifest_format": 1,\n "model": "iris",\n')


def test_a_manifest_is_never_changed() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        manifest().model = "other"  # type: ignore[misc]


# --- what is no manifest

DOCUMENT = manifest(metrics={"accuracy": 0.5}, files={"a": File(size=1, sha256="0" * 64)}).to_bytes()


def changed(*path: str | int, to: Any) -> bytes:
    """The document with another value somewhere; as text where it is one, to write what `json` would not."""
    document = json.loads(DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(document).encode()


def nested(depth: int) -> bytes:
    return DOCUMENT.replace(b'"parameters": {}', b'"parameters": {"a": ' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "is not sound JSON: Expecting value: line 1 column 1"),
        (b"not json", "is not sound JSON: Expecting value"),
        (DOCUMENT[:-10], "is not sound JSON"),
        (DOCUMENT + b"{}", "is not sound JSON: Extra data"),
        (b"\xef\xbb\xbf" + DOCUMENT, "is not sound JSON: Unexpected UTF-8 BOM"),
        (DOCUMENT.decode().encode("utf-16"), "is not sound JSON: 'utf-8' codec can't decode"),
        (DOCUMENT.replace(b"iris", b"\xff"), "is not sound JSON: 'utf-8' codec can't decode"),
        (DOCUMENT.replace(b"iris", b"\\ud800"), "is wrong at ''.*[Ii]nvalid JSON"),
        (b"[]", "is a JSON list, not an object"),
        (b'"text"', "is a JSON str, not an object"),
        (b"null", "is a JSON NoneType, not an object"),
        (b"{}", "has format number None; this Lectern reads 1"),
        (changed("manifest_format", to=2), "has format number 2; this Lectern reads 1"),
        (changed("manifest_format", to="1"), "has format number '1'; this Lectern reads 1"),
        (changed("manifest_format", to="\n" * 99), r"has format number '(\\n){9}\\; this Lectern reads 1"),
        (DOCUMENT.replace(b'"model": "iris"', b'"model": "iris", "model": "wine"'), "the key 'model' stands twice"),
        (DOCUMENT.replace(b'"size": 1', b'"size": 1, "size": 2'), "the key 'size' stands twice"),
        (DOCUMENT.replace(b"0.5", b"NaN"), "NaN is no finite number"),
        (DOCUMENT.replace(b"0.5", b"-Infinity"), "-Infinity is no finite number"),
        (DOCUMENT.replace(b"0.5", b"1e999"), "1e999 is no finite number"),
        (DOCUMENT.replace(b'"parameters": {}', b'"parameters": {"a": [1e999]}'), "1e999 is no finite number"),
        (DOCUMENT.replace(b"0.5", b"1" * 5000), "is not sound JSON: Exceeds the limit"),
        (nested(100_000), "is not sound JSON: maximum recursion depth exceeded"),
        (b"[" * 100_000, "is not sound JSON: maximum recursion depth exceeded"),
        (DOCUMENT.replace(b'"model": "iris",', b""), "is wrong at 'model': Field required"),
        (changed("model", to=7), "is wrong at 'model': Input should be a valid string"),
        (changed("surprise", to=7), "is wrong at 'surprise': Extra inputs are not permitted"),
        (changed("sur\nprise", to=7), r"is wrong at 'sur\\nprise': Extra inputs are not permitted"),
        (changed("created", to="2026-11-21T12:00:00"), "is wrong at 'created': Input should have timezone info"),
        (changed("runtime", "format", to="pmml"), "is wrong at 'runtime.format': Input should be 'onnx' or 'joblib'"),
        (changed("signature", "inputs", 0, "type", to="time"), "is wrong at 'signature.inputs.0.type'"),
        (changed("signature", "inputs", 0, "type", to="tensor"), "is wrong at 'signature.inputs.0': .*a tensor, and"),
        (changed("signature", "container", to="matrix"), "is wrong at 'signature.container': Input should be 'frame'"),
        (changed("signature", "output", "task", to="ranking"), "is wrong at 'signature.output.task'"),
        (changed("signature", "output", "threshold", to=0.5), "is wrong at 'signature.output': .*a threshold is what"),
        (changed("signature", "inputs", to=[]), "is wrong at 'signature': .*there is at least one input"),
        (changed("signature", "inputs", 1, "name", to="x0"), "is wrong at 'signature': .*no two have the same name"),
        (changed("signature", "output", "labels", to=["a"]), "is wrong at 'signature.output': .*each label has one"),
        (changed("metrics", "accuracy", to="0.5"), "is wrong at 'metrics.accuracy': Input should be a valid number"),
        (changed("files", to={"../../etc/passwd": {"size": 1, "sha256": "0" * 64}}), "is wrong at 'files.../../etc"),
        (changed("files", to={"a/b": {"size": 1, "sha256": "0" * 64}}), "is wrong at 'files.a/b"),
        (changed("files", to={".hidden": {"size": 1, "sha256": "0" * 64}}), "is wrong at 'files..hidden"),
        (changed("files", to={"a\n": {"size": 1, "sha256": "0" * 64}}), r"is wrong at 'files.a\\n"),
        (
            changed("files", "a", "size", to=-1),
            "is wrong at 'files.a.size': Input should be greater than or equal to 0",
        ),
        (changed("files", "a", "size", to=1.5), "is wrong at 'files.a.size': Input should be a valid integer"),
        (changed("files", "a", "sha256", to="0" * 63), "is wrong at 'files.a.sha256': String should match pattern"),
        (changed("files", "a", "sha256", to="F" * 64), "is wrong at 'files.a.sha256': String should match pattern"),
    ],
)
def test_what_is_no_manifest_is_refused(document: bytes, says: str) -> None:
    with pytest.raises(ManifestInvalid, match=f"(?s)^The manifest .*{says}") as refused:
        parse(document)
    assert len(str(refused.value)) < 400


def test_a_manifest_may_not_be_large() -> None:
    padding = b" " * (MAX_BYTES - len(DOCUMENT))
    assert parse(DOCUMENT + padding) == parse(DOCUMENT)
    with pytest.raises(ManifestInvalid, match=re.escape("The manifest has 1,048,577 bytes; 1,048,576 are allowed.")):
        parse(DOCUMENT + padding + b" ")


def test_nesting_of_any_depth_is_read_or_refused() -> None:
    for depth in range(10, 1200, 10):
        try:
            parse(nested(depth))
        except ManifestInvalid as refused:
            assert "is not sound JSON" in str(refused) or "is wrong at" in str(refused)  # noqa: PT017


def test_many_keys_are_no_burden() -> None:
    """Looking for the one key that stands twice took minutes when each key was counted by itself."""
    keys = ",".join(f'"{number}":0' for number in range(90_000))
    with pytest.raises(ManifestInvalid, match="the key '89999' stands twice"):
        parse(f'{{{keys},"89999":0}}'.encode())


# --- signatures


def test_a_signature_names_its_inputs_in_order_and_shows_a_row() -> None:
    signature = Signature(
        container="frame",
        inputs=(
            Field(name="b", type="float", dtype="float64", example=1.5),
            Field(name="a", type="string", dtype="str", nullable=True),
        ),
        output=Output(task="regression"),
    )
    assert signature.names == ("b", "a")
    assert signature.example == {"b": 1.5, "a": None}


AB: dict[str, Any] = {"labels": (0, 1), "classes": ("a", "b")}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Output(task="regression", labels=(1,), classes=(1,)), "numbers have no labels"),
        (lambda: Output(task="transform", labels=(1,), classes=(1,)), "numbers have no labels"),
        (lambda: Output(task="classification", labels=(0, 1), classes=("a",)), "each label has one class of its own"),
        (lambda: Output(task="classification", labels=(0, 1), classes=("a", "a")), "each label has one class of its"),
        (lambda: Output(task="classification", labels=(0, 1), classes=(1, "1")), "also where they are keys of an obj"),
        (lambda: Output(task="classification", labels=(0, 1), classes=(True, "true")), "also where they are keys of"),
        (lambda: Output(task="multilabel"), "a row's labels are some of those that are known"),
        (lambda: Output(task="classification", scores="probabilities"), "are for known labels"),
        (lambda: Output(task="regression", scores="decisions", rule="largest"), "are for known labels"),
        (lambda: Output(task="classification", rule="largest", **AB), "a choice between scores needs them"),
        (lambda: Output(task="classification", rule="threshold", threshold=0.5, **AB), "a choice between scores need"),
        (lambda: Output(task="classification", scores="decisions", rule="threshold", **AB), "a threshold is what the"),
        (lambda: Output(task="classification", scores="decisions", threshold=0.5, **AB), "a threshold is what the r"),
        (
            lambda: Output(task="regression", width=3, names=("a", "b")),
            "each of several values has a name of its own, or",
        ),
        (lambda: Output(task="regression", width=2, names=("a", "a")), "each of several values has a name of its own"),
        (lambda: Output(task="regression", names=("a",)), "each of several values has a name of its own, or"),
        (lambda: Field(name="x", type="tensor", dtype="float32"), "a tensor, and nothing else, has axes"),
        (lambda: Field(name="x", type="tensor", dtype="float32", shape=(2, 0)), "each of at least one element"),
        (lambda: Field(name="x", type="float", dtype="float32", shape=(2,)), "a tensor, and nothing else, has axes"),
        (lambda: Field(name="x", type="category", dtype="category"), "a category has levels"),
        (lambda: Field(name="x", type="date", dtype="object", observed=(1, 2)), "dates and times, and nothing else,"),
        (lambda: Field(name="x", type="float", dtype="f8", observed=("a", "b")), "dates and times, and nothing else,"),
        (lambda: REGRESSION.model_validate({**REGRESSION.model_dump(), "inputs": ()}), "there is at least one input"),
        (lambda: manifest(metrics={"loss": float("nan")}), "Input should be a finite number"),
        (lambda: manifest(parameters={"rate": float("inf")}), "Input should be a finite number"),
        (lambda: manifest(parameters={"data": {1, 2}}), "input was not a valid JSON value"),
    ],
)
def test_what_no_manifest_can_hold_is_refused_when_it_is_made(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make()
