"""What the parameters cell may hold, what may be given for it, and that it arrives."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contract.errors import ParametersRefused, RunFailed
from contract.store import Store
from pipeline.running import parameters
from pipeline.running.notebooks import read_notebook
from pipeline.running.training import train
from pipeline.settings import TrainSettings
from tests.conftest import WriteNotebook

# --- what is declared


@pytest.fixture
def declared(write_notebook: WriteNotebook) -> Any:
    return lambda source: parameters.declared(read_notebook(write_notebook(source)))


def test_a_line_declares_a_name_a_type_a_default_and_what_it_is(declared: Any) -> None:
    found = declared(
        "# a comment of its own\n"
        "trees: int = 100  # how many # really\n"
        "depth: int | None = None\n"
        "shares: list[float] = [\n    0.5,\n    -1.0,\n]  # of each\n"
        "data: Path = 'rows.csv'  #   where\n"
        "kind: Literal['a', 'b'] = 'a'"
    )
    assert [(name, found[name].annotation, found[name].default, found[name].help) for name in found] == [
        ("trees", "int", 100, "how many # really"),
        ("depth", "int | None", None, ""),
        ("shares", "list[float]", [0.5, -1.0], "of each"),
        ("data", "Path", "rows.csv", "where"),
        ("kind", "Literal['a', 'b']", "a", ""),
    ]


def test_an_empty_cell_declares_nothing(declared: Any) -> None:
    assert declared("# nothing to choose") == {}


@pytest.mark.parametrize("tagged", [0, 2])
def test_there_is_exactly_one_parameters_cell(write_notebook: WriteNotebook, tagged: int) -> None:
    notebook = read_notebook(write_notebook("x: int = 1", "y: int = 1"))
    for number, cell in enumerate(notebook.cells):
        cell.metadata.tags = ["parameters"] if number < tagged else ["other"]
    with pytest.raises(
        ParametersRefused, match=rf"exactly one cell tagged 'parameters'; this one has {tagged}\. In Jup"
    ):
        parameters.declared(notebook)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x: int = 1\nx: int = 2", "The parameters cell declares 'x' twice."),
        (
            "a: int = 1; b: int = 2",
            "Line 1 of the parameters cell holds more than one statement; a line is `name: type",
        ),
        ("a: list = [\n  1]; b: int = 2", "Line 2 of the parameters cell holds more than one statement"),
        (
            "a: int = 1\nimport os",
            "Line 2 of the parameters cell declares no parameter; a line is `name: type = literal",
        ),
        ("x = 1", "Line 1 of the parameters cell declares no parameter"),
        ("x: int", "Line 1 of the parameters cell declares no parameter"),
        ("x.y: int = 1", "Line 1 of the parameters cell declares no parameter"),
        ("%matplotlib inline\nx: int = 1", "The parameters cell is not Python: invalid syntax"),
        ("x: int = '\0'", "The parameters cell is not Python: source code string cannot contain null bytes"),
        (f"x: int = {'-' * 5000}1", "The parameters cell is not Python: maximum recursion depth exceeded"),
        (f"x: list = {'[' * 300}", "The parameters cell is not Python: too many nested parentheses"),
        ("_x: int = 1", "'_x' cannot name a parameter: that is a keyword, or begins with '_'."),
        ("ｄｅｆ: int = 1", "'def' cannot name a parameter"),
        ("x: int = len('a')", "The default of parameter 'x' is not a literal: len('a')."),
        ("x: int = 10**9", "The default of parameter 'x' is not a literal: 10 ** 9."),
        ("x: dict = {[]: 1}", "The default of parameter 'x' is not a literal: {[]: 1}."),
        ("x: int = None", "Parameter 'x' is int; None is not."),
        ("x: int = 1.0", "Parameter 'x' is int; 1.0 is not."),
        ("x: float = 1e999", "Parameter 'x' is float; inf is not."),
        ("x: list = [1e999]", "Parameter 'x' is list; [inf] is not."),
        ("x: list = [(1, 2)]", "Parameter 'x' is list; [(1, 2)] is not."),
        ("x: list = [b'a']", "Parameter 'x' is list; [b'a'] is not."),
        ("x: dict = {1: 2}", "Parameter 'x' is dict; {1: 2} is not."),
        ("x: Literal['a', 'b'] = 'c'", "Parameter 'x' is Literal['a', 'b']; 'c' is not."),
    ],
)
def test_a_cell_of_another_form_is_refused(declared: Any, source: str, message: str) -> None:
    with pytest.raises(ParametersRefused) as refused:
        declared(source)
    assert str(refused.value).startswith(message) or message in str(refused.value)


@pytest.mark.parametrize(
    "annotation",
    [
        *("bytes", "np.int64", "'int'", "list[int, str]", "dict[int, int]", "tuple", "int | nothing"),
        *("Literal[x]", "Literal[1.5]", "Literal[[1]]", "Literal[()]", "__import__('os').system('false')"),
    ],
)
def test_a_type_is_one_of_a_few_and_never_evaluated(declared: Any, annotation: str) -> None:
    with pytest.raises(
        ParametersRefused, match=r"is no type for a parameter; there are int, float, bool, str, Path, li"
    ):
        declared(f"x: {annotation} = None")


# --- what may be given


@pytest.mark.parametrize(
    ("annotation", "default", "given", "expected"),
    [
        ("int", "1", "7", 7),
        ("int", "1", -7, -7),
        ("int", "1", 2**80, 2**80),
        ("float", "1", 2, 2.0),
        ("float", "1", "1e-3", 0.001),
        ("bool", "True", "false", False),
        ("bool", "True", "True", True),
        ("str", "''", "007", "007"),
        ("str", "''", "None", "None"),
        ("str", "''", "[1", "[1"),
        ("int | str", "1", "7", "7"),
        ("int | None", "1", "none", None),
        ("int | None", "1", "null", None),
        ("None | int", "1", None, None),
        ("None | None", "None", "None", None),
        ("list", "[]", '[1, "a", None]', [1, "a", None]),
        ("list[bool]", "[]", [True], [True]),
        ("dict", "{}", {"a": {"b": [1.5]}}, {"a": {"b": [1.5]}}),
        ("dict[str, list[int | None]]", "{}", '{"a": [1, None]}', {"a": [1, None]}),
        ("Literal['a', 1, None]", "1", "a", "a"),
        ("Literal['a', 1, None]", "'a'", "1", 1),
        ("Literal['a', 1, -1] | None", "'a'", "-1", -1),
    ],
)
def test_a_value_is_taken_as_its_type(declared: Any, annotation: str, default: str, given: Any, expected: Any) -> None:
    found = parameters.check(declared(f"x: {annotation} = {default}\ny: int = 3"), {"x": given})
    assert repr(found) == repr({"x": expected, "y": 3})


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        ("int", "007"),
        ("int", "1.0"),
        ("int", 1.0),
        ("int", True),
        ("int", ""),
        ("int", "__import__('os')"),
        ("int", "(" * 1_000_000),
        ("int", "-" * 1_000_000 + "1"),
        ("float", "x"),
        ("float", "nan"),
        ("float", float("nan")),
        ("float", float("inf")),
        ("float", "1e999"),
        ("float", True),
        ("bool", 1),
        ("bool", "yes"),
        ("str", 7),
        ("str", b"bytes"),
        ("str", "\udcff"),
        ("list", [float("nan")]),
        ("list", (1, 2)),
        ("list[int]", "[1, 'a']"),
        ("dict", {1: 2}),
        ("dict", "{[]: 1}"),
        ("dict", {"a": b"bytes"}),
        ("dict[str, float]", {"a": float("inf")}),
        ("Literal['a']", "b"),
        ("Path", "\udcff"),
    ],
)
def test_a_value_of_another_type_is_refused(declared: Any, annotation: str, given: Any) -> None:
    cell = declared("x: None = None")
    cell["x"] = parameters.Parameter("x", annotation, _type(annotation), None)
    with pytest.raises(ParametersRefused, match=r"^Parameter 'x' is [^;]+; .{1,80} is not\.$"):
        parameters.check(cell, {"x": given})


def _type(annotation: str) -> Any:
    return parameters._type(ast.parse(annotation, mode="eval").body, annotation)


@pytest.mark.parametrize("name", ["y", "X", "", "x=1\nimport os", "x = __import__('os').system('false') #", "é" * 500])
def test_an_unknown_name_is_refused(declared: Any, name: str) -> None:
    with pytest.raises(ParametersRefused, match=r"^The notebook has no parameter '.*'; it declares x, z\.$") as refused:
        parameters.check(declared("x: int = 1\nz: int = 1"), {name: 2})
    assert len(str(refused.value)) < 200


def test_a_notebook_without_parameters_says_so(declared: Any) -> None:
    with pytest.raises(ParametersRefused, match=r"no parameter 'y'; it declares none\."):
        parameters.check(declared(""), {"y": 2})


def test_a_path_counts_from_the_folder_of_whoever_gives_it(
    declared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = declared("data: Path | None = 'beside the notebook.csv'\nother: Path = 'b'")
    monkeypatch.chdir(tmp_path)
    assert parameters.check(cell, {}) == {"data": "beside the notebook.csv", "other": "b"}
    given = {"data": "rows.csv", "other": Path("rows.csv")}
    assert parameters.check(cell, given) == dict.fromkeys(given, str(tmp_path / "rows.csv"))
    assert parameters.check(cell, {"data": "None", "other": "/rows.csv"}) == {"data": None, "other": "/rows.csv"}


# --- that it arrives

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "str": st.text(),
    "int | None": st.none() | st.integers(),
    "list": st.lists(_JSON, max_size=4),
    "dict": st.dictionaries(st.text(), _JSON, max_size=4),
    "dict[str, list[float | str]]": st.dictionaries(
        st.text(), st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.text(), max_size=3), max_size=3
    ),
}
_DEFAULTS = {"int": 0, "float": 0.0, "bool": False, "str": "", "int | None": None, "list": []}
_EACH = 6


def _received(write_notebook: WriteNotebook, store: Store, types: list[str], given: dict[str, Any]) -> dict[str, Any]:
    """The values of parameters p0, p1, … as a kernel has them."""
    lines = "\n".join(f"p{number}: {kind} = {_DEFAULTS.get(kind, {})!r}" for number, kind in enumerate(types))
    names = ", ".join(f"p{number}" for number in range(len(types)))
    notebook = write_notebook(lines, f"open('received', 'w', encoding='utf-8').write(ascii([{names}]))")
    with pytest.raises(RunFailed, match="no cell called export"):
        train(notebook, given, store, TrainSettings())
    values = ast.literal_eval((notebook.parent / "received").read_text())
    return {f"p{number}": value for number, value in enumerate(values)}


@settings(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_that_is_let_through_reaches_the_kernel_exactly(
    write_notebook: WriteNotebook, store: Store, data: st.DataObject
) -> None:
    types = list(_VALUES) * _EACH
    given = {f"p{number}": data.draw(_VALUES[kind]) for number, kind in enumerate(types)}
    received = _received(write_notebook, store, types, given)
    assert {name: repr(value) for name, value in received.items()} == {
        name: repr(value) for name, value in given.items()
    }


def test_awkward_texts_reach_the_kernel_exactly(write_notebook: WriteNotebook, store: Store) -> None:
    texts = [
        "'",
        '"',
        "'''\"\"\"",
        "\\",
        "\\n",
        "\r\n\t\0\x1b[31m",
        "# no comment",
        "{x} {{y}} %s $z",
        "é漢🎻\u202e\u2028",
        "",
    ]
    texts += ["\\" * 9 + "'", "import os\nos._exit(1)", "</script><script>", "é漢" * 200_000, "'\\\n" * 2_000]
    given = {f"p{number}": text for number, text in enumerate(texts)}
    assert _received(write_notebook, store, ["str"] * len(texts), given) == given


def test_the_values_of_a_run_are_json(declared: Any) -> None:
    cell = declared("a: int | None = None\nb: Path = 'x'\nc: list[str] = ['y']")
    found = parameters.check(cell, {"b": Path("/z")})
    assert json.loads(json.dumps(found)) == found == {"a": None, "b": "/z", "c": ["y"]}
