"""Commands: how each server is started, and what it needs to find beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from benchmarks.serving.place import APPS, Command, Place
from benchmarks.serving.shapes import KEY


def uvicorn(app: str) -> Command:
    """An ASGI application of apps/."""
    return lambda p: [
        f"{p.bin}/uvicorn",
        "--app-dir",
        str(APPS),
        "--port",
        str(p.port),
        "--log-level",
        "warning",
        "--no-access-log",
        app,
    ]


def gunicorn(p: Place) -> list[str]:
    """The Flask app."""
    return [
        f"{p.bin}/gunicorn",
        "--chdir",
        str(APPS),
        "--bind",
        f"127.0.0.1:{p.port}",
        "--workers",
        "1",
        "flask_app:app",
    ]


def mlflow(p: Place) -> list[str]:
    """The scoring server, as `mlflow models serve` starts it."""
    at = ["--host", "127.0.0.1", "--port", str(p.port), "--workers", "1"]
    return [f"{p.bin}/mlflow", "models", "serve", "--env-manager", "local", "-m", str(p.folder / "saved"), *at]


def bentoml(p: Place) -> list[str]:
    """The service of apps/."""
    at = ["--host", "127.0.0.1", "--port", str(p.port)]
    return [f"{p.bin}/bentoml", "serve", "bentoml_app:Iris", "--working-dir", str(APPS), *at]


def mlserver_files(**batching: float) -> Callable[[Place], dict[str, str]]:
    """Settings of the server and of its one model."""

    def files(p: Place) -> dict[str, str]:
        settings = {
            "host": "127.0.0.1",
            "http_port": p.port,
            "grpc_port": p.spare_ports[0],
            "metrics_port": p.spare_ports[1],
            "debug": False,
            # batching best: without the queue to a process for inference, which on one core only adds to the work
            **({"parallel_workers": 0} if batching else {"parallel_workers": 1}),
        }
        model = {
            "name": p.model,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(p.file)},
            **batching,
        }
        return {"settings.json": json.dumps(settings), "model-settings.json": json.dumps(model)}

    return files


def lectern(*options: str) -> Command:
    """Ours, as a user starts it."""
    return lambda p: [
        f"{p.bin}/lectern",
        "serve",
        "--store",
        str(p.folder / "store"),
        "--port",
        str(p.port),
        *options,
    ]


def lectern_keys(_: Place) -> dict[str, str]:
    """Ours, locked: the file with the one key that opens it."""
    key = {
        "id": "0" * 12,
        "name": "benchmark",
        "sha256": hashlib.sha256(KEY.rpartition("_")[2].encode()).hexdigest(),
        "rights": {"*": ["predict"]},
        "created": "2026-01-01T00:00:00Z",
    }
    return {"keys.json": json.dumps({"format": 1, "keys": [key]})}


def export(p: Place) -> list[str]:
    """Ours: the version that is served."""
    return [f"{p.bin}/python", str(APPS / "lectern_export.py"), str(p.models), p.model]


def run_app(file: str) -> Command:
    """A file of apps/ that serves by itself, on the port given."""
    return lambda p: [f"{p.bin}/python", str(APPS / file), str(p.port)]


def save_for_mlflow(p: Place) -> list[str]:
    """The model in MLflow's format."""
    return [f"{p.bin}/python", str(APPS / "mlflow_save.py"), str(p.file), str(p.folder / "saved")]


def mlserver(p: Place) -> list[str]:
    """MLServer on its settings."""
    return [f"{p.bin}/mlserver", "start", str(p.folder)]
