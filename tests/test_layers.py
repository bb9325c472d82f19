"""The layers: what each part of the house may import, also inside functions."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"contract", "pipeline", "serving", "lectern"}
HEAVY = {
    "onnx",
    "onnxmltools",
    "joblib",
    "cloudpickle",
    "onnxruntime",
    "skl2onnx",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "torch",
}
ALLOWED = {
    "contract": {"contract", "numpy", "pydantic", "pydantic_core"},
    "pipeline": {"contract", "pipeline", "numpy", "pandas", "sklearn", "papermill", "nbformat", "nbconvert", "nbclient"}
    | {"traitlets", "pydantic", "pyarrow", "typer"}
    | {"joblib", "distributed", "jupyter_client", "matplotlib", "PIL", "tqdm", "yaml", "zmq"},
    "serving": {
        "contract",
        "serving",
        "fastapi",
        "starlette",
        "uvicorn",
        "pydantic",
        "pydantic_core",
    }
    | {"httptools", "numpy", "prometheus_client", "pythonjsonlogger", "typer", "typing_extensions"},
    "lectern": {"pipeline", "serving", "typer"},
}
LAZY = {
    "contract": {"cryptography", "model_signing"},
    "serving": {"cryptography", "jinja2", "jwt", "opentelemetry", "pyarrow", "redis", "rich", "sqlalchemy"},
}
"""What a layer may import inside functions only: not every installation has it, or it takes long."""
CLIENT = {"httpx", "pandas"}
"""So may the client, which runs in notebooks, and nothing else of its layer."""
DATABASE = {"alembic", "sqlalchemy"}
"""So may the room of the database, and anywhere in it; in turn others import it inside functions only."""
ROOM = "serving.prediction_log.database"
MODULES = sorted(path for part in ALLOWED for path in [*ROOT.glob(f"{part}.py"), *ROOT.glob(f"{part}/**/*.py")])


def imported(path: Path) -> dict[str, bool]:
    """The top-level names a module imports, and whether each is only imported inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for branch in ast.walk(tree):  # `if TYPE_CHECKING:` imports nothing at run time
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING":
            inside |= {id(node) for node in ast.walk(branch)}
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            found[top] = found.get(top, True) and id(node) in inside
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    lazy = HEAVY if path.parent.name == "formats" else LAZY.get(part, set())
    if path.parent == ROOT / "serving" / "client":
        lazy = lazy | CLIENT
    allowed = ALLOWED[part] | (DATABASE if in_database_room(path) else set())
    for name, only_inside in imported(path).items():
        if name in sys.stdlib_module_names or name in allowed:
            continue
        assert name in lazy, f"{path.relative_to(ROOT)} imports {name}"
        assert only_inside, f"{path.relative_to(ROOT)} imports {name} on being imported itself"


def in_database_room(path: Path) -> bool:
    return ROOT.joinpath(*ROOM.split(".")) in path.parents


def test_the_room_of_the_database_is_entered_inside_functions_only() -> None:
    outside = [path for path in MODULES if not in_database_room(path)]
    assert len(outside) < len(MODULES)
    assert not [path for path in outside if re.search(rf"^(from|import) {ROOM}", path.read_text(), re.MULTILINE)]


def test_the_command_names_its_sides_only_when_a_verb_is_called() -> None:
    assert not set(imported(ROOT / "lectern.py")) & OURS


def test_no_package_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert not [path for path in MODULES if path.stem in drawers]
