"""In one process, without HTTP: what a server could reach at the most; `python -m benchmarks.serving.alone CASE …`.

`json MODEL BODY SECONDS`: parse a JSON body, predict, encode the answers. `arrow MODEL ROWS`: predict a large matrix.
Each prints its figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from pydantic_core import from_json, to_json

from benchmarks.serving.fitted import COLUMNS, SPECIES

BATCHES = (1_000, 10_000, 100_000, 1_000_000)
"""Rows at a time; the fastest counts."""
_DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


def session_of(path: Path) -> tuple[Any, Any]:
    """The graph on one core, and the type of its numbers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return session, _DTYPES[session.get_inputs()[0].type]


def flowers(count: int) -> Any:
    """As many rows as asked for, each number in the range that flowers have."""
    return np.random.default_rng(3).uniform((4.3, 2.0, 1.0, 0.1), (7.9, 4.4, 6.9, 2.5), (count, 4)).round(1)


def json_alone(model: Path, body: bytes, seconds: float) -> dict[str, float]:
    """Rows per second through parse, predict and encode; the answers have the fields that ours have."""
    session, dtype = session_of(model)
    (name,) = [entry.name for entry in session.get_inputs()]
    columns, classes = COLUMNS["iris"], SPECIES
    rows, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        parsed = from_json(body)
        matrix = np.array([[row[column] for column in columns] for row in parsed], dtype)
        labels, shares = session.run(None, {name: matrix})
        documents = [
            {
                "prediction": classes[label],
                "confidence": row[label],
                "probabilities": dict(zip(classes, row, strict=True)),
                "id": f"0123456789ab00000001-{index}",
                "warnings": [],
            }
            for index, (label, row) in enumerate(zip(labels.tolist(), shares.tolist(), strict=True))
        ]
        to_json({"predictions": documents, "model": "iris", "version": 1})
        rows += len(parsed)
    return {"rows_per_s": rows / took}


def arrow_alone(model: Path, count: int, labels_to: Path) -> dict[str, float]:
    """Rows per second of prediction alone; the classes are written down to check others by."""
    session, dtype = session_of(model)
    name = session.get_inputs()[0].name
    matrix = flowers(count).astype(dtype)
    fastest, found = 0.0, []
    for batch in BATCHES:
        if batch > count:
            break
        began = time.perf_counter()
        found = [session.run(None, {name: matrix[at : at + batch]})[0] for at in range(0, count, batch)]
        fastest = max(fastest, count / (time.perf_counter() - began))
    np.save(labels_to, np.concatenate(found))
    return {"rows_per_s": fastest}


if __name__ == "__main__":
    case, model, *rest = sys.argv[1:]
    if case == "json":
        figures = json_alone(Path(model), Path(rest[0]).read_bytes(), float(rest[1]))
    else:
        figures = arrow_alone(Path(model), int(rest[0]), Path(rest[1]))
    print(json.dumps(figures))
