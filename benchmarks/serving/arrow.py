"""A large Arrow stream: sent and read at the same time; `python -m benchmarks.serving.arrow PORT ROWS LABELS`.

Prints as JSON: the status, the rows per second, how many rows came back, and how many have another class.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.serving.alone import flowers
from benchmarks.serving.fitted import COLUMNS, SPECIES

KIND = "application/vnd.apache.arrow.stream"
BATCH = 65_536
PATH = "/models/iris/predict"
_PIECE = 1 << 20


def stream_of(matrix: Any) -> bytes:
    """The rows as an Arrow stream, a column of float64 each."""
    table = pa.table(dict(zip(COLUMNS["iris"], np.ascontiguousarray(matrix.T), strict=True)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def exchange(port: int, content: bytes) -> tuple[int, bytes, float]:
    """Send in one thread, read in another: the status, the answer, and the seconds it all took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.putrequest("POST", PATH)
    for name, value in {"Content-Type": KIND, "Accept": KIND, "Content-Length": str(len(content))}.items():
        connection.putheader(name, value)
    connection.endheaders()

    def send() -> None:
        with contextlib.suppress(OSError):  # refused early: the answer says why
            for start in range(0, len(content), _PIECE):
                connection.send(content[start : start + _PIECE])

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    response = connection.sock  # http.client reads an answer only after the whole request: take the socket
    answer = http.client.HTTPResponse(response, method="POST")
    answer.begin()
    found = answer.read()
    took = time.perf_counter() - began
    sending.join(10)
    connection.close()
    return answer.status, found, took


def main(port: int, count: int, labels: Path) -> dict[str, Any]:
    """One exchange, with its answer checked."""
    status, found, took = exchange(port, stream_of(flowers(count)))
    if status != 200:
        return {"status": status, "said": found[:300].decode(errors="replace")}
    table = pa.ipc.open_stream(found).read_all()
    expected = np.array(SPECIES)[np.load(labels)]
    answered = np.array(table.column("prediction").to_pylist())
    wrong = int((answered != expected).sum()) if len(answered) == len(expected) else len(expected)
    return {"status": status, "rows_per_s": count / took, "rows": len(answered), "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
