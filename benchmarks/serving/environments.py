"""Environments: each peer in one of its own under build/peers, with exact versions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "peers"
OURS = Path(sys.prefix)
_SHOWN = ("scikit-learn", "numpy", "pydantic", "fastapi", "starlette", "uvicorn", "onnxruntime")
"""Named in the report beside what an environment was made for."""
_VERSIONS = """
import importlib.metadata, json, platform
found = {one.name.lower(): one.version for one in importlib.metadata.distributions()}
print(json.dumps({"python": platform.python_version()} | found))
"""


class EnvironmentFailed(Exception):
    """An environment could not be made."""


def ready(name: str, requirements: tuple[str, ...]) -> Path:
    """The folder of an environment, made if it is not there or has other requirements; ours where there are none.

    Raises:
        EnvironmentFailed: a requirement does not install.
    """
    if not requirements:
        return OURS
    folder, stamp = FOLDER / name, FOLDER / f"{name}.txt"
    wanted = "\n".join(requirements) + "\n"
    if stamp.exists() and stamp.read_text() == wanted and (folder / "bin" / "python").exists():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"  installing {', '.join(requirements)}", flush=True)
    uv = str(OURS / "bin" / "uv")
    stamp.unlink(missing_ok=True)
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    _run([*install, *requirements])
    stamp.write_text(wanted)
    return folder


def versions(folder: Path, requirements: tuple[str, ...]) -> dict[str, str]:
    """What an environment holds of what matters here: its Python, what it was made for, and the usual parts."""
    command = [str(folder / "bin" / "python"), "-c", _VERSIONS]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    names = [requirement.partition("==")[0].partition("[")[0].lower() for requirement in requirements]
    return {name: found[name] for name in dict.fromkeys(["python", *names, *_SHOWN]) if name in found}


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[-400:]
        raise EnvironmentFailed(f"it does not install: {said}")
