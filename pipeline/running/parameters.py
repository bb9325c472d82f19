"""The parameters of a training notebook: read from its one tagged cell before any kernel starts, and checked strictly.

The cell holds lines `name: type = literal  # what it is`. papermill itself would run with an unknown name or a wrong
type, and writes names into the notebook as code.
"""

from __future__ import annotations

import ast
import contextlib
import json
import keyword
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from pydantic import ConfigDict, JsonValue, TypeAdapter

from contract.errors import ParametersRefused
from pipeline.running.masking import MASK, is_secret

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG = "parameters"
_NAMED: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list[JsonValue],
    "dict": dict[str, JsonValue],
    "Path": Path,
}
_WORDS: dict[str, list[bool | None]] = {"true": [True], "false": [False], "null": [None], "none": [None]}
_LINE = "a line is `name: type = literal  # what it is`"
_NO_LITERAL = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter."""

    name: str
    annotation: str
    type: Any
    default: Any
    help: str = ""


def declared(notebook: NotebookNode) -> dict[str, Parameter]:
    """The parameters that a notebook declares, in order.

    Raises:
        ParametersRefused: there is not exactly one cell tagged `parameters`, or a line of it is of another form.
    """
    cells = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParametersRefused(
            f"A training notebook has exactly one cell tagged '{TAG}'; this one has {len(cells)}. "
            "In JupyterLab: select the cell, open the property inspector (the gear), add the tag."
        )
    source: str = cells[0].source
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ParametersRefused(f"The parameters cell is not Python: {error}; {_LINE}.") from None
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    last_line = 0
    for statement in tree.body:
        if statement.lineno <= last_line:
            raise ParametersRefused(f"Line {last_line} of the parameters cell holds more than one statement; {_LINE}.")
        last_line = statement.end_lineno or 0
        parameter = _parameter(statement, comments)
        if parameter.name in found:
            raise ParametersRefused(f"The parameters cell declares '{parameter.name}' twice.")
        found[parameter.name] = parameter
    return found


def check(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter as JSON has it: what was given, else the default.

    A text that is given for a parameter of another type is read as that type's literal: `"7"` for an int.

    Raises:
        ParametersRefused: a name is not declared, or a value is not of its type.
    """
    for name in given:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise ParametersRefused(f"The notebook has no parameter '{_shown(name)[1:-1]}'; it declares {known}.")
    return {
        name: _value(parameter, given[name]) if name in given else parameter.default
        for name, parameter in parameters.items()
    }


def _parameter(statement: ast.stmt, comments: Mapping[int, str]) -> Parameter:
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
        raise ParametersRefused(f"Line {statement.lineno} of the parameters cell declares no parameter; {_LINE}.")
    name, annotation = statement.target.id, ast.unparse(statement.annotation)
    if keyword.iskeyword(name) or name.startswith("_"):
        raise ParametersRefused(f"'{name}' cannot name a parameter: that is a keyword, or begins with '_'.")
    kind = _type(statement.annotation, annotation)
    try:
        default = ast.literal_eval(statement.value)
    except _NO_LITERAL:
        raise ParametersRefused(
            f"The default of parameter '{name}' is not a literal: {ast.unparse(statement.value)[:80]}."
        ) from None
    parameter = Parameter(name, annotation, kind, default, comments.get(statement.end_lineno or 0, ""))
    _value(parameter, default)
    return parameter


def _type(node: ast.expr, annotation: str) -> Any:
    """The type that an annotation names, built from the few that JSON can carry; nothing is evaluated."""
    match node:
        case ast.Name(id=name) if name in _NAMED:
            return _NAMED[name]
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(left, annotation), _type(right, annotation)]  # noqa: UP007  # `None | None` is an error
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return list[_type(inner, annotation)]  # type: ignore[misc]  # built at run time
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), inner])):
            return dict[str, _type(inner, annotation)]  # type: ignore[misc]  # built at run time
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            with contextlib.suppress(*_NO_LITERAL):
                choices = ast.literal_eval(ast.Tuple(inner.elts if isinstance(inner, ast.Tuple) else [inner]))
                if choices and all(isinstance(choice, str | int | None) for choice in choices):
                    return Literal[choices]
    raise ParametersRefused(
        f"'{annotation[:80]}' is no type for a parameter; there are int, float, bool, str, Path, list[…], "
        "dict[str, …], Literal[…], and these with `| None`."
    )


def _value(parameter: Parameter, value: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(parameter.type, config=ConfigDict(strict=True, allow_inf_nan=False))
    for reading in _readings(value):
        with contextlib.suppress(ValueError):  # pydantic's refusals, also to write what JSON cannot carry
            return json.loads(adapter.dump_json(adapter.validate_python(reading)))
    shown = MASK if is_secret(parameter.name) else _shown(value)
    raise ParametersRefused(f"Parameter '{parameter.name}' is {parameter.annotation}; {shown} is not.")


def _readings(value: Any) -> Iterator[Any]:
    """What a value can mean, its own type first; paths count from the folder of whoever gave them."""
    yield value.absolute() if isinstance(value, Path) else value
    if isinstance(value, str):
        try:
            yield ast.literal_eval(value)
        except _NO_LITERAL:
            yield from _WORDS.get(value.lower(), [])
        yield Path(value).absolute()


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:78]}…{shown[-1]}"


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
