"""The servers: one table of everything that is measured, ours and the others, each release exact."""

from __future__ import annotations

from benchmarks.serving import commands, shapes
from benchmarks.serving.place import USUAL, Server

SKLEARN, JOBLIB, UVICORN = "scikit-learn==1.9.1", "joblib==1.6.0", "uvicorn==0.54.0"
FLASK = ("flask==3.1.3", "gunicorn==27.0.1", SKLEARN, JOBLIB)
MLFLOW = ("mlflow==3.17.2", "fastapi==0.165.0", UVICORN, SKLEARN, JOBLIB)
BENTOML = ("bentoml==1.4.39", UVICORN, SKLEARN, JOBLIB)
# its process for inference asks for an event loop that newer releases of uvloop no longer make
MLSERVER = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", UVICORN, SKLEARN, JOBLIB)
LITSERVE = ("litserve==0.2.19", "fastapi==0.165.0", UVICORN, SKLEARN, JOBLIB)
VETIVER = ("vetiver==0.2.6", "fastapi==0.165.0", UVICORN, SKLEARN, JOBLIB)
HEAVY, MEMORY, SWAP = frozenset({"joblib"}), frozenset({"memory"}), frozenset({"swap"})
BATCHING = {"BATCHING": "1"}
MLSERVER_BATCHING = commands.mlserver_files(max_batch_size=64, max_batch_time=0.002)

SERVERS = (
    Server(
        "lectern",
        "Lectern",
        shapes.OURS,
        commands.lectern(),
        prepare=commands.export,
        cases=USUAL | {"arrow"},
        family="ours",
    ),
    Server(
        "echo",
        "bare ASGI echo",
        shapes.OURS,
        commands.run_app("echo_server.py"),
        cases=USUAL - {"memory", "cold"},
        family="ours",
    ),
    Server(
        "lectern-locked",
        "Lectern, a key and a limit",
        shapes.LOCKED,
        commands.lectern(),
        prepare=commands.export,
        files=commands.lectern_keys,
        variables={"LECTERN_KEYS": "keys.json", "LECTERN_LIMIT_PER_CALLER": "1000000000/day"},
        cases=frozenset({"one-row"}),
        family="ours",
    ),
    Server(
        "lectern-2-workers",
        "Lectern, 2 workers",
        shapes.OURS,
        commands.lectern("--workers", "2"),
        prepare=commands.export,
        cases=MEMORY,
        family="lectern",
    ),
    Server(
        "lectern-joblib",
        "Lectern, a Python model",
        shapes.OURS,
        commands.lectern(),
        prepare=commands.export,
        model="nearest",
        cases=HEAVY,
        family="lectern",
    ),
    Server(
        "lectern-swap",
        "Lectern, a swap",
        shapes.OURS,
        commands.lectern(),
        prepare=commands.export,
        cases=SWAP,
        family="lectern",
    ),
    Server("fastapi", "textbook FastAPI", shapes.OBJECTS, commands.uvicorn("fastapi_app:app")),
    Server(
        "fastapi-joblib",
        "textbook FastAPI, a Python model",
        shapes.FEATURES,
        commands.uvicorn("fastapi_nearest_app:app"),
        model="nearest",
        cases=HEAVY,
        family="fastapi",
    ),
    Server("flask", "textbook Flask, gunicorn", shapes.FLASK, commands.gunicorn, "flask", FLASK),
    Server("mlflow", "MLflow", shapes.MLFLOW, commands.mlflow, "mlflow", MLFLOW, prepare=commands.save_for_mlflow),
    Server("bentoml", "BentoML", shapes.BENTOML, commands.bentoml, "bentoml", BENTOML),
    Server(
        "bentoml-batching",
        "BentoML, batching",
        shapes.BENTOML,
        commands.bentoml,
        "bentoml",
        BENTOML,
        variables=BATCHING,
        family="bentoml",
    ),
    Server(
        "mlserver",
        "MLServer",
        shapes.MLSERVER,
        commands.mlserver,
        "mlserver",
        MLSERVER,
        files=commands.mlserver_files(),
    ),
    Server(
        "mlserver-batching",
        "MLServer, batching",
        shapes.MLSERVER,
        commands.mlserver,
        "mlserver",
        MLSERVER,
        files=MLSERVER_BATCHING,
        family="mlserver",
    ),
    Server(
        "mlserver-joblib",
        "MLServer, batching, a Python model",
        shapes.MLSERVER,
        commands.mlserver,
        "mlserver",
        MLSERVER,
        files=MLSERVER_BATCHING,
        model="nearest",
        cases=HEAVY,
        family="mlserver",
    ),
    Server("litserve", "LitServe", shapes.LITSERVE, commands.run_app("litserve_app.py"), "litserve", LITSERVE),
    Server(
        "litserve-batching",
        "LitServe, batching",
        shapes.LITSERVE,
        commands.run_app("litserve_app.py"),
        "litserve",
        LITSERVE,
        variables=BATCHING,
        family="litserve",
    ),
    Server("vetiver", "vetiver", shapes.VETIVER, commands.uvicorn("vetiver_app:app"), "vetiver", VETIVER),
)
BY_NAME = {server.name: server for server in SERVERS}
