"""The LitServe server, as its documentation shows it; BATCHING=1 turns batching on: `python litserve_app.py PORT`."""
# mypy: disable-error-code="import-not-found, misc, no-untyped-def"
# LitServe is in the app's own environment only, and takes an annotation of `request` for a query parameter

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np

BATCHING = os.environ.get("BATCHING") == "1"


class Iris(litserve.LitAPI):
    """One request at a time."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe names the device
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request) -> Any:
        return np.asarray(request["rows"], dtype=float)

    def predict(self, rows: Any) -> Any:
        return self.model.predict_proba(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"probabilities": output.tolist()}


class BatchingIris(Iris):
    """The requests of a batch as one matrix, whatever number of rows each has."""

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, rows: list[Any]) -> Any:
        ends = np.cumsum([len(one) for one in rows])
        return np.split(self.model.predict_proba(np.concatenate(rows)), ends[:-1])

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output


if __name__ == "__main__":
    api = BatchingIris(max_batch_size=64, batch_timeout=0.002) if BATCHING else Iris()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
